import numpy as np

from instructor_core.analysis.tokens import token_dimensions, token_similarity
from instructor_core.encoder import Segment
from instructor_core.figures import theme
from instructor_core.figures.panels import PanelSet
from instructor_core.figures.tokens import token_dimension_panels, token_similarity_panels

TOKENS = [("▁Re", "present", "▁good", "▁<b>", "</s>", "▁cut"), ("▁good", "▁<b>", "</s>")]
SEGMENTS = [
    (Segment.INSTRUCTION, Segment.INSTRUCTION, Segment.TEXT, Segment.TEXT, Segment.END, Segment.CUT),
    ("text", "text", "end"),
]
PROJECTED = [np.random.default_rng(0).normal(size=(5, 12)), np.random.default_rng(1).normal(size=(3, 12))]
INSTRUCTIONS = ("Represent", "")


def dimension_panels() -> PanelSet:
    return token_dimension_panels(token_dimensions(PROJECTED, n_dimensions=8), TOKENS, SEGMENTS, INSTRUCTIONS)


def similarity_panels() -> PanelSet:
    return token_similarity_panels([token_similarity(p) for p in PROJECTED], TOKENS, SEGMENTS, INSTRUCTIONS)


def test_rows_are_the_encoded_tokens_columns_the_chosen_dimensions_and_a_line_parts_the_instruction() -> None:
    result = token_dimensions(PROJECTED, n_dimensions=8)
    panels = dimension_panels()
    for k, panel in enumerate(panels.panels):
        (heatmap,) = panel.figure.data
        np.testing.assert_allclose(heatmap.z, result.values[k], atol=5.1e-5)
        assert heatmap.meta["row_names"] == list(TOKENS[k][: len(PROJECTED[k])])
        assert heatmap.meta["column_names"] == [f"dimension {d}" for d in result.dimensions]
        assert (heatmap.zmin, heatmap.zmax) == (-result.limit, result.limit)
        assert panel.figure.layout.yaxis.range[0] > panel.figure.layout.yaxis.range[1]
    assert panels.scale.colors == theme.DIVERGING
    assert panels.scale.midpoint == 0
    with_instruction, without = dimension_panels().panels
    (line,) = with_instruction.figure.layout.shapes
    assert line.y0 == line.y1 == 1.5
    assert line.yref != "paper"
    assert without.figure.layout.shapes == ()


def test_token_matrices_share_one_scale_and_tokens_are_escaped_in_labels_and_as_they_are_in_tooltips() -> None:
    results = [token_similarity(projected) for projected in PROJECTED]
    panels = similarity_panels()
    low, high = panels.scale.low, panels.scale.high
    assert low == min(result.low for result in results)
    assert high == max(result.high for result in results)
    for panel, result in zip(panels.panels, results, strict=True):
        heatmap = panel.figure.data[0]
        assert (heatmap.zmin, heatmap.zmax) == (low, high)
        np.testing.assert_allclose(heatmap.z, result.matrix, atol=5.1e-5)
    for panels in (dimension_panels(), similarity_panels()):
        figure = panels.panels[1].figure
        assert list(figure.layout.yaxis.ticktext) == ["good", "&lt;b&gt;", "&lt;/s&gt;"]
        assert figure.data[0].meta["row_names"] == ["▁good", "▁<b>", "</s>"]
