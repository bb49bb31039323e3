"""How far two checkpoints agree on the same texts: common nearest texts, CKA, and orders that one of them turns round.

Each number is about cosines alone, so it stays the same when either set of vectors is rotated, reflected or scaled, and
the two may have different widths. The same vectors twice give 1, 1 and 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import TIE, unit_vectors
from instructor_core.analysis.numbers import counted, share
from instructor_core.analysis.ranks import RankFlips, rank_flips
from instructor_core.analysis.similarity import self_similarity
from instructor_core.errors import UserError

NEIGHBORS = 10
MAX_FLIPPED = 150  # texts of which all triplets are looked at: 1,653,900
_BLOCK = 512  # rows whose cosines with all texts are held at once


@dataclass(frozen=True, eq=False)
class Agreement:
    """Two checkpoints on the same texts under one instruction."""

    overlap: float  # mean share of the `k` nearest texts that both have
    k: int
    n_texts: int
    cka: float | None  # in [-1, 1], about 0 for unrelated vectors; None below 4 texts or if all texts are one point
    flips: RankFlips  # of triplets of texts, evenly drawn where there are more than `MAX_FLIPPED`

    @property
    def chance(self) -> float:
        """The overlap to expect of vectors that have nothing to do with each other."""
        return self.k / (self.n_texts - 1)

    @property
    def flipped(self) -> float:
        """Share of the triplets whose order is turned round; 0.5 is chance."""
        return self.flips.n_flips / self.flips.n_triplets


def agreement(a: NDArray[np.floating], b: NDArray[np.floating], *, k: int = NEIGHBORS) -> Agreement:
    """Two checkpoints' vectors of the same texts, (N, D) and (N, D') with N >= 3; k is at most half of the others."""
    n = len(a)
    if n != len(b):
        raise ValueError(f"two checkpoints need vectors of the same texts, got {n} and {len(b)}")
    if n < 3:
        raise UserError(f"Comparing two checkpoints needs at least 3 texts: got {n}. Add texts.")
    k = max(1, min(k, (n - 1) // 2))
    rows = np.unique(np.linspace(0, n - 1, min(n, MAX_FLIPPED)).astype(np.int64))
    flips = rank_flips(self_similarity(a[rows]), self_similarity(b[rows]), limit=1)
    return Agreement(_overlap(unit_vectors(a), unit_vectors(b), k), k, n, cka(a, b), flips)


def cka(a: NDArray[np.floating], b: NDArray[np.floating]) -> float | None:
    """Linear CKA of two sets of unit vectors, (N, D) and (N, D'), by the unbiased HSIC; see `Agreement.cka`.

    The plain estimate (Kornblith et al., arXiv 1905.00414) comes near 1 for unrelated vectors that are wider than there
    are texts; the unbiased one (Song et al., JMLR 13, 2012; Nguyen et al., arXiv 2010.15327) does not.
    """
    n = len(a)
    if n < 4:
        return None
    x, y = (unit_vectors(vectors).astype(np.float64) for vectors in (a, b))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    own = _hsic(x, x), _hsic(y, y)
    if min(own) <= (n * TIE) ** 2:
        return None
    return float(np.clip(_hsic(x, y) / np.sqrt(own[0] * own[1]), -1.0, 1.0))


def describe(results: Sequence[Agreement], names: Sequence[str]) -> str:
    """What two checkpoints agree on under each instruction, on one line."""
    told: list[str] = []
    for name, one in zip(names, results, strict=True):
        alike = "CKA undefined" if one.cka is None else f"CKA {share(one.cka)}"
        nearest, flipped = share(one.overlap), share(one.flipped)
        if not told:
            nearest += f" of the {counted(one.k, 'nearest text')} in common ({share(one.chance)} by chance)"
            flipped += " of triplets flipped"
        told.append(f"{name}: {nearest}, {alike}, {flipped}")
    return " · ".join(told)


def _overlap(a: NDArray[np.float32], b: NDArray[np.float32], k: int) -> float:
    """Mean share of common neighbours of unit vectors (mutual k-NN, Huh et al., arXiv 2405.07987)."""
    common = 0.0
    for start in range(0, len(a), _BLOCK):
        first, second = (_nearness(vectors, start, k) for vectors in (a, b))
        common += float(np.minimum(first, second).sum(dtype=np.float64))
    return common / (k * len(a))


def _nearness(unit: NDArray[np.float32], start: int, k: int) -> NDArray[np.float32]:
    """Whether texts are among the k nearest of each of a block of rows, (b, N) in [0, 1]; texts alike share a place."""
    cosines = unit[start : start + _BLOCK] @ unit.T
    rows = np.arange(len(cosines))
    cosines[rows, start + rows] = -np.inf
    last = np.partition(cosines, -k, axis=1)[:, [-k]]  # the k-th highest
    nearer, level = cosines > last + TIE, np.abs(cosines - last) <= TIE
    left = (k - nearer.sum(axis=1, keepdims=True)) / level.sum(axis=1, keepdims=True)
    nearness: NDArray[np.float32] = np.where(level, left, nearer).astype(np.float32)
    return nearness


def _hsic(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Unbiased HSIC, times n (n - 3), of the linear kernels of centred vectors, without an (N, N) matrix."""
    n = len(x)
    own_x, own_y = np.einsum("nd,nd->n", x, x), np.einsum("nd,nd->n", y, y)
    every = np.square(x.T @ y).sum() + own_x.sum() * own_y.sum() / ((n - 1) * (n - 2))
    return float(every - own_x @ own_y * n / (n - 2))
