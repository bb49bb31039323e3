"""Places: flips between two instructions, one text's neighbours across instructions, and documents of a query."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.analysis.grid import letter
from instructor_core.analysis.numbers import number
from instructor_core.analysis.ranks import NeighborRanks, RankFlips
from instructor_core.analysis.retrieval import CUTOFF, Retrieval
from instructor_core.figures import theme
from instructor_core.figures.charts import NEUTRAL, dots, frame, mark_value, rows_chart
from instructor_core.figures.panels import Panel, PanelSet

FLIPS_HOW_TO_READ = (
    "Each point is a text and two others whose order turns round: how clear the first order is, and how clear the "
    "second. Hollow points inside the dashed lines flip no more clearly than under a change of punctuation."
)
FLIPS_NOT_SHOWN = "Only the clearest flips are drawn. A flip does not say which of the two orders is right."
BUMP_HOW_TO_READ = "Each line is a text; its height is its place among the neighbours, the nearest on top."
BUMP_NOT_SHOWN = "Places, not distances: two places may differ by a hair. The tooltip has the cosines."
RESULTS_HOW_TO_READ = "The documents nearest to the query, best first, by cosine; marked documents are filled."
RESULTS_NOT_SHOWN = "A high place is not an answer: every query has a first document, however far away it is."
CHANGES_HOW_TO_READ = "Each line is a document, from its place before to its place after the change of instruction."
_LABEL_LENGTH = 34
_RANK_TICKS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def flip_panels(result: RankFlips, a: int, b: int) -> PanelSet:
    """The listed flips by their lead under A and under B, with the floor drawn."""
    first, second = letter(a), letter(b)
    figure = go.Figure()
    for above, name in ((False, "within noise"), (True, "above the noise floor")):
        flips = [flip for flip in result.flips if flip.above_floor is above]
        tips = [
            f"text {flip.anchor + 1}: nearer to {flip.near_a + 1} than to {flip.near_b + 1} under {first} "
            f"(by {number(flip.lead_a)})\nnearer to {flip.near_b + 1} than to {flip.near_a + 1} under {second} "
            f"(by {number(flip.lead_b)})"
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
    frame(figure)
    figure.update_xaxes(title_text=f"lead under {first} (cosine)", rangemode="tozero")
    figure.update_yaxes(title_text=f"lead under {second} (cosine)", rangemode="tozero")
    subtitle = f"{result.n_flips} of {result.n_triplets} triplets flip, {result.n_above_floor} above the noise floor"
    alt = f"{subtitle} of {number(result.floor)}, from {first} to {second}; the {len(result.flips)} clearest are drawn."
    return PanelSet(
        (Panel(f"{first}|{second}", f"Orders turned round, {first} to {second}", figure, subtitle),), (), alt=alt
    )


def bump_panels(result: NeighborRanks, texts: Sequence[str]) -> PanelSet:
    """Places of one text's neighbours under every instruction, one line per neighbour."""
    letters = [letter(k) for k in range(len(result.ranks))]
    when = [f"under {name}" for name in letters]
    figure = _rank_figure(letters, when, result.ranks, result.similarities, result.shown.tolist())
    title = f"Neighbours of text {result.text + 1}"
    nearest = ", ".join(
        f"{name} {int(result.shown[int(row.argmin())]) + 1}" for name, row in zip(letters, result.ranks, strict=True)
    )
    subtitle = theme.shorten(texts[result.text], 80)
    alt = f"Places of {len(result.shown)} neighbours of text {result.text + 1} under {len(letters)} instructions. "
    panel = Panel("bump", title, figure, subtitle)
    return PanelSet((panel,), tuple(texts), alt=f"{alt}Nearest text: {nearest}.")


def result_panels(
    retrieval: Retrieval,
    query: int,
    queries: Sequence[str],
    texts: Sequence[str],
    *,
    rows: Sequence[int] | None = None,
    relevant: NDArray[np.bool_] | None = None,
    top: int = CUTOFF,
) -> PanelSet:
    """Scores of the first of M documents, `rows` of the texts, of one query; `relevant` (Q, M) ones are marked."""
    rows = range(len(texts)) if rows is None else rows
    found = retrieval.order[query, :top].tolist()
    scores = retrieval.scores[query, found].tolist()
    marked = [relevant is not None and bool(relevant[query, document]) for document in found]
    shown = [rows[document] for document in found]
    figure = go.Figure(
        dots(
            scores,
            list(range(len(shown))),
            [
                f"place {place}, cosine {number(score)}{', relevant' if mark else ''}"
                for place, (score, mark) in enumerate(zip(scores, marked, strict=True), start=1)
            ],
            items=shown,
            marker={
                "size": theme.MARKER_SIZE + 2,
                "color": [theme.SEGMENTS["text"] if mark else NEUTRAL for mark in marked],
                "symbol": ["circle" if mark else "circle-open" for mark in marked],
                "line": {"width": 2},
            },
        )
    )
    names = [f"{row + 1}  {theme.shorten(texts[row], _LABEL_LENGTH)}" for row in shown]
    rows_chart(figure, names, title="cosine")
    among = f", {sum(marked)} of {int(relevant[query].sum())} marked ones among them" if relevant is not None else ""
    subtitle = f"the first {len(shown)} of {len(rows)} documents, best on top{among}"
    alt = f"Query: {queries[query]}. Best document: {texts[shown[0]]} ({number(scores[0])}){among}."
    title = theme.shorten(queries[query], 90)
    return PanelSet((Panel("results", title, figure, subtitle),), tuple(texts), alt=alt)


def rank_change_panels(
    before: Retrieval,
    after: Retrieval,
    query: int,
    queries: Sequence[str],
    texts: Sequence[str],
    *,
    rows: Sequence[int] | None = None,
    top: int = CUTOFF,
) -> PanelSet:
    """Places of the documents of one query, `rows` of the texts, before and after a change of instruction."""
    rows = range(len(texts)) if rows is None else rows
    ranks = np.stack([before.ranks[query], after.ranks[query]])
    scores = np.stack([before.scores[query], after.scores[query]])
    shown = [int(d) for d in after.order[query] if ranks[:, d].min() <= top]
    when, items = ("before", "after"), [rows[document] for document in shown]
    figure = _rank_figure(when, when, ranks[:, shown], scores[:, shown], items)
    moved = sum(int(ranks[0, d] != ranks[1, d]) for d in shown)
    subtitle = f"{moved} of {len(shown)} documents change their place"
    alt = f"Query: {queries[query]}. {subtitle}. First before: {texts[rows[int(before.order[query, 0])]]}. "
    alt += f"First after: {texts[rows[int(after.order[query, 0])]]}."
    panel = Panel("changes", theme.shorten(queries[query], 90), figure, subtitle)
    return PanelSet((panel,), tuple(texts), alt=alt)


def _rank_figure(
    columns: Sequence[str],
    when: Sequence[str],
    ranks: NDArray[np.integer],
    cosines: NDArray[np.floating],
    items: Sequence[int],
) -> go.Figure:
    """A line per item, linked to it, over its ranks (K, m) from 1 on top; the first ranks get the most room."""
    figure, last = go.Figure(), int(ranks.max(initial=1))
    for index, item in enumerate(items):
        of_item = zip(when, ranks[:, index].tolist(), cosines[:, index].tolist(), strict=True)
        line = dots(
            list(range(len(columns))),
            ranks[:, index].tolist(),
            [f"place {rank} {words}, cosine {number(cosine)}" for words, rank, cosine in of_item],
            items=[item] * len(columns),
            mode="lines+markers+text",
            line={"color": theme.label_color(index), "width": theme.LINE_WIDTH},
            marker={"size": theme.MARKER_SIZE, "symbol": theme.label_symbol(index)},
            text=["" for _ in columns[:-1]] + [str(item + 1)],
            textposition="middle right",
        )
        figure.add_trace(line)
    ticks = [rank for rank in _RANK_TICKS if rank <= last]
    return frame(figure).update_layout(
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
