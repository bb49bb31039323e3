"""What a visitor entered, parsed and checked: the one value that every tab reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from instructor_core.errors import UserError

MAX_INSTRUCTIONS = 8
MAX_TEXTS = 2000
MAX_CHARACTERS = 20_000  # per text; far more than 512 tokens, little enough to tokenize at once


@dataclass(frozen=True)
class Inputs:
    """A checked request.

    Attributes:
        checkpoint_id: Name in the registry.
        instructions: K instructions; each is empty or ends with exactly one space.
        texts: N texts, stripped, none empty.
        labels: N labels, "" where a text has none; None if no text has one.
    """

    checkpoint_id: str
    instructions: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...] | None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All K x N pairs, instruction by instruction."""
        return [(instruction, text) for instruction in self.instructions for text in self.texts]


def join_ready(instruction: str) -> str:
    """Return the instruction on one line, ending with exactly one space, so that no token straddles the joint."""
    words = " ".join(instruction.split())
    return f"{words} " if words else ""


def parse_texts(typed: str) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Split what stands in the text field into texts and labels.

    One text per line; blank lines are passed over. A label may follow a text after a tab (two columns pasted from a
    spreadsheet) or after `` | ``.

    Returns:
        N texts, and N labels ("" where there is none) or None if no line has a label.

    Raises:
        UserError: If there is no text, or if there are too many or too long ones.
    """
    texts, labels = [], []
    for number, line in enumerate(typed.splitlines(), start=1):
        separator = "\t" if "\t" in line else " | "
        before, found, after = line.rpartition(separator)
        text, label = (before.strip(), after.strip()) if found else (line.strip(), "")
        if not text and not label:
            continue
        if not text:
            raise UserError(f'Line {number} has a label and no text: got "{label[:40]}". Write the text before it.')
        if len(text) > MAX_CHARACTERS:
            raise UserError(
                f"A text may have {MAX_CHARACTERS} characters: line {number} has {len(text)}. Shorten or split it."
            )
        texts.append(text)
        labels.append(label)
    if not texts:
        raise UserError("There is no text to embed. Write or paste one text per line.")
    if len(texts) > MAX_TEXTS:
        raise UserError(f"The page takes {MAX_TEXTS} texts: got {len(texts)}. Remove some lines.")
    return tuple(texts), tuple(labels) if any(labels) else None


def format_texts(texts: Sequence[str], labels: Sequence[str] | None) -> str:
    """Return the inverse of ``parse_texts``: one line per text, its label after a tab."""
    if labels is None:
        return "\n".join(texts)
    return "\n".join(f"{text}\t{label}" if label else text for text, label in zip(texts, labels, strict=True))


def parse_inputs(checkpoint_id: str, instructions: Sequence[str], typed_texts: str) -> Inputs:
    """Check everything a visitor entered.

    Raises:
        UserError: With what was wrong, what was got and what to do.
    """
    if not 1 <= len(instructions) <= MAX_INSTRUCTIONS:
        raise UserError(f"The page takes 1 to {MAX_INSTRUCTIONS} instructions: got {len(instructions)}.")
    texts, labels = parse_texts(typed_texts)
    return Inputs(checkpoint_id, tuple(join_ready(instruction) for instruction in instructions), texts, labels)
