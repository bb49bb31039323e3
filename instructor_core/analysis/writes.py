"""Who wrote a similarity: a cosine as the sum of what each part of the network wrote into the two embeddings.

In T5 every block adds to the residual stream, and after the last one nothing but a norm, whose scale is frozen, a mean
and a linear layer follow: an embedding is the sum of what the token embeddings, each attention head (split by the
segment that it read) and each feed-forward layer wrote. See Kobayashi et al. 2020 (arXiv 2004.10102) for the norms of
such parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.layers import GROUPS, segment_groups

# Of one embedding: (D,) of the token embeddings, (L, heads, 3, D) of attention, (L, D) of the feed-forward layers.
Writes = Sequence[NDArray[np.floating]]


@dataclass(frozen=True, eq=False)
class WriteShares:
    """The shares of a cosine; all of them add up to it. Each is the mean of what it is in either embedding."""

    cosine: float
    embedding: float
    heads: NDArray[np.float64]  # (L, heads, 3): written by a head from what it read in each of `GROUPS`
    feed_forward: NDArray[np.float64]  # (L,)

    @property
    def by_group(self) -> NDArray[np.float64]:
        """(3,) written by attention from each of `GROUPS`."""
        total: NDArray[np.float64] = self.heads.sum(axis=(0, 1))
        return total


def read_groups(segments: Sequence[str], n: int) -> NDArray[np.bool_]:
    """(3, n): which of the n encoded tokens belong to each of `GROUPS`."""
    of_group: NDArray[np.bool_] = np.arange(len(GROUPS))[:, None] == segment_groups(segments[:n])
    return of_group


def write_shares(first: Writes, second: Writes) -> WriteShares:
    """Split the cosine of two embeddings by who wrote them."""
    one, other = _whole(first), _whole(second)
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    embedding, heads, feed_forward = (
        (mine.astype(np.float64) @ other + its.astype(np.float64) @ one) / (2 * length)
        for mine, its in zip(first, second, strict=True)
    )
    return WriteShares(float(one @ other) / length, float(embedding), heads, feed_forward)


def _whole(writes: Writes) -> NDArray[np.float64]:
    """The embedding that the parts add up to, (D,)."""
    whole: NDArray[np.float64] = sum(
        (part.astype(np.float64).reshape(-1, part.shape[-1]).sum(axis=0) for part in writes), np.zeros(1)
    )
    return whole
