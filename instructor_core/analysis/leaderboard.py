"""Which instruction is good for these labels: candidates beside controls, a decision, and what each row shows.

Decision and verdicts rest on kNN accuracy; rows may be ordered by any metric. No row is called better than no
instruction unless the decision names one, so the table never contradicts the sentence above it.

References:
    Holm 1979, A simple sequentially rejective multiple test procedure.
    McNemar 1947; the exact version is a binomial test on the texts that two instructions decide differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.controls import Entry, Role
from instructor_core.analysis.decision import ALPHA, Decision, decide_by_neighbors
from instructor_core.analysis.grid import letter
from instructor_core.analysis.label_task import LabelTask, Metric
from instructor_core.analysis.scores import InstructionScores, Score
from instructor_core.analysis.suggest import load_builder, task_name


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

    The name is the letter of a candidate or the role of a control, `task` what a candidate is about, "" for a control;
    rank 1 has the highest value, equals share a rank. `p_value` is that against the empty instruction, two-sided, after
    Holm's correction for the candidates.
    """

    name: str
    task: str
    entry: Entry
    scores: tuple[Score, ...]
    rank: int
    p_value: float | None
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
    decision: Decision | None = None,
) -> Leaderboard:
    """Decision, ranks by a metric and verdicts, for entries as `with_controls` makes them and their scores."""
    roles = [entry.role for entry in entries]
    candidates = [i for i, role in enumerate(roles) if role is Role.CANDIDATE]
    empty = roles.index(Role.EMPTY)
    if decision is None:
        nearest = [score.nearest for score in scores]
        decision = decide_by_neighbors(nearest, task, candidates, empty, [entry.instruction for entry in entries])
    best = decision.best
    values = np.array([score.values[list(Metric).index(metric)] for score in scores])
    p_values, leads = _compare_with(scores, empty, candidates, task)
    _, leads_of_best = _compare_with(scores, best, [i for i in candidates if i != best], task)
    builder = load_builder()
    verdicts = {decision.chosen: Verdict.BETTER, empty: Verdict.EMPTY}
    standings = {0: Standing.SAME, 1: Standing.BETTER, -1: Standing.WORSE}
    rows = tuple(
        Row(
            name=letter(entry.at) if entry.role is Role.CANDIDATE else entry.role.value,
            task=task_name(entry.instruction, builder) if entry.role is Role.CANDIDATE else "",
            entry=entry,
            scores=intervals(scores[i]),
            rank=1 + int((values > values[i]).sum()),
            p_value=None if i == empty else float(p_values[i]),
            verdict=verdicts[i] if i in verdicts else _verdict(leads[i], decision),
            standing=Standing.BEST if i == best else standings[leads_of_best[i]],
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


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values corrected by Holm's method, (m,) -> (m,), never above 1 and in the order of the input."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


def _compare_with(
    scores: Sequence[InstructionScores], reference: int, family: list[int], task: LabelTask
) -> tuple[NDArray[np.float64], list[int]]:
    """Each row against one: p-values (R,) of the exact McNemar test, and 1 if reliably ahead, -1 if behind, else 0."""
    from scipy.stats import binomtest

    right = np.stack([score.predictions == task.index for score in scores])
    wins = (right & ~right[reference]).sum(axis=1).tolist()
    losses = (~right & right[reference]).sum(axis=1).tolist()
    pairs = list(zip(wins, losses, strict=True))
    p_values = np.array([binomtest(won, won + lost).pvalue if won + lost else 1.0 for won, lost in pairs])
    p_values[family] = holm(p_values[family])
    leads = [(won > lost) - (won < lost) if p < ALPHA else 0 for (won, lost), p in zip(pairs, p_values, strict=True)]
    return p_values, leads


def _verdict(lead: int, decision: Decision) -> Verdict:
    """What may be said of a row: nothing is better than no instruction unless the decision names one."""
    if lead < 0:
        return Verdict.WORSE
    return Verdict.BETTER if lead > 0 and decision.chosen is not None else Verdict.SAME


def intervals(scores: InstructionScores) -> tuple[Score, ...]:
    """Value and 95 % interval of every metric, widened to hold the value where it falls outside."""
    bounds = np.quantile(scores.samples, [0.025, 0.975], axis=1).T.tolist()
    pairs = zip(scores.values.tolist(), bounds, strict=True)
    return tuple(Score(value, min(low, value), max(high, value)) for value, (low, high) in pairs)
