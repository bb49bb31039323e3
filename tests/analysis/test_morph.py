import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.morph import morph, neighborhood_change, neighborhood_floor
from instructor_core.errors import UserError


def vectors_of(n: int, seed: int, dim: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def grid_of(*vectors: np.ndarray) -> EmbeddingGrid:
    names = tuple(f"i{k}" for k in range(len(vectors)))
    return EmbeddingGrid(names, tuple(f"t{i}" for i in range(len(vectors[0]))), None, np.stack(vectors))


def test_the_change_of_a_neighborhood_is_the_jaccard_distance_of_scikit_learns_neighbors() -> None:
    a, b = vectors_of(20, 0), vectors_of(20, 1)
    change = neighborhood_change(a, b, k=4)
    near = []
    for vectors in (a, b):
        found = NearestNeighbors(n_neighbors=5, metric="cosine").fit(vectors).kneighbors(return_distance=False)
        near.append([set(row[:4]) for row in found])
    expected = [1 - len(x & y) / len(x | y) for x, y in zip(*near, strict=True)]
    np.testing.assert_allclose(change, expected)
    assert not neighborhood_change(a, 3 * a).any()  # lengths do not matter
    itself = morph(grid_of(a, b), 0, 0, floor=0.0)
    assert not itself.changed.any()
    np.testing.assert_allclose(itself.coordinates[0], itself.coordinates[1], atol=1e-5)


def test_texts_are_marked_whose_neighbors_change_beyond_what_a_meaningless_edit_changes() -> None:
    a = vectors_of(40, 0)
    edits = np.stack([a + 0.05 * vectors_of(40, 1), a + 0.05 * vectors_of(40, 2)])
    floor = neighborhood_floor(a, edits, k=5)
    changes = np.concatenate([neighborhood_change(a, edit, k=5) for edit in edits])
    assert 0 < floor < 1
    assert (changes > floor).mean() <= 0.05
    assert neighborhood_floor(a, a[None]) == 0
    # Two far groups; text 0 crosses over, the others tremble.
    rng = np.random.default_rng(0)
    a = np.repeat(np.eye(6)[:2] * 5, 8, axis=0) + rng.normal(scale=0.2, size=(16, 6))
    b = a.copy()
    b[0] = a[-1] + 0.01
    result = morph(grid_of(a, b), 0, 1, floor=0.5, k=3)
    assert result.changed.tolist() == [True] + [False] * 15
    assert result.changes[0] == 1.0
    assert morph(grid_of(a, b), 0, 1, floor=1.0).changed.sum() == 0


def test_the_layout_with_the_highest_mean_trustworthiness_is_taken_and_all_are_listed() -> None:
    grid = grid_of(vectors_of(20, 0), vectors_of(20, 1))
    result = morph(grid, 0, 1, floor=0.1)
    assert [quality.layout for quality in result.qualities] == ["joint PCA", "turned PCA", "joint UMAP"]
    assert result.quality.mean == max(quality.mean for quality in result.qualities)
    for vectors, points, value in zip(
        grid.embeddings, result.coordinates, (result.quality.a, result.quality.b), strict=True
    ):
        assert value == pytest.approx(trustworthiness(vectors, points, metric="cosine"), abs=1e-3)


def test_positions_run_straight_from_the_first_map_to_the_second() -> None:
    result = morph(grid_of(vectors_of(6, 0), vectors_of(6, 1)), 0, 1, floor=0.1)
    np.testing.assert_array_equal(result.positions(0.0), result.coordinates[0])
    np.testing.assert_array_equal(result.positions(1.0), result.coordinates[1])
    np.testing.assert_allclose(result.positions(0.5), result.coordinates.mean(axis=0), atol=1e-6)
    assert [quality.layout for quality in result.qualities] == ["joint PCA", "turned PCA"]  # too few for UMAP
    with pytest.raises(UserError, match="at least 3 texts: got 2"):
        morph(grid_of(vectors_of(2, 0), vectors_of(2, 1)), 0, 1, floor=0.0)
