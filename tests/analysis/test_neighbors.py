import tracemalloc

import numpy as np
import pytest

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.groups import grid_groups
from instructor_core.analysis.neighbors import (
    block_means,
    cross_block_means,
    nearest_texts,
    text_cosines,
)
from instructor_core.analysis.similarity import nearest_first, similarity

LABELS = ("a", "b", "a", "c", "b", "a", "", "c", "b", "a")


def made(n: int = 10, dim: int = 6, labels: tuple[str, ...] | None = None, k: int = 2) -> EmbeddingGrid:
    vectors = np.random.default_rng(0).normal(size=(k, n, dim)).astype(np.float32)
    return EmbeddingGrid(("topic ", "")[:k], tuple(f"text {i}" for i in range(n)), labels, vectors)


def test_nearest_texts_are_those_of_the_matrix() -> None:
    grid = made()
    result = nearest_texts(grid, 3, k=4)
    for k, matrix in enumerate(similarity(grid).matrices):
        expected = nearest_first(matrix[3], 3, k=4)
        assert [one.text for one in result.lists[k]] == [one.text for one in expected]
        assert [one.similarity for one in result.lists[k]] == pytest.approx(
            [one.similarity for one in expected], abs=1e-6
        )
    assert all(result.low <= one.similarity <= result.high for lists in result.lists for one in lists)
    np.testing.assert_allclose(text_cosines(grid, 5), similarity(grid).matrices[:, 5], atol=1e-6)
    assert nearest_texts(made(1), 0).lists == ((), ())  # a text alone


def test_block_means_are_means_over_all_pairs_of_different_texts_and_across_instructions_of_all() -> None:
    grid = made(labels=LABELS)
    groups = grid_groups(grid)
    assert groups.names == ("a", "b", "c", "no label")
    assert groups.counts.tolist() == [4, 3, 2, 1]
    blocks = block_means(grid, groups)
    for k, matrix in enumerate(similarity(grid).matrices.astype(np.float64)):
        for g in range(4):
            for h in range(4):
                pairs = np.outer(groups.index == g, groups.index == h) & ~np.eye(10, dtype=bool)
                if pairs.any():
                    assert blocks.matrices[k, g, h] == pytest.approx(matrix[pairs].mean(), abs=1e-6)
    assert np.isnan(blocks.matrices[:, 3, 3]).all()  # one text makes no pair
    grid = made(labels=LABELS)
    groups = grid_groups(grid)
    matrix = grid.embeddings[0].astype(np.float64) @ grid.embeddings[1].T
    across = cross_block_means(grid, groups, rows=0, columns=1).matrices[0]
    assert across[3, 3] == pytest.approx(matrix[6, 6], abs=1e-6)
    assert across[0, 2] == pytest.approx(matrix[np.ix_([0, 2, 5, 9], [3, 7])].mean(), abs=1e-6)


def test_ten_thousand_texts_never_make_a_square_matrix() -> None:
    grid = made(10_000, 16)
    grid.embeddings.sum()
    groups = grid_groups(grid)
    tracemalloc.start()
    nearest_texts(grid, 7, k=20)
    block_means(grid, groups)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000  # a matrix of all pairs would be 400 MB
