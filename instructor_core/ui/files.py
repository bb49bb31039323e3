"""Files from visitors, read as tables of strings: CSV, TSV, TXT, JSON, JSONL and, where pyarrow is there, Parquet.

Nothing in a file is taken for more than text: `007`, `1e5`, `NA` and `true` stay as they are written. The size is
checked before a byte is read, the number of rows and columns while reading.
"""

from __future__ import annotations

import re
from pathlib import Path

from instructor_core.errors import UserError
from instructor_core.ui.delimited import read_delimited
from instructor_core.ui.strings import well_formed
from instructor_core.ui.structured import read_json, read_json_lines, read_parquet
from instructor_core.ui.tables import Table

FILE_TYPES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet")
MAX_FILE_BYTES = 5_000_000

_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_BINARY = ((b"PK\x03\x04", "ZIP archive or Excel workbook"), (b"\x1f\x8b", "gzip archive"), (b"%PDF", "PDF"))
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b]")


def read_table(path: str | Path, *, header: bool | None = None) -> Table:
    """Return what a file holds; its format is told by the ending of its name.

    Args:
        path: The file.
        header: Whether the first line of a CSV, TSV or TXT file names the columns; None guesses.

    Raises:
        UserError: For a file that is gone, too large, of another format than its name says, or malformed; with the
            number of the line.
    """
    file = Path(path)
    kind = file.suffix.lower()
    if kind not in FILE_TYPES:
        raise UserError(f"Files may end in {', '.join(FILE_TYPES)}: got {file.suffix[:20]!r}. Save it as one of these.")
    try:
        size = file.stat().st_size
        if size > MAX_FILE_BYTES:
            raise UserError(
                f"A file may have {MAX_FILE_BYTES / 1e6:.0f} MB: got {size / 1e6:.1f} MB. Split it, or leave out rows."
            )
        data = file.read_bytes()
    except OSError as error:
        raise UserError("The file is no longer there or cannot be read. Upload it again.") from error
    if kind == ".parquet":
        return read_parquet(file, data)
    text, note = decode(data)
    if kind == ".json":
        table = read_json(text)
    elif kind in (".jsonl", ".ndjson"):
        table = read_json_lines(text)
    else:
        table = read_delimited(text, kind, header)
    return table.noted(note)


def decode(data: bytes) -> tuple[str, str]:
    """Return the text of a file, and a note if its encoding is a guess.

    A byte order mark decides; else UTF-16 by its zero bytes, UTF-8 if it is valid, Windows-1252, Latin-1.

    Raises:
        UserError: If the bytes are no text.
    """
    for mark, name in _BINARY:
        if data.startswith(mark):
            raise UserError(f"The file is a {name}, not text. Save the table as CSV and upload that.")
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None) or _without_mark(data)
    try:
        text, note = data.decode(encoding), ""
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise UserError(
                f"The file begins as {encoding.upper()} and is not: byte {error.start + 1} does not fit. "
                "Save it as UTF-8."
            ) from error
        text, encoding = _old_encoding(data)
        note = f"The file is not UTF-8; it was read as {encoding}. Check accents, or save it as UTF-8."
    controls = len(_CONTROLS.findall(text))
    if controls > 8 and controls > len(text) / 100:
        raise UserError(f"The file is not text: {controls} of {len(text)} characters are control codes.")
    return well_formed(text), note


def _without_mark(data: bytes) -> str:
    """UTF-16 without a mark shows by zero bytes at every other place."""
    even, odd = data[:4096:2], data[1:4096:2]
    for encoding, high, low in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if len(data) >= 4 and len(data) % 2 == 0 and high.count(0) > 0.4 * len(high) and low.count(0) == 0:
            return encoding
    return "utf-8"


def _old_encoding(data: bytes) -> tuple[str, str]:
    try:
        return data.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "Latin-1"
