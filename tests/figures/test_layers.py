import json

import numpy as np
import pytest

from instructor_core.analysis.layers import LayerDivergence, layer_divergence, layer_similarity, segment_attention
from instructor_core.figures import theme
from instructor_core.figures.layers import attention_panels, divergence_panels, layer_similarity_panels
from tests.figures.encoded import pair

PAIR = pair("▁In ▁<b> ▁good </s>", "itte")
RNG = np.random.default_rng(2)
STATES = RNG.normal(size=(2, 4, 4, 6))
STATES[:, 0] = STATES[0, 0]
DIVERGENCE = layer_divergence(PAIR, PAIR, first_layers=STATES[0], second_layers=STATES[1])
SIMILARITY = layer_similarity(RNG.normal(size=(4, 3, 6)))
WEIGHTS = RNG.dirichlet(np.ones(4), size=(3, 2, 4))
ATTENTION = segment_attention(WEIGHTS, PAIR.segments)
TEXTS = ("one <i>", "two", "three")


def test_divergence_is_a_layer_by_token_matrix_with_the_embedding_on_top() -> None:
    panels = divergence_panels(DIVERGENCE, a=0, b=1)
    figure = panels.panels[0].figure
    np.testing.assert_array_equal(figure.data[0].z, DIVERGENCE.values)
    assert set(figure.data[0].z[0]) == {0}
    assert figure.data[0].meta["row_names"] == ["token embedding", "block 1", "block 2", "block 3"]
    assert figure.data[0].meta["column_names"] == ["▁<b>", "▁good", "</s>"]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
    assert figure.layout.shapes[0].x0 == 1.5  # before </s>
    assert panels.scale.high == pytest.approx(DIVERGENCE.values.max())
    assert "A and B" in panels.scale.label
    nothing = divergence_panels(LayerDivergence(DIVERGENCE.tokens, np.zeros_like(DIVERGENCE.values)), a=0, b=1)
    assert nothing.scale is not None and nothing.scale.low < nothing.scale.high


def test_one_layer_keeps_its_key_and_several_get_their_own() -> None:
    assert [layer_similarity_panels(SIMILARITY, [i], TEXTS, instruction=1).panels[0].key for i in (0, 3)] == [
        "layer"
    ] * 2
    several = layer_similarity_panels(SIMILARITY, [0, 2, 3], TEXTS, instruction=1)
    assert [panel.key for panel in several.panels] == ["layer 0", "layer 2", "layer 3"]
    assert [panel.title for panel in several.panels] == ["B, token embedding", "B, after block 2", "B, after block 3"]
    for panel, layer in zip(several.panels, (0, 2, 3), strict=True):
        heatmap = panel.figure.data[0]
        np.testing.assert_allclose(heatmap.z, SIMILARITY.matrices[layer], atol=5.1e-5)
        assert (heatmap.zmin, heatmap.zmax) == tuple(SIMILARITY.ranges[layer])
        assert heatmap.meta["rows"] == [0, 1, 2]  # linked to the texts
    assert several.items == TEXTS
    assert ["not trained for" in panel.subtitle for panel in several.panels] == [True, True, False]


def test_attention_is_stacked_by_layer_in_the_colours_of_the_segments_and_heads_show_the_instruction() -> None:
    panels = attention_panels(ATTENTION)
    bars = panels.panels[0].figure.data
    assert panels.panels[0].figure.layout.barmode == "relative"
    np.testing.assert_allclose(sum(np.array(bar.x) for bar in bars), 1, atol=1e-6)
    np.testing.assert_allclose(np.transpose([bar.x for bar in bars]), ATTENTION.by_layer)
    assert [bar.name for bar in bars] == ["instruction", "text", "&lt;/s&gt;"]
    assert [bar.marker.color for bar in bars] == [theme.SEGMENTS[name] for name in ("instruction", "text", "end")]
    assert len({bar.marker.pattern.shape for bar in bars}) == 3  # not by colour alone
    panels = attention_panels(ATTENTION)
    heatmap = panels.panels[1].figure.data[0]
    np.testing.assert_allclose(heatmap.z, ATTENTION.shares[:, :, 0], atol=5.1e-5)
    assert heatmap.meta["column_names"] == ["head 1", "head 2"]
    assert panels.scale is not None and "instruction" in panels.scale.label
    json.loads(panels.to_json())
