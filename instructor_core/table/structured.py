"""JSON, JSON lines and Parquet: one value per row, numbers as they are written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from instructor_core.errors import UserError
from instructor_core.table.cells import Notes, cell_of, mend
from instructor_core.table.decoding import open_text

BadRows = Literal["refuse", "leave out"]

_CHUNK = 1 << 20
_LONGEST = 1 << 26  # characters of one value of a JSON array
_N_LOOKED_AT = 20  # lines that tell JSON lines from one document

_PLAIN = json.JSONDecoder()
_AS_WRITTEN = json.JSONDecoder(
    parse_int=str, parse_float=str, parse_constant=lambda name: None if name == "NaN" else name
)


def json_values(
    path: Path, kind: str, encoding: str, notes: Notes, *, bad_rows: BadRows = "leave out", as_written: bool = True
) -> Iterator[tuple[int, Any]]:
    """Yield (place, value) of each line of JSON lines, or of each item of a document, whatever the name says.

    The kind, ".json" or ".jsonl", only decides where the content does not. Numbers are strings as written there (NaN
    is None) if `as_written`, else numbers. The unit of the notes becomes what a place counts.
    """
    decoder = _AS_WRITTEN if as_written else _PLAIN
    with open_text(path, encoding) as file:
        head = [line for line in islice(file, 2000) if line.strip(" \t\r\n\ufeff")][: _N_LOOKED_AT + 1]
    if not head:
        return
    if _are_lines(head, kind):
        notes.unit = "line"
        yield from _lines(path, encoding, decoder, notes, bad_rows)
    elif head[0].lstrip(" \t\ufeff").startswith("["):
        notes.unit = "item"
        yield from _stream(path, encoding, decoder, notes, bad_rows)
    else:
        notes.unit = "item"
        values = list(islice((value for _, value in _stream(path, encoding, decoder, notes, bad_rows)), 2))
        if len(values) == 1:
            yield from enumerate(_items(values[0]), start=1)
        else:  # objects one after the other, each over several lines
            yield from _stream(path, encoding, decoder, notes, bad_rows)


def _are_lines(head: list[str], kind: str) -> bool:
    """Whether each line is a value of its own; `head` holds the first lines that are not blank."""
    complete = [_parse(line) for line in head]
    if len(head) == 1:
        return kind == ".jsonl" and not (isinstance(complete[0], list) and _are_records(complete[0]))
    if kind == ".json":
        return complete[0] is not None
    return sum(value is not None for value in complete) >= len(head) / 2


def _are_records(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(entry, dict | list) for entry in value)


def _parse(line: str) -> Any:
    try:
        return json.loads(line.strip(" \t\r\n\ufeff"))
    except (ValueError, RecursionError):
        return None


def _lines(
    path: Path, encoding: str, decoder: json.JSONDecoder, notes: Notes, bad_rows: BadRows
) -> Iterator[tuple[int, Any]]:
    with open_text(path, encoding) as file:
        for number, raw in enumerate(file, start=1):
            line = mend(raw.strip(" \t\r\n\ufeff"), number, notes)
            if not line:
                continue
            try:
                value = decoder.decode(line)
            except (ValueError, RecursionError) as error:
                if bad_rows == "refuse":
                    raise UserError(
                        f"Each line of a JSONL file must be one JSON value: {path.name}, line {number} is not "
                        f"({error}). Mend the line, or leave such lines out (--bad-rows leave-out)."
                    ) from error
                notes.count("row that is not valid JSON", "left out", number)
                continue
            yield number, value


def _stream(
    path: Path, encoding: str, decoder: json.JSONDecoder, notes: Notes, bad_rows: BadRows
) -> Iterator[tuple[int, Any]]:
    """Values of an array, or one after the other, without holding more than one of them."""
    with open_text(path, encoding) as file:
        text, at, number, ended, n_lines = "", 0, 0, False, 1
        in_array: bool | None = None
        while True:
            while True:  # go to the next value, or to the end
                while at < len(text) and (text[at].isspace() or text[at] in ",\ufeff"):
                    at += 1
                if at < len(text) or ended:
                    break
                more = file.read(_CHUNK)
                n_lines += text.count("\n")
                text, at, ended = more, 0, not more
            if at >= len(text):
                if in_array:
                    _cut_off(path, number, notes, bad_rows)
                return
            if in_array is None:
                in_array = text[at] == "["
                at += in_array
                continue
            if in_array and text[at] == "]":
                return
            try:
                value, end = decoder.raw_decode(text, at)
                whole = end < len(text) or ended
            except json.JSONDecodeError as error:
                if ended and (error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated string")):
                    _cut_off(path, number, notes, bad_rows)
                    return
                if ended or len(text) - at > _LONGEST or error.pos < len(text) - _CHUNK:
                    line, column = n_lines + text.count("\n", 0, error.pos), error.colno
                    raise UserError(
                        f"{path.name} is not valid JSON: {error.msg} at line {line}, column {column}. Mend it there."
                    ) from error
                whole = False
            except RecursionError as error:
                raise UserError(f"{path.name} is JSON nested too deeply. Use a flat array of objects.") from error
            if not whole:  # a value may end behind what was read so far
                more = file.read(max(_CHUNK, len(text) - at))
                n_lines += text.count("\n", 0, at)
                text, at, ended = text[at:] + more, 0, not more
                continue
            number += 1
            yield number, _mend(value, number, notes)
            at = end


def _cut_off(path: Path, number: int, notes: Notes, bad_rows: BadRows) -> None:
    if bad_rows == "refuse" or number == 0:
        raise UserError(f"{path.name} is not valid JSON: it ends within item {number + 1}. Copy it again.")
    notes.count("row that is cut off at the end of the file", "left out", number + 1)


def _mend(value: Any, place: int, notes: Notes) -> Any:
    if isinstance(value, str):
        return mend(value, place, notes)
    if isinstance(value, list):
        return [_mend(entry, place, notes) for entry in value]
    if isinstance(value, dict):
        return {mend(name, place, notes): _mend(entry, place, notes) for name, entry in value.items()}
    return value


def _items(content: Any) -> Iterable[Any]:
    """The rows of a document that is no array: columns, split, index or table form, or an array under one name."""
    if not isinstance(content, dict):
        return [content]
    names, data = content.get("columns"), content.get("data")
    if isinstance(names, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
        return [dict(zip(map(str, names), row, strict=False)) for row in data]
    lists = {name: value for name, value in content.items() if isinstance(value, list)}
    if lists and len(lists) == len(content) and len({len(value) for value in lists.values()}) == 1:
        nested = len(lists) == 1 and any(isinstance(entry, dict | list) for entry in next(iter(lists.values())))
        if not nested:
            return [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]
    objects = [value for value in lists.values() if value and all(isinstance(entry, dict) for entry in value)]
    if len(objects) == 1 or len(lists) == 1:
        return objects[0] if len(objects) == 1 else next(iter(lists.values()))
    if content and all(isinstance(value, dict) for value in content.values()):
        inner = {name for value in content.values() for name in value}
        if all(name.isdigit() for name in inner) and not all(name.isdigit() for name in content):
            return [{name: value.get(row) for name, value in content.items()} for row in sorted(inner, key=int)]
        return list(content.values())
    return [content]


def as_row(value: Any) -> dict[str, str] | None:
    """Return one value as cells by column; None for one that is no row."""
    if isinstance(value, dict):
        return {str(name): cell_of(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return {f"column {number}": cell_of(entry) for number, entry in enumerate(value, start=1)}
    return {"text": cell_of(value)} if isinstance(value, str) else None


def has_pyarrow() -> bool:
    """Return whether Parquet files can be read and written here."""
    return find_spec("pyarrow") is not None


def open_parquet(path: Path, *, most: int | None, most_columns: int | None) -> Any:
    """Return a `pyarrow.parquet.ParquetFile`; its declared size is checked before it is unpacked."""
    if not has_pyarrow():
        raise UserError("Reading Parquet files needs pyarrow, which is not installed here. Save the table as CSV.")
    pa, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    try:
        facts = parquet.read_metadata(path)
        size = sum(facts.row_group(group).total_byte_size for group in range(facts.num_row_groups))
        if (most is not None and size > most) or (most_columns is not None and facts.num_columns > most_columns):
            raise UserError(
                f"A Parquet file may unpack to {(most or 0) / 1e6:.0f} MB and have {most_columns} columns: "
                f"got {size / 1e6:.0f} MB and {facts.num_columns} columns. Leave some out."
            )
        words = [field.name for field in parquet.read_schema(path) if _is_text(pa, field.type)]
        return parquet.ParquetFile(path, read_dictionary=words if most is not None else [])
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path.name} is not a Parquet file, or damaged. Write it again, or use a CSV file.") from error


def _is_text(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def parquet_rows(path: Path, *, most: int | None, most_columns: int | None) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a Parquet file; a string that is stored once may stand in every row, so all are counted."""
    file = open_parquet(path, most=most, most_columns=most_columns)
    pa = import_module("pyarrow")
    n_characters = 0
    too_much = f"A Parquet file may unpack to {(most or 0) / 1e6:.0f} MB of text. Leave out columns or rows."
    try:
        for batch in file.iter_batches(batch_size=100):
            for column in batch.columns if most is not None else ():
                stored = column.dictionary if pa.types.is_dictionary(column.type) else ()
                if max((len(value.as_buffer()) for value in stored if value.is_valid), default=0) > (most or 0) // 100:
                    raise UserError(too_much)
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                cells = tuple(map(cell_of, row))
                n_characters += sum(map(len, cells))
                if most is not None and n_characters > most:
                    raise UserError(too_much)
                yield cells
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path.name} is a damaged Parquet file. Write it again, or use a CSV file.") from error
    finally:
        file.close()
