import pytest

from instructor_core.analysis.controls import UNRELATED_INSTRUCTION, Role, one_space, shuffle_words, with_controls
from instructor_core.errors import UserError


def test_controls_follow_the_candidates_and_the_first_of_them_that_can_be_shuffled_is() -> None:
    entries = with_controls(["Represent the topic:", "  Represent the mood: "])
    assert [entry.role for entry in entries] == [Role.CANDIDATE] * 2 + [Role.EMPTY, Role.SHUFFLED, Role.UNRELATED]
    assert entries[1].instruction == "Represent the mood: "
    assert entries[2].instruction == ""
    assert entries[4].instruction == UNRELATED_INSTRUCTION == one_space(UNRELATED_INSTRUCTION)
    with_empty = with_controls(["", "Represent the topic:"])  # an empty candidate is the control in its place
    assert [entry.role for entry in with_empty] == [Role.EMPTY, Role.CANDIDATE, Role.SHUFFLED, Role.UNRELATED]
    entries = with_controls(["topic", "two words"])
    assert [e.instruction for e in entries if e.role is Role.SHUFFLED] == ["words two "]
    assert not [e for e in with_controls(["topic"]) if e.role is Role.SHUFFLED]
    assert all(shuffle_words(instruction) is None for instruction in ("word", "same same: ", "", ":"))
    with pytest.raises(UserError, match="got 2 candidates, 0 of them with words"):
        with_controls(["", "  "])


def test_a_shuffled_instruction_has_the_same_words_in_another_order_and_the_same_end() -> None:
    shuffled = shuffle_words("Represent the review for classifying the sentiment: ")
    assert shuffled.endswith(": ")
    words = shuffled.removesuffix(": ").split()
    assert sorted(words) == sorted(["Represent", "the", "review", "for", "classifying", "the", "sentiment"])
    assert words != ["Represent", "the", "review", "for", "classifying", "the", "sentiment"]
    assert shuffled == shuffle_words("Represent the review for classifying the sentiment:")
