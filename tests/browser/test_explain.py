"""Explain on the page: the ledger opens from a cell, its sum is the cosine, and every question gets an answer."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from instructor_core import InstructorModel
from instructor_core.ui.examples import load_examples
from tests.browser.conftest import FINGER
from tests.browser.reading import (
    CELL_AT,
    choose,
    cosine_matrices,
    cosines,
    drawn,
    how_it_is_drawn,
    is_narrow,
    matrices,
    open_tab,
)

pytestmark = pytest.mark.browser

FIRST = load_examples()[0]


def headline(page: Page) -> str:
    return page.locator("#explain-sentences p").inner_text()


def ledger_sums(page: Page, count: int) -> list[float]:
    """The sum of the terms that each ledger heatmap holds."""
    return [float(matrix.sum()) for matrix in matrices(page, count, "explain-plots")]


def test_a_clicked_cell_opens_the_ledger_whose_terms_add_up_to_its_cosine(page: Page, mini: InstructorModel) -> None:
    shown = cosine_matrices(page, 2)
    x, y = page.evaluate(CELL_AT, [1, 4, 9])  # panel B, text 5 x text 10
    page.mouse.click(x, y)
    expect(page.locator("#why-card h3")).to_contain_text("Why texts 5 and 10 ")
    page.locator("#why-pair").click()
    expected = cosines(mini, FIRST.instructions[1], FIRST.texts)[4, 9]
    assert shown[1][4, 9] == pytest.approx(expected, abs=1e-3)
    expect(page.locator("#explain-sentences p")).to_contain_text(f"add up to {expected:.3f}")
    assert ledger_sums(page, 1)[0] == pytest.approx(expected, abs=5e-3)  # what a pixel shows is rounded per term

    with how_it_is_drawn(page):
        choose(page, page.get_by_label("under", exact=True), "A ·")
    other = cosines(mini, FIRST.instructions[0], FIRST.texts)[4, 9]
    expect(page.locator("#explain-sentences p")).to_contain_text(f"add up to {other:.3f}")


def test_words_and_tokens_tell_the_same_sum(page: Page) -> None:
    open_tab(page, "Why")
    drawn(page, "explain-plots", 3)
    by_word = headline(page)
    with how_it_is_drawn(page):
        page.get_by_role("radio", name="tokens", exact=True).check()
    expect(page.locator("#explain-sentences p")).not_to_have_text(by_word)
    sums = [re.findall(r"-?\d\.\d{3}", text)[:2] for text in (by_word, headline(page))]
    assert sums[0] == sums[1]
    assert sums[0][0] == sums[0][1]


@pytest.mark.parametrize(
    ("question", "figures", "word"),
    [
        ("drop or delete a word", 1, "Cosine"),
        ("what the instruction moved", 1, "From A to B"),
        ("where it enters", 1, "exactly 0"),
        ("similarity by layer", 2, "Layer 0 of 6"),
        ("attention", 2, "attention"),
        ("boundary and pooling", 1, "instruction 8 + text 11"),
    ],
)
def test_every_question_is_answered_in_words_and_figures(page: Page, question: str, figures: int, word: str) -> None:
    open_tab(page, "Why")
    page.get_by_role("radio", name=question).check()
    expect(page.locator("#explain-sentences")).to_contain_text(word, timeout=20_000)
    drawn(page, "explain-plots", figures)
    expect(page.locator("#explain-note p")).not_to_be_empty()


def test_the_embedding_row_is_exactly_zero(page: Page) -> None:
    open_tab(page, "Why")
    page.get_by_role("radio", name="where it enters").check()
    expect(page.locator("#explain-sentences")).to_contain_text("exactly 0", timeout=20_000)
    (values,) = matrices(page, 1, "explain-plots")
    np.testing.assert_array_equal(values[0], 0)
    assert values[1:].max() > 0.1


def test_the_last_layer_reads_out_to_the_similarity_itself(page: Page, mini: InstructorModel) -> None:
    open_tab(page, "Why")
    page.get_by_role("radio", name="similarity by layer").check()
    expect(page.locator("#explain-sentences")).to_contain_text("Layer 0 of 6", timeout=20_000)
    first, last = matrices(page, 2, "explain-plots")
    np.testing.assert_allclose(last, cosines(mini, FIRST.instructions[0], FIRST.texts), atol=1e-3)
    assert np.abs(first - last).max() > 0.05


def test_the_selection_follows_from_list_to_explain_by_keyboard(page: Page) -> None:
    open_tab(page, "Why")
    drawn(page, "explain-plots", 3)
    page.locator("#text-list [data-item='0']").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#explain-rows")).to_contain_text("always stale and awful", timeout=10_000)


@pytest.mark.parametrize("page", [FINGER], indirect=True)
def test_a_phone_shows_the_ledger_without_scrolling_sideways(page: Page) -> None:
    open_tab(page, "Why")
    drawn(page, "explain-plots", 3)
    assert is_narrow(page)


def test_going_down_to_one_instruction_keeps_every_menu_usable(page: Page) -> None:
    for name in ("Test", "Why"):
        open_tab(page, name)
    drawn(page, "explain-plots", 3)
    page.locator("#remove-1").click()
    drawn(page, "explain-plots", 1)
    open_tab(page, "Test")
    expect(page.locator("#lab-findings")).to_contain_text("the one tried", timeout=40_000)
    open_tab(page, "Matrix")
    drawn(page, "similarity-plots", 1)
