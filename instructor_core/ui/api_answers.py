"""What the endpoints answer: plain lists and objects, whose types are the schema that a caller reads."""

from __future__ import annotations

from typing import TypedDict


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
