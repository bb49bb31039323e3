"""The input, read in batches and never held as a whole: Parquet with its types, any other table as strings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from instructor_core.errors import UserError
from instructor_core.table import Reading, TableFile, is_blank
from instructor_core.table.cells import column_names
from instructor_core.table.file import kind_of

BATCH_ROWS = 1024
_BUFFER_BYTES = 1 << 20  # read at a time of a column, whatever the size of the row group


class Source:
    """Rows of one file, or of all Parquet files of a folder in the order of their names.

    `keep` names columns to read besides the texts, None all; `schema` has them as asked for, or as in the file.
    """

    def __init__(
        self, path: Path, text_column: str, keep: Sequence[str] | None = (), reading: Reading | None = None
    ) -> None:
        self.path = path
        self.text_column = text_column
        self.files = _files(path)
        self._table = None if kind_of(self.files[0]) == ".parquet" else TableFile(path, reading)
        found = self._read_schema()
        self._check_text(found)
        names = found.names if keep is None else list(dict.fromkeys(keep))
        if missing := [name for name in names if name not in found.names]:
            raise UserError(f"There is no column {missing[0]!r} to keep. The columns are {_list(found.names)}.")
        self.schema: Any = pa.schema([found.field(name) for name in names])
        self._columns = list(dict.fromkeys([text_column, *names]))
        # First row, file and number of each row group; the other formats are read from their start.
        self._groups = list(self._row_groups()) if self._table is None else []

    def notes(self) -> tuple[str, ...]:
        """Return what was guessed, replaced or left out by the latest complete reading, in full sentences."""
        return () if self._table is None else self._table.notes.sentences()

    def digest(self) -> str:
        """Return the SHA-256 of the content of the file or files."""
        whole = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        return whole.hexdigest()

    def origin(self, row: int) -> int:
        """Return the last row, up to the given one, at which reading can begin."""
        return max((first for first, _, _ in self._groups if first <= row), default=0)

    def batches(self, start: int = 0, *, texts_only: bool = False) -> Iterator[Any]:
        """Yield record batches from row ``start`` on, an ``origin``; texts are strings, a blank one null."""
        columns = [self.text_column] if texts_only else self._columns
        try:
            for batch in self._read(start, columns) if self._table is None else self._strings(columns):
                place = batch.schema.get_field_index(self.text_column)
                texts = batch.column(place).cast(pa.large_string()).to_pylist()
                filled = pa.array([None if is_blank(text) else text for text in texts], pa.large_string())
                yield batch.set_column(place, pa.field(self.text_column, pa.large_string()), filled)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{self.path.name} cannot be read: {error}. Write the file again.") from error

    def _read(self, start: int, columns: list[str]) -> Iterator[Any]:
        for path in self.files:
            groups = [number for first, owner, number in self._groups if owner == path and first >= start]
            if groups:
                with pq.ParquetFile(path, buffer_size=_BUFFER_BYTES) as file:
                    found = file.schema_arrow.names
                    repeated = len(set(found)) < len(found)  # then columns cannot be asked for by name
                    wanted = None if repeated else columns
                    for batch in file.iter_batches(BATCH_ROWS, row_groups=groups, columns=wanted):
                        yield batch.rename_columns(column_names(found)).select(columns) if repeated else batch

    def _strings(self, columns: list[str]) -> Iterator[Any]:
        """Batches of a file that is no Parquet: cells as they are written, a blank one null."""
        if self._table is None:
            return
        places = [self._table.columns.index(name) for name in columns]
        rows = self._table.rows()
        while block := [cells for _, cells in islice(rows, BATCH_ROWS)]:
            arrays = [
                pa.array([None if is_blank(cells[at]) else cells[at] for cells in block], pa.large_string())
                for at in places
            ]
            yield pa.RecordBatch.from_arrays(arrays, names=columns)

    def _read_schema(self) -> Any:
        """Schema of the file, the same in all files of a folder; a name that stands twice is numbered."""
        if self._table is not None:
            return pa.schema([pa.field(name, pa.large_string()) for name in self._table.columns])
        try:
            first = pq.read_schema(self.files[0])
            for path in self.files[1:]:
                if not pq.read_schema(path).equals(first):
                    raise UserError(
                        f"The files of {self.path.name} must have the same columns: {path.name} differs from "
                        f"{self.files[0].name}. Embed it on its own."
                    )
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{self.path.name} cannot be read: {error}. Write the file again.") from error
        if len(set(first.names)) == len(first.names):
            return first
        return pa.schema([field.with_name(name) for field, name in zip(first, column_names(first.names), strict=True)])

    def _check_text(self, schema: Any) -> None:
        texts = [field.name for field in schema if _is_text(field.type)]
        choose = f"Choose one with --text-column: {_list(texts)}." if texts else "No column holds texts."
        if self.text_column not in schema.names:
            raise UserError(f"{self.path.name} has no column {self.text_column!r}. {choose}")
        kind = schema.field(self.text_column).type
        if not _is_text(kind):
            raise UserError(f"The column {self.text_column!r} of {self.path.name} holds {kind}, not texts. {choose}")

    def _row_groups(self) -> Iterator[tuple[int, Path, int]]:
        first = 0
        for path in self.files:
            facts = pq.read_metadata(path)
            for number in range(facts.num_row_groups):
                yield first, path, number
                first += facts.row_group(number).num_rows


class RowReader:
    """Ranges of rows of a source; a range that lies ahead is read on to, an earlier one from anew."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._batches: Iterator[Any] = iter(())
        self._position = -1  # first row of the rest, or of the next batch
        self._rest: Any = None

    def read(self, start: int, stop: int) -> Any:
        """Return the table of rows ``start`` to ``stop`` (exclusive)."""
        origin = self.source.origin(start)
        if not origin <= self._position <= start:
            self._batches, self._position, self._rest = self.source.batches(origin), origin, None
        parts = []
        while self._position < stop:
            batch = self._rest if self._rest is not None else next(self._batches, None)
            if batch is None:
                raise UserError(f"{self.source.path.name} ends at row {self._position}: it changed meanwhile.")
            end = self._position + len(batch)
            inside = batch.slice(max(0, start - self._position), max(0, min(end, stop) - max(self._position, start)))
            if len(inside):
                parts.append(inside)
            self._rest = batch.slice(stop - self._position) if end > stop else None
            self._position = min(end, stop)
        if parts:
            return pa.Table.from_batches(parts)
        text = pa.field(self.source.text_column, pa.large_string())
        return pa.Table.from_batches([], pa.schema([text, *(f for f in self.source.schema if f.name != text.name)]))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.glob("*.parquet") if file.name[0] not in "._")
        if not files:
            raise UserError(f"The folder {path} has no .parquet files. Pass a file, or a folder that has some.")
        return files
    if not path.is_file():
        raise UserError(f"There is no file {path}. Check the path.")
    return [path]


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(check(kind) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:12]))
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown
