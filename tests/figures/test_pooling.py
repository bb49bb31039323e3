import json

import pytest

from instructor_core.analysis.pooling import Recipe, boundary, compare_recipes
from instructor_core.figures.pooling import (
    boundary_rows,
    boundary_sentence,
    recipe_panels,
    recipe_rows,
    recipe_sentence,
    window_sentence,
)
from tests.figures.encoded import pair

PAIR = pair("▁In : ▁<b> ▁good </s> ▁cut ▁off", "iittecc")
RESULTS = compare_recipes([PAIR] * len(Recipe))
EMPTY = compare_recipes([pair("▁In : </s>", "iie")] * len(Recipe))


def test_all_tokens_are_listed_with_their_segment_and_fate() -> None:
    (row,) = boundary_rows(PAIR, boundary(PAIR), title="x", instruction=1).rows
    assert [token.segment for token in row.tokens] == [*["instruction"] * 2, *["text"] * 2, "end", "cut", "cut"]
    assert [token.tip.split("\n")[2] for token in row.tokens] == [
        *["not averaged"] * 2,
        *["averaged"] * 3,
        *["cut off: never encoded"] * 2,
    ]
    assert "no characters of its own" in row.tokens[4].tip
    assert row.instruction == 1


def test_the_window_is_counted_in_one_line_and_counts_that_disagree_are_reported() -> None:
    assert window_sentence(boundary(PAIR)).startswith("instruction 2 + text 4 + 1 = 7 / 512; 2 cut off")
    assert "instruction 1 + straddling 1 + text 1 + 1 = 4 / 512" in window_sentence(
        boundary(pair("▁a :/ /b </s>", "iste"))
    )
    agreeing = boundary_sentence(boundary(PAIR))
    assert "Both counts put the end of the instruction after token 2." in agreeing
    crossed = pair("▁a :/ /b </s>", "iste")
    crossed.pooling_mask[1] = False  # the instruction alone has two tokens
    sentence = boundary_sentence(boundary(crossed))
    assert "the instruction alone has 2 tokens, but by characters it ends after token 1" in sentence
    assert "No space parts instruction and text" in sentence
    assert sentence.startswith("Joined as a|:/")


def test_only_averaged_tokens_are_coloured_and_their_weights_sum_to_one() -> None:
    rows = recipe_rows(RESULTS).rows
    assert [row.title for row in rows] == list(Recipe)
    for row, result in zip(rows, RESULTS, strict=True):
        weights = [token.weight for token in row.tokens]
        assert [weight is not None for weight in weights] == result.averaged.tolist()
        assert sum(weight for weight in weights if weight is not None) == pytest.approx(1)
    json.loads(recipe_rows(EMPTY).to_json())


def test_bars_leave_out_recipes_without_an_embedding_and_the_others_get_their_cosine() -> None:
    panels = recipe_panels(EMPTY)
    (bars,) = panels.panels[0].figure.data
    known = [i for i, result in enumerate(EMPTY) if result.cosine is not None]
    assert 0 < len(known) < len(Recipe)
    assert list(bars.y) == known
    assert list(bars.x) == pytest.approx([1 - EMPTY[i].cosine for i in known], abs=1e-9)
    assert len(panels.panels[0].figure.layout.yaxis.ticktext) == len(Recipe)
    assert "nothing is left to average" in panels.alt
    json.loads(panels.to_json())
    said = {result.recipe: recipe_sentence(result) for result in RESULTS}
    assert said[Recipe.OURS] == "What all others are compared with."
    assert said[Recipe.SENTENCE_TRANSFORMERS] == "The same embedding."
    assert said[Recipe.WITHOUT_END].startswith("Cosine 0.") or said[Recipe.WITHOUT_END].startswith("Cosine -0.")
