import numpy as np
import pytest

from instructor_core.analysis.label_task import Metric, label_task
from instructor_core.errors import UserError


def test_labels_and_a_k_that_cannot_be_scored_are_refused_with_both_numbers() -> None:
    for labels, message in (
        (None, "at least 8 labelled texts: got 0"),
        (["a", "b"] * 3 + ["a"], "at least 8 labelled texts: got 7"),
        (["a"] * 9, "at least 2 different labels: got 1, 'a', on all 9 texts"),
        (["a", "b"] * 5 + ["", " "], "a label for every text: got 10 labels for 12 texts"),
    ):
        with pytest.raises(UserError, match=message):
            label_task(labels)
    for k in (0, 10):
        with pytest.raises(UserError, match=f"between 1 and 9 for 10 texts: got k={k}"):
            label_task(["a", "b"] * 5, k=k)


def test_k_is_as_chosen_or_odd_and_small_enough_for_the_smallest_label_and_chance_that_of_the_measure() -> None:
    for a, b, k in ((4, 4, 1), (12, 12, 3), (50, 2, 1), (250, 250, 15), (60, 4, 3)):
        assert label_task(["a"] * a + ["b"] * b, n_resamples=1).k == k
    task = label_task(["a"] * 6 + ["b"] * 4, k=4)
    assert (task.k, task.chance(Metric.ACCURACY), task.chance(Metric.AUC)) == (4, 0.6, 0.5)
    assert task.chance(Metric.V_MEASURE) is None


def test_every_resample_keeps_the_size_of_every_label_and_a_seed_repeats() -> None:
    labels = ["a"] * 7 + ["b"] * 3
    task = label_task(labels, n_resamples=40)
    assert task.weights.shape == (40, 10)
    assert (task.weights[:, :7].sum(axis=1) == 7).all()
    assert (task.weights[:, 7:].sum(axis=1) == 3).all()
    np.testing.assert_array_equal(task.weights, label_task(labels, n_resamples=40).weights)
