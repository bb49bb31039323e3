import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.analysis.movement import movement, neighbor_change
from instructor_core.errors import UserError

SENTIMENT = "Represent the review for classifying its sentiment: "
TOPIC = "Represent the sentence by its topic: "
LONG = " ".join(f"word {number}" for number in range(300))
TEXTS = ("The goal came late.", "very very good very", "a", "", "supercalifragilistic ½ 日本")


@pytest.mark.parametrize("text", TEXTS)
def test_shares_sum_to_one_and_equal_the_formula(model: InstructorModel, text: str) -> None:
    for instruction in (SENTIMENT, ""):
        first, second = model.encode_tokens([(instruction, text), (TOPIC, text)])
        left = first.projected[first.pooling_mask].astype(np.float64)
        right = second.projected[second.pooling_mask].astype(np.float64)
        whole = second.embedding.astype(np.float64) - first.embedding
        np.testing.assert_allclose((right - left).mean(axis=0), whole, atol=1e-5)  # mean d_i = D
        expected = [(b - a) @ whole / (len(left) * (whole @ whole)) for a, b in zip(left, right, strict=True)]
        for by in ("token", "word"):
            result = movement(first, second, by=by)
            assert result.shares.sum() == pytest.approx(1, abs=1e-5)
            assert result.distance == pytest.approx(np.linalg.norm(whole), rel=1e-4)
            a, b = first.embedding.astype(np.float64), second.embedding.astype(np.float64)
            assert result.cosine == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)
            assert len(result.shares) == len(result.units) == len(result.lengths)
        result = movement(first, second)
        np.testing.assert_allclose(result.shares, expected, atol=1e-4)
        np.testing.assert_allclose(result.lengths, np.linalg.norm(right - left, axis=1) / len(left), rtol=1e-6)


def test_the_same_instruction_twice_is_no_move_in_whatever_batch_and_carriers_come_by_magnitude(
    model: InstructorModel,
) -> None:
    for text in TEXTS:
        result = movement(*model.encode_tokens([(TOPIC, text), (TOPIC, text)]))
        assert result.shares is None
        assert result.carriers(3) == ()
        assert np.isfinite(result.lengths).all()
        assert result.cosine == pytest.approx(1, abs=1e-6)
    alone = model.encode_tokens([(TOPIC, TEXTS[0])])[0]
    beside_a_long_one = model.encode_tokens([(TOPIC, TEXTS[0]), (TOPIC, LONG)])[0]
    assert movement(alone, beside_a_long_one).shares is None  # noise of another batch
    result = movement(*model.encode_tokens([(SENTIMENT, TEXTS[0]), (TOPIC, TEXTS[0])]))
    ranked = sorted(range(len(result.shares)), key=lambda i: -abs(result.shares[i]))
    assert list(result.carriers(3)) == ranked[:3]


def test_a_text_with_other_tokens_is_refused(mini: InstructorModel) -> None:
    with pytest.raises(UserError, match="The move of a text needs the same text tokens"):
        movement(*mini.encode_tokens([("Mood: ", "It is"), ("Mood", "it is")]))
    with pytest.raises(UserError, match="pooled tokens"):  # cut off at different places
        movement(*mini.encode_tokens([("", LONG), (TOPIC, LONG)]))


def test_neighbors_that_came_and_went_equal_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 12, 5))
    for text in range(12):
        result = neighbor_change(first, second, text, k=4)
        sets = []
        for vectors in (first, second):
            unit = [v / np.linalg.norm(v) for v in vectors]
            ranked = sorted((j for j in range(12) if j != text), key=lambda j: -float(unit[text] @ unit[j]))
            sets.append(ranked[:4])
        assert [n.text for n in result.before] == sets[0]
        assert [n.text for n in result.after] == sets[1]
        assert [n.text for n in result.came] == [j for j in sets[1] if j not in sets[0]]
        assert [n.text for n in result.went] == [j for j in sets[0] if j not in sets[1]]
    few = neighbor_change(first[:3], first[:3], 0, k=10)
    assert few.came == few.went == () and len(few.before) == 2
