"""Explain on the page: the ledger opens from a cell, its sum is the cosine, and every question gets an answer."""

import pytest
from playwright.sync_api import Page, expect

from instructor_core import InstructorModel
from instructor_core.ui.data.examples import load_examples
from tests.browser.reading import (
    cell_at,
    choose,
    cosine_matrices,
    cosines,
    drawn,
    how_it_is_drawn,
    matrices,
    open_tab,
)

FIRST = load_examples()[0]


def test_a_clicked_cell_opens_the_ledger_whose_terms_add_up_to_its_cosine(page: Page, mini: InstructorModel) -> None:
    shown = cosine_matrices(page, 2)
    page.mouse.click(*cell_at(page, 1, 4, 9))
    expect(page.locator("#why-card h3")).to_contain_text("Why texts 5 and 10 ")
    page.locator("#why-pair").click()
    expected = cosines(mini, FIRST.instructions[1], FIRST.texts)[4, 9]
    assert shown[1][4, 9] == pytest.approx(expected, abs=1e-3)
    sentence = page.locator("#explain-sentences")
    expect(sentence).to_contain_text(f"add up to {expected:.3f}")
    (ledger,) = matrices(page, 1, "explain-plots")
    assert ledger.sum() == pytest.approx(expected, abs=5e-3)  # what a pixel shows is rounded per term
    by_word = sentence.inner_text()
    with how_it_is_drawn(page):
        page.get_by_role("radio", name="tokens", exact=True).check()
        expect(sentence).not_to_have_text(by_word)
        expect(sentence).to_contain_text(f"add up to {expected:.3f}")
        choose(page, page.get_by_label("under", exact=True), "A ·")
    other = cosines(mini, FIRST.instructions[0], FIRST.texts)[4, 9]
    expect(sentence).to_contain_text(f"add up to {other:.3f}")


def test_every_question_is_answered_in_words_and_figures_and_one_instruction_keeps_every_menu_usable(
    page: Page, mini: InstructorModel
) -> None:
    for name in ("Test", "Why"):
        open_tab(page, name)
    for question, figures, words in (
        ("drop or delete a word", 1, "the cosine goes from"),
        ("what the instruction moved", 1, "of the move"),
        ("where it enters", 1, "They start equal, at 0"),
        ("similarity by layer", 2, f"Layer 0 of {mini.n_layers}"),
        ("attention", 2, "attention"),
        ("boundary and pooling", 1, "instruction 8 + text 11"),
        ("why similar", 3, "add up to"),
    ):
        page.locator("#explain-view").get_by_role("radio", name=question).check()
        expect(page.locator("#explain-sentences")).to_contain_text(words)
        drawn(page, "explain-plots", figures)
        expect(page.locator("#explain-note p")).not_to_be_empty()
    page.locator("#remove-1").click()
    drawn(page, "explain-plots", 1)
    open_tab(page, "Test")
    expect(page.locator("#lab-findings")).to_contain_text("the one tried")
    open_tab(page, "Matrix")
    drawn(page, "similarity-plots", 1)
