"""How well the vectors of one instruction agree with given labels: five scores, each with an interval.

No score trains anything. Intervals are percentile bootstraps over texts: texts are drawn with replacement
within each label, so that every resample has the label sizes of the data, and the same draws are used for every
instruction, so that instructions can be compared draw by draw.

A text that is drawn twice must not find its own copy next to itself: every instruction would look perfect. So
leave-one-out predictions and clusters are computed once, on the texts as they are, and resampled; pairs and
silhouettes are weighted by the draw, and a text makes no pair with its own copies.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.similarity import self_similarity
from instructor_core.errors import UserError

MIN_TEXTS = 8
MAX_NEIGHBORS = 15
KMEANS_SEEDS = (0, 1, 2, 3, 4)
_DECIMALS = 6  # cosines that differ by less are equal: batching changes the last bits of an embedding


class Metric(str, Enum):
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
    """Labels to recover, and everything that is the same for all instructions; made by `label_task`.

    Attributes:
        names: (L,) different labels, sorted.
        index: (N,) int64, the label of each text as a position in `names`.
        k: number of neighbors that vote.
        k_rule: one sentence on how k came about.
        weights: (B, N) float32, how often each text occurs in each bootstrap resample.
        confidence: share of the resamples that an interval covers.
    """

    names: tuple[str, ...]
    index: NDArray[np.int64]
    k: int
    k_rule: str
    weights: NDArray[np.float32]
    confidence: float

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of texts of each label, (L,) int64."""
        return np.bincount(self.index, minlength=len(self.names)).astype(np.int64)

    def chance(self, metric: Metric) -> float | None:
        """What a guess gets: the share of the largest label, 0.5 for pairs, 0 for a silhouette; None if unknown."""
        if metric is Metric.ACCURACY:
            return float(self.counts.max() / len(self.index))
        return {Metric.AUC: 0.5, Metric.SILHOUETTE: 0.0}.get(metric)


@dataclass(frozen=True, eq=False)
class InstructionScores:
    """Scores of one instruction.

    Attributes:
        values: (5,) float64, in the order of `Metric`.
        samples: (5, B) float64, the same scores in each bootstrap resample; row b of all instructions belongs
            to the same draw of texts.
        predictions: (N,) int64, the label that the neighbors of each text give it.
    """

    values: NDArray[np.float64]
    samples: NDArray[np.float64]
    predictions: NDArray[np.int64]


def label_task(
    labels: Sequence[str] | None,
    *,
    k: int | None = None,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> LabelTask:
    """The task of recovering `labels`, checked.

    Args:
        labels: N labels, one per text; "" is no label.
        k: number of neighbors that vote; None takes the largest odd number that exceeds neither the square root
            of N, nor the number of other texts of the smallest label, nor 15.
        n_resamples: B, the number of bootstrap resamples.
        confidence: of the intervals, between 0 and 1.
        seed: of the bootstrap.

    Raises:
        UserError: below 8 texts, for a text without a label, for a single label, for a label with one text (it has
            no other text to be found by), and for a k that leaves no choice of neighbors.
    """
    names, index = _checked_labels(labels)
    counts = np.bincount(index)
    n, smallest = len(index), int(counts.min())
    if k is None:
        k = min(math.isqrt(n), smallest - 1, MAX_NEIGHBORS)
        k = max(k - (k + 1) % 2, 1)
        rule = (
            f"k = {k}: the largest odd number up to {MAX_NEIGHBORS}, the square root of {n} texts ({n**0.5:.1f}) "
            f"and the {smallest - 1} other texts of the smallest label; at least 1."
        )
    else:
        rule = f"k = {k}, as chosen."
    if not 1 <= k < n:
        raise UserError(f"kNN needs k between 1 and {n - 1} for {n} texts: got k={k}. Choose another k.")
    rng = np.random.default_rng(seed)
    weights = np.zeros((n_resamples, n), dtype=np.float32)
    for label, count in enumerate(counts):
        weights[:, index == label] = rng.multinomial(count, np.full(count, 1 / count), size=n_resamples)
    return LabelTask(names, index, k, rule, weights, confidence)


def score_texts(embeddings: NDArray[np.floating], task: LabelTask) -> InstructionScores:
    """All scores of one instruction.

    Args:
        embeddings: (N, D), of any length; only directions count.
        task: the labels of the same N texts.
    """
    if len(embeddings) != len(task.index):
        raise ValueError(f"Scores need one vector per label: got {len(embeddings)} and {len(task.index)}.")
    cosines = np.round(self_similarity(embeddings), _DECIMALS)
    predictions = knn_predictions(cosines, task)
    parts = (
        _accuracy(predictions, task),
        _macro_f1(predictions, task),
        _pair_auc(cosines, task),
        _silhouette(cosines, task),
        _v_measure(embeddings, task),
    )
    return InstructionScores(
        values=np.array([value for value, _ in parts]),
        samples=np.stack([samples for _, samples in parts]),
        predictions=predictions,
    )


def score_instructions(grid: EmbeddingGrid, task: LabelTask) -> Iterator[InstructionScores]:
    """Scores of the instructions of a grid, one after the other: take them one by one to show progress or to stop.

    Instructions with the same vectors share one result, so that they tie exactly.
    """
    seen: dict[bytes, InstructionScores] = {}
    for embeddings in grid.embeddings:
        content = embeddings.tobytes()
        if content not in seen:
            seen[content] = score_texts(embeddings, task)
        yield seen[content]


def knn_predictions(cosines: NDArray[np.floating], task: LabelTask) -> NDArray[np.int64]:
    """Label of each text by the vote of its k nearest other texts, (N, N) -> (N,) int64.

    Equally near texts count in their order in the list; of labels with equally many votes the first in
    alphabetical order wins, as in scikit-learn.
    """
    others = np.where(np.eye(len(cosines), dtype=np.bool_), -np.inf, cosines)
    nearest = np.argsort(-others, axis=1, kind="stable")[:, : task.k]
    votes = np.zeros((len(cosines), len(task.names)), dtype=np.int64)
    rows = np.arange(len(cosines))
    for voters in nearest.T:
        votes[rows, task.index[voters]] += 1
    winners: NDArray[np.int64] = votes.argmax(axis=1)
    return winners


def _accuracy(predictions: NDArray[np.int64], task: LabelTask) -> tuple[float, NDArray[np.float64]]:
    """Share of correct predictions and its resamples (B,)."""
    correct = predictions == task.index
    return float(correct.mean()), _resampled_mean(correct, task)


def _macro_f1(predictions: NDArray[np.int64], task: LabelTask) -> tuple[float, NDArray[np.float64]]:
    """Mean F1 of the labels and its resamples (B,); a label that is never predicted has F1 = 0."""
    labels = np.arange(len(task.names))
    truth = (task.index[:, None] == labels).astype(np.float32)
    guess = (predictions[:, None] == labels).astype(np.float32)
    draws = np.vstack([np.ones(len(truth), dtype=np.float32), task.weights])
    hits = (draws @ (truth * guess)).astype(np.float64)
    f1 = 2 * hits / (draws @ truth + draws @ guess)  # every label has texts in every draw
    means = f1.mean(axis=1)
    return float(means[0]), means[1:]


def _pair_auc(cosines: NDArray[np.floating], task: LabelTask) -> tuple[float, NDArray[np.float64]]:
    """AUC of "same label" over all pairs of texts, and its resamples (B,).

    Resampling texts reweights pairs. The resamples are linear in the weights: exact first derivatives of the AUC
    by the weight of each text (DeLong's structural components, for pairs), clipped to [0, 1]. A pair of
    a text with its own copy does not exist.
    """
    from scipy.stats import rankdata

    n = len(cosines)
    first, second = np.triu_indices(n, 1)
    values = cosines[first, second]
    same = task.index[first] == task.index[second]
    n_same, n_different = int(same.sum()), int((~same).sum())
    below = rankdata(values)
    below[same] -= rankdata(values[same])  # pairs of different labels below this one, ties count half
    below[~same] -= rankdata(values[~same])
    wins = np.where(same, below, n_same - below)
    auc = float(below[same].sum()) / (n_same * n_different)
    surprise = wins - auc * np.where(same, n_different, n_same)
    gradient = np.bincount(first, surprise, minlength=n) + np.bincount(second, surprise, minlength=n)
    gradient /= n_same * n_different
    return auc, np.clip(auc + (task.weights - 1.0) @ gradient, 0.0, 1.0)


def _silhouette(cosines: NDArray[np.floating], task: LabelTask) -> tuple[float, NDArray[np.float64]]:
    """Mean silhouette of the labels for the cosine distance, and its resamples (B,)."""
    distances = np.clip(1.0 - cosines, 0.0, 2.0).astype(np.float32)
    np.fill_diagonal(distances, 0.0)
    draws = np.vstack([np.ones(len(task.index), dtype=np.float32), task.weights])
    within = np.zeros((len(draws), len(task.index)), dtype=np.float32)
    nearest = np.full_like(within, np.inf)
    for rows in _members(task):
        weights = draws[:, rows]
        to_label = weights @ distances[rows]  # (1 + B, N) sum of distances to the drawn texts of this label
        others = np.setdiff1d(np.arange(len(task.index)), rows)
        nearest[:, others] = np.minimum(nearest[:, others], to_label[:, others] / len(rows))
        company = len(rows) - weights  # drawn texts of the label besides the copies of the text itself
        within[:, rows] = np.divide(to_label[:, rows], company, out=np.zeros_like(weights), where=company > 0)
        nearest[:, rows] = np.where(company > 0, nearest[:, rows], 0.0)  # alone with its copies: silhouette 0
    widest = np.maximum(within, nearest)
    each = np.divide(nearest - within, widest, out=np.zeros_like(widest), where=widest > 0)
    means = np.einsum("bn,bn->b", draws.astype(np.float64), each.astype(np.float64)) / len(task.index)
    return float(means[0]), means[1:]


def _v_measure(embeddings: NDArray[np.floating], task: LabelTask) -> tuple[float, NDArray[np.float64]]:
    """V-measure of k-means clusters, as many as labels, mean over the seeds, and its resamples (B,).

    Drawing texts twice makes clusters look purer than they are: the resamples are moved by the mean of that
    excess, so that they lie around the value.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    n_labels = len(task.names)
    draws = np.vstack([np.ones(len(task.index), dtype=np.float32), task.weights])
    total = np.zeros(len(draws))
    for seed in KMEANS_SEEDS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct texts than labels is a fair result
            clusters = KMeans(n_labels, n_init=1, random_state=seed).fit_predict(embeddings)
        member = (clusters[:, None] == np.arange(n_labels)).astype(np.float32)
        table = np.stack([draws[:, rows] @ member[rows] for rows in _members(task)], axis=1)  # (1 + B, L, L)
        total += v_measures(table.astype(np.float64))
    means = total / len(KMEANS_SEEDS)
    return float(means[0]), np.clip(means[1:] - means[1:].mean() + means[0], 0.0, 1.0)


def v_measures(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """V-measure of each contingency table of counts, (b, labels, clusters) -> (b,) in [0, 1]."""
    shares = tables / tables.sum(axis=(1, 2), keepdims=True)
    joint = _entropy(shares.reshape(len(shares), -1))
    truth, found = _entropy(shares.sum(axis=2)), _entropy(shares.sum(axis=1))
    information = np.maximum(truth + found - joint, 0.0)
    homogeneity = np.divide(information, truth, out=np.ones_like(joint), where=truth > 0)
    completeness = np.divide(information, found, out=np.ones_like(joint), where=found > 0)
    both = homogeneity + completeness
    return np.divide(2 * homogeneity * completeness, both, out=np.zeros_like(both), where=both > 0)


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy in nats of each row of shares, (b, m) -> (b,)."""
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy: NDArray[np.float64] = -np.einsum("bm,bm->b", shares, logs)
    return entropy


def _resampled_mean(each: NDArray[np.generic], task: LabelTask) -> NDArray[np.float64]:
    """Mean of a figure per text in every resample, (N,) -> (B,)."""
    means: NDArray[np.float64] = task.weights @ each.astype(np.float64) / len(each)
    return means


def _members(task: LabelTask) -> list[NDArray[np.int64]]:
    """Texts of each label."""
    return [np.flatnonzero(task.index == label) for label in range(len(task.names))]


def _checked_labels(labels: Sequence[str] | None) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Sorted label names and the label of each text, or a UserError that says what is missing."""
    labels = labels or ()
    n, labelled = len(labels), sum(bool(label.strip()) for label in labels)
    if labelled < n or n == 0:
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
