"""Scores on records that were set aside: does a query find what belongs to it?"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np

from instructor_core.analysis.metrics import nearest_agreement
from instructor_core.encoder import InstructorModel
from instructor_core.train.records import Record

_BLOCK = 100  # records compared with each other: the same difficulty for small and large tasks
_MOST = 200  # records of a task that are looked at


class HeldOutEvaluation:
    """Scores a model on records of several tasks; what ``train`` calls as ``evaluate``.

    ``found`` is the share of queries whose own positive is nearer than every other positive and every given negative
    among a hundred records of the task (for tasks with own negatives: nearer than the record's own). ``neighbours`` is
    the share of labelled queries whose nearest other query has the same label. Both are means over tasks.
    """

    def __init__(self, records: Sequence[Record], *, own_negatives: Collection[str] = (), seed: int = 0) -> None:
        tasks: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            tasks[record.task].append(record)
        rng = random.Random(seed)
        self.tasks = {
            task: rng.sample(own, min(_MOST, len(own)))
            for task, own in tasks.items()
            if len(own) > 1 or own[0].negatives
        }
        self._own_negatives = frozenset(own_negatives)

    def __call__(self, model: InstructorModel) -> dict[str, float]:
        """Return the scores, each in [0, 1]; a score that no task has is left out."""
        scores: dict[str, list[float]] = defaultdict(list)
        for task, records in self.tasks.items():
            if records[0].label is not None:
                scores["neighbours"].append(_neighbours(model, records))
            else:
                own = task in self._own_negatives
                blocks = [records[i : i + _BLOCK] for i in range(0, len(records), _BLOCK)]
                found = [hit for block in blocks for hit in _find(model, block, own=own)]
                scores["found"].append(float(np.mean(found)))
        return {name: float(np.mean(values)) for name, values in scores.items()}


def _neighbours(model: InstructorModel, records: Sequence[Record]) -> float:
    embeddings = model.encode([record.query for record in records])
    return nearest_agreement(embeddings, np.asarray([record.label for record in records]))


def _find(model: InstructorModel, records: Sequence[Record], *, own: bool) -> list[bool]:
    n = len(records)
    positives = [record.positives[0] for record in records]
    negatives = [(i, record.negatives[0]) for i, record in enumerate(records) if record.negatives]
    candidates = [*positives, *(pair for _, pair in negatives)]
    owners = [*range(n), *(i for i, _ in negatives)]
    embeddings = model.encode([*(record.query for record in records), *candidates])
    similarity = embeddings[:n] @ embeddings[n:].T  # (N, N + K)
    hits = []
    for i in range(n):
        rivals = [
            similarity[i, j]
            for j, (_, text) in enumerate(candidates)
            if j != i and text.strip() != positives[i][1].strip() and (not own or owners[j] == i)
        ]
        hits.append(bool(similarity[i, i] > max(rivals, default=-np.inf)))
    return hits
