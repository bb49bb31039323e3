"""Curated example sets: read from JSON, checked, and handed to the page as frozen values.

Each set is small enough to read in a matrix and makes one point about what an instruction does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXAMPLES_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"
TABS = ("similarity", "map", "tokens", "explain", "lab", "learn")
MAX_TEXTS = 24
MAX_INSTRUCTIONS = 8

_REQUIRED = ("id", "title", "point", "instructions", "texts")
_OPTIONAL = ("labels", "row_instruction", "column_instruction", "tab")


class ExampleError(ValueError):
    """An example file breaks a rule; the message names the file, the rule and what was got."""


@dataclass(frozen=True, eq=False)
class Example:
    """One curated set of texts and the instructions that show something about them.

    Attributes:
        id: Short name for links, lower case.
        title: What the menu shows.
        point: One to three sentences: what to look at and why.
        instructions: K instructions; each is empty or ends with exactly one space.
        texts: N texts.
        labels: N labels, "" where a text has none; None if the set is unlabelled.
        row_instruction: For retrieval, the index of the instruction of the queries (rows); else None.
        column_instruction: For retrieval, the index of the instruction of the documents (columns); else None.
        tab: The view to open first, one of `TABS`.
    """

    id: str
    title: str
    point: str
    instructions: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    row_instruction: int | None = None
    column_instruction: int | None = None
    tab: str = TABS[0]


def load_examples(folder: Path = EXAMPLES_FOLDER) -> tuple[Example, ...]:
    """Return the examples of a folder in the order of their file names; the first is shown first.

    Raises:
        ExampleError: If there is no example, if a file breaks a rule, or if two files share an id.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise ExampleError(f"{folder}: an examples folder needs at least one .json file, got none.")
    examples = tuple(parse_example(file.read_text(encoding="utf-8"), source=file.name) for file in files)
    ids = [example.id for example in examples]
    if repeated := _repeated(ids):
        raise ExampleError(f"{folder}: ids must differ, got {repeated!r} more than once.")
    return examples


def parse_example(content: str, *, source: str) -> Example:
    """Return the example that a JSON text describes.

    Args:
        content: The JSON text.
        source: Where it comes from, for the error message.

    Raises:
        ExampleError: If the text is not JSON or breaks a rule of the format.
    """
    try:
        fields = json.loads(content)
    except json.JSONDecodeError as error:
        raise ExampleError(f"{source}: not valid JSON ({error}).") from error
    try:
        return _checked(fields)
    except ExampleError as error:
        raise ExampleError(f"{source}: {error}") from error


def _checked(fields: Any) -> Example:
    _require(isinstance(fields, dict), f"the file must hold one JSON object, got {type(fields).__name__}.")
    missing = [name for name in _REQUIRED if name not in fields]
    _require(not missing, f"fields {missing} are missing.")
    unknown = sorted(set(fields) - {*_REQUIRED, *_OPTIONAL})
    _require(not unknown, f"fields {unknown} are unknown; allowed are {[*_REQUIRED, *_OPTIONAL]}.")

    for name in ("id", "title", "point"):
        value = fields[name]
        is_text = isinstance(value, str) and value == value.strip() != ""
        _require(is_text, f"{name} must be text without outer spaces, got {value!r}.")
    lower_case = re.fullmatch(r"[a-z][a-z0-9-]*", fields["id"]) is not None
    _require(lower_case, f"id must be lower case, got {fields['id']!r}.")
    tab = fields.get("tab", TABS[0])
    _require(tab in TABS, f"tab must be one of {TABS}, got {tab!r}.")
    instructions = _checked_instructions(fields["instructions"])
    texts = _checked_texts(fields["texts"])
    row, column = _checked_sides(
        fields.get("row_instruction"), fields.get("column_instruction"), n_instructions=len(instructions)
    )
    return Example(
        id=fields["id"],
        title=fields["title"],
        point=fields["point"],
        instructions=instructions,
        texts=texts,
        labels=_checked_labels(fields.get("labels"), n_texts=len(texts)),
        row_instruction=row,
        column_instruction=column,
        tab=tab,
    )


def _checked_instructions(value: Any) -> tuple[str, ...]:
    instructions = _strings("instructions", value)
    n = len(instructions)
    _require(1 <= n <= MAX_INSTRUCTIONS, f"1 to {MAX_INSTRUCTIONS} instructions are allowed, got {n}.")
    for instruction in instructions:
        _require(
            instruction in ("", instruction.strip() + " "),
            f"an instruction must be empty or end with exactly one space, got {instruction!r}.",
        )
    return instructions


def _checked_texts(value: Any) -> tuple[str, ...]:
    texts = _strings("texts", value)
    n = len(texts)
    _require(2 <= n <= MAX_TEXTS, f"2 to {MAX_TEXTS} texts are allowed, got {n}.")
    for text in texts:
        _require(text == text.strip() != "", f"a text must not be empty or padded with spaces, got {text!r}.")
    return texts


def _checked_labels(value: Any, *, n_texts: int) -> tuple[str, ...] | None:
    if value is None:
        return None
    _require(
        isinstance(value, list) and all(isinstance(label, str) for label in value),
        f"labels must be a list of strings, got {value!r}.",
    )
    _require(len(value) == n_texts, f"labels must be as many as texts: got {len(value)} and {n_texts}.")
    return tuple(value)


def _checked_sides(row: Any, column: Any, *, n_instructions: int) -> tuple[int | None, int | None]:
    _require(
        (row is None) == (column is None),
        f"row_instruction and column_instruction come together, got {row!r} and {column!r}.",
    )
    for name, index in (("row_instruction", row), ("column_instruction", column)):
        _require(
            index is None or (type(index) is int and 0 <= index < n_instructions),
            f"{name} must be an index from 0 to {n_instructions - 1}, got {index!r}.",
        )
    return row, column


def _strings(name: str, value: Any) -> tuple[str, ...]:
    _require(
        isinstance(value, list) and all(isinstance(item, str) for item in value),
        f"{name} must be a list of strings, got {value!r}.",
    )
    repeated = _repeated(value)
    _require(repeated is None, f"{name} must differ from each other, got {repeated!r} more than once.")
    return tuple(value)


def _repeated(values: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None


def _require(rule_holds: bool, message: str) -> None:
    if not rule_holds:
        raise ExampleError(message)
