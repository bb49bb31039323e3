import numpy as np
import plotly.graph_objects as go
import pytest

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.groups import Groups
from instructor_core.analysis.similarity import cross_similarity, difference, instruction_similarity, similarity
from instructor_core.figures import theme
from instructor_core.figures.charts import NEUTRAL
from instructor_core.figures.matrix import MAX_TICKS
from instructor_core.figures.panels import PanelSet
from instructor_core.figures.similarity import (
    cross_panels,
    difference_panels,
    instruction_panels,
    label_order,
    similarity_panels,
)

INSTRUCTIONS = ("Represent the topic: ", "", "Represent <b>the</b> feeling: ")


def grid_of(n_texts: int, n_instructions: int = 3) -> EmbeddingGrid:
    vectors = np.random.default_rng(0).normal(size=(n_instructions, n_texts, 6)) + 1
    texts = tuple(f"text number {i} is <i>long</i> & winding" for i in range(n_texts))
    return EmbeddingGrid(INSTRUCTIONS[:n_instructions], texts, None, vectors)


def panels_of(n_texts: int, **options: object) -> PanelSet:
    grid = grid_of(n_texts)
    return similarity_panels(similarity(grid), grid.texts, grid.labels, grid.instructions, **options)


def test_each_instruction_has_a_panel_with_the_cosines_to_four_decimals_in_display_order() -> None:
    order = np.array([2, 0, 3, 1])
    result, panels = similarity(grid_of(4)), panels_of(4, order=order)
    assert [(panel.key, panel.instruction) for panel in panels.panels] == [(name, k) for k, name in enumerate("ABC")]
    assert [panel.title for panel in panels.panels[1:]] == ["(no instruction)", "Represent <b>the</b> feeling:"]
    for k, panel in enumerate(panels.panels):
        pair = result.closest[k]
        told = f"under {panel.key} text {pair.first + 1} and text {pair.second + 1} ({pair.value:.3f})"
        assert told in panels.alt
        (heatmap,) = panel.figure.data
        np.testing.assert_allclose(heatmap.z, result.matrices[k][order][:, order], atol=5.1e-5)
        np.testing.assert_array_equal(heatmap.z, np.round(heatmap.z, 4))
        assert heatmap.meta == {"kind": "matrix", "rows": [2, 0, 3, 1], "columns": [2, 0, 3, 1], "value": "cosine"}
        assert [text.split()[-1] for text in panel.figure.layout.yaxis.ticktext] == ["3", "1", "4", "2"]
        assert list(panel.figure.layout.xaxis.ticktext) == ["3", "1", "4", "2"]


def test_on_its_own_scale_each_panel_says_its_range_and_words_of_texts_are_escaped_and_shortened() -> None:
    result, panels = similarity(grid_of(5)), panels_of(5, scale="each")
    assert panels.scale is None
    for (low, high), panel in zip(result.ranges, panels.panels, strict=True):
        assert (panel.figure.data[0].zmin, panel.figure.data[0].zmax) == (low, high)
        assert panel.subtitle == f"colours from {low:.2f} to {high:.2f}".replace("-", "−")
    texts = ("a <b>bold</b> claim", "x & y", "one two three four five six seven")
    grid = EmbeddingGrid(("i",), texts, None, np.eye(3)[None])
    panels = similarity_panels(similarity(grid), texts, None, ("i",))
    ticks = panels.panels[0].figure.layout.yaxis.ticktext
    assert all("<" not in tick for tick in ticks)
    assert ticks[1] == "x &amp; y  2"
    assert ticks[2] == "one two three four…  3"
    assert panels.items == texts


@pytest.mark.parametrize("n", [0, 1, MAX_TICKS, MAX_TICKS + 1, 400])
def test_there_are_never_more_labels_than_fit_and_they_have_round_numbers(n: int) -> None:
    panels = panels_of(n)
    assert len(panels.to_json()) < 3 * n * n * 8 + 50_000  # three matrices of at most 8 characters a number
    axis = panels.panels[0].figure.layout.xaxis
    assert len(axis.tickvals) <= MAX_TICKS
    assert [str(int(value) + 1) for value in axis.tickvals] == list(axis.ticktext)
    if n > MAX_TICKS:
        step = int(axis.tickvals[1]) - int(axis.tickvals[0])
        assert step in {2, 5, 10, 20}
        assert int(axis.ticktext[0]) == step


def test_groups_that_stand_in_one_block_are_parted_by_lines_and_named_at_both_sides() -> None:
    grid = grid_of(5)
    labels = ("b", "a", "", "b", "a")
    order = label_order(labels)
    assert order == [0, 3, 1, 4, 2]

    def drawn(order: list[int] | None, labels: tuple[str, ...] | None, groups: Groups | None = None) -> go.Layout:
        result = similarity(grid)
        panels = similarity_panels(result, grid.texts, labels, grid.instructions, order=order, groups=groups)
        return panels.panels[0].figure.layout

    layout = drawn(order, labels)
    assert [shape.x0 for shape in layout.shapes if shape.x0 == shape.x1] == [1.5, 3.5]
    names = [(note.name, note.text) for note in layout.annotations]
    assert names == [
        (f"block {axis} {ends}", name)
        for axis in "xy"
        for ends, name in (("0 2", "b"), ("2 4", "a"), ("4 5", "no label"))
    ]
    strips = [(shape.x0, shape.x1, shape.fillcolor) for shape in layout.shapes if shape.ysizemode == "pixel"]
    assert strips == [(-0.5, 1.5, theme.label_color(0)), (1.5, 3.5, theme.label_color(1)), (3.5, 4.5, NEUTRAL)]
    assert drawn(None, labels).annotations == ()
    found = Groups(("soup, <b>", "film"), np.array([0, 0, 1, 1, 1]), "")
    assert [note.hovertext for note in drawn(None, None, found).annotations] == ["soup, &lt;b&gt;", "film"] * 2


def test_a_difference_is_drawn_on_a_diverging_scale_around_zero() -> None:
    grid = grid_of(4)
    result = difference(similarity(grid), 0, 2)
    panels = difference_panels(result, grid.texts, None, order=[3, 2, 1, 0])
    (heatmap,) = panels.panels[0].figure.data
    np.testing.assert_allclose(heatmap.z, result.matrix[::-1, ::-1], atol=5.1e-5)
    assert heatmap.zmin == -heatmap.zmax == -result.limit
    assert [color for _, color in heatmap.colorscale] == list(theme.DIVERGING)
    assert panels.scale.midpoint == 0
    assert panels.panels[0].title == "A − C"
    assert panels.panels[0].subtitle == "positive: more similar under A; negative: more similar under C"
    assert f"{result.largest.value:+.3f}" in panels.alt


def test_matrices_of_and_across_instructions_name_them_on_their_axes() -> None:
    grid = grid_of(4)
    results = [instruction_similarity(grid, text) for text in (2, None)]
    drawn = instruction_panels(results, grid.texts, grid.instructions)
    heatmap, mean = (panel.figure.data[0] for panel in drawn.panels)
    assert (heatmap.zmin, heatmap.zmax) == (mean.zmin, mean.zmax)
    assert heatmap.zmin == min(result.low for result in results)
    assert heatmap.z.shape == (3, 3)
    assert heatmap.meta["row_names"] == heatmap.meta["column_names"]
    assert [name.split()[0] for name in heatmap.meta["row_names"]] == ["A", "B", "C"]
    assert [panel.title for panel in drawn.panels] == ["Instructions on text 3", "Instructions, mean over 4 texts"]
    result = cross_similarity(grid, rows=2, columns=0)
    crossed = cross_panels(result, grid.texts, None, grid.instructions).panels[0].figure
    np.testing.assert_allclose(crossed.data[0].z, result.matrix, atol=5.1e-5)
    assert (crossed.layout.yaxis.title.text, crossed.layout.xaxis.title.text) == ("under C", "under A")
