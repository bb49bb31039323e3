"""Which instruction to use, or none: a decision that holds on texts that took no part in making it.

Whoever tries many instructions and reports the best one is flattered by luck. Here the choice is made anew without
each tenth of the texts, and judged on that tenth (nested cross-validation, five times, labels spread evenly). A
candidate is named only if two things hold:

- the gain over no instruction on held-out texts has an interval above 0. Folds share texts, so the variance carries
  the correction of Nadeau and Bengio, with as many degrees of freedom as one round of folds has;
- its lead, in units of its own noise (McNemar's z), exceeds the largest lead of all candidates under 95 % of random
  orders of the labels. That is exact where labels mean nothing, for any number of candidates, classes and texts, and
  unlike Holm's method it knows that similar candidates are lucky together.

References:
    Nadeau and Bengio 2003, Inference for the generalization error.
    Westfall and Young 1993, Resampling-based multiple testing (the largest statistic under permutation).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import round_ties, unit_vectors
from instructor_core.analysis.label_task import LabelTask, Metric
from instructor_core.analysis.labels import label_issues, make_task
from instructor_core.analysis.metrics import vote
from instructor_core.analysis.numbers import counted, number, signed
from instructor_core.analysis.scores import Score, nearest_texts
from instructor_core.errors import UserError

ALPHA = 0.05
N_FOLDS = 10
N_ROUNDS = 5
N_ORDERS = 199  # random orders of the labels
CEILING = 0.95  # accuracy without instruction that leaves nothing to gain
MANY_LABELS = 8  # from here on, labels are fine distinctions
_CELLS = 4_000_000  # votes that are counted at once


@dataclass(frozen=True)
class Decision:
    """What to use, and what it rests on; all figures are kNN accuracies.

    `chosen` is a row, None for no instruction; `best` the row that looks best; `apparent` its accuracy on the texts
    that chose it; `held_out`, `held_out_none` and their difference `gain` those on texts that took no part; `p_value`
    the share of random orders of the labels with as large a lead (1 where that was not needed).
    """

    chosen: int | None
    best: int
    instruction: str
    n_candidates: int
    n_texts: int
    n_labels: int
    apparent: float
    apparent_none: float
    held_out: float
    held_out_none: float
    gain: Score
    p_value: float
    chance: float

    @property
    def optimism(self) -> float:
        """How much better the best looks on the texts that chose it than on others."""
        return self.apparent - self.held_out

    @property
    def headline(self) -> str:
        """The decision in one sentence."""
        name = f'"{" ".join(self.instruction.split())}"'
        if self.chosen is not None:
            low, high = signed(self.gain.low, 2), signed(self.gain.high, 2)
            return (
                f"Use {name}: {number(self.held_out, 2)} on texts that took no part in choosing it, "
                f"{number(self.held_out_none, 2)} without an instruction ({signed(self.gain.value, 2)}, "
                f"95 % {low} to {high})."
            )
        lead = self.apparent - self.apparent_none
        tried = "the one tried is not" if self.n_candidates == 1 else f"none of the {self.n_candidates} tried is"
        best = f"{signed(lead, 2)}, could be luck" if lead > 0 else f"{signed(lead, 2)}"
        which = best if self.n_candidates == 1 else f"best: {name}, {best}"
        return f"Use no instruction: {tried} reliably better on these {self.n_texts} texts ({which})."

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, as far as it can be computed, and what choosing by these texts flattered."""
        said = []
        if self.chosen is None and self.apparent_none >= CEILING:
            said.append(
                f"The labels are already apart without an instruction: {number(self.apparent_none, 2)} of the texts "
                "lie among their own. Little is left to gain."
            )
        elif self._near_chance:
            said.append(
                f"No instruction tells these labels apart: the best is right for {number(self.apparent, 2)} of the "
                f"texts, always saying the most frequent label for {number(self.chance, 2)}."
            )
        elif self.chosen is None and self.p_value < 1:
            said.append(
                f"With the labels in random order, the best of {self.n_candidates} leads as clearly in "
                f"{self.p_value:.0%} of the orders: so many tries need more texts, or a larger lead."
            )
        elif self.chosen is None:
            said.append(
                f"With {self.n_texts} texts, a gain below about {number((self.gain.high - self.gain.low) / 2, 2)} "
                "cannot be told from luck."
            )
        if self.optimism > 0.005:
            said.append(
                f"On the texts that chose it, the best has {number(self.apparent, 2)}; on others "
                f"{number(self.held_out, 2)}: trying {counted(self.n_candidates, 'instruction')} flatters by "
                f"{number(self.optimism, 2)}."
            )
        return tuple(said)

    def next_step(self, larger: str = "") -> str:
        """One thing to do; `larger` names a checkpoint above the one that was used, "" if there is none."""
        if self.chosen is not None:
            return ""
        if self.apparent_none >= CEILING:
            return "Next: label a few hard texts, or a finer distinction, and try again."
        if larger and (self.n_labels >= MANY_LABELS or self._near_chance):
            fine = f"{self.n_labels} labels are fine distinctions for" if self.n_labels >= MANY_LABELS else "It may be"
            end = "a small checkpoint" if self.n_labels >= MANY_LABELS else "the checkpoint"
            return f"Next: try {larger}. {fine} {end}."
        if self._near_chance:
            return "Next: check whether a reader could tell the labels from the texts alone."
        return "Next: label more texts, or name in an instruction what the labels are about."

    @property
    def _near_chance(self) -> bool:
        """Whether even the best is not above the most frequent label by more than two standard errors."""
        error = math.sqrt(self.chance * (1 - self.chance) / self.n_texts)
        return self.chosen is None and self.apparent <= self.chance + 2 * error


def decide(
    embeddings: NDArray[np.floating], labels: Sequence[str], *, instructions: Sequence[str] | None = None, none: int = 0
) -> Decision:
    """The decision for K instructions on N texts: embeddings (K, N, D), N labels, row `none` without an instruction.

    Texts without a label, copies of a text, and texts alone with their label are left out. `chosen` of the result is a
    row of the embeddings. Raises a UserError when less than two labels or eight texts are left, or nothing to choose.
    """
    vectors = np.asarray(embeddings)
    names = tuple(instructions) if instructions is not None else tuple(f"row {k}" for k in range(len(vectors)))
    if vectors.ndim != 3 or vectors.shape[1] != len(labels) or len(names) != len(vectors):
        raise UserError(
            "A decision needs embeddings (instructions, texts, dimensions), one label per text and one name per "
            f"instruction: got the shape {vectors.shape}, {len(labels)} labels and {len(names)} names."
        )
    units = round_ties(unit_vectors(vectors))
    contents = [units[:, text].tobytes().hex() for text in range(len(labels))]
    issues = label_issues(labels, contents)
    task, rows = make_task(labels, issues, n_resamples=1), issues.rows
    nearest = [nearest_texts(each[rows], task) for each in vectors]
    return decide_by_neighbors(nearest, task, [k for k in range(len(vectors)) if k != none], none, names)


def decide_by_neighbors(
    nearest: Sequence[NDArray[np.int32]],
    task: LabelTask,
    candidates: Sequence[int],
    none: int,
    instructions: Sequence[str],
) -> Decision:
    """The decision from the nearest texts of each, (N, M) per row; candidates that change nothing are counted once."""
    if not candidates:
        raise UserError("A decision needs an instruction to try: got none. Add one.")
    first: dict[bytes, int] = {nearest[none].tobytes(): none}
    for k in candidates:
        first.setdefault(nearest[k].tobytes(), k)
    distinct = [k for k in first.values() if k != none]
    tried = distinct or [candidates[0]]
    lists = np.stack([nearest[none], *(nearest[k] for k in tried)])
    right = vote(lists[:, :, : task.k], task.index, len(task.names)) == task.index
    values = right.mean(axis=1)
    best = 1 + int(values[1:].argmax())
    held_out, held_out_none, gain = _score_held_out(lists, task)
    # A gain that is written "+0.00" is none.
    holds = gain.low >= 0.005 and values[best] > values[0]
    p_value = _p_value(lists, task, right, best) if holds else 1.0
    return Decision(
        chosen=tried[best - 1] if p_value <= ALPHA else None,
        best=tried[best - 1],
        instruction=instructions[tried[best - 1]],
        n_candidates=len(tried),
        n_texts=len(task.index),
        n_labels=len(task.names),
        apparent=float(values[best]),
        apparent_none=float(values[0]),
        held_out=held_out,
        held_out_none=held_out_none,
        gain=gain,
        p_value=p_value,
        chance=float(task.chance(Metric.ACCURACY) or 0.0),
    )


def _score_held_out(lists: NDArray[np.int32], task: LabelTask) -> tuple[float, float, Score]:
    """Accuracy of the instruction chosen without each fold on that fold, that of none, and the gain; none is row 0."""
    from scipy.stats import t

    rng = np.random.default_rng(0)
    n_folds = min(N_FOLDS, len(task.index))
    found = []
    for _ in range(N_ROUNDS):
        fold = folds(task, n_folds, rng)
        for at in range(n_folds):
            out = fold == at
            may = ~out[lists]  # (K, N, M): held-out texts neither choose nor vote
            votes = may & (np.cumsum(may, axis=2, dtype=np.int16) <= task.k)
            right = vote(lists, task.index, len(task.names), votes) == task.index
            chosen = 1 + int(right[1:, ~out].mean(axis=1).argmax())
            found.append((right[chosen, out].mean(), right[0, out].mean(), out.sum()))
    chosen_of, none_of, sizes = np.array(found).T
    weights = sizes / sizes.sum()
    gains = chosen_of - none_of
    gain = float(weights @ gains)
    variance = float(weights @ (gains - gain) ** 2) * len(gains) / (len(gains) - 1)
    reach = float(t.ppf(1 - ALPHA / 2, n_folds - 1)) * math.sqrt(variance * (1 / len(gains) + 1 / (n_folds - 1)))
    return (
        float(weights @ chosen_of),
        float(weights @ none_of),
        Score(gain, max(gain - reach, -1), min(gain + reach, 1)),
    )


def lead_needed(n_tries: int) -> int:
    """How many texts the best of so many tries must win at least, losing none, to be no luck (Šidák's correction)."""
    from scipy.stats import norm

    return math.ceil(float(norm.ppf((1 - ALPHA) ** (1 / n_tries))) ** 2)


def folds(task: LabelTask, n_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold for each text, (N,): the texts of every label are dealt out in turn."""
    order = np.concatenate([rng.permutation(np.flatnonzero(task.index == label)) for label in range(len(task.names))])
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = np.arange(len(order)) % n_folds
    return fold


def _p_value(lists: NDArray[np.int32], task: LabelTask, right: NDArray[np.bool_], best: int) -> float:
    """Share of random orders of the labels under which some candidate leads as clearly; stops when it is too large."""
    rng = np.random.default_rng(1)
    lead = float(_leads(right[0], right[[best]])[0])
    voters, n_labels = lists[:, :, : task.k], len(task.names)
    block = max(1, min(50, _CELLS // (len(task.index) * n_labels)))
    as_large = done = 0
    while done < N_ORDERS and (1 + as_large) / (N_ORDERS + 1) <= ALPHA:
        orders = np.stack([rng.permutation(task.index) for _ in range(min(block, N_ORDERS - done))])
        hits = np.stack([vote(each, orders, n_labels) == orders for each in voters])  # (K, b, N)
        as_large += int((_leads(hits[0], hits[1:]).max(axis=0) >= lead - 1e-9).sum())
        done += len(orders)
    return (1 + as_large) / (done + 1)


def _leads(none: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.float64]:
    """McNemar's z of each: texts that it alone gets right minus those that none alone does, by the noise of both."""
    wins, losses = (others & ~none).sum(axis=-1), (none & ~others).sum(axis=-1)
    leads: NDArray[np.float64] = (wins - losses) / np.sqrt(np.maximum(wins + losses, 1))
    return leads
