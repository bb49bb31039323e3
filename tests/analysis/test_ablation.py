import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from instructor_core.analysis.ablation import EditKind, ablation, ablation_plan, cosine_distances, meaning_free_edits
from instructor_core.errors import UserError

INSTRUCTION = "Represent the movie review for classifying the mood: "


def edits_of(instruction: str, kind: EditKind) -> list[str]:
    return [edit.instruction for edit in ablation_plan(instruction).edits if edit.kind is kind]


def test_words_and_slots_of_the_template_are_left_out_or_made_neutral_and_the_closing_mark_stays() -> None:
    plan = ablation_plan("Find the mood:")
    assert plan.instruction == "Find the mood: "
    assert plan.words == ("Find", "the", "mood")
    assert edits_of("Find the mood:", EditKind.WORD) == ["the mood: ", "Find mood: ", "Find the: "]
    assert edits_of("topic:", EditKind.WORD) == [""]
    assert edits_of(INSTRUCTION, EditKind.SLOT) == [
        "Represent the review for classifying the mood: ",
        "Represent the movie text for classifying the mood: ",
        "Represent the movie review: ",
    ]
    assert edits_of("Represent the text;", EditKind.SLOT) == ["Represent the sentence; "]
    assert edits_of("Find the mood:", EditKind.SLOT) == []


def test_meaning_free_edits_change_marks_spaces_and_case_and_nothing_else() -> None:
    edits = meaning_free_edits("Find the Mood: ")
    assert [edit.instruction for edit in edits] == [
        "Find the Mood; ",
        "Find the Mood ",
        "Find the Mood:  ",
        "Find the Mood:",
        "find the mood: ",
        "find the Mood: ",
    ]
    letters = {"".join(filter(str.isalpha, edit.instruction)).lower() for edit in edits}
    assert letters == {"findthemood"}
    assert meaning_free_edits("") == ()


@pytest.mark.parametrize("instruction", [INSTRUCTION, "x", "x;", "no mark ", "Represent the text."])
def test_no_meaning_free_edit_equals_the_instruction_or_another_one(instruction: str) -> None:
    plan = ablation_plan(instruction)
    floor = [edit.instruction for edit in plan.edits if edit.kind is EditKind.FLOOR]
    assert floor
    assert len({plan.instruction, *floor}) == len(floor) + 1
    assert plan.instructions == (plan.instruction, *(edit.instruction for edit in plan.edits))


def test_an_effect_is_the_mean_of_one_minus_cosine_and_the_floor_the_largest_of_the_meaning_free() -> None:
    plan = ablation_plan("Find the mood:")
    rng = np.random.default_rng(0)
    original = rng.normal(size=(5, 8))
    sizes = [0.01 if edit.kind is EditKind.FLOOR else 0.5 for edit in plan.edits]
    sizes[1] = 0.0  # leaving out "the" changes nothing
    edited = np.stack([original + size * rng.normal(size=original.shape) for size in sizes])
    result = ablation(plan, original, edited)
    for e, vectors in enumerate(edited):
        each = 1 - np.diag(cosine_similarity(original, vectors))
        assert result.effects[e] == pytest.approx(each.mean(), abs=1e-6)
        np.testing.assert_allclose(result.quartiles[e], np.quantile(each, [0.25, 0.75]), atol=1e-6)
    floors = result.effects[[edit.kind is EditKind.FLOOR for edit in plan.edits]]
    assert result.floor == floors.max()
    assert result.floor_edit.kind is EditKind.FLOOR
    assert result.above_floor[:3].tolist() == [True, False, True]
    assert not result.above_floor[3:].any()
    assert result.word_effects() == tuple(result.effects[:3])


def test_no_change_is_exactly_zero_and_the_opposite_is_two() -> None:
    original = np.random.default_rng(0).normal(size=(4, 8))
    distances = cosine_distances(original, np.stack([original, -original, 3 * original]))
    assert (distances[0] == 0).all()
    np.testing.assert_allclose(distances[1], 2, atol=1e-6)
    np.testing.assert_allclose(distances[2], 0, atol=1e-12)


def test_an_ablation_without_words_or_texts_is_refused() -> None:
    for instruction in ("  ", ":;"):
        with pytest.raises(UserError, match="needs an instruction with 1 word or more"):
            ablation_plan(instruction)
    plan = ablation_plan("mood:")
    with pytest.raises(UserError, match="at least 1 text"):
        ablation(plan, np.empty((0, 3)), np.empty((len(plan.edits), 0, 3)))
