"""Several label columns at once: does an instruction bring out the labels that it names, and not the others?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.label_task import LabelTask, Metric
from instructor_core.analysis.labels import label_issues, usable_task
from instructor_core.analysis.scores import score_instructions
from instructor_core.errors import UserError


@dataclass(frozen=True)
class LabelColumn:
    """One way to label the texts: a name for the screen and N labels."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LabelMatrix:
    """One metric of K instructions on C label columns: values (K, C), the best row of each column (C,), the tasks.

    Compare within a column: columns differ in difficulty, in k, and in the texts that can be used.
    """

    metric: Metric
    names: tuple[str, ...]
    values: NDArray[np.float64]
    best: NDArray[np.int64]
    tasks: tuple[LabelTask, ...]


def label_matrix(
    grid: EmbeddingGrid, columns: Sequence[LabelColumn], *, metric: Metric = Metric.ACCURACY
) -> LabelMatrix:
    """One metric for every instruction and label column; a UserError names a column that cannot be scored."""
    names = tuple(column.name for column in columns)
    if not names or len(set(names)) < len(names):
        raise UserError(
            f"Comparing label columns needs 1 or more with different names: got {len(names)} columns with "
            f"{len(set(names))} names. Add or rename columns."
        )
    at = list(Metric).index(metric)
    values = np.empty((grid.n_instructions, len(columns)))
    tasks = []
    for c, column in enumerate(columns):
        issues = label_issues(column.labels)
        rows = issues.rows
        try:
            task = usable_task(column.labels, issues, n_resamples=1)
        except UserError as error:
            raise UserError(f"Label column {column.name!r}: {error}") from error
        tasks.append(task)
        used = EmbeddingGrid(grid.instructions, tuple(grid.texts[row] for row in rows), None, grid.vectors[:, rows])
        values[:, c] = [scores.values[at] for scores in score_instructions(used, task)]
    return LabelMatrix(metric, names, values, values.argmax(axis=0), tuple(tasks))
