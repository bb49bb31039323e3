"""CSV, TSV and TXT: delimiter and header found, quotation marks checked, every cell as it is written."""

from __future__ import annotations

import csv
import io
from collections import Counter
from itertools import islice

from instructor_core.errors import UserError
from instructor_core.ui.tables import MAX_CELL, MAX_COLUMNS, MAX_ROWS, Table, column_names, looks_like_header, rows_cut

_SAMPLE = 1 << 16  # characters from which the delimiter is guessed
_DELIMITERS = (",", "\t", ";", "|")
_ONE_COLUMN = "\x1f"  # stands for "no delimiter": text does not contain it


def read_delimited(text: str, kind: str, header: bool | None) -> Table:
    """Return the records of a CSV, TSV or TXT file.

    Args:
        text: All of it.
        kind: ".csv", ".tsv" or ".txt".
        header: Whether the first record names the columns; None guesses.

    Raises:
        UserError: With the number of the line.
    """
    delimiter = _delimiter(text, kind)
    notes = []
    try:
        places, rows, total = _records(text, delimiter, quotes=kind != ".txt")
    except UserError:
        if kind == ".txt" or delimiter not in ("\t", _ONE_COLUMN):
            raise
        places, rows, total = _records(text, delimiter, quotes=False)
        notes.append("Quotation marks do not pair up; they were read as ordinary characters.")
    if not rows:
        raise UserError("The file has no line with text. Upload another.")
    named = looks_like_header(rows[0], tuple(rows[1:101])) if header is None else header
    names = rows[0] if named else ("",) * len(rows[0])
    if delimiter == _ONE_COLUMN and not named:
        names = ("text",)
    if named:
        places, rows, total = places[1:], rows[1:], total - 1
        if not rows:
            raise UserError("The file has a header and no rows below it. Upload another, or untick the header.")
    table = Table(column_names(names), tuple(rows[:MAX_ROWS]), tuple(places[:MAX_ROWS]), has_header=named)
    return table.noted(*notes, rows_cut(total))


def _delimiter(text: str, kind: str) -> str:
    """The delimiter that parts nearly all of the first lines into the same number of fields, at least two.

    Counted here, because `csv.Sniffer` guesses letters and takes minutes on some files.
    """
    candidates = _DELIMITERS if kind == ".csv" else ("\t",)
    if kind == ".txt":
        counts = {line.count("\t") for line in text[:_SAMPLE].splitlines() if line.strip()}
        return "\t" if len(counts) == 1 and counts != {0} else _ONE_COLUMN
    best, delimiter = (0.8, 1), ""
    for candidate in candidates:
        fields = [len(row) for row in _first_records(text[:_SAMPLE], candidate)]
        if not fields:
            continue
        width, times = Counter(fields).most_common(1)[0]
        if width > 1 and (times / len(fields), width) > best:
            best, delimiter = (times / len(fields), width), candidate
    if delimiter:
        return delimiter
    first = next((line for line in text[:_SAMPLE].splitlines() if line.strip()), "")
    return next((candidate for candidate in candidates if candidate in first), _ONE_COLUMN)


def _first_records(sample: str, delimiter: str) -> list[list[str]]:
    try:
        return [row for row in islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), 40) if row]
    except csv.Error:
        return []


def _records(text: str, delimiter: str, *, quotes: bool = True) -> tuple[list[int], list[tuple[str, ...]], int]:
    """Line numbers and cells of all records that fit, and the number of records in the file."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        strict=quotes,
    )
    places: list[int] = []
    rows: list[tuple[str, ...]] = []
    total = width = 0
    while True:
        place = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise UserError(_csv_message(str(error), place)) from error
        if row is None:
            return places, rows, total
        if not any(cell.strip() for cell in row):
            continue
        total += 1
        width = width or len(row)
        if width > MAX_COLUMNS:
            raise UserError(f"A file may have {MAX_COLUMNS} columns: line {place} has {width}. Leave some out.")
        if len(row) > width and any(row[width:]):
            raise UserError(
                f"Line {place} has {len(row)} fields, the first line has {width}. Put a text that contains "
                f"{delimiter!r} into quotation marks."
            )
        if len(rows) <= MAX_ROWS:  # one more than is kept: the first may be the header
            places.append(place)
            rows.append((*row[:width], *[""] * (width - len(row))))


def _csv_message(reason: str, place: int) -> str:
    if "field limit" in reason:
        return f"A cell may have {MAX_CELL} characters: the one that begins in line {place} has more. Split it."
    if "unexpected end" in reason:
        return f"A quotation mark opens in line {place} and is never closed. Close it, or write it twice inside a text."
    return f"Line {place}: a quotation mark stands inside a quoted text. Write it twice there."
