"""Rank flips between two instructions, and one text's neighbours across instructions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from instructor_core.analysis.grid import letter
from instructor_core.analysis.ranks import NeighborRanks, RankFlips
from instructor_core.figures import theme
from instructor_core.figures.charts import NEUTRAL, dots, framed, mark_value
from instructor_core.figures.panels import Panel, PanelSet

FLIPS_HOW_TO_READ = (
    "Each point is a text and two others whose order turns round: how clear the first order is, and how clear the "
    "second. Hollow points inside the dashed lines flip no more clearly than under a change of punctuation."
)
FLIPS_NOT_SHOWN = "Only the clearest flips are drawn. A flip does not say which of the two orders is right."
BUMP_HOW_TO_READ = "Each line is a text; its height is its place among the neighbours, the nearest on top."
BUMP_NOT_SHOWN = "Places, not distances: two places may differ by a hair. The tooltip has the cosines."
_RANK_TICKS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def flip_panels(result: RankFlips, a: int, b: int) -> PanelSet:
    """The listed flips by their lead under A and under B, with the floor drawn."""
    first, second = letter(a), letter(b)
    figure = go.Figure()
    for above, name in ((False, "within noise"), (True, "above the noise floor")):
        flips = [flip for flip in result.flips if flip.above_floor is above]
        tips = [
            f"text {flip.anchor + 1}: nearer to {flip.near_a + 1} than to {flip.near_b + 1} under {first} "
            f"(by {flip.lead_a:.3f})\nnearer to {flip.near_b + 1} than to {flip.near_a + 1} under {second} "
            f"(by {flip.lead_b:.3f})"
            for flip in flips
        ]
        figure.add_trace(
            dots(
                [flip.lead_a for flip in flips],
                [flip.lead_b for flip in flips],
                tips,
                name=name,
                marker={"color": NEUTRAL, "size": theme.MARKER_SIZE, "symbol": "circle" if above else "circle-open"},
            )
        )
    for axis in ("x", "y"):
        if result.floor > 0:
            mark_value(figure, result.floor, dash="dash", axis=axis)
    framed(figure)
    figure.update_xaxes(title_text=f"lead under {first} (cosine)", rangemode="tozero")
    figure.update_yaxes(title_text=f"lead under {second} (cosine)", rangemode="tozero")
    subtitle = f"{result.n_flips} of {result.n_triplets} triplets flip, {result.n_above_floor} above the noise floor"
    alt = f"{subtitle} of {result.floor:.3f}, from {first} to {second}; the {len(result.flips)} clearest are drawn."
    return PanelSet(
        (Panel(f"{first}|{second}", f"Orders turned round, {first} to {second}", None, figure, subtitle),), (), alt=alt
    )


def bump_panels(result: NeighborRanks, texts: Sequence[str]) -> PanelSet:
    """Places of one text's neighbours under every instruction, one line per neighbour."""
    letters = [letter(k) for k in range(len(result.ranks))]
    figure = go.Figure()
    for column, text in enumerate(result.shown.tolist()):
        ranks, cosines = result.ranks[:, column], result.similarities[:, column]
        tips = [
            f"place {rank} under {name}, cosine {cosine:.3f}"
            for name, rank, cosine in zip(letters, ranks.tolist(), cosines.tolist(), strict=True)
        ]
        figure.add_trace(rank_line(list(range(len(letters))), ranks.tolist(), text, tips, column))
    rank_axes(figure, letters, int(result.ranks.max(initial=1)))
    title = f"Neighbours of text {result.text + 1}"
    nearest = ", ".join(
        f"{name} {int(result.shown[int(row.argmin())]) + 1}" for name, row in zip(letters, result.ranks, strict=True)
    )
    subtitle = theme.shorten(texts[result.text], 80)
    alt = f"Places of {len(result.shown)} neighbours of text {result.text + 1} under {len(letters)} instructions. "
    panel = Panel("bump", title, None, figure, subtitle)
    return PanelSet((panel,), tuple(texts), alt=f"{alt}Nearest text: {nearest}.")


def rank_line(places: list[int], ranks: list[int], item: int, tips: list[str], index: int) -> go.Scatter:
    """One item's ranks as a line, with its number at every point; linked to the item."""
    return dots(
        places,
        ranks,
        tips,
        items=[item] * len(places),
        mode="lines+markers+text",
        line={"color": theme.label_color(index), "width": theme.LINE_WIDTH},
        marker={"size": theme.MARKER_SIZE, "symbol": theme.label_symbol(index)},
        text=["" for _ in places[:-1]] + [str(item + 1)],
        textposition="middle right",
    )


def rank_axes(figure: go.Figure, columns: Sequence[str], last: int) -> None:
    """Named columns, and ranks from 1 on top; the first ranks get the most room."""
    ticks = [rank for rank in _RANK_TICKS if rank <= last]
    framed(figure)
    figure.update_layout(
        xaxis={
            "range": [-0.2, len(columns) - 0.7],
            "tickmode": "array",
            "tickvals": list(range(len(columns))),
            "ticktext": [theme.escape(name) for name in columns],
            "showgrid": False,
            "zeroline": False,
        },
        yaxis={
            "type": "log",
            "range": [math.log10(last) + 0.08, -0.08],
            "tickmode": "array",
            "tickvals": ticks,
            "ticktext": [str(rank) for rank in ticks],
            "title": {"text": "place"},
        },
    )
