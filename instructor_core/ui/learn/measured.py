"""What a claim of a lesson is held against, a run with what is selected in it, and what evaluating one gave."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass as sound_dataclass

from instructor_core.analysis.calibration import background, unrelated_sentences
from instructor_core.analysis.grid import letter, unit_vectors
from instructor_core.analysis.numbers import number
from instructor_core.cache import CachedEncoder
from instructor_core.encoder import TokenEncoding
from instructor_core.errors import UserError
from instructor_core.ui.data.fingerprints import edits_of
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.page import Selected

Index = Annotated[int, Field(ge=0)]
Answer = tuple[bool, *tuple[str, ...]]  # whether a claim holds, and the words of its slots


@sound_dataclass(frozen=True, config={"extra": "forbid"})
class Cell:
    """Two texts under one instruction, or the second one under its own, by index; without a pair the selected texts."""

    instruction: Index
    pair: tuple[Index, Index] | None = None
    column_instruction: Index | None = None


@dataclass(frozen=True)
class EmbeddedRun:
    """What a claim is held against: a run, what is selected in it, and the encoder that embeds it."""

    encoder: CachedEncoder
    inputs: Inputs
    selected: Selected

    def instruction(self, index: int) -> str:
        """Return an instruction; a UserError says where there are too few."""
        instructions = self.inputs.instructions
        if index >= len(instructions):
            raise UserError(
                f"This task is about instruction {letter(index)}: there is only {letter(len(instructions) - 1)}. "
                "Press “+ add” and write one."
            )
        return instructions[index]

    def pair(self, cell: Cell) -> tuple[int, int]:
        """Return the two texts of a cell; selected ones must differ."""
        if cell.pair is not None:
            return cell.pair
        first, second = self.selected.row, self.selected.column
        if len({" ".join(self.inputs.texts[at].casefold().split()) for at in (first, second)}) < 2:
            raise UserError("Two different texts are needed: got one. Write them, click the one, then the other.")
        return first, second

    def embeddings(self, instruction: int) -> NDArray[np.float32]:
        """Return the unit embeddings of all texts under one instruction, (N, D)."""
        words = self.instruction(instruction)
        return unit_vectors(self.encoder.encode([(words, text) for text in self.inputs.texts]))

    def cosine(self, cell: Cell) -> float:
        """Return the cosine of the two texts of a cell."""
        columns = cell.instruction if cell.column_instruction is None else cell.column_instruction
        first, second = self.pair(cell)
        return float(self.embeddings(cell.instruction)[first] @ self.embeddings(columns)[second])

    def percentile(self, cell: Cell) -> tuple[float, float]:
        """Return the share of unrelated sentence pairs that are less alike than a cell, and the median of those."""
        sentences, words = unrelated_sentences(), self.instruction(cell.instruction)
        vectors = self.encoder.encode([(words, text) for text in sentences.texts])
        unrelated = background(vectors, sentences.domains)
        (percentile,) = unrelated.percentiles(np.array([self.cosine(cell)], dtype=np.float32))
        return float(percentile), float(np.median(unrelated.cosines))

    def shared_words(self, cell: Cell) -> list[str]:
        """Return the words of four letters and more that stand in both texts of a cell."""
        first, second = (set(re.findall(r"\w{4,}", self.inputs.texts[at].casefold())) for at in self.pair(cell))
        return sorted(first & second)

    def tokens(self, instruction: int, *texts: int, deep: bool = False) -> list[TokenEncoding]:
        """Return the token encodings of texts under one instruction."""
        words = self.instruction(instruction)
        return self.encoder.encode_tokens([(words, self.inputs.texts[i]) for i in texts], deep=deep)

    def move(self, first: int, second: int) -> float:
        """Return how far the texts move from one instruction to another: mean `1 - cos` of a text with itself."""
        return _move(self.embeddings(first), self.embeddings(second))

    def noise(self, instruction: int) -> float:
        """Return the noise floor of an instruction: the furthest that an edit without meaning moves the texts."""
        own, texts = self.embeddings(instruction), self.inputs.texts
        edited = ([(edit, text) for text in texts] for edit in edits_of(self.instruction(instruction)))
        return max(_move(own, unit_vectors(self.encoder.encode(pairs))) for pairs in edited)


def _move(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return max(0.0, float((1.0 - (first * second).sum(axis=1)).mean()))  # rounding may go below


@dataclass(frozen=True)
class Measured:
    """What evaluating a claim gave: whether it is true of the run, and (slot, words) of what was measured."""

    holds: bool
    numbers: tuple[tuple[str, str], ...]
    wanted: tuple[tuple[str, str], ...]  # the bounds of the claim by their names, to be quoted as well
    run: EmbeddedRun

    def fill(self, sentence: str) -> str:
        """Return a sentence with each `{slot}` replaced by what was measured, and `{B 1 2}` by the cosine of two texts.

        The letter is the instruction and the numbers are the texts, all as on the page.
        """
        for slot, words in (*self.numbers, *self.wanted):
            sentence = sentence.replace("{" + slot + "}", words)
        return re.sub(r"\{([A-H]) (\d+) (\d+)\}", self._cosine, sentence)

    def _cosine(self, found: re.Match[str]) -> str:
        row, column = int(found[2]) - 1, int(found[3]) - 1
        return number(self.run.cosine(Cell(ord(found[1]) - ord("A"), (row, column))))

    def otherwise(self, checkpoint_id: str, sentence: str = "") -> str:
        """Return what is said of a checkpoint of which the claim is not true: what a sentence would quote, or all."""
        quoted = [(slot, words) for slot, words in self.numbers if "{" + slot + "}" in sentence] or self.numbers
        listed = ", ".join(f"{slot.replace('_', ' ')} {words}" for slot, words in quoted)
        return f"{checkpoint_id} does otherwise: {listed}."


@dataclass(frozen=True)
class Claim:
    """An assertion on a run; `slots` are what its sentences may quote."""

    kind: str
    slots: tuple[str, ...]
    wanted: tuple[tuple[str, str], ...]
    check: Callable[[EmbeddedRun], Answer]

    def measure(self, encoder: CachedEncoder, inputs: Inputs, selected: Selected) -> Measured:
        """Evaluate the claim on a run and what is selected in it."""
        run = EmbeddedRun(encoder, inputs, selected.within(inputs))
        holds, *words = self.check(run)
        return Measured(holds, tuple(zip(self.slots, words, strict=True)), self.wanted, run)
