"""Rows of a leaderboard: the candidates, and three controls that an instruction has to beat to mean something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from instructor_core.errors import UserError

UNRELATED_INSTRUCTION = "Represent the weather chart for estimating the tide: "


class Role(StrEnum):
    """What a row of the leaderboard is; the value is its name on screen."""

    CANDIDATE = "candidate"
    EMPTY = "empty"
    """The texts alone."""
    SHUFFLED = "shuffled"
    """The words of a candidate in another order: does the sentence matter, or only its words?"""
    UNRELATED = "unrelated"
    """An instruction that has nothing to do with the labels: does any instruction help?"""


@dataclass(frozen=True)
class Entry:
    """One row to be: an instruction, as it is encoded, its role, and its place among the candidates as given."""

    instruction: str
    role: Role
    at: int = 0  # of a control that nobody gave: 0


def with_controls(candidates: Sequence[str]) -> tuple[Entry, ...]:
    """Candidates in their order, each once, then the controls; an empty candidate is one of these."""
    joined = [one_space(candidate) for candidate in candidates]
    if not any(joined):
        raise UserError(
            f"A leaderboard needs at least 1 instruction that is not empty: got {len(candidates)} candidates, "
            "0 of them with words. Add an instruction."
        )
    once: dict[str, Entry] = {}
    for at, text in enumerate(joined):
        once.setdefault(" ".join(text.split()), Entry(text, Role.CANDIDATE if text else Role.EMPTY, at))
    entries = list(once.values())
    if all(joined):
        entries.append(Entry("", Role.EMPTY))
    shuffled = next((text for text in map(shuffle_words, joined) if text is not None), None)
    if shuffled is not None:
        entries.append(Entry(shuffled, Role.SHUFFLED))
    return (*entries, Entry(UNRELATED_INSTRUCTION, Role.UNRELATED))


def one_space(instruction: str) -> str:
    """The instruction without outer spaces and with exactly one space at its end; the empty one stays empty."""
    return instruction.strip() + " " if instruction.strip() else ""


def shuffle_words(instruction: str) -> str | None:
    """The words in another order, always the same; closing marks stay last. None where no other order exists."""
    core = instruction.strip()
    stem = core.rstrip(":;.,!? ")
    words = stem.split()
    if len(set(words)) < 2:
        return None
    rng = np.random.default_rng(0)
    mixed = words
    while mixed == words:
        mixed = [words[i] for i in rng.permutation(len(words))]
    return " ".join(mixed) + core[len(stem) :] + " "
