"""Pseudo-topics: k-means over the teacher's embeddings, so that real text gets a topic without being labelled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

_ROWS = 50_000  # embeddings held as float32 at a time


@dataclass(frozen=True, eq=False)
class Topics:
    """Clusters of N texts at two scales, and the cosine of each text and the centre of its fine cluster; all (N,)."""

    fine: NDArray[np.int32]
    coarse: NDArray[np.int32]
    confidence: NDArray[np.float32]


def find_topics(
    embeddings: NDArray[np.float16], *, n_fine: int = 400, n_coarse: int = 64, sample: int = 60_000, seed: int = 0
) -> Topics:
    """Cluster ``(N, D)`` unit-length embeddings by their direction; the centres come from a sample of the rows."""
    rows = np.random.default_rng(seed).permutation(len(embeddings))[:sample]
    centres = k_means(torch.from_numpy(embeddings[np.sort(rows)].astype(np.float32)), n_fine, seed=seed)
    of_centre = (centres @ k_means(centres, min(n_coarse, len(centres)), seed=seed).T).argmax(dim=1).numpy()
    fine = np.empty(len(embeddings), dtype=np.int32)
    confidence = np.empty(len(embeddings), dtype=np.float32)
    for start in range(0, len(embeddings), _ROWS):
        block = torch.from_numpy(embeddings[start : start + _ROWS].astype(np.float32))
        best, cluster = (block @ centres.T).max(dim=1)
        fine[start : start + _ROWS], confidence[start : start + _ROWS] = cluster.numpy(), best.numpy()
    return Topics(fine=fine, coarse=of_centre[fine].astype(np.int32), confidence=confidence)


def k_means(points: Tensor, n_clusters: int, *, n_rounds: int = 12, seed: int = 0) -> Tensor:
    """Return ``(k, D)`` unit-length centres of ``(N, D)`` unit-length points; ``k`` is at most ``N``.

    A centre that no point is nearest to stays where it is.
    """
    generator = torch.Generator().manual_seed(seed)
    centres = points[torch.randperm(len(points), generator=generator)[:n_clusters]].clone()
    for _ in range(n_rounds):
        nearest = (points @ centres.T).argmax(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        filled = torch.bincount(nearest, minlength=len(centres)) > 0
        centres[filled] = F.normalize(sums[filled], dim=-1)
    return centres
