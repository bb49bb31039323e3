"""Does a search find the right texts: queries and documents with instructions of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import letter
from instructor_core.analysis.numbers import counted, number, signed
from instructor_core.analysis.retrieval import Retrieval, p_mrr, quality, retrieve
from instructor_core.errors import UserError
from instructor_core.figures import ranks as rank_figures
from instructor_core.figures.panels import PanelSet
from instructor_core.ui.data.inputs import Inputs, parse_texts
from instructor_core.ui.server.progress import encode_grid
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial.comparison import Finding, Request, ScoreBook, Steps

MAX_QUERIES = 100
MAX_QUERIES_SHOWN = 4


def search(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """Queries under one instruction against the texts under another; equal labels mark what is relevant."""
    if request.queries.strip():
        queries, query_columns = parse_texts(request.queries)
    else:
        queries = (inputs.texts[request.text],)
        query_columns = tuple((column[request.text],) for column in inputs.label_columns)
    if len(queries) > MAX_QUERIES:
        raise UserError(f"At most {MAX_QUERIES} queries are asked at once: got {len(queries)}. Remove some lines.")
    encoder, a, b = runtime.encoder(inputs.checkpoint_id), letter(request.a), letter(request.b)
    instructions = [inputs.instructions[request.a], inputs.instructions[request.b]]
    asked = yield from encode_grid(encoder, instructions, queries)
    asked_for = set(queries)
    rows = [i for i, text in enumerate(inputs.texts) if text not in asked_for]
    if not rows:
        raise UserError("All texts are queries: nothing is left to search. Remove a query or add texts.")
    documents = [inputs.texts[i] for i in rows]
    found = yield from encode_grid(encoder, instructions, documents)
    result = retrieve(asked.vectors[0], found.vectors[1])
    same = [retrieve(asked.vectors[k], found.vectors[k]) for k in (0, 1)]  # one instruction on both sides
    relevant = _relevant(query_columns, inputs.label_columns, rows)
    marked = relevant[0] if relevant else None
    sentences = [f"{count_queries(len(queries))} under {a}, {counted(len(rows), 'text')} under {b}."]
    if marked is not None and marked.any():
        here, there = quality(result, marked), quality(same[0], marked)
        sentences.append(
            f"nDCG@{here.k} {number(here.mean_ndcg, 2)}, MRR@{here.k} {number(here.mean_rr, 2)}, recall@{here.k} "
            f"{number(here.mean_recall, 2)} over {count_queries(here.n_queries)} with marked texts; with "
            f"{a} on both sides {number(there.mean_ndcg, 2)}, {number(there.mean_rr, 2)}, "
            f"{number(there.mean_recall, 2)}."
        )
    if request.a != request.b and len(relevant) > 1:
        sentences += _moved_down(same, relevant, (a, b))
    lists = [
        replace(panel, key=f"query {query + 1}")
        for query in range(min(len(queries), MAX_QUERIES_SHOWN))
        for panel in rank_figures.result_panels(result, query, queries, inputs.texts, rows=rows, relevant=marked).panels
    ]
    changes = rank_figures.rank_change_panels(same[0], result, 0, queries, inputs.texts, rows=rows)
    moved = [replace(panel, key=f"change {at + 1}") for at, panel in enumerate(changes.panels)]
    if len(queries) > MAX_QUERIES_SHOWN:
        sentences.append(f"The lists of the first {MAX_QUERIES_SHOWN} queries are shown.")
    return Finding(
        f"{rank_figures.RESULTS_HOW_TO_READ} {rank_figures.RESULTS_NOT_SHOWN} {rank_figures.CHANGES_HOW_TO_READ}",
        tuple(sentences),
        PanelSet((*lists, *moved), changes.items, alt=" ".join([*sentences, changes.alt])),
    )


def count_queries(n: int) -> str:
    """Return a number of queries in words."""
    return "1 query" if n == 1 else f"{n} queries"


def _moved_down(same: Sequence[Retrieval], relevant: Sequence[NDArray[np.bool_]], names: Sequence[str]) -> list[str]:
    """p-MRR between two instructions, each on both sides, as a sentence: the labels of either may be the first's."""
    parts = []
    for first, second in ((0, 1), (1, 0)):
        dropped = relevant[first] & ~relevant[second]
        if dropped.any():
            parts.append(
                f"{signed(p_mrr(same[0], same[1], dropped), 2)} if {names[0]} asks for labels {first + 1} and "
                f"{names[1]} for labels {second + 1}"
            )
    if not parts:
        return []
    return [
        f"p-MRR from {names[0]} to {names[1]}, each on both sides: {'; '.join(parts)}. Above 0, texts that no longer "
        "answer move down, as they should; 0 takes no notice of the instruction."
    ]


def _relevant(
    query_columns: Sequence[Sequence[str]], label_columns: Sequence[Sequence[str]], rows: Sequence[int]
) -> list[NDArray[np.bool_]]:
    """(Q, M) which documents share a query's label, for each column that queries and texts have."""
    marks = []
    for of_queries, of_texts in zip(query_columns, label_columns, strict=False):
        asked, answers = np.array(of_queries), np.array([of_texts[i] for i in rows])
        marks.append(np.asarray((asked[:, None] == answers[None, :]) & (asked[:, None] != "")))
    return marks
