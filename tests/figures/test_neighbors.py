import json

import numpy as np

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.groups import grid_groups
from instructor_core.analysis.neighbors import block_means, nearest_texts
from instructor_core.figures.neighbors import (
    block_difference_panels,
    block_panels,
    nearest_panels,
)

LABELS = ("<b>", "two", "<b>", "two", "<b>", "alone")
TEXTS = tuple(f"text <i>{i}</i>" for i in range(6))
GRID = EmbeddingGrid(("topic ", ""), TEXTS, LABELS, np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32))


def test_each_instruction_has_a_chart_of_the_nearest_texts_linked_by_index() -> None:
    result = nearest_texts(GRID, 2, k=3)
    drawn = nearest_panels(result, TEXTS, GRID.instructions)
    assert [panel.key for panel in drawn.panels] == ["A", "B"]
    sent = {2, *(one.text for lists in result.lists for one in lists)}
    assert [bool(item) for item in drawn.items] == [i in sent for i in range(6)]
    everywhere = set.intersection(*({one.text for one in lists} for lists in result.lists))
    for panel, neighbors in zip(drawn.panels, result.lists, strict=True):
        (trace,) = panel.figure.data
        assert list(trace.customdata) == [one.text for one in neighbors]
        assert list(trace.x) == [one.similarity for one in neighbors]
        assert trace.meta == {"kind": "points"}
        assert [symbol == "circle" for symbol in trace.marker.symbol] == [one.text in everywhere for one in neighbors]
        assert "<i>" not in "".join(panel.figure.layout.yaxis.ticktext)
    assert len({panel.figure.layout.xaxis.range for panel in drawn.panels}) == 1
    alone = EmbeddingGrid(("",), ("one",), None, np.ones((1, 1, 4), dtype=np.float32))
    assert "no other text" in nearest_panels(nearest_texts(alone, 0), alone.texts, alone.instructions).alt


def test_blocks_are_matrices_of_groups_that_are_no_texts_and_their_difference_is_centred_on_zero() -> None:
    blocks = block_means(GRID, grid_groups(GRID))
    drawn = block_panels(blocks, GRID.instructions)
    assert [panel.key for panel in drawn.panels] == ["A groups", "B groups"]
    meta = drawn.panels[0].figure.data[0].meta
    assert meta["row_names"] == ["<b> (3 texts)", "two (2 texts)", "alone (1 text)"]
    payload = json.loads(drawn.to_json())
    assert payload["panels"][1]["figure"]["data"][0]["z"][2][2] is None  # one text makes no pair
    np.testing.assert_allclose(drawn.panels[1].figure.data[0].z[0], np.round(blocks.matrices[1][0], 4))
    blocks = block_means(GRID, grid_groups(GRID))
    drawn = block_difference_panels(blocks, 1, 0)
    assert drawn.scale is not None and drawn.scale.low == -drawn.scale.high and drawn.scale.midpoint == 0
    np.testing.assert_allclose(drawn.panels[0].figure.data[0].z, blocks.matrices[1] - blocks.matrices[0], atol=1e-4)
