"""What an instruction moved: one text under two instructions, token by token, and its neighbors.

With `d_i` the move of token `i` from instruction A to B and `D` the move of the embedding (before normalising), the
shares `s_i = d_i . D / (n |D|^2)` sum to 1, because `D` is the mean of the `d_i`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import unit_vectors
from instructor_core.analysis.similarity import Neighbor, nearest_first
from instructor_core.analysis.units import (
    By,
    EncodedPair,
    Unit,
    group_sums,
    pooled_vectors,
    refuse_different_tokens,
    units,
)

STILL = 1e-5
"""A move shorter than this part of the embedding is what float32 leaves of the same computation done twice."""


@dataclass(frozen=True, eq=False)
class Movement:
    """The move of one text from one instruction to another."""

    units: tuple[Unit, ...]  # u units of the text, `</s>` last
    shares: NDArray[np.float64] | None  # (u,) signed, sum 1, part of the move that each carried; None for no move
    lengths: NDArray[np.float64]  # (u,) `|sum d_i| / n` in any direction: a long way with a small share went sideways
    distance: float  # `|D|`, length of the move before normalising
    cosine: float

    def carriers(self, k: int) -> tuple[int, ...]:
        """The `k` units with the largest shares in magnitude, largest first; none where nothing moved."""
        if self.shares is None:
            return ()
        return tuple(int(i) for i in np.argsort(-np.abs(self.shares), kind="stable")[: max(k, 0)])


@dataclass(frozen=True)
class NeighborChange:
    """The nearest texts of one text under two instructions."""

    text: int
    before: tuple[Neighbor, ...]  # best first
    after: tuple[Neighbor, ...]

    @property
    def came(self) -> tuple[Neighbor, ...]:
        """Those that are among the nearest under the second instruction only."""
        known = {neighbor.text for neighbor in self.before}
        return tuple(neighbor for neighbor in self.after if neighbor.text not in known)

    @property
    def went(self) -> tuple[Neighbor, ...]:
        """Those that are among the nearest under the first instruction only, with their similarity there."""
        known = {neighbor.text for neighbor in self.after}
        return tuple(neighbor for neighbor in self.before if neighbor.text not in known)


def movement(first: EncodedPair, second: EncodedPair, *, by: By = "token") -> Movement:
    """How one text moved from the first instruction to the second, and which of its units carried the move."""
    groups = units(first, by=by)
    refuse_different_tokens(groups, units(second, by=by), what="The move of a text")
    left, right = pooled_vectors(first), pooled_vectors(second)
    steps = right - left  # d_i
    move = steps.mean(axis=0)  # D
    distance = float(np.linalg.norm(move))
    means = np.stack([left.mean(axis=0), right.mean(axis=0)])
    cosine = float(np.prod(unit_vectors(means).astype(np.float64), axis=0).sum())
    lengths = np.linalg.norm(group_sums(steps, groups), axis=1) / len(steps)
    if distance <= STILL * float(np.linalg.norm(means, axis=1).max()):
        return Movement(groups, None, lengths, distance, cosine)
    shares = group_sums(steps @ move, groups) / (len(steps) * distance**2)
    return Movement(groups, shares, lengths, distance, cosine)


def neighbor_change(first: NDArray[np.floating], second: NDArray[np.floating], text: int, *, k: int) -> NeighborChange:
    """The `k` nearest texts of one text under two instructions, (N, D) twice."""
    before, after = (
        nearest_first(rows @ rows[text], text, k=k) for rows in (unit_vectors(first), unit_vectors(second))
    )
    return NeighborChange(text, before, after)
