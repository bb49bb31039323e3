"""Queries under one instruction against documents under another: ranks, what changes them, and how good they are.

References:
    Järvelin and Kekäläinen 2002, cumulated gain.
    Weller et al. 2024, FollowIR (arXiv 2403.15246), p-MRR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import round_ties
from instructor_core.analysis.ranks import rank
from instructor_core.analysis.similarity import cosine_matrix
from instructor_core.errors import UserError

CUTOFF = 10


@dataclass(frozen=True, eq=False)
class Retrieval:
    """All documents ranked for every query."""

    scores: NDArray[np.float32]  # (Q, M) cosines
    order: NDArray[np.int64]  # (Q, M) documents from best to worst; equal cosines by index
    ranks: NDArray[np.int64]  # (Q, M) rank of each document from 1


@dataclass(frozen=True, eq=False)
class RetrievalQuality:
    """How well marked documents are found: means over the queries that have relevant documents."""

    mean_ndcg: float  # nDCG@k
    mean_rr: float  # MRR@k: 1 / rank of the first relevant document, 0 below rank k
    mean_recall: float  # share of the relevant documents among the first k
    n_queries: int  # number of those queries; a mean over few of them is not a finding
    k: int


def retrieve(queries: NDArray[np.floating], documents: NDArray[np.floating]) -> Retrieval:
    """Documents ranked by cosine for every query, (Q, D) and (M, D)."""
    if len(queries) == 0 or len(documents) == 0:
        raise UserError(
            f"Retrieval needs at least 1 query and 1 document: got {len(queries)} and {len(documents)}. Add texts."
        )
    scores = cosine_matrix(queries, documents)
    return Retrieval(scores, *rank(round_ties(scores.astype(np.float64))))


def quality(retrieval: Retrieval, relevant: NDArray[np.bool_], *, k: int = CUTOFF) -> RetrievalQuality:
    """nDCG@k, MRR@k and recall@k with marked documents (Q, M)."""
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
    ndcg = (hits @ discounts)[marked] / best[marked]
    recall = hits.sum(axis=1)[marked] / counts[marked]
    first = np.where(hits.any(axis=1), 1.0 / (1 + hits.argmax(axis=1)), 0.0)[marked]
    return RetrievalQuality(float(ndcg.mean()), float(first.mean()), float(recall.mean()), int(marked.sum()), k)


def p_mrr(before: Retrieval, after: Retrieval, dropped: NDArray[np.bool_]) -> float:
    """FollowIR's p-MRR from one instruction to another, −1 to 1; `dropped` (Q, M) answer under the first alone.

    A dropped document that moves down, as it should, counts 1 − rank before / rank after, any other rank after / rank
    before − 1: the mean over those of a query, then over the queries that have some.
    """
    some = dropped.any(axis=1)
    if not some.any():
        raise UserError(
            "p-MRR needs a document that answers a query under the first instruction and not under the second: got 0. "
            "Mark other documents."
        )
    ratio = before.ranks / after.ranks
    moved = np.where(ratio < 1, 1 - ratio, 1 / ratio - 1)
    return float(moved[some].mean(axis=1, where=dropped[some]).mean())
