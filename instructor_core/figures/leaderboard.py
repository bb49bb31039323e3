"""The leaderboard as dots with intervals, wordings of tasks, labels that are confused, instructions against columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from instructor_core.analysis.controls import Role
from instructor_core.analysis.grid import letter
from instructor_core.analysis.label_task import Metric
from instructor_core.analysis.leaderboard import Confusion, Leaderboard, Row
from instructor_core.analysis.numbers import number, span
from instructor_core.analysis.scores import LabelMatrix
from instructor_core.analysis.wordings import WordingSpread
from instructor_core.figures import theme
from instructor_core.figures.charts import NEUTRAL, dots, mark_value, one_line, rows_chart
from instructor_core.figures.matrix import Side, matrix_figure
from instructor_core.figures.panels import ColorScale, Panel, PanelSet

HOW_TO_READ = (
    "Each dot is an instruction, its line the interval that the choice of texts leaves open; hollow diamonds are "
    "controls. The dashed line is no instruction, the dotted one a guess."
)
NOT_SHOWN = (
    "Overlapping intervals do not mean that two instructions are equal: the verdicts compare them text by text. "
    "The best of many looks better here than on new texts; the first sentence says by how much."
)
CONFUSION_HOW_TO_READ = (
    "Rows are the labels of the texts, columns what their nearest neighbours say; each row adds to 1."
)
CONFUSION_NOT_SHOWN = "Two confused labels may be hard to tell apart, or just close under this instruction."
COLUMNS_HOW_TO_READ = (
    "Read down a column: the framed cell is the instruction that brings these labels out best. "
    "Where instructions do what they say, the frames lie on the diagonal."
)
COLUMNS_NOT_SHOWN = (
    "Columns differ in difficulty: do not compare across them. A frame does not mean that the lead is significant."
)
WORDINGS_HOW_TO_READ = (
    "Each row is a task, each dot a wording of it, the tick their mean; a ring marks the wording that the decision "
    "rests on. Coloured dots are your own instructions, hollow diamonds controls. The dashed line is no instruction, "
    "the dotted one a guess."
)
WORDINGS_NOT_SHOWN = "The dot furthest to the right is the luckiest one too: the first sentence says what it is worth."
_LABEL_LENGTH = 18
_NAME_LENGTH = 24
_TASK_LENGTH = 30
_MEAN = {"symbol": "line-ns-open", "size": 16, "color": NEUTRAL, "line": {"width": 2}}
_CONTROL = {"symbol": "diamond-open", "size": theme.MARKER_SIZE, "color": NEUTRAL, "line": {"width": 2}}


def leaderboard_panels(board: Leaderboard, *, metrics: tuple[Metric, ...] = tuple(Metric)) -> PanelSet:
    """One panel per metric, all with the rows in the same order: by the metric of the board."""
    rows = sorted(board.rows, key=lambda row: row.rank)
    length = 2 * _NAME_LENGTH if len(metrics) == 1 else _LABEL_LENGTH  # several stand beside each other
    panels = tuple(_metric_panel(board, rows, metric, length) for metric in metrics)
    alt = f"{len(metrics)} scores of {len(rows)} instructions with intervals. {board.decision.headline}"
    return PanelSet(panels, min_width=260, alt=alt)


def wording_panels(
    spread: WordingSpread,
    wordings: Sequence[Sequence[str]],
    *,
    own: Mapping[str, int],
    best: str,
    controls: Mapping[str, float],
    none: float,
    chance: float,
) -> PanelSet:
    """A row per task, best mean first, then the controls.

    Wordings stand in the order of their task's values, the visitor's own with their place among all instructions; the
    decision is about the best. The others are accuracies: of controls, without an instruction, and by chance.
    """
    figure = go.Figure()
    for place, task in enumerate(spread.order):
        found = zip(spread.values[task].tolist(), wordings[task], strict=True)
        values, words = zip(*sorted(found, key=lambda each: each[1] in own), strict=True)  # own ones lie on top
        look = {
            "size": [theme.MARKER_SIZE + 5 if each == best else theme.MARKER_SIZE for each in words],
            "color": [theme.accent(own[each]) if each in own else NEUTRAL for each in words],
            "symbol": ["circle-dot" if each == best else "circle" for each in words],
            "opacity": 0.8,
        }
        tips = [f"{one_line(each)}\n{number(value)}" for each, value in zip(words, values, strict=True)]
        figure.add_trace(dots(values, [place] * len(values), tips, marker=look))
        figure.add_trace(dots([float(spread.means[task])], [place], [spread.about(task)], marker=_MEAN))
    for place, (name, value) in enumerate(controls.items(), start=len(spread.names)):
        figure.add_trace(dots([value], [place], [f"{name}: {number(value)}"], marker=_CONTROL))
    mark_value(figure, none, dash="dash")
    mark_value(figure, chance, dash="dot")
    names = [spread.names[task] for task in spread.order]
    rows_chart(figure, [theme.shorten(name, _TASK_LENGTH) for name in [*names, *controls]], title="kNN accuracy")
    n_wordings = sum(map(len, wordings))
    title = f"{n_wordings} wordings of {len(names)} tasks"
    alt = f"kNN accuracy of {title}. {spread.about(spread.order[0])}"
    subtitle = "a dot per wording, a tick at the mean; dashed: no instruction; dotted: the most frequent label"
    return PanelSet((Panel("wordings", title, figure, subtitle),), alt=alt)


def confusion_panels(result: Confusion, row: Row) -> PanelSet:
    """Labels against predicted labels of one row of the leaderboard, as shares of each label's texts."""
    labels = tuple(theme.shorten(name, _LABEL_LENGTH) for name in result.names)
    bar = ColorScale(theme.SEQUENTIAL, 0.0, 1.0, "share of the label's texts")
    rows = Side(labels, names=result.names, title="label")
    columns = Side(labels, names=result.names, title="label of the neighbours")
    figure = matrix_figure(result.shares, rows, columns, bar, bar.label)
    right = int(result.counts.trace())
    total = int(result.counts.sum())
    subtitle = f"{one_line(row.entry.instruction)} · {right} of {total} texts right"
    alt = f"Labels against the labels of the nearest neighbours under {row.name}: {right} of {total} texts are right."
    panel = Panel("confusion", f"Labels that {row.name} confuses", figure, subtitle, aspect=1.0)
    return PanelSet((panel,), scale=bar, alt=alt)


def label_matrix_panels(result: LabelMatrix, instructions: Sequence[str]) -> PanelSet:
    """One heatmap of the metric: K instructions, C label columns, the best of each column framed."""
    rows = tuple(f"{letter(k)}  {theme.shorten(one_line(text), _NAME_LENGTH)}" for k, text in enumerate(instructions))
    names = tuple(f"{letter(k)}: {one_line(text)}" for k, text in enumerate(instructions))
    columns = tuple(theme.shorten(name, _NAME_LENGTH) for name in result.names)
    details = tuple(f"{name} (k = {task.k})" for name, task in zip(result.names, result.tasks, strict=True))
    low, high = float(result.values.min()), float(result.values.max())
    low = low if low < high else high - 0.01
    bar = ColorScale(theme.SEQUENTIAL, low, high, result.metric.value)
    figure = matrix_figure(result.values, Side(rows, names=names), Side(columns, names=details), bar, bar.label)
    for column, row in enumerate(result.best.tolist()):
        cell = theme.color_at(theme.SEQUENTIAL, (float(result.values[row, column]) - low) / (high - low))
        corners = {"x0": column - 0.45, "x1": column + 0.45, "y0": row - 0.45, "y1": row + 0.45}
        figure.add_shape(type="rect", line={"width": theme.LINE_WIDTH + 1, "color": theme.ink_on(cell)}, **corners)
    best = ", ".join(f"{name}: {letter(int(k))}" for name, k in zip(result.names, result.best, strict=True))
    values = np.round(result.values, 2)
    alt = f"{result.metric.value} of {len(rows)} instructions on {len(columns)} label columns, "
    alt += f"{span(values.min(), values.max())}. Best instruction by column: {best}."
    title = f"{result.metric.value} by instruction and label column"
    return PanelSet((Panel("labels", title, figure, aspect=len(rows) / len(columns)),), scale=bar, alt=alt)


def _metric_panel(board: Leaderboard, rows: list[Row], metric: Metric, length: int) -> Panel:
    """Dots and intervals of one metric; names of rows have at most `length` characters."""
    figure = go.Figure()
    for place, row in enumerate(rows):
        score = row.score(metric)
        candidate = row.entry.role is Role.CANDIDATE
        color = theme.accent(row.entry.at) if candidate else NEUTRAL
        figure.add_trace(
            dots(
                [score.value],
                [place],
                [_tip(board, row, metric)],
                marker={
                    "color": color,
                    "size": theme.MARKER_SIZE,
                    "symbol": "circle" if candidate else "diamond-open",
                    "line": {"width": 1 if candidate else 2},
                },
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [score.high - score.value],
                    "arrayminus": [score.value - score.low],
                    "color": color,
                    "thickness": theme.LINE_WIDTH,
                    "width": 0,
                },
            )
        )
    mark_value(figure, board.rows[board.empty].score(metric).value, dash="dash")
    chance = board.task.chance(metric)
    if chance is not None:
        mark_value(figure, chance, dash="dot")
    names = [theme.shorten(f"{row.name} {row.task}".rstrip(), length) for row in rows]
    rows_chart(figure, names, title=metric.value)
    verdict = " · rows are in its order" if metric is board.metric else ""
    return Panel(metric.name, metric.value, figure, _subtitle(board, metric) + verdict)


def _subtitle(board: Leaderboard, metric: Metric) -> str:
    """What the metric is, in a few words."""
    return {
        Metric.ACCURACY: f"leave one out, k = {board.task.k}; dotted: the most frequent label",
        Metric.MACRO_F1: f"leave one out, k = {board.task.k}; every label counts the same",
        Metric.AUC: "same label above different label; dotted: 0.5, a guess",
        Metric.SILHOUETTE: "own label closer than the next one; dotted: 0",
        Metric.V_MEASURE: f"{len(board.task.names)} clusters against the labels, mean over 5 seeds",
    }[metric]


def _tip(board: Leaderboard, row: Row, metric: Metric) -> str:
    """Tooltip: instruction, score, interval, verdict."""
    score = row.score(metric)
    lines = [
        f"{row.name}: {one_line(row.entry.instruction)}",
        f"{metric.value} {number(score.value)} (95% interval {number(score.low)} to {number(score.high)})",
    ]
    if row.p_value is not None:
        lines.append(f"{row.verdict.value} (kNN accuracy, p = {row.p_value:.2g})")
    return "\n".join(lines)
