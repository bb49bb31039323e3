"""What the endpoints take and answer: limits and checks of what a program sends, which may be any JSON, and types.

Answers are plain lists and objects; their types are the schema that a caller reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from instructor_core.errors import UserError
from instructor_core.ui.inputs import MAX_CHARACTERS, MAX_INSTRUCTIONS, Inputs, join_ready
from instructor_core.ui.strings import well_formed

MAX_API_TEXTS = 500
MAX_API_CHARACTERS = 500_000  # of all texts together
MAX_API_INSTRUCTION = 2_000  # characters
MAX_API_NUMBERS = 1_000_000  # in an answer
MAX_API_TOKEN_TEXTS = 64


def checked_inputs(checkpoint: object, texts: object, instructions: object, *, most: int = MAX_API_TEXTS) -> Inputs:
    """Check what every endpoint takes.

    Raises:
        UserError: With the name of the argument, the rule and what was got.
    """
    if not isinstance(checkpoint, str):
        raise UserError(f"checkpoint is a string: got {shown(checkpoint)}.")
    listed = tuple(text.strip() for text in strings("texts", texts, most, MAX_CHARACTERS))
    empty = next((number for number, text in enumerate(listed, start=1) if not text), None)
    if empty is not None:
        raise UserError(f"A text must not be empty: number {empty} is.")
    total = sum(map(len, listed))
    if total > MAX_API_CHARACTERS:
        raise UserError(f"texts may have {MAX_API_CHARACTERS} characters together: got {total}. Send fewer at a time.")
    ready = map(join_ready, strings("instructions", instructions, MAX_INSTRUCTIONS, MAX_API_INSTRUCTION))
    return Inputs(checkpoint, tuple(ready), listed, None)


def strings(name: str, value: object, most: int, longest: int) -> tuple[str, ...]:
    """Return 1 to `most` well-formed strings of at most `longest` characters, or raise a UserError."""
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise UserError(f"{name} is a list of strings: got {shown(value)}.")
    if not 1 <= len(value) <= most:
        raise UserError(f"{name} takes 1 to {most} strings: got {len(value)}.")
    for number, entry in enumerate(value, start=1):
        if len(entry) > longest:
            raise UserError(f"{name} may have {longest} characters each: number {number} has {len(entry)}.")
    return tuple(well_formed(entry) for entry in value)


def check_integer(name: str, value: object, low: int, high: int) -> None:
    """Raise a UserError unless `value` is an integer from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UserError(f"{name} is an integer from {low} to {high}: got {shown(value)}.")


def check_flag(name: str, value: object) -> None:
    """Raise a UserError unless `value` is true or false."""
    if not isinstance(value, bool):
        raise UserError(f"{name} is true or false: got {shown(value)}.")


def check_choice(name: str, value: object, offered: Sequence[str]) -> None:
    """Raise a UserError unless `value` is one of `offered`."""
    if not isinstance(value, str) or value not in offered:
        raise UserError(f"{name} is one of {', '.join(offered)}: got {shown(value)}.")


def check_numbers(n: int) -> None:
    """Raise a UserError if an answer would hold more numbers than allowed."""
    if n > MAX_API_NUMBERS:
        raise UserError(f"An answer may hold {MAX_API_NUMBERS} numbers: this one would hold {n}. Send fewer texts.")


def shown(value: object) -> str:
    """What was got, short: its kind for what may be long or deep."""
    return repr(value)[:40] if isinstance(value, str | int | float | bool | None) else type(value).__name__


def unwrapped(docstring: str) -> str:
    """Return a docstring with every argument, and what is returned, on one line each: Gradio reads line by line."""
    lines: list[str] = []
    section = ""
    for line in docstring.splitlines():
        indent = len(line) - len(line.lstrip())
        if line and indent == 0:
            section = line
        if indent > 4 or (indent == 4 and section == "Returns:" and lines[-1] != section):
            lines[-1] = f"{lines[-1]} {line.strip()}"
        else:
            lines.append(line)
    return "\n".join(lines)


class Encoded(TypedDict):
    """Answer of `encode`."""

    checkpoint: str
    revision: str
    dimensions: int
    embeddings: list[list[list[float]]]
    norms: list[list[float]]


class Similarities(TypedDict):
    """Answer of `similarity`."""

    checkpoint: str
    matrices: list[list[list[float]]]


class TokenRow(TypedDict):
    """One text in the answer of `tokens`."""

    tokens: list[str]
    segments: list[str]
    pooled: list[bool]
    alignment: list[float]
    cut_off: int


class Projected(TypedDict):
    """Answer of `project`."""

    method: str
    notes: list[str]
    coordinates: list[list[list[float]]]
    trustworthiness: list[float | None]


class Terms(TypedDict):
    """Answer of `ledger`."""

    cosine: float
    rows: list[str]
    columns: list[str]
    values: list[list[float]]


class BoardRow(TypedDict):
    """One instruction in the answer of `leaderboard`."""

    name: str
    role: str
    instruction: str
    rank: int
    value: float | None
    low: float | None
    high: float | None
    verdict: str
    standing: str


class Board(TypedDict):
    """Answer of `leaderboard`."""

    metric: str
    k: int
    decision: str
    use: str
    instruction: str
    held_out: float
    held_out_none: float
    gain: list[float]
    best: str
    conclusion: list[str]
    texts_used: int
    rows: list[BoardRow]


class TaskLikeness(TypedDict):
    """One tested task in the answer of `fingerprint`."""

    task: str
    correlation: float
    floor: float


class Moved(TypedDict):
    """Answer of `fingerprint`."""

    sentence: str
    verdict: str
    like: list[str]
    distance: float
    noise: float
    order_change: float
    order_noise: float
    n_texts: int
    tasks: list[TaskLikeness]
