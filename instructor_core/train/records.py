"""Records in the MEDI format, that of INSTRUCTOR's own training data (Su et al. 2023): read, check, set aside."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instructor_core.encoder import Pair
from instructor_core.errors import UserError
from instructor_core.table import BadRows, Notes, read_values

_QUERY = ("instruction", "text")
_SIDES = ("query", "pos", "neg")
_EXAMPLE = '{"query": ["instruction: ", "text"], "pos": ["instruction: ", "text"], "neg": [...], "task_id": 0}'


@dataclass(frozen=True)
class Record:
    """A text, what should lie near it and what should not.

    Attributes:
        query: (instruction, text).
        positives: Pairs that belong to the query; one is drawn each time. May be empty if there is a label.
        negatives: Pairs that resemble the query and do not belong to it; may be empty.
        task: Name or number of the task: a batch is made of one task.
        label: Class of the query within its task, or None.
    """

    query: Pair
    positives: tuple[Pair, ...]
    negatives: tuple[Pair, ...]
    task: str
    label: str | None


def _read(path: Path, bad_rows: BadRows, notes: Notes) -> Iterator[tuple[str, Any]]:
    """Yield each record of a file with the words that say where it stands."""
    for where, entry in read_values(path, bad_rows=bad_rows, notes=notes):
        if isinstance(entry, dict) and "query" not in entry and "text" in entry:  # a row of a table
            query = [entry.get("instruction", ""), entry["text"]]
            yield where, {"query": query, **{name: value for name, value in entry.items() if name not in _QUERY}}
        elif isinstance(entry, dict) and isinstance(entry.get("query"), str) and f"query_{_QUERY[0]}" in entry:
            pairs = {name: [entry.get(f"{name}_instruction", ""), entry[name]] for name in _SIDES if name in entry}
            yield where, {**entry, **pairs}
        else:
            yield where, entry


def _pair(value: Any, key: str, where: str) -> Pair:
    if isinstance(value, list) and len(value) == 3 and isinstance(value[2], int):
        value = value[:2]  # an early form of the published data had a number there
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(part, str) for part in value):
        raise UserError(
            f'"{key}" must be [instruction, text], two strings: {where} has {str(value)[:80]}. '
            'Write an empty string where there is no instruction, for example ["", "text"].'
        )
    if not value[1].strip():
        raise UserError(f'"{key}" must have a text: {where} has an empty one. Delete the record or give it a text.')
    return value[0], value[1]


def _pairs(value: Any, key: str, where: str) -> tuple[Pair, ...]:
    """One pair, or a list of pairs; two strings in a list are one pair."""
    if value is None or value == []:
        return ()
    if isinstance(value, list) and all(isinstance(entry, list) for entry in value):
        return tuple(_pair(entry, key, where) for entry in value)
    return (_pair(value, key, where),)


def _record(entry: Any, where: str) -> Record:
    if not isinstance(entry, dict) or "query" not in entry:
        raise UserError(
            f'A record must be an object with "query": {where} is {str(entry)[:80]}. Write it like this: {_EXAMPLE}'
        )
    label = entry.get("label")
    if label is not None and not isinstance(label, str | int):
        raise UserError(f'"label" must be a string or a whole number: {where} has {label!r}. Change it.')
    task = entry.get("task_name", entry.get("task_id", ""))
    if not isinstance(task, str | int):
        raise UserError(f'"task_id" must be a string or a whole number: {where} has {task!r}. Change it.')
    positives = _pairs(entry.get("pos"), "pos", where)
    if not positives and label is None:
        raise UserError(f'A record must have "pos" or "label": {where} has neither. Add one, like this: {_EXAMPLE}')
    return Record(
        query=_pair(entry["query"], "query", where),
        positives=positives,
        negatives=_pairs(entry.get("neg"), "neg", where),
        task=str(task),
        label=None if label is None else str(label),
    )


def read_records(*paths: str | Path, bad_rows: BadRows = "refuse", notes: Notes | None = None) -> list[Record]:
    """Read files of records: a JSON list, as MEDI is published, one object a line, or a table; ``.gz`` as well.

    A record is ``{"query": [instruction, text], "pos": [instruction, text], "neg": [instruction, text], "task_id":
    0}``. ``pos`` and ``neg`` may be lists of such pairs; ``neg`` may be left out, and ``pos`` too where there is a
    ``"label"``, the class of the query. ``task_name`` may stand in place of ``task_id``; without either all records
    are one task. A table (CSV, TSV, Parquet) has the columns ``instruction``, ``text`` and ``label``, or ``query``,
    ``pos`` and ``neg`` with ``query_instruction``, ``pos_instruction`` and ``neg_instruction``.

    Args:
        paths: Files.
        bad_rows: What becomes of a row that cannot be read: "refuse" or "leave out".
        notes: Takes what was guessed, replaced or left out.

    Raises:
        UserError: If a file cannot be read or a record is not of this form; the message says which line or record. If
            some records of a task have a label and others have none, or there are no records.
    """
    notes = notes or Notes()
    records = [_record(entry, where) for path in paths for where, entry in _read(Path(path), bad_rows, notes)]
    if not records:
        raise UserError(
            f"Training needs records: {', '.join(map(str, paths))} has none. Write some like this: {_EXAMPLE}"
        )
    labelled = {record.task for record in records if record.label is not None}
    for position, record in enumerate(records):
        if record.label is None and record.task in labelled:
            raise UserError(
                f"Either all records of a task have a label or none: record {position + 1} of task {record.task!r} has "
                "none, others of this task do. Add the label, or give the record another task_id."
            )
    return records


def set_aside(records: Sequence[Record], share: float, *, seed: int = 0) -> tuple[list[Record], list[Record]]:
    """Split records into those to train on and an expected share of held-out ones.

    The text of the query decides, so that a text which occurs under several instructions is on one side only.
    """
    if not 0 <= share < 1:
        raise UserError(f"The held-out share must be at least 0 and below 1: got {share}. Change it.")
    kept: list[Record] = []
    held_out: list[Record] = []
    for record in records:
        digest = hashlib.blake2b(record.query[1].strip().encode(), digest_size=8, key=str(seed).encode()).digest()
        (held_out if int.from_bytes(digest) / 2**64 < share else kept).append(record)
    if not kept:
        raise UserError(f"Training needs records: holding out {share} of {len(records)} left none. Lower the share.")
    return kept, held_out
