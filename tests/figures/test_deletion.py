import json

import numpy as np
import pytest

from instructor_core.analysis.deletion import Deletion, combine, drop
from instructor_core.figures.deletion import deletion_panels, deletion_rows
from tests.figures.encoded import pair

PAIR = pair("▁In ▁<b> ▁good </s>", "itte")
RNG = np.random.default_rng(1)
DROPPED = drop(PAIR, RNG.normal(size=6))
BOTH = combine(DROPPED, (Deletion(0, "good"), Deletion(1, "<b>")), RNG.normal(size=(2, 6)))


def test_bars_are_what_the_cosine_loses_by_dropping_beside_deleting_with_the_gap_between_them() -> None:
    panels = deletion_panels(BOTH, title="text 1 against text 2")
    bars = panels.panels[0].figure.data[0]
    np.testing.assert_allclose(bars.x, DROPPED.effects)
    assert list(panels.panels[0].figure.layout.yaxis.ticktext) == ["&lt;b&gt;", "good", "&lt;/s&gt;"]
    assert panels.panels[0].figure.layout.yaxis.range[0] > 0
    most = ["<b>", "good", "</s>"][int(np.abs(DROPPED.effects).argmax())]
    assert f"Dropping {most} changes it most" in panels.alt
    dropped, deleted, gap = deletion_panels(BOTH, title="t").panels[0].figure.data
    assert list(deleted.y) == [0, 1]  # </s> cannot be deleted
    assert isinstance(dropped.marker.color, str)  # the swatch of the legend has the colour of every bar
    assert list(deleted.x) == pytest.approx([BOTH.deletion_effects[0], BOTH.deletion_effects[1]])
    assert list(gap.x[:3]) == [pytest.approx(dropped.x[0]), pytest.approx(deleted.x[0]), None]
    assert list(gap.y[:2]) == [0, 0]
    assert "cannot be deleted" in dropped.customdata[2]
    for line, value in zip(
        dropped.customdata[0].split("\n")[1:], (DROPPED.similarities[0], BOTH.deleted[0]), strict=False
    ):
        assert f"{value:.3f}".replace("-", "−") in line
    lines = deletion_panels(BOTH, title="t").panels[0].figure.data[0].customdata[0].split("\n")
    dropped, deleted, gap = (float(line.rsplit(" ", 1)[1].replace("−", "-")) for line in lines[1:])
    assert dropped + gap == pytest.approx(deleted, abs=2e-3)


def test_chips_show_both_effects_where_both_are_known() -> None:
    first, second = deletion_rows(BOTH, title="text 1").rows
    assert [token.weight for token in first.tokens] == pytest.approx(DROPPED.effects)
    assert (first.note, second.note) == ("dropped from the mean", "deleted from the input")
    assert [token.weight for token in second.tokens] == list(BOTH.deletion_effects)
    assert second.tokens[-1].weight is None
    json.loads(deletion_rows(BOTH, title="t").to_json())
    json.loads(deletion_panels(BOTH, title="t").to_json())
