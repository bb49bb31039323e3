"""The sentences that stand for figures: computed, and true of the numbers that the figures draw."""

import re

import numpy as np
import pytest

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.similarity import TextPair, cross_similarity, extreme_cell, instruction_similarity
from instructor_core.analysis.tokens import token_similarity
from instructor_core.figures.panels import PanelSet
from instructor_core.figures.similarity import cross_panels, instruction_panels
from instructor_core.figures.tokens import token_similarity_panels

RANDOM = np.random.default_rng(3)
INSTRUCTIONS = ("Represent the topic:", "", "Represent the feeling:")
TEXTS = ("one", "two", "three", "four", "five")
GRID = EmbeddingGrid(INSTRUCTIONS, TEXTS, None, RANDOM.normal(size=(3, 5, 8)))


def drawn(panels: PanelSet, place: int = 0) -> np.ndarray:
    """The cells of a panel, the diagonal left out."""
    cells = np.array(panels.panels[place].figure.data[0].z, dtype=np.float64)
    np.fill_diagonal(cells, np.nan)
    return cells


def value(words: str) -> float:
    """A number as it is written for a reader."""
    return float(words.replace("−", "-"))


def test_the_cell_that_stands_out_is_found_off_the_diagonal() -> None:
    matrix = np.array([[1.0, 0.2, np.nan], [0.7, 1.0, -0.4], [0.1, np.inf, 1.0]])
    assert extreme_cell(matrix) == TextPair(1, 0, 0.7)
    assert extreme_cell(-matrix, matrix) == TextPair(1, 2, -0.4)
    for nothing in (np.ones((1, 1)), np.full((2, 2), np.nan)):
        assert extreme_cell(nothing) is None


def test_matrices_are_told_by_the_closest_pair_of_texts_and_the_two_instructions_that_are_furthest_apart() -> None:
    panels = cross_panels(cross_similarity(GRID, rows=2, columns=0), TEXTS, None, INSTRUCTIONS)
    said = re.search(r"Most similar: text (\d) under C and text (\d) under A \((−?\d\.\d{3})\)", panels.alt)
    cells = drawn(panels)
    assert cells[int(said[1]) - 1, int(said[2]) - 1] == np.nanmax(cells) == pytest.approx(value(said[3]), abs=6e-4)
    panels = instruction_panels([instruction_similarity(GRID, 2)], TEXTS, INSTRUCTIONS)
    said = re.search(r"Furthest apart: ([A-C]) and ([A-C]) \((−?\d\.\d{3})\)", panels.alt)
    cells = drawn(panels)
    assert cells["ABC".index(said[1]), "ABC".index(said[2])] == np.nanmin(cells)
    assert np.nanmin(cells) == pytest.approx(value(said[3]), abs=6e-4)


def test_tokens_are_told_by_their_closest_pair_under_each_instruction() -> None:
    tokens = [["▁a", "▁good", "▁soup", "</s>"], ["▁good", "▁soup", "</s>"]]
    results = [token_similarity(RANDOM.normal(size=(len(row), 6)).astype(np.float32)) for row in tokens]
    panels = token_similarity_panels(results, tokens, [["text"] * len(row) for row in tokens], INSTRUCTIONS[:2])
    for k, name in enumerate("AB"):
        said = re.search(rf"Most similar under {name}: (\S+) and (\S+) \((-?\d\.\d{{3}})\)", panels.alt)
        words = [token.removeprefix("▁") for token in tokens[k]]
        cells = drawn(panels, k)
        assert cells[words.index(said[1]), words.index(said[2])] == np.nanmax(cells)
        assert np.nanmax(cells) == pytest.approx(value(said[3]), abs=6e-4)
