"""Drop or delete: how much the similarity falls without each token or word, in two ways."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from instructor_core.analysis.deletion import DropOrDelete
from instructor_core.analysis.numbers import number, signed
from instructor_core.figures import theme
from instructor_core.figures.charts import NEUTRAL, bars, unit_bars
from instructor_core.figures.panels import ColorScale, Panel, PanelSet
from instructor_core.figures.token_rows import TokenRow, TokenRows, unit_tokens

NOT_SHOWN = (
    "It does not show why: the gap between the two bars is all that deleting a word does to the vectors of the other "
    "words, and leaving out two words at once may do more or less than the two alone."
)


ONE_TOKEN = (
    "The embedding is the state of one token, which no word covers: dropping a word from a mean changes nothing here, "
    "and all that a word does, it does through attention."
)


def deletion_panels(result: DropOrDelete, *, title: str) -> PanelSet:
    """Bars of the effect of leaving each unit out: filled for the mean, outlined for the input, dots for their gap."""
    dropped, tips = result.dropped, _tips(result)
    in_the_mean = bars(dropped.effects, tips, NEUTRAL, name="dropped from the mean")
    figure = unit_bars(
        [unit.plain for unit in dropped.units],
        [in_the_mean, *_deleted_traces(result, tips)],
        title="cosine lost without it",
    )
    subtitle = f"cosine {number(dropped.cosine)} with everything"
    return PanelSet((Panel("deletion", title, figure, subtitle),), alt=_alt(result))


def deletion_rows(result: DropOrDelete, *, title: str) -> TokenRows:
    """The text as chips coloured by the effect of dropping each unit, and by that of deleting it."""
    sides: tuple[tuple[str, Sequence[float | None]], ...] = (
        ("dropped from the mean", result.dropped.effects.tolist()),
        ("deleted from the input", result.deletion_effects),
    )
    units, tips = result.dropped.units, _tips(result)
    rows = tuple(TokenRow(title, unit_tokens(units, values, tips), note=note) for note, values in sides)
    largest = max((abs(value) for _, values in sides for value in values if value is not None), default=0.0) or 1.0
    return TokenRows(rows, ColorScale.signed(largest, "cosine lost without it"))


def _deleted_traces(result: DropOrDelete, tips: Sequence[str]) -> tuple[go.Bar, go.Scatter]:
    """Outlined bars of deleting and a dotted line along the gap to dropping."""
    effects = result.deletion_effects
    known = [i for i, effect in enumerate(effects) if effect is not None]
    gap_x: list[float | None] = []
    gap_y: list[float | None] = []
    for i in known:
        gap_x += [float(result.dropped.effects[i]), effects[i], None]
        gap_y += [i, i, None]
    deleted = bars([effects[i] or 0.0 for i in known], [tips[i] for i in known], "rgba(0,0,0,0)", y=known)
    deleted.update(name="deleted from the input", marker_line={"color": NEUTRAL, "width": 1.5})
    gap = go.Scatter(
        name="gap: context",
        x=gap_x,
        y=gap_y,
        mode="lines",
        line={"color": NEUTRAL, "width": theme.LINE_WIDTH, "dash": "dot"},
        hoverinfo="skip",
        meta={"kind": "plain"},
    )
    return deleted, gap


def _tips(result: DropOrDelete) -> list[str]:
    """Tooltip of each unit: both similarities and the gap."""
    dropped, tips = result.dropped, []
    for i, unit in enumerate(dropped.units):
        deleted, context = result.deleted[i], result.context[i]
        lines = [
            unit.plain,
            f"dropped from the mean: {number(dropped.similarities[i])}, a change of {signed(-dropped.effects[i])}",
        ]
        if deleted is None or context is None:
            lines.append("cannot be deleted from the input")
        else:
            change = signed(deleted - dropped.cosine)
            lines.append(f"deleted from the input: {number(deleted)}, a change of {change}")
            lines.append(f"gap, what it does to the others: {signed(-context)}")
        tips.append("\n".join(lines))
    return tips


def _alt(result: DropOrDelete) -> str:
    """Text alternative: the whole similarity and the unit that matters most."""
    dropped = result.dropped
    largest = int(abs(dropped.effects).argmax())
    words = (
        f"Cosine {number(dropped.cosine)} and what it loses without each of {len(dropped.units)} units. Dropping "
        f"{dropped.units[largest].plain} changes it most, by {signed(-dropped.effects[largest])}"
    )
    if (deleted := result.deleted[largest]) is not None:
        words += f"; deleting it changes it by {signed(deleted - dropped.cosine)}"
    return f"{words}."
