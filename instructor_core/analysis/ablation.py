"""Which words of an instruction matter, measured against edits that mean nothing.

The effect of an edit is the mean over the texts of 1 - cosine between a text under the instruction and under the
edited one. Punctuation, spaces and case move vectors too; the largest of those effects is the noise floor, and a word
below it cannot be said to matter.

Not shown: whether a word helps. A word may move all vectors the same way and change no neighbor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import unit_vectors
from instructor_core.analysis.suggest import Slots, parse
from instructor_core.errors import UserError

_MARKS = ":;.,!?"
_NEUTRAL_TYPES = ("text", "sentence")  # a text type cannot be left out: it is swapped for the first that differs


class EditKind(StrEnum):
    """What an edit does."""

    WORD = "word left out"
    SLOT = "slot changed"
    FLOOR = "meaning-free edit"


@dataclass(frozen=True)
class Edit:
    """One edited instruction."""

    kind: EditKind
    name: str  # in words for the screen: the word, or what was changed
    instruction: str  # the edited instruction, as it is encoded


@dataclass(frozen=True, eq=False)
class AblationPlan:
    """What has to be encoded to take an instruction apart."""

    instruction: str  # as it is encoded, with exactly one space at its end
    words: tuple[str, ...]  # its words in order, the last without its closing punctuation
    edits: tuple[Edit, ...]  # words first, then slots, then meaning-free edits; none equals the instruction

    @property
    def instructions(self) -> tuple[str, ...]:
        """The instruction itself and every edited one, in the order of `edits`; encode them as they are."""
        return self.instruction, *(edit.instruction for edit in self.edits)


@dataclass(frozen=True, eq=False)
class Ablation:
    """Effects of the edits of a plan."""

    plan: AblationPlan
    effects: NDArray[np.float64]  # (E,) in [0, 2], mean 1 - cosine over the texts
    quartiles: NDArray[np.float64]  # (E, 2) 25th and 75th percentile over the texts
    floor: float  # the largest effect of a meaning-free edit
    floor_edit: Edit
    above_floor: NDArray[np.bool_]  # (E,) whether the effect exceeds the floor; False for the meaning-free edits
    n_texts: int

    def word_effects(self) -> tuple[float, ...]:
        """Effect of leaving out each word, in the order of `plan.words`."""
        pairs = zip(self.plan.edits, self.effects, strict=True)
        return tuple(float(effect) for edit, effect in pairs if edit.kind is EditKind.WORD)


def ablation_plan(instruction: str, *, text_types: Sequence[str] = ()) -> AblationPlan:
    """Every word left out in turn, every slot of the template changed, and the meaning-free edits."""
    core = instruction.strip()
    stem = core.rstrip(_MARKS + " ")  # a closing colon belongs to no word: leaving out the last word keeps it
    words = tuple(stem.split())
    if not words:
        raise UserError(f"Leaving out words needs an instruction with 1 word or more: got {instruction!r}. Add words.")
    closing = core[len(stem) :].strip()
    original = core + " "
    edits = [Edit(EditKind.WORD, word, _without(words, i, closing)) for i, word in enumerate(words)]
    slots = parse(core, text_types=text_types)
    if slots is not None:
        edits += _slot_edits(slots, closing)
    edits += meaning_free_edits(instruction)
    return AblationPlan(original, words, tuple(edits))


def meaning_free_edits(instruction: str) -> tuple[Edit, ...]:
    """Edits of punctuation, spaces and case, each another string: what moves as much under these has not moved."""
    core = instruction.strip()
    stem = core.rstrip(_MARKS + " ")
    if not stem:
        return ()
    first = stem[0].lower() if stem[0].isupper() else stem[0].upper()
    named = (
        ("closing colon", stem + ": "),
        ("closing semicolon", stem + "; "),
        ("no closing mark", stem + " "),
        ("two spaces at the end", core + "  "),
        ("no space at the end", core),
        ("lower case", core.lower() + " "),
        ("first letter in the other case", first + core[1:] + " "),
    )
    seen = {core + " "}
    edits = []
    for name, edited in named:
        if edited not in seen:
            edits.append(Edit(EditKind.FLOOR, name, edited))
            seen.add(edited)
    return tuple(edits)


def ablation(plan: AblationPlan, original: NDArray[np.floating], edited: NDArray[np.floating]) -> Ablation:
    """Effects of E edits on N texts, vectors (N, D) under the instruction and (E, N, D) under each edit."""
    if len(original) == 0:
        raise UserError("Leaving out words needs at least 1 text to see an effect on: got 0. Add a text.")
    each = cosine_distances(original, edited)
    effects = each.mean(axis=1)
    is_floor = np.array([edit.kind is EditKind.FLOOR for edit in plan.edits])
    at = int(np.argmax(np.where(is_floor, effects, -1.0)))
    floor = float(effects[at])
    return Ablation(
        plan=plan,
        effects=effects,
        quartiles=np.quantile(each, [0.25, 0.75], axis=1).T,
        floor=floor,
        floor_edit=plan.edits[at],
        above_floor=(effects > floor) & ~is_floor,
        n_texts=len(original),
    )


def cosine_distances(original: NDArray[np.floating], edited: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 - cosine of each text with itself under every edit, (N, D) and (E, N, D) -> (E, N) float64 in [0, 2]."""
    # Half the squared distance of unit vectors: equal vectors give exactly 0.
    units, others = unit_vectors(original).astype(np.float64), unit_vectors(edited).astype(np.float64)
    distances: NDArray[np.float64] = np.minimum(np.sum((others - units) ** 2, axis=2) / 2, 2.0)
    return distances


def _without(words: Sequence[str], index: int, closing: str) -> str:
    """The instruction without one word; "" where nothing is left."""
    rest = " ".join(word for i, word in enumerate(words) if i != index)
    return f"{rest}{closing} " if rest else ""


def _slot_edits(slots: Slots, closing: str) -> list[Edit]:
    """Domain and objective left out where there are such, the text type swapped for a neutral word."""
    neutral = next(kind for kind in _NEUTRAL_TYPES if kind != slots.text_type)
    changed = [(f"text type: {slots.text_type} → {neutral}", Slots(slots.domain, neutral, slots.objective))]
    if slots.domain:
        changed.insert(0, (f"no domain: {slots.domain}", Slots("", slots.text_type, slots.objective)))
    if slots.objective:
        changed.append((f"no objective: {slots.objective}", Slots(slots.domain, slots.text_type, "")))
    return [Edit(EditKind.SLOT, name, to.instruction.rstrip(": ") + closing + " ") for name, to in changed]
