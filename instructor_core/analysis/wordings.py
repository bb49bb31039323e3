"""How much the wording of a task matters: accuracies of many instructions that ask for the same thing.

References:
    arXiv 2605.22544, One prompt is not enough: with one wording per task, which task or model leads is often luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.decision import N_FOLDS, folds
from instructor_core.analysis.label_task import LabelTask
from instructor_core.analysis.metrics import vote
from instructor_core.analysis.numbers import counted, number

N_ORDERS = 20  # random orders of the labels, for the noise floor


@dataclass(frozen=True, eq=False)
class WordingSpread:
    """T tasks: the kNN accuracies of the wordings of each, and what follows from their differences.

    `holds` (T, T) is the chance that a random wording of the row's task is above one of the column's, equals counting
    half; `optimism` (T,) how much better the best wording of a task looks on the texts that chose it than on others;
    `floor` the mean spread of a task when the labels are dealt at random.
    """

    names: tuple[str, ...]
    values: tuple[NDArray[np.float64], ...]
    holds: NDArray[np.float64]
    optimism: NDArray[np.float64]
    floor: float

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean accuracy of each task, (T,)."""
        return np.array([values.mean() for values in self.values])

    @property
    def spreads(self) -> NDArray[np.float64]:
        """Highest minus lowest accuracy of each task, (T,)."""
        return np.array([np.ptp(values) for values in self.values])

    @property
    def order(self) -> list[int]:
        """The tasks from the highest mean to the lowest."""
        return [int(task) for task in np.argsort(-self.means, kind="stable")]

    def about(self, task: int) -> str:
        """Mean, range and optimism of a task in words."""
        values = self.values[task]
        return (
            f'"{self.names[task]}": {number(values.mean(), 2)} on average, from {number(values.min(), 2)} to '
            f"{number(values.max(), 2)} over {counted(len(values), 'wording')}; the best looks better by "
            f"{number(self.optimism[task], 2)} than it is on other texts."
        )

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a reader should know before comparing two wordings."""
        first, *others = self.order
        said = [f"The best task on average is {self.about(first)}"]
        if others:
            said.append(
                f'With one wording each, chosen at random, it is above "{self.names[others[0]]}" in '
                f"{self.holds[first, others[0]]:.0%} of the draws."
            )
        widest = int(self.spreads.argmax())
        said.append(
            f'Wording matters most for "{self.names[widest]}": the accuracies are up to '
            f"{number(self.spreads[widest], 2)} apart. With labels dealt at random, those of a task are "
            f"{number(self.floor, 2)} apart on average."
        )
        return tuple(said)


def wording_spread(
    names: Sequence[str], task_of: Sequence[int], nearest: Sequence[NDArray[np.int32]], task: LabelTask
) -> WordingSpread:
    """The spread of W wordings, each with the task that it belongs to, (W,), and the nearest texts (N, M) under it."""
    groups = [np.flatnonzero(np.asarray(task_of) == t) for t in range(len(names))]
    voters = [each[:, : task.k] for each in nearest]
    right = np.stack([vote(each, task.index, len(task.names)) for each in voters]) == task.index
    values = right.mean(axis=1)
    rng = np.random.default_rng(0)
    dealt = np.stack([rng.permutation(task.index) for _ in range(N_ORDERS)])
    by_luck = np.stack([(vote(each, dealt, len(task.names)) == dealt).mean(axis=1) for each in voters])  # (W, orders)
    several = [np.ptp(by_luck[rows], axis=0).mean() for rows in groups if len(rows) > 1]
    return WordingSpread(
        names=tuple(names),
        values=tuple(values[rows] for rows in groups),
        holds=np.array([[order_holds(values[a], values[b]) for b in groups] for a in groups]),
        optimism=np.array([optimism_of_best(right[rows], task) for rows in groups]),
        floor=float(np.mean(several)) if several else 0.0,
    )


def order_holds(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Chance that a random one of (a,) values is above a random one of (b,), equals counting half."""
    return float((np.sign(first[:, None] - second[None, :]).mean() + 1) / 2)


def optimism_of_best(right: NDArray[np.bool_], task: LabelTask) -> float:
    """Accuracy of the best of (W, N) on all texts minus that of the one chosen without each tenth on that tenth."""
    n_folds = min(N_FOLDS, right.shape[1])
    fold = folds(task, n_folds, np.random.default_rng(0))
    held_out = 0
    for at in range(n_folds):
        out = fold == at
        held_out += int(right[right[:, ~out].mean(axis=1).argmax(), out].sum())
    return float(right.mean(axis=1).max() - held_out / right.shape[1])
