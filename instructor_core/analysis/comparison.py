"""Two instructions on the same texts: paired differences of kNN accuracy, intervals, Holm's correction.

References:
    Holm 1979, A simple sequentially rejective multiple test procedure.
    McNemar 1947; the exact version is a binomial test on the texts that the two instructions decide differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.label_task import LabelTask, Metric
from instructor_core.analysis.scores import InstructionScores, Score


@dataclass(frozen=True)
class Comparison:
    """A row minus a reference on the same texts: accuracy with its paired interval, texts that only one gets right.

    `p_adjusted` is the exact McNemar test, two-sided, after Holm's correction for the candidates; a control has none.
    """

    difference: Score
    wins: int
    losses: int
    p_adjusted: float


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values corrected by Holm's method, (m,) -> (m,), never above 1 and in the order of the input."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


def comparisons(
    scores: Sequence[InstructionScores], reference: int, family: Sequence[int], task: LabelTask
) -> list[Comparison | None]:
    """Every row against one; Holm's correction within the family, None for the reference itself."""
    from scipy.stats import binomtest

    at = list(Metric).index(Metric.ACCURACY)
    other = scores[reference]
    decided = [_decided_differently(score, other, task) for score in scores]
    p_values = np.array([binomtest(wins, wins + losses).pvalue if wins + losses else 1.0 for wins, losses in decided])
    p_values[list(family)] = holm(p_values[list(family)])
    return [
        None
        if i == reference
        else Comparison(
            interval(float(score.values[at] - other.values[at]), score.samples[at] - other.samples[at], task),
            *decided[i],
            float(p_values[i]),
        )
        for i, score in enumerate(scores)
    ]


def _decided_differently(row: InstructionScores, reference: InstructionScores, task: LabelTask) -> tuple[int, int]:
    """Texts that only the row gets right, and texts that only the reference gets right."""
    mine, other = row.predictions == task.index, reference.predictions == task.index
    return int((mine & ~other).sum()), int((other & ~mine).sum())


def intervals(scores: InstructionScores, task: LabelTask) -> tuple[Score, ...]:
    """Value and interval of every metric."""
    pairs = zip(scores.values, scores.samples, strict=True)
    return tuple(interval(float(value), samples, task) for value, samples in pairs)


def interval(value: float, samples: NDArray[np.float64], task: LabelTask) -> Score:
    """Value with the percentile interval of its resamples, widened to hold the value where it falls outside."""
    tail = (1 - task.confidence) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return Score(value, min(float(low), value), max(float(high), value))
