"""A map that moves from instruction A to instruction B, and which texts really change their neighbors on the way.

Several layouts of both instructions are made and the one with the highest mean trustworthiness is taken. Positions
on a map move for many reasons; whether a text changed is decided in the full space, by its nearest neighbors, against
the change that an edit without meaning causes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.projection import project_grid
from instructor_core.analysis.similarity import self_similarity
from instructor_core.errors import UserError

MorphLayout = Literal["joint PCA", "turned PCA", "joint UMAP", "turned UMAP"]
ALL_LAYOUTS: tuple[MorphLayout, ...] = ("joint PCA", "turned PCA", "joint UMAP", "turned UMAP")
NEIGHBORS = 10
_FLOOR_SHARE = 0.95  # of the texts and edits stay below the floor


@dataclass(frozen=True)
class LayoutQuality:
    """Trustworthiness of one layout under A and under B; None below four distinct texts."""

    layout: MorphLayout
    a: float | None
    b: float | None

    @property
    def mean(self) -> float:
        """Mean of both; 0 where it is not defined."""
        return 0.0 if self.a is None or self.b is None else (self.a + self.b) / 2


@dataclass(frozen=True, eq=False)
class Morph:
    """Two aligned maps of the same texts."""

    a: int  # index of the instruction to start from
    b: int  # index of the instruction to move to
    # the layout that was taken. "joint": one fit to both, positions are comparable; "turned": two fits, B rotated,
    # reflected and scaled as a whole onto A (Procrustes)
    layout: MorphLayout
    qualities: tuple[LayoutQuality, ...]  # of all layouts that were tried, the first taken in case of a tie
    coordinates: NDArray[np.float32]  # (2, N, 2) float32, under A and under B, no unit
    # (N,) float64 in [0, 1], Jaccard distance of a text's `k` nearest neighbors under A and under B
    changes: NDArray[np.float64]
    floor: float  # the change that noise reaches
    changed: NDArray[np.bool_]  # (N,) bool, whether the change exceeds the floor
    k: int  # number of neighbors that are compared

    @property
    def quality(self) -> LayoutQuality:
        """The quality of the layout that was taken."""
        return next(quality for quality in self.qualities if quality.layout == self.layout)

    def positions(self, share: float) -> NDArray[np.float32]:
        """Coordinates on the straight way from A (share 0) to B (share 1), (N, 2) float32."""
        moved: NDArray[np.float32] = (1 - share) * self.coordinates[0] + share * self.coordinates[1]
        return moved.astype(np.float32)


def morph(
    grid: EmbeddingGrid,
    a: int,
    b: int,
    *,
    floor: float,
    k: int = NEIGHBORS,
    layouts: tuple[MorphLayout, ...] = ALL_LAYOUTS[:3],
    random_state: int = 42,
) -> Morph:
    """Aligned maps of the texts under instructions `a` and `b`."""
    if not layouts:
        raise ValueError("A morph needs at least one layout to choose from: got none.")
    k = _usable_k(k, grid.n_texts)
    pair = EmbeddingGrid((grid.instructions[a], grid.instructions[b]), grid.texts, grid.labels, grid.vectors[[a, b]])
    made = [found for layout in layouts if (found := _laid_out(pair, layout, random_state)) is not None]
    if not made:
        made = [_pca(pair, "joint PCA")]
    best = max(range(len(made)), key=lambda at: (round(made[at][0].mean, 3), -at))
    changes = neighborhood_change(grid.vectors[a], grid.vectors[b], k=k)
    return Morph(
        a=a,
        b=b,
        layout=made[best][0].layout,
        qualities=tuple(quality for quality, _ in made),
        coordinates=made[best][1],
        changes=changes,
        floor=floor,
        changed=changes > floor,
        k=k,
    )


def neighborhood_change(a: NDArray[np.floating], b: NDArray[np.floating], *, k: int = NEIGHBORS) -> NDArray[np.float64]:
    """Jaccard distance of the k nearest neighbors of each text in two spaces, (N, D) twice -> (N,) in [0, 1].

    0: the same neighbors, 1: none in common. k is lowered as in `morph`.
    """
    k = _usable_k(k, len(a))
    near_a, near_b = _neighborhoods(a, k), _neighborhoods(b, k)
    common = (near_a & near_b).sum(axis=1)
    change: NDArray[np.float64] = 1.0 - common / (2 * k - common)
    return change


def neighborhood_floor(original: NDArray[np.floating], edited: NDArray[np.floating], *, k: int = NEIGHBORS) -> float:
    """The change that 95 % of the texts stay below when an instruction is edited without changing its meaning."""
    changes = [neighborhood_change(original, vectors, k=k) for vectors in edited]
    return float(np.quantile(np.concatenate(changes), _FLOOR_SHARE, method="higher"))


def _usable_k(k: int, n_texts: int) -> int:
    """At most half of the other texts: more neighbors than that are hardly a neighborhood."""
    if n_texts < 3:
        raise UserError(f"Comparing neighbourhoods needs at least 3 texts: got {n_texts}. Add texts.")
    return max(1, min(k, (n_texts - 1) // 2))


def _neighborhoods(vectors: NDArray[np.floating], k: int) -> NDArray[np.bool_]:
    """(N, N) mask of the k nearest other texts of each text; equal cosines by index."""
    cosines = np.round(self_similarity(vectors).astype(np.float64), 6)
    np.fill_diagonal(cosines, -np.inf)
    near = np.zeros(cosines.shape, dtype=np.bool_)
    np.put_along_axis(near, np.argsort(-cosines, axis=1, kind="stable")[:, :k], True, axis=1)
    return near


def _laid_out(
    pair: EmbeddingGrid, layout: MorphLayout, random_state: int
) -> tuple[LayoutQuality, NDArray[np.float32]] | None:
    """One layout and its quality; None where UMAP cannot be used."""
    if layout in ("joint PCA", "turned PCA"):
        return _pca(pair, layout)
    kind: Literal["joint", "separate"] = "joint" if layout == "joint UMAP" else "separate"
    result = project_grid(pair, layout=kind, method="umap", random_state=random_state)
    if result.method != "umap":
        return None
    return LayoutQuality(layout, *result.trustworthiness), result.coordinates


def _pca(pair: EmbeddingGrid, layout: MorphLayout) -> tuple[LayoutQuality, NDArray[np.float32]]:
    """Principal components of both together, or of each with the second turned onto the first."""
    result = project_grid(pair, layout="joint" if layout == "joint PCA" else "separate", method="pca")
    first, second = result.coordinates
    if layout == "turned PCA":
        second = turned(second, first)
    return LayoutQuality(layout, *result.trustworthiness), np.stack([first, second])


def turned(points: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float32]:
    """Points rotated or reflected, scaled and moved as a whole onto the target, (N, 2) -> (N, 2) float32.

    All distances keep their proportions.
    """
    from scipy.linalg import orthogonal_procrustes

    center, goal = points.mean(axis=0, dtype=np.float64), target.mean(axis=0, dtype=np.float64)
    moved = points - center
    size = float(np.sum(moved**2))
    rotation, overlap = orthogonal_procrustes(moved, target - goal)
    scale = overlap / size if size > 0 else 1.0
    placed: NDArray[np.float32] = (moved @ rotation * scale + goal).astype(np.float32)
    return placed
