"""A file as a table of strings: opened once, read as often as needed, in memory that does not grow with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from instructor_core.errors import UserError
from instructor_core.table.cells import Notes, column_names, is_blank, mend
from instructor_core.table.decoding import find_encoding, open_text
from instructor_core.table.delimited import N_SAMPLED, ONE_COLUMN, DelimitedRows, Quoting, find_dialect
from instructor_core.table.header import is_about_the_table, looks_like_header
from instructor_core.table.structured import BadRows, as_row, json_values, open_parquet, parquet_rows

FILE_TYPES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet")
_MAX_SAMPLED = 2_000_000  # characters
_MAX_TITLES = 20  # lines above a table
_SEP = re.compile(r'"?sep=(.|\\t)"?,*', re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """How a file is read; None finds out.

    `quoting` is how a quotation mark within a quoted cell is written ("none": marks are characters like any other),
    `surplus` what becomes of a row with more fields than columns. The file may unpack to `most` bytes.
    """

    delimiter: str | None = None
    encoding: str | None = None
    quoting: Quoting | None = None
    header: bool | None = None
    surplus: Literal["leave out", "cut"] | None = None
    most: int | None = None
    most_columns: int | None = None


def kind_of(path: Path) -> str:
    """Return the ending that tells the format, ".csv" of ``NAME.csv.gz``."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if len(suffixes) > 1 and suffixes[-1] == ".gz" else suffixes[-1] if suffixes else ""
    if kind not in FILE_TYPES:
        raise UserError(
            f"{path.name} must end in one of {', '.join(FILE_TYPES)} (and .gz): got {kind[:20]!r}. Save "
            "it as one of these, or rename it if it is one."
        )
    return ".jsonl" if kind == ".ndjson" else kind


def is_json(path: Path) -> bool:
    """Return whether a file is read as JSON."""
    return kind_of(path) in (".json", ".jsonl")


class TableFile:
    """Rows of strings under named columns, none empty and none twice; these are known at once, rows read on demand.

    `kind` is an ending such as ".csv"; `has_header` is None for a format that names them itself; `notes` tell what
    was guessed, replaced or left out by the latest complete reading.
    """

    def __init__(self, path: str | Path, reading: Reading | None = None) -> None:
        self.path = path = Path(path)
        self.kind, self._reading = kind_of(path), (reading := reading or Reading())
        self.has_header: bool | None = None
        self.notes = Notes()
        self._encoding = ""
        if not path.is_file():
            raise UserError(f"There is no readable file {path.name}. Check the path, or upload it again.")
        if self.kind == ".parquet":
            with open_parquet(path, most=reading.most, most_columns=reading.most_columns) as file:
                self._names = tuple(file.schema_arrow.names)
        else:
            self._encoding, self._about = find_encoding(path, reading.encoding, most=reading.most)
            self._names = self._json_names() if self.kind in (".json", ".jsonl") else self._delimited_names()
        if not self._names:
            raise UserError(f"{path.name} has no rows. Choose another file.")
        if reading.most_columns is not None and len(self._names) > reading.most_columns:
            raise UserError(
                f"A file may have {reading.most_columns} columns: {path.name} has {len(self._names)}. Leave some out."
            )
        self.columns = column_names(self._names)

    def rows(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield (place, one string per column), from the first row on; `notes` begin anew."""
        self.notes = Notes(unit="row" if self.kind == ".parquet" else "line")
        if self.kind == ".parquet":
            most, most_columns = self._reading.most, self._reading.most_columns
            yield from enumerate(parquet_rows(self.path, most=most, most_columns=most_columns), start=1)
            return
        self.notes.about += [self._about] if self._about else []
        if self.kind in (".json", ".jsonl"):
            for place, row in self._json_objects():
                yield place, tuple(row.get(name, "") for name in self._names)
        else:
            yield from self._delimited_rows()

    # ------------------------------------------------------------------------------------------------------- JSON

    def _json_objects(self) -> Iterator[tuple[int, dict[str, str]]]:
        form: type | None = None
        for place, value in json_values(self.path, self.kind, self._encoding, self.notes):
            row = as_row(value)
            form = form or (type(value) if row is not None else None)
            if row is None or type(value) is not form:
                self.notes.count("row that is not like the others", "left out", place)
                continue
            yield place, row

    def _json_names(self) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for _, row in self._json_objects():
            names.update(dict.fromkeys(row))
            if self._reading.most_columns is not None and len(names) > self._reading.most_columns:
                break
        return tuple(names)

    # -------------------------------------------------------------------------------------------------- delimited

    def _delimited_names(self) -> tuple[str, ...]:
        """Find dialect, header and what stands above it; return the names."""
        reading = self._reading
        with open_text(self.path, self._encoding) as file:
            lines = file.readlines(_MAX_SAMPLED)
            whole = not file.readline()
        lines = [line.lstrip("\ufeff") if number == 0 else line for number, line in enumerate(lines)]
        self._skipped = next((number for number, line in enumerate(lines) if line.strip()), 0)
        delimiter = reading.delimiter
        asked = _SEP.fullmatch(lines[self._skipped].rstrip("\r\n")) if lines and self.kind != ".txt" else None
        if asked is not None:
            delimiter = delimiter or ("\t" if asked[1] == "\\t" else asked[1])
            self._skipped += 1
        self._dialect = find_dialect(lines[self._skipped :], self.kind, delimiter, reading.quoting)
        records = list(islice(DelimitedRows(lines[self._skipped :], self._dialect, first=self._skipped + 1), N_SAMPLED))
        cells = [row for _, row in records]
        n_above = is_about_the_table(cells[: _MAX_TITLES + 2], self._dialect.width) if reading.header is None else 0
        above = cells[:n_above]
        records, cells = records[n_above:], cells[n_above:]
        if not records:
            raise UserError(f"{self.path.name} has no line with text. Choose another file.")
        self._skipped = records[0][0] - 1
        self._above = ""
        if above:
            first = " ".join(" ".join(above[0]).split())[:60]
            self._above = f"{len(above)} line{'s' * (len(above) > 1)} above the table left out: {first!r}."
        body = [tuple(row) for row in cells[1:101]]
        self.has_header = looks_like_header(tuple(cells[0]), body) if reading.header is None else reading.header
        one = self._dialect.delimiter == ONE_COLUMN
        names = [cell.replace("\udc80", "") for cell in cells[0]] if self.has_header else []
        width = self._dialect.width
        if self.has_header and len(names) == width - 1 and not any(map(is_blank, names)):
            names = ["", *names]  # a table whose first column, the names of its rows, has no name
        self._width = len(names) or width
        self._not_rows = {records[0][0]} if self.has_header else set()
        if self.has_header and len(cells) > 2 and all(cell.lstrip().startswith('{"ImportId"') for cell in cells[2]):
            self._not_rows |= {records[1][0], records[2][0]}  # questions in words and ids below the header of a survey
        if self.has_header and len(records) == 1 and whole:
            raise UserError(
                f"{self.path.name} has a header and no rows below it. Choose another file, or say that its first line "
                "is no header."
            )
        return tuple(names) or (("text",) if one else ("",) * self._width)

    def _delimited_rows(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        notes, width = self.notes, self._width
        if self._above:
            notes.about.append(self._above)
        surplus = self._reading.surplus or (
            # Only a tab stands in no text: without a header the first columns are what they are in every row.
            "cut" if not self.has_header and self._dialect.delimiter == "\t" else "leave out"
        )
        with open_text(self.path, self._encoding) as file:
            lines = islice(file, self._skipped, None)
            records = DelimitedRows(lines, self._dialect, first=self._skipped + 1)
            n_lone = 0
            for place, raw in records:
                if place in self._not_rows:
                    continue
                cells = [cell if cell.isascii() and "\0" not in cell else mend(cell, place, notes) for cell in raw]
                cells[0] = cells[0].lstrip("\ufeff")  # also where files were put one behind the other
                if records.n_lone_quotes > n_lone:
                    notes.count("row that has a lone quotation mark", "read with the mark as a character", place)
                    n_lone = records.n_lone_quotes
                if len(cells) > width and not all(map(is_blank, cells[width:])):
                    if surplus == "leave out":
                        notes.count("row that has more fields than there are columns", "left out", place)
                        continue
                    notes.count("row that has more fields than there are columns", "cut to them", place)
                elif len(cells) < width and width > 1:
                    notes.count("row that has fewer fields than there are columns", "filled with blanks", place)
                yield place, (*cells[:width], *[""] * (width - len(cells)))


def read_values(
    path: str | Path, *, bad_rows: BadRows = "refuse", notes: Notes | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield (where, value) of each row: the values of a JSON file as they are, else an object of strings by column.

    What is in the file decides between JSON lines and one document.
    """
    path, notes = Path(path), notes or Notes()
    kind = kind_of(path) if path.suffix.lower() in (*FILE_TYPES, ".gz") else ".jsonl"
    if kind in (".json", ".jsonl"):
        if not path.is_file():
            raise UserError(f"There is no readable file {path}. Check the path.")
        found, about = find_encoding(path, None)
        notes.about += [about] if about else []
        for place, value in json_values(path, kind, found, notes, bad_rows=bad_rows, as_written=False):
            yield f"{path}, {notes.unit} {place}", value
        return
    table = TableFile(path)
    for place, cells in table.rows():
        yield (
            f"{path}, {table.notes.unit} {place}",
            {n: c for n, c in zip(table.columns, cells, strict=True) if not is_blank(c)},
        )
    if bad_rows == "refuse" and any(done == "left out" for _, done in table.notes.found):
        raise UserError(
            f"{path}: {' '.join(table.notes.sentences())} Mend them, or leave such rows out (--bad-rows leave-out)."
        )
    notes.about += table.notes.sentences()
