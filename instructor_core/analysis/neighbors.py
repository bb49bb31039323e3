"""Similarity of many texts without a text x text matrix: nearest texts, what changes them, means between groups.

A matrix of 10,000 texts would have 100 million cells, 400 MB per instruction and no pixel for most of them. One row of
it costs one product with the vectors; a mean over all pairs of two groups is the product of the groups' mean vectors,
exactly, so no pair has to be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import EmbeddingGrid, letter, round_ties
from instructor_core.analysis.groups import Groups
from instructor_core.analysis.numbers import share
from instructor_core.analysis.similarity import Neighbor, cosine_range, nearest_first

_BLOCK = 512  # rows whose cosines with all texts are held at once


@dataclass(frozen=True, eq=False)
class Nearest:
    """The texts nearest to one text under each instruction."""

    text: int
    lists: tuple[tuple[Neighbor, ...], ...]  # per instruction, best first, equal cosines by index
    low: float  # of the colour range of all cosines listed
    high: float


@dataclass(frozen=True, eq=False)
class Blocks:
    """Mean cosine between groups of texts."""

    groups: Groups
    matrices: NDArray[np.float64]  # (M, G, G) a text makes no pair with itself: NaN for a group of one
    low: float  # of the colour range of all cosines listed
    high: float


@dataclass(frozen=True, eq=False)
class NearestChange:
    """What the first instruction and another one disagree on."""

    nearest: NDArray[np.int64]  # (K, N) index of the nearest other text; -1 for a text alone
    changed: NDArray[np.int64]  # (K,) texts with another nearest text than under the first
    agreement: NDArray[np.float64] | None  # (K,) of the labelled texts; None without labels


def text_cosines(grid: EmbeddingGrid, text: int) -> NDArray[np.float32]:
    """Cosines of one text with all texts under each instruction, (K, N) float32 in [-1, 1]."""
    cosines: NDArray[np.float32] = np.einsum("knd,kd->kn", grid.embeddings, grid.embeddings[:, text])
    return np.clip(cosines, -1.0, 1.0)


def nearest_texts(grid: EmbeddingGrid, text: int, *, k: int = 20) -> Nearest:
    """The `k` texts nearest to one text under each instruction; fewer where there are fewer texts."""
    lists = tuple(nearest_first(cosines, text, k=k) for cosines in text_cosines(grid, text))
    values = np.array([neighbor.similarity for one in lists for neighbor in one])
    return Nearest(text, lists, *cosine_range(values))


def block_means(grid: EmbeddingGrid, groups: Groups) -> Blocks:
    """Mean cosine of every pair of groups under each instruction."""
    matrices = [_means(unit, unit, groups, own_pairs=False) for unit in grid.embeddings]
    return _blocks(groups, matrices)


def cross_block_means(grid: EmbeddingGrid, groups: Groups, *, rows: int, columns: int) -> Blocks:
    """Mean cosine of every pair of groups, rows embedded under one instruction, columns under another."""
    same = rows == columns
    matrix = _means(grid.embeddings[rows], grid.embeddings[columns], groups, own_pairs=not same)
    return _blocks(groups, [matrix])


def nearest_of_all(embeddings: NDArray[np.floating]) -> NDArray[np.int64]:
    """Index of the row nearest to each row of unit length, (N, D) -> (N,); the first among equals, -1 if alone."""
    n = len(embeddings)
    if n < 2:
        return np.full(n, -1, dtype=np.int64)
    nearest = np.empty(n, dtype=np.int64)
    for start in range(0, n, _BLOCK):
        cosines = round_ties(embeddings[start : start + _BLOCK] @ embeddings.T)
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf
        nearest[start : start + _BLOCK] = cosines.argmax(axis=1)
    return nearest


def nearest_change(embeddings: NDArray[np.floating], labels: Sequence[str] | None = None) -> NearestChange:
    """Nearest texts under K instructions, unit embeddings (K, N, D), held against the first one and the labels."""
    nearest = np.stack([nearest_of_all(one) for one in embeddings])
    agreement = None
    named = np.array([bool(label) for label in labels or ()])
    if labels is not None and named.any() and nearest.shape[1] > 1:
        index = np.unique(np.array(labels), return_inverse=True)[1].reshape(-1)
        agreement = (index[nearest] == index)[:, named].mean(axis=1)
    return NearestChange(nearest, (nearest != nearest[0]).sum(axis=1), agreement)


def describe_change(result: NearestChange, other: int = 1) -> str:
    """One sentence: "9 of 16 texts have another nearest text under B than under A."."""
    n = result.nearest.shape[1]
    changed, name = int(result.changed[other]), letter(other)
    if n < 2:
        return "A nearest text needs 2 texts."
    if changed == 0:
        return f"Every text has the same nearest text under {name} as under A."
    have = "has" if changed == 1 else "have"
    return f"{changed} of {n} texts {have} another nearest text under {name} than under A."


def describe_agreement(agreement: NDArray[np.floating], names: Sequence[str]) -> str:
    """The share of texts whose nearest text has their label, under each name: "A .44   B 1.00   none .44"."""
    return "   ".join(f"{name} {share(value)}" for name, value in zip(names, agreement.tolist(), strict=True))


def _blocks(groups: Groups, matrices: Sequence[NDArray[np.float64]]) -> Blocks:
    stacked = np.stack(matrices)
    return Blocks(groups, stacked, *cosine_range(stacked[np.isfinite(stacked)]))


def _means(
    first: NDArray[np.float32], second: NDArray[np.float32], groups: Groups, *, own_pairs: bool
) -> NDArray[np.float64]:
    """Mean of the products of all pairs of two groups, (G, G); without those of a text with itself if asked."""
    left, right = _sums(first, groups), _sums(second, groups)
    counts = groups.counts.astype(np.float64)
    totals, pairs = left @ right.T, np.outer(counts, counts)
    if not own_pairs:
        at = np.arange(len(counts))
        own = np.einsum("nd,nd->n", first, second, dtype=np.float64)
        totals[at, at] -= np.bincount(groups.index, own, minlength=len(counts))
        pairs[at, at] -= counts
    means = np.divide(totals, pairs, out=np.full_like(totals, np.nan), where=pairs > 0)
    return np.clip(means, -1.0, 1.0)


def _sums(vectors: NDArray[np.float32], groups: Groups) -> NDArray[np.float64]:
    """Sum of the vectors of each group, (G, D) float64, added up group by group."""
    return np.stack([vectors[groups.index == g].sum(axis=0, dtype=np.float64) for g in range(len(groups.names))])
