"""The boundary between instruction and text, and the embeddings that other implementations make of the same pair.

Published implementations differ in how they join the two strings, where they think the instruction ends and which
tokens they average. Each is described here by the pair that makes this project's tokenizer see the string that the
implementation sees, and by the tokens that it averages; everything else (network, linear layer) is shared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import unit_vectors
from instructor_core.analysis.units import EncodedPair

_SPECIAL = re.compile(r"</s>|<pad>|<extra_id_\d{1,2}>")


class Recipe(StrEnum):
    """A way of making one vector out of an instruction and a text, by its name on screen; the first is our own."""

    OURS = "this app"
    INSTRUCTOR_1_0_1 = "InstructorEmbedding 1.0.1"
    INSTRUCTOR_MAIN = "InstructorEmbedding, main branch"
    SENTENCE_TRANSFORMERS = "sentence-transformers, prompt="
    INSTRUCTOR_LITE = "instructor-lite"
    INSTRUCTION_POOLED = "instruction pooled too"
    WITHOUT_END = "text without </s>"


class Mistake(StrEnum):
    """What goes wrong with other encoders, see `pooled`, by its name on screen."""

    PROMPT_FORGOTTEN = "the prompt forgotten"
    TEMPLATE_FORGOTTEN = "the instruction without its template"
    MEAN_OF_ALL = "the mean of all tokens, the prompt's too"
    MEAN_OF_TEXT = "the mean without the prompt"
    FIRST_TOKEN = "the first token alone"
    LAST_TOKEN = "the last token alone"
    NOT_NORMALIZED = "not normalized"


_PUBLISHED = tuple(Recipe)[1:5]


@dataclass(frozen=True)
class Boundary:
    """Where the instruction ends, counted in two ways, and how full the window is."""

    count: int  # length of the instruction tokenized alone: the first pooled token, as in the references
    character: int  # first token that reaches past the last character of the instruction
    n_instruction: int  # tokens that lie inside the instruction by their characters
    n_straddling: int  # tokens that hold the end of the instruction and the start of the text
    n_text: int  # encoded tokens of the text, without the straddling ones
    n_cut: int  # tokens that did not fit
    max_seq_length: int  # the window, `</s>` included
    joint: tuple[str, str]  # the last characters of the instruction and the first of the text, as they were joined
    spaced: bool  # whether a space parts the two

    @property
    def agree(self) -> bool:
        """Whether both counts put the boundary at the same token."""
        return self.count == self.character


@dataclass(frozen=True, eq=False)
class RecipeResult:
    """One recipe applied to one pair."""

    recipe: Recipe | Mistake
    tokens: tuple[str, ...]  # the n tokens that the recipe's network sees
    segments: tuple[str, ...]
    averaged: NDArray[np.bool_]  # (n,) those that enter its mean
    cosine: float | None  # of its embedding to ours; None where the recipe gives none
    note: str  # why it gives none, or what this comparison leaves out; "" for nothing


def boundary(pair: EncodedPair) -> Boundary:
    """Where the instruction of an encoded pair ends."""
    segments = [str(segment) for segment in pair.segments]
    edge = len(pair.instruction)
    before, after = pair.joined[:edge], pair.joined[edge:]
    return Boundary(
        count=int(np.flatnonzero(pair.pooling_mask)[0]),
        character=next(i for i, segment in enumerate(segments) if segment != "instruction"),
        n_instruction=segments.count("instruction"),
        n_straddling=segments.count("straddling"),
        n_text=segments.count("text"),
        n_cut=segments.count("cut"),
        max_seq_length=pair.max_seq_length,
        joint=(before[-12:], after[:12]),
        spaced=not before or not after or before[-1].isspace() or after[0].isspace(),
    )


def recipe_pairs(instruction: str, text: str) -> tuple[tuple[str, str], ...]:
    """The pair to encode for each recipe, in the order of `Recipe`; most recipes share the first."""
    # Encoding strips the text: spaces before it, which some recipes keep, are handed over with the instruction.
    kept = (instruction + text[: len(text) - len(text.lstrip())], text)
    pairs = {
        Recipe.INSTRUCTOR_MAIN: (instruction.strip(), text),
        Recipe.SENTENCE_TRANSFORMERS: kept,
        Recipe.INSTRUCTOR_LITE: kept,
    }
    return tuple(pairs.get(recipe, (instruction, text)) for recipe in Recipe)


def compare_recipes(encoded: Sequence[EncodedPair]) -> tuple[RecipeResult, ...]:
    """Every recipe's embedding of one pair against ours, for the encoded pairs of `recipe_pairs`, in its order."""
    special = _SPECIAL.search(encoded[0].joined)
    results = []
    for recipe, pair in zip(Recipe, encoded, strict=True):
        averaged, note = _find_averaged(recipe, pair)
        if special and recipe in _PUBLISHED and averaged.any():
            note = f"Would read {special.group()!r} as a special token; compared with it as plain characters."
        results.append(apply_recipe(recipe, pair, averaged, note, ours=encoded[0]))
    return tuple(results)


def apply_recipe(
    recipe: Recipe | Mistake, pair: EncodedPair, averaged: NDArray[np.bool_], note: str, *, ours: EncodedPair
) -> RecipeResult:
    """The mean of the tokens `averaged` (n,) of a pair, against our own embedding."""
    n, cosine = len(pair.pooling_mask), None
    if averaged.any():
        means = [pair.projected[averaged], ours.projected[ours.pooling_mask]]
        one, other = (unit_vectors(rows.mean(axis=0, dtype=np.float64)).astype(np.float64) for rows in means)
        cosine = float(np.clip(one @ other, -1.0, 1.0))
    return RecipeResult(recipe, pair.tokens[:n], tuple(map(str, pair.segments[:n])), averaged, cosine, note)


def _find_averaged(recipe: Recipe, pair: EncodedPair) -> tuple[NDArray[np.bool_], str]:
    """(n,) mask of the tokens that a recipe averages, and why it is empty; "" where it is not."""
    everything = np.ones(len(pair.pooling_mask), dtype=np.bool_)
    if recipe is Recipe.INSTRUCTION_POOLED or (recipe is Recipe.INSTRUCTOR_1_0_1 and pair.n_instruction_tokens == 1):
        return everything, ""
    if recipe is Recipe.WITHOUT_END:
        averaged = pair.pooling_mask.copy()
        averaged[-1] = False  # </s> is the last encoded token
        return averaged, "" if averaged.any() else "The text has no token: without </s> nothing is left to average."
    if recipe is Recipe.INSTRUCTOR_LITE:
        first = _token_of_first_character(pair)
        if first is None:
            return ~everything, "Stops with an error: no token holds the first character of the text."
        return np.arange(len(everything)) >= first, ""
    return pair.pooling_mask, ""


def _token_of_first_character(pair: EncodedPair) -> int | None:
    """Index of the encoded token that holds the first character of the text as given; None where none does."""
    edge = len(pair.joined) - len(pair.text.strip())
    if not pair.text or pair.text[0].isspace():
        return None
    spans = pair.spans[: len(pair.pooling_mask)].tolist()
    return next((i for i, (start, end) in enumerate(spans) if start <= edge < end), None)
