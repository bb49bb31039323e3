from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer

from instructor_core import InstructorModel
from instructor_core.analysis.pooling import (
    Recipe,
    RecipeResult,
    boundary,
    compare_recipes,
    recipe_pairs,
)
from instructor_core.encoder import TokenEncoding

REVIEW = "Represent the review for its mood: "
INSTRUCTIONS = (REVIEW, "Mood:", "", "x ", "Represent it:  ")
TEXTS = ("The soup was cold.", "//path/at/the/joint", "  leading", "a", "")
PAIRS = [(instruction, text) for instruction in INSTRUCTIONS for text in TEXTS]


def encoded(model: InstructorModel, instruction: str, text: str) -> list[TokenEncoding]:
    return model.encode_tokens(recipe_pairs(instruction, text))


def recipes(model: InstructorModel, instruction: str, text: str) -> dict[Recipe, RecipeResult]:
    return {result.recipe: result for result in compare_recipes(encoded(model, instruction, text))}


def embedding(pair: TokenEncoding, averaged: np.ndarray) -> np.ndarray:
    vector = pair.projected[averaged].astype(np.float64).mean(axis=0)
    return vector / np.linalg.norm(vector)


def test_cosines_are_those_of_the_averaged_tokens(mini: InstructorModel) -> None:
    for instruction, text in PAIRS:
        pairs = encoded(mini, instruction, text)
        ours = mini.encode([(instruction, text)])[0]
        for result, pair in zip(compare_recipes(pairs), pairs, strict=True):
            assert len(result.tokens) == len(result.segments) == len(result.averaged) == pair.n_encoded
            if result.cosine is None:
                assert result.note and not result.averaged.any()
            else:
                assert result.cosine == pytest.approx(float(embedding(pair, result.averaged) @ ours), abs=1e-5)
    endless = recipes(mini, REVIEW, "")[Recipe.WITHOUT_END]
    assert endless.cosine is None and "nothing is left to average" in endless.note
    assert [len(set(recipe_pairs(one, "good"))) for one in ("Mood:", REVIEW)] == [1, 2]  # forward passes


@pytest.mark.parametrize("name", ["checkpoint_a", "checkpoint_b"])
def test_the_recipe_of_sentence_transformers_equals_sentence_transformers(
    name: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(name)
    model = InstructorModel(folder)
    reference = SentenceTransformer(str(folder), device="cpu")
    stripped = [text for text in TEXTS if text == text.strip()]
    for instruction in INSTRUCTIONS:
        encoded_texts = model.encode_tokens([pair for text in TEXTS for pair in recipe_pairs(instruction, text)])
        rows = [encoded_texts[i : i + len(Recipe)] for i in range(0, len(encoded_texts), len(Recipe))]
        # "pooled too" is about the mask alone: it keeps the joint of this project, so no spaces before the text.
        for recipe, texts in ((Recipe.SENTENCE_TRANSFORMERS, TEXTS), (Recipe.INSTRUCTION_POOLED, stripped)):
            reference.set_pooling_include_prompt(recipe is Recipe.INSTRUCTION_POOLED)
            place = list(Recipe).index(recipe)
            chosen = [row for text, row in zip(TEXTS, rows, strict=True) if text in texts]
            found = [embedding(row[place], compare_recipes(row)[place].averaged) for row in chosen]
            np.testing.assert_allclose(found, reference.encode(list(texts), prompt=instruction), atol=1e-5)


def test_the_recipe_of_instructor_lite_starts_at_the_token_of_the_first_character(checkpoint_a: Path) -> None:
    model, tokenizer = InstructorModel(checkpoint_a), AutoTokenizer.from_pretrained(checkpoint_a)
    for instruction, text in PAIRS:
        first = tokenizer(instruction + text).char_to_token(len(instruction))
        result = recipes(model, instruction, text)[Recipe.INSTRUCTOR_LITE]
        if first is None:
            assert result.cosine is None
            assert "first character of the text" in result.note
        else:
            assert np.flatnonzero(result.averaged)[0] == first
            assert result.averaged[first:].all()
            assert list(result.tokens) == tokenizer.convert_ids_to_tokens(tokenizer(instruction + text)["input_ids"])


def test_the_main_branch_sees_both_parts_stripped_and_glued_and_typed_special_tokens_are_pointed_out(
    mini: InstructorModel,
) -> None:
    result = recipes(mini, REVIEW, " it is ")[Recipe.INSTRUCTOR_MAIN]
    tokenizer = mini.tokenizer
    assert list(result.tokens) == tokenizer.convert_ids_to_tokens(tokenizer(REVIEW.strip() + "it is")["input_ids"])
    assert result.averaged.sum() == len(result.tokens) - (len(tokenizer(REVIEW.strip())["input_ids"]) - 1)
    assert result.cosine < 0.9999
    already_glued = recipes(mini, REVIEW.strip(), "it is")[Recipe.INSTRUCTOR_MAIN]
    assert already_glued.cosine == pytest.approx(1, abs=1e-6)
    found = recipes(mini, REVIEW, "a </s> b")
    assert [recipe for recipe in Recipe if "</s>" in found[recipe].note] == [
        Recipe.INSTRUCTOR_1_0_1,
        Recipe.INSTRUCTOR_MAIN,
        Recipe.SENTENCE_TRANSFORMERS,
        Recipe.INSTRUCTOR_LITE,
    ]


def test_what_else_is_averaged_or_left_out_is_another_embedding(model: InstructorModel) -> None:
    one, several = (recipes(model, instruction, "The soup was cold.") for instruction in ("x ", REVIEW))
    everything = one[Recipe.INSTRUCTOR_1_0_1]  # only an instruction of one token is averaged by 1.0.1
    pooled, endless = several[Recipe.INSTRUCTION_POOLED], several[Recipe.WITHOUT_END]
    assert everything.averaged.all() and pooled.averaged.all() and not endless.averaged[-1]
    assert endless.averaged.sum() == several[Recipe.OURS].averaged.sum() - 1
    for result in (everything, pooled, endless):
        assert result.cosine is not None and result.cosine < 0.9999
    for result in (several[Recipe.OURS], several[Recipe.INSTRUCTOR_1_0_1]):
        assert result.cosine == pytest.approx(1, abs=1e-6)


def test_the_boundaries_agree_where_a_space_parts_instruction_and_text_and_a_token_across_is_found(
    model: InstructorModel,
) -> None:
    (pair,) = model.encode_tokens([(REVIEW, "//path it is")])
    found = boundary(pair)
    assert found.agree
    assert found.spaced
    assert found.count == found.character == found.n_instruction == pair.n_instruction_tokens
    assert (found.n_straddling, found.n_cut) == (0, 0)
    assert found.n_text == pair.n_encoded - found.n_instruction - 1
    assert found.joint == (REVIEW[-12:], "//path it is")
    (pair,) = model.encode_tokens([(REVIEW, " ".join(f"word {number}" for number in range(300)))])
    full = boundary(pair)
    assert full.n_cut == pair.n_cut > 0
    assert full.n_instruction + full.n_text + 1 == full.max_seq_length == 512

    class Straddling:
        instruction, text, joined = "a:", "//b", "a://b"
        spans = np.array([[0, 1], [1, 4], [4, 5], [-1, -1]])
        segments = ("instruction", "straddling", "text", "end")
        pooling_mask = np.array([False, False, True, True])
        max_seq_length = 512

    found = boundary(Straddling())  # type: ignore[arg-type]
    assert (found.count, found.character, found.agree, found.spaced) == (2, 1, False, False)
    assert (found.n_instruction, found.n_straddling, found.n_text) == (1, 1, 1)
    assert found.joint == ("a:", "//b")
