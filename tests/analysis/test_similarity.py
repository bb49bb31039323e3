import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.similarity import (
    Neighbor,
    TextPair,
    cluster_order,
    cosine_range,
    cross_similarity,
    difference,
    instruction_similarity,
    nearest_first,
    self_similarity,
    similarity,
)


def random_grid(n_instructions: int = 3, n_texts: int = 6, dim: int = 5, seed: int = 0) -> EmbeddingGrid:
    vectors = np.random.default_rng(seed).normal(size=(n_instructions, n_texts, dim)) * 3
    return EmbeddingGrid(
        tuple(f"instruction {k}" for k in range(n_instructions)),
        tuple(f"text {i}" for i in range(n_texts)),
        None,
        vectors,
    )


@given(st.integers(1, 3), st.integers(1, 7), st.integers(1, 9), st.integers(0, 99))
def test_cosines_are_those_of_scikit_learn_and_form_a_proper_matrix(k: int, n: int, dim: int, seed: int) -> None:
    grid = random_grid(k, n, dim, seed)
    matrices = similarity(grid).matrices
    assert matrices.shape == (k, n, n)
    assert matrices.dtype == np.float32
    for vectors, matrix in zip(grid.vectors, matrices, strict=True):
        np.testing.assert_allclose(matrix, cosine_similarity(vectors), atol=1e-6)
        assert (np.diag(matrix) == 1).all()
        assert (matrix == matrix.T).all()
        assert np.abs(matrix).max() <= 1


def test_a_zero_vector_is_similar_to_nothing_and_neighbors_are_listed_best_first_equal_ones_by_index() -> None:
    np.testing.assert_array_equal(
        self_similarity(np.array([[0.0, 0.0], [1.0, 0.0], [-2.0, 0.0]])), [[1, 0, 0], [0, 1, -1], [0, -1, 1]]
    )
    cosines = np.array([1.0, 0.2, 0.9, 0.2], dtype=np.float32)
    assert nearest_first(cosines, 0, k=1) == (Neighbor(2, pytest.approx(0.9)),)
    assert [n.text for n in nearest_first(cosines, 0, k=9)] == [2, 1, 3]
    assert nearest_first(cosines[:1], 0, k=5) == ()


def test_the_colour_range_holds_every_pair_and_the_closest_is_the_one_a_loop_finds() -> None:
    grid = random_grid()
    result = similarity(grid)
    off_diagonal = result.matrices[:, ~np.eye(grid.n_texts, dtype=bool)]
    assert result.low <= off_diagonal.min() < result.low + 0.01
    assert result.high - 0.01 < off_diagonal.max() <= result.high
    for (low, high), values in zip(result.ranges, off_diagonal, strict=True):
        assert low <= values.min()
        assert values.max() <= high
    assert result.low == result.ranges[:, 0].min()
    assert result.high == result.ranges[:, 1].max()
    for vectors, pair in zip(grid.embeddings, result.closest, strict=True):
        found = max(itertools.combinations(range(6), 2), key=lambda ij: vectors[ij[0]] @ vectors[ij[1]])
        assert pair == TextPair(*found, pytest.approx(float(vectors[found[0]] @ vectors[found[1]]), abs=1e-6))


def test_a_text_that_is_pasted_twice_does_not_stretch_the_range_and_is_no_closest_pair() -> None:
    vectors = np.array([[[1.0, 0.0], [1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]])
    result = similarity(EmbeddingGrid(("i",), ("same", "same", "other", "third"), None, vectors))
    assert (result.low, result.high) == (0.0, pytest.approx(0.81))  # 0.8 is not exact in float32
    assert result.closest == (TextPair(2, 3, pytest.approx(0.8)),)


def test_a_colour_range_is_rounded_outwards_and_never_empty_also_without_a_pair_of_texts() -> None:
    for values, expected in (
        ([], (0.0, 1.0)),
        ([0.5], (0.49, 0.51)),
        ([1.0], (0.99, 1.0)),
        ([-1.0], (-1.0, -0.99)),
        ([0.412, 0.838], (0.41, 0.84)),
        ([-0.001, 0.001], (-0.01, 0.01)),
    ):
        assert cosine_range(np.array(values)) == pytest.approx(expected)
    for n_texts in (0, 1):
        result = similarity(random_grid(2, n_texts))
        assert (result.low, result.high, result.closest) == (0.0, 1.0, (None, None))
        assert result.ranges.tolist() == [[0.0, 1.0]] * 2
        assert difference(result, 0, 1).largest is None


def test_a_difference_is_the_first_minus_the_second_with_a_range_centred_on_zero() -> None:
    # Under A texts 1 and 2 are equal, under B they are at a right angle: 1 - 0. Texts 1 and 3: 0 - 0.6.
    vectors = np.array([[[1.0, 0], [1, 0], [0, 1]], [[1.0, 0], [0, 1], [0.6, 0.8]]])
    result = difference(similarity(EmbeddingGrid(("a", "b"), ("1", "2", "3"), None, vectors)), 0, 1)
    np.testing.assert_allclose(result.matrix, [[0, 1, -0.6], [1, 0, -0.8], [-0.6, -0.8, 0]], atol=1e-6)
    assert result.limit == 1.0
    assert result.largest == TextPair(0, 1, pytest.approx(1.0))


def test_the_largest_change_may_be_a_loss_and_swapping_the_instructions_turns_its_sign() -> None:
    result = similarity(random_grid(seed=1))
    there, back = difference(result, 0, 2), difference(result, 2, 0)
    np.testing.assert_array_equal(there.matrix, -back.matrix)
    assert there.limit == back.limit >= np.abs(there.matrix).max()
    assert back.largest == TextPair(there.largest.first, there.largest.second, -there.largest.value)
    assert abs(there.largest.value) == np.abs(there.matrix).max()
    itself = difference(result, 1, 1)
    assert not itself.matrix.any() and itself.limit == 0.01  # it can still be drawn


def test_instructions_are_compared_on_one_text_or_on_the_mean_over_all() -> None:
    grid = random_grid(4, 3)
    each = [instruction_similarity(grid, i) for i in range(3)]
    for i, result in enumerate(each):
        np.testing.assert_allclose(result.matrix, cosine_similarity(grid.vectors[:, i]), atol=1e-6)
        assert result.text == i
    mean = instruction_similarity(grid)
    np.testing.assert_allclose(mean.matrix, np.mean([r.matrix for r in each], axis=0), atol=1e-6)
    assert (np.diag(mean.matrix) == 1).all()
    off_diagonal = mean.matrix[~np.eye(4, dtype=bool)]
    assert mean.low <= off_diagonal.min() <= off_diagonal.max() <= mean.high


def test_a_cross_matrix_has_its_rows_under_one_instruction_and_its_columns_under_another() -> None:
    grid = random_grid()
    result = cross_similarity(grid, rows=2, columns=0)
    np.testing.assert_allclose(result.matrix, cosine_similarity(grid.vectors[2], grid.vectors[0]), atol=1e-6)
    np.testing.assert_array_equal(cross_similarity(grid, rows=0, columns=2).matrix, result.matrix.T)
    assert (result.rows, result.columns) == (2, 0)


def test_clustering_brings_the_groups_of_a_shuffled_matrix_together() -> None:
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(4), 6))
    vectors = np.eye(4)[groups] + rng.normal(scale=0.1, size=(24, 4))
    ordered = groups[cluster_order(self_similarity(vectors))]
    assert np.count_nonzero(np.diff(ordered)) == 3
    many = np.tile(np.arange(2), 301)  # more texts than the optimal order allows
    assert np.count_nonzero(np.diff(many[cluster_order(self_similarity(np.eye(2)[many]))])) == 1
    assert sorted(cluster_order(np.ones((5, 5)))) == list(range(5))


@given(st.integers(0, 12), st.integers(0, 50))
def test_a_cluster_order_is_a_repeatable_permutation_that_starts_low(n: int, seed: int) -> None:
    matrix = self_similarity(np.random.default_rng(seed).normal(size=(n, 3)))
    order = cluster_order(matrix)
    assert sorted(order) == list(range(n))
    np.testing.assert_array_equal(order, cluster_order(matrix))
    assert n < 2 or order[0] < order[-1]
