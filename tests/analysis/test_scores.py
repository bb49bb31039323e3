from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import f1_score, roc_auc_score, silhouette_score, v_measure_score
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from instructor_core.analysis.grid import EmbeddingGrid, unit_vectors
from instructor_core.analysis.label_task import LabelTask, Metric, label_task
from instructor_core.analysis.metrics import (
    EXACT_PAIRS,
    KMEANS_SEEDS,
    accuracy,
    macro_f1,
    nearest_others,
    pair_auc,
    silhouette,
    v_measures,
    vote,
)
from instructor_core.analysis.scores import (
    InstructionScores,
    LabelColumn,
    label_matrix,
    score_instructions,
    score_texts,
)
from instructor_core.errors import UserError

METRICS = list(Metric)
Measure = Callable[[np.ndarray, LabelTask], tuple[float, np.ndarray]]


def planted(n: int = 40, n_labels: int = 3, strength: float = 0.8, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    index = np.arange(n) % n_labels
    vectors = rng.normal(size=(n_labels, 12))[index] * strength + rng.normal(size=(n, 12)) + 0.5
    return vectors.astype(np.float32), [f"label {i}" for i in index]


def knn_accuracy(cosines: np.ndarray, task: LabelTask) -> tuple[float, np.ndarray]:
    return accuracy(vote(nearest_others(cosines, task.k), task.index, len(task.names)), task)


def value(scores: InstructionScores, metric: Metric) -> float:
    return float(scores.values[METRICS.index(metric)])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("k", [1, 4])
def test_predictions_are_those_of_scikit_learn_left_one_out(k: int, seed: int) -> None:
    vectors, labels = planted(seed=seed)
    task = label_task(labels, k=k)
    classifier = KNeighborsClassifier(k, metric="cosine", algorithm="brute")
    expected = cross_val_predict(classifier, vectors, task.index, cv=LeaveOneOut())
    scores = score_texts(vectors, task)
    np.testing.assert_array_equal(scores.predictions, expected)
    assert value(scores, Metric.ACCURACY) == np.mean(expected == task.index)
    f1 = f1_score(task.index, expected, average="macro")
    assert value(scores, Metric.MACRO_F1) == pytest.approx(f1)


@pytest.mark.parametrize("seed", range(2))
def test_pairs_silhouette_and_clusters_are_those_of_scikit_learn(seed: int) -> None:
    vectors, labels = planted(seed=seed)
    task = label_task(labels)
    scores = score_texts(vectors, task)
    first, second = np.triu_indices(len(labels), 1)
    cosines = cosine_similarity(vectors)
    auc = roc_auc_score(task.index[first] == task.index[second], cosines[first, second])
    assert value(scores, Metric.AUC) == pytest.approx(auc, abs=1e-5)
    expected = silhouette_score(vectors, task.index, metric="cosine")
    assert value(scores, Metric.SILHOUETTE) == pytest.approx(expected, abs=1e-5)
    units = np.round(unit_vectors(vectors), 6)
    found = [KMeans(3, n_init=1, random_state=s).fit_predict(units) for s in KMEANS_SEEDS]
    mean = np.mean([v_measure_score(task.index, clusters) for clusters in found])
    assert value(scores, Metric.V_MEASURE) == pytest.approx(mean, abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20))
def test_v_measures_of_tables_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    table = np.zeros((1, 4, 4))
    for truth, cluster in pairs:
        table[0, truth, cluster] += 1
    assert v_measures(table)[0] == pytest.approx(v_measure_score(*zip(*pairs, strict=True)), abs=1e-9)


def expanded(task: LabelTask, draw: int) -> np.ndarray:
    return np.repeat(np.arange(len(task.index)), task.weights[draw].astype(int))


def test_a_resampled_f1_is_that_of_scikit_learn_on_the_drawn_texts() -> None:
    vectors, labels = planted()
    task = label_task(labels, n_resamples=5)
    predictions = score_texts(vectors, task).predictions
    samples = macro_f1(predictions, task)[1]
    for draw in range(5):
        rows = expanded(task, draw)
        expected = f1_score(task.index[rows], predictions[rows], average="macro", zero_division=0)
        assert samples[draw] == pytest.approx(expected, abs=1e-6)


def resampled_silhouette(cosines: np.ndarray, task: LabelTask, draw: int) -> float:
    """Slow: distances to the drawn texts, a text's own copies left out."""
    rows, each = expanded(task, draw), []
    for i in rows:
        means = {}
        for label in range(len(task.names)):
            others = [1 - cosines[i, j] for j in rows if task.index[j] == label and j != i]
            means[label] = np.mean(others) if others else None
        own = means.pop(int(task.index[i]))
        other = min(means.values())
        each.append(0.0 if own is None else (other - own) / max(other, own))
    return float(np.mean(each))


def test_resampled_silhouettes_leave_out_a_texts_own_copies_and_lie_around_the_value() -> None:
    vectors, labels = planted(18)
    task = label_task(labels, n_resamples=30)
    cosines = cosine_similarity(vectors).astype(np.float32)
    mean, samples = silhouette(cosines, task)
    slow = np.array([resampled_silhouette(cosines, task, draw) for draw in range(30)])
    np.testing.assert_allclose(samples, slow - slow.mean() + mean, atol=1e-5)


def slow_pair_auc(cosines: np.ndarray, task: LabelTask) -> np.ndarray:
    first, second = np.triu_indices(len(cosines), 1)
    same = task.index[first] == task.index[second]
    values = cosines[first, second]
    return np.array([roc_auc_score(same, values, sample_weight=w[first] * w[second]) for w in task.weights])


def test_resampled_pairs_are_scikit_learns_auc_weighted_by_the_draw() -> None:
    vectors, labels = planted(24, strength=0.5)
    task = label_task(labels, n_resamples=40)
    cosines = np.round(cosine_similarity(vectors), 2).astype(np.float32)
    value, samples = pair_auc(cosines, task)
    np.testing.assert_allclose(samples, slow_pair_auc(cosines, task), atol=1e-6)  # rounded: ties count half
    first, second = np.triu_indices(24, 1)
    assert value == pytest.approx(roc_auc_score(task.index[first] == task.index[second], cosines[first, second]))


def test_the_resamples_of_many_pairs_are_as_wide_as_exact_ones() -> None:
    vectors, labels = planted(150)
    task = label_task(labels, n_resamples=200)
    cosines = cosine_similarity(vectors).astype(np.float32)
    assert EXACT_PAIRS < 150 * 149 / 2
    fast, slow = pair_auc(cosines, task)[1], slow_pair_auc(cosines, task)
    assert np.corrcoef(slow, fast)[0, 1] > 0.95
    assert fast.std() == pytest.approx(slow.std(), rel=0.1)
    assert fast.mean() == pytest.approx(slow.mean(), abs=0.003)


@pytest.mark.parametrize("measure", [knn_accuracy, pair_auc, silhouette])
def test_an_interval_is_about_as_wide_as_fresh_texts_spread_the_score(measure: Measure) -> None:
    # New texts of the same two groups, again and again, against the bootstrap of a single set.
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(2, 12)) * 0.5
    task = label_task(["a", "b"] * 30, n_resamples=200)

    def fresh() -> tuple[float, np.ndarray]:
        vectors = centers[np.arange(60) % 2] + rng.normal(size=(60, 12))
        return measure(cosine_similarity(vectors).astype(np.float32), task)

    spread = np.std([fresh()[0] for _ in range(80)])
    widths = [fresh()[1].std() for _ in range(10)]
    assert 0.6 < np.mean(widths) / spread < 1.6


@pytest.mark.parametrize("make", [np.zeros, np.ones])
def test_texts_that_cannot_be_told_apart_give_finite_scores_at_chance(make: Callable[..., np.ndarray]) -> None:
    scores = score_texts(make((12, 4), dtype=np.float32), label_task(["a", "b", "c"] * 4))
    assert np.isfinite(scores.values).all()
    assert np.isfinite(scores.samples).all()
    assert value(scores, Metric.AUC) == pytest.approx(0.5, abs=1e-6)
    assert value(scores, Metric.SILHOUETTE) == 0
    assert value(scores, Metric.V_MEASURE) == pytest.approx(0, abs=1e-6)


def test_equal_vectors_share_one_result_and_the_order_of_the_rows_is_kept() -> None:
    vectors, labels = planted()
    other, _ = planted(seed=1)
    grid = EmbeddingGrid(("a", "b", "a"), tuple(labels), None, np.stack([vectors, other, vectors]))
    first, second, third = score_instructions(grid, label_task(labels))
    assert first is third
    assert (first.values != second.values).any()


def planted_columns() -> tuple[EmbeddingGrid, tuple[LabelColumn, ...]]:
    """Instruction 0 brings out the first column, instruction 1 the second."""
    rng = np.random.default_rng(0)
    codes = [np.arange(40) % 2, np.arange(40) // 2 % 2]
    vectors = np.stack([np.eye(6)[code] * 4 + rng.normal(size=(40, 6)) for code in codes])
    columns = tuple(LabelColumn(f"column {c}", tuple(f"{i}" for i in code)) for c, code in enumerate(codes))
    return EmbeddingGrid(("first", "second"), tuple(f"text {i}" for i in range(40)), None, vectors), columns


@pytest.mark.parametrize("metric", list(Metric))
def test_the_matrix_is_diagonal_where_instructions_do_what_they_say(metric: Metric) -> None:
    grid, columns = planted_columns()
    result = label_matrix(grid, columns, metric=metric)
    assert result.best.tolist() == [0, 1]
    assert (np.diag(result.values) > result.values[::-1].diagonal() + 0.1).all()
    one = score_texts(grid.embeddings[1], label_task(columns[0].labels, n_resamples=1))
    assert result.values[1, 0] == pytest.approx(one.values[list(Metric).index(metric)])


def test_a_column_leaves_out_texts_that_it_cannot_use_and_what_is_wrong_is_said_with_its_name() -> None:
    grid, columns = planted_columns()
    holed = LabelColumn("holed", ("", "alone", *columns[0].labels[2:]))
    assert [len(task.index) for task in label_matrix(grid, [columns[0], holed]).tasks] == [40, 38]
    for wrong in ([], [columns[0], columns[0]]):
        with pytest.raises(UserError, match=f"got {len(wrong)} columns"):
            label_matrix(grid, wrong)
    flat = LabelColumn("flat", ("same",) * 40)
    with pytest.raises(UserError, match=r"Label column 'flat': .*2 different labels: got 1"):
        label_matrix(grid, [*columns, flat])
