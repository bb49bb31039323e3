"""Rows of tokens as data: what the token view of the browser (`ui/components.py`) draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from instructor_core.analysis.units import Unit
from instructor_core.figures.panels import ColorScale, chip, inert_json


@dataclass(frozen=True)
class Token:
    """One token of a row."""

    text: str  # the piece as in the vocabulary, "▁" for the start of a word
    segment: str  # "instruction", "straddling", "text", "end" or "cut"
    weight: float | None = None  # its background on the scale of the set
    index: int = 0  # what events report, and what hovering links within the row
    tip: str = ""  # further lines of the tooltip


@dataclass(frozen=True, eq=False)
class TokenRow:
    """One sequence under a heading."""

    title: str
    tokens: tuple[Token, ...]
    instruction: int | None = None  # whose letter is on the chip
    note: str = ""  # quiet line beside the title


@dataclass(frozen=True, eq=False)
class TokenRows:
    """What one token view shows: rows and the scale of their weights; None if no token has a weight."""

    rows: tuple[TokenRow, ...]
    scale: ColorScale | None = None

    def to_json(self) -> str:
        """Return the payload of the browser component."""
        rows = [
            {"title": row.title, **chip(row.instruction), "note": row.note, "tokens": [_token(t) for t in row.tokens]}
            for row in self.rows
        ]
        return inert_json({"rows": rows, "scale": None if self.scale is None else vars(self.scale)})


def unit_tokens(units: Sequence[Unit], weights: Sequence[float | None], tips: Sequence[str]) -> tuple[Token, ...]:
    """The tokens or words of a text as chips, each with its weight and what its tooltip adds."""
    each = zip(units, weights, tips, strict=True)
    return tuple(Token(unit.piece, unit.segment, weight, i, tip) for i, (unit, weight, tip) in enumerate(each))


def _token(token: Token) -> dict[str, object]:
    weight = None if token.weight is None else round(token.weight, 5)
    return {"t": token.text, "s": token.segment, "w": weight, "i": token.index, "tip": token.tip}
