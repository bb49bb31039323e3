"""Labels to recover from embeddings, what can be measured on them, and the resamples of the texts for intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from instructor_core.errors import UserError

MIN_TEXTS = 8
MAX_NEIGHBORS = 15


class Metric(StrEnum):
    """What is measured; the value is its name on screen."""

    ACCURACY = "kNN accuracy"
    """Share of the texts whose label is the most frequent one among their k nearest other texts."""
    MACRO_F1 = "kNN macro-F1"
    """Mean over the labels of the F1 of the same predictions: small labels count as much as large ones."""
    AUC = "pair AUC"
    """Chance that two texts of one label are more similar than two texts of different labels."""
    SILHOUETTE = "silhouette"
    """From -1 to 1: how much closer a text is to its own label than to the nearest other, cosine distance."""
    V_MEASURE = "k-means V-measure"
    """Agreement of the labels with as many clusters, 0 to 1, mean over fixed seeds."""


@dataclass(frozen=True, eq=False)
class LabelTask:
    """Labels to recover, and all that is the same for every instruction: L sorted names, the label of each text (N,).

    The k nearest texts vote. Weights (B, N) say how often a text occurs in each bootstrap resample.
    """

    names: tuple[str, ...]
    index: NDArray[np.int64]
    k: int
    weights: NDArray[np.float32]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of texts of each label, (L,) int64."""
        return np.bincount(self.index, minlength=len(self.names)).astype(np.int64)

    @property
    def n_neighbors_kept(self) -> int:
        """How many nearest texts to keep, so that k are left when a tenth of the texts is held out."""
        return min(2 * self.k + 20, len(self.index) - 1)

    def chance(self, metric: Metric) -> float | None:
        """What a guess gets: the share of the largest label, 0.5 for pairs, 0 for a silhouette; None if unknown."""
        if metric is Metric.ACCURACY:
            return float(self.counts.max() / len(self.index))
        return {Metric.AUC: 0.5, Metric.SILHOUETTE: 0.0}.get(metric)


def label_task(labels: Sequence[str] | None, *, k: int | None = None, n_resamples: int = 1000) -> LabelTask:
    """The task of recovering N labels, with B resamples.

    By default k is the largest odd number that exceeds neither the square root of N, nor the number of other texts of
    the smallest label, nor 15. Raises a UserError below 8 texts or 2 labels, for a text without a label, for a label
    with one text, and for a k that leaves no choice; `label_issues` says which texts to leave out.
    """
    names, index = _check_labels(labels)
    counts = np.bincount(index)
    n, smallest = len(index), int(counts.min())
    if k is None:
        k = min(math.isqrt(n), smallest - 1, MAX_NEIGHBORS)
        k = max(k - (k + 1) % 2, 1)
    if not 1 <= k < n:
        raise UserError(f"kNN needs k between 1 and {n - 1} for {n} texts: got k={k}. Choose another k.")
    rng = np.random.default_rng(0)
    weights = np.zeros((n_resamples, n), dtype=np.float32)
    for label, count in enumerate(counts):
        weights[:, index == label] = rng.multinomial(count, np.full(count, 1 / count), size=n_resamples)
    return LabelTask(names, index, k, weights)


def _check_labels(labels: Sequence[str] | None) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Sorted label names and the label of each text, or a UserError that says what is missing."""
    labels = labels or ()
    n, labelled = len(labels), sum(bool(label.strip()) for label in labels)
    if labelled < n:
        raise UserError(
            f"Scoring instructions needs a label for every text: got {labelled} labels for {n} texts. "
            "Add the missing labels, or leave those texts out."
        )
    if n < MIN_TEXTS:
        raise UserError(f"Scoring instructions needs at least {MIN_TEXTS} labelled texts: got {n}. Add texts.")
    names, index, counts = np.unique(np.array(labels), return_inverse=True, return_counts=True)
    if len(names) == 1:
        raise UserError(
            f"Scoring instructions needs at least 2 different labels: got 1, {str(names[0])!r}, on all {n} texts."
            " Add texts with another label."
        )
    if counts.min() < 2:
        rare = str(names[int(counts.argmin())])
        raise UserError(
            f"Every label needs at least 2 texts, one to find the other by: label {rare!r} has 1 of {n} texts. "
            "Add a text with this label, or leave the text out."
        )
    return tuple(str(name) for name in names), index.reshape(-1).astype(np.int64)
