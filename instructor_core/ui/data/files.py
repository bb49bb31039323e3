"""Files from visitors, within the limits of the page, as tables of strings."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from instructor_core.errors import UserError
from instructor_core.table import FILE_TYPES, Reading, TableFile

MAX_FILE_BYTES = 5_000_000
MAX_UNPACKED_BYTES = 50_000_000
MAX_ROWS = 100_000  # from which a sample is drawn; the page takes fewer texts
MAX_COLUMNS = 200
UPLOAD_TYPES = (*FILE_TYPES, ".gz")


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
