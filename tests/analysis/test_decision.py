"""A decision names an instruction only where one helps: false alarms are counted, planted help is found."""

import numpy as np
import pytest

from instructor_core.analysis import Decision, decide
from instructor_core.analysis.decision import lead_needed
from instructor_core.errors import UserError

NOTHING, HELP = 0.0, 3.0


def vectors_of(index: np.ndarray, strengths: list[float], rng: np.random.Generator) -> np.ndarray:
    """(K, N, 12): a part that all rows share, noise, and the labels as strongly as each row is said to show them."""
    shared = 0.8 * rng.normal(size=(len(index), 12))
    centers = np.eye(12)[index % 12] + 0.3 * rng.normal(size=(index.max() + 1, 12))[index]
    return np.stack([shared + s * centers + 0.6 * rng.normal(size=shared.shape) for s in strengths])


def names(index: np.ndarray) -> list[str]:
    return [f"label {i}" for i in index]


def balanced(n: int, n_labels: int) -> np.ndarray:
    return np.arange(n) % n_labels


def unbalanced(n: int, n_labels: int) -> np.ndarray:
    return np.concatenate([np.repeat(np.arange(1, n_labels), 3), np.zeros(n - 3 * (n_labels - 1), dtype=int)])


@pytest.mark.parametrize(
    ("index", "n_candidates", "copies"),
    [
        (balanced(16, 2), 12, 1),  # few texts, many candidates
        (balanced(60, 20), 8, 1),  # many labels
        (unbalanced(60, 4), 8, 1),
        (balanced(24, 3), 4, 3),  # every text stands three times, also with different labels
        (balanced(100, 2), 1, 1),
    ],
)
def test_where_labels_mean_nothing_no_instruction_is_named(index: np.ndarray, n_candidates: int, copies: int) -> None:
    rng = np.random.default_rng(len(index))
    named = 0
    for _ in range(100):
        vectors = np.tile(vectors_of(index, [NOTHING] * (1 + n_candidates), rng), (1, copies, 1))
        labels = names(rng.permutation(np.tile(index, copies)))
        named += decide(vectors, labels).chosen is not None
    assert named <= 5


def test_candidates_that_are_as_good_as_none_are_rarely_named() -> None:
    rng = np.random.default_rng(3)
    index = balanced(60, 4)
    found = [decide(vectors_of(index, [0.8] * 7, rng), names(index)) for _ in range(60)]
    assert 0.4 < np.mean([decision.apparent_none for decision in found]) < 0.9  # the labels do mean something
    assert sum(decision.chosen is not None for decision in found) <= 5


@pytest.mark.parametrize("index", [balanced(40, 4), balanced(90, 30), unbalanced(60, 6)])
def test_a_planted_instruction_is_named_among_many(index: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    decision = decide(
        vectors_of(index, [NOTHING, *[NOTHING] * 6, HELP, *[NOTHING] * 4], rng),
        names(index),
        instructions=["", *"abcdef", "Represent the label: ", *"hijk"],
    )
    assert (decision.chosen, decision.n_candidates) == (7, 11)
    assert decision.gain.low > 0
    assert decision.held_out - decision.held_out_none == pytest.approx(decision.gain.value)
    assert decision.headline.startswith('Use "Represent the label:": ')
    assert "on texts that took no part in choosing it" in decision.headline


def test_the_promised_figure_is_what_new_texts_give_and_the_best_of_many_looks_better_than_it() -> None:
    # Random labels: on new texts every instruction is right by half; the best of twelve looks better than that.
    rng = np.random.default_rng(1)
    index = balanced(40, 2)
    found = [decide(vectors_of(index, [NOTHING] * 13, rng), names(rng.permutation(index))) for _ in range(40)]
    assert np.mean([decision.held_out for decision in found]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([decision.apparent for decision in found]) > 0.58
    assert np.mean([decision.optimism for decision in found]) > 0.08


def decided(strengths: list[float], n: int = 40, n_labels: int = 2) -> Decision:
    index = balanced(n, n_labels)
    return decide(vectors_of(index, strengths, np.random.default_rng(5)), names(index))


def test_the_reason_is_a_ceiling_chance_or_too_few_texts_with_one_next_step_and_all_repeats() -> None:
    ceiling = decided([9.0, 9.0, 9.0])
    assert "already apart without an instruction: 1.00" in ceiling.reasons[0]
    chance = decided([NOTHING, NOTHING, NOTHING])
    assert "No instruction tells these labels apart" in chance.reasons[0]
    middle = decided([0.9, 0.9, 0.9])
    assert "cannot be told from luck" in middle.reasons[0]
    fine = decided([0.9, 0.9], n=80, n_labels=10)
    assert "try base" in fine.next_step("base")
    assert "10 labels are fine distinctions" in fine.next_step("base")
    assert all(decision.next_step().startswith("Next: ") for decision in (ceiling, chance, middle, fine))
    assert decided([NOTHING, 0.7, 1.1]) == decided([NOTHING, 0.7, 1.1])


def test_copies_of_none_and_of_each_other_are_counted_once() -> None:
    index = balanced(40, 4)
    vectors = vectors_of(index, [NOTHING, HELP], np.random.default_rng(0))
    decision = decide(vectors[[0, 0, 1, 1, 0]], names(index))
    assert (decision.chosen, decision.n_candidates) == (2, 1)
    same = decide(vectors[[0, 0]], names(index))
    assert same.chosen is None
    assert same.gain.value == same.gain.high == 0
    assert "the one tried is not reliably better on these 40 texts" in same.headline


def test_texts_that_cannot_count_are_left_out_and_too_few_are_refused() -> None:
    index = balanced(40, 4)
    vectors = vectors_of(index, [NOTHING, HELP], np.random.default_rng(0))
    labels = names(index)
    labels[0], labels[1] = " ", "alone"
    assert decide(vectors, labels).n_texts == 38
    with pytest.raises(UserError, match="at least 8 labelled texts: got 6"):
        decide(vectors[:, :6], names(balanced(6, 2)))
    with pytest.raises(UserError, match="got the shape"):
        decide(vectors, labels[:3])
    with pytest.raises(UserError, match="an instruction to try"):
        decide(vectors[:1], labels)


def test_the_lead_that_many_tries_need_is_the_least_that_luck_reaches_in_one_of_twenty() -> None:
    assert [lead_needed(n) for n in (1, 2, 65)] == [3, 4, 10]  # squares of the normal quantiles 1.64, 1.95 and 3.16
    rng = np.random.default_rng(0)
    n_wins = rng.binomial(400, 0.5, size=(4000, 20))
    z = (2 * n_wins - 400) / 20  # McNemar's, 400 texts that one of the two gets right
    assert np.mean(z.max(axis=1) ** 2 > lead_needed(20)) == pytest.approx(0.05, abs=0.02)
