"""Cosine similarity of texts under each instruction, and how it changes from one instruction to another.

Cosines of one checkpoint live in a narrow band that has to be measured, so every result here carries the
range its colours should span. The range leaves out pairs that say nothing: a text with itself, and
two texts that are the same string.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import EmbeddingGrid, unit_vectors

_RANGE_STEPS = 100  # colour ranges end on hundredths
_OPTIMAL_ORDER_LIMIT = 600  # the cost of optimal leaf ordering grows faster than the number of pairs


@dataclass(frozen=True)
class TextPair:
    """Two texts, or a row and a column of another matrix, and the value that belongs to them."""

    first: int
    second: int
    value: float


@dataclass(frozen=True)
class Neighbor:
    """One entry of a neighbor list: a text and its cosine to the text that was asked about."""

    text: int
    similarity: float


@dataclass(frozen=True, eq=False)
class Similarity:
    """Text x text cosines under each instruction."""

    matrices: NDArray[np.float32]  # (K, N, N) in [-1, 1], symmetric, the diagonal exactly 1
    low: float  # of the colour range
    high: float
    ranges: NDArray[np.float64]  # (K, 2) the range of each instruction alone
    closest: tuple[TextPair | None, ...]  # of different texts, per instruction


@dataclass(frozen=True, eq=False)
class Difference:
    """Cosine under instruction `a` minus cosine under instruction `b`, for every pair of texts."""

    a: int
    b: int  # the instruction that is subtracted
    matrix: NDArray[np.float32]  # (N, N) in [-2, 2], symmetric, the diagonal exactly 0
    limit: float  # the colour range is [-limit, limit]; above 0 also where nothing changes
    largest: TextPair | None  # in either direction; None for a single text


@dataclass(frozen=True, eq=False)
class CosineMatrix:
    """Cosines (n, n) in [-1, 1] of one kind of thing among themselves, or in rows and columns of two kinds."""

    matrix: NDArray[np.float32]
    low: float  # of the colour range
    high: float

    @property
    def closest(self) -> TextPair | None:
        """The highest cosine off the diagonal."""
        return extreme_cell(self.matrix)


@dataclass(frozen=True, eq=False)
class InstructionSimilarity(CosineMatrix):
    """Instruction x instruction cosines of the same text: symmetric, the diagonal exactly 1."""

    text: int | None  # None for the mean over all texts

    @property
    def furthest(self) -> TextPair | None:
        """The two instructions of the lowest cosine."""
        return extreme_cell(-self.matrix, self.matrix)


@dataclass(frozen=True, eq=False)
class CrossSimilarity(CosineMatrix):
    """Texts under one instruction (say, for queries) against texts under another (for documents)."""

    rows: int
    columns: int


def cosine_matrix(rows: NDArray[np.floating], columns: NDArray[np.floating]) -> NDArray[np.float32]:
    """Cosine of every row with every column vector, (n, D) and (m, D) -> (n, m) float32; 0 with a zero vector."""
    product = unit_vectors(rows) @ unit_vectors(columns).T
    clipped: NDArray[np.float32] = np.clip(product, -1.0, 1.0)
    return clipped


def self_similarity(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Cosines among the same vectors, (n, D) -> (n, n) float32: exactly symmetric, the diagonal exactly 1."""
    matrix = cosine_matrix(vectors, vectors)
    matrix = (matrix + matrix.T) / np.float32(2.0)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def cosine_range(values: NDArray[np.floating]) -> tuple[float, float]:
    """Colour range around the measured cosines, rounded outwards to hundredths and never empty."""
    if values.size == 0:
        return 0.0, 1.0
    low = math.floor(float(values.min()) * _RANGE_STEPS)
    high = math.ceil(float(values.max()) * _RANGE_STEPS)
    if low == high:
        low, high = low - 1, high + 1
    return max(low, -_RANGE_STEPS) / _RANGE_STEPS, min(high, _RANGE_STEPS) / _RANGE_STEPS


def similarity(grid: EmbeddingGrid) -> Similarity:
    """Text x text cosines of every instruction, with the ranges their colours should span."""
    matrices = np.empty((grid.n_instructions, grid.n_texts, grid.n_texts), dtype=np.float32)
    for k, vectors in enumerate(grid.vectors):
        matrices[k] = self_similarity(vectors)
    informative = _different_strings(grid.texts)
    low, high = cosine_range(matrices[:, informative])
    ranges = [cosine_range(matrix[informative]) for matrix in matrices]
    closest = tuple(extreme_cell(matrix, allowed=informative) for matrix in matrices)
    return Similarity(matrices, low, high, np.array(ranges, dtype=np.float64).reshape(-1, 2), closest)


def difference(result: Similarity, a: int, b: int) -> Difference:
    """Similarity under instruction `a` minus similarity under instruction `b`."""
    matrix = result.matrices[a] - result.matrices[b]
    changes = np.abs(matrix)
    steps = math.ceil(float(changes.max(initial=0.0)) * _RANGE_STEPS)
    return Difference(a, b, matrix, max(steps, 1) / _RANGE_STEPS, extreme_cell(changes, matrix))


def instruction_similarity(grid: EmbeddingGrid, text: int | None = None) -> InstructionSimilarity:
    """Cosines between the embeddings of one text under all instructions; None: their mean over all texts."""
    chosen = grid.embeddings if text is None else grid.embeddings[:, [text]]
    matrix = np.eye(len(chosen), dtype=np.float32)
    for a, b in zip(*np.triu_indices(len(chosen), 1), strict=True):
        cosines = np.einsum("nd,nd->n", chosen[a], chosen[b])
        matrix[a, b] = matrix[b, a] = np.clip(cosines, -1.0, 1.0).mean(dtype=np.float64) if len(cosines) else 0.0
    low, high = cosine_range(matrix[~np.eye(len(matrix), dtype=np.bool_)])
    return InstructionSimilarity(matrix, low, high, text)


def cross_similarity(grid: EmbeddingGrid, *, rows: int, columns: int) -> CrossSimilarity:
    """Texts under instruction `rows` against the same texts under instruction `columns`."""
    if rows == columns:
        matrix = self_similarity(grid.vectors[rows])
    else:
        matrix = cosine_matrix(grid.vectors[rows], grid.vectors[columns])
    low, high = cosine_range(matrix[_different_strings(grid.texts)])
    return CrossSimilarity(matrix, low, high, rows, columns)


def cluster_order(matrix: NDArray[np.floating]) -> NDArray[np.int64]:
    """Order of the texts that puts similar ones next to each other, cosines (N, N) -> (N,) int64.

    Average linkage on `1 - cosine`; up to 600 texts the leaves are ordered so that neighbors are as close
    as the tree allows. Of the two directions the one that starts with the smaller index is returned.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    n = len(matrix)
    if n < 3:
        return np.arange(n, dtype=np.int64)
    distances = np.clip(1.0 - (matrix.astype(np.float64) + matrix.T) / 2, 0.0, 2.0)
    np.fill_diagonal(distances, 0.0)
    tree = linkage(squareform(distances, checks=False), method="average", optimal_ordering=n <= _OPTIMAL_ORDER_LIMIT)
    order = np.asarray(leaves_list(tree), dtype=np.int64)
    return order if order[0] < order[-1] else order[::-1].copy()


def nearest_first(cosines: NDArray[np.floating], text: int, *, k: int) -> tuple[Neighbor, ...]:
    """The `k` texts of the highest cosines (N,), best first, `text` left out; equal cosines by index."""
    kept = [int(j) for j in np.argsort(-cosines, kind="stable") if j != text][: max(k, 0)]
    return tuple(Neighbor(j, float(cosines[j])) for j in kept)


def _different_strings(texts: Sequence[str]) -> NDArray[np.bool_]:
    """(N, N) mask of the pairs whose texts are not the same string; the diagonal is False."""
    first_seen: dict[str, int] = {}
    groups = np.array([first_seen.setdefault(text, i) for i, text in enumerate(texts)], dtype=np.int64)
    different: NDArray[np.bool_] = groups[:, None] != groups[None, :]
    return different


def extreme_cell(
    scores: NDArray[np.floating],
    values: NDArray[np.floating] | None = None,
    *,
    allowed: NDArray[np.bool_] | None = None,
) -> TextPair | None:
    """The (allowed) cell off the diagonal with the highest finite score, with its value; the first among equals."""
    left_out = np.eye(len(scores), dtype=np.bool_) | ~np.isfinite(scores)
    candidates = np.where(left_out if allowed is None else left_out | ~allowed, -np.inf, scores)
    if np.isinf(candidates).all():
        return None
    row, column = divmod(int(np.argmax(candidates)), len(scores))
    return TextPair(row, column, float((scores if values is None else values)[row, column]))
