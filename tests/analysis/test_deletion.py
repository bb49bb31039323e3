from dataclasses import replace

import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.analysis.deletion import combine, deletions, drop
from instructor_core.analysis.units import units
from instructor_core.errors import UserError

TOPIC = "Represent the sentence by its topic: "
TEXTS = ("The goal came late", "very very good, very", "a", "supercalifragilistic wasn't ½ 日本")


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("text", TEXTS)
def test_dropping_a_token_or_a_word_equals_the_mean_of_the_others(model: InstructorModel, text: str) -> None:
    pair, other = model.encode_tokens([(TOPIC, text), (TOPIC, "The match was decided by one goal.")])
    result = drop(pair, other.embedding)
    pooled = pair.projected[pair.pooling_mask].astype(np.float64)
    expected = [cosine(np.delete(pooled, i, axis=0).mean(axis=0), other.embedding) for i in range(len(pooled))]
    np.testing.assert_allclose(result.similarities, expected, atol=1e-6)
    assert result.cosine == pytest.approx(cosine(pair.embedding, other.embedding), abs=1e-6)
    np.testing.assert_allclose(result.effects, result.cosine - np.array(expected), atol=1e-6)
    by_word = drop(pair, other.embedding, by="word")
    for unit, value in zip(by_word.units, by_word.similarities, strict=True):
        mask = pair.pooling_mask.copy()
        mask[list(unit.tokens)] = False
        assert value == pytest.approx(cosine(pair.projected[mask].mean(axis=0), other.embedding), abs=1e-6)


def test_a_single_pooled_token_cannot_be_dropped_and_nothing_left_but_zero_gives_no_nan(mini: InstructorModel) -> None:
    empty, pair, other = mini.encode_tokens([(TOPIC, ""), (TOPIC, "good"), (TOPIC, "goal")])
    with pytest.raises(UserError, match="at least 2 pooled tokens, </s> included: got 1"):
        drop(empty, other.embedding)
    pair.projected[-1] = 0  # </s>
    assert drop(pair, other.embedding).similarities[0] == 0


@pytest.mark.parametrize(
    ("instruction", "text", "by", "expected"),
    [
        (TOPIC, "The goal, really", "word", ["goal, really", "The, really", "The goal really", "The goal,"]),
        (TOPIC, "good", "word", [""]),
        ("x:", "it is", "word", ["is", "it"]),
        (TOPIC, "  wasn't it  ", "word", ["it", "wasn't"]),
        (TOPIC, "wasn't", "token", ["'t", "wasnt", "wasn'"]),
        ("", "", "word", []),
    ],
)
def test_deleting_leaves_the_text_without_the_unit(
    mini: InstructorModel, instruction: str, text: str, by: str, expected: list[str]
) -> None:
    (pair,) = mini.encode_tokens([(instruction, text)])
    edited = deletions(pair, units(pair, by=by))  # type: ignore[arg-type]
    assert [deletion.text for deletion in edited] == expected
    assert [deletion.unit for deletion in edited] == list(range(len(expected)))  # and none for </s>


def test_shared_characters_go_together_and_the_part_of_a_token_that_belongs_to_the_instruction_stays(
    mini: InstructorModel,
) -> None:
    (pair,) = mini.encode_tokens([(TOPIC, "½ cup")])
    found = units(pair)
    assert found[0].text == "▁"
    edited = deletions(pair, found)
    assert 0 not in [deletion.unit for deletion in edited]
    assert {deletion.text for deletion in edited} == {"cup", "½"}
    (pair,) = mini.encode_tokens([("x", "it is")])
    assert pair.tokens[0] == "▁xi"  # straddles the joint; pooled here as under a shorter count of the instruction
    everything = replace(pair, pooling_mask=np.ones_like(pair.pooling_mask))
    assert [deletion.text for deletion in deletions(everything, units(everything))] == ["t is", "i is", "it"]
    (pair,) = mini.encode_tokens([("Mood: ", "it is")])
    everything = replace(pair, pooling_mask=np.ones_like(pair.pooling_mask))
    assert [deletion.text for deletion in deletions(everything, units(everything))] == ["is", "it"]


def test_only_the_part_that_fitted_the_window_is_edited(mini: InstructorModel) -> None:
    long = " ".join(f"word{number}" for number in range(400))
    (pair,) = mini.encode_tokens([(TOPIC, long)])
    assert pair.n_cut > 0
    found = units(pair)
    (first, *_) = deletions(pair, found[:1] + found[-2:])
    assert len(first.text) < len(long) // 2 + 600
    assert long.replace("word0", "0", 1).startswith(first.text[:200])
    (again,) = mini.encode_tokens([(TOPIC, first.text)])
    assert again.n_cut == 0


def test_the_effect_of_deleting_is_that_of_dropping_plus_context(model: InstructorModel) -> None:
    text, other_text = "The goal came late, very late", "The match was decided by one goal."
    pair, other = model.encode_tokens([(TOPIC, text), (TOPIC, other_text)])
    dropped = drop(pair, other.embedding, by="word")
    edited = deletions(pair, dropped.units)
    result = combine(dropped, edited, model.encode([(TOPIC, deletion.text) for deletion in edited]))
    assert [value is None for value in result.deleted] == [False] * len(edited) + [True]
    reference = model.encode([(TOPIC, "The came late, very late"), (TOPIC, other_text)])
    assert result.deleted[1] == pytest.approx(float(reference[0] @ reference[1]), abs=1e-5)
    for i in range(len(edited)):
        whole, context = result.deletion_effects[i], result.context[i]
        assert whole == pytest.approx(dropped.effects[i] + context, abs=1e-9)
    assert result.context[-1] is None
    assert max(abs(c) for c in result.context if c is not None) > 1e-4
