"""What a visitor entered, parsed and checked: the one value that every tab reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from instructor_core.errors import UserError
from instructor_core.table.cells import is_blank, well_formed

MAX_INSTRUCTIONS = 8
MAX_TEXTS = 10_000
MAX_INSTRUCTION = 2_000  # characters, in a file or a link
MAX_CHARACTERS = 20_000  # per text; far more than 512 tokens, little enough to tokenize at once
MAX_ALL_CHARACTERS = 2_000_000  # of all texts together: what a visitor types stays in memory while the page is open

# Everything at which `str.splitlines` ends a line, and the tab, which parts a text from its label.
_BREAKS = re.compile("[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


@dataclass(frozen=True)
class Inputs:
    """A checked request."""

    checkpoint_id: str  # as `Runtime.encoder` takes it: with a template after a line end, if it is not the checkpoint's
    instructions: tuple[str, ...]  # K; each is empty or ends with exactly one space
    texts: tuple[str, ...]  # N, stripped, none empty
    labels: tuple[str, ...] | None  # N, "" where a text has none; None if no text has one
    more_labels: tuple[tuple[str, ...], ...] = ()  # further ways to label the same texts, N each
    beside_id: str = ""  # a second checkpoint, whose figures stand beside those of the first; "" for none

    @property
    def choice(self) -> str:
        """The value of the menu of checkpoints."""
        return choice_of(self.checkpoint, self.beside_id)

    @property
    def runs(self) -> tuple[Inputs, ...]:
        """The request under its first checkpoint alone and, if there is one, under the second."""
        if not self.beside_id:
            return (self,)
        return replace(self, beside_id=""), replace(self, checkpoint_id=self.beside_id, beside_id="")

    @property
    def checkpoint(self) -> str:
        """The checkpoint as the menu has it."""
        return self.checkpoint_id.partition("\n")[0]

    @property
    def template(self) -> str:
        """The template that a visitor wrote; "" for the checkpoint's own."""
        return self.checkpoint_id.partition("\n")[2]

    @property
    def label_columns(self) -> tuple[tuple[str, ...], ...]:
        """All ways to label the texts, the first one first; none if there are no labels."""
        return () if self.labels is None else (self.labels, *self.more_labels)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All K x N pairs, instruction by instruction."""
        return [(instruction, text) for instruction in self.instructions for text in self.texts]


def choice_of(first: str, beside: str) -> str:
    """Return the value of the menu of checkpoints for one checkpoint ("" beside it), or for two."""
    return f"{first} + {beside}" if beside else first


def one_line(text: str) -> str:
    r"""Return `text` well formed, on one line, without tabs and without outer spaces.

    >>> one_line(" two\r\nlines\t")
    'two lines'
    """
    return _BREAKS.sub(" ", well_formed(text)).strip()


def join_ready(instruction: str) -> str:
    """Return the instruction on one line, ending with exactly one space, so that no token straddles the joint."""
    words = " ".join(well_formed(instruction).split())
    return f"{words} " if words else ""


def parse_texts(typed: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Split what stands in the text field into texts and columns of labels.

    One text per line; blank lines are passed over. Labels may follow a text after tabs, as in columns pasted from a
    spreadsheet, where a text in quotation marks may also go over line ends; a single label may follow after `` | ``.
    A column has a label for each of the N texts, "" where there is none; there is no column if no line has a label.
    """
    texts: list[str] = []
    rows: list[list[str]] = []
    for number, line in _lines(well_formed(typed)):
        before, found, after = line.rpartition(" | ")
        cells = line.split("\t") if "\t" in line else [before, after] if found else [line]
        text, *labels = (cell.strip() for cell in cells)
        if is_blank(text) and all(map(is_blank, labels)):
            continue
        if is_blank(text):
            raise UserError(f'Line {number} has a label and no text: got "{line.strip()[:40]}". Write the text first.')
        if len(text) > MAX_CHARACTERS:
            raise UserError(
                f"A text may have {MAX_CHARACTERS} characters: line {number} has {len(text)}. Shorten or split it."
            )
        texts.append(text)
        rows.append(labels)
    if not texts:
        raise UserError("There is no text to embed. Write or paste one text per line.")
    if len(texts) > MAX_TEXTS:
        raise UserError(f"The page takes {MAX_TEXTS} texts: got {len(texts)}. Remove some lines.")
    total = sum(map(len, texts))
    if total > MAX_ALL_CHARACTERS:
        raise UserError(
            f"All texts together may have {MAX_ALL_CHARACTERS} characters: these have {total}. Remove or shorten some."
        )
    n_columns = max(len(labels) for labels in rows)
    columns = tuple(tuple(labels[at] if at < len(labels) else "" for labels in rows) for at in range(n_columns))
    return tuple(texts), tuple(column for column in columns if any(column))


def _lines(typed: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; a pasted cell in quotation marks that goes over line ends is put on one line."""
    lines = typed.splitlines()
    from_a_table = "\t" in typed
    number = 0
    while number < len(lines):
        line, first = lines[number], number + 1
        number += 1
        if from_a_table and line.startswith('"') and "\t" not in line and line.count('"') % 2:
            # A line with an even number of quotation marks neither ends the cell nor leaves one open.
            ends = (at for at in range(number, len(lines)) if lines[at].count('"') % 2)
            if (last := next(ends, None)) is not None:
                cell, mark, rest = "\n".join(lines[number - 1 : last + 1])[1:].replace('""', "\0").partition('"')
                if mark and (not rest or rest.startswith("\t")):
                    line, number = one_line(cell.replace("\0", '"')) + rest.replace("\0", '""'), last + 1
        yield first, line


def as_line(text: str, labels: Sequence[str]) -> str:
    """Return one line of the text field, as `parse_texts` reads it.

    A last tab keeps `` | `` in a text from being read as a mark, and a lone quotation mark from opening a cell.
    """
    line = "\t".join((text, *labels)).rstrip("\t")
    guarded = " | " in line or (line.startswith('"') and line.count('"') % 2 == 1)
    return f"{line}\t" if guarded and "\t" not in line else line


def format_texts(inputs: Inputs) -> str:
    """Return the inverse of ``parse_texts``: one line per text, its labels after tabs."""
    return "\n".join(as_line(text, labels) for text, *labels in zip(inputs.texts, *inputs.label_columns, strict=True))


def parse_inputs(checkpoint_id: str, instructions: Sequence[str], typed_texts: str) -> Inputs:
    """Check everything a visitor entered; a UserError says what was wrong, what was got and what to do."""
    if not 1 <= len(instructions) <= MAX_INSTRUCTIONS:
        raise UserError(f"The page takes 1 to {MAX_INSTRUCTIONS} instructions: got {len(instructions)}.")
    texts, columns = parse_texts(typed_texts)
    ready = tuple(join_ready(instruction) for instruction in instructions)
    return Inputs(checkpoint_id, ready, texts, columns[0] if columns else None, columns[1:])
