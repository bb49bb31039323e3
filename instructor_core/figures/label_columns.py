"""Instructions against label columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from instructor_core.analysis.grid import letter
from instructor_core.analysis.numbers import counted
from instructor_core.analysis.scores import LabelMatrix
from instructor_core.figures import theme
from instructor_core.figures.charts import one_line
from instructor_core.figures.matrix import Side, matrix_figure
from instructor_core.figures.panels import ColorScale, Panel, PanelSet

HOW_TO_READ = (
    "Read down a column: the framed cell is the instruction that brings these labels out best. "
    "Where instructions do what they say, the frames lie on the diagonal."
)
NOT_SHOWN = (
    "Columns differ in difficulty: do not compare across them. A frame does not mean that the lead is significant."
)
_LABEL_LENGTH = 24


def label_matrix_panels(result: LabelMatrix, instructions: Sequence[str]) -> PanelSet:
    """One heatmap of the metric: K instructions, C label columns, the best of each column framed."""
    rows = tuple(f"{letter(k)}  {theme.shorten(one_line(text), _LABEL_LENGTH)}" for k, text in enumerate(instructions))
    names = tuple(f"{letter(k)}: {one_line(text)}" for k, text in enumerate(instructions))
    columns = tuple(theme.shorten(name, _LABEL_LENGTH) for name in result.names)
    details = tuple(f"{name} (k = {task.k})" for name, task in zip(result.names, result.tasks, strict=True))
    low, high = float(result.values.min()), float(result.values.max())
    low = low if low < high else high - 0.01
    figure = matrix_figure(
        result.values,
        rows=Side(rows, tuple(range(len(rows))), names),
        columns=Side(columns, tuple(range(len(columns))), details),
        colors=theme.SEQUENTIAL,
        low=low,
        high=high,
        value=result.metric.value,
    )
    for column, row in enumerate(result.best.tolist()):
        figure.add_shape(
            type="rect",
            x0=column - 0.45,
            x1=column + 0.45,
            y0=row - 0.45,
            y1=row + 0.45,
            line={"width": theme.LINE_WIDTH + 1, "color": theme.INSTRUCTION_ACCENTS[0]},
        )
    bar = ColorScale(theme.SEQUENTIAL, low, high, result.metric.value)
    best = ", ".join(f"{name}: {letter(int(k))}" for name, k in zip(result.names, result.best, strict=True))
    values = np.round(result.values, 2)
    alt = f"{result.metric.value} of {counted(len(rows), 'instruction')} on {counted(len(columns), 'label column')}, "
    alt += f"from {values.min():.2f} to {values.max():.2f}. Best instruction by column: {best}."
    title = f"{result.metric.value} by instruction and label column"
    return PanelSet((Panel("labels", title, None, figure, aspect=len(rows) / len(columns)),), (), bar, alt=alt)
