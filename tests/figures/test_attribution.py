import numpy as np
import pytest

from instructor_core.analysis.attribution import Ledger, Term, ledger, ledger_difference
from instructor_core.analysis.units import Unit
from instructor_core.figures import theme
from instructor_core.figures.attribution import (
    difference_sentence,
    ledger_panels,
    ledger_rows,
    ledger_summary,
    term_sentence,
)
from tests.figures.encoded import pair

INSTRUCTIONS = ("Represent <it>", "", "other")
ROWS, COLUMNS = "▁In ▁goal ▁<b> ▁goal </s>", "▁In ▁match ing </s>"
A = ledger(pair(ROWS, "ittte"), pair(COLUMNS, "itte", seed=1))
B = ledger(pair(ROWS, "ittte", seed=2), pair(COLUMNS, "itte", seed=3))


def unit(text: str) -> Unit:
    return Unit(text, "end" if text == "</s>" else "text", (0,), (0,), 0, 1)


def hand_made(values: list[list[float]], rows: str = "▁goal </s>", columns: str = "▁match </s>") -> Ledger:
    table = np.array(values, dtype=np.float32)
    sides = (tuple(unit(text) for text in side.split()) for side in (rows, columns))
    return Ledger(*sides, table, float(table.sum()))


def test_the_heatmap_holds_every_term_unrounded() -> None:
    tiny = hand_made([[2e-6, -1e-6], [0, 3e-6]])
    for table in (A, tiny):
        heatmap = ledger_panels([table], [0], INSTRUCTIONS).panels[0].figure.data[0]
        np.testing.assert_array_equal(heatmap.z, table.values)
        assert heatmap.zmin == -heatmap.zmax
    assert heatmap.meta["row_names"] == ["▁goal", "</s>"]
    assert heatmap.meta["column_names"] == ["▁match", "</s>"]


def test_bars_beside_the_heatmap_are_its_totals_at_the_same_positions() -> None:
    figure = ledger_panels([A], [0], INSTRUCTIONS).panels[0].figure
    heatmap, top, right = figure.data
    np.testing.assert_allclose(top.y, A.column_totals)
    np.testing.assert_allclose(right.x, A.row_totals)
    assert list(top.x) == list(heatmap.x)
    assert list(right.y) == list(heatmap.y)
    assert (top.xaxis, right.yaxis) == ("x", "y")  # they share the heatmap's axes
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0]
    assert figure.layout.yaxis.domain[1] < figure.layout.yaxis2.domain[0]
    low, high = figure.layout.xaxis2.range
    assert low <= min(0, *A.row_totals) <= max(0, *A.row_totals) <= high
    assert right.customdata[1].startswith("<b>\n")
    across, along = figure.layout.shapes
    assert (across.x0, along.y0) == (1.5, 2.5)  # the end is parted from the words
    assert "&lt;b&gt;" in figure.layout.yaxis.ticktext
    signed = ledger_panels([hand_made([[0.5, -0.2], [0, 0]])], [0], INSTRUCTIONS).panels[0].figure.data[1]
    assert theme.DIVERGING.index(signed.marker.color[0]) > 5 > theme.DIVERGING.index(signed.marker.color[1])


def test_two_instructions_and_their_difference_share_one_scale() -> None:
    panels = ledger_panels([A, B], [2, 1], INSTRUCTIONS, difference=ledger_difference(A, B))
    assert [(p.key, p.title, p.instruction) for p in panels.panels] == [
        ("C", "other", 2),
        ("B", "(no instruction)", 1),
        ("-", "C − B: what each term gains", None),
    ]
    assert panels.scale.midpoint == 0
    assert {p.figure.data[0].zmax for p in panels.panels} == {panels.scale.high}
    np.testing.assert_array_equal(panels.panels[2].figure.data[0].z, A.values - B.values)
    assert f"cosine {A.cosine:.3f}".replace("-", "−") in panels.panels[0].subtitle
    assert "Under C" in panels.alt
    assert "Under B" in panels.alt


def test_chips_carry_the_totals_of_both_texts() -> None:
    first, second = ledger_rows(A, ("text 1", "text 2")).rows
    assert [token.weight for token in first.tokens] == pytest.approx(A.row_totals)
    assert [token.weight for token in second.tokens] == pytest.approx(A.column_totals)
    assert [token.segment for token in first.tokens] == ["text"] * 3 + ["end"]
    assert first.note == f"sum {A.cosine:.3f}".replace("-", "−")
    scale = ledger_rows(A, ("", "")).scale
    assert scale.high == pytest.approx(max(np.abs(A.row_totals).max(), np.abs(A.column_totals).max()))


def test_terms_differences_and_the_sum_are_said_in_words() -> None:
    table = hand_made([[0.0312, -0.02], [0.3, 0.4]])
    assert term_sentence(table, Term(0, 0, 0.0312)) == "`goal` × `match` adds +0.031 of 0.711"
    assert term_sentence(table, Term(0, 1, -0.02)) == "`goal` × `</s>` takes −0.020 of 0.711"
    twice = hand_made([[0.1], [0.2], [0.0]], rows="▁goal ▁goal </s>", columns="</s>")
    assert term_sentence(twice, Term(1, 0, 0.2)) == "`goal (2 of 2)` × `</s>` adds +0.200 of 0.300"
    change = ledger_difference(hand_made([[0.3, 0.1], [0, 0]]), hand_made([[0.1, 0.2], [0, 0]]))
    assert difference_sentence(change, Term(0, 0, 0.2), ("A", "B")) == "`goal` × `match` adds 0.200 more under A"
    assert difference_sentence(change, Term(0, 1, -0.1), ("A", "B")) == "`goal` × `</s>` adds 0.100 more under B"
    assert ledger_summary(hand_made([[0.4, 0.1], [0.2, 0.05]])) == (
        "4 terms add up to 0.750; the cosine is 0.750. The end mark `</s>` takes part in +0.350 of it."
    )
