import re

import numpy as np
import pytest

from instructor_core.analysis.layers import WriteShares, write_shares
from instructor_core.figures.layers import write_panels
from instructor_core.figures.paper import panel_html

RNG = np.random.default_rng(4)


def shares() -> WriteShares:
    first, second = ((RNG.normal(size=6), RNG.normal(size=(3, 2, 3, 6)), RNG.normal(size=(3, 6))) for _ in range(2))
    return write_shares(first, second)


def test_the_bars_of_all_layers_and_sources_add_up_to_the_cosine() -> None:
    found = [shares(), shares()]
    panels = write_panels(found, [0, 2], ["topic", "", "<b>mood"])
    assert [panel.key for panel in panels.panels] == ["A writes", "C writes", "A heads", "C heads"]
    for panel, result in zip(panels.panels, found, strict=False):
        bars = panel.figure.data
        assert sum(sum(bar.x) for bar in bars) == pytest.approx(result.cosine)
        assert [bar.name for bar in bars] == ["instruction", "text", "&lt;/s&gt;", "feed-forward", "token embedding"]
        low, high = panel.figure.layout.xaxis.range
        for row in range(4):
            values = np.array([bar.x[row] for bar in bars])
            assert low <= values[values < 0].sum() and values[values > 0].sum() <= high
    np.testing.assert_array_equal(panels.panels[3].figure.data[0].z, found[1].heads[:, :, 0])
    ranges = [panel.figure.layout.xaxis.range for panel in panels.panels[:2]]
    assert ranges[0] == ranges[1]
    assert f"of {found[0].cosine:.3f}:" in panels.alt.replace("−", "-")


def test_on_paper_the_bars_of_a_layer_stand_end_to_end() -> None:
    found = WriteShares(0.9, 0.0, np.full((1, 1, 3), 0.1), np.array([0.6]))
    html = panel_html(write_panels([found], [0], ["topic"]).panels[0], ())
    bars = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="[\d.]+" fill="#', html)
    layer = [(float(x), float(width)) for x, y, width in bars if y == bars[1][1]]
    (first, *_), ends = layer[0], [x + width for x, width in layer]
    for (start, _), end in zip(layer[1:4], ends, strict=False):
        assert start == pytest.approx(end, abs=0.2)
    assert (ends[3] - first) / layer[0][1] == pytest.approx(9, rel=0.05)
