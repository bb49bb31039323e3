"""Two or three coordinates for every text, with a figure that says how far the picture can be trusted.

Rules, the same for every method:

- Points that are equal to five decimals share one position, and the layout does not depend on the order
  of the rows.
- What was done instead of what was asked for is said in `reason` and `notes`; nothing is replaced silently.
- Trustworthiness is measured on distinct points, because equal points have no order among themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import EmbeddingGrid, letter
from instructor_core.analysis.reduction import (
    MANY_EPOCHS,
    REDUCED_DIMENSIONS,
    TRUST_POINTS,
    center,
    distinct_points,
    measure_trustworthiness,
    pca_positions,
    turn,
    umap_positions,
    umap_positions_of_many,
)
from instructor_core.errors import UserError

Method = Literal["umap", "pca"]
Metric = Literal["cosine", "euclidean", "manhattan"]
Layout = Literal["joint", "separate"]

MANY_POINTS = 500  # above it UMAP sees fewer dimensions, starts from a PCA and takes fewer steps
MAX_JOINT_POINTS = 10_000  # of all panels together
_SURELY = 200  # points among which the fewest that UMAP needs are looked for first
MIN_UMAP_POINTS = 15  # below it a neighborhood graph says little and tiny inputs make UMAP fail


@dataclass(frozen=True, eq=False)
class Projection:
    """Coordinates of n points and how they came about."""

    coordinates: NDArray[np.float32]  # (n, n_components) no unit, the mean at the origin
    method: Method
    notes: tuple[str, ...]  # sentences on everything that differs from the request
    explained_variance_ratio: NDArray[np.float64] | None  # (n_components,) None for UMAP
    trustworthiness: float | None  # None below four distinct points
    trust_neighbors: int  # neighborhood size it was measured with; 0 where it was not


@dataclass(frozen=True, eq=False)
class GridProjection:
    """Coordinates of every text under every instruction."""

    coordinates: NDArray[np.float32]  # (K, N, n_components)
    layout: Layout  # "joint": one fit, positions are comparable across panels; "separate": within a panel only
    projections: tuple[Projection, ...]  # one for a joint layout, K for a separate one (before they were turned)
    trustworthiness: tuple[float | None, ...]  # None below four distinct points
    trust_neighbors: tuple[int, ...]  # neighborhood size it was measured with; 0 where it was not
    turned: bool = False  # whether panels were rotated onto a PCA: axes are no principal components

    @property
    def method(self) -> Method:
        """The method that was used; it is the same for all panels."""
        return self.projections[0].method

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on everything that differs from the request, each once."""
        return tuple(dict.fromkeys(note for projection in self.projections for note in projection.notes))

    def explained_variance_ratio(self, index: int) -> NDArray[np.float64] | None:
        """Share of the variance on each axis of panel `index`, (n_components,); None where UMAP was used."""
        return self.projections[0 if self.layout == "joint" else index].explained_variance_ratio


def project(
    vectors: NDArray[np.floating],
    *,
    method: Method = "umap",
    n_components: int = 2,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    metric: Metric = "cosine",
    random_state: int = 42,
) -> Projection:
    """Coordinates of the rows of `vectors`.

    PCA replaces UMAP below 15 distinct points. PCA ignores the metric, n_neighbors, min_dist and the seed;
    its axes are ordered by variance and point where their largest loading is positive.
    """
    _check(method, n_components, n_neighbors, min_dist, metric, random_state)
    points = distinct_points(vectors)
    used, reason = _find_method(method, len(points.rows))
    notes: tuple[str, ...] = (reason,) if reason else ()
    if used == "pca":
        positions, ratio = pca_positions(points, n_components)
    else:
        fit_neighbors = min(n_neighbors, len(points.rows) - 1)
        if fit_neighbors < n_neighbors:
            notes = (f"n_neighbors is {fit_neighbors}, not {n_neighbors}: no point has more neighbours.",)
        fit_umap = umap_positions_of_many if len(points.rows) > MANY_POINTS else umap_positions
        positions = fit_umap(points.rows, n_components, fit_neighbors, min_dist, metric, random_state)
        ratio = None
        if len(points.rows) > MANY_POINTS:
            notes += (
                f"Of more than {MANY_POINTS} points UMAP sees {REDUCED_DIMENSIONS} dimensions, those of most variance, "
                f"and takes {MANY_EPOCHS} steps from a PCA.",
            )
    if len(points.rows) > TRUST_POINTS:
        notes += (f"Trustworthiness is measured on up to {TRUST_POINTS} points, evenly drawn.",)
    trust, trust_neighbors = measure_trustworthiness(points.rows, positions, metric)
    return Projection(
        coordinates=center(positions, points)[points.index].astype(np.float32),
        method=used,
        notes=notes,
        explained_variance_ratio=ratio,
        trustworthiness=trust,
        trust_neighbors=trust_neighbors,
    )


def project_grid(
    grid: EmbeddingGrid,
    *,
    layout: Layout = "joint",
    center: bool = False,
    method: Method = "umap",
    n_components: int = 2,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    metric: Metric = "cosine",
    random_state: int = 42,
) -> GridProjection:
    """Coordinates of all texts under all instructions.

    A joint layout fits all points at once: the same place means the same in every panel. It may split by instruction
    instead of by topic; `center` subtracts each instruction's mean embedding first. A separate layout fits each
    instruction alone. UMAP panels are then turned and scaled onto the first (Procrustes); PCA panels are only flipped
    along their axes, which stay principal components.
    """
    _check(method, n_components, n_neighbors, min_dist, metric, random_state)
    _check_choice("layout", layout, get_args(Layout))
    if grid.n_instructions == 0:
        raise UserError("A projection needs at least one instruction: got none. Add an instruction.")
    if layout == "joint" and grid.n_instructions * grid.n_texts > MAX_JOINT_POINTS:
        raise UserError(
            f"A joint layout takes up to {MAX_JOINT_POINTS} points: got {grid.n_instructions} instructions × "
            f"{grid.n_texts} texts. Choose one fit for each instruction, or take fewer texts."
        )
    vectors = grid.embeddings
    if center and grid.n_texts:
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
    groups, reason = [vectors.reshape(-1, grid.dim)], ""
    if layout == "separate":
        groups = list(vectors)
        method, reason = _method_for_all(method, groups)
    fits = [
        project(
            group,
            method=method,
            n_components=n_components,
            n_neighbors=n_neighbors,
            min_dist=min_dist,
            metric=metric,
            random_state=random_state,
        )
        for group in groups
    ]
    if reason:
        fits = [replace(one, notes=(reason, *one.notes)) for one in fits]
    if layout == "joint":
        coordinates = fits[0].coordinates.reshape(grid.n_instructions, grid.n_texts, n_components)
        trust = [_panel_trust(group, panel, metric) for group, panel in zip(vectors, coordinates, strict=True)]
    else:
        align = _flip if fits[0].method == "pca" else fit_onto
        coordinates = np.stack([align(one.coordinates, fits[0].coordinates) for one in fits])
        # Turned, mirrored or scaled as a whole, a panel has the neighbors of its fit.
        trust = [(one.trustworthiness, one.trust_neighbors) for one in fits]
    return GridProjection(
        coordinates=coordinates,
        layout=layout,
        projections=tuple(fits),
        trustworthiness=tuple(value for value, _ in trust),
        trust_neighbors=tuple(size for _, size in trust),
    )


def warm_up() -> None:
    """Compile UMAP's kernels on 16 random points: several seconds once per process, best in a thread."""
    points = np.random.default_rng(0).normal(size=(16, 8))
    umap_positions(points, 2, 5, 0.1, "cosine", 42)


def _check(method: str, n_components: int, n_neighbors: int, min_dist: float, metric: str, random_state: int) -> None:
    """Raise a UserError for the first parameter outside its limits."""
    _check_choice("method", method, get_args(Method))
    _check_choice("metric", metric, get_args(Metric))
    if n_components not in (2, 3):
        raise UserError(f"A projection has 2 or 3 components: got {n_components}. Choose 2 or 3.")
    if n_neighbors < 2:
        raise UserError(f"UMAP needs n_neighbors of at least 2: got {n_neighbors}. Choose 2 or more.")
    if not 0 <= min_dist <= 1:
        raise UserError(f"UMAP needs min_dist between 0 and 1: got {min_dist}. Choose a value in that range.")
    if not 0 <= random_state < 2**32:
        raise UserError(f"random_state lies between 0 and {2**32 - 1}: got {random_state}. Choose another.")


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise a UserError that lists the allowed values unless `value` is one of them."""
    if value not in allowed:
        raise UserError(f"The {name} of a projection is one of {', '.join(allowed)}: got {value!r}. Choose one.")


def _find_method(method: Method, n_distinct: int, where: str = "") -> tuple[Method, str]:
    """The method that can be used for that many distinct points, and why it is not the one asked for."""
    if method == "pca" or n_distinct >= MIN_UMAP_POINTS:
        return method, ""
    there = f"there {'is' if n_distinct == 1 else 'are'} {n_distinct}{where}"
    return "pca", f"PCA is used: UMAP needs {MIN_UMAP_POINTS} distinct points and {there}."


def _method_for_all(method: Method, groups: list[NDArray[np.float32]]) -> tuple[Method, str]:
    """The method that can be used for every instruction alone, and why it is not the one asked for."""
    if method == "pca" or all(len(distinct_points(group[:_SURELY]).rows) >= MIN_UMAP_POINTS for group in groups):
        return method, ""  # enough among the first: the others need not be counted
    counts = [len(distinct_points(group).rows) for group in groups]
    return _find_method(method, min(counts), f" under instruction {letter(counts.index(min(counts)))}")


def _panel_trust(
    vectors: NDArray[np.float32], coordinates: NDArray[np.float32], metric: str
) -> tuple[float | None, int]:
    """Trustworthiness of one panel: its own texts, each distinct one once."""
    points = distinct_points(vectors)
    positions = np.empty((len(points.rows), coordinates.shape[1]))
    positions[points.index] = coordinates
    return measure_trustworthiness(points.rows, positions, metric)


def fit_onto(coordinates: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centred coordinates rotated or reflected, and scaled as a whole, to lie as close to the target as they can."""
    size = float(np.sum(coordinates.astype(np.float64) ** 2))
    if size == 0:
        return coordinates
    moved = turn(coordinates, target)
    return (moved * (float(np.sum(moved * target)) / size)).astype(np.float32)


def _flip(coordinates: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coordinates mirrored along each axis on which they run against the target."""
    agreement = np.sum(coordinates.astype(np.float64) * target, axis=0)
    return coordinates * np.where(agreement < 0, np.float32(-1.0), np.float32(1.0))
