import numpy as np
import pytest
from ir_measures import RR, Qrel, R, ScoredDoc, calc_aggregate, nDCG
from sklearn.metrics.pairwise import cosine_similarity

from instructor_core.analysis.retrieval import Retrieval, p_mrr, quality, retrieve
from instructor_core.errors import UserError


def vectors_of(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 6))


def test_documents_are_ranked_by_cosine_and_equal_ones_by_index_and_none_are_refused() -> None:
    queries, documents = vectors_of(3, 0), vectors_of(7, 1)
    documents[4] = 2 * documents[1]
    result = retrieve(queries, documents)
    np.testing.assert_allclose(result.scores, cosine_similarity(queries, documents), atol=1e-6)
    for q in range(3):
        assert (np.diff(result.scores[q, result.order[q]]) <= 1e-6).all()
        assert [result.ranks[q, d] for d in result.order[q]] == list(range(1, 8))
        assert result.ranks[q, 4] == result.ranks[q, 1] + 1
    with pytest.raises(UserError, match="1 query and 1 document: got 0 and 2"):
        retrieve(np.empty((0, 6)), vectors_of(2, 0))
    result = retrieve(vectors_of(2, 0), vectors_of(3, 1))
    with pytest.raises(UserError, match="got 0 of 2 queries"):
        quality(result, np.zeros((2, 3), dtype=bool))


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_of_marked_answers_are_those_of_ir_measures(seed: int) -> None:
    result = retrieve(vectors_of(8, seed), vectors_of(40, seed + 9))
    relevant = np.random.default_rng(seed).random((8, 40)) < 0.06
    relevant[2] = False  # a query without a marked document takes no part
    relevant[3, :15] = True  # and one has more of them than are looked at
    queries, documents = range(8), range(40)
    marked = [Qrel(str(q), str(d), 1) for q in queries for d in documents if relevant[q, d]]
    run = [ScoredDoc(str(q), str(d), -float(result.ranks[q, d])) for q in queries for d in documents]
    expected = calc_aggregate([nDCG @ 10, RR @ 10, R @ 10], marked, run)
    found = quality(result, relevant)
    assert found.n_queries == len({each.query_id for each in marked}) < 8
    assert found.mean_ndcg == pytest.approx(expected[nDCG @ 10])
    assert found.mean_rr == pytest.approx(expected[RR @ 10])
    assert found.mean_recall == pytest.approx(expected[R @ 10])


def placed(*ranks: list[int]) -> Retrieval:
    """A ranking with given ranks of the documents of each query."""
    table = np.array(ranks)
    return Retrieval(-table.astype(np.float32), np.argsort(table, axis=1), table)


def test_p_mrr_is_the_mean_by_query_of_how_far_dropped_documents_move_down() -> None:
    before = placed([1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4])
    after = placed([4, 2, 3, 1], [2, 1, 3, 4], [4, 3, 2, 1])
    dropped = np.array([[1, 0, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]], dtype=bool)
    # first query: from 1 to 4 is 3/4, from 4 to 1 is -3/4; second: from 1 to 2 is 1/2, no change is 0
    assert p_mrr(before, after, dropped) == pytest.approx((0 + 0.25) / 2)
    assert p_mrr(before, after, dropped & [True, False, False, False]) == pytest.approx((0.75 + 0.5) / 2)
    assert p_mrr(before, before, dropped) == 0
    with pytest.raises(UserError, match="p-MRR needs a document"):
        p_mrr(before, after, np.zeros((3, 4), dtype=bool))


@pytest.mark.parametrize("seed", range(3))
def test_p_mrr_is_that_of_the_paper_by_reciprocal_ranks(seed: int) -> None:
    before, after = (retrieve(vectors_of(6, 2 * seed + k), vectors_of(30, 50 + k)) for k in (0, 1))
    dropped = np.random.default_rng(seed).random((6, 30)) < 0.1
    by_query = []
    for query in range(6):
        scores = []
        for document in range(30):
            if dropped[query, document]:
                old, new = (1 / (1 + r.order[query].tolist().index(document)) for r in (before, after))
                scores.append(old / new - 1 if 1 / old > 1 / new else 1 - new / old)
        if scores:
            by_query.append(sum(scores) / len(scores))
    assert p_mrr(before, after, dropped) == pytest.approx(sum(by_query) / len(by_query))
