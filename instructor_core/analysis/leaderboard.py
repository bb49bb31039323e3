"""Which instruction is good for these labels: candidates beside controls, compared pair by pair, with verdicts.

The steps, so that an app can show progress between them and add a candidate without redoing the others:

    entries = with_controls(candidates)                       # what has to be encoded
    task = label_task(labels)
    scores = tuple(score_instructions(grid, task))            # grid of entries x texts
    board = leaderboard(entries, scores, task)

A verdict rests on one metric, kNN accuracy unless another is chosen. For accuracy the test is the exact McNemar
test (which texts does one instruction get right and the other wrong?), for the others a paired bootstrap over
texts. P-values are corrected by Holm's method for the number of candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.comparison import Comparison, Score, comparisons, intervals
from instructor_core.analysis.controls import Entry, Role
from instructor_core.analysis.grid import letter
from instructor_core.analysis.label_task import LabelTask, Metric
from instructor_core.analysis.scores import InstructionScores

ALPHA = 0.05  # corrected p-values below it count as a difference


class Verdict(StrEnum):
    """A row against the empty instruction."""

    BETTER = "better than no instruction"
    SAME = "not distinguishable from the empty instruction"
    WORSE = "worse than no instruction"
    EMPTY = "the empty instruction itself"


class Standing(StrEnum):
    """A row against the best candidate."""

    BEST = "the best candidate"
    SAME = "not distinguishable from the best"
    WORSE = "worse than the best"
    BETTER = "better than the best candidate"


@dataclass(frozen=True, eq=False)
class Row:
    """One instruction on the leaderboard.

    Attributes:
        name: letter of a candidate, role of a control.
        entry: instruction and role.
        scores: one per `Metric`, in its order.
        rank: 1 for the highest value of the verdict's metric; equal values share a rank.
        against_empty: None for the empty instruction itself.
        against_best: None for the best candidate itself.
        verdict: in words, against the empty instruction.
        standing: in words, against the best candidate.
        predictions: (N,) int64, the label that the neighbors of each text give it.
    """

    name: str
    entry: Entry
    scores: tuple[Score, ...]
    rank: int
    against_empty: Comparison | None
    against_best: Comparison | None
    verdict: Verdict
    standing: Standing
    predictions: NDArray[np.int64]

    def score(self, metric: Metric) -> Score:
        """The score of one metric."""
        return self.scores[list(Metric).index(metric)]


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """All rows in the order of the entries, and what the comparison rests on.

    Attributes:
        rows: one per entry.
        best: index of the best candidate: by the metric, then by macro-F1 and AUC, then by order.
        empty: index of the empty instruction.
        metric: the one that ranks and verdicts rest on.
        test: name of the test behind the p-values.
        n_candidates: what p-values are corrected for.
        task: the labels.
    """

    rows: tuple[Row, ...]
    best: int
    empty: int
    metric: Metric
    test: str
    n_candidates: int
    task: LabelTask


@dataclass(frozen=True, eq=False)
class Confusion:
    """Labels (rows) against the labels that neighbors give (columns), (L, L) int64 counts, in the order of `names`."""

    names: tuple[str, ...]
    counts: NDArray[np.int64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Counts as shares of the texts of each label, (L, L) float64; the diagonal is the recall."""
        shares: NDArray[np.float64] = self.counts / self.counts.sum(axis=1, keepdims=True)
        return shares


def leaderboard(
    entries: Sequence[Entry],
    scores: Sequence[InstructionScores],
    task: LabelTask,
    *,
    metric: Metric = Metric.ACCURACY,
) -> Leaderboard:
    """Ranks, comparisons and verdicts.

    Choosing the best of many rows by the same texts that rank them flatters the winner a little; its interval
    does not know about that. Confirm a close decision on texts that were not used here.

    Args:
        entries: with exactly one empty instruction and at least one candidate, as `with_controls` makes them.
        scores: one per entry, from `score_instructions`.
        task: the one that the scores were computed with.
        metric: what ranks and verdicts rest on.

    Raises:
        ValueError: when entries and scores do not match, or the empty instruction or a candidate is missing.
    """
    roles = [entry.role for entry in entries]
    candidates = [i for i, role in enumerate(roles) if role is Role.CANDIDATE]
    if len(entries) != len(scores) or Role.EMPTY not in roles or not candidates:
        raise ValueError(
            f"A leaderboard needs scores for each entry, a candidate and the empty instruction: got {len(entries)} "
            f"entries, {len(scores)} scores, {len(candidates)} candidates."
        )
    empty = roles.index(Role.EMPTY)
    order = [list(Metric).index(m) for m in (metric, Metric.ACCURACY, Metric.MACRO_F1, Metric.AUC)]
    best = max(candidates, key=lambda i: (*(scores[i].values[m] for m in order), -i))
    values = np.array([score.values[order[0]] for score in scores])
    against_empty = comparisons(scores, empty, candidates, task, metric)
    against_best = comparisons(scores, best, [i for i in candidates if i != best], task, metric)
    rows = tuple(
        Row(
            name=letter(i) if entry.role is Role.CANDIDATE else entry.role.value,
            entry=entry,
            scores=intervals(scores[i], task),
            rank=1 + int((values > values[i]).sum()),
            against_empty=against_empty[i],
            against_best=against_best[i],
            verdict=_verdict(against_empty[i]),
            standing=_standing(against_best[i]),
            predictions=scores[i].predictions,
        )
        for i, entry in enumerate(entries)
    )
    test = "exact McNemar test" if metric is Metric.ACCURACY else "paired bootstrap over texts"
    return Leaderboard(rows, best, empty, metric, test, len(candidates), task)


def confusion(row: Row, task: LabelTask) -> Confusion:
    """Which labels the neighbors confuse under the instruction of one row."""
    counts = np.zeros((len(task.names), len(task.names)), dtype=np.int64)
    np.add.at(counts, (task.index, row.predictions), 1)
    return Confusion(task.names, counts)


def conclusion(board: Leaderboard) -> tuple[str, ...]:
    """What the leaderboard says, in full sentences, the caveats included."""
    best = board.rows[board.best]
    score = best.score(board.metric)
    sentences = [
        f"{best.name} has the highest {board.metric.value} of {_count(board.n_candidates, 'candidate')}: "
        f"{score.value:.2f} ({board.task.confidence:.0%} interval {score.low:.2f} to {score.high:.2f})."
    ]
    if best.against_empty is not None:
        change = best.against_empty
        corrected = f", corrected for {board.n_candidates} candidates" if board.n_candidates > 1 else ""
        sentences.append(
            f"It is {best.verdict.value}: {change.difference.value:+.2f} ({change.difference.low:+.2f} to "
            f"{change.difference.high:+.2f}), p = {change.p_adjusted:.2g} ({board.test}{corrected})."
        )
    rivals = [row.name for row in board.rows if row.entry.role is Role.CANDIDATE and row.standing is Standing.SAME]
    if rivals:
        sentences.append(f"Not distinguishable from it on these texts: {', '.join(rivals)}.")
    for row in board.rows:
        if row.entry.role in (Role.SHUFFLED, Role.UNRELATED) and row.standing is not Standing.WORSE:
            sentences.append(
                f"The {row.name} control is {row.standing.value}: the wording may matter little for these labels."
            )
    if float((best.predictions == board.task.index).mean()) == 1.0:
        n = len(board.task.index)
        sentences.append(
            f"All {n} texts are right, so resampling shows no error; up to {3 / n:.0%} wrong is still plausible."
        )
    return tuple(sentences)


def _verdict(change: Comparison | None) -> Verdict:
    """The verdict that a comparison with the empty instruction allows."""
    if change is None:
        return Verdict.EMPTY
    if change.p_adjusted >= ALPHA or change.difference.value == 0:
        return Verdict.SAME
    return Verdict.BETTER if change.difference.value > 0 else Verdict.WORSE


def _standing(change: Comparison | None) -> Standing:
    """The standing that a comparison with the best candidate allows."""
    if change is None:
        return Standing.BEST
    if change.p_adjusted >= ALPHA or change.difference.value == 0:
        return Standing.SAME
    return Standing.BETTER if change.difference.value > 0 else Standing.WORSE


def _count(n: int, noun: str) -> str:
    """Number and noun, in the plural where it is one."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
