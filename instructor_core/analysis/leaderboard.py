"""Which instruction is good for these labels: candidates beside controls, compared pair by pair, with verdicts.

The steps, so that an app can show progress between them and add a candidate without redoing the others:

    entries = with_controls(candidates)                       # what has to be encoded
    task = label_task(labels)
    scores = tuple(score_instructions(grid, task))            # grid of entries x texts
    board = leaderboard(entries, scores, task)

A verdict rests on one metric, kNN accuracy unless another is chosen. For accuracy the test is the exact McNemar
test (which texts does one instruction get right and the other wrong?), for the others a paired bootstrap over
texts. P-values are corrected by Holm's method for the number of candidates.

References:
    Holm 1979, A simple sequentially rejective multiple test procedure.
    McNemar 1947; the exact version is a binomial test on the texts that the two instructions decide differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import letter
from instructor_core.analysis.scores import InstructionScores, LabelTask, Metric
from instructor_core.errors import UserError

UNRELATED_INSTRUCTION = "Represent the weather chart for estimating the tide: "
ALPHA = 0.05  # corrected p-values below it count as a difference


class Role(str, Enum):
    """What a row of the leaderboard is; the value is its name on screen."""

    CANDIDATE = "candidate"
    EMPTY = "empty"
    """The texts alone."""
    SHUFFLED = "shuffled"
    """The words of a candidate in another order: does the sentence matter, or only its words?"""
    UNRELATED = "unrelated"
    """An instruction that has nothing to do with the labels: does any instruction help?"""


class Verdict(str, Enum):
    """A row against the empty instruction."""

    BETTER = "better than no instruction"
    SAME = "not distinguishable from the empty instruction"
    WORSE = "worse than no instruction"
    EMPTY = "the empty instruction itself"


class Standing(str, Enum):
    """A row against the best candidate."""

    BEST = "the best candidate"
    SAME = "not distinguishable from the best"
    WORSE = "worse than the best"
    BETTER = "better than the best candidate"


@dataclass(frozen=True)
class Entry:
    """One row to be: an instruction, as it is encoded, and its role."""

    instruction: str
    role: Role


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


def with_controls(
    candidates: Sequence[str], *, unrelated: str = UNRELATED_INSTRUCTION, seed: int = 0
) -> tuple[Entry, ...]:
    """Candidates in their order, then the controls: what a leaderboard has to encode.

    Every instruction is stripped and ends with exactly one space. An empty candidate is the empty control. The
    shuffled control is made from the first candidate with two different words; without one there is none.

    Raises:
        UserError: when there is no candidate besides the empty instruction.
    """
    joined = [one_space(candidate) for candidate in candidates]
    words = [candidate for candidate in joined if candidate]
    if not words:
        raise UserError(
            f"A leaderboard needs at least 1 instruction that is not empty: got {len(candidates)} candidates, "
            "0 of them with words. Add an instruction."
        )
    entries = [Entry(text, Role.CANDIDATE if text else Role.EMPTY) for text in joined]
    if len(words) == len(joined):
        entries.append(Entry("", Role.EMPTY))
    shuffled = next((text for text in (shuffled_words(word, seed=seed) for word in words) if text), None)
    if shuffled is not None:
        entries.append(Entry(shuffled, Role.SHUFFLED))
    return (*entries, Entry(one_space(unrelated), Role.UNRELATED))


def one_space(instruction: str) -> str:
    """The instruction without outer spaces and with exactly one space at its end; the empty one stays empty."""
    return instruction.strip() + " " if instruction.strip() else ""


def shuffled_words(instruction: str, *, seed: int = 0) -> str | None:
    """The words in another order, the same for the same seed; a last `:` or `;` stays last.

    None where no other order exists.
    """
    core = instruction.strip()
    stem = core.rstrip(":;.,!? ")
    words = stem.split()
    if len(set(words)) < 2:
        return None
    rng = np.random.default_rng(seed)
    mixed = words
    while mixed == words:
        mixed = [words[i] for i in rng.permutation(len(words))]
    return " ".join(mixed) + core[len(stem) :] + " "


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
    against_empty = _comparisons(scores, empty, candidates, task, metric)
    against_best = _comparisons(scores, best, [i for i in candidates if i != best], task, metric)
    rows = tuple(
        Row(
            name=letter(i) if entry.role is Role.CANDIDATE else entry.role.value,
            entry=entry,
            scores=_intervals(scores[i], task),
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
                f"The {row.name} control is {row.standing.value}: the wording of {best.name} may not matter."
            )
    if float((best.predictions == board.task.index).mean()) == 1.0:
        n = len(board.task.index)
        sentences.append(
            f"All {n} texts are right, so resampling shows no error; up to {min(3 / n, 1):.0%} wrong is still plausible."
        )
    return tuple(sentences)


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values corrected by Holm's method, (m,) -> (m,), never above 1 and in the order of the input."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


def _comparisons(
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
        found.append(Comparison(_interval(value, samples, task), wins, losses, raw[i], float(adjusted[i])))
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


def _intervals(scores: InstructionScores, task: LabelTask) -> tuple[Score, ...]:
    """Value and interval of every metric."""
    pairs = zip(scores.values, scores.samples, strict=True)
    return tuple(_interval(float(value), samples, task) for value, samples in pairs)


def _interval(value: float, samples: NDArray[np.float64], task: LabelTask) -> Score:
    """Value with the percentile interval of its resamples, widened to hold the value where it falls outside."""
    tail = (1 - task.confidence) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return Score(value, min(float(low), value), max(float(high), value))


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
