"""The token-pair ledger: heatmap with totals along both margins, the texts as chips, its largest terms in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.analysis.attribution import Contributions, Ledger, LedgerDifference, Term
from instructor_core.analysis.grid import letter
from instructor_core.analysis.numbers import number, signed
from instructor_core.analysis.units import Unit
from instructor_core.figures.charts import bars, signed_colors
from instructor_core.figures.matrix import Side, matrix_figure
from instructor_core.figures.panels import ColorScale, Panel, PanelSet, instruction_panel
from instructor_core.figures.token_rows import TokenRow, TokenRows, unit_tokens

NOT_SHOWN = (
    "Exact for the last layer and the mean. It does not show how attention put the instruction and the other words "
    "into each token's vector."
)

_MATRIX_SHARE = 0.84  # of the plotted area on either axis; the totals take what is left beyond a gap
_TOTALS_START = 0.87
_MIN_WIDTH = 360  # px


def ledger_panels(
    ledgers: Sequence[Ledger],
    which: Sequence[int],
    instructions: Sequence[str],
    *,
    difference: LedgerDifference | None = None,
) -> PanelSet:
    """One heatmap per ledger, and the difference of two if it is given, on one scale; bars are the totals."""
    tables: list[Contributions] = [*ledgers, *([] if difference is None else [difference])]
    limit = max((table.limit for table in tables), default=1.0)
    scale = ColorScale.signed(limit, "contribution to the cosine")
    panels = []
    for table, k in zip(ledgers, which, strict=True):
        subtitle = f"{table.values.size} terms, sum {number(table.total)} = cosine {number(table.cosine)}"
        panels.append(instruction_panel(k, instructions[k], _figure(table, scale), subtitle, aspect=_aspect(table)))
    if difference is not None:
        name = " − ".join(letter(k) for k in which[:2])
        subtitle = f"sum {signed(difference.total)} = {number(difference.first)} − {number(difference.second)}"
        figure = _figure(difference, scale)
        panels.append(Panel("-", f"{name}: what each term gains", figure, subtitle, aspect=_aspect(difference)))
    return PanelSet(tuple(panels), scale=scale, min_width=_MIN_WIDTH, alt=_alt(ledgers, which))


def ledger_rows(ledger: Ledger, texts: tuple[str, str]) -> TokenRows:
    """Both texts as chips coloured by what each token or word adds to the cosine, over the whole other text."""
    sides = ((ledger.rows, ledger.row_totals), (ledger.columns, ledger.column_totals))
    rows = []
    for (units, totals), title in zip(sides, texts, strict=True):
        tips = [_total_tip(total, ledger.cosine) for total in totals.tolist()]
        rows.append(TokenRow(title, unit_tokens(units, totals.tolist(), tips), note=f"sum {number(totals.sum())}"))
    largest = float(np.abs(np.concatenate([totals for _, totals in sides])).max()) or 1.0
    return TokenRows(tuple(rows), ColorScale.signed(largest, "adds to the cosine"))


def term_sentence(ledger: Ledger, term: Term) -> str:
    """One term in words, for example "`goal` × `match` adds +0.031 of 0.712"."""
    pair = f"`{_name(ledger.rows, term.row)}` × `{_name(ledger.columns, term.column)}`"
    verb = "takes" if term.value < 0 else "adds"
    return f"{pair} {verb} {signed(term.value)} of {number(ledger.cosine)}"


def difference_sentence(difference: LedgerDifference, term: Term, names: tuple[str, str]) -> str:
    """One term of a difference in words; `names` are the letters of the two instructions."""
    pair = f"`{_name(difference.rows, term.row)}` × `{_name(difference.columns, term.column)}`"
    more = names[1] if term.value < 0 else names[0]
    return f"{pair} adds {number(abs(term.value))} more under {more}"


def ledger_summary(ledger: Ledger) -> str:
    """The sum beside the cosine, and the part in which the end mark takes part."""
    marks = dict.fromkeys(unit.text for unit in (*ledger.rows, *ledger.columns) if unit.is_end)
    named = "The end mark " if len(marks) < 2 else "The marks "
    return (
        f"{ledger.values.size} terms add up to {number(ledger.total)}; the cosine is {number(ledger.cosine)}. {named}"
        + " and ".join(f"`{mark}`" for mark in marks)
        + f" take{'s' * (len(marks) < 2)} part in {signed(ledger.end_total)} of it."
    )


def one_cell_sentence(ledger: Ledger) -> str:
    """Why a checkpoint that pools one token has no ledger."""
    return (
        f"This checkpoint's embedding is the state of one token, `{ledger.rows[0].plain}`: the ledger is one cell, the "
        f"whole cosine of {number(ledger.cosine)}. What a word does is seen by deleting it: 'drop or delete a word'."
    )


def blocks_sentence(ledger: Ledger, blocks: NDArray[np.float64]) -> str:
    """What the instruction's own tokens add, where they are pooled, from the four blocks (2, 2) of the ledger."""
    own, first, second, texts = blocks.ravel().tolist()
    marks = ledger.total - float(blocks.sum())
    return (
        f"Of {number(ledger.cosine)}, {number(own)} comes from the instruction's own tokens, which are in both means, "
        f"{number(first + second)} from pairs of the instruction with a text, {number(texts)} from the two texts and "
        f"{number(marks)} from special tokens."
    )


def _figure(table: Contributions, scale: ColorScale) -> go.Figure:
    """Heatmap of the terms with bars of the totals on top and at the right."""
    sides = _side(table.rows), _side(table.columns)
    # The terms of long texts are smaller than what matrices are rounded to.
    figure = matrix_figure(table.values, *sides, scale, "contribution", digits=3, exact=True)
    rows, columns = table.row_totals, table.column_totals
    figure.add_trace(_total_bars(columns, table, table.columns, horizontal=False))
    figure.add_trace(_total_bars(rows, table, table.rows, horizontal=True))
    quiet = {"showgrid": False, "showticklabels": False, "ticks": "", "zeroline": True, "automargin": False}
    figure.update_layout(
        xaxis={"domain": [0, _MATRIX_SHARE]},
        yaxis={"domain": [0, _MATRIX_SHARE]},
        xaxis2={"domain": [_TOTALS_START, 1], "anchor": "y", "range": _range(rows), **quiet},
        yaxis2={"domain": [_TOTALS_START, 1], "anchor": "x", "range": _range(columns), **quiet},
        showlegend=False,
        bargap=0.15,
    )
    return figure


def _total_bars(
    totals: NDArray[np.float64], table: Contributions, units: Sequence[Unit], *, horizontal: bool
) -> go.Bar:
    """Bars of the totals of the rows (at the right) or of the columns (on top)."""
    places = np.arange(len(totals))
    tips = [
        f"{unit.plain}\n{_total_tip(total, table.total)}" for unit, total in zip(units, totals.tolist(), strict=True)
    ]
    if horizontal:
        return bars(totals, tips, signed_colors(totals), y=places, xaxis="x2", yaxis="y")
    return bars(places, tips, signed_colors(totals), y=totals, xaxis="x", yaxis="y2").update(orientation="v")


def _range(totals: NDArray[np.float64]) -> list[float]:
    """Axis range that holds zero and all bars."""
    low, high = min(float(totals.min()), 0.0), max(float(totals.max()), 0.0)
    room = (high - low) * 0.05 or 1.0
    return [low - room * (low < 0), high + room]


def _side(units: Sequence[Unit]) -> Side:
    """Labels of tokens or words, with a line before `</s>`."""
    names = tuple(unit.text for unit in units)
    ends = tuple(i for i, unit in enumerate(units) if unit.is_end and i > 0)
    return Side(tuple(unit.plain for unit in units), names=names, separators=ends)


def _aspect(table: Contributions) -> float:
    """Height / width that makes cells square, within what a page can show."""
    return float(np.clip(table.values.shape[0] / table.values.shape[1], 0.35, 1.6))


def _name(units: Sequence[Unit], position: int) -> str:
    """The unit's text, with its rank where the text has several of the same."""
    name = units[position].plain
    same = [i for i, unit in enumerate(units) if unit.plain == name]
    return name if len(same) == 1 else f"{name} ({same.index(position) + 1} of {len(same)})"


def _total_tip(total: float, whole: float) -> str:
    """What a unit adds, of how much."""
    return f"{'takes' if total < 0 else 'adds'} {signed(total)} of {number(whole)}"


def _alt(ledgers: Sequence[Ledger], which: Sequence[int]) -> str:
    """Text alternative: sizes, sums and the largest term of each ledger."""
    parts = []
    for ledger, k in zip(ledgers, which, strict=True):
        size = f"{len(ledger.rows)} by {len(ledger.columns)}"
        whole = f"{size} contributions that add up to the cosine {number(ledger.cosine)}"
        (largest,) = ledger.largest(1)
        parts.append(f"Under {letter(k)}: {whole}. Largest: {term_sentence(ledger, largest)}.")
    return " ".join(parts)
