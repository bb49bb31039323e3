"""Orders that an instruction turns round: rank flips of triplets, and ranks to draw.

A flip: under instruction A text i is nearer to x than to y, under B nearer to y. Its margin is the smaller of the two
differences of cosines, so that both orders are at least that clear. Many flips of tiny margin also happen when only
the punctuation of an instruction changes: `noise_margin` measures the largest of those.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import TIE, round_ties
from instructor_core.errors import UserError


@dataclass(frozen=True)
class Flip:
    """Text `anchor` is nearer to `near_a` than to `near_b` under A, and the other way round under B."""

    anchor: int
    near_a: int
    near_b: int
    lead_a: float  # cosine to `near_a` minus cosine to `near_b` under A, positive
    lead_b: float  # cosine to `near_b` minus cosine to `near_a` under B, positive
    above_floor: bool

    @property
    def margin(self) -> float:
        """The smaller of the two leads."""
        return min(self.lead_a, self.lead_b)


@dataclass(frozen=True, eq=False)
class RankFlips:
    """Flips between two instructions."""

    flips: tuple[Flip, ...]  # the clearest ones, by margin
    n_flips: int  # of all
    n_above_floor: int
    n_triplets: int
    floor: float  # the margin that noise reaches


@dataclass(frozen=True, eq=False)
class NeighborRanks:
    """Neighbors of one text under every instruction."""

    text: int
    shown: NDArray[np.int64]  # (m,) among the nearest under some instruction, by their best rank
    ranks: NDArray[np.int64]  # (K, m) from 1 for the nearest other text; equal cosines by index
    similarities: NDArray[np.float64]  # (K, m) cosines to the text


def rank_flips(a: NDArray[np.floating], b: NDArray[np.floating], *, floor: float = 0.0, limit: int = 50) -> RankFlips:
    """Triplets whose order flips between two matrices of cosines (N, N), rows anchors; the first `limit` listed."""
    n = len(a)
    if n < 3:
        raise UserError(f"Rank flips need at least 3 texts: got {n}. Add texts.")
    listed: list[Flip] = []
    n_flips = n_above = 0
    first, second = np.triu_indices(n - 1, 1)
    for anchor in range(n):
        others = np.delete(np.arange(n), anchor)
        lead_a, lead_b = (_leads(matrix[anchor, others], first, second) for matrix in (a, b))
        flipped = np.flatnonzero(lead_a * lead_b < 0)
        margins = np.minimum(np.abs(lead_a[flipped]), np.abs(lead_b[flipped]))
        n_flips += len(flipped)
        n_above += int((margins > floor).sum())
        worst = listed[-1].margin if len(listed) == limit else 0.0
        clear = np.flatnonzero(margins > worst)
        for at in clear[np.argsort(-margins[clear], kind="stable")][:limit]:
            pair = flipped[at]
            near_a, near_b = int(others[first[pair]]), int(others[second[pair]])
            if lead_a[pair] < 0:
                near_a, near_b = near_b, near_a
            leads = abs(float(lead_a[pair])), abs(float(lead_b[pair]))
            listed.append(Flip(anchor, near_a, near_b, *leads, bool(margins[at] > floor)))
        listed = sorted(listed, key=lambda flip: -flip.margin)[:limit]
    n_triplets = n * (n - 1) * (n - 2) // 2
    return RankFlips(tuple(listed), n_flips, n_above, n_triplets, floor)


def noise_margin(original: NDArray[np.floating], edited: Iterable[NDArray[np.floating]]) -> float:
    """The largest margin of a flip caused by an edit without meaning, 0 where none flips anything; (N, N) each."""
    results = [rank_flips(original, matrix, limit=1) for matrix in edited]
    return max((flip.margin for result in results for flip in result.flips), default=0.0)


def rank(scores: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns of each row from the highest score on, equal ones by index, and their ranks from 1, (R, M) twice."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, scores.shape[1] + 1)[None, :], axis=1)
    return order, ranks


def neighbor_ranks(cosines_of_text: NDArray[np.floating], text: int, *, top: int = 5) -> NeighborRanks:
    """Ranks of the texts among the `top` neighbors of `text` under any instruction, from its cosines (K, N)."""
    n = cosines_of_text.shape[1]
    if n < 2:
        raise UserError(f"Neighbour ranks need at least 2 texts: got {n}. Add texts.")
    cosines = cosines_of_text.astype(np.float64)
    others = round_ties(cosines)
    others[:, text] = -np.inf
    _, ranks = rank(others)
    best = ranks.min(axis=0)
    candidates = [j for j in range(n) if j != text and best[j] <= top]
    shown = np.array(sorted(candidates, key=lambda j: (best[j], ranks[0, j])), dtype=np.int64)
    return NeighborRanks(text, shown, ranks[:, shown], cosines[:, shown])


def _leads(cosines: NDArray[np.floating], first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cosine of the first minus cosine of the second text of each pair; differences of rounding size are 0."""
    values = cosines.astype(np.float64)
    leads = values[first] - values[second]
    leads[np.abs(leads) <= TIE] = 0.0
    return leads
