"""The page as a visitor finds it: figures at once, views and options that show the same run, any screen, any input."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from instructor_core import InstructorModel
from instructor_core.ui.data.examples import load_examples
from tests.browser.conftest import DARK, FINGER, PHONE, Screen
from tests.browser.reading import (
    at_rest,
    cell_at,
    choose,
    cosine_matrices,
    cosines,
    drawn,
    embed,
    how_it_is_drawn,
    instruction,
    is_narrow,
    matrices,
    open_tab,
    point_at,
    selected_texts,
    status,
    traces,
)

EXAMPLES = load_examples()
FIRST = EXAMPLES[0]
K, N = len(FIRST.instructions), len(FIRST.texts)
VIEWS = {"Map": "map-plots", "Matrix": "similarity-plots", "Nearest": "nearest-plots", "Tokens": "token-plots"}


@pytest.fixture(scope="module")
def truth(mini: InstructorModel) -> list[np.ndarray]:
    """The cosines of the first example, one matrix per instruction."""
    return [cosines(mini, instruction, FIRST.texts) for instruction in FIRST.instructions]


def expect_pair(page: Page, truth: list[np.ndarray], row: int, column: int) -> None:
    """Drawer, list and why card are about two texts of the first example."""
    expect(page.locator("#why-card h3")).to_contain_text(f"Why texts {row + 1} and {column + 1} ")
    assert selected_texts(page) == [row, column]
    said = [float(cosine) for cosine in page.locator("#why-card b").all_inner_texts()]
    assert said == pytest.approx([matrix[row, column] for matrix in truth], abs=1e-3)
    expect(page.locator("#text-list .ic-selected")).to_have_count(2)
    marked = page.locator("#text-list .ic-selected").evaluate_all("nodes => nodes.map(node => +node.dataset.item)")
    assert marked == sorted([row, column])


def test_the_first_example_is_there_with_true_values_before_anything_is_touched(page: Page, truth: list[np.ndarray]):
    drawn(page, "map-plots", K)
    expect(page.get_by_role("tab", selected=True)).to_have_text("Map")
    expect_pair(page, truth, *FIRST.selected)
    rows = page.locator("#text-list [data-item]")
    expect(rows).to_have_count(N)
    expect(rows.nth(3)).to_contain_text(FIRST.texts[3])
    nearest = [np.where(np.eye(N, dtype=bool), -2, matrix).argmax(axis=1) for matrix in truth]
    changed = int((nearest[0] != nearest[1]).sum())
    assert changed > N / 2  # what the example is for
    expect(page.locator("#nearest-line")).to_contain_text(f"{changed} of {N} texts have another nearest text under B")
    expect(page.locator("#update")).to_be_hidden()
    for matrix, expected in zip(cosine_matrices(page, K), truth, strict=True):
        np.testing.assert_allclose(matrix, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("page", "top"), [(Screen(1440, 900), 330), (PHONE, 420)], indirect=["page"], ids=["desktop", "phone"]
)
def test_the_first_screen_holds_the_figure(page: Page, top: int, screenshot: Callable[..., Path]):
    figure = drawn(page, "map-plots", K).first
    expect(page.locator(".ic-fingerprint").first).not_to_be_empty()
    box = page.locator("#map-plots .ic-figure").first.bounding_box()
    screenshot(page, f"page-first-{top}")
    assert box is not None and box["y"] <= top
    expect(figure.get_by_text("1 The soup was")).to_be_visible()
    assert is_narrow(page)


def test_display_options_draw_other_views_of_the_same_run_and_embed_nothing(
    page: Page, mini: InstructorModel, truth: list[np.ndarray]
):
    cosine_matrices(page, K)
    before = status(page).inner_text()
    plot, title = "document.querySelector('#similarity-plots .ic-plot')", page.locator("#similarity-plots h3")
    with how_it_is_drawn(page):
        choose(page, page.get_by_label("Colour scale", exact=True), "cosine, each its own")
        highest = "[...document.querySelectorAll('#similarity-plots .ic-plot')].map(gd => gd.data[0].zmax)"
        page.wait_for_function(f"new Set({highest}).size === 2")
        positive = [i for i, label in enumerate(FIRST.labels or ()) if label == "positive"]
        assert page.evaluate(f"{plot}.data[0].meta.rows.slice(0, 8)") == positive
        choose(page, page.get_by_label("Order of texts", exact=True), "as given")
        page.wait_for_function(f"{plot}.data[0].meta.rows[2] === 2")
        show = page.get_by_label("Show", exact=True)
        choose(page, show, "Difference of two")
        expect(title).to_have_text(["A − B"])
        np.testing.assert_allclose(matrices(page, 1)[0], truth[0] - truth[1], atol=1e-3)
        choose(page, show, "Rows and columns apart")
        expect(title).to_have_text(["Rows under A, columns under B"])
        rows, columns = (
            mini.encode([(one, text) for text in FIRST.texts]).astype(np.float64) for one in FIRST.instructions
        )
        np.testing.assert_allclose(matrices(page, 1)[0], rows @ columns.T, atol=1e-3)
        choose(page, show, "Instruction × instruction")
        expect(title).to_have_text(["Instructions on text 1", f"Instructions, mean over {N} texts"])
        assert [matrix.shape for matrix in matrices(page, 2)] == [(K, K)] * 2
        choose(page, show, "Unrelated sentences")
        expect(page.locator("#similarity-plots")).not_to_contain_text("Instructions on text 1")
    assert status(page).inner_text() == before


def test_the_map_follows_its_options(page: Page):
    drawn(page, "map-plots", K)
    shown = traces(page, "map-plots", "[trace.type, trace.name, trace.x.length]")
    assert shown == [[["scatter", "positive", 8], ["scatter", "negative", 8]]] * K
    expect(page.locator("#map-plots .ic-panel-subtitle").first).to_contain_text("trustworthiness 0.")
    said = page.locator("#map-plots .ic-panel-subtitle").first
    expect(said).to_contain_text(" % of variance")
    with how_it_is_drawn(page):
        page.get_by_role("radio", name="UMAP", exact=True).check()
        expect(said).not_to_contain_text("variance", timeout=90_000)
        page.get_by_role("radio", name="PCA", exact=True).check()
        expect(said).to_contain_text(" % of variance")
        page.get_by_role("radio", name="joint").check()
        ranges = "[...document.querySelectorAll('#map-plots .ic-plot')].map(gd => gd.layout.xaxis.range.join())"
        page.wait_for_function(f"new Set({ranges}).size === 1")
        page.get_by_role("radio", name="3D").check()
        page.wait_for_function(
            "[...document.querySelectorAll('#map-plots .ic-plot')].every(gd => gd.data[0].type === 'scatter3d')"
        )


def test_nearest_and_tokens_follow_the_selected_text(page: Page, truth: list[np.ndarray]):
    open_tab(page, "Nearest")
    drawn(page, "nearest-plots", K)
    page.locator("#text-list [data-item='2']").click()
    alike = np.argsort(-np.where(np.eye(N, dtype=bool), -1, truth[1])[2])
    page.wait_for_function(
        "items => JSON.stringify([...document.querySelectorAll('#nearest-plots .ic-plot')[1].data[0].customdata])"
        ".includes(items)",
        arg=",".join(map(str, alike[:5])),
    )
    page.evaluate(
        "() => new MutationObserver(() => { window.wasDim ||= !!document.querySelector('#why-card .pending'); })"
        ".observe(document.querySelector('#why-card'), { attributes: true, subtree: true })"
    )
    page.locator("#nearest-plots .ic-figure").nth(1).focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#why-card h3")).to_contain_text("Why texts 3 and ")
    page.wait_for_function("window.wasDim")  # what was said of other texts, until it was replaced
    open_tab(page, "Tokens")
    drawn(page, "token-plots", K)
    expect(page.locator("#token-rows .ic-token-row")).to_have_count(K)
    page.locator("#text-list [data-item='8']").click()
    expect(page.locator("#token-rows .ic-token-row").first).to_contain_text("hotel")
    expect(page.locator("#token-rows .ic-panel-subtitle").first).to_have_text(
        re.compile(r"^instruction 8 \+ text \d+ \+")
    )
    assert page.locator("#token-rows .ic-segment-end").count() == K
    with how_it_is_drawn(page):
        page.get_by_role("radio", name="token × token").check()
    page.wait_for_function(
        "[...document.querySelectorAll('#token-plots .ic-plot')]"
        ".every(gd => gd.data[0].z.length === gd.data[0].z[0].length)"
    )


def test_clicks_and_keys_select_two_texts_everywhere_and_the_why_card_answers(page: Page, truth: list[np.ndarray]):
    drawn(page, "map-plots", K)
    for text in (2, 13):
        left, top, _ = point_at(page, 1, text)
        page.mouse.move(left - 3, top)
        page.mouse.move(left, top)
        expect(page.locator(".ic-tooltip")).to_contain_text(FIRST.texts[text])
        page.mouse.click(left, top)
    expect_pair(page, truth, 13, 2)
    expect(page.locator("#map-plots .ic-overlay").nth(0).locator("circle.ic-halo")).to_have_count(2)
    page.locator("#map-plots .ic-figure").first.focus()
    for key in ("End", "Enter", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    expect_pair(page, truth, 14, 15)
    open_tab(page, "Matrix")
    drawn(page, "similarity-plots", K)
    page.mouse.click(*cell_at(page, 1, 6, 10))
    expect_pair(page, truth, 6, 10)
    page.locator("#text-list [data-item='4']").click()
    expect_pair(page, truth, 4, 6)
    page.locator("#text-list [data-item='4']").focus()
    for key in ("ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect_pair(page, truth, 5, 4)


def test_the_why_card_opens_each_of_its_ways_in_place(page: Page):
    drawn(page, "map-plots", K)
    for way, question in (("pair", "why similar"), ("deletion", "drop or delete"), ("divergence", "where it enters")):
        page.locator(f"#why-{way}").click()
        expect(page.get_by_role("tab", selected=True)).to_have_text("Why")
        expect(page.locator("#explain-view").get_by_role("radio", name=question)).to_be_checked()
        expect(page.locator("#explain-sentences p")).not_to_be_empty()
        page.wait_for_function("document.querySelectorAll('#explain-plots .js-plotly-plot').length > 0")
        expect(page.locator("#why-card")).to_be_visible()
        expect(instruction(page, 0)).to_be_visible()
        assert selected_texts(page) == list(FIRST.selected)


def test_every_example_is_drawn_in_every_view(page: Page):
    """Console errors, tracebacks and error toasts fail the test by its fixtures."""
    for example in EXAMPLES[1:]:
        choose(page, page.locator("#example input"), example.title)
        n_pairs = len(example.instructions) * len(example.texts)
        expect(status(page)).to_contain_text(f"{n_pairs} pairs · ")
        expect(page.locator("#example-point")).to_have_text(example.point)
        expect(page.get_by_role("tab", selected=True)).to_have_attribute("data-tab-id", example.tab)
        for tab, view in VIEWS.items():
            open_tab(page, tab)
            drawn(page, view, len(example.instructions))
            page.wait_for_function(  # a title that is shortened keeps the whole in its attribute
                "([view, wanted]) => [...document.querySelectorAll(`#${view} .ic-panel-title`)]"
                ".map(node => node.title || node.textContent).join('|') === wanted",
                arg=[view, "|".join(text.strip() or "(no instruction)" for text in example.instructions)],
            )
            assert is_narrow(page), f"{example.id} on {tab}"
            fits = page.evaluate(
                "view => [...document.querySelectorAll(`#${view} .ic-figure`)]"
                ".every(box => box.querySelector('.svg-container').offsetWidth <= box.clientWidth + 1)",
                view,
            )
            assert fits, f"{example.id}: a figure of {tab} is wider than its panel"


@pytest.mark.parametrize("page", [DARK], indirect=True)
def test_the_dark_page_is_dark_all_over(page: Page, screenshot: Callable[..., Path]):
    drawn(page, "map-plots", K)
    luminance = """node => { const [r, g, b] = getComputedStyle(node).backgroundColor.match(/[\\d.]+/g).map(Number);
      return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255; }"""
    assert page.locator("body").evaluate(luminance) < 0.1
    page.locator("#edit-texts").click()
    for field in page.locator("input[role=combobox]:visible, textarea:visible").all():
        assert field.evaluate(luminance) < 0.2
    ink = page.evaluate("document.querySelector('#map-plots .ic-plot')._fullLayout.font.color")
    assert ink == "#e9eaec"
    for tab, view in VIEWS.items():
        open_tab(page, tab)
        drawn(page, view, K)
        screenshot(page, f"page-{tab.lower()}-dark")


@pytest.mark.parametrize("page", [FINGER], indirect=True)
def test_a_phone_shows_everything_by_tapping_without_scrolling_sideways(
    page: Page, truth: list[np.ndarray], screenshot: Callable[..., Path]
):
    drawn(page, "map-plots", K)
    named, list_of_texts = page.locator("#selection-line p"), page.locator("#text-list")
    for text in (5, 13):
        left, top, _ = point_at(page, 0, text)
        page.touchscreen.tap(left, top)
        expect(named.first).to_contain_text(FIRST.texts[text])
    expect(named.nth(1)).to_contain_text(FIRST.texts[5])
    assert all(row.is_visible() for row in named.all())
    expect(list_of_texts).to_be_hidden()
    page.locator("#sheet-handle").tap()
    expect(list_of_texts).to_be_visible()
    expect_pair(page, truth, 13, 5)
    screenshot(page, "page-sheet-phone")
    page.locator("#sheet-handle").tap()
    expect(list_of_texts).to_be_hidden()
    for tab, view in VIEWS.items():
        open_tab(page, tab)
        figures = drawn(page, view, K)
        assert len({round((figure.bounding_box() or {"x": -1})["x"]) for figure in figures.all()}) == 1
        assert is_narrow(page), tab
        screenshot(page, f"page-{tab.lower()}-phone", full_page=True)
    for tab, view in (("Why", "#explain-plots"), ("Test", "#lab-plots")):
        open_tab(page, tab)
        page.locator(f"{view} .js-plotly-plot").first.wait_for()
        assert is_narrow(page), tab
        screenshot(page, f"page-{tab.lower()}-phone", full_page=True)
    open_tab(page, "Tokens")
    instruction(page, 1).fill("Represent the review for classifying the emotion:")
    embed(page, K * N)
    expect(page.locator("#token-plots .ic-panel-title").nth(1)).to_contain_text("emotion")


def test_matrices_keep_to_their_panels_when_the_window_changes(page: Page) -> None:
    open_tab(page, "Matrix")
    drawn(page, "similarity-plots", 2)
    for width in (1440, 1120):
        before = page.evaluate("document.querySelector('#similarity-plots').clientWidth")
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(f"document.querySelector('#similarity-plots').clientWidth !== {before}")
        script = """() => [...document.querySelectorAll('#similarity-plots .ic-plot')]
          .map(gd => gd._fullLayout.width - gd.clientWidth)"""
        assert max(map(abs, at_rest(page, script))) <= 1
