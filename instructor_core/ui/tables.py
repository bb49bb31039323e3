"""A table of strings from a file: its columns of texts and labels, and the lines they become in the text field."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from instructor_core.errors import UserError
from instructor_core.ui.inputs import MAX_CHARACTERS, MAX_INSTRUCTION, MAX_INSTRUCTIONS, MAX_TEXTS
from instructor_core.ui.strings import one_line

Sample = Literal["first", "spread", "random"]

MAX_ROWS = 100_000  # from which a sample is drawn; the page takes fewer texts
MAX_COLUMNS = 200
MAX_CELL = 131_072  # characters; also the limit of Python's csv module
SEED = 42

_TEXT_NAMES = (
    *("text", "texts", "sentence", "sentences", "content", "review", "document", "query", "question"),
    *("utterance", "message", "comment", "tweet", "body", "abstract", "title", "description", "passage"),
)
_LABEL_NAMES = (
    *("label", "labels", "class", "category", "topic", "sentiment", "intent", "target", "tag", "group", "type"),
)
_INSTRUCTION_NAMES = ("instruction", "instructions")
_MAX_LABELS = 30
_MAX_LABEL_LENGTH = 40
_MAX_HEADER_LENGTH = 60
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?%?", re.ASCII)


@dataclass(frozen=True)
class Table:
    """What a file holds, cell by cell as it is written there.

    Attributes:
        columns: Names, all different.
        rows: Each as long as `columns`; every cell a string.
        places: Where each row starts in the file, counted from 1.
        unit: What is counted: "line", "item" (of a JSON array) or "row" (of a Parquet file).
        has_header: Whether the first line gave the names; None for a format that names its columns itself.
        note: What was guessed, replaced or left out, in full sentences; "" for nothing.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    places: tuple[int, ...]
    unit: str = "line"
    has_header: bool | None = None
    note: str = ""

    def place(self, row: int) -> str:
        """Return where a row stands in the file, for messages: "line 7"."""
        return f"{self.unit} {self.places[row]}"

    def noted(self, *sentences: str) -> Table:
        """Return the table with more to say about it."""
        return replace(self, note=" ".join(sentence for sentence in (self.note, *sentences) if sentence))


def column_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names on one line, of bounded length, none empty and none twice."""
    out: dict[str, None] = {}
    for number, raw in enumerate(names, start=1):
        base = one_line(raw)[:_MAX_HEADER_LENGTH] or f"column {number}"
        name, copy = base, 2
        while name in out:
            name, copy = f"{base} ({copy})", copy + 1
        out[name] = None
    return tuple(out)


def looks_like_header(first: tuple[str, ...], body: tuple[tuple[str, ...], ...]) -> bool:
    """Return whether the first row names the columns.

    It does if one cell is a usual name of a column. It also does if all its cells are short, different, no numbers
    and not found below, and either a column below holds numbers alone or the longest cells below are much longer.
    """
    cells = [cell.strip() for cell in first]
    if any(cell.casefold() in {*_TEXT_NAMES, *_LABEL_NAMES, *_INSTRUCTION_NAMES} for cell in cells):
        return True
    short = all(cell and len(cell) <= _MAX_HEADER_LENGTH and len(cell.split()) <= 4 for cell in cells)
    if not body or not short or len(set(cells)) < len(cells) or any(_NUMBER.fullmatch(cell) for cell in cells):
        return False
    below = [[row[column].strip() for row in body if column < len(row)] for column in range(len(cells))]
    if any(cell in values for cell, values in zip(cells, below, strict=True)):
        return False
    if any(values and all(_NUMBER.fullmatch(value) for value in values) for values in below):
        return True
    longest = max(sum(map(len, values)) / len(values) for values in below if values)
    return longest > 3 * max(map(len, cells)) and len(cells) > 1


def guess_columns(table: Table) -> tuple[int, int | None]:
    """Return the likely column of texts, and that of labels or None, by name, else by content.

    Texts are the longest cells on average; labels are short and few, each used more than once.
    """
    names = [name.casefold() for name in table.columns]
    instruction = guess_instructions(table)
    by_name = next((names.index(name) for name in _TEXT_NAMES if name in names), None)
    cells = [[row[column].strip() for row in table.rows] for column in range(len(names))]
    lengths = [sum(len(cell) for cell in column if not _NUMBER.fullmatch(cell)) for column in cells]
    others = [column for column in range(len(names)) if column != instruction] or [0]
    text = by_name if by_name is not None else max(others, key=lambda column: (lengths[column], -column))
    for name in _LABEL_NAMES:
        if name in names and names.index(name) != text:
            return text, names.index(name)
    kinds = [{cell for cell in column if cell} for column in cells]
    few = [
        column
        for column, different in enumerate(kinds)
        if column not in (text, instruction)
        and 2 <= len(different) <= min(_MAX_LABELS, len(table.rows) // 2)
        and max(map(len, different)) <= _MAX_LABEL_LENGTH
    ]
    return text, min(few, key=lambda column: (len(kinds[column]), column), default=None)


def guess_instructions(table: Table) -> int | None:
    """Return the column that is called "instruction" or "instructions", or None."""
    names = [name.casefold() for name in table.columns]
    return next((names.index(name) for name in _INSTRUCTION_NAMES if name in names), None)


def instructions_of(table: Table, column: int, text: int) -> tuple[tuple[str, ...], str]:
    """Return the different instructions of a column in the order of the file, at most 8, and what becomes of them.

    Every text is embedded under every instruction, which is what the page compares; a blank cell is the control
    without an instruction. Rows without a text do not count.

    Raises:
        UserError: For a column that does not exist or holds the texts, and for an instruction that is too long.
    """
    if not 0 <= column < len(table.columns) or column == text:
        raise UserError("The instructions need a column of their own, other than that of the texts. Choose another.")
    found: dict[str, None] = {}
    for row, cells in enumerate(table.rows):
        words = " ".join(one_line(cells[column]).split())
        if len(words) > MAX_INSTRUCTION:
            raise UserError(
                f"An instruction may have {MAX_INSTRUCTION} characters: {table.place(row)} has {len(words)}. "
                "Shorten it, or choose another column."
            )
        if one_line(cells[text]):
            found.setdefault(words)
    kept = tuple(found)[:MAX_INSTRUCTIONS]
    if len(kept) < len(found):
        share = f"has {len(found)} different instructions; the first {len(kept)} replace the list above"
    else:
        share = f"has {len(kept)} different instruction{'s' * (len(kept) != 1)}, which replace the list above"
    return kept, (
        f"The column {table.columns[column]!r} {share}. Each text appears under every one of them, and is taken once."
    )


def rows_cut(total: int) -> str:
    """Return the sentence on rows that were not read; "" where all were."""
    return f"The file has {total} rows; the first {MAX_ROWS} were read." if total > MAX_ROWS else ""


def sampled(n: int, limit: int, sample: Sample, seed: int = SEED) -> list[int]:
    """Return at most `limit` of the indices 0 to n - 1, rising: the first, evenly spread, or drawn at random."""
    if n <= limit:
        return list(range(n))
    if sample == "random":
        return sorted(random.Random(seed).sample(range(n), limit))
    return [i * n // limit for i in range(limit)] if sample == "spread" else list(range(limit))


def to_lines(
    table: Table,
    text: int,
    labels: Sequence[int] = (),
    *,
    sample: Sample = "first",
    limit: int = MAX_TEXTS,
    seed: int = SEED,
    once: bool = False,
) -> tuple[str, str]:
    """Return what goes into the text field, and a note on what was left out.

    Tabs and line breaks inside cells become spaces. `parse_texts` reads back exactly these texts and labels.

    Args:
        table: What a file holds.
        text: Column of the texts.
        labels: Columns of labels.
        sample: Which rows to take where there are more than `limit` with a text.
        limit: Texts at most, 1 to 10,000.
        seed: Of the random sample.
        once: Whether rows with the same text and labels count as one.

    Raises:
        UserError: For a column that does not exist, for a text that is too long, and if no row has a text.
    """
    for column in (text, *labels):
        if not 0 <= column < len(table.columns):
            raise UserError(f"The file has {len(table.columns)} columns: got number {column + 1}. Choose another.")
    filled = [row for row, cells in enumerate(table.rows) if one_line(cells[text])]
    if not filled:
        raise UserError(f"The column {table.columns[text]!r} has no text in any row. Choose another column.")
    n_filled = len(filled)
    if once:
        first = {
            tuple(one_line(table.rows[row][column]) for column in (text, *labels)): row for row in reversed(filled)
        }
        filled = sorted(first.values())
    limit = max(1, min(limit, MAX_TEXTS))
    taken = [filled[i] for i in sampled(len(filled), limit, sample, seed)]
    lines = []
    for row in taken:
        words, *names = (one_line(table.rows[row][column]) for column in (text, *labels))
        if len(words) > MAX_CHARACTERS:
            raise UserError(
                f"A text may have {MAX_CHARACTERS} characters: {table.place(row)} has {len(words)}. "
                "Shorten or split it in the file."
            )
        lines.append(as_line(words, names))
    notes = []
    if len(taken) < len(filled):
        how = {"first": "the first ones", "spread": "evenly spread ones", "random": f"drawn at random, seed {seed}"}
        notes.append(f"{len(taken)} of {len(filled)} texts were taken: {how[sample]}.")
    if len(filled) < n_filled:
        notes.append(f"Rows that repeat a text and its labels: {n_filled - len(filled)}.")
    if n_filled < len(table.rows):
        notes.append(f"{len(table.rows) - n_filled} rows without a text were left out.")
    return "\n".join(lines), " ".join(notes)


def as_line(text: str, labels: Sequence[str]) -> str:
    """Return one line of the text field; a last tab keeps `` | `` in a text from being read as a mark."""
    line = "\t".join((text, *labels)).rstrip("\t")
    return f"{line}\t" if " | " in text and "\t" not in line else line
