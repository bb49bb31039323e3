"""The token-pair ledger: which tokens of two texts make up their cosine, and by how much.

With `t_i` the projected vectors of the `n` pooled tokens of one text, `e` their mean, and the same with a prime for
the other text, `C_ij = t_i . t'_j / (n m |e||e'|)`. The mean and the dot product are linear, so the terms add up to the
cosine of `e` and `e'`: nothing is approximated. What a token vector took over from its neighbors and from the
instruction while it was computed is inside that vector and is not told apart here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.tokens import symmetric_limit
from instructor_core.analysis.units import (
    By,
    EncodedPair,
    Unit,
    group_sums,
    pooled_vectors,
    refuse_different_tokens,
    units,
)
from instructor_core.errors import UserError

_LIMIT_PERCENTILE = 99.9  # a few hundred terms are drawn to scale; in a large ledger </s> x </s> stands out


@dataclass(frozen=True)
class Term:
    """One cell of a table of contributions."""

    row: int
    column: int
    value: float


@dataclass(frozen=True, eq=False)
class Contributions:
    """Signed, additive contributions by the units of one text (rows) and of another (columns)."""

    rows: tuple[Unit, ...]  # r units of the first text, `</s>` last
    columns: tuple[Unit, ...]  # c units of the second text
    values: NDArray[np.float32]  # (r, c) in units of cosine

    @property
    def row_totals(self) -> NDArray[np.float64]:
        """(r,) what each unit of the first text adds, over all units of the second."""
        totals: NDArray[np.float64] = self.values.sum(axis=1, dtype=np.float64)
        return totals

    @property
    def column_totals(self) -> NDArray[np.float64]:
        """(c,) what each unit of the second text adds, over all units of the first."""
        totals: NDArray[np.float64] = self.values.sum(axis=0, dtype=np.float64)
        return totals

    @property
    def total(self) -> float:
        """Sum of all terms."""
        return float(self.values.sum(dtype=np.float64))

    @property
    def end_total(self) -> float:
        """Sum of the terms in which `</s>` of either text takes part."""
        row_end = np.array([unit.is_end for unit in self.rows])
        column_end = np.array([unit.is_end for unit in self.columns])
        return float(self.values[row_end[:, None] | column_end[None, :]].sum(dtype=np.float64))

    @property
    def limit(self) -> float:
        """Half width of a colour range centred on zero; of thousands of terms the largest thousandth saturates."""
        return symmetric_limit(self.values, percentile=_LIMIT_PERCENTILE)

    def largest(self, k: int) -> tuple[Term, ...]:
        """The `k` terms with the largest magnitudes, largest first; equal ones in reading order."""
        flat = self.values.ravel()
        ranked = np.argsort(-np.abs(flat), kind="stable")[: max(k, 0)]
        places = [divmod(int(i), self.values.shape[1]) for i in ranked]
        return tuple(Term(row, column, float(self.values[row, column])) for row, column in places)


@dataclass(frozen=True, eq=False)
class Ledger(Contributions):
    """The terms of one cosine."""

    cosine: float  # of the two embeddings, computed from them alone; the terms sum to it


@dataclass(frozen=True, eq=False)
class LedgerDifference(Contributions):
    """What each term of a cosine gains from one instruction to another: terms under `first` minus under `second`."""

    first: float
    second: float  # the terms sum to `first - second`


def ledger(first: EncodedPair, second: EncodedPair, *, by: By = "token") -> Ledger:
    """What each pair of units of two texts adds to the cosine of their embeddings; the instructions may differ."""
    left, right = pooled_vectors(first), pooled_vectors(second)
    e, f = left.mean(axis=0), right.mean(axis=0)
    norms = float(np.linalg.norm(e) * np.linalg.norm(f))
    if norms == 0:
        raise UserError("A cosine needs two embeddings other than zero: got a zero vector. Choose another text.")
    rows, columns = units(first, by=by), units(second, by=by)
    table = left @ right.T / (len(left) * len(right) * norms)
    table = group_sums(group_sums(table, rows, axis=0), columns, axis=1)
    return Ledger(rows, columns, table.astype(np.float32), float(e @ f) / norms)


def ledger_difference(first: Ledger, second: Ledger) -> LedgerDifference:
    """The ledger of two texts under one instruction minus the ledger of the same texts under another."""
    for one, other in ((first.rows, second.rows), (first.columns, second.columns)):
        refuse_different_tokens(one, other, what="The difference of two ledgers")
    change = first.values - second.values
    return LedgerDifference(first.rows, first.columns, change, first.cosine, second.cosine)
