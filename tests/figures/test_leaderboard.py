import json

import numpy as np
import pytest

from instructor_core.analysis import metrics
from instructor_core.analysis.controls import with_controls
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.label_task import Metric, label_task
from instructor_core.analysis.leaderboard import Leaderboard, confusion, leaderboard
from instructor_core.analysis.scores import LabelColumn, label_matrix, score_instructions
from instructor_core.figures import theme
from instructor_core.figures.leaderboard import confusion_panels, label_matrix_panels, leaderboard_panels

LABELS = ("<b>joy</b>", "fear") * 10
NAMES = {"A": "A Represent…", "B": "B Represent two"}  # what an instruction is about stands beside its letter


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    rng = np.random.default_rng(0)
    entries = with_controls(["Represent <i>one</i>:", "Represent two:"])
    strengths = [3.0, 0.0, 0.2, 0.1, 0.0]
    groups = np.eye(6)[np.arange(20) % 2]
    vectors = np.stack([groups * strength + rng.normal(size=(20, 6)) for strength in strengths])
    grid = EmbeddingGrid(tuple(entry.instruction for entry in entries), LABELS, LABELS, vectors)
    task = label_task(LABELS, n_resamples=50)
    return leaderboard(entries, tuple(score_instructions(grid, task)), task)


def test_each_metric_is_a_panel_with_one_dot_per_row_and_its_interval(board: Leaderboard) -> None:
    panels = leaderboard_panels(board).panels
    assert [panel.title for panel in panels] == [metric.value for metric in Metric]
    rows = sorted(board.rows, key=lambda row: row.rank)
    for panel, metric in zip(panels, Metric, strict=True):
        assert list(panel.figure.layout.yaxis.ticktext) == [NAMES.get(row.name, row.name) for row in rows]
        for place, (row, trace) in enumerate(zip(rows, panel.figure.data, strict=True)):
            score = row.score(metric)
            assert (trace.x[0], trace.y[0]) == (score.value, place)
            assert trace.x[0] + trace.error_x.array[0] == pytest.approx(score.high)
            assert trace.x[0] - trace.error_x.arrayminus[0] == pytest.approx(score.low)


def test_candidates_have_their_accent_controls_are_hollow_lines_mark_chance_and_tips_hold_what_was_typed(
    board: Leaderboard,
) -> None:
    looks = {
        name.split()[0]: (trace.marker.symbol, trace.marker.color)
        for panel in leaderboard_panels(board).panels[:1]
        for name, trace in zip(panel.figure.layout.yaxis.ticktext, panel.figure.data, strict=True)
    }
    assert looks["A"] == ("circle", theme.accent(0))
    assert looks["B"] == ("circle", theme.accent(1))
    for control in ("empty", "shuffled", "unrelated"):
        assert looks[control][0] == "diamond-open"
    accuracy, _, _, _, v_measure = leaderboard_panels(board).panels
    empty = board.rows[board.empty].score(Metric.ACCURACY).value
    assert {(shape.x0, shape.line.dash) for shape in accuracy.figure.layout.shapes} == {(empty, "dash"), (0.5, "dot")}
    assert len(v_measure.figure.layout.shapes) == 1
    panel = leaderboard_panels(board).panels[0]
    tips = [trace.customdata[0] for trace in panel.figure.data]
    assert any("Represent <i>one</i>:" in tip and "better than no instruction" in tip for tip in tips)
    assert board.decision.headline in leaderboard_panels(board).alt
    json.loads(leaderboard_panels(board).to_json())


def test_a_confusion_shows_shares_of_each_label_with_escaped_names(board: Leaderboard) -> None:
    row = board.rows[1]
    result = confusion(row, board.task)
    panels = confusion_panels(result, row)
    (heatmap,) = panels.panels[0].figure.data
    np.testing.assert_allclose(heatmap.z, result.shares, atol=1e-4)
    assert heatmap.meta["row_names"] == ["<b>joy</b>", "fear"]
    assert "<" not in panels.panels[0].figure.layout.yaxis.ticktext[0]
    assert f"{int(result.counts.trace())} of 20 texts right" in panels.panels[0].subtitle


def test_the_best_cell_of_each_label_column_is_framed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "KMEANS_SEEDS", (0,))
    vectors = np.random.default_rng(0).normal(size=(3, 20, 6))
    grid = EmbeddingGrid(("one", "two", ""), LABELS, None, vectors)
    columns = [LabelColumn("first", LABELS), LabelColumn("<second>", ("x",) * 10 + ("y",) * 10)]
    result = label_matrix(grid, columns)
    panels = label_matrix_panels(result, grid.instructions)
    figure = panels.panels[0].figure
    np.testing.assert_allclose(figure.data[0].z, result.values, atol=1e-4)
    frames = [(s.x0 + 0.45, s.y0 + 0.45) for s in figure.layout.shapes if s.type == "rect"]
    assert frames == [(column, pytest.approx(row)) for column, row in enumerate(result.best.tolist())]
    assert figure.data[0].meta["row_names"][2] == "C: (no instruction)"
    assert "<" not in figure.layout.xaxis.ticktext[1]
