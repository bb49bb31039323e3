import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.analysis.calibration import background
from instructor_core.analysis.why import Why, explain, ordinal

INSTRUCTIONS = ("Represent the review for classifying the topic: ", "Represent the review for classifying sentiment: ")
SOUP, ROOM = "The soup was unbelievably excellent, excellent!", "Our hotel room was spotless."


def card(model: InstructorModel, *instructions: str) -> Why:
    words = [f"{word} {thing}" for thing in ("river", "tax", "violin") for word in ("old", "green", "nobody's")]
    domains = [str(i // 3) for i in range(9)]
    backgrounds = [background(model.encode([(one, text) for text in words]), domains) for one in instructions]
    sides = (model.encode_tokens([(one, text) for one in instructions]) for text in (SOUP, ROOM))
    return explain(*sides, backgrounds)


def test_the_ties_are_words_and_add_up_to_each_cosine_and_to_their_difference(model: InstructorModel) -> None:
    result = card(model, *INSTRUCTIONS)
    for instruction, one in zip(INSTRUCTIONS, result.under, strict=True):
        first, second = model.encode([(instruction, SOUP), (instruction, ROOM)]).astype(np.float64)
        assert one.cosine == pytest.approx(first @ second, abs=1e-5)
        assert sum(tie.contribution for tie in one.ties) + one.end == pytest.approx(first @ second, abs=1e-5)
        sizes = [abs(tie.contribution) for tie in one.ties]
        assert sizes == sorted(sizes, reverse=True)
        assert {tie.first for tie in one.ties} == {"The", "soup", "was", "unbelievably", "excellent", ",", "!"}
        assert {tie.second for tie in one.ties} == {"Our", "hotel", "room", "was", "spotless", "."}
    high, low = (result.under[at] for at in result.largest)
    assert high.cosine >= low.cosine
    moved = sum(tie.contribution for tie in result.changed) + high.end - low.end
    assert moved == pytest.approx(high.cosine - low.cosine, abs=1e-5)


def test_a_cosine_is_worded_by_its_percentile_and_equal_instructions_have_no_difference(mini: InstructorModel) -> None:
    alone = card(mini, INSTRUCTIONS[0])
    assert alone.largest is None and alone.changed == ()
    same = card(mini, INSTRUCTIONS[0], INSTRUCTIONS[0])
    assert same.largest == (0, 1) and all(tie.contribution == 0 for tie in same.changed)
    one = card(mini, INSTRUCTIONS[0]).under[0]
    for percentile, words in [
        (31.4, "ordinary (31st percentile)"),
        (99.3, "rare (99th percentile)"),
        (100.0, "rare (99th percentile)"),
        (92.0, "unusual (92nd percentile)"),
        (3.0, "unusually far apart (3rd percentile)"),
    ]:
        assert type(one)(one.cosine, percentile, one.ties, one.end).words == words
    assert [ordinal(n) for n in (0, 1, 11, 12, 13, 22, 53)] == ["0th", "1st", "11th", "12th", "13th", "22nd", "53rd"]
