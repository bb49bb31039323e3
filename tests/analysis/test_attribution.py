from __future__ import annotations

import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.analysis.attribution import Ledger, ledger, ledger_difference
from instructor_core.errors import UserError

SENTIMENT = "Represent the review for classifying its sentiment: "
TOPIC = "Represent the sentence by its topic: "
LONG = " ".join(f"word {number}" for number in range(300))  # beyond the window
PAIRS = [  # (instruction, text) of the rows and of the columns
    ((SENTIMENT, "The soup was cold."), (SENTIMENT, "A joy to read, from the first page to the last!")),
    ((TOPIC, "The goal came late"), (TOPIC, "The match was decided by one goal.")),
    ((SENTIMENT, "good"), (SENTIMENT, "The food was very very very good, very good.")),
    (("", "a"), ("", "b c")),
    ((TOPIC, ""), (TOPIC, "only the end against words")),
    ((SENTIMENT, "The same text"), (TOPIC, "The same text")),
    ((SENTIMENT, "The soup was cold."), (SENTIMENT, "The soup was cold.")),
    ((TOPIC, LONG), (TOPIC, "日本語 and ½ words")),
    (("x:", "//joint/inside"), ("", "//joint/inside")),
]


def encoded(model: InstructorModel, number: int, *, by: str = "token") -> Ledger:
    first, second = model.encode_tokens(list(PAIRS[number]))
    return ledger(first, second, by=by)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_the_terms_sum_to_the_cosine_of_the_encoder(model: InstructorModel, number: int) -> None:
    rows, columns = model.encode(list(PAIRS[number])).astype(np.float64)
    for by in ("token", "word"):
        result = encoded(model, number, by=by)
        assert result.values.dtype == np.float32
        assert result.total == pytest.approx(rows @ columns, abs=1e-5)
        assert result.cosine == pytest.approx(rows @ columns, abs=1e-5)
        assert result.row_totals.sum() == pytest.approx(result.cosine, abs=1e-5)
        assert result.column_totals.sum() == pytest.approx(result.cosine, abs=1e-5)


def test_every_term_equals_the_formula_in_a_slow_loop(model: InstructorModel) -> None:
    first, second = model.encode_tokens(list(PAIRS[2]))
    left = [v for v, pooled in zip(first.projected.astype(np.float64), first.pooling_mask, strict=True) if pooled]
    right = [v for v, pooled in zip(second.projected.astype(np.float64), second.pooling_mask, strict=True) if pooled]
    norms = np.linalg.norm(sum(left) / len(left)) * np.linalg.norm(sum(right) / len(right))
    expected = [[t @ u / (len(left) * len(right) * norms) for u in right] for t in left]
    np.testing.assert_allclose(ledger(first, second).values, expected, atol=1e-7)


def test_instruction_and_padding_have_no_row(model: InstructorModel) -> None:
    first, second = model.encode_tokens(list(PAIRS[0]))  # of unequal lengths: one was padded
    result = ledger(first, second)
    assert result.values.shape == (first.pooling_mask.sum(), second.pooling_mask.sum())
    assert [unit.segment for unit in result.rows] == ["text"] * (len(result.rows) - 1) + ["end"]
    assert result.rows[-1].text == result.columns[-1].text == "</s>"


def test_a_truncated_text_counts_only_what_was_encoded(mini: InstructorModel) -> None:
    first, _ = mini.encode_tokens(list(PAIRS[7]))
    assert first.n_cut > 0
    assert len(encoded(mini, 7).rows) == first.pooling_mask.sum()


def test_a_word_adds_what_its_tokens_add(mini: InstructorModel) -> None:
    first, second = mini.encode_tokens(
        [(TOPIC, "unbelievably supercalifragilistic goals"), (TOPIC, "wonderful, wasn't it")]
    )
    tokens, words = ledger(first, second), ledger(first, second, by="word")
    assert len(words.rows) < len(tokens.rows)
    start = 0
    for unit, total in zip(words.rows, words.row_totals, strict=True):
        stop = start + len(unit.tokens)
        assert total == pytest.approx(tokens.row_totals[start:stop].sum(), abs=1e-6)
        start = stop
    assert words.end_total == pytest.approx(tokens.end_total, abs=1e-6)


def test_the_share_of_the_end_is_its_row_and_its_column_counted_once(model: InstructorModel) -> None:
    result = encoded(model, 0)
    expected = result.row_totals[-1] + result.column_totals[-1] - result.values[-1, -1]
    assert result.end_total == pytest.approx(expected, abs=1e-7)


def test_terms_are_ranked_by_their_magnitude(model: InstructorModel) -> None:
    result = encoded(model, 0)
    terms = result.largest(5)
    assert [abs(term.value) for term in terms] == sorted(np.abs(result.values).ravel(), reverse=True)[:5]
    assert all(result.values[term.row, term.column] == term.value for term in terms)
    assert len(result.largest(10**6)) == result.values.size
    assert result.largest(0) == ()


def test_the_difference_of_two_ledgers_sums_to_the_difference_of_the_cosines(model: InstructorModel) -> None:
    texts = ("The soup was cold.", "A joy to read, from the first page to the last!")
    a = ledger(*model.encode_tokens([(SENTIMENT, text) for text in texts]))
    b = ledger(*model.encode_tokens([(TOPIC, text) for text in texts]))
    change = ledger_difference(a, b)
    assert (change.first, change.second) == (a.cosine, b.cosine)
    assert change.total == pytest.approx(a.cosine - b.cosine, abs=1e-5)
    np.testing.assert_array_equal(change.values, a.values - b.values)
    assert np.abs(change.values).max() > 1e-4


def test_a_difference_needs_the_same_tokens(mini: InstructorModel) -> None:
    spaced = ledger(*mini.encode_tokens([("Mood: ", "It is"), ("Mood: ", "One")]))
    glued = ledger(*mini.encode_tokens([("Mood", "it is"), ("Mood", "one")]))
    with pytest.raises(UserError, match="The difference of two ledgers needs the same text tokens"):
        ledger_difference(spaced, glued)


def test_a_zero_embedding_has_no_cosine(mini: InstructorModel) -> None:
    (pair,) = mini.encode_tokens([(TOPIC, "good")])
    pair.projected[:] = 0
    with pytest.raises(UserError, match="zero vector"):
        ledger(pair, pair)
