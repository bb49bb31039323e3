"""Ranked documents of one query, and how their places change with an instruction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.analysis.retrieval import CUTOFF, Retrieval
from instructor_core.figures import theme
from instructor_core.figures.charts import NEUTRAL, dots, rows_chart
from instructor_core.figures.panels import Panel, PanelSet
from instructor_core.figures.ranks import rank_axes, rank_line

HOW_TO_READ = "The documents nearest to the query, best first, by cosine; marked documents are filled."
NOT_SHOWN = "A high place is not an answer: every query has a first document, however far away it is."
CHANGE_HOW_TO_READ = "Each line is a document, from its place before to its place after the change of instruction."
_LABEL_LENGTH = 34


def result_panels(
    retrieval: Retrieval,
    query: int,
    queries: Sequence[str],
    documents: Sequence[str],
    *,
    relevant: NDArray[np.bool_] | None = None,
    top: int = CUTOFF,
) -> PanelSet:
    """Scores of the first documents of one query; `relevant` (Q, M) marks the documents that answer it."""
    results = retrieval.results(query, top=top)
    marked = [relevant is not None and bool(relevant[query, result.document]) for result in results]
    figure = go.Figure(
        dots(
            [result.score for result in results],
            list(range(len(results))),
            [
                f"place {result.rank}, cosine {result.score:.3f}{', relevant' if mark else ''}"
                for result, mark in zip(results, marked, strict=True)
            ],
            items=[result.document for result in results],
            marker={
                "size": theme.MARKER_SIZE + 2,
                "color": [theme.SEGMENTS["text"] if mark else NEUTRAL for mark in marked],
                "symbol": ["circle" if mark else "circle-open" for mark in marked],
                "line": {"width": 2},
            },
        )
    )
    names = [f"{result.rank}  {theme.shorten(documents[result.document], _LABEL_LENGTH)}" for result in results]
    rows_chart(figure, names, title="cosine")
    found = f", {sum(marked)} of {int(relevant[query].sum())} marked ones among them" if relevant is not None else ""
    subtitle = f"the first {len(results)} of {len(documents)} documents{found}"
    alt = f"Query: {queries[query]}. Best document: {documents[results[0].document]} ({results[0].score:.3f}){found}."
    title = theme.shorten(queries[query], 90)
    return PanelSet((Panel("results", title, None, figure, subtitle),), tuple(documents), alt=alt)


def rank_change_panels(
    before: Retrieval,
    after: Retrieval,
    query: int,
    queries: Sequence[str],
    documents: Sequence[str],
    *,
    top: int = CUTOFF,
) -> PanelSet:
    """Places of the documents of one query before and after a change of instruction."""
    ranks = np.stack([before.ranks[query], after.ranks[query]])
    scores = np.stack([before.scores[query], after.scores[query]])
    shown = [int(d) for d in after.order[query] if ranks[:, d].min() <= top]
    figure = go.Figure()
    for index, document in enumerate(shown):
        tips = [
            f"place {rank} {when}, cosine {score:.3f}"
            for when, rank, score in zip(("before", "after"), ranks[:, document], scores[:, document], strict=True)
        ]
        figure.add_trace(rank_line([0, 1], ranks[:, document].tolist(), document, tips, index))
    rank_axes(figure, ("before", "after"), int(ranks[:, shown].max()))
    moved = sum(int(ranks[0, d] != ranks[1, d]) for d in shown)
    subtitle = f"{moved} of {len(shown)} documents change their place"
    alt = f"Query: {queries[query]}. {subtitle}. First before: {documents[int(before.order[query, 0])]}. "
    alt += f"First after: {documents[int(after.order[query, 0])]}."
    panel = Panel("changes", theme.shorten(queries[query], 90), None, figure, subtitle)
    return PanelSet((panel,), tuple(documents), alt=alt)
