import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.analysis.units import group_sums, pooled_vectors, refuse_different_tokens, units
from instructor_core.errors import UserError

INSTRUCTION = "Represent the review for its mood: "


def test_tokens_are_those_that_enter_the_mean_and_different_ones_are_refused_by_the_first_that_differs(
    model: InstructorModel, mini: InstructorModel
) -> None:
    (pair,) = model.encode_tokens([(INSTRUCTION, "Unbelievable goals.")])
    found = units(pair)
    assert [unit.text for unit in found] == [
        t for t, s in zip(pair.tokens, pair.segments, strict=True) if s in ("text", "end")
    ]
    assert [unit.tokens[0] for unit in found] == np.flatnonzero(pair.pooling_mask).tolist()
    assert [unit.is_end for unit in found] == [False] * (len(found) - 1) + [True]
    np.testing.assert_allclose(pooled_vectors(pair).mean(axis=0), pair.embedding, atol=1e-6)
    spaced, glued, longer = mini.encode_tokens([("Mood: ", "It is"), ("Mood", "it is"), ("Mood: ", "It is so")])
    refuse_different_tokens(units(spaced), units(spaced, by="word"), what="X")
    with pytest.raises(UserError, match=r"X needs the same text tokens.*pooled token 1 is '▁it' and 'it'"):
        refuse_different_tokens(units(spaced), units(glued), what="X")
    with pytest.raises(UserError, match="got 3 and 4 pooled tokens"):
        refuse_different_tokens(units(spaced), units(longer), what="X")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The goal wasn't good...", ["The", "goal", "wasn't", "good", "...", "</s>"]),
        ("unbelievably well-known", ["unbelievably", "well", "-", "known", "</s>"]),
        ("½ cup of 日本 tea", ["½", "cup", "of", "日本", "tea", "</s>"]),
        ("family 👨‍👩‍👧!", ["family", "👨‍👩‍👧!", "</s>"]),
        ("हिन्दी x", ["हिन्दी", "x", "</s>"]),
        ("'quoted' x", ["'", "quoted", "'", "x", "</s>"]),
        ("good good", ["good", "good", "</s>"]),
        ("", ["</s>"]),
    ],
)
def test_words_are_whole_and_punctuation_stands_alone(mini: InstructorModel, text: str, expected: list[str]) -> None:
    (pair,) = mini.encode_tokens([(INSTRUCTION, text)])
    found = units(pair, by="word")
    assert [unit.text for unit in found] == expected
    assert [token for unit in found for token in unit.tokens] == np.flatnonzero(pair.pooling_mask).tolist()


def test_sums_over_words_equal_a_loop(mini: InstructorModel) -> None:
    (pair,) = mini.encode_tokens([(INSTRUCTION, "unbelievably good supercalifragilistic tea")])
    vectors, groups = pooled_vectors(pair), units(pair, by="word")
    first = int(np.flatnonzero(pair.pooling_mask)[0])
    expected = [sum(vectors[t - first] for t in unit.tokens) for unit in groups]
    assert len(groups) < len(vectors)
    np.testing.assert_allclose(group_sums(vectors, groups), expected, atol=1e-9)
    np.testing.assert_allclose(group_sums(vectors.T, groups, axis=1), np.transpose(expected), atol=1e-9)
