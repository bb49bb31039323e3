"""Three figures of embeddings: agreement of nearest neighbours, agreement of clusters, order of similarities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import unit_vectors
from instructor_core.analysis.label_task import label_task
from instructor_core.analysis.metrics import nearest_agreement, v_measure


@dataclass(frozen=True)
class Score:
    """How well embeddings recover one kind of label.

    Attributes:
        agreement: share of texts whose nearest other text has the same label, 0 to 1.
        v_measure: agreement of the labels with as many k-means clusters, 0 to 1, mean over five fixed seeds.
    """

    agreement: float
    v_measure: float


def chance(labels: Sequence[str]) -> float:
    """Agreement to expect of embeddings that know nothing: the share of ordered pairs with the same label."""
    n = len(labels)
    return sum(count * (count - 1) for count in Counter(labels).values()) / (n * (n - 1))


def score(embeddings: NDArray[np.floating], labels: Sequence[str]) -> Score:
    """Both figures of (N, D) embeddings against N labels.

    Raises:
        UserError: if there are fewer than 8 texts, a single label, a label with one text, or not a label for each text.
    """
    task = label_task(labels, k=1, n_resamples=1)  # resamples make intervals, and none is reported
    return Score(nearest_agreement(embeddings, labels), v_measure(unit_vectors(np.asarray(embeddings)), task)[0])


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

    cosines = np.einsum("pd,pd->p", unit_vectors(np.asarray(first)), unit_vectors(np.asarray(second)))
    ranks = [rankdata(np.round(cosines, 6)), rankdata(scores)]  # rounded: noise of the arithmetic is not an order
    centred = [rank - rank.mean() for rank in ranks]
    norm = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float(centred[0] @ centred[1]) / norm if norm else 0.0
