"""Drop a token from the mean, or delete it from the input: what it says itself, and what it does to the others.

Dropping leaves every other token vector as it is: `e' = (n e - t_i) / (n - 1)`, exact and free. Deleting
encodes the text again without the word, so the other tokens are computed in another context. The gap between the two is
what the token did through context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import unit_vectors
from instructor_core.analysis.pooled import pools_one, text_part
from instructor_core.analysis.units import By, EncodedPair, Unit, group_sums, pooled_vectors, units
from instructor_core.errors import UserError

_CLOSING = tuple(".,;:!?…)]}")  # stand next to the word before them


@dataclass(frozen=True, eq=False)
class Dropped:
    """Similarity of a text to another vector after leaving each of its units out of the mean."""

    units: tuple[Unit, ...]  # u units, `</s>` last
    other: NDArray[np.float64]  # (D,) the other text, unit length
    cosine: float
    similarities: NDArray[np.float64]  # (u,) without each unit; 0 where nothing but a zero vector is left

    @property
    def effects(self) -> NDArray[np.float64]:
        """(u,) how much the similarity falls without each unit; negative where it rises."""
        return self.cosine - self.similarities


@dataclass(frozen=True)
class Deletion:
    """A text without one of its units, to be encoded under the same instruction."""

    unit: int
    text: str


@dataclass(frozen=True, eq=False)
class DropOrDelete:
    """Both ways of leaving a unit out: effect of deleting = effect of dropping + context."""

    dropped: Dropped
    deleted: tuple[float | None, ...]  # (u,) None for `</s>` and for a unit without characters

    @property
    def deletion_effects(self) -> tuple[float | None, ...]:
        """How much the similarity falls when each unit is deleted from the input."""
        return tuple(None if value is None else self.dropped.cosine - value for value in self.deleted)

    @property
    def context(self) -> tuple[float | None, ...]:
        """Part of the effect that is not the unit's own vector: similarity when dropped minus when deleted."""
        drops = self.dropped.similarities.tolist()
        return tuple(None if value is None else drop - value for drop, value in zip(drops, self.deleted, strict=True))


def drop(pair: EncodedPair, other: NDArray[np.floating], *, by: By = "token") -> Dropped:
    """Similarity of a text to another embedding (D,) after dropping each of its units from the mean."""
    vectors = pooled_vectors(pair)
    groups = units(pair, by=by)
    if pools_one(pair):  # no word is in the mean: leaving one out of it changes nothing
        groups = units(text_part(pair), by=by)
        target, mean = (unit_vectors(vector).astype(np.float64) for vector in (other, vectors[0]))
        cosine = float(mean @ target)
        return Dropped(groups, target, cosine, np.full(len(groups), cosine))
    if len(groups) < 2:
        raise UserError(
            f"Dropping needs at least 2 pooled tokens, </s> included: got {len(vectors)}. Without it nothing would be "
            "left to average. Choose a text that is not empty."
        )
    counts = np.array([len(unit.tokens) for unit in groups])[:, None]
    left = (vectors.sum(axis=0) - group_sums(vectors, groups)) / (len(vectors) - counts)  # (u, D)
    target = unit_vectors(other).astype(np.float64)
    cosines = unit_vectors(np.vstack([vectors.mean(axis=0), left])).astype(np.float64) @ target
    return Dropped(groups, target, float(cosines[0]), cosines[1:])


def deletions(pair: EncodedPair, groups: Sequence[Unit]) -> tuple[Deletion, ...]:
    """The text without each of its units, for those that have characters: `</s>` and a bare "▁" have none."""
    # Only what fitted the window is edited: otherwise tokens that were cut off would move up, and their effect would be
    # counted as context. A character that several tokens share goes with each; the instruction is never touched.
    boundary = len(pair.instruction)
    last = max((unit.end for unit in groups), default=boundary)
    edited = []
    for position, unit in enumerate(groups):
        start, end = max(unit.start, boundary), min(unit.end, last)
        if unit.is_end or not pair.joined[start:end].strip():
            continue
        before, after = pair.joined[boundary:start], pair.joined[end:last]
        if after[:1].isspace() or after[:1] in _CLOSING:
            before = before.rstrip()
        edited.append(Deletion(position, (before + after).strip()))
    return tuple(edited)


def combine(dropped: Dropped, edited: Sequence[Deletion], embeddings: NDArray[np.floating]) -> DropOrDelete:
    """Both ways side by side: `embeddings` (len(edited), D) are of the edited texts under their instruction."""
    deleted: list[float | None] = [None] * len(dropped.units)
    if edited:
        cosines = unit_vectors(embeddings).astype(np.float64) @ dropped.other
        for deletion, cosine in zip(edited, cosines.tolist(), strict=True):
            deleted[deletion.unit] = cosine
    return DropOrDelete(dropped, tuple(deleted))
