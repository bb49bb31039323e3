"""Claims as they stand in a lesson file: a JSON object with a kind and that kind's fields, checked against its step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from instructor_core.ui.claims import KINDS, Cell, Claim
from instructor_core.ui.inputs import Inputs


class ClaimError(ValueError):
    """A claim breaks a rule of the format; the message says which and what was got."""


def parse_claim(value: Any, inputs: Inputs) -> Claim:
    """Return the claim that a JSON object describes, checked against the inputs of its step.

    Raises:
        ClaimError: If the kind is unknown, a field is missing or unknown, or an index is outside the inputs.
    """
    if not isinstance(value, dict) or value.get("kind") not in KINDS:
        got = value.get("kind") if isinstance(value, dict) else value
        raise ClaimError(f"a claim must be an object whose kind is one of {list(KINDS)}, got {got!r}.")
    claim = KINDS[value["kind"]]
    names = [field.name for field in fields(claim)]
    given = sorted(name for name in value if name != "kind")
    if given != sorted(names):
        raise ClaimError(f"a claim {claim.kind!r} has the fields {names}, got {given}.")
    return claim(*(_READERS[name](value[name], name, inputs) for name in names))


def _index(value: Any, name: str, n: int) -> int:
    if type(value) is not int or not 0 <= value < n:
        raise ClaimError(f"{name} must be an index from 0 to {n - 1}, got {value!r}.")
    return value


def _instruction(value: Any, name: str, inputs: Inputs) -> int:
    return _index(value, name, len(inputs.instructions))


def _text(value: Any, name: str, inputs: Inputs) -> int:
    return _index(value, name, len(inputs.texts))


def _two(value: Any, name: str) -> tuple[Any, Any]:
    if not isinstance(value, list) or len(value) != 2:
        raise ClaimError(f"{name} must be a list of two, got {value!r}.")
    return value[0], value[1]


def _instructions(value: Any, name: str, inputs: Inputs) -> tuple[int, int]:
    first, second = _two(value, name)
    return _instruction(first, name, inputs), _instruction(second, name, inputs)


def _cell(value: Any, name: str, inputs: Inputs) -> Cell:
    if not isinstance(value, dict) or not {"instruction", "pair"} <= set(value) <= {
        "instruction",
        "pair",
        "column_instruction",
    }:
        raise ClaimError(f"{name} must be an object with instruction and pair, got {value!r}.")
    first, second = _two(value["pair"], name)
    pair = _text(first, name, inputs), _text(second, name, inputs)
    column = value.get("column_instruction")
    return Cell(
        _instruction(value["instruction"], name, inputs),
        pair,
        None if column is None else _instruction(column, name, inputs),
    )


def _number(value: Any, name: str, _: Inputs) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ClaimError(f"{name} must be a number, got {value!r}.")
    return value


def _word(value: Any, name: str, _: Inputs) -> str:
    if not isinstance(value, str) or not value:
        raise ClaimError(f"{name} must be a word, got {value!r}.")
    return value


def _words(value: Any, name: str, inputs: Inputs) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ClaimError(f"{name} must be a list of words, got {value!r}.")
    return tuple(_word(item, name, inputs) for item in value)


_READERS: dict[str, Callable[[Any, str, Inputs], Any]] = {
    "instruction": _instruction,
    "column_instruction": _instruction,
    "text": _text,
    "nearest": _text,
    "n_queries": _text,
    "instructions": _instructions,
    "than_instructions": _instructions,
    "cell": _cell,
    "greater": _cell,
    "than": _cell,
    "margin": _number,
    "factor": _number,
    "value": _number,
    "at_least": _number,
    "at_most": _number,
    "word": _word,
    "words": _words,
    "segments": _words,
}
