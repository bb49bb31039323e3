from __future__ import annotations

import numpy as np
import pytest

from instructor_core.analysis.label_task import Metric, label_task
from instructor_core.errors import UserError


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "at least 8 labelled texts: got 0"),
        (["a", "b"] * 3 + ["a"], "at least 8 labelled texts: got 7"),
        (["a"] * 9, "at least 2 different labels: got 1, 'a', on all 9 texts"),
        (["a", "b"] * 5 + ["", " "], "a label for every text: got 10 labels for 12 texts"),
    ],
)
def test_labels_that_cannot_be_scored_are_refused_with_both_numbers(labels: list[str] | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        label_task(labels)


@pytest.mark.parametrize(
    ("counts", "k"),
    [((4, 4), 1), ((12, 12), 3), ((50, 2), 1), ((250, 250), 15), ((60, 4), 3)],
)
def test_k_is_odd_and_small_enough_for_the_smallest_label(counts: tuple[int, int], k: int) -> None:
    assert label_task(["a"] * counts[0] + ["b"] * counts[1], n_resamples=1).k == k


def test_a_chosen_k_is_taken_and_an_impossible_one_refused() -> None:
    labels = ["a", "b"] * 5
    assert label_task(labels, k=4).k == 4
    for k in (0, 10):
        with pytest.raises(UserError, match=f"between 1 and 9 for 10 texts: got k={k}"):
            label_task(labels, k=k)


def test_every_resample_keeps_the_size_of_every_label_and_a_seed_repeats() -> None:
    labels = ["a"] * 7 + ["b"] * 3
    task = label_task(labels, n_resamples=40)
    assert task.weights.shape == (40, 10)
    assert (task.weights[:, :7].sum(axis=1) == 7).all()
    assert (task.weights[:, 7:].sum(axis=1) == 3).all()
    np.testing.assert_array_equal(task.weights, label_task(labels, n_resamples=40).weights)


def test_chance_is_the_largest_label_for_accuracy_and_a_half_for_pairs() -> None:
    task = label_task(["a"] * 6 + ["b"] * 4)
    assert task.chance(Metric.ACCURACY) == 0.6
    assert task.chance(Metric.AUC) == 0.5
    assert task.chance(Metric.V_MEASURE) is None
