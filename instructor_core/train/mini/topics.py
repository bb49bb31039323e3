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
    """Clusters of N texts at two scales, the cosine of each text and the centre of its fine cluster, and the centres.

    Clusters and cosines (N,), centres of the fine clusters (k, D), unit length.
    """

    fine: NDArray[np.int32]
    coarse: NDArray[np.int32]
    confidence: NDArray[np.float32]
    centres: NDArray[np.float32]


def find_topics(
    embeddings: NDArray[np.float16],
    n_corpus: int,
    *,
    n_fine: int = 1000,
    n_coarse: int = 60,
    sample: int = 100_000,
    device: torch.device,
    seed: int = 0,
) -> Topics:
    """Cluster ``(N, D)`` unit-length embeddings by direction; the centres are those of a sample of the corpus."""
    rows = np.random.default_rng(seed).permutation(n_corpus)[:sample]
    points = torch.from_numpy(embeddings[np.sort(rows)].astype(np.float32)).to(device)
    centres = k_means(points, min(n_fine, max(1, len(points) // 20)), seed=seed)
    of_centre = (centres @ k_means(centres, min(n_coarse, len(centres)), seed=seed).T).argmax(dim=1).cpu().numpy()
    fine = np.empty(len(embeddings), dtype=np.int32)
    confidence = np.empty(len(embeddings), dtype=np.float32)
    for start in range(0, len(embeddings), _ROWS):
        block = torch.from_numpy(embeddings[start : start + _ROWS]).to(device).float()
        best, cluster = (block @ centres.T).max(dim=1)
        fine[start : start + _ROWS], confidence[start : start + _ROWS] = cluster.cpu().numpy(), best.cpu().numpy()
    return Topics(fine, of_centre[fine].astype(np.int32), confidence, centres.cpu().numpy())


def k_means(points: Tensor, n_clusters: int, *, n_rounds: int = 12, seed: int = 0) -> Tensor:
    """Return ``(k, D)`` unit-length centres of ``(N, D)`` unit-length points; ``k`` is at most ``N``.

    A centre that no point is nearest to stays where it is.
    """
    generator = torch.Generator().manual_seed(seed)
    centres = points[torch.randperm(len(points), generator=generator)[:n_clusters].to(points.device)].clone()
    for _ in range(n_rounds):
        nearest = torch.cat([(part @ centres.T).argmax(dim=1) for part in torch.split(points, _ROWS)])
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        filled = torch.bincount(nearest, minlength=len(centres)) > 0
        centres[filled] = F.normalize(sums[filled], dim=-1)
    return centres
