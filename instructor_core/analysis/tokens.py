"""Token vectors made visible: a few of their dimensions side by side, and their similarity to each other.

The arrays are the projected token vectors `W h` of the encoder, one row per encoded token, in the space in
which the embedding is their mean over the pooled tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.similarity import (
    CosineMatrix,
    cluster_order,
    cosine_matrix,
    cosine_range,
    self_similarity,
)
from instructor_core.errors import UserError

Order = Literal["seriation", "variance", "index"]

ROBUST_PERCENTILE = 99.0  # one outlying value in a hundred may saturate; T5 states have a few huge dimensions


@dataclass(frozen=True, eq=False)
class TokenDimensions:
    """The same selected dimensions of the tokens of one or more sequences."""

    dimensions: NDArray[np.int64]  # (m,) indices into the embedding, in display order
    order: Order
    values: tuple[NDArray[np.float32], ...]  # per sequence (n, m) signed, in the unit of the projected vectors
    limit: float  # the colour range is [-limit, limit] for all sequences; above 0


def token_dimensions(
    projected: Sequence[NDArray[np.floating]], *, order: Order = "seriation", n_dimensions: int = 64
) -> TokenDimensions:
    """The dimensions in which the tokens of all sequences (n, D) together differ most, the same for each sequence.

    "seriation" puts dimensions that rise and fall together over the tokens side by side (average linkage on
    1 - correlation, leaves ordered), "variance" the most variable first, "index" leaves them as in the embedding.
    """
    if order not in get_args(Order):
        raise UserError(f"Dimensions are ordered by {', '.join(get_args(Order))}: got {order!r}. Choose one of them.")
    if n_dimensions < 1:
        raise UserError(f"At least 1 dimension is shown: got n_dimensions={n_dimensions}. Choose 1 or more.")
    tokens = np.concatenate([one.astype(np.float64) for one in projected])
    # A single token varies in nothing: its largest values stand out.
    spread = tokens.var(axis=0) if len(tokens) > 1 else tokens[0] ** 2
    kept = np.argsort(-spread, kind="stable")[:n_dimensions].astype(np.int64)
    if order == "index":
        kept = np.sort(kept)
    elif order == "seriation":
        deviations = (tokens - tokens.mean(axis=0))[:, kept]
        kept = kept[cluster_order(self_similarity(deviations.T))]
    values = tuple(one[:, kept].astype(np.float32) for one in projected)
    return TokenDimensions(kept, order, values, symmetric_limit(tokens[:, kept]))


def token_similarity(projected: NDArray[np.floating]) -> CosineMatrix:
    """Cosines among the tokens of one sequence, (n, D) -> (n, n); the range is that of different tokens."""
    matrix = self_similarity(projected)
    low, high = cosine_range(matrix[~np.eye(len(matrix), dtype=np.bool_)])
    return CosineMatrix(matrix, low, high)


def token_alignment(projected: NDArray[np.floating], pooling_mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Cosine of every token vector with the embedding, the mean of the pooled ones: (n, D), (n,) -> (n,) in [-1, 1]."""
    embedding = projected[pooling_mask].mean(axis=0, dtype=np.float64)
    return cosine_matrix(projected, embedding[None])[:, 0]


def symmetric_limit(values: NDArray[np.floating], *, percentile: float = ROBUST_PERCENTILE) -> float:
    """Half width of a colour range centred on zero: a percentile of the magnitudes, outliers saturate; above 0."""
    magnitudes = np.abs(values)
    if magnitudes.size == 0:
        return 1.0
    return float(np.percentile(magnitudes, percentile)) or float(magnitudes.max()) or 1.0
