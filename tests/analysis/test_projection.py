from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from instructor_core.analysis import projection, reduction
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.projection import project, project_grid
from instructor_core.errors import UserError


def vectors(n: int, dim: int = 8, seed: int = 0) -> np.ndarray:
    """Three groups of points of unit length."""
    rng = np.random.default_rng(seed)
    points = 2 * np.eye(3, dim)[np.arange(n) % 3] + rng.normal(scale=0.3, size=(n, dim))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def grid_of(*instructions: np.ndarray) -> EmbeddingGrid:
    names = tuple(f"instruction {k}" for k in range(len(instructions)))
    return EmbeddingGrid(names, tuple(map(str, range(len(instructions[0])))), None, np.stack(instructions))


@pytest.mark.parametrize("n_components", [2, 3])
@pytest.mark.parametrize("n", [2, 4, 60])
def test_pca_is_that_of_scikit_learn(n: int, n_components: int) -> None:
    points = vectors(n).round(5)
    result = project(points, method="pca", n_components=n_components)
    reference = PCA(n_components=min(n, n_components)).fit(points.astype(np.float64))
    width = min(n - 1, n_components)  # n points span n - 1 axes: the last one is rounding noise
    expected = reference.transform(points.astype(np.float64))[:, :width]
    signs = np.sign(np.sum(expected * result.coordinates[:, :width], axis=0))
    np.testing.assert_allclose(result.coordinates[:, :width], expected * signs, atol=1e-5)
    np.testing.assert_allclose(result.coordinates[:, width:], 0, atol=1e-6)
    assert result.explained_variance_ratio is not None
    np.testing.assert_allclose(
        result.explained_variance_ratio[:width], reference.explained_variance_ratio_[:width], atol=1e-6
    )


@pytest.mark.parametrize("n", [9, 400])  # fewer points than dimensions, and more
def test_axes_of_hardly_any_spread_are_found_and_those_of_none_are_empty(n: int) -> None:
    plane = np.random.default_rng(0).normal(size=(n, 2)) * [1.0, 1e-3]
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0]
    points = reduction.distinct_points(plane @ turn[:2])
    positions, ratio = reduction.pca_positions(points, 3)
    moved = points.rows - points.rows.mean(axis=0)
    _, spread, axes = np.linalg.svd(moved, full_matrices=False)
    np.testing.assert_allclose(np.abs(positions[:, :2]), np.abs(moved @ axes[:2].T), atol=1e-9)
    np.testing.assert_allclose(ratio, spread[:3] ** 2 / np.sum(spread**2), rtol=1e-6, atol=1e-12)
    assert np.abs(positions[:, 2]).max() < 3e-5  # what rounding to five decimals leaves


def test_pca_weighs_a_point_that_occurs_often_as_often() -> None:
    points = np.concatenate([vectors(9), vectors(9)[:1].repeat(12, axis=0)]).round(5)
    result = project(points, method="pca")
    expected = PCA(n_components=2).fit_transform(points.astype(np.float64))
    np.testing.assert_allclose(np.abs(result.coordinates), np.abs(expected), atol=1e-5)


def test_a_principal_axis_points_where_its_largest_loading_is_positive() -> None:
    # All points lie on (1, -3): the axis is (-1, 3) / sqrt(10), because 3 is the larger loading.
    result = project(np.array([[0.0, 0.0], [1.0, -3.0], [2.0, -6.0]]), method="pca")
    np.testing.assert_allclose(result.coordinates, [[10**0.5, 0], [0, 0], [-(10**0.5), 0]], atol=1e-6)
    np.testing.assert_allclose(result.explained_variance_ratio, [1, 0], atol=1e-6)


@pytest.mark.parametrize("n_components", [2, 3])
@pytest.mark.parametrize("n", [*range(5), 14])
def test_too_few_points_for_umap_have_finite_places_by_pca_which_says_so(n: int, n_components: int) -> None:
    result = project(vectors(n), n_components=n_components)
    assert result.method == "pca" and result.coordinates.shape == (n, n_components)
    assert result.explained_variance_ratio is not None
    assert np.isfinite(result.coordinates).all() and np.isfinite(result.explained_variance_ratio).all()
    there_are = "there is 1" if n == 1 else f"there are {n}"
    assert result.notes == (f"PCA is used: UMAP needs 15 distinct points and {there_are}.",)
    assert (result.trustworthiness is None) == (n < 4)  # neighbourhoods stay below half of the points
    for layout, center in (("joint", False), ("separate", True)):
        grid = project_grid(grid_of(vectors(n), vectors(n, seed=1)), layout=layout, center=center)
        assert grid.coordinates.shape == (2, n, 2) and np.isfinite(grid.coordinates).all()


def test_fifteen_points_are_enough_for_umap_and_the_clipped_neighborhood_is_said() -> None:
    result = project(vectors(15), n_neighbors=40)
    assert (result.method, result.explained_variance_ratio) == ("umap", None)
    assert result.notes == ("n_neighbors is 14, not 40: no point has more neighbours.",)
    same = project(np.array([[0.6, 0.8, 0.0]] * 20))
    assert not same.coordinates.any() and same.trustworthiness is None


@pytest.mark.parametrize("method", ["umap", "pca"])
def test_duplicates_share_a_position_whatever_their_last_bits_and_their_order(method: str) -> None:
    points = vectors(20).round(4)
    jittered = np.concatenate([points, points[:5] + np.float32(1e-7), points[:5]])
    result = project(jittered, method=method, n_neighbors=5)
    np.testing.assert_array_equal(result.coordinates[20:25], result.coordinates[:5])
    np.testing.assert_array_equal(result.coordinates[25:], result.coordinates[:5])
    assert len(np.unique(result.coordinates, axis=0)) == 20
    order = np.random.default_rng(1).permutation(len(jittered))  # nor does the order of the rows matter
    np.testing.assert_array_equal(
        project(jittered[order], method=method, n_neighbors=5).coordinates, result.coordinates[order]
    )


def test_umap_repeats_itself_for_a_seed_from_any_thread_and_not_for_another() -> None:
    points = vectors(30)
    first = project(points, random_state=3).coordinates
    with ThreadPoolExecutor(3) as pool:
        for again in pool.map(lambda _: project(points, random_state=3).coordinates, range(3)):
            np.testing.assert_array_equal(again, first)
    assert np.abs(project(points, random_state=4).coordinates - first).max() > 0.1


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "manhattan"])
@pytest.mark.parametrize("method", ["umap", "pca"])
def test_trustworthiness_is_that_of_scikit_learn_on_the_distinct_points(method: str, metric: str) -> None:
    points = vectors(24).round(5)
    result = project(np.concatenate([points, points[:6]]), method=method, metric=metric, n_neighbors=7)
    expected = trustworthiness(points, result.coordinates[:24], n_neighbors=5, metric=metric)
    assert result.trustworthiness == pytest.approx(expected, abs=1e-6)
    assert result.trust_neighbors == 5


def test_trustworthiness_of_very_many_points_is_measured_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduction, "TRUST_POINTS", 20)
    rows = vectors(50)
    positions = rows[:, :2]
    value, _ = reduction.measure_trustworthiness(rows, positions, "cosine")
    assert value == pytest.approx(trustworthiness(rows[::3], positions[::3], n_neighbors=5, metric="cosine"))


def test_a_joint_layout_projects_all_points_together_and_each_panel_has_its_own_trustworthiness() -> None:
    instructions = [vectors(18, seed=seed) for seed in range(2)]
    result = project_grid(grid_of(*instructions), n_neighbors=6, random_state=7, min_dist=0.3)
    together = project(np.concatenate(instructions), n_neighbors=6, random_state=7, min_dist=0.3)
    np.testing.assert_array_equal(result.coordinates.reshape(-1, 2), together.coordinates)
    for points, coordinates, value, size in zip(
        instructions, result.coordinates, result.trustworthiness, result.trust_neighbors, strict=True
    ):
        assert size == 5
        assert value == pytest.approx(trustworthiness(points, coordinates, n_neighbors=5, metric="cosine"), abs=0.01)


def test_centering_takes_away_what_an_instruction_adds_to_every_text() -> None:
    texts = vectors(12)
    texts[:, 7] = 0
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    shift = 0.8 * np.eye(8)[7]
    grid = grid_of(0.6 * texts - shift, 0.6 * texts + shift)  # still of unit length: 0.36 + 0.64
    apart = project_grid(grid, method="pca")
    together = project_grid(grid, method="pca", center=True)
    assert np.abs(apart.coordinates[0] - apart.coordinates[1]).max() > 1
    np.testing.assert_allclose(together.coordinates[0], together.coordinates[1], atol=1e-4)


def test_separate_umap_layouts_are_turned_onto_the_first_without_a_change_of_shape() -> None:
    first = vectors(24, seed=1)
    second = (first + np.random.default_rng(5).normal(scale=0.02, size=first.shape)).astype(np.float32)
    result = project_grid(grid_of(first, second), layout="separate", n_neighbors=6)
    own = [projection.coordinates for projection in result.projections]
    np.testing.assert_allclose(result.coordinates[0], own[0], atol=1e-5)
    ratio = pdist(result.coordinates[1]) / pdist(own[1])
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)
    # No other rotation, reflection and scale comes closer: SciPy's disparity is for both sets at unit size.
    left = np.sum((result.coordinates[1] - own[0]) ** 2) / np.sum(own[0] ** 2)
    assert left == pytest.approx(procrustes(own[0], own[1])[2], abs=1e-4)


def test_separate_pca_panels_keep_their_axes_and_are_only_flipped() -> None:
    first = vectors(20, seed=1)
    leading = np.argmax(np.abs(PCA(n_components=2).fit(first).components_), axis=1)
    mirror = np.ones(8)
    mirror[leading] = -1  # the loadings that fix the direction of each axis change sign, and the axes turn round
    result = project_grid(grid_of(first, first * mirror), layout="separate", method="pca")
    own = result.projections[1].coordinates
    assert (np.sum(own * result.coordinates[0], axis=0) < 0).all()
    np.testing.assert_array_equal(result.coordinates[1], -own)
    np.testing.assert_allclose(result.coordinates[1], result.coordinates[0], atol=1e-4)
    for k in range(2):
        np.testing.assert_array_equal(
            result.explained_variance_ratio(k), result.projections[k].explained_variance_ratio
        )


def test_separate_layouts_use_one_method_and_name_the_instruction_that_forbids_umap() -> None:
    full, poor = vectors(20), vectors(20)[np.arange(20) % 4]
    result = project_grid(grid_of(full, poor), layout="separate")
    assert [projection.method for projection in result.projections] == ["pca", "pca"]
    assert result.notes == ("PCA is used: UMAP needs 15 distinct points and there are 4 under instruction B.",)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "tsne"}, "umap, pca: got 'tsne'"),
        ({"n_components": 4}, "2 or 3 components: got 4"),
        ({"n_neighbors": 1}, "at least 2: got 1"),
        ({"min_dist": float("nan")}, "between 0 and 1: got nan"),
    ],
)
def test_an_impossible_parameter_is_explained_with_its_limit(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        project(vectors(20), **parameters)


def test_a_grid_that_cannot_be_laid_out_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="joint, separate: got 'both'"):
        project_grid(grid_of(vectors(3)), layout="both")
    with pytest.raises(UserError, match="at least one instruction"):
        project_grid(EmbeddingGrid((), ("a",), None, np.ones((0, 1, 2))))
    points = vectors(20)
    points[6, 2] = np.inf
    with pytest.raises(UserError, match="point 7 of 20"):
        project(points, method="pca")
    monkeypatch.setattr(projection, "MAX_JOINT_POINTS", 79)
    with pytest.raises(UserError, match=r"up to 79 points: got 2 instructions × 40 texts.*one fit for each"):
        project_grid(grid_of(vectors(40), vectors(40, seed=1)), layout="joint")


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets 150 points count as very many."""
    monkeypatch.setattr(projection, "MANY_POINTS", 100)
    monkeypatch.setattr(reduction, "REDUCED_DIMENSIONS", 6)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "manhattan"])
def test_many_points_keep_their_groups_and_the_note_says_what_was_done(metric: str) -> None:
    points = vectors(150)
    result = project(points, metric=metric, n_neighbors=10)
    again = project(points, metric=metric, n_neighbors=10)
    np.testing.assert_array_equal(result.coordinates, again.coordinates)
    assert result.trustworthiness is not None and result.trustworthiness > 0.9
    centers = np.stack([result.coordinates[group::3].mean(axis=0) for group in range(3)])
    nearest = np.linalg.norm(result.coordinates[:, None] - centers, axis=2).argmin(axis=1)
    assert (nearest == np.arange(150) % 3).mean() > 0.95
    assert any("200 steps from a PCA" in note for note in result.notes)


@pytest.mark.usefixtures("few_are_many")
def test_the_neighbours_of_many_points_are_exact() -> None:
    points = vectors(120).astype(np.float64)
    neighbors, distances = reduction._exact_neighbors(points, 7, "cosine")
    expected = 1 - points @ points.T
    np.testing.assert_array_equal(neighbors[:, 0], np.arange(120))
    np.testing.assert_allclose(distances, np.take_along_axis(expected, neighbors, axis=1), atol=1e-6)
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :7], atol=1e-6)
