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
def test_ndcg_is_that_of_scikit_learn_and_recall_the_found_share(seed: int) -> None:
    rng = np.random.default_rng(seed)
    result = retrieve(vectors_of(6, seed), vectors_of(25, seed + 9))
    relevant = rng.random((6, 25)) < 0.3
    relevant[2] = False
    found = quality(result, relevant)
    marked = [0, 1, 3, 4, 5]
    assert found.n_queries == 5
    assert found.mean_ndcg == pytest.approx(ndcg_score(relevant[marked], result.scores[marked], k=10))
    recall = [relevant[q, result.order[q, :10]].sum() / relevant[q].sum() for q in marked]
    assert found.mean_recall == pytest.approx(np.mean(recall))


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_of_marked_answers_are_those_of_the_slow_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    result = retrieve(vectors_of(8, seed), vectors_of(40, seed + 9))
    relevant = rng.random((8, 40)) < 0.06
    found = quality(result, relevant)
    gains, firsts, recalls = [], [], []
    for q in (q for q in range(8) if relevant[q].any()):
        ranks = [at for at, d in enumerate(result.order[q], start=1) if relevant[q, d]]
        ideal = sum(1 / np.log2(1 + at) for at in range(1, min(len(ranks), 10) + 1))
        gains.append(sum(1 / np.log2(1 + at) for at in ranks if at <= 10) / ideal)
        firsts.append(1 / ranks[0] if ranks[0] <= 10 else 0)
        recalls.append(sum(at <= 10 for at in ranks) / len(ranks))
    assert 0 in firsts or min(firsts) < 0.5
    assert found.mean_ndcg == pytest.approx(np.mean(gains))
    assert found.mean_rr == pytest.approx(np.mean(firsts))
    assert found.mean_recall == pytest.approx(np.mean(recalls))


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
