"""Files from visitors, within the limits of the page."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from instructor_core.errors import UserError
from instructor_core.table import FILE_TYPES, Reading, open_table
from instructor_core.ui.tables import MAX_COLUMNS, MAX_ROWS, Table, rows_cut

MAX_FILE_BYTES = 5_000_000
MAX_UNPACKED_BYTES = 50_000_000
UPLOAD_TYPES = (*FILE_TYPES, ".gz")


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
    opened = open_table(file, reading)
    rows = opened.rows()
    kept = list(islice(rows, MAX_ROWS))
    total = len(kept) + sum(1 for _ in rows)
    if not kept:
        raise UserError(f"{file.name} has no row that can be read. {' '.join(opened.notes.sentences())}".strip())
    places, cells = zip(*kept, strict=True)
    return Table(
        opened.columns,
        cells,
        places,
        unit=opened.unit,
        has_header=opened.has_header,
        has_long_rows=any("more fields" in what for what, _ in opened.notes.found),
    ).noted(*opened.notes.sentences(), rows_cut(total))
