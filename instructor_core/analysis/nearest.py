"""Nearest texts of every text under each instruction, and what the instructions change about them, in words.

No text x text matrix is held: rows are compared a block at a time, so that 10,000 texts are no other case than ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import letter, rounded
from instructor_core.analysis.numbers import share

_BLOCK = 512  # rows whose cosines with all texts are held at once


@dataclass(frozen=True, eq=False)
class NearestChange:
    """What the first instruction and another one disagree on."""

    nearest: NDArray[np.int64]  # (K, N) index of the nearest other text; -1 for a text alone
    changed: NDArray[np.int64]  # (K,) texts with another nearest text than under the first
    agreement: NDArray[np.float64] | None  # (K,) of the labelled texts; None without labels


def nearest_of_all(embeddings: NDArray[np.floating]) -> NDArray[np.int64]:
    """Index of the row nearest to each row of unit length, (N, D) -> (N,); the first among equals, -1 if alone."""
    n = len(embeddings)
    if n < 2:
        return np.full(n, -1, dtype=np.int64)
    nearest = np.empty(n, dtype=np.int64)
    for start in range(0, n, _BLOCK):
        cosines = rounded(embeddings[start : start + _BLOCK] @ embeddings.T)
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
