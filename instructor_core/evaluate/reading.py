"""Whether an instruction is read or only its key words: two axes in one sentence, and the same words in any order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import unit_vectors
from instructor_core.analysis.metrics import nearest_agreement
from instructor_core.evaluate.data import LabelSet, Wordings
from instructor_core.evaluate.report import Column, Contrast, Shuffled

Encode = Callable[[str], NDArray[np.float32]]
"""Instruction -> (N, D) embeddings of the texts of a set under it."""


def contrasts(
    encode: Encode,
    label_set: LabelSet,
    columns: Sequence[Column],
    rows: dict[str, NDArray[np.int64]],
    frames: Sequence[str],
) -> Iterator[Contrast]:
    """Yield, for every two columns of unlike axes in both orders, what sentences that want one, not the other, give.

    ``rows`` are the positions of the texts with a label, by column. Nothing is yielded without frames.
    """
    for wanted, unwanted in permutations([column for column in columns if column.axis], 2):
        if wanted.axis == unwanted.axis or not frames:
            continue
        names = [column.axis.replace("_", " ") for column in (wanted, unwanted)]
        found = [encode(frame.format(wanted=names[0], unwanted=names[1])) for frame in frames]
        agreements = [
            [
                nearest_agreement(
                    embeddings[rows[column.name]], [label_set.columns[column.name][i] for i in rows[column.name]]
                )
                for embeddings in found
            ]
            for column in (wanted, unwanted)
        ]
        yield Contrast((wanted.name, unwanted.name), *map(tuple, agreements))


def measure_shuffled(encode: Encode, axes: Sequence[str], wordings: Wordings, n_free: int | None) -> Shuffled | None:
    """Return how near embeddings under instructions stay to those under the same words in another order.

    Beside it, how near those under the plain wordings of two axes are. None for fewer than two axes.
    """
    if len(axes) < 2:
        return None
    cosines = []
    for axis in axes:
        for wording in (wordings.axes[axis].plain, *wordings.axes[axis].free[:n_free]):
            if (other := reorder(wording)) is not None:
                cosines.append(_cosine(encode(wording), encode(other)))
    plain = [encode(wordings.axes[axis].plain) for axis in axes]
    between = [_cosine(one, other) for i, one in enumerate(plain) for other in plain[:i]]
    return Shuffled(float(np.mean(cosines)), min(cosines), float(np.mean(between))) if cosines else None


def reorder(wording: str) -> str | None:
    """Return the words of an instruction in another order, the same at each call; None if there is no other."""
    words = wording.split()
    if len(set(words)) < 2:
        return None
    rng, mixed = random.Random(wording), words
    while mixed == words:
        mixed = rng.sample(words, len(words))
    return " ".join(mixed) + " "


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.mean(np.einsum("nd,nd->n", unit_vectors(one), unit_vectors(other))))
