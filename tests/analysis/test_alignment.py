import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from instructor_core import InstructorModel
from instructor_core.analysis.alignment import align, rotate
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.projection import GridProjection, project_grid

REVIEWS = json.loads((Path(__file__).parents[2] / "assets/examples/01_reviews.json").read_text(encoding="utf-8"))


def grid_of(*vectors: np.ndarray) -> EmbeddingGrid:
    names = tuple(f"i{k}" for k in range(len(vectors)))
    return EmbeddingGrid(names, tuple(map(str, range(len(vectors[0])))), None, np.stack(vectors))


def points(n: int, seed: int = 0, dim: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def aligned_maps(grid: EmbeddingGrid, method: Any = "pca", n_neighbors: int = 15) -> GridProjection:
    return align(project_grid(grid, layout="separate", method=method, n_neighbors=n_neighbors), grid)


@pytest.mark.parametrize("mirror", [1, -1])
def test_a_rotated_mirrored_moved_and_scaled_copy_lies_exactly_on_the_original(mirror: int) -> None:
    original, angle = points(12, dim=2), 2.1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([1, mirror])
    np.testing.assert_allclose(rotate(3 * original @ turn + 5, original), rotate(original, original), atol=1e-5)


def test_a_map_keeps_its_shape_and_has_radius_one() -> None:
    result = aligned_maps(grid_of(points(20), points(20, 1)))
    for fit, placed in zip(result.projections, result.coordinates, strict=True):
        ratio = pdist(placed) / pdist(fit.coordinates)
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)
        assert np.mean(np.sum(placed.astype(np.float64) ** 2, axis=1)) == pytest.approx(1, abs=1e-5)
    for n in range(4):
        few = aligned_maps(grid_of(points(n), points(n, 1))).coordinates
        assert few.shape == (2, n, 2) and np.isfinite(few).all()


def on_reviews(mini: InstructorModel) -> EmbeddingGrid:
    pairs = [(instruction, text) for instruction in REVIEWS["instructions"][:2] for text in REVIEWS["texts"]]
    return EmbeddingGrid(
        tuple(REVIEWS["instructions"][:2]), tuple(REVIEWS["texts"]), None, mini.encode(pairs).reshape(2, 16, -1)
    )


def test_on_both_maps_of_the_reviews_every_text_lies_beside_one_of_its_label(mini: InstructorModel) -> None:
    result = aligned_maps(on_reviews(mini))
    for coordinates, labels in zip(result.coordinates, [[i // 4 for i in range(16)], REVIEWS["labels"]], strict=True):
        apart = np.linalg.norm(coordinates[:, None] - coordinates[None], axis=2) + 9 * np.eye(16)
        assert all(labels[i] == labels[j] for i, j in enumerate(apart.argmin(axis=1)))
    assert all(value is not None and 0 < value <= 1 for value in result.trustworthiness)


def test_umap_is_turned_onto_the_pca_of_the_first_instruction(mini: InstructorModel) -> None:
    grid = on_reviews(mini)
    target = aligned_maps(grid).coordinates[0]
    result = aligned_maps(grid, method="umap", n_neighbors=5)
    assert result.method == "umap"
    for placed in result.coordinates:  # no rotation or reflection lies closer
        np.testing.assert_allclose(rotate(placed, target), placed, atol=1e-4)
