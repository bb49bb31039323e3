"""Evaluation data: texts with labels, pairs with human scores, and the wordings of every axis.

One JSON object per line. A label set: ``{"text": "...", "labels": {"topic": "food", ...}}``; a text may lack some of
the labels. Pairs: ``{"a": "...", "b": "...", "score": 3.5, "set": "part"}``; ``set`` is optional. The wordings are one
JSON file: ``{"axes": {axis: {"plain": "...", "free": [...], "labels": [names of columns]}}, "neutral": [...],
"unknown": [...], "contrasts": [...]}``; the last, optional, are sentences with {wanted} and {unwanted} in them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instructor_core.analysis.suggest import bundled
from instructor_core.errors import UserError
from instructor_core.table import BadRows, Notes, is_json, read_values


@dataclass(frozen=True)
class LabelSet:
    """N texts with labels by kind, N each ("" where a text has none); `n_in_file` counts them before sampling."""

    name: str
    texts: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    n_in_file: int


@dataclass(frozen=True)
class PairSet:
    """P pairs of texts with the similarity that people gave them, on any scale."""

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    scores: tuple[float, ...]
    n_in_file: int


@dataclass(frozen=True)
class AxisWordings:
    """Instructions that ask for one axis, in the form of the paper and free ones, and its labels (columns)."""

    plain: str
    free: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Wordings:
    """Instructions to evaluate with, each ready to be put before a text.

    The neutral ones ask for similarity, retrieval or nothing at all, the unknown ones for something no axis covers. A
    contrast has places for the names of two axes, {wanted} and {unwanted}.
    """

    axes: Mapping[str, AxisWordings]
    neutral: tuple[str, ...]
    unknown: tuple[str, ...]
    contrasts: tuple[str, ...] = ()

    def axis_of(self, column: str) -> str | None:
        """The axis that answers for labels of this name, or None."""
        return next((axis for axis, wordings in self.axes.items() if column in wordings.columns), None)


def read_wordings(path: Path | None = None) -> Wordings:
    """Read instructions from a JSON file, or the bundled ones."""
    path = path or bundled("label_sets") / "wordings.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON ({type(error).__name__}: {error}). Check the path.") from error
    try:
        axes = {
            str(axis): AxisWordings(
                plain=_joinable(entry["plain"]),
                free=tuple(_joinable(wording) for wording in entry["free"]),
                columns=tuple(str(column) for column in entry.get("labels", [axis])),
            )
            for axis, entry in content["axes"].items()
        }
        neutral = tuple(_joinable(wording) for wording in content["neutral"])
        unknown = tuple(_joinable(wording) for wording in content["unknown"])
        contrasts = tuple(_joinable(wording) for wording in content.get("contrasts", ()))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path.name} is not a file of wordings: it needs axes (each with plain and free), neutral and unknown; "
            f"stopped at {type(error).__name__}: {error}. Compare it with the bundled wordings.json."
        ) from error
    return Wordings(axes, neutral, unknown, contrasts)


def read_data(
    paths: Sequence[Path],
    *,
    max_texts: int = 4000,
    seed: int = 0,
    bad_rows: BadRows = "refuse",
    notes: Notes | None = None,
) -> tuple[tuple[LabelSet, ...], tuple[PairSet, ...]]:
    """Read files, and all data files of folders, as label sets and sets of pairs.

    A set larger than `max_texts` is sampled; the sample depends on the seed and on the set's name, on nothing else.
    """
    files: list[Path] = []
    for path in paths:
        found = sorted(each for each in path.iterdir() if _is_data(each)) if path.is_dir() else [path]
        if not found:
            raise UserError(f"The folder {path.name} holds no .jsonl file. Give a folder with label sets.")
        files += found
    sets, pairs = [], []
    for file in files:
        rows = _rows(file, bad_rows, notes)
        kept = rows
        if len(rows) > max_texts:
            order = random.Random(f"{seed}:{file.stem}").sample(range(len(rows)), max_texts)
            kept = [rows[position] for position in sorted(order)]
        if "a" in rows[0]:
            pairs.append(_pair_set(file, kept, len(rows)))
        else:
            sets.append(_label_set(file, kept, len(rows)))
    return tuple(sets), tuple(pairs)


def _label_set(file: Path, rows: Sequence[Mapping[str, Any]], n_in_file: int) -> LabelSet:
    names = list(dict.fromkeys(name for row in rows for name in _field(row, "labels", dict, file)))
    columns = {name: tuple(str(row["labels"].get(name, "")) for row in rows) for name in names}
    texts = tuple(_field(row, "text", str, file) for row in rows)
    return LabelSet(file.stem, texts, columns, n_in_file)


def _pair_set(file: Path, rows: Sequence[Mapping[str, Any]], n_in_file: int) -> PairSet:
    first, second = (tuple(_field(row, side, str, file) for row in rows) for side in "ab")
    scores = tuple(float(_field(row, "score", (int, float), file)) for row in rows)
    return PairSet(file.stem, first, second, scores, n_in_file)


def _is_data(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith((".jsonl", ".csv", ".tsv", ".parquet"))


def _rows(file: Path, bad_rows: BadRows, notes: Notes | None) -> list[Mapping[str, Any]]:
    """Rows of a file; those of a table get their columns of few values as labels, or their score as a number."""
    rows: list[Mapping[str, Any]] = []
    for where, row in read_values(file, bad_rows=bad_rows, notes=notes):
        if not isinstance(row, dict):
            raise UserError(f"{where}: expected a JSON object, got {str(row)[:40]!r}.")
        rows.append(row)
    if not rows:
        raise UserError(f"{file.name} is empty. Put one JSON object on each line.")
    if is_json(file) or "labels" in rows[0]:
        return rows
    if {"a", "b", "score"} <= rows[0].keys():
        return [{**row, "score": _number(row.get("score"))} for row in rows]
    columns = dict.fromkeys(name for row in rows for name in row if name != "text")
    names = [name for name in columns if 1 < len({row[name] for row in rows if name in row}) <= len(rows) / 2]
    return [{"text": row.get("text"), "labels": {n: row[n] for n in names if n in row}} for row in rows]


def _number(value: object) -> object:
    try:
        return float(str(value))
    except ValueError:
        return value


def _field(row: Mapping[str, Any], name: str, kind: type | tuple[type, ...], file: Path) -> Any:
    value = row.get(name)
    if not isinstance(value, kind):
        raise UserError(
            f'{file.name}: every line needs {{"text", "labels"}} or {{"a", "b", "score"}}; {name!r} is {value!r} in '
            f"{json.dumps(row)[:80]}. Mend that line."
        )
    return value


def _joinable(wording: str) -> str:
    """The wording with one space at its end: it is joined with the text as it stands."""
    return wording.rstrip() + " "
