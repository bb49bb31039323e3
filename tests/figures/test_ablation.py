import numpy as np
import pytest

from instructor_core.analysis.ablation import Ablation, EditKind, ablation, ablation_plan
from instructor_core.figures import theme
from instructor_core.figures.ablation import ablation_panels, ablation_rows
from instructor_core.figures.charts import NEUTRAL


@pytest.fixture(scope="module")
def result() -> Ablation:
    plan = ablation_plan("Represent the <b>text</b> for the mood:")
    rng = np.random.default_rng(0)
    original = rng.normal(size=(5, 8))
    strong = {"<b>text</b>", "mood"}
    sizes = [0.8 if edit.name in strong else 0.001 if edit.kind is EditKind.WORD else 0.05 for edit in plan.edits]
    return ablation(plan, original, np.stack([original + size * rng.normal(size=(5, 8)) for size in sizes]))


def test_words_slots_and_meaning_free_edits_have_a_panel_each_with_the_floor_drawn(result: Ablation) -> None:
    panels = ablation_panels(result, accent=theme.accent(2)).panels
    assert [panel.key for panel in panels] == ["WORD", "SLOT", "FLOOR"]
    shown = np.concatenate([panel.figure.data[0].x for panel in panels])
    np.testing.assert_array_equal(shown, result.effects)
    for panel in panels:
        assert [shape.x0 for shape in panel.figure.layout.shapes] == [result.floor]
    assert len({panel.figure.layout.xaxis.range for panel in panels}) == 1


def test_only_bars_and_words_above_the_floor_have_the_colour_of_the_instruction(result: Ablation) -> None:
    words = ablation_panels(result, accent=theme.accent(2)).panels[0].figure
    colored = [color == theme.accent(2) for color in words.data[0].marker.color]
    assert colored == [False, False, True, False, False, True]
    assert words.data[0].marker.color[0] == NEUTRAL
    assert all("<" not in tick for tick in words.layout.yaxis.ticktext)
    assert list(words.data[0].y) == list(range(6))  # a word that occurs twice keeps both bars
    rows = ablation_rows(result, title="A", instruction=0)
    (row,) = rows.rows
    assert [token.text for token in row.tokens] == ["▁Represent", "▁the", "▁<b>text</b>", "▁for", "▁the", "▁mood"]
    assert [token.weight is not None for token in row.tokens] == [False, False, True, False, False, True]
    assert rows.scale.high == result.effects.max()
    assert result.floor_edit.name in row.note
