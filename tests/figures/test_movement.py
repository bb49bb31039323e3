import json

import numpy as np

from instructor_core.analysis.movement import Movement, NeighborChange, movement
from instructor_core.analysis.similarity import Neighbor
from instructor_core.figures.movement import (
    carrier_sentences,
    movement_panels,
    movement_rows,
    movement_summary,
    neighbor_sentences,
)
from tests.figures.encoded import pair

FIRST, SECOND = pair("▁In ▁<b> ▁good </s>", "itte"), pair("▁In ▁<b> ▁good </s>", "itte", seed=1)
MOVED, STILL = movement(FIRST, SECOND), movement(FIRST, FIRST)


def test_bars_are_the_shares_in_reading_order_and_carriers_are_named_with_theirs() -> None:
    (panel,) = movement_panels(MOVED, a=0, b=2).panels
    assert panel.title == "A to C"
    np.testing.assert_allclose(panel.figure.data[0].x, MOVED.shares)
    assert sum(panel.figure.data[0].x) > 0.999
    assert list(panel.figure.layout.yaxis.ticktext) == ["&lt;b&gt;", "good", "&lt;/s&gt;"]
    hand = Movement(MOVED.units, np.array([0.852, 0.25, -0.102]), np.ones(3), 1.0, 0.9)
    assert carrier_sentences(hand, 3) == (
        "`<b>` carried 85.2 % of the move.",
        "`good` carried 25.0 % of the move.",
        "`</s>` went against the move: −10.2 %.",
    )


def test_no_move_is_said_and_drawn_without_numbers() -> None:
    rows = movement_rows(STILL, title="text 1")
    assert rows.scale is None
    assert {token.weight for token in rows.rows[0].tokens} == {None}
    assert movement_summary(STILL, a=0, b=1) == "No move: A and B give this text the same embedding."
    assert carrier_sentences(STILL, 3) == ()
    panels = movement_panels(STILL, a=0, b=1)
    assert set(panels.panels[0].figure.data[0].x) == {0}
    for payload in (rows, panels):
        assert "NaN" not in json.dumps(json.loads(payload.to_json()))


def test_neighbors_that_changed_are_listed() -> None:
    near = [Neighbor(1, 0.9), Neighbor(2, 0.8), Neighbor(0, 0.7)]
    texts = ("first", "second", "third", "fourth")
    assert neighbor_sentences(NeighborChange(3, tuple(near[:2]), (near[1], near[2])), texts, a=0, b=1) == (
        "Came under B: 1 first (0.700)",
        "Was near under A only: 2 second (0.900)",
    )
    same = NeighborChange(3, tuple(near[:2]), (near[1], near[0]))
    assert neighbor_sentences(same, texts, a=0, b=1) == ("The same 2 texts are nearest under A and under B.",)
    assert neighbor_sentences(NeighborChange(0, (), ()), texts[:1], a=0, b=1)[0].startswith("There is no other text")
