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

from instructor_core.analysis.grid import EmbeddingGrid, round_ties
from instructor_core.analysis.metrics import nearest_others
from instructor_core.analysis.projection import fit_onto, project_grid
from instructor_core.analysis.similarity import self_similarity
from instructor_core.errors import UserError

MorphLayout = Literal["joint PCA", "turned PCA", "joint UMAP"]
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

    a: int
    b: int
    layout: MorphLayout  # "joint": one fit; "turned": B rotated, reflected and scaled as a whole onto A
    qualities: tuple[LayoutQuality, ...]  # of all layouts that were tried
    coordinates: NDArray[np.float32]  # (2, N, 2) under A and under B, no unit
    changes: NDArray[np.float64]  # (N,) in [0, 1], Jaccard distance of the `k` nearest
    floor: float  # the change that noise reaches
    changed: NDArray[np.bool_]  # (N,) whether the change exceeds the floor
    k: int

    @property
    def quality(self) -> LayoutQuality:
        """The quality of the layout that was taken."""
        return next(quality for quality in self.qualities if quality.layout == self.layout)

    def positions(self, share: float) -> NDArray[np.float32]:
        """Coordinates on the straight way from A (share 0) to B (share 1), (N, 2) float32."""
        moved: NDArray[np.float32] = (1 - share) * self.coordinates[0] + share * self.coordinates[1]
        return moved.astype(np.float32)


def morph(grid: EmbeddingGrid, a: int, b: int, *, floor: float, k: int = NEIGHBORS) -> Morph:
    """Aligned maps of the texts under instructions `a` and `b`; `floor` comes from `neighborhood_floor`."""
    k = _limit_k(k, grid.n_texts)
    pair = EmbeddingGrid((grid.instructions[a], grid.instructions[b]), grid.texts, grid.labels, grid.vectors[[a, b]])
    made = _layouts(pair)
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
    """Jaccard distance of the k nearest texts of each text in two spaces, (N, D) twice -> (N,) in [0, 1]."""
    k = _limit_k(k, len(a))
    near_a, near_b = _neighborhoods(a, k), _neighborhoods(b, k)
    common = (near_a & near_b).sum(axis=1)
    change: NDArray[np.float64] = 1.0 - common / (2 * k - common)
    return change


def neighborhood_floor(original: NDArray[np.floating], edited: NDArray[np.floating], *, k: int = NEIGHBORS) -> float:
    """The change that 95 % of the texts stay below under edits without meaning, (N, D) and (E, N, D), E >= 1."""
    changes = [neighborhood_change(original, vectors, k=k) for vectors in edited]
    return float(np.quantile(np.concatenate(changes), _FLOOR_SHARE, method="higher"))


def _limit_k(k: int, n_texts: int) -> int:
    """At most half of the other texts: more neighbors than that are hardly a neighborhood."""
    if n_texts < 3:
        raise UserError(f"Comparing neighbourhoods needs at least 3 texts: got {n_texts}. Add texts.")
    return max(1, min(k, (n_texts - 1) // 2))


def _neighborhoods(vectors: NDArray[np.floating], k: int) -> NDArray[np.bool_]:
    """(N, N) mask of the k nearest other texts of each text; equal cosines by index."""
    cosines = round_ties(self_similarity(vectors).astype(np.float64))
    near = np.zeros(cosines.shape, dtype=np.bool_)
    np.put_along_axis(near, nearest_others(cosines, k), True, axis=1)
    return near


def _layouts(pair: EmbeddingGrid) -> list[tuple[LayoutQuality, NDArray[np.float32]]]:
    """Every layout with its quality: PCA of both, of each with the second turned onto the first, UMAP of both."""
    joint, apart = (project_grid(pair, layout=layout, method="pca") for layout in ("joint", "separate"))
    first, second = apart.coordinates
    found = [
        (LayoutQuality("joint PCA", *joint.trustworthiness), joint.coordinates),
        (LayoutQuality("turned PCA", *apart.trustworthiness), np.stack([first, fit_onto(second, first)])),
    ]
    umap = project_grid(pair, layout="joint", method="umap")
    if umap.method == "umap":  # not below 15 distinct points
        found.append((LayoutQuality("joint UMAP", *umap.trustworthiness), umap.coordinates))
    return found
