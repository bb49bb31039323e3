"""The array that every view reads: each text embedded under each instruction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from string import ascii_uppercase
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from instructor_core.errors import UserError

TIE = 1e-6  # values closer than this are equal: batching changes the last bits of an embedding
_BLOCK = 4096  # vectors that are normalised at once
_Float = TypeVar("_Float", bound=np.floating)


def letter(index: int) -> str:
    """Name of the instruction at `index`, from 0 on: A, B, ..., Z, AA, AB, ..."""
    name = ""
    while index >= 0:
        index, last = divmod(index, len(ascii_uppercase))
        name = ascii_uppercase[last] + name
        index -= 1  # there is no zero digit: after Z comes AA
    return name


def round_ties(values: NDArray[_Float]) -> NDArray[_Float]:
    """Values to the six decimals of `TIE`, in which noise of the arithmetic makes no order and no difference."""
    return np.round(values, 6)


def unit_vectors(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Vectors divided by their length along the last axis, as float32; zero stays zero, never NaN."""
    units = np.empty(vectors.shape, dtype=np.float32)
    rows, out = vectors.reshape(-1, vectors.shape[-1]), units.reshape(-1, vectors.shape[-1])
    for start in range(0, len(rows), _BLOCK):  # in float64 a block at a time: of 80,000 vectors it would be 250 MB
        wide = rows[start : start + _BLOCK].astype(np.float64)
        largest = np.abs(wide).max(axis=-1, keepdims=True, initial=0.0)
        wide /= np.where(largest > 0, largest, 1.0)  # squares of very small or very large entries would be lost
        norms = np.linalg.norm(wide, axis=-1, keepdims=True)
        out[start : start + _BLOCK] = wide / np.where(norms > 0, norms, 1.0)
    return units


@dataclass(frozen=True, eq=False)
class EmbeddingGrid:
    """K instructions x N texts, each pair with its pooled and projected vector; the array is read-only."""

    instructions: tuple[str, ...]  # (K,) in the order of the letters A, B, C
    texts: tuple[str, ...]  # (N,), numbered from 0 here and from 1 on screen
    labels: tuple[str, ...] | None  # (N,), "" where a text has none; None where no text has one
    vectors: NDArray[np.float32]  # (K, N, D) not normalised; a private copy of what was given

    def __post_init__(self) -> None:
        """Check the shapes and the values, and freeze the array."""
        vectors = np.array(self.vectors, dtype=np.float32)  # a copy: freezing stays in here
        expected = (len(self.instructions), len(self.texts))
        if vectors.ndim != 3 or vectors.shape[:2] != expected or vectors.shape[2] == 0:
            raise ValueError(
                f"A grid of {expected[0]} instructions and {expected[1]} texts needs vectors (K, N, D): "
                f"got the shape {vectors.shape}."
            )
        if self.labels is not None and len(self.labels) != len(self.texts):
            raise ValueError(f"A grid needs one label per text: got {len(self.labels)}, not {len(self.texts)}.")
        finite = np.isfinite(vectors).all(axis=2)
        if not finite.all():
            k, i = (int(index) for index in np.argwhere(~finite)[0])
            raise UserError(
                f"Embeddings must be finite: text {i + 1} under {letter(k)} gave NaN or infinity. "
                "Load the checkpoint in float32."
            )
        vectors.setflags(write=False)
        object.__setattr__(self, "vectors", vectors)

    @property
    def n_instructions(self) -> int:
        """Number of instructions, K."""
        return len(self.instructions)

    @property
    def n_texts(self) -> int:
        """Number of texts, N."""
        return len(self.texts)

    @property
    def dim(self) -> int:
        """Length of an embedding, D."""
        return int(self.vectors.shape[2])

    @cached_property
    def norms(self) -> NDArray[np.float32]:
        """Length of each vector before normalising, (K, N) float32, read-only."""
        norms: NDArray[np.float32] = np.linalg.norm(self.vectors.astype(np.float64), axis=2).astype(np.float32)
        norms.setflags(write=False)
        return norms

    @cached_property
    def embeddings(self) -> NDArray[np.float32]:
        """Vectors of unit length, (K, N, D) float32, read-only; a zero vector stays zero."""
        embeddings = unit_vectors(self.vectors)
        embeddings.setflags(write=False)
        return embeddings
