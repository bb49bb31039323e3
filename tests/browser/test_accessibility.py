"""The page for everyone: axe-core in every place and view, help by one switch, and everything by keyboard alone."""

import re
from collections.abc import Callable
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import FINGER, PHONE, Screen
from tests.browser.reading import choose, drawn, embed, matrices, open_panel, open_tab, selected_texts

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
VIEWS = {
    "Map": "#map-plots .js-plotly-plot",
    "Matrix": "#similarity-plots .js-plotly-plot",
    "Nearest": "#nearest-plots .js-plotly-plot",
    "Tokens": "#token-plots .js-plotly-plot",
    "Why": "#explain-plots .js-plotly-plot",
    "Test": "#lab-plots .js-plotly-plot",
    "Learn": ".ic-lesson-row",
}
WIDE = Screen(1440, 900)
SCREENS = [
    pytest.param(Screen(width, height, dark=dark), id=f"{width}-{'dark' if dark else 'light'}")
    for width, height in ((1440, 900), (390, 844))
    for dark in (False, True)
]
MOST_CONTROLS = 25  # that the keyboard reaches on the first screen
FIND = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ['violations'] });
  return violations.flatMap(rule => rule.nodes.map(node =>
    `${rule.id}: ${node.html.slice(0, 200)} (${node.failureSummary})`));
}"""

WITHOUT_HELP = """() => [...document.querySelectorAll(
    '[data-testid=block-info]:not(.sr-only), .ic-fold > button.label-wrap, .ic-view .ic-plots:has(.ic-panel)')]
  .filter(node => node.getClientRects().length && !node.matches('.ic-explained, :has(.ic-explained)'))
  .map(node => node.outerHTML.slice(0, 99))"""
DIM = "#why-card .pending, #lab-stop, #closer-stop"  # what is about to be replaced
SWITCH = "Explain what is on the page"


def violations(page: Page) -> list[str]:
    """What axe-core finds on the page as it is, one line per element."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    return list(page.evaluate(FIND))


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_in_any_view_and_every_control_has_its_help(
    open_page: Callable[..., Page], screen: Screen
) -> None:
    page = open_page(screen)
    page.get_by_role("button", name=SWITCH).click()
    found = {}

    def look(name: str) -> None:
        page.wait_for_function(f"({WITHOUT_HELP})().length === 0")
        page.wait_for_function(f"!document.querySelector('{DIM}')")
        if lines := violations(page):
            found[name] = lines

    for panel in ("texts", "share"):
        open_panel(page, panel)
        for fold in page.locator(f"#panel-{panel} .ic-fold > button.label-wrap:not(.open)").all():
            fold.click()
        look(panel)
        page.keyboard.press("Escape")
    if screen.width < 900:
        page.locator("#sheet-handle").click()
    page.locator("#edit-texts").click()
    look("texts in their field")
    page.locator("#edit-texts").click()
    if screen.width < 900:
        page.locator("#sheet-handle").click()
    for view, ready in VIEWS.items():
        open_tab(page, view)
        page.locator(ready).first.wait_for(timeout=90_000)
        folds = page.locator(".tabitem:visible .ic-fold > button.label-wrap").all()
        for fold in folds:
            fold.click()
        look(view)
        for fold in folds:
            fold.click()
    page.locator(".ic-lesson-row button").first.click()
    page.locator(".ic-lesson-choice").first.click()
    expect(page.locator(".ic-lesson-verdict")).not_to_be_empty()
    look("a lesson")
    if screen.width > 900:
        page.get_by_role("button", name="Presenter view").click()
        look("presenter view")
    assert found == {}


def test_axe_would_find_what_is_wrong(page: Page) -> None:
    drawn(page, "map-plots", 2)
    page.evaluate("document.querySelector('.ic-main').append(document.createElement('button'))")
    assert any(line.startswith("button-name") for line in violations(page))


# ---- help ------------------------------------------------------------------------------------------------------------


def test_help_is_one_switch_and_explains_by_keyboard_and_pointer(page: Page) -> None:
    open_tab(page, "Matrix")
    matrices(page, 2)
    page.locator("#tab-similarity .ic-drawn > button").click()
    switch, words = page.get_by_role("button", name=SWITCH), page.locator("#ic-tooltip")
    label = page.locator("[data-testid=block-info]", has_text="Colour scale")
    focusable = "document.querySelectorAll('[tabindex=\"0\"]').length"
    before = page.evaluate(focusable)
    expect(page.get_by_text("?", exact=True)).to_have_count(1)
    switch.focus()
    page.keyboard.press("Enter")
    expect(switch).to_have_attribute("aria-pressed", "true")
    label.focus()
    expect(words).to_contain_text("equal colours mean equal cosines")
    expect(words).to_have_attribute("role", "tooltip")
    expect(label).to_have_attribute("aria-describedby", "ic-tooltip")
    page.keyboard.press("Escape")
    expect(words).to_be_hidden()
    page.locator("#tab-similarity .ic-drawn > button").click()
    page.locator("#similarity-plots .ic-panel-title").first.hover()
    expect(words).to_contain_text("Point at a cell")
    page.locator("#tab-similarity .ic-drawn > button").click()
    switch.click()
    expect(words).to_be_hidden()
    expect(page.locator(".ic-explained")).to_have_count(0)
    assert page.evaluate(focusable) == before
    label.hover()
    expect(words).to_be_hidden()


@pytest.mark.parametrize("page", [FINGER], indirect=True)
def test_a_tap_explains_on_a_phone_and_leaves_the_control_alone(page: Page) -> None:
    page.locator("#sheet-handle").tap()
    page.locator("#edit-texts").tap()
    page.get_by_role("button", name=SWITCH).tap()
    label = page.locator("[data-testid=block-info]", has_text="One text per line")
    label.tap()
    words = page.locator("#ic-tooltip")
    expect(words).to_contain_text("Labels colour the maps")
    box = words.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= FINGER.width
    assert page.evaluate("document.activeElement.tagName") != "TEXTAREA"
    page.locator("h1").tap()
    expect(words).to_be_hidden()


# ---- figures in words ------------------------------------------------------------------------------------------------


def test_figures_are_described_by_what_they_show_and_the_words_follow_the_figure(page: Page) -> None:
    open_tab(page, "Matrix")
    page.locator("#tab-similarity .ic-drawn > button").click()
    choose(page, page.get_by_label("Colour scale", exact=True), "cosine, one scale")
    choose(page, page.get_by_label("Order of texts", exact=True), "as given")
    expect(page.locator("#similarity-plots .ic-scale-label")).to_have_text("cosine similarity")
    page.wait_for_function("document.querySelector('#similarity-plots .ic-plot').data[0].meta.rows[2] === 2")
    matrix = matrices(page, 2)[0]
    figure = page.locator("#similarity-plots .ic-figure").first
    described = "node => document.getElementById(node.getAttribute('aria-describedby')).textContent"
    words = str(figure.evaluate(described))
    n = len(matrix)
    high, i, j = max((float(matrix[i][j]), i, j) for i in range(n) for j in range(i + 1, n))
    said = re.search(r"under A text (\d+) and text (\d+) \((-?\d\.\d+)\)", words)
    assert said is not None, words
    assert {int(said[1]), int(said[2])} == {i + 1, j + 1}
    assert float(said[3]) == pytest.approx(high, abs=0.001)
    choose(page, page.get_by_label("Show", exact=True), "Difference of two")
    expect(page.locator("#similarity-plots .ic-panel-title")).to_have_text(["A − B"])
    assert str(page.locator("#similarity-plots .ic-figure").first.evaluate(described)).startswith("Difference A − B")


# ---- keyboard --------------------------------------------------------------------------------------------------------


def test_fields_views_figures_lists_and_menus_are_used_by_keyboard(page: Page) -> None:
    drawn(page, "map-plots", 2)

    def tab_to(what: str) -> None:
        for _ in range(60):
            if page.evaluate("what => document.activeElement.matches(what)", what):
                return
            page.keyboard.press("Tab")
        pytest.fail(f"{what} cannot be reached by Tab")

    tab_to("#instruction-0 textarea")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Represent the review for classifying the emotion:")
    embed(page, 32)
    expect(page.locator("#map-plots .ic-panel-title").first).to_contain_text("emotion")
    tab_to("[role=tab]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    matrices(page, 2)
    tab_to("#similarity-plots .ic-figure")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    rows = page.evaluate("document.querySelector('#similarity-plots .ic-plot').data[0].meta.rows")
    expect(page.locator("#selection-line b").first).to_have_text(str(rows[2] + 1))
    assert selected_texts(page) == [rows[2], rows[1]]
    expect(page.locator("#similarity-plots [aria-live]")).to_contain_text("percentile")
    page.keyboard.press("Escape")
    expect(page.locator(".ic-tooltip")).to_be_hidden()

    page.locator("#text-list [data-item='0']").focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#selection-line b").first).to_have_text("3")

    page.locator("#tab-similarity .ic-drawn > button").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Show", exact=True).focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#similarity-plots .ic-panel-title")).not_to_have_count(2)


FOCUSED = """() => {
  const node = document.activeElement, style = getComputedStyle(node);
  const marked = (s) => (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1) || s.boxShadow !== 'none';
  const around = node.closest('.wrap') ?? node.closest('label');  // a menu has its frame around the field
  return { html: node.outerHTML.slice(0, 120), body: node === document.body, figure: node.matches('.ic-figure'),
    seen: marked(style) || Boolean(around && marked(getComputedStyle(around))) };
}"""

CONTROLS = """() => [...document.querySelectorAll('a[href], button, input, textarea, select, summary, [tabindex]')]
  .filter(node => node.tabIndex >= 0 && !node.disabled && node.checkVisibility({ visibilityProperty: true })
    && node.getBoundingClientRect().top < innerHeight)
  .map(node => node.outerHTML.slice(0, 90))"""


@pytest.mark.parametrize("page", [WIDE, PHONE], indirect=True)
def test_the_keyboard_skips_to_the_figures_or_passes_few_controls_and_is_always_seen(page: Page) -> None:
    drawn(page, "map-plots", 2)
    page.locator(".ic-fingerprint").first.wait_for()  # the last to come
    page.keyboard.press("Tab")
    assert "ic-skip" in page.evaluate(FOCUSED)["html"]
    skip, *controls = page.evaluate(CONTROLS)  # from the first key on a row of buttons is one stop
    assert "ic-skip" in skip and 10 <= len(controls) <= MOST_CONTROLS, controls
    for _ in range(len(controls) + 10):
        now = page.evaluate(FOCUSED)
        if now["body"]:
            break
        assert now["seen"], f"no visible focus: {now['html']}"
        page.keyboard.press("Tab")
    page.locator(".ic-skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate(FOCUSED)["figure"]
