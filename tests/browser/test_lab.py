"""The Lab on the page: from labelled texts to a defensible choice of instruction."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from instructor_core.ui.examples import load_examples
from tests.browser.reading import drawn, instruction, open_panel, open_tab, texts

pytestmark = pytest.mark.browser


def run_leaderboard(page: Page) -> None:
    open_tab(page, "Test")
    expect(page.locator("#lab-findings")).to_contain_text("Use ", timeout=40_000)


def test_the_leaderboard_names_the_sentiment_instruction_and_compares_with_controls(page: Page) -> None:
    run_leaderboard(page)
    findings = page.locator("#lab-findings")
    expect(findings).to_contain_text('Use "Represent the review for classifying the sentiment:": ')
    expect(findings).to_contain_text("on texts that took no part in choosing it")
    table = page.locator("#lab-table")
    for control in ("empty", "shuffled", "unrelated"):
        expect(table).to_contain_text(control)
    drawn(page, "lab-plots", 5)
    expect(page.locator("#lab-snippet")).to_contain_text("InstructorModel")
    table.get_by_text("Represent the review for classifying the topic:").first.click()
    expect(page.locator("#lab-plots")).to_contain_text("Labels that A confuses", timeout=20_000)
    page.locator("#all-rows").click()
    drawn(page, "lab-plots", 5)


def test_an_added_candidate_is_compared_and_its_matrix_is_one_click_away(page: Page) -> None:
    run_leaderboard(page)
    field = page.get_by_role("textbox", name="More candidates")
    field.fill("Tell apart happy and unhappy customers:")
    field.blur()
    expect(page.locator("#lab-table")).to_contain_text("Tell apart happy and unhappy customers:", timeout=40_000)
    page.locator("#lab-table").get_by_text("Tell apart happy and unhappy customers:").first.click()
    expect(page.locator("#lab-plots")).to_contain_text("Labels that C confuses", timeout=20_000)
    page.locator("#open-instruction").click()
    expect(instruction(page, 2)).to_have_value("Tell apart happy and unhappy customers:")
    # The leaderboard has embedded the candidate already, and nothing else is new.
    expect(page.locator("#status")).to_contain_text("48 pairs · 0 new", timeout=60_000)
    drawn(page, "similarity-plots", 3)
    open_tab(page, "Map")
    drawn(page, "map-plots", 3)


def test_a_labelled_file_leads_to_a_verdict_and_a_snippet(page: Page, tmp_path: Path) -> None:
    example = load_examples()[-1]
    table = tmp_path / "feelings.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("remark", "feeling"), *zip(example.texts, example.labels or (), strict=True)])
    open_panel(page, "texts")
    page.locator("#upload-file input[type=file]").set_input_files(table)
    expect(page.locator("#upload-preview")).to_contain_text("feeling")
    page.locator("#upload-use").click()
    expect(page.locator("#text-list [data-item='0']")).to_contain_text(example.texts[0], timeout=30_000)
    open_tab(page, "Test")
    use = 'Use "Represent the text for classifying the feeling:": '  # proposed from the columns
    expect(page.locator("#lab-findings")).to_contain_text(use, timeout=40_000)
    expect(page.locator("#lab-snippet")).to_contain_text("classifying the feeling")


def test_too_few_texts_are_refused_with_both_numbers_and_nothing_is_lost(page: Page) -> None:
    texts(page).fill("good\tyes\nbad\tno\nfine\tyes")
    expect(page.locator("#summary")).to_contain_text("3 texts")
    open_tab(page, "Test")
    expect(page.locator("#lab-note")).to_contain_text("8", timeout=20_000)
    expect(page.locator("#lab-note")).to_contain_text("3")
    expect(page.locator("#texts textarea")).to_have_value("good\tyes\nbad\tno\nfine\tyes")


def test_every_experiment_answers_in_words_and_figures(page: Page) -> None:
    open_tab(page, "Test")
    for question, finding in (
        ("label columns", "2 instructions × 1 label column"),
        ("words", "matters most"),
        ("variance", "interaction"),
        ("flips", "triplets"),
        ("neighbours", "Neighbours of text 1"),
        ("morph", "nearest neighbours"),
        ("retrieve", "1 query under A"),
    ):
        page.locator("#lab-question").get_by_role("radio", name=question, exact=True).check()
        expect(page.locator("#lab-findings")).to_contain_text(finding, timeout=60_000)
        page.wait_for_function("document.querySelectorAll('#lab-plots .js-plotly-plot').length > 0")
        expect(page.locator("#lab-note p")).not_to_be_empty()


def test_suggestions_come_from_the_template(page: Page) -> None:
    open_tab(page, "Test")
    page.get_by_text("suggest candidates").click()
    page.locator("#suggest").click()
    expect(page.get_by_role("textbox", name="More candidates")).to_have_value(
        "Represent the review for clustering by topic:"
    )
    expect(page.locator("#lab-table")).to_contain_text("clustering by topic", timeout=40_000)
