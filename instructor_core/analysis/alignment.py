"""Maps of several instructions that lie alike: each has a fit of its own and is turned as a whole onto one PCA."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.projection import GridProjection, project
from instructor_core.analysis.reduction import turn


def align(maps: GridProjection, grid: EmbeddingGrid) -> GridProjection:
    """Separate maps of a grid, turned onto the PCA of the first: those by PCA and by UMAP lie alike, points travel.

    A turn is a rotation, with a reflection where that lies closer, so every map keeps its shape and trustworthiness.
    Scale says nothing from one map to another: each has a root mean square radius of 1.
    """
    target = maps.projections[0].coordinates
    if maps.method != "pca":
        target = project(grid.embeddings[0], method="pca", n_components=target.shape[1]).coordinates
    coordinates = np.stack([rotate(fit.coordinates, target) for fit in maps.projections])
    return replace(maps, coordinates=coordinates, turned=True)


def rotate(points: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float32]:
    """Points centred, rotated or reflected onto the target, at a mean square radius of 1, (N, d) -> (N, d) float32."""
    if len(points) == 0:
        return points.astype(np.float32)
    moved = turn(points, target)
    radius = float(np.sqrt(np.mean(np.sum(moved**2, axis=1))))
    return (moved / (radius or 1.0)).astype(np.float32)
