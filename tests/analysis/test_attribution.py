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


def test_every_term_is_that_of_a_slow_loop_over_the_averaged_tokens(model: InstructorModel) -> None:
    for sides in (PAIRS[0], PAIRS[2], PAIRS[7]):  # of unequal lengths: one was padded; the last is cut off
        first, second = model.encode_tokens(list(sides))
        left, right = (one.projected.astype(np.float64)[one.pooling_mask] for one in (first, second))
        norms = np.linalg.norm(sum(left) / len(left)) * np.linalg.norm(sum(right) / len(right))
        expected = [[t @ u / (len(left) * len(right) * norms) for u in right] for t in left]
        result = ledger(first, second)
        np.testing.assert_allclose(result.values, expected, atol=1e-7)
        assert [unit.segment for unit in result.rows] == ["text"] * (len(result.rows) - 1) + ["end"]
        assert result.rows[-1].text == result.columns[-1].text == "</s>"
        once = result.row_totals[-1] + result.column_totals[-1] - result.values[-1, -1]
        assert result.end_total == pytest.approx(once, abs=1e-7)
        words, start = ledger(first, second, by="word"), 0
        for unit, total in zip(words.rows, words.row_totals, strict=True):  # a word adds what its tokens add
            stop = start + len(unit.tokens)
            assert total == pytest.approx(result.row_totals[start:stop].sum(), abs=1e-6)
            start = stop
        assert words.end_total == pytest.approx(result.end_total, abs=1e-6)


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


def test_a_difference_needs_the_same_tokens_and_a_zero_embedding_has_no_cosine(mini: InstructorModel) -> None:
    spaced = ledger(*mini.encode_tokens([("Mood: ", "It is"), ("Mood: ", "One")]))
    glued = ledger(*mini.encode_tokens([("Mood", "it is"), ("Mood", "one")]))
    with pytest.raises(UserError, match="The difference of two ledgers needs the same text tokens"):
        ledger_difference(spaced, glued)
    (pair,) = mini.encode_tokens([(TOPIC, "good")])
    pair.projected[:] = 0
    with pytest.raises(UserError, match="zero vector"):
        ledger(pair, pair)
