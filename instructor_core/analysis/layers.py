"""Where in the network an instruction enters: states, similarities, attention and what is written, layer by layer.

Layer 0 is the token embedding, layer `l` the residual stream after block `l`. T5 adds no position to the embedding, so
the same text tokens start out identical under any two instructions.

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

from instructor_core.analysis.grid import unit_vectors
from instructor_core.analysis.similarity import TextPair, cosine_range, extreme_cell, self_similarity
from instructor_core.analysis.units import EncodedPair, Unit, refuse_different_tokens, units
from instructor_core.errors import UserError

GROUPS = ("instruction", "text", "end")
_GROUP_OF = {"instruction": 0, "straddling": 1, "text": 1, "end": 2}

# Of one embedding: (D,) of the token embeddings, (L, heads, 3, D) of attention, (L, D) of the feed-forward layers.
Writes = Sequence[NDArray[np.floating]]


@dataclass(frozen=True, eq=False)
class LayerDivergence:
    """How far the states of the same tokens under two instructions have come apart."""

    tokens: tuple[Unit, ...]  # m pooled tokens, `</s>` last
    values: NDArray[np.float32]  # (L + 1, m) `1 - cos` in [0, 2]; row 0 is exactly 0

    @property
    def by_layer(self) -> NDArray[np.float64]:
        """(L + 1,) mean over the tokens."""
        means: NDArray[np.float64] = self.values.mean(axis=1, dtype=np.float64)
        return means


@dataclass(frozen=True, eq=False)
class LayerSimilarity:
    """Text x text cosines read out at every layer."""

    matrices: NDArray[np.float32]  # (L + 1, N, N) in [-1, 1], the last one that of the embeddings
    ranges: NDArray[np.float64]  # (L + 1, 2) colour range of each layer alone: their cosines lie in different bands

    def closest(self, layer: int) -> TextPair | None:
        """The two texts of the highest cosine at a layer."""
        return extreme_cell(self.matrices[layer])


@dataclass(frozen=True, eq=False)
class SegmentAttention:
    """Where the text's tokens look."""

    shares: NDArray[np.float32]  # (L, heads, 3) given by a text token to each of `GROUPS`, mean, sum 1
    even: NDArray[np.float64]  # (3,) the shares if every token that a text token can see got the same

    @property
    def by_layer(self) -> NDArray[np.float64]:
        """(L, 3) mean over the heads."""
        means: NDArray[np.float64] = self.shares.mean(axis=1, dtype=np.float64)
        return means


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


def layer_divergence(
    first: EncodedPair,
    second: EncodedPair,
    *,
    first_layers: NDArray[np.floating],
    second_layers: NDArray[np.floating],
) -> LayerDivergence:
    """`1 - cos` of each pooled token's states (L + 1, n, h) under two instructions; n may differ between them."""
    tokens = units(first)
    refuse_different_tokens(tokens, units(second), what="Layer by layer comparison")
    left = unit_vectors(first_layers[:, first.pooling_mask])
    right = unit_vectors(second_layers[:, second.pooling_mask])
    # |u - v|^2 / 2 = 1 - u . v for unit vectors, and exactly 0 where they are equal.
    values = 0.5 * ((left.astype(np.float64) - right) ** 2).sum(axis=2)
    return LayerDivergence(tokens, values.astype(np.float32))


def pool_layers(read_outs: NDArray[np.floating], pooling_mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The embedding that a text would have at every layer, (L + 1, n, D) -> (L + 1, D), not normalised."""
    pooled: NDArray[np.float32] = read_outs[:, pooling_mask].mean(axis=1, dtype=np.float64).astype(np.float32)
    return pooled


def layer_similarity(embeddings: NDArray[np.floating]) -> LayerSimilarity:
    """Text x text cosines at every layer of read-outs (L + 1, N, D), from `pooled_layers`."""
    matrices = np.stack([self_similarity(layer) for layer in embeddings])
    different = ~np.eye(matrices.shape[1], dtype=np.bool_)
    ranges = [cosine_range(matrix[different]) for matrix in matrices]
    return LayerSimilarity(matrices, np.array(ranges, dtype=np.float64))


def segment_groups(segments: Sequence[str]) -> NDArray[np.int64]:
    """(n,) the index in `GROUPS` of each encoded token."""
    return np.array([_GROUP_OF[str(segment)] for segment in segments], dtype=np.int64)


def segment_attention(attentions: NDArray[np.floating], segments: Sequence[str]) -> SegmentAttention:
    """Where the text's tokens look: weights (L, heads, n, n), row `i` those of token `i`; n segments or more."""
    groups = segment_groups(segments[: attentions.shape[-1]])
    if not (groups == 1).any():
        raise UserError("Attention by segment needs a text token: got an empty text. Choose a text with words.")
    members = (groups[:, None] == np.arange(len(GROUPS))).astype(np.float64)  # (n, 3)
    received = attentions.astype(np.float64) @ members  # (L, heads, n, 3)
    shares = received[:, :, groups == 1].mean(axis=2)
    n = attentions.shape[-1]
    causal = n > 1 and not np.triu(attentions, k=1).any()  # each token sees those before it, and itself
    seen = np.tri(n) if causal else np.ones((n, n))
    even = (seen @ members / seen.sum(axis=1, keepdims=True))[groups == 1].mean(axis=0)
    return SegmentAttention(shares.astype(np.float32), even)


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
