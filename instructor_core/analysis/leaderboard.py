"""Which instruction is good for these labels: candidates beside controls, a decision, and what each row shows.

The steps, so that an app can show progress between them and add a candidate without redoing the others:

    entries = with_controls(candidates)                       # what has to be encoded
    task = label_task(labels)
    scores = tuple(score_instructions(grid, task))            # grid of entries x texts
    board = leaderboard(entries, scores, task)
    board.decision.headline

Decision and verdicts rest on kNN accuracy; rows may be ordered by any metric. No row is called better than no
instruction unless the decision names one, so the table never contradicts the sentence above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.comparison import Comparison, comparisons, intervals
from instructor_core.analysis.controls import Entry, Role
from instructor_core.analysis.decision import ALPHA, Decision, decide_by_neighbors
from instructor_core.analysis.grid import letter
from instructor_core.analysis.label_task import LabelTask, Metric
from instructor_core.analysis.scores import InstructionScores, Score


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
    """One instruction on the leaderboard: its scores in the order of `Metric`, and predicted labels (N,).

    The name is the letter of a candidate or the role of a control; rank 1 has the highest value, equals share a rank.
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
    """A row per entry, the index of the best candidate and of the empty instruction, and the decision."""

    rows: tuple[Row, ...]
    best: int
    empty: int
    metric: Metric
    decision: Decision
    task: LabelTask

    @property
    def use(self) -> Row:
        """The row that the decision names: a candidate, or the empty instruction."""
        return self.rows[self.empty if self.decision.chosen is None else self.decision.chosen]


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
    """Decision, ranks by a metric and verdicts, for entries as `with_controls` makes them and their scores."""
    roles = [entry.role for entry in entries]
    candidates = [i for i, role in enumerate(roles) if role is Role.CANDIDATE]
    if len(entries) != len(scores) or Role.EMPTY not in roles or not candidates:
        raise ValueError(
            f"A leaderboard needs scores for each entry, a candidate and the empty instruction: got {len(entries)} "
            f"entries, {len(scores)} scores, {len(candidates)} candidates."
        )
    empty = roles.index(Role.EMPTY)
    nearest = [score.nearest for score in scores]
    decision = decide_by_neighbors(nearest, task, candidates, empty, [entry.instruction for entry in entries])
    best = decision.best
    values = np.array([score.values[list(Metric).index(metric)] for score in scores])
    against_empty = comparisons(scores, empty, candidates, task)
    against_best = comparisons(scores, best, [i for i in candidates if i != best], task)
    rows = tuple(
        Row(
            name=letter(i) if entry.role is Role.CANDIDATE else entry.role.value,
            entry=entry,
            scores=intervals(scores[i], task),
            rank=1 + int((values > values[i]).sum()),
            against_empty=against_empty[i],
            against_best=against_best[i],
            verdict=Verdict.BETTER if i == decision.chosen else _verdict(against_empty[i], decision),
            standing=_standing(against_best[i]),
            predictions=scores[i].predictions,
        )
        for i, entry in enumerate(entries)
    )
    return Leaderboard(rows, best, empty, metric, decision, task)


def confusion(row: Row, task: LabelTask) -> Confusion:
    """Which labels the neighbors confuse under the instruction of one row."""
    counts = np.zeros((len(task.names), len(task.names)), dtype=np.int64)
    np.add.at(counts, (task.index, row.predictions), 1)
    return Confusion(task.names, counts)


def conclusion(board: Leaderboard, *, larger: str = "") -> tuple[str, ...]:
    """The decision, why, one next step, and the caveats; `larger` names a checkpoint to try next, if there is one."""
    decision, best = board.decision, board.rows[board.best]
    sentences = [decision.headline, *decision.reasons]
    if step := decision.next_step(larger):
        sentences.append(step)
    if decision.chosen is not None:
        alike = [r.name for r in board.rows if r.entry.role is Role.CANDIDATE and r.standing is Standing.SAME]
        if alike:
            sentences.append(f"Not distinguishable from {best.name} on these texts: {', '.join(alike)}.")
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


def _verdict(change: Comparison | None, decision: Decision) -> Verdict:
    """The verdict that a comparison with the empty instruction and the decision allow."""
    if change is None:
        return Verdict.EMPTY
    if change.p_adjusted >= ALPHA or change.difference.value == 0:
        return Verdict.SAME
    if change.difference.value < 0:
        return Verdict.WORSE
    return Verdict.SAME if decision.chosen is None else Verdict.BETTER


def _standing(change: Comparison | None) -> Standing:
    """The standing that a comparison with the best candidate allows."""
    if change is None:
        return Standing.BEST
    if change.p_adjusted >= ALPHA or change.difference.value == 0:
        return Standing.SAME
    return Standing.BETTER if change.difference.value > 0 else Standing.WORSE
