"""The page as a visitor finds it: figures at once, tabs and options that show the same run, any screen, any input."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from instructor_core import InstructorModel
from instructor_core.ui.examples import load_examples
from tests.browser.conftest import DARK, PHONE
from tests.browser.reading import (
    CELL_AT,
    choose,
    cosines,
    drawn,
    embed,
    instruction,
    is_narrow,
    matrices,
    open_tab,
    status,
    traces,
    wait_for_size,
)

pytestmark = pytest.mark.browser

EXAMPLES = load_examples()
FIRST = EXAMPLES[0]
TABS = {"Similarity": "similarity-plots", "Map": "map-plots", "Tokens": "token-plots"}


def selected_cosines(page: Page) -> list[float]:
    return [float(value) for value in re.findall(r"[A-H]\s(-?\d\.\d{3})", page.locator("#selection-line").inner_text())]


def test_the_first_example_is_drawn_with_true_values_before_anything_is_touched(page: Page, mini: InstructorModel):
    expected = [cosines(mini, instruction, FIRST.texts) for instruction in FIRST.instructions]
    for matrix, truth in zip(matrices(page, len(expected)), expected, strict=True):
        np.testing.assert_allclose(matrix, truth, atol=1e-3)
    assert selected_cosines(page) == pytest.approx([truth[0, 1] for truth in expected], abs=1e-3)
    rows = page.locator("#text-list [data-item]")
    expect(rows).to_have_count(len(FIRST.texts))
    expect(rows.nth(3)).to_contain_text(FIRST.texts[3])


def test_display_options_draw_other_views_of_the_same_run_and_embed_nothing(page: Page, mini: InstructorModel):
    first = [cosines(mini, instruction, FIRST.texts) for instruction in FIRST.instructions]
    matrices(page, 3)
    before = status(page).inner_text()
    page.get_by_role("radio", name="each its own").check()
    page.wait_for_function(
        "new Set([...document.querySelectorAll('#similarity-plots .ic-plot')].map(gd => gd.data[0].zmax)).size === 3"
    )
    page.get_by_role("radio", name="by label").check()
    shown = sorted(range(len(FIRST.texts)), key=lambda i: (FIRST.labels or ())[i] == "negative")
    page.wait_for_function(
        "rows => JSON.stringify(document.querySelector('#similarity-plots .ic-plot').data[0].meta.rows) === rows",
        arg=str(shown).replace(" ", ""),
    )
    np.testing.assert_allclose(matrices(page, 3)[0], first[0][np.ix_(shown, shown)], atol=1e-3)
    page.get_by_role("radio", name="as given").check()
    show = page.get_by_label("Show", exact=True)
    choose(page, show, "Difference of two")
    np.testing.assert_allclose(matrices(page, 1)[0], first[0] - first[1], atol=1e-3)
    choose(page, page.get_by_label("Second (columns)", exact=True), "C ·")
    expect(page.locator("#similarity-plots .ic-panel-title")).to_have_text("A − C")
    np.testing.assert_allclose(matrices(page, 1)[0], first[0] - first[2], atol=1e-3)
    choose(page, show, "Rows and columns apart")
    expect(page.locator("#similarity-plots .ic-panel-title")).to_have_text("Rows under A, columns under C")
    rows, columns = (
        mini.encode([(FIRST.instructions[k], text) for text in FIRST.texts]).astype(np.float64) for k in (0, 2)
    )
    np.testing.assert_allclose(matrices(page, 1)[0], rows @ columns.T, atol=1e-3)
    choose(page, show, "Instruction × instruction")
    titles = page.locator("#similarity-plots .ic-panel-title")
    expect(titles).to_have_text(["Instructions on text 1", "Instructions, mean over 16 texts"])
    assert [matrix.shape for matrix in matrices(page, 2)] == [(3, 3), (3, 3)]
    assert status(page).inner_text() == before


def test_the_map_follows_its_options(page: Page):
    open_tab(page, "Map")
    drawn(page, "map-plots", 3)
    assert (
        traces(page, "map-plots", "[trace.type, trace.name, trace.x.length]")
        == [[["scatter", "positive", 8], ["scatter", "negative", 8]]] * 3
    )
    expect(page.locator("#map-plots .ic-panel-subtitle").first).to_contain_text("trustworthiness 0.")
    page.locator("#map-plots .ic-figure").first.focus()
    for key in ("End", "Enter", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#selection-line")).to_contain_text(re.compile("text 15 .* × text 16 "))
    expect(page.locator("#map-plots .ic-overlay").nth(1).locator("circle.ic-halo")).to_have_count(2)
    expect(page.locator(".ic-tip-note:visible")).to_have_text("negative")
    title = "document.querySelector('#map-plots .ic-plot')._fullLayout.xaxis.title.text"
    page.get_by_role("radio", name="UMAP").check()
    page.wait_for_function(f"{title} === undefined || !/PC/.test({title})")
    page.get_by_role("radio", name="PCA").check()
    page.wait_for_function(f"/PC 1 · \\d+ % of variance/.test({title})")
    page.get_by_role("radio", name="joint").check()
    ranges = "[...document.querySelectorAll('#map-plots .ic-plot')].map(gd => gd.layout.xaxis.range.join())"
    page.wait_for_function(f"new Set({ranges}).size === 1")
    page.get_by_role("radio", name="3D").check()
    page.wait_for_function(
        "[...document.querySelectorAll('#map-plots .ic-plot')].every(gd => gd.data[0].type === 'scatter3d')"
    )


def test_tokens_follow_the_selected_text(page: Page):
    open_tab(page, "Tokens")
    drawn(page, "token-plots", 3)
    expect(page.locator("#token-rows .ic-token-row")).to_have_count(3)
    expect(page.locator("#token-rows .ic-panel-subtitle").first).to_have_text(
        re.compile(r"^instruction 8 \+ text 11 \+ 1 of")
    )
    page.get_by_role("radio", name="token × token").check()
    page.wait_for_function(
        "[...document.querySelectorAll('#token-plots .ic-plot')]"
        ".every(gd => gd.data[0].z.length === gd.data[0].z[0].length)"
    )
    page.locator("#text-list [data-item='8']").click()
    expect(page.locator("#token-rows .ic-token-row").first).to_contain_text("hotel")
    expect(page.get_by_label("Text", exact=True)).to_have_value(re.compile(r"^9 · Our hotel room"))
    assert page.locator("#token-rows .ic-segment-end").count() == 3


def test_only_the_tab_in_front_is_drawn_and_the_others_catch_up(page: Page):
    open_tab(page, "Map")
    drawn(page, "map-plots", 3)
    open_tab(page, "Similarity")
    page.evaluate("window.before = document.querySelector('#map-plots .ic-plot')?.data")
    page.locator("#remove-2").click()
    expect(page.locator("#instruction-2 textarea")).to_have_count(0)
    embed(page, 32)
    wait_for_size(page, 2, 16)
    assert page.evaluate("document.querySelectorAll('#map-plots .ic-plot').length") in (0, 3)
    assert page.evaluate("document.querySelector('#map-plots .ic-plot')?.data === window.before")
    open_tab(page, "Map")
    drawn(page, "map-plots", 2)


def test_a_click_and_keys_select_two_texts_everywhere(page: Page, mini: InstructorModel):
    truth = [cosines(mini, instruction, FIRST.texts) for instruction in FIRST.instructions]
    matrices(page, 3)

    def expect_selected(row: int, column: int) -> None:
        expect(page.locator("#selection-line")).to_contain_text(re.compile(rf"text {row + 1} .* × text {column + 1} "))
        assert selected_cosines(page) == pytest.approx([matrix[row, column] for matrix in truth], abs=1e-3)
        expect(page.locator("#why-card")).to_contain_text(f"Why text {row + 1} and text {column + 1} ")
        marked = page.locator("#text-list .ic-selected")
        expect(marked).to_have_count(2)
        assert {marked.nth(i).get_attribute("data-item") for i in range(2)} == {str(row), str(column)}

    page.mouse.click(*page.evaluate(CELL_AT, [1, 6, 10]))
    expect_selected(6, 10)
    page.locator("#text-list [data-item='4']").click()
    expect_selected(4, 6)
    page.keyboard.press("ArrowDown")
    page.locator("#text-list [data-item='4']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect_selected(5, 4)
    page.locator("#similarity-plots .ic-figure").first.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect_selected(2, 1)


def test_every_example_is_drawn_on_every_tab(page: Page):
    """Console errors, tracebacks and error toasts fail the test by its fixtures."""
    for example in EXAMPLES[1:]:
        choose(page, page.locator("#example input"), example.title)
        n_pairs = len(example.instructions) * len(example.texts)
        expect(status(page)).to_contain_text(f"{n_pairs} pairs · ", timeout=30_000)
        expect(page.locator("#example-point")).to_have_text(example.point)
        expect(page.get_by_role("tab", selected=True)).to_have_text(re.compile(example.tab, re.IGNORECASE))
        for tab, view in TABS.items():
            open_tab(page, tab)
            drawn(page, view, len(example.instructions))
            titles = page.locator(f"#{view} .ic-panel-title")
            expect(titles).to_have_text([text.strip() or "(no instruction)" for text in example.instructions])
            assert is_narrow(page), f"{example.id} on {tab}"
            fits = page.evaluate(
                "view => [...document.querySelectorAll(`#${view} .ic-figure`)]"
                ".every(box => box.querySelector('.svg-container').offsetWidth <= box.clientWidth + 1)",
                view,
            )
            assert fits, f"{example.id}: a figure of {tab} is wider than its panel"


@pytest.mark.parametrize("page", [DARK], indirect=True)
def test_the_dark_page_is_dark_all_over(page: Page, screenshot: Callable[..., Path]):
    matrices(page, 3)
    luminance = """node => { const [r, g, b] = getComputedStyle(node).backgroundColor.match(/[\\d.]+/g).map(Number);
      return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255; }"""
    assert page.locator("body").evaluate(luminance) < 0.1
    for field in page.locator(".ic-main input[role=listbox]:visible, .ic-inputs textarea:visible").all():
        assert field.evaluate(luminance) < 0.2
    ink = page.evaluate("document.querySelector('#similarity-plots .ic-plot')._fullLayout.font.color")
    assert ink == "#e9eaec"
    for tab, view in TABS.items():
        open_tab(page, tab)
        drawn(page, view, 3)
        screenshot(page, f"page-{tab.lower()}-dark")


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_a_phone_shows_everything_without_scrolling_sideways(page: Page, screenshot: Callable[..., Path]):
    fields = page.locator(".ic-inputs")
    expect(fields).to_be_hidden()
    for tab, view in TABS.items():
        open_tab(page, tab)
        figures = drawn(page, view, 3)
        assert len({round((figure.bounding_box() or {"x": -1})["x"]) for figure in figures.all()}) == 1
        assert is_narrow(page), tab
        screenshot(page, f"page-{tab.lower()}-phone", full_page=True)
    page.get_by_role("button", name="Inputs").click()
    expect(fields).to_be_visible()
    assert is_narrow(page)
    screenshot(page, "page-inputs-phone", full_page=True)
    instruction(page, 1).fill("Represent the review for classifying the emotion:")
    embed(page, 48)
    page.get_by_role("button", name="Inputs").click()
    expect(fields).to_be_hidden()
    expect(page.locator("#token-plots .ic-panel-title").nth(1)).to_contain_text("emotion")


def test_a_whole_round_works_by_keyboard(page: Page):
    matrices(page, 3)

    def tab_to(what: str) -> None:
        for _ in range(60):
            if page.evaluate("what => document.activeElement.matches(what)", what):
                return
            page.keyboard.press("Tab")
        pytest.fail(f"{what} cannot be reached by Tab")

    tab_to("#instruction-0 textarea")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Represent the review for classifying the emotion:")
    tab_to("#update")
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text("48 pairs · ")
    expect(page.locator("#similarity-plots .ic-panel-title").first).to_contain_text("emotion")
    tab_to("[role=tab][data-tab-id=map]")
    page.keyboard.press("Enter")
    drawn(page, "map-plots", 3)
    tab_to("#map-plots .ic-figure")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#text-list [data-item='1']")).to_have_class(re.compile("ic-selected"))
