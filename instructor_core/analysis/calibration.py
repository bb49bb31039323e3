"""Cosines with a zero: where a cosine lies among those of unrelated sentences under the same instruction.

Cosines of one checkpoint and instruction live in a narrow band, so 0.8 alone says nothing. Here an instruction is
also given sentences that have nothing to do with each other; the percentile of a cosine among theirs says how
unusual it is. A percentile of 50 is what unrelated sentences get.

Not shown: that two texts mean the same. A high percentile only says "more alike than unrelated short English
sentences"; texts of one domain or one length may all lie high.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import round_ties
from instructor_core.analysis.similarity import cosine_matrix
from instructor_core.analysis.suggest import bundled, read_json
from instructor_core.errors import UserError

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_CURVE = 201  # points of the background curve


@dataclass(frozen=True)
class _Bundled:
    """The bundled sentences by domain."""

    domains: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class UnrelatedSentences:
    """Short sentences, (M,), and the domain of each, (M,): sentences of different domains are unrelated."""

    texts: tuple[str, ...]
    domains: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Background:
    """Cosines of unrelated sentences under one instruction."""

    cosines: NDArray[np.float64]  # (P,) in [-1, 1], sorted
    quantiles: NDArray[np.float64]  # (5,) at the shares of `QUANTILES`
    curve: NDArray[np.float64]  # (201, 2) columns cosine and percentile, for drawing

    def percentiles(self, cosines: NDArray[np.floating]) -> NDArray[np.float32]:
        """Percentage of the unrelated pairs whose cosine is not higher, any shape -> the same, float32 in [0, 100]."""
        below = np.searchsorted(self.cosines, round_ties(cosines.astype(np.float64)), side="right")
        return (100.0 * below / len(self.cosines)).astype(np.float32)


def unrelated_sentences() -> UnrelatedSentences:
    """The bundled sentences: what has to be encoded under every instruction that is calibrated."""
    domains = read_json(bundled("unrelated_sentences.json").read_bytes(), _Bundled).domains
    pairs = [(text, domain) for domain, texts in domains.items() for text in texts]
    return UnrelatedSentences(tuple(text for text, _ in pairs), tuple(domain for _, domain in pairs))


def background(vectors: NDArray[np.floating], domains: Sequence[str]) -> Background:
    """Cosines of all pairs of sentences of different domains under one instruction: vectors (M, D), M domains."""
    if len(set(domains)) < 2:
        raise UserError(f"A background needs sentences of at least 2 domains: got {len(set(domains))}. Add sentences.")
    group = np.unique(np.array(domains), return_inverse=True)[1].reshape(-1)
    first, second = np.triu_indices(len(domains), 1)
    unrelated = group[first] != group[second]
    cosines = cosine_matrix(vectors, vectors)[first[unrelated], second[unrelated]]
    ordered = np.sort(round_ties(cosines.astype(np.float64)))
    shares = np.linspace(0, 1, _CURVE)
    curve = np.stack([np.quantile(ordered, shares), 100 * shares], axis=1)
    return Background(ordered, np.quantile(ordered, QUANTILES), curve)


def percentile_matrices(matrices: NDArray[np.floating], backgrounds: Sequence[Background]) -> NDArray[np.float32]:
    """Percentiles of the cosines of every instruction against its own background, (K, N, N) -> (K, N, N) float32."""
    return np.stack([each.percentiles(matrix) for each, matrix in zip(backgrounds, matrices, strict=True)])
