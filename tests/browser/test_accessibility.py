"""The page for everyone: axe-core on every tab, help by one switch, and everything by keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import FINGER, Problems, Screen
from tests.browser.reading import choose, drawn, matrices, open_tab

pytestmark = pytest.mark.browser

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
TABS = {
    "Similarity": "#similarity-plots .js-plotly-plot",
    "Map": "#map-plots .js-plotly-plot",
    "Tokens": "#token-plots .js-plotly-plot",
    "Explain": "#explain-plots .js-plotly-plot",
    "Lab": "#lab-plots .js-plotly-plot",
    "Learn": ".ic-lesson-row",
}
SCREENS = [
    pytest.param(Screen(width, height, dark=dark), id=f"{width}-{'dark' if dark else 'light'}")
    for width, height in ((1440, 900), (390, 844))
    for dark in (False, True)
]
# What Gradio's own elements bring, as (rule, what the element matches). An element that is ours is never let off.
GRADIOS_OWN = [
    ("scrollable-region-focusable", ".cm-scroller"),  # the scrolling box of its code view takes no focus
]
FIND = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ['violations'] });
  return violations.flatMap(rule => rule.nodes.map(node => {
    const element = document.querySelector(node.target[0]);
    return { rule: rule.id, html: node.html.slice(0, 200), why: node.failureSummary,
      gradios: GRADIOS_OWN.some(([id, own]) => id === rule.id && element?.matches(own)) };
  })).filter(found => !found.gradios).map(found => `${found.rule}: ${found.html} (${found.why})`);
}"""

WITHOUT_HELP = """() => [...document.querySelectorAll(
    '[data-testid=block-info]:not(.sr-only), .ic-fold > button.label-wrap, .ic-view .ic-plots')]
  .filter(node => node.getClientRects().length && !node.matches('.ic-explained, :has(.ic-explained)'))
  .map(node => node.outerHTML.slice(0, 99))"""
SWITCH = "Explain what is on the page"


def violations(page: Page) -> list[str]:
    """What axe-core finds on the page as it is, one line per element."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    own = "[" + ",".join(f"[{rule!r}, {selector!r}]" for rule, selector in GRADIOS_OWN) + "]"
    return list(page.evaluate(FIND.replace("GRADIOS_OWN", own)))


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_on_any_tab_and_every_control_has_its_help(
    open_page: Callable[..., Page], screen: Screen
) -> None:
    page = open_page(screen)
    page.get_by_role("button", name=SWITCH).click()
    if screen.width < 900:
        page.get_by_role("button", name="Inputs").click()
    for fold in page.locator(".ic-inputs .ic-fold > button.label-wrap").all():
        fold.click()
    found = {}
    for tab, ready in TABS.items():
        open_tab(page, tab)
        page.locator(ready).first.wait_for(timeout=90_000)  # a first map compiles UMAP
        for fold in page.locator(".tabitem:visible .ic-fold > button.label-wrap").all():
            fold.click()
        page.wait_for_function(f"({WITHOUT_HELP})().length === 0")
        if lines := violations(page):
            found[tab] = lines
    page.locator(".ic-lesson-row button").first.click()
    page.locator(".ic-lesson-choice").first.click()
    expect(page.locator(".ic-lesson-verdict")).not_to_be_empty()
    page.get_by_role("button", name="Presenter view").click()
    if lines := violations(page):
        found["presenter view"] = lines
    assert found == {}


def test_axe_would_find_what_is_wrong(page: Page) -> None:
    matrices(page, 3)
    page.evaluate("document.querySelector('.ic-main').append(document.createElement('button'))")
    assert any(line.startswith("button-name") for line in violations(page))


# ---- help ------------------------------------------------------------------------------------------------------------


def test_help_is_one_switch_and_explains_by_keyboard_and_pointer(page: Page) -> None:
    matrices(page, 3)
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
    page.locator("#similarity-plots .ic-panel-title").first.hover()
    expect(words).to_contain_text("Point at a cell")
    switch.click()
    expect(words).to_be_hidden()
    expect(page.locator(".ic-explained")).to_have_count(0)
    assert page.evaluate(focusable) == before
    label.hover()
    expect(words).to_be_hidden()


@pytest.mark.parametrize("page", [FINGER], indirect=True)
def test_a_tap_explains_on_a_phone_and_leaves_the_control_alone(page: Page) -> None:
    page.get_by_role("button", name="Inputs").tap()
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
    matrix = matrices(page, 3)[0]
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


def test_a_matrix_is_read_and_used_by_arrow_keys_and_enter(page: Page) -> None:
    matrices(page, 3)
    figure = page.locator("#similarity-plots .ic-figure").first
    figure.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#selection-line")).to_contain_text("text 3")
    expect(page.locator("#selection-line")).to_contain_text("text 2")
    expect(page.locator("#similarity-plots [aria-live]")).to_contain_text("cosine")
    page.keyboard.press("Escape")
    expect(page.locator(".ic-tooltip")).to_be_hidden()


def test_the_list_of_texts_is_used_by_arrow_keys_and_enter(page: Page) -> None:
    matrices(page, 3)
    page.locator("#text-list [data-item='0']").focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#selection-line")).to_contain_text("text 3")


def test_menus_folds_and_tabs_are_used_by_keyboard(page: Page) -> None:
    matrices(page, 3)
    show = page.get_by_label("Show", exact=True)
    show.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#similarity-plots .ic-panel-title")).not_to_have_count(3)
    fold = page.locator("#export > button.label-wrap")
    fold.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#export-download")).to_be_visible()
    page.locator("[role=tab][data-tab-id=tokens]").last.focus()
    page.keyboard.press("Enter")
    drawn(page, "token-plots", 3)
    page.locator("#token-rows .ic-token").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(
        "document.activeElement.matches('#token-rows .ic-token') && document.activeElement.tabIndex === 0"
    )


def test_what_has_the_focus_is_seen(page: Page, problems: Problems) -> None:
    matrices(page, 3)
    seen = """() => {
      const node = document.activeElement, style = getComputedStyle(node);
      const marked = (s) => (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1) || s.boxShadow !== 'none';
      const around = node.closest('label, .wrap-inner, .wrap');
      return [node.outerHTML.slice(0, 120), marked(style) || Boolean(around && marked(getComputedStyle(around)))];
    }"""
    for _ in range(45):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        html, marked = page.evaluate(seen)
        assert marked, f"no visible focus: {html}"
