import numpy as np
from sklearn.metrics.pairwise import cosine_similarity

from instructor_core.analysis.tokens import symmetric_limit, token_dimensions, token_similarity


def vectors(n: int = 7, dim: int = 20, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, dim)) * rng.uniform(0.1, 3, size=dim) + 5).astype(np.float32)


def test_the_most_variable_dimensions_are_kept_whatever_their_order_and_the_largest_of_one_token() -> None:
    projected = vectors()
    by_variance = np.argsort(-projected.astype(np.float64).var(axis=0))[:6]
    assert token_dimensions([projected], order="variance", n_dimensions=6).dimensions.tolist() == by_variance.tolist()
    assert token_dimensions([projected], order="index", n_dimensions=6).dimensions.tolist() == sorted(by_variance)
    assert set(token_dimensions([projected], order="seriation", n_dimensions=6).dimensions) == set(by_variance)
    projected = np.array([[0.1, -9.0, 0.0, 3.0]])
    for order in ("seriation", "variance", "index"):
        assert set(token_dimensions([projected], order=order, n_dimensions=2).dimensions) == {1, 3}


def test_several_sequences_share_the_dimensions_that_vary_over_all_of_them() -> None:
    first, second = np.zeros((3, 4)), np.zeros((3, 4))
    second[:, 2] = 10  # constant in each sequence, different between them
    result = token_dimensions([first, second], n_dimensions=1)
    assert result.dimensions.tolist() == [2]
    np.testing.assert_array_equal(result.values[1], second[:, [2]])
    assert token_dimensions([first]).limit == 1.0  # no difference at all, and it can be drawn


def test_seriation_puts_dimensions_that_move_together_side_by_side() -> None:
    rng = np.random.default_rng(3)
    causes = rng.normal(size=(30, 3))
    origin = rng.permutation(np.repeat(np.arange(3), 8))
    projected = causes[:, origin] + rng.normal(scale=0.1, size=(30, 24))
    ordered = origin[token_dimensions([projected], order="seriation").dimensions]
    assert np.count_nonzero(np.diff(ordered)) == 2


def test_a_symmetric_range_is_never_empty_and_one_outlier_does_not_take_it() -> None:
    values = np.append(np.linspace(-1, 1, 1001), 500.0)
    assert 0.9 < symmetric_limit(values) < 1.1
    assert symmetric_limit(values, percentile=100) == 500.0
    for few, expected in (([], 1.0), ([0.0] * 5, 1.0), ([0.0] * 999 + [-2.0], 2.0)):
        assert symmetric_limit(np.array(few)) == expected


def test_token_similarity_is_the_cosine_of_scikit_learn() -> None:
    projected = vectors()
    result = token_similarity(projected)
    np.testing.assert_allclose(result.matrix, cosine_similarity(projected), atol=1e-6)
    off_diagonal = result.matrix[~np.eye(len(projected), dtype=bool)]
    assert result.low <= off_diagonal.min() <= off_diagonal.max() <= result.high
