"""Five scores of vectors against labels, each with its bootstrap resamples. No score trains anything.

Intervals are percentile bootstraps over texts. Texts are drawn with replacement within each label, so that every
resample has the label sizes of the data, and the same draws serve every instruction, so that instructions can be
compared draw by draw.

A text that is drawn twice must not find its own copy next to itself: every instruction would look perfect. So
leave-one-out predictions and clusters are computed once, on the texts as they are, and resampled; pairs and
silhouettes are weighted by the draw, and a text makes no pair with its own copies.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import unit_vectors
from instructor_core.analysis.label_task import LabelTask
from instructor_core.analysis.neighbors import nearest_of_all
from instructor_core.errors import UserError

KMEANS_SEEDS = (0, 1, 2, 3, 4)
EXACT_PAIRS = 10_000  # of 141 texts; above it, the pairs of every resample would take seconds
_CHUNK = 1_000_000  # weights of pairs held at once


def nearest_others(cosines: NDArray[np.floating], m: int) -> NDArray[np.int32]:
    """The m nearest other texts of each, nearest first, equally near ones by index: (N, N) -> (N, m)."""
    rows = np.arange(len(cosines))
    others, nearest = cosines.copy(), np.empty((len(cosines), m), dtype=np.int32)
    others[rows, rows] = -np.inf
    for at in range(m):  # of few neighbours much faster than to sort all
        nearest[:, at] = others.argmax(axis=1)
        others[rows, nearest[:, at]] = -np.inf
    return nearest


def vote(
    nearest: NDArray[np.int32], labels: NDArray[np.int64], n_labels: int, counts: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """The most frequent label among neighbours (..., m), the first one of equals; `counts` says who may vote -> (...).

    Labels are (N,), or (B, N) for B ways to label the texts of one (N, m) list -> (B, N).
    """
    voters = labels[..., nearest]
    places = np.arange(voters[..., 0].size).reshape(voters.shape[:-1])[..., None] * n_labels + voters
    n_cells = voters[..., 0].size * n_labels
    votes = np.bincount((places if counts is None else places[counts]).ravel(), minlength=n_cells)
    winners: NDArray[np.int64] = votes.reshape(*voters.shape[:-1], n_labels).argmax(axis=-1)
    return winners


def nearest_agreement(embeddings: NDArray[np.floating], labels: Sequence[str] | NDArray[np.generic]) -> float:
    """Share of texts, (N, D), whose nearest other text has the same label; one alone with its label can only miss."""
    if len(labels) != len(embeddings) or len(labels) < 2:
        raise UserError(
            f"Agreement needs one label for each of two texts or more: got {len(labels)} labels for "
            f"{len(embeddings)} embeddings. Give one label per text."
        )
    kinds = np.asarray(labels)
    return float((kinds[nearest_of_all(unit_vectors(np.asarray(embeddings)))] == kinds).mean())


def accuracy(predictions: NDArray[np.int64], task: LabelTask) -> tuple[float, NDArray[np.float64]]:
    """Share of correct predictions and its resamples (B,)."""
    correct = predictions == task.index
    return float(correct.mean()), np.asarray(task.weights @ correct.astype(np.float64) / len(correct))


def macro_f1(predictions: NDArray[np.int64], task: LabelTask) -> tuple[float, NDArray[np.float64]]:
    """Mean F1 of the labels and its resamples (B,); a label that is never predicted has F1 = 0."""
    labels = np.arange(len(task.names))
    truth = (task.index[:, None] == labels).astype(np.float32)
    guess = (predictions[:, None] == labels).astype(np.float32)
    draws = np.vstack([np.ones(len(truth), dtype=np.float32), task.weights])
    hits = (draws @ (truth * guess)).astype(np.float64)
    f1 = 2 * hits / (draws @ truth + draws @ guess)  # every label has texts in every draw
    means = f1.mean(axis=1)
    return float(means[0]), means[1:]


def pair_auc(cosines: NDArray[np.floating], task: LabelTask) -> tuple[float, NDArray[np.float64]]:
    """AUC of "same label" over all pairs of texts, and its resamples (B,).

    A draw weighs a pair by how often both texts were drawn; a pair of a text with its own copy does not exist. Up to
    10,000 pairs the resamples are exact. Above, they are linear in the weights, by the exact derivatives of the
    AUC (DeLong's structural components, for pairs): what is left out shrinks with the number of texts.
    """
    first, second = np.triu_indices(len(cosines), 1)
    order = np.argsort(cosines[first, second], kind="stable")
    first, second = first[order], second[order]
    values = cosines[first, second]
    same = task.index[first] == task.index[second]
    below = np.searchsorted(values, values, side="left"), np.searchsorted(values, values, side="right")
    auc = float(_weighted_auc(np.ones((1, len(values)), dtype=np.float32), same, below)[0])
    if len(values) <= EXACT_PAIRS:
        samples = [
            _weighted_auc(weights[:, first] * weights[:, second], same, below)
            for weights in np.array_split(task.weights, 1 + len(task.weights) * len(values) // _CHUNK)
        ]
        return auc, np.concatenate(samples)
    wins = _wins(same, below)
    surprise = wins - auc * np.where(same, (~same).sum(), same.sum())
    n = len(cosines)
    by_text = np.bincount(first, surprise, minlength=n) + np.bincount(second, surprise, minlength=n)
    moves = (task.weights - 1.0) @ (by_text / float(same.sum() * (~same).sum()))
    return auc, np.clip(auc + moves, 0.0, 1.0)


def _weighted_auc(
    weights: NDArray[np.float32], same: NDArray[np.bool_], below: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> NDArray[np.float64]:
    """AUC of pairs in the order of their cosine, for each row of weights (b, pairs) -> (b,); ties count half."""
    different = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(np.where(same, 0, weights), axis=1, out=different[:, 1:])
    beaten = (different[:, below[0][same]] + different[:, below[1][same]]) / 2
    positives = weights[:, same].astype(np.float64)
    auc: NDArray[np.float64] = np.einsum("bp,bp->b", positives, beaten) / (positives.sum(axis=1) * different[:, -1])
    return auc


def _wins(same: NDArray[np.bool_], below: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.float64]:
    """For each pair in the order of its cosine, the pairs of the other kind that it is on the right side of."""
    different_below = np.concatenate([[0], np.cumsum(~same)])
    same_below = np.concatenate([[0], np.cumsum(same)])
    beaten = (different_below[below[0]] + different_below[below[1]]) / 2
    above = same.sum() - (same_below[below[0]] + same_below[below[1]]) / 2
    wins: NDArray[np.float64] = np.where(same, beaten, above)
    return wins


def silhouette(cosines: NDArray[np.floating], task: LabelTask) -> tuple[float, NDArray[np.float64]]:
    """Mean silhouette of the labels for the cosine distance, and its resamples (B,), moved to lie around it."""
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
    return float(means[0]), np.clip(_center_on(means[1:], means[0]), -1.0, 1.0)


def v_measure(embeddings: NDArray[np.floating], task: LabelTask) -> tuple[float, NDArray[np.float64]]:
    """V-measure of k-means clusters, as many as labels, mean over the seeds, and its resamples (B,).

    Drawing texts twice makes clusters look purer than they are, hence resamples are moved to lie around the value.
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
    return float(means[0]), np.clip(_center_on(means[1:], means[0]), 0.0, 1.0)


def v_measures(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """V-measure of each contingency table of counts, (b, labels, clusters) -> (b,) in [0, 1]."""
    shares = tables / tables.sum(axis=(1, 2), keepdims=True)
    joint = _entropy(shares.reshape(len(shares), -1))
    truth, found = _entropy(shares.sum(axis=2)), _entropy(shares.sum(axis=1))
    information = np.maximum(truth + found - joint, 0.0)
    homogeneity = np.divide(information, truth, out=np.ones_like(joint), where=truth > 0)
    completeness = np.divide(information, found, out=np.ones_like(joint), where=found > 0)
    both = homogeneity + completeness
    measures: NDArray[np.float64] = np.divide(
        2 * homogeneity * completeness, both, out=np.zeros_like(both), where=both > 0
    )
    return measures


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy in nats of each row of shares, (b, m) -> (b,)."""
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy: NDArray[np.float64] = -np.einsum("bm,bm->b", shares, logs)
    return entropy


def _center_on(samples: NDArray[np.float64], value: float) -> NDArray[np.float64]:
    """Resamples without their bias: moved so that their mean is the value, (B,) -> (B,)."""
    moved: NDArray[np.float64] = samples - (samples.mean() - value)
    return moved


def _members(task: LabelTask) -> list[NDArray[np.int64]]:
    """Texts of each label."""
    return [np.flatnonzero(task.index == label) for label in range(len(task.names))]
