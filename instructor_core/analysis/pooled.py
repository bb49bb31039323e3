"""Embeddings that are pooled otherwise than INSTRUCTOR's: of one token, or of the instruction's tokens too.

And what the usual mistakes make of them: a prompt that is forgotten, another pooling, a prompt left in or out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.attribution import Contributions
from instructor_core.analysis.numbers import number
from instructor_core.analysis.pooling import Mistake, Recipe, RecipeResult, apply_recipe
from instructor_core.analysis.units import EncodedPair

BLOCKS = ("instruction", "text")


def pools_one(pair: EncodedPair) -> bool:
    """Whether the embedding is the state of one token, none of the text's own."""
    of_text = np.array([str(segment) in ("straddling", "text") for segment in pair.segments[: len(pair.pooling_mask)]])
    return int(pair.pooling_mask.sum()) == 1 and bool(of_text.any()) and not bool(of_text[pair.pooling_mask].any())


def pools_instruction(pair: EncodedPair) -> bool:
    """Whether tokens of the instruction itself enter the mean."""
    return any(str(pair.segments[int(i)]) == "instruction" for i in np.flatnonzero(pair.pooling_mask))


def text_part(pair: Any) -> Any:
    """Return the pair as if the tokens of its text, and the marks behind it, were what is pooled."""
    segments = [str(segment) for segment in pair.segments[: len(pair.pooling_mask)]]
    first = next((i for i, segment in enumerate(segments) if segment in ("straddling", "text")), len(segments) - 1)
    return dataclasses.replace(pair, pooling_mask=np.arange(len(segments)) >= first)


def blocks(terms: Contributions) -> NDArray[np.float64]:
    """(2, 2): what the terms between the tokens of `BLOCKS`, of the first text and of the second, add to a cosine.

    A token across the joint counts as the text's; terms with marks are in none of the four.
    """
    place = {"instruction": 0, "text": 1, "straddling": 1}
    sides = [np.array([place.get(unit.segment, 2) for unit in units]) for units in (terms.rows, terms.columns)]
    inside = [(side[:, None] == np.arange(2)).astype(np.float64) for side in sides]
    found: NDArray[np.float64] = inside[0].T @ terms.values.astype(np.float64) @ inside[1]
    return found


def make_mistakes(instruction: str, text: str) -> tuple[tuple[str, str], ...]:
    """The pairs to encode for `compare_mistakes`: as it should be, without a prompt, and without the template."""
    asked = instruction.partition("{text}")[0].strip()
    return (instruction, text), ("", text), (f"{asked} {{text}}", text)


def compare_mistakes(encoded: Sequence[EncodedPair]) -> tuple[RecipeResult, ...]:
    """What usual mistakes make of a pair, for the encoded pairs of `mistaken_pairs`; as it should be first.

    All else is shared with the right way: network, linear layers, and the pooling where the string is the mistake.
    """
    right, alone, untemplated = encoded
    length = float(np.linalg.norm(right.projected[right.pooling_mask].mean(axis=0, dtype=np.float64)))
    mistaken = ((Mistake.PROMPT_FORGOTTEN, alone), (Mistake.TEMPLATE_FORGOTTEN, untemplated))
    candidates: list[tuple[Recipe | Mistake, EncodedPair, NDArray[np.bool_], str]] = [
        (Recipe.OURS, right, right.pooling_mask, ""),
        *((recipe, pair, pair.pooling_mask, "") for recipe, pair in mistaken if pair.joined != right.joined),
        *((recipe, right, mask, "") for recipe, mask in _poolings(right)),
    ]
    note = f"Its length is {number(length)}: dot products are no cosines."
    candidates.append((Mistake.NOT_NORMALIZED, right, right.pooling_mask, note))
    return tuple(apply_recipe(*each, ours=right) for each in candidates)


def _poolings(pair: EncodedPair) -> Iterator[tuple[Mistake, NDArray[np.bool_]]]:
    """The poolings that a pair is not made with."""
    places = np.arange(len(pair.pooling_mask))
    for recipe, mask in (
        (Mistake.MEAN_OF_ALL, places >= 0),
        (Mistake.MEAN_OF_TEXT, text_part(pair).pooling_mask),
        (Mistake.FIRST_TOKEN, places == 0),
        (Mistake.LAST_TOKEN, places == places[-1]),
    ):
        if not np.array_equal(mask, pair.pooling_mask):
            yield recipe, mask
