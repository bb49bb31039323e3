"""Two instructions on the same texts: paired differences, their intervals, p-values and Holm's correction.

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
from instructor_core.analysis.scores import InstructionScores


@dataclass(frozen=True)
class Score:
    """A score and its bootstrap percentile interval over texts."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """A row minus a reference row, on the same texts.

    Attributes:
        difference: of the metric that the verdict rests on, with its paired bootstrap interval.
        wins: texts whose label only this row's neighbors give right.
        losses: texts whose label only the reference's neighbors give right.
        p_value: two-sided.
        p_adjusted: after Holm's correction for the number of candidates; `p_value` for a control.
    """

    difference: Score
    wins: int
    losses: int
    p_value: float
    p_adjusted: float


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values corrected by Holm's method, (m,) -> (m,), never above 1 and in the order of the input."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


def comparisons(
    scores: Sequence[InstructionScores], reference: int, family: Sequence[int], task: LabelTask, metric: Metric
) -> list[Comparison | None]:
    """Every row against one; Holm's correction within the family, None for the reference itself."""
    raw = [_p_value(score, scores[reference], task, metric) for score in scores]
    adjusted = np.array(raw)
    adjusted[list(family)] = holm(adjusted[list(family)])
    found: list[Comparison | None] = []
    for i, score in enumerate(scores):
        if i == reference:
            found.append(None)
            continue
        at = list(Metric).index(metric)
        samples = score.samples[at] - scores[reference].samples[at]
        value = float(score.values[at] - scores[reference].values[at])
        wins, losses = _decided_differently(score, scores[reference], task)
        found.append(Comparison(interval(value, samples, task), wins, losses, raw[i], float(adjusted[i])))
    return found


def _p_value(row: InstructionScores, reference: InstructionScores, task: LabelTask, metric: Metric) -> float:
    """Two-sided p-value of one comparison: exact McNemar for accuracy, paired bootstrap for the other metrics."""
    if metric is Metric.ACCURACY:
        from scipy.stats import binomtest

        wins, losses = _decided_differently(row, reference, task)
        return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    at = list(Metric).index(metric)
    differences = row.samples[at] - reference.samples[at]
    tail = min((differences <= 0).sum(), (differences >= 0).sum())
    return min(1.0, 2 * float(tail + 1) / (len(differences) + 1))


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
