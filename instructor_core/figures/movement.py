"""What the instruction moved: the share of each token or word, as bars, as chips and in words, and the neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from instructor_core.analysis.grid import letter
from instructor_core.analysis.movement import Movement, NeighborChange
from instructor_core.analysis.numbers import number
from instructor_core.analysis.similarity import Neighbor
from instructor_core.figures import theme
from instructor_core.figures.charts import bars, signed_colors, unit_bars
from instructor_core.figures.panels import ColorScale, Panel, PanelSet
from instructor_core.figures.token_rows import TokenRow, TokenRows, unit_tokens

NOT_SHOWN = (
    "It does not show what the move means: a share says how far a token went in the direction of the whole text, not "
    "which word of the instruction made it go."
)

_TEXT_LENGTH = 60  # characters of a text in a sentence


def movement_panels(result: Movement, *, a: int, b: int) -> PanelSet:
    """Bars of the shares; where nothing moved, empty rows and the reason."""
    names = [unit.plain for unit in result.units]
    shares = np.zeros(len(names)) if result.shares is None else result.shares
    tips = [f"{name}\n{tip}" for name, tip in zip(names, _tips(result), strict=True)]
    figure = unit_bars(names, [bars(shares, tips, signed_colors(shares))], title="share of the move")
    figure.update_xaxes(tickformat=".0%")
    if result.shares is None:
        figure.update_xaxes(range=[-1, 1])
    panel = Panel("movement", f"{letter(a)} to {letter(b)}", figure, movement_summary(result, a=a, b=b))
    return PanelSet((panel,), alt=" ".join([movement_summary(result, a=a, b=b), *carrier_sentences(result, 1)]))


def movement_rows(result: Movement, *, title: str) -> TokenRows:
    """The text as chips coloured by each unit's share; without colours where nothing moved."""
    weights: Sequence[float | None] = [None] * len(result.units)
    scale = None
    if result.shares is not None:
        weights = result.shares.tolist()
        largest = float(np.abs(result.shares).max())
        scale = ColorScale.signed(largest, "share of the move")
    tokens = unit_tokens(result.units, weights, _tips(result))
    note = "no move" if result.shares is None else "shares add up to 100 %"
    return TokenRows((TokenRow(title, tokens, note=note),), scale)


def movement_summary(result: Movement, *, a: int, b: int) -> str:
    """How far the text moved, in one sentence."""
    if result.shares is None:
        return f"No move: {letter(a)} and {letter(b)} give this text the same embedding."
    return (
        f"From {letter(a)} to {letter(b)} the embedding moves by {number(result.distance)} before normalising; "
        f"cosine of the two {number(result.cosine)}."
    )


def carrier_sentences(result: Movement, k: int) -> tuple[str, ...]:
    """The units that carried most of the move, one sentence each; none where nothing moved."""
    if result.shares is None:
        return ()
    shares = result.shares
    return tuple(
        f"`{result.units[i].plain}` carried {number(100 * shares[i], 1)} % of the move."
        if shares[i] >= 0
        else f"`{result.units[i].plain}` went against the move: {number(100 * shares[i], 1)} %."
        for i in result.carriers(k)
    )


def instruction_pooled_sentence(cosine: float) -> str:
    """Why a move is not split where the instruction's own tokens are pooled."""
    return (
        f"The text has cosine {number(cosine)} with itself under the other instruction. Its move cannot be split by "
        "token: this checkpoint pools the instruction too, so the two means are of different tokens."
    )


def neighbor_sentences(change: NeighborChange, texts: Sequence[str], *, a: int, b: int) -> tuple[str, ...]:
    """Which texts came and went among the nearest of one text, in plain text."""
    if not change.before:
        return ("There is no other text to be a neighbour.",)
    k = len(change.before)
    if not change.came:
        return (f"The same {k} texts are nearest under {letter(a)} and under {letter(b)}.",)
    came = [f"Came under {letter(b)}: {_neighbor(neighbor, texts)}" for neighbor in change.came]
    went = [f"Was near under {letter(a)} only: {_neighbor(neighbor, texts)}" for neighbor in change.went]
    return (*came, *went)


def _neighbor(neighbor: Neighbor, texts: Sequence[str]) -> str:
    """Number, beginning and cosine of a text."""
    return f"{neighbor.text + 1} {theme.shorten(texts[neighbor.text], _TEXT_LENGTH)} ({number(neighbor.similarity)})"


def _tips(result: Movement) -> list[str]:
    """Tooltip of each unit: its share and how far it went."""
    if result.shares is None:
        return ["did not move"] * len(result.units)
    return [
        f"{number(100 * share, 1)} % of the move\nwent {number(length)} in any direction, as its part of the mean"
        for share, length in zip(result.shares.tolist(), result.lengths.tolist(), strict=True)
    ]
