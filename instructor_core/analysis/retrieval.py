"""Queries under one instruction against documents under another: ranks, what changes them, and how good they are.

References:
    Järvelin and Kekäläinen 2002, cumulated gain; as computed by `sklearn.metrics.ndcg_score` where no scores tie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.similarity import cosine_matrix
from instructor_core.errors import UserError

CUTOFF = 10


@dataclass(frozen=True)
class Result:
    """One entry of a result list: a document, its rank from 1, its cosine to the query."""

    document: int
    rank: int
    score: float


@dataclass(frozen=True, eq=False)
class Retrieval:
    """All documents ranked for every query."""

    scores: NDArray[np.float32]  # (Q, M) float32 cosines
    order: NDArray[np.int64]  # (Q, M) int64, documents from best to worst; equal cosines by index
    ranks: NDArray[np.int64]  # (Q, M) int64, rank of each document from 1

    def results(self, query: int, *, top: int = CUTOFF) -> tuple[Result, ...]:
        """The first documents for one query."""
        return tuple(
            Result(int(document), place + 1, float(self.scores[query, document]))
            for place, document in enumerate(self.order[query, :top])
        )


@dataclass(frozen=True, eq=False)
class RetrievalQuality:
    """How well marked documents are found."""

    ndcg: NDArray[np.float64]  # (Q,) float64 in [0, 1], nDCG@k; NaN for a query without a relevant document
    # (Q,) float64 in [0, 1], share of the relevant documents among the first k; NaN likewise
    recall: NDArray[np.float64]
    mean_ndcg: float  # over the queries that have relevant documents
    mean_recall: float  # over the same
    n_queries: int  # number of those queries; a mean over few of them is not a finding
    k: int  # the cutoff


def retrieve(queries: NDArray[np.floating], documents: NDArray[np.floating]) -> Retrieval:
    """Documents ranked by cosine for every query."""
    if len(queries) == 0 or len(documents) == 0:
        raise UserError(
            f"Retrieval needs at least 1 query and 1 document: got {len(queries)} and {len(documents)}. Add texts."
        )
    scores = cosine_matrix(queries, documents)
    order = np.argsort(-np.round(scores.astype(np.float64), 6), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, len(documents) + 1)[None, :], axis=1)
    return Retrieval(scores, order, ranks)


def quality(retrieval: Retrieval, relevant: NDArray[np.bool_], *, k: int = CUTOFF) -> RetrievalQuality:
    """nDCG@k and recall@k with marked documents, each relevant or not."""
    if relevant.shape != retrieval.scores.shape:
        raise ValueError(f"Marks need the shape {retrieval.scores.shape}: got {relevant.shape}.")
    counts = relevant.sum(axis=1)
    marked = counts > 0
    if not marked.any():
        raise UserError(
            f"Measuring retrieval needs a query with a relevant document: got 0 of {len(counts)} queries. "
            "Mark a relevant document."
        )
    hits = np.take_along_axis(relevant, retrieval.order, axis=1)[:, :k]
    discounts = 1.0 / np.log2(np.arange(2, hits.shape[1] + 2))
    best = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(counts, hits.shape[1])]
    nothing = np.full(len(counts), np.nan)
    ndcg = np.divide(hits @ discounts, best, out=nothing.copy(), where=marked)
    recall = np.divide(hits.sum(axis=1), counts, out=nothing.copy(), where=marked)
    return RetrievalQuality(
        ndcg, recall, float(ndcg[marked].mean()), float(recall[marked].mean()), int(marked.sum()), k
    )
