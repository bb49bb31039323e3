"""Several label columns at once: does an instruction bring out the labels that it names, and not the others?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.label_task import LabelTask, Metric, label_task
from instructor_core.analysis.scores import score_instructions
from instructor_core.errors import UserError


@dataclass(frozen=True)
class LabelColumn:
    """One way to label the texts: a name for the screen and N labels."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LabelMatrix:
    """Instructions x label columns.

    Attributes:
        metric: what is measured.
        names: (C,) names of the label columns.
        values: (K, C) float64; compare within a column, for columns differ in difficulty and in k.
        lows: (K, C) float64, lower ends of the bootstrap intervals.
        highs: (K, C) float64, upper ends of them.
        best: (C,) int64, the instruction with the highest value of each column; the first among equals.
        tasks: (C,) the tasks behind the columns, with their k.
    """

    metric: Metric
    names: tuple[str, ...]
    values: NDArray[np.float64]
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]
    best: NDArray[np.int64]
    tasks: tuple[LabelTask, ...]


def label_matrix(
    grid: EmbeddingGrid, columns: Sequence[LabelColumn], *, metric: Metric = Metric.ACCURACY, n_resamples: int = 1000
) -> LabelMatrix:
    """One metric for every instruction and label column.

    Raises:
        UserError: without a column, for two columns of one name, and for a column that cannot be scored; the message
            names it.
    """
    names = tuple(column.name for column in columns)
    if not names or len(set(names)) < len(names):
        raise UserError(
            f"Comparing label columns needs 1 or more with different names: got {len(names)} columns with "
            f"{len(set(names))} names. Add or rename columns."
        )
    tasks = tuple(_task(column, n_resamples) for column in columns)
    at = list(Metric).index(metric)
    table = np.empty((3, grid.n_instructions, len(columns)))
    for c, task in enumerate(tasks):
        for k, scores in enumerate(score_instructions(grid, task)):
            value = scores.values[at]
            low, high = np.quantile(scores.samples[at], [(1 - task.confidence) / 2, (1 + task.confidence) / 2])
            table[:, k, c] = value, min(low, value), max(high, value)
    return LabelMatrix(metric, names, table[0], table[1], table[2], table[0].argmax(axis=0), tasks)


def _task(column: LabelColumn, n_resamples: int) -> LabelTask:
    """The task of one column; what is wrong with it is said with its name."""
    try:
        return label_task(column.labels, n_resamples=n_resamples)
    except UserError as error:
        raise UserError(f"Label column {column.name!r}: {error}") from error
