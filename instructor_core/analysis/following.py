"""Whether embeddings follow the instruction: the same texts, grouped one way under one and another way under another.

Take three texts: one shares the anchor's first label and not its second, one its second label and not its first. An
instruction about the first labels must put the former nearer, one about the second labels the latter.

References:
    Peng et al. 2024, Answer is All You Need (InBedder, arXiv 2402.09642), the IntentEmotion triplets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import round_ties
from instructor_core.analysis.similarity import self_similarity
from instructor_core.errors import UserError

MAX_ANCHORS = 300


@dataclass(frozen=True)
class Following:
    """Shares of triplets in the right order: under the first instruction, under the second, and under `both`.

    `both` is 0 for embeddings that take no notice of the instruction, whatever they are: no order suits both.
    """

    n_triplets: int
    first: float
    second: float
    both: float

    @property
    def harmonic(self) -> float:
        """Harmonic mean of the two shares, as InBedder reports it; 0.5 at most without notice of the instruction."""
        return 2 * self.first * self.second / (self.first + self.second) if self.first + self.second else 0.0


def following(
    first: NDArray[np.floating], second: NDArray[np.floating], labels: Sequence[str], others: Sequence[str]
) -> Following:
    """Triplets of N texts: (N, D) embeddings under an instruction about `labels` and under one about `others`.

    Texts without one of the two labels take no part; equal cosines are no order. Of many texts, `MAX_ANCHORS` drawn
    with a fixed seed are anchors. Raises a UserError where no triplet can be made.
    """
    rows = np.array([row for row, pair in enumerate(zip(labels, others, strict=True)) if all(pair)], dtype=np.int64)
    kinds, kinds_of_others = np.array(labels)[rows], np.array(others)[rows]
    cosines = [round_ties(self_similarity(np.asarray(each)[rows])) for each in (first, second)] if len(rows) else []
    anchors = np.sort(np.random.default_rng(0).permutation(len(rows))[:MAX_ANCHORS])
    counts = np.zeros(4, dtype=np.int64)
    for anchor in anchors:
        same, same_other = kinds == kinds[anchor], kinds_of_others == kinds_of_others[anchor]
        near, far = np.flatnonzero(same & ~same_other), np.flatnonzero(same_other & ~same)
        under_first = cosines[0][anchor, near, None] > cosines[0][anchor, far]
        under_second = cosines[1][anchor, near, None] < cosines[1][anchor, far]
        counts += [under_first.size, under_first.sum(), under_second.sum(), (under_first & under_second).sum()]
    if not counts[0]:
        raise UserError(
            f"Following needs texts that share one label and differ in the other: got none among {len(rows)} texts "
            "with both labels. Add texts, or label them in another way."
        )
    n = int(counts[0])
    return Following(n, *(float(count) / n for count in counts[1:]))
