"""A file from a visitor: a table of strings, its columns, and the lines that they become in the text field."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from instructor_core.analysis.numbers import counted
from instructor_core.analysis.suggest import load_builder
from instructor_core.errors import UserError
from instructor_core.figures.theme import shorten
from instructor_core.table import FILE_TYPES, Reading, TableFile, is_blank
from instructor_core.table.header import INSTRUCTION_NAMES, LABEL_NAMES, NUMBER, TEXT_NAMES, words_of
from instructor_core.ui.data.inputs import (
    MAX_ALL_CHARACTERS,
    MAX_CHARACTERS,
    MAX_INSTRUCTION,
    MAX_INSTRUCTIONS,
    MAX_TEXTS,
    as_line,
    one_line,
)

MAX_FILE_BYTES = 5_000_000
MAX_UNPACKED_BYTES = 50_000_000
MAX_ROWS = 100_000  # from which a sample is drawn; the page takes fewer texts
MAX_COLUMNS = 200
UPLOAD_TYPES = (*FILE_TYPES, ".gz")

Sample = Literal["first", "spread", "random"]
TooLong = Literal["cut", "leave out"]

SEED = 42

_MAX_LABELS = 30
_MAX_LABEL_LENGTH = 40
_WEAK_NAMES = {"title", "description", "query", "question", "passage", "content", "body"}

MAX_PROPOSED = 3  # columns of labels that an instruction is proposed for
MAX_NAMED = 4  # labels that stand in an instruction instead of the name of their column
MAX_OBJECTIVE = 100  # characters
SAYS_NOTHING = {"label", "labels", "class", "target", "y", "gold", "tag", "output", "annotation", "column"}


@dataclass(frozen=True)
class Table:
    """What a file holds, cell by cell as it is written there."""

    columns: tuple[str, ...]  # names, all different
    rows: tuple[tuple[str, ...], ...]  # each as long as `columns`
    places: tuple[int, ...]  # where each row starts in the file, counted from 1
    unit: str = "line"  # of places: "line", "item" (of a JSON array) or "row" (of a Parquet file)
    has_header: bool | None = None  # None for a format that names its columns itself
    has_long_rows: bool = False  # whether some rows have more fields than there are columns
    note: str = ""  # what was guessed, replaced or left out, in full sentences; "" for nothing

    def place(self, row: int) -> str:
        """Return where a row stands in the file, for messages: "line 7"."""
        return f"{self.unit} {self.places[row]}"


def read_table(path: str | Path, *, header: bool | None = None, cut_rows: bool = False) -> Table:
    """Return what a file holds, by the ending of its name; None guesses whether its first line names the columns."""
    file = Path(path)
    size = file.stat().st_size if file.is_file() else 0
    if size > MAX_FILE_BYTES:
        raise UserError(
            f"A file may have {MAX_FILE_BYTES / 1e6:.0f} MB: got {size / 1e6:.1f} MB. Split it, or leave out rows."
        )
    reading = Reading(
        header=header, surplus="cut" if cut_rows else None, most=MAX_UNPACKED_BYTES, most_columns=MAX_COLUMNS
    )
    opened = TableFile(file, reading)
    rows = opened.rows()
    read = list(islice(rows, MAX_ROWS))
    total = len(read) + sum(1 for _ in rows)
    if not read:
        raise UserError(f"{file.name} has no row that can be read. {' '.join(opened.notes.sentences())}".strip())
    cut = [f"The file has {total} rows; the first {MAX_ROWS} were read."] if total > MAX_ROWS else []
    places, cells = zip(*read, strict=True)
    return Table(
        opened.columns,
        cells,
        places,
        unit=opened.notes.unit,
        has_header=opened.has_header,
        has_long_rows=any("more fields" in what for what, _ in opened.notes.found),
        note=" ".join([*opened.notes.sentences(), *cut]),
    )


def guess_columns(table: Table) -> tuple[int, int | None]:
    """Return the likely column of texts, and that of labels or None, by name and content.

    Texts are the longest cells on average, blank ones included, where a usual name counts for length; labels are short
    and few, each used more than once.
    """
    names = [name.casefold() for name in table.columns]
    words = [words_of(name) for name in table.columns]
    instruction = guess_instructions(table)
    cells = [[row[column].strip() for row in table.rows] for column in range(len(names))]

    def likeness(column: int) -> tuple[float, int]:
        length = sum(min(len(cell), 300) for cell in cells[column] if not NUMBER.fullmatch(cell)) / len(table.rows)
        if not any(" " in cell or not cell.isascii() for cell in cells[column]):
            length /= 5  # ids, addresses, single words
        strong = any(word in TEXT_NAMES and word not in _WEAK_NAMES for word in words[column])
        weak = any(word in _WEAK_NAMES for word in words[column])
        return length * (10 if names[column] in ("text", "texts") else 5 if strong else 2 if weak else 1), -column

    text = max((column for column in range(len(names)) if column != instruction or len(names) == 1), key=likeness)
    named = (names.index(name) for name in LABEL_NAMES if name in names and names.index(name) != text)
    if (label := next(named, None)) is not None:
        return text, label
    kinds = [{cell for cell in column if cell} for column in cells]
    few = [
        column
        for column, different in enumerate(kinds)
        if column not in (text, instruction)
        and 2 <= len(different) <= min(_MAX_LABELS, len(table.rows) // 2)
        and max(map(len, different)) <= _MAX_LABEL_LENGTH
    ]
    return text, min(few, key=lambda at: (not set(words[at]) & set(LABEL_NAMES), len(kinds[at]), at), default=None)


def guess_instructions(table: Table) -> int | None:
    """Return the column that is called "instruction" or "instructions", or None."""
    names = [name.casefold() for name in table.columns]
    return next((names.index(name) for name in INSTRUCTION_NAMES if name in names), None)


def propose_instructions(table: Table, text: int, labels: Sequence[int]) -> tuple[str, ...]:
    """Return instructions in the paper's template for the columns of labels, and none to hold them against.

    A column whose name says nothing is named by its labels, if they are few; without labels topic and sentiment are
    proposed.
    """
    builder = load_builder()
    words = re.findall(r"[a-z]+", table.columns[text].lower())
    kinds = [word.removesuffix("s") for word in words if word.removesuffix("s") in builder.text_types]
    kind = kinds[-1] if kinds else "text"
    objectives = []
    for column in labels[:MAX_PROPOSED]:
        name = " ".join(re.findall(r"[^\W_]+", table.columns[column]))
        values = sorted({row[column] for row in table.rows if not is_blank(row[column])})
        if not name or name.lower() in SAYS_NOTHING or name.isdecimal():
            few = 2 <= len(values) <= MAX_NAMED and all(value[:1].isalpha() for value in values)
            listed = " or ".join((", ".join(values[:-1]), values[-1])) if few else ""
            objectives.append(f"determining if it is {listed}" if few else "classifying it")
        else:
            objectives.append(f"classifying the {name.lower()}")
    proposed = [f"Represent the {kind} for {shorten(objective, MAX_OBJECTIVE)}:" for objective in objectives]
    if not proposed:
        return tuple(f"Represent the {kind} for classifying the {axis}:" for axis in ("topic", "sentiment"))
    return (*proposed, "")


def instructions_of(table: Table, column: int, text: int) -> tuple[tuple[str, ...], str]:
    """Return the different instructions of a column in the order of the file, at most 8, and what becomes of them.

    Every text is embedded under every instruction, which is what the page compares; a blank cell is the control
    without an instruction. Rows without a text do not count.
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
        if not is_blank(cells[text]):
            found.setdefault(words)
    taken = tuple(found)[:MAX_INSTRUCTIONS]
    if len(taken) < len(found):
        share = f"has {len(found)} different instructions; the first {len(taken)} replace the list above"
    else:
        share = f"has {len(taken)} different instruction{'s' * (len(taken) != 1)}, which replace the list above"
    return taken, (
        f"The column {table.columns[column]!r} {share}. Each text appears under every one of them, and is taken once."
    )


def choose_rows(n: int, limit: int, sample: Sample, seed: int = SEED) -> list[int]:
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
    too_long: TooLong = "cut",
) -> tuple[str, str]:
    """Return what goes into the text field, and a note on what was left out.

    Tabs and line breaks inside cells become spaces. `parse_texts` reads back exactly these texts and labels. With
    `once`, rows with the same text and labels count as one.
    """
    for column in (text, *labels):
        if not 0 <= column < len(table.columns):
            raise UserError(f"The file has {len(table.columns)} columns: got number {column + 1}. Choose another.")
    filled = [row for row, cells in enumerate(table.rows) if not is_blank(cells[text])]
    if not filled:
        raise UserError(f"The column {table.columns[text]!r} has no text in any row. Choose another column.")
    n_filled = len(filled)
    long = [row for row in filled if len(one_line(table.rows[row][text])) > MAX_CHARACTERS]
    if too_long == "leave out" and long:
        left = set(long)
        filled = [row for row in filled if row not in left]
        if not filled:
            raise UserError(f"All texts have more than {MAX_CHARACTERS} characters. Let them be cut.")
    n_short = len(filled)
    if once:
        first = {
            tuple(one_line(table.rows[row][column]) for column in (text, *labels)): row for row in reversed(filled)
        }
        filled = sorted(first.values())
    limit = max(1, min(limit, MAX_TEXTS))
    taken = [filled[i] for i in choose_rows(len(filled), limit, sample, seed)]
    lines: list[str] = []
    total = 0
    for row in taken:
        words, *names = (one_line(table.rows[row][column]) for column in (text, *labels))
        words = words[:MAX_CHARACTERS].rstrip()
        total += len(words)
        if total > MAX_ALL_CHARACTERS:
            break
        lines.append(as_line(words, names))
    notes = []
    if len(taken) < len(filled):
        how = {"first": "the first ones", "spread": "evenly spread ones", "random": f"drawn at random, seed {seed}"}
        notes.append(f"{len(taken)} of {len(filled)} texts were taken: {how[sample]}.")
    if len(lines) < len(taken):
        notes.append(f"Only the first {len(lines)} of them: all together may have {MAX_ALL_CHARACTERS} characters.")
    if long:
        what = "cut there" if too_long == "cut" else "left out"
        where = ", ".join(map(str, (table.places[row] for row in long[:5])))
        notes.append(
            f"{counted(len(long), 'text')} of more than {MAX_CHARACTERS} characters: {what} ({table.unit} {where})."
        )
    if len(filled) < n_short:
        notes.append(f"Rows that repeat a text and its labels: {n_short - len(filled)}.")
    if n_filled < len(table.rows):
        missing = [table.places[row] for row, cells in enumerate(table.rows) if is_blank(cells[text])]
        where = ", ".join(map(str, missing[:5])) + ", ..." * (len(missing) > 5)
        notes.append(f"{counted(len(missing), 'row')} without a text: left out ({table.unit} {where}).")
    return "\n".join(lines), " ".join(notes)
