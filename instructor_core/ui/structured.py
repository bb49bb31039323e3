"""JSON, JSONL and Parquet: arrays or objects as rows, numbers as they are written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from instructor_core.errors import UserError
from instructor_core.ui.strings import well_formed
from instructor_core.ui.tables import MAX_CELL, MAX_COLUMNS, MAX_ROWS, Table, column_names, rows_cut

MAX_UNPACKED_BYTES = 50_000_000  # of a Parquet file


def read_json(text: str) -> Table:
    """Return an array of texts, arrays or objects, or an object of columns, as a table."""
    content = _loads(text, "The file")
    if isinstance(content, dict):
        lists = {name: value for name, value in content.items() if isinstance(value, list)}
        if len(lists) == len(content) > 1 and len({len(value) for value in lists.values()}) == 1:
            items: Iterable[Any] = (dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True))
            return _objects(enumerate(items, start=1), unit="item")
        content = next(iter(lists.values())) if len(lists) == 1 else content
    if not isinstance(content, list):
        raise UserError(f"A JSON file holds an array of texts or of objects: got {_kind(content)}. Change it.")
    return _objects(enumerate(content, start=1), unit="item")


def read_json_lines(text: str) -> Table:
    """Return one JSON value per line as a table."""
    return _objects(_json_lines(text), unit="line")


def _json_lines(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _loads(line, f"Line {number}")


def _loads(text: str, subject: str) -> Any:
    """JSON with every number as it is written."""
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, " if "\n" in text else ""
        raise UserError(f"{subject} is not valid JSON: {error.msg} at {where}column {error.colno}. Mend it.") from error
    except RecursionError as error:
        raise UserError(f"{subject} is JSON nested too deeply. Upload a flat array of objects.") from error


def _objects(items: Iterable[tuple[int, Any]], *, unit: str) -> Table:
    """Strings, arrays or objects, all of one kind, as rows; columns are the keys in the order of their appearance."""
    columns: dict[str, int] = {}
    found: list[tuple[int, dict[int, str]]] = []
    total, kind = 0, ""
    for place, item in items:
        total += 1
        kind = kind or _kind(item)
        if _kind(item) != kind or kind not in ("a text", "an array", "an object"):
            wanted = f"the first is {kind}" if _kind(item) != kind else "texts, arrays or objects are wanted"
            raise UserError(f"{unit.capitalize()} {place} is {_kind(item)}, {wanted}. Make all of them alike.")
        if total > MAX_ROWS:
            continue
        named = item.items() if isinstance(item, dict) else enumerate(item if isinstance(item, list) else [item])
        row: dict[int, str] = {}
        for key, value in named:
            name = key if isinstance(key, str) else "text" if kind == "a text" else f"column {key + 1}"
            row[columns.setdefault(name, len(columns))] = _cell(value)
        if len(columns) > MAX_COLUMNS:
            raise UserError(f"A file may have {MAX_COLUMNS} columns: {unit} {place} brings more. Leave some out.")
        found.append((place, row))
    if not found or not columns:
        raise UserError("The file has no rows. Upload another.")
    rows = tuple(tuple(row.get(column, "") for column in range(len(columns))) for _, row in found)
    places = tuple(place for place, _ in found)
    return Table(column_names(tuple(columns)), rows, places, unit=unit).noted(rows_cut(total))


def _kind(value: object) -> str:
    return {str: "a text", list: "an array", dict: "an object", type(None): "null"}.get(type(value), "a truth value")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return well_formed(value)
    try:
        return well_formed(json.dumps(value, ensure_ascii=False, default=str))
    except RecursionError:
        return "(nested too deeply)"


def has_pyarrow() -> bool:
    """Return whether Parquet files can be read and written here."""
    return find_spec("pyarrow") is not None


def read_parquet(path: Path, data: bytes) -> Table:
    """Return the first rows of a Parquet file; its declared size is checked before it is unpacked."""
    if len(data) < 12 or data[:4] != b"PAR1" or data[-4:] != b"PAR1":
        raise UserError("The file is not a Parquet file, whatever its name says. Upload a CSV file instead.")
    if not has_pyarrow():
        raise UserError("This server cannot read Parquet files (it has no pyarrow). Save the table as CSV.")
    pa, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    try:
        facts = parquet.read_metadata(path)
        size = sum(facts.row_group(group).total_byte_size for group in range(facts.num_row_groups))
        if size > MAX_UNPACKED_BYTES or facts.num_columns > MAX_COLUMNS:
            raise UserError(
                f"A Parquet file may unpack to {MAX_UNPACKED_BYTES / 1e6:.0f} MB and have {MAX_COLUMNS} columns: "
                f"got {size / 1e6:.0f} MB and {facts.num_columns} columns. Leave some out."
            )
        words = [field.name for field in parquet.read_schema(path) if _is_text(pa, field.type)]
        file = parquet.ParquetFile(path, read_dictionary=words)
        rows = tuple(_batches(pa, file))
        names = column_names(tuple(file.schema_arrow.names))
    except (pa.ArrowException, OSError) as error:
        raise UserError("The Parquet file is damaged. Write it again, or upload a CSV file.") from error
    if not rows:
        raise UserError("The file has no rows. Upload another.")
    return Table(names, rows, tuple(range(1, len(rows) + 1)), unit="row").noted(rows_cut(facts.num_rows))


def _is_text(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _batches(pa: Any, file: Any) -> Iterator[tuple[str, ...]]:
    """Up to MAX_ROWS rows. A string that is stored once may stand in every row: lengths are looked at before."""
    n_rows = n_characters = 0
    for batch in file.iter_batches(batch_size=100):
        for column in batch.columns:
            stored = column.dictionary if pa.types.is_dictionary(column.type) else None
            if stored is not None and max((len(value.as_buffer()) for value in stored if value.is_valid), default=0) > (
                4 * MAX_CELL
            ):
                raise UserError(f"A cell may have {MAX_CELL} characters: one has more. Split it.")
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            cells = tuple(_cell(value) for value in row)
            n_rows, n_characters = n_rows + 1, n_characters + sum(map(len, cells))
            if n_characters > MAX_UNPACKED_BYTES:
                raise UserError(f"A Parquet file may unpack to {MAX_UNPACKED_BYTES / 1e6:.0f} MB. Leave out columns.")
            if n_rows > MAX_ROWS:
                return
            yield cells
