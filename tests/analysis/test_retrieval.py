from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score
from sklearn.metrics.pairwise import cosine_similarity

from instructor_core.analysis.retrieval import Result, quality, retrieve
from instructor_core.errors import UserError


def vectors_of(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 6))


def test_documents_are_ranked_by_cosine_and_equal_ones_by_index() -> None:
    queries, documents = vectors_of(3, 0), vectors_of(7, 1)
    documents[4] = 2 * documents[1]
    result = retrieve(queries, documents)
    np.testing.assert_allclose(result.scores, cosine_similarity(queries, documents), atol=1e-6)
    for q in range(3):
        assert (np.diff(result.scores[q, result.order[q]]) <= 1e-6).all()
        assert [result.ranks[q, d] for d in result.order[q]] == list(range(1, 8))
        assert result.ranks[q, 4] == result.ranks[q, 1] + 1
    best = result.order[0, 0]
    assert result.results(0, top=1) == (Result(int(best), 1, float(result.scores[0, best])),)
    assert len(result.results(0)) == 7


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_of_marked_answers_are_those_of_scikit_learn_and_of_the_slow_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    result = retrieve(vectors_of(8, seed), vectors_of(40, seed + 9))
    relevant = rng.random((8, 40)) < 0.06
    marked = [q for q in range(8) if relevant[q].any()]
    ranks = [[at for at, d in enumerate(result.order[q], start=1) if relevant[q, d]] for q in marked]
    found = quality(result, relevant)
    assert found.n_queries == len(marked)
    assert found.mean_ndcg == pytest.approx(ndcg_score(relevant[marked], result.scores[marked], k=10))
    assert found.mean_rr == pytest.approx(np.mean([1 / row[0] if row[0] <= 10 else 0 for row in ranks]))
    assert found.mean_recall == pytest.approx(np.mean([sum(at <= 10 for at in row) / len(row) for row in ranks]))


def test_a_perfect_ranking_of_few_documents_is_one() -> None:
    documents = np.eye(3)
    found = quality(retrieve(documents, documents), np.eye(3, dtype=bool))
    assert (found.mean_ndcg, found.mean_rr, found.mean_recall) == (1.0, 1.0, 1.0)


def test_retrieval_without_texts_or_marks_is_refused() -> None:
    with pytest.raises(UserError, match="1 query and 1 document: got 0 and 2"):
        retrieve(np.empty((0, 6)), vectors_of(2, 0))
    result = retrieve(vectors_of(2, 0), vectors_of(3, 1))
    with pytest.raises(UserError, match="got 0 of 2 queries"):
        quality(result, np.zeros((2, 3), dtype=bool))
