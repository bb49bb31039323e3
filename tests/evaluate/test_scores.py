"""Recovery of labels and order of similarities, against scikit-learn, scipy and arithmetic by hand."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from instructor_core.analysis.label_task import Metric, label_task
from instructor_core.analysis.metrics import nearest_agreement
from instructor_core.analysis.scores import score_texts
from instructor_core.evaluate.evaluation import chance, recovery, spearman


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_chance_is_what_random_embeddings_reach(rng: np.random.Generator) -> None:
    labels = ["a"] * 100 + ["b"] * 60 + ["c"] * 40
    assert chance(["a", "a", "b", "b"]) == pytest.approx(1 / 3)
    mean = np.mean([nearest_agreement(rng.normal(size=(200, 200)), labels) for _ in range(40)])
    assert mean == pytest.approx(chance(labels), abs=0.02)


def test_recovery_is_the_agreement_and_the_v_measure(rng: np.random.Generator) -> None:
    labels = np.repeat(list("abcd"), 15)
    embeddings = np.repeat(rng.normal(size=(4, 6)), 15, axis=0) + 0.8 * rng.normal(size=(60, 6))
    found, scores = recovery(embeddings, labels.tolist()), score_texts(embeddings, label_task(labels.tolist()))
    assert found.agreement == nearest_agreement(embeddings, labels.tolist())
    assert found.v_measure == pytest.approx(scores.values[list(Metric).index(Metric.V_MEASURE)], abs=1e-5)


def test_spearman_is_scipys_also_with_ties_and_equal_ones_order_nothing(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=(2, 50, 5))
    second[:5] = first[:5]  # five cosines of 1
    scores = rng.integers(0, 6, size=50).astype(float)
    cosines = (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    expected = spearmanr(cosines.round(6), scores).statistic
    assert spearman(first, second, scores.tolist()) == pytest.approx(float(expected), abs=1e-6)
    rows = np.ones((4, 3))
    assert spearman(rows, rows, [1.0, 2.0, 3.0, 4.0]) == 0.0
    assert spearman(np.eye(4), rows @ np.ones((3, 4)), [1.0, 1.0, 1.0, 1.0]) == 0.0
