import numpy as np
import pytest

from instructor_core.analysis.label_task import LabelTask, label_task
from instructor_core.analysis.scores import nearest_texts
from instructor_core.analysis.wordings import WordingSpread, optimism_of_best, order_holds, wording_spread

LABELS = ("a", "b", "c") * 20
TASK = label_task(LABELS, n_resamples=1)


def spread_of(strengths: list[list[float]], task: LabelTask = TASK, *, same: bool = False) -> WordingSpread:
    """Tasks whose wordings bring the labels out with given strengths, each with its own noise unless they are same."""
    n, lists, task_of = len(task.index), [], []
    for t, wordings in enumerate(strengths):
        for at, strength in enumerate(wordings):
            noise = np.random.default_rng(1000 * t + (0 if same else at)).normal(size=(n, 8))
            lists.append(nearest_texts(np.eye(8)[np.arange(n) % 3] * strength + noise, task))
            task_of.append(t)
    return wording_spread([f"task {t}" for t in range(len(strengths))], task_of, lists, task)


def test_mean_lowest_and_highest_are_those_of_the_accuracies_and_identical_wordings_have_no_spread() -> None:
    spread = spread_of([[0.5, 1.0, 3.0], [0.2]])
    assert spread.order == [0, 1]
    assert spread.values[0].tolist() == sorted(spread.values[0].tolist())
    assert spread.means[0] == pytest.approx(sum(spread.values[0]) / 3)
    assert spread.spreads.tolist() == [spread.values[0][2] - spread.values[0][0], 0]
    assert f"from {spread.values[0][0]:.2f} to {spread.values[0][2]:.2f}" in spread.sentences[0]
    spread = spread_of([[0.8] * 5], same=True)
    assert spread.spreads.tolist() == [0]
    assert spread.optimism.tolist() == pytest.approx([0])
    assert spread.floor == 0


def test_the_chance_that_an_order_holds_is_that_of_all_draws_of_one_wording_each() -> None:
    first, second = np.array([0.5, 0.7, 0.7, 0.9]), np.array([0.7, 0.4])
    draws = [1.0 if a > b else 0.5 if a == b else 0.0 for a in first for b in second]
    assert order_holds(first, second) == pytest.approx(sum(draws) / len(draws)) == pytest.approx(6 / 8)
    assert order_holds(second, first) == pytest.approx(2 / 8)
    assert order_holds(first, first) == 0.5


def test_the_best_of_many_that_know_nothing_looks_better_than_it_is_and_one_does_not() -> None:
    right = np.random.default_rng(0).random((30, 60)) < 1 / 3
    assert optimism_of_best(right, TASK) > 0.1
    assert optimism_of_best(right[:1], TASK) == pytest.approx(0)


def test_wordings_of_permuted_labels_are_as_far_apart_as_the_floor_says() -> None:
    spread = spread_of([[2.0, 0.0, 1.0, 0.5, 1.5]])
    dealt = []
    for seed in range(15):
        labels = np.random.default_rng(seed).permutation(LABELS).tolist()
        dealt.append(spread_of([[2.0, 0.0, 1.0, 0.5, 1.5]], label_task(labels, n_resamples=1)))
    floors = [float(each.spreads[0]) for each in dealt]
    assert spread.spreads[0] > 2 * spread.floor
    assert spread.floor == pytest.approx(np.mean(floors), abs=0.05)
