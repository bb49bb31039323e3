"""How well vectors agree with given labels: all scores of an instruction, and one score on several label columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import EmbeddingGrid, round_ties, unit_vectors
from instructor_core.analysis.label_task import LabelTask, Metric
from instructor_core.analysis.labels import label_issues, make_task
from instructor_core.analysis.metrics import accuracy, macro_f1, nearest_others, pair_auc, silhouette, v_measure, vote
from instructor_core.analysis.similarity import self_similarity
from instructor_core.errors import UserError


@dataclass(frozen=True)
class Score:
    """A value and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class InstructionScores:
    """Values (5,) in the order of `Metric`, their resamples (5, B), predicted labels (N,), nearest texts (N, M).

    Row b of the resamples of all instructions belongs to the same draw of texts.
    """

    values: NDArray[np.float64]
    samples: NDArray[np.float64]
    predictions: NDArray[np.int64]
    nearest: NDArray[np.int32]

    @property
    def n_bytes(self) -> int:
        """Memory of the arrays."""
        return self.values.nbytes + self.samples.nbytes + self.predictions.nbytes + self.nearest.nbytes


def nearest_texts(embeddings: NDArray[np.floating], task: LabelTask) -> NDArray[np.int32]:
    """The nearest texts (N, M) of (N, D) embeddings of any length, as `score_texts` finds them."""
    return nearest_others(round_ties(self_similarity(embeddings)), task.n_neighbors_kept)


def score_texts(embeddings: NDArray[np.floating], task: LabelTask) -> InstructionScores:
    """All scores of one instruction: (N, D) embeddings of any length, the labels of the same N texts."""
    cosines = round_ties(self_similarity(embeddings))
    nearest = nearest_others(cosines, task.n_neighbors_kept)
    predictions = vote(nearest[:, : task.k], task.index, len(task.names))
    parts = (
        accuracy(predictions, task),
        macro_f1(predictions, task),
        pair_auc(cosines, task),
        silhouette(cosines, task),
        v_measure(round_ties(unit_vectors(embeddings)), task),
    )
    return InstructionScores(
        values=np.array([value for value, _ in parts]),
        samples=np.stack([samples for _, samples in parts]),
        predictions=predictions,
        nearest=nearest,
    )


def score_instructions(grid: EmbeddingGrid, task: LabelTask) -> Iterator[InstructionScores]:
    """Scores of the instructions of a grid, one after the other; equal vectors share a result, so that they tie."""
    seen: dict[bytes, InstructionScores] = {}
    for embeddings in grid.embeddings:
        content = embeddings.tobytes()
        if content not in seen:
            seen[content] = score_texts(embeddings, task)
        yield seen[content]


@dataclass(frozen=True)
class LabelColumn:
    """One way to label the texts: a name for the screen and N labels."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LabelMatrix:
    """One metric of K instructions on C label columns: values (K, C), the best row of each column (C,), the tasks."""

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
            task = make_task(column.labels, issues, n_resamples=1)
        except UserError as error:
            raise UserError(f"Label column {column.name!r}: {error}") from error
        tasks.append(task)
        used = EmbeddingGrid(grid.instructions, tuple(grid.texts[row] for row in rows), None, grid.vectors[:, rows])
        values[:, c] = [scores.values[at] for scores in score_instructions(used, task)]
    return LabelMatrix(metric, names, values, values.argmax(axis=0), tuple(tasks))
