"""Three figures of embeddings: agreement of nearest neighbours, agreement of clusters, order of similarities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.label_task import label_task
from instructor_core.analysis.metrics import v_measure
from instructor_core.errors import UserError


@dataclass(frozen=True)
class Score:
    """How well embeddings recover one kind of label.

    Attributes:
        agreement: share of texts whose nearest other text has the same label, 0 to 1.
        v_measure: agreement of the labels with as many k-means clusters, 0 to 1, mean over five fixed seeds.
    """

    agreement: float
    v_measure: float


def agreement(embeddings: NDArray[np.floating], labels: Sequence[str]) -> float:
    """Share of texts whose nearest other text, by cosine, has the same label.

    Args:
        embeddings: (N, D) of any length except zero.
        labels: N labels; every text counts, also one whose label no other text has (it can only miss).

    Raises:
        UserError: if there are fewer than two texts, or not as many labels as texts.
    """
    if len(labels) != len(embeddings) or len(labels) < 2:
        raise UserError(
            f"Agreement needs one label for each of two texts or more: got {len(labels)} labels for "
            f"{len(embeddings)} embeddings. Give one label per text."
        )
    unit = _unit(embeddings)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    kinds = np.asarray(labels)
    return float((kinds[cosines.argmax(axis=1)] == kinds).mean())


def chance(labels: Sequence[str]) -> float:
    """Agreement to expect of embeddings that know nothing: the share of ordered pairs with the same label."""
    n = len(labels)
    return sum(count * (count - 1) for count in Counter(labels).values()) / (n * (n - 1))


def score(embeddings: NDArray[np.floating], labels: Sequence[str]) -> Score:
    """Both figures of (N, D) embeddings against N labels.

    Raises:
        UserError: as in ``agreement``, and if there are fewer than 8 texts, a single label, or a label with one text.
    """
    unit = _unit(embeddings)
    task = label_task(labels, k=1, n_resamples=1)  # resamples make intervals, and none is reported
    return Score(agreement(unit, labels), v_measure(unit, task)[0])


def spearman(first: NDArray[np.floating], second: NDArray[np.floating], scores: Sequence[float]) -> float:
    """Spearman correlation of cosines with human scores.

    Args:
        first: (P, D) embeddings of the first texts of the pairs.
        second: (P, D) embeddings of the second texts.
        scores: P similarities as people judged them, on any scale.

    Returns:
        -1 to 1; 0.0 where the cosines are all equal, which orders nothing.
    """
    from scipy.stats import rankdata

    cosines = np.einsum("pd,pd->p", _unit(first), _unit(second))
    ranks = [rankdata(np.round(cosines, 6)), rankdata(scores)]  # rounded: noise of the arithmetic is not an order
    centred = [rank - rank.mean() for rank in ranks]
    norm = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float(centred[0] @ centred[1]) / norm if norm else 0.0


def _unit(embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows scaled to unit length, (N, D) -> (N, D) float32."""
    rows = np.asarray(embeddings, dtype=np.float32)
    unit: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit
