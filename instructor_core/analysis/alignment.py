"""Maps of several instructions that lie alike: each has a fit of its own and is turned as a whole onto one PCA."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.projection import GridProjection, Method, Metric, project, project_grid
from instructor_core.analysis.reduction import turned


def aligned_maps(
    grid: EmbeddingGrid,
    *,
    center: bool = False,
    method: Method = "pca",
    n_components: int = 2,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    metric: Metric = "cosine",
    random_state: int = 42,
) -> GridProjection:
    """Each instruction's own map, turned onto the PCA of the first: PCA and UMAP of a grid lie alike, points travel.

    A turn is a rotation, with a reflection where that lies closer, so every map keeps its shape and trustworthiness.
    Scale says nothing from one map to another: each has a root mean square radius of 1. Options: see `project_grid`.
    """
    result = project_grid(
        grid,
        layout="separate",
        center=center,
        method=method,
        n_components=n_components,
        n_neighbors=n_neighbors,
        min_dist=min_dist,
        metric=metric,
        random_state=random_state,
    )
    if result.method == "pca":
        target = result.projections[0].coordinates
    else:
        target = project(grid.embeddings[0], method="pca", n_components=n_components).coordinates
    coordinates = np.stack([rotated(fit.coordinates, target) for fit in result.projections])
    return replace(result, coordinates=coordinates, turned=True)


def rotated(points: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float32]:
    """Points centred, rotated or reflected onto the target, at a mean square radius of 1, (N, d) -> (N, d) float32."""
    if len(points) == 0:
        return points.astype(np.float32)
    moved = turned(points, target)
    radius = float(np.sqrt(np.mean(np.sum(moved**2, axis=1))))
    return (moved / (radius or 1.0)).astype(np.float32)
