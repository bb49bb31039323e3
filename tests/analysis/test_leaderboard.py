import numpy as np
import pytest
from scipy.stats import binomtest

from instructor_core.analysis import metrics
from instructor_core.analysis.controls import Entry, Role, with_controls
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.label_task import Metric, label_task
from instructor_core.analysis.leaderboard import (
    Leaderboard,
    Standing,
    Verdict,
    conclusion,
    confusion,
    holm,
    leaderboard,
)
from instructor_core.analysis.scores import score_instructions

LABELS = ("a", "b", "c") * 20
GOOD, BAD, EMPTY, SHUFFLED, UNRELATED = 2.5, 0.0, 0.35, 0.35, 0.3


@pytest.fixture(autouse=True)
def one_clustering(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeds of k-means are the business of the scores; one is enough here and five times as fast."""
    monkeypatch.setattr(metrics, "KMEANS_SEEDS", (0,))


def vectors_of(strength: float, seed: int, n: int = 60) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(n, 10))
    return np.eye(10)[np.arange(n) % 3] * 2 * strength + noise


def board_of(
    strengths: list[float], *, metric: Metric = Metric.ACCURACY, seeds: list[int] | None = None
) -> Leaderboard:
    """Candidates of the given strength, then empty, shuffled and unrelated rows."""
    entries = with_controls([f"Represent number {i}:" for i in range(len(strengths))])
    chosen = [*strengths, EMPTY, SHUFFLED, UNRELATED]
    seeds = [*(seeds or range(1, len(strengths) + 1)), 100, 101, 102]
    vectors = np.stack([vectors_of(strength, seed) for strength, seed in zip(chosen, seeds, strict=True)])
    grid = EmbeddingGrid(tuple(e.instruction for e in entries), LABELS, LABELS, vectors)
    task = label_task(LABELS, n_resamples=300)
    return leaderboard(entries, tuple(score_instructions(grid, task)), task, metric=metric)


@pytest.mark.parametrize("metric", list(Metric))
def test_a_good_instruction_is_better_than_none_and_noise_is_not(metric: Metric) -> None:
    board = board_of([BAD, GOOD], metric=metric)
    bad, good = board.rows[:2]
    assert board.best == 1
    assert good.verdict is Verdict.BETTER
    assert good.standing is Standing.BEST
    assert good.rank == 1
    assert bad.verdict is not Verdict.BETTER
    assert bad.standing is Standing.WORSE
    assert board.rows[board.empty].verdict is Verdict.EMPTY
    assert good.p_value is not None and good.p_value < 0.001


def test_instructions_without_effect_are_not_distinguished_from_the_empty_one_and_a_bad_one_is_worse() -> None:
    board = board_of([EMPTY, EMPTY, EMPTY, EMPTY])
    assert [row.verdict for row in board.rows[:4]] == [Verdict.SAME] * 4
    sentences = conclusion(board, larger="base")
    assert sentences[0].startswith("Use no instruction: none of the 4 tried is reliably better on these 60 texts")
    assert any(sentence.startswith("Next: ") for sentence in sentences)
    entries = (Entry("x ", Role.CANDIDATE), Entry("", Role.EMPTY))
    grid = EmbeddingGrid(("x ", ""), LABELS, LABELS, np.stack([vectors_of(0.0, 1), vectors_of(GOOD, 2)]))
    task = label_task(LABELS)
    destroyed, empty = leaderboard(entries, tuple(score_instructions(grid, task)), task).rows
    assert (destroyed.verdict, empty.standing) == (Verdict.WORSE, Standing.BETTER)


def test_no_row_is_called_better_where_the_decision_names_none() -> None:
    # The exact test of one row may raise a false alarm; the table must not contradict the sentence above it.
    rng = np.random.default_rng(0)
    entries = with_controls([f"number {i}" for i in range(4)])[:5]
    for _ in range(30):
        task = label_task(list(rng.permutation(LABELS)), n_resamples=2)
        grid = EmbeddingGrid(tuple(e.instruction for e in entries), LABELS, None, rng.normal(size=(5, 60, 6)))
        board = leaderboard(entries, tuple(score_instructions(grid, task)), task)
        better = [row.name for row in board.rows if row.verdict is Verdict.BETTER]
        assert (board.decision.chosen is None) == (better == [])
        assert board.use.name in (better or ["empty"])


@pytest.mark.parametrize("metric", list(Metric))
def test_identical_candidates_tie_exactly(metric: Metric) -> None:
    board = board_of([0.6, 0.6, 0.2], seeds=[1, 1, 3], metric=metric)
    first, second, _ = board.rows[:3]
    assert first.scores == second.scores
    assert first.rank == second.rank
    assert first.verdict is second.verdict
    assert board.best == 0
    assert second.standing is Standing.SAME


def test_the_p_value_for_accuracy_is_the_exact_mcnemar_test_corrected_as_in_the_textbook() -> None:
    board = board_of([0.8, BAD, GOOD])
    empty = board.rows[board.empty].predictions == board.task.index
    raw = []
    for row in board.rows[:3]:
        right = row.predictions == board.task.index
        wins, losses = int((right & ~empty).sum()), int((~right & empty).sum())
        raw.append(binomtest(wins, wins + losses).pvalue)
    assert [row.p_value for row in board.rows[:3]] == pytest.approx(holm(np.array(raw)).tolist())
    assert board.rows[board.empty].p_value is None
    adjusted = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert adjusted.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


def test_a_confusion_counts_every_text_once_and_its_rows_add_to_one() -> None:
    board = board_of([0.5])
    result = confusion(board.rows[0], board.task)
    assert result.names == ("a", "b", "c")
    assert result.counts.sum(axis=1).tolist() == [20, 20, 20]
    accuracy = board.rows[0].score(Metric.ACCURACY).value
    assert result.counts.trace() / 60 == pytest.approx(accuracy)
    np.testing.assert_allclose(result.shares.sum(axis=1), 1)
    assert all(score.low <= score.value <= score.high for row in board.rows for score in row.scores)


def test_the_conclusion_begins_with_the_decision_names_its_rivals_and_trusts_no_perfect_score() -> None:
    board = board_of([GOOD, BAD, GOOD * 0.9], seeds=[1, 2, 3])
    sentences = conclusion(board)
    assert sentences[0] == board.decision.headline
    assert sentences[0].startswith('Use "Represent number 0:": ')
    assert "Not distinguishable from A on these texts: C." in sentences
    assert not any("control" in sentence for sentence in sentences)
    sentences = conclusion(board_of([50.0]))
    assert "All 60 texts are right, so resampling shows no error; up to 5% wrong is still plausible." in sentences


def test_a_control_that_does_as_well_is_never_named_and_is_warned_of() -> None:
    entries = with_controls(["Represent the letter:"])
    vectors = np.stack([vectors_of(s, i) for i, s in enumerate([GOOD, BAD, GOOD * 1.2, BAD])])
    task = label_task(LABELS, n_resamples=50)
    grid = EmbeddingGrid(tuple(e.instruction for e in entries), LABELS, None, vectors)
    board = leaderboard(entries, tuple(score_instructions(grid, task)), task)
    assert board.use.name == "A"
    assert any(s.startswith("The shuffled control is not distinguishable") for s in conclusion(board))
