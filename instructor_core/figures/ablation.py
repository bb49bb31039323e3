"""Effects of leaving words out of an instruction: bars with the noise floor, and the words themselves, coloured."""

from __future__ import annotations

import plotly.graph_objects as go

from instructor_core.analysis.ablation import Ablation, EditKind
from instructor_core.analysis.numbers import counted, number
from instructor_core.figures import theme
from instructor_core.figures.charts import NEUTRAL, bars, mark_value, rows_chart
from instructor_core.figures.panels import ColorScale, Panel, PanelSet
from instructor_core.figures.token_rows import Token, TokenRow, TokenRows

HOW_TO_READ = (
    "A bar is how far the texts move, on average, when this word is left out or this slot changed. The dashed line is "
    "the noise floor: the largest move caused by an edit that means nothing. A bar that ends before it says nothing."
)
NOT_SHOWN = "A move is not a gain: a word may move all texts the same way and change no neighbour."
_TITLES = {
    EditKind.WORD: "Words left out",
    EditKind.SLOT: "Slots of the template changed",
    EditKind.FLOOR: "Edits that mean nothing",
}
_NAME_LENGTH = 30


def ablation_panels(result: Ablation, *, accent: str | None = None) -> PanelSet:
    """Bars in reading order, one panel per kind of edit, all with the same axis and the floor drawn."""
    accent = accent or theme.accent(0)
    kinds = [kind for kind in EditKind if any(edit.kind is kind for edit in result.plan.edits)]
    panels = tuple(_panel(result, kind, accent) for kind in kinds)
    strong = [edit.name for edit, above in zip(result.plan.edits, result.above_floor, strict=True) if above]
    alt = (
        f"Effects of {len(result.effects)} edits of the instruction on {counted(result.n_texts, 'text')}. Noise floor "
        f"{number(result.floor, 4)} ({result.floor_edit.name}). Above it: {', '.join(strong) or 'nothing'}."
    )
    return PanelSet(panels, alt=alt)


def ablation_rows(result: Ablation, *, title: str, instruction: int) -> TokenRows:
    """The instruction with each word coloured by its effect; words under the floor have no colour."""
    high = max(float(result.effects.max()), result.floor, 1e-6)
    tokens = []
    for i, (word, effect) in enumerate(zip(result.plan.words, result.word_effects(), strict=True)):
        above = effect > result.floor
        side = "above" if above else "not above"
        tip = f"effect of leaving it out {number(effect, 4)}\n{side} the noise floor {number(result.floor, 4)}"
        tokens.append(Token("▁" + word, "instruction", effect if above else None, i, tip))
    note = f"noise floor {number(result.floor, 4)} ({result.floor_edit.name})"
    scale = ColorScale(theme.SEQUENTIAL, 0.0, high, "mean 1 - cosine without the word", midpoint=result.floor)
    return TokenRows((TokenRow(title, tuple(tokens), instruction, note),), scale)


def _panel(result: Ablation, kind: EditKind, accent: str) -> Panel:
    """Bars of one kind of edit."""
    shown = [i for i, edit in enumerate(result.plan.edits) if edit.kind is kind]
    edits = [result.plan.edits[i] for i in shown]
    tips = [
        f"{edit.name}\n{edit.instruction!r}\nmean 1 - cosine {number(result.effects[i], 4)} "
        f"(middle half of the texts {number(result.quartiles[i, 0], 4)} to {number(result.quartiles[i, 1], 4)})"
        for i, edit in zip(shown, edits, strict=True)
    ]
    colors = [accent if result.above_floor[i] else NEUTRAL for i in shown]
    figure = go.Figure(bars(result.effects[shown], tips, colors, width=0.7))
    mark_value(figure, result.floor, dash="dash")
    rows_chart(figure, [theme.shorten(edit.name, _NAME_LENGTH) for edit in edits], title="mean 1 - cosine")
    figure.update_xaxes(range=[0, 1.05 * max(float(result.effects.max()), 1e-6)])
    subtitle = (
        f"noise floor {number(result.floor, 4)} ({result.floor_edit.name}) · "
        f"mean over {counted(result.n_texts, 'text')}"
    )
    return Panel(kind.name, _TITLES[kind], figure, subtitle)
