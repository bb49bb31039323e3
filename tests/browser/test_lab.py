"""Test on the page: from labelled texts to a defensible choice of instruction."""

import re

from playwright.sync_api import Locator, Page, expect

from instructor_core.analysis.decision import lead_needed
from instructor_core.analysis.suggest import load_builder
from instructor_core.ui.data.examples import load_examples
from tests.browser.reading import choose, drawn, instruction, open_tab, texts

N_TASKS = 1 + len({entry.axis for entry in load_builder().objectives if entry.mini})
N_WORDINGS = 5 * N_TASKS


def run_leaderboard(page: Page) -> None:
    open_tab(page, "Test")
    expect(page.locator("#lab-findings")).to_contain_text("Use ")


def open_fold(page: Page, name: str) -> None:
    """Opens a fold; what stands in a closed one is not on the page."""
    button = page.locator(f"#{name} button").first
    if "open" not in str(button.get_attribute("class")).split():
        button.click()


def rows(page: Page) -> Locator:
    """The table of all rows, opened."""
    open_fold(page, "lab-table-fold")
    return page.locator("#lab-table")


def open_row(page: Page, name: str) -> None:
    rows(page).get_by_role("button", name=name, exact=True).click()


def test_the_leaderboard_names_the_sentiment_instruction_and_compares_with_controls(page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    run_leaderboard(page)
    expect(page.locator("#lab-findings")).to_have_css("opacity", "1")
    for stop, answer in (("lab-stop", "#lab-findings"), ("closer-stop", "#closer-findings")):  # while another is made
        page.evaluate("id => document.querySelector('#tab-lab').append(Object.assign(new Image(), { id }))", stop)
        expect(page.locator(answer)).to_have_css("opacity", "0.55")
        page.evaluate("id => document.getElementById(id).remove()", stop)
    findings = page.locator("#lab-findings")
    expect(findings).to_contain_text('Use "Represent the review for classifying the sentiment:": ')
    expect(findings).to_contain_text("on texts that took no part in choosing it")
    table = rows(page)
    for control in ("empty", "shuffled", "unrelated"):
        expect(table).to_contain_text(control)
    expect(page.locator("#lab-stop")).to_be_hidden()
    drawn(page, "lab-plots", 1)
    box = page.locator("#lab-plots .js-plotly-plot").bounding_box()
    assert box is not None and box["y"] <= 330
    # What more tries ask for is said before they are made.
    expect(page.locator("#lab-status")).to_contain_text(
        f"the best of {N_WORDINGS} must win at least {lead_needed(N_WORDINGS)} of these 16"
    )
    expect(page.locator("#lab-snippet textarea")).to_have_value(re.compile("InstructorModel"))
    open_row(page, "A")
    expect(page.locator("#closer-plots")).to_contain_text("Labels that A confuses")
    drawn(page, "lab-plots", 1)


def test_an_added_candidate_is_compared_and_the_matrix_of_the_decision_is_one_click_away(page: Page) -> None:
    run_leaderboard(page)
    open_fold(page, "lab-candidates")
    field = page.get_by_role("textbox", name="More candidates")
    page.locator("#suggest").click()
    expect(field).to_have_value("Represent the review for clustering by topic:")
    expect(rows(page)).to_contain_text("clustering by topic")
    field.fill("Tell apart happy and unhappy customers:")
    field.blur()
    expect(rows(page)).to_contain_text("Tell apart happy and unhappy customers:")
    open_row(page, "C")
    expect(page.locator("#closer-plots")).to_contain_text("Labels that C confuses")
    page.locator("#open-instruction").click()
    drawn(page, "similarity-plots", 2)
    expect(instruction(page, 1)).to_have_value("Represent the review for classifying the sentiment:")


def test_without_labels_nothing_is_offered_to_be_tried_and_a_misspelt_one_is_merged_by_a_click(page: Page) -> None:
    open_tab(page, "Test")
    expect(page.locator("#try-wordings")).to_be_visible()
    texts(page).fill("good\nbad\nfine")
    expect(page.locator("#lab-findings")).to_contain_text("No decision without labels")
    expect(page.locator("#try-wordings")).to_be_hidden()
    example = load_examples()[0]
    labels = ["Positive", *(example.labels or ())[1:]]
    texts(page).fill("\n".join(map("\t".join, zip(example.texts, labels, strict=True))))
    expect(page.locator("#try-wordings")).to_be_visible()
    expect(page.locator("#lab-reasons")).to_contain_text("1 label with one text (Positive)")
    page.locator("#lab-merges").get_by_text("merge Positive (1) into positive").click()
    expect(page.locator("#summary")).to_contain_text("2 labels")
    expect(page.locator("#lab-merges button")).to_have_count(0)


def test_every_experiment_answers_in_words_and_figures(page: Page) -> None:
    open_tab(page, "Test")
    for question, finding in (
        ("How sure are the scores", "Use "),
        ("Does each instruction serve", "in the right order under both"),
        ("Which words of an instruction", "matters most"),
        ("How much of the embeddings", "interaction"),
        ("Which texts change sides", "triplets"),
        ("How do the neighbours", "Neighbours of text 1"),
        ("How does the map move", "nearest neighbours"),
        ("Does a search find", "1 query under A"),
    ):
        choose(page, page.locator("#lab-question input"), question)
        expect(page.locator("#closer-findings")).to_contain_text(finding)
        page.wait_for_function("document.querySelectorAll('#closer-plots .js-plotly-plot').length > 0")
        expect(page.locator("#closer-note p")).not_to_be_empty()
