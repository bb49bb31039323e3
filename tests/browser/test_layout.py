"""How the page is laid out: nothing lies on anything, panels stand in line, and fill the room that they have."""

from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Screen
from tests.browser.reading import at_rest, drawn, embed, how_it_is_drawn, instruction, open_panel, open_tab, texts

LONG = "Represent the review of a customer for classifying what it is that the customer talks about most of all:"
VIEWS = {
    **{"Map": "map-plots", "Matrix": "similarity-plots", "Nearest": "nearest-plots", "Tokens": "token-plots"},
    **{"Why": "explain-plots", "Test": "lab-plots"},
}
# Pairs of words of the canvas, on screen at once, that cover each other. Pieces of one chart's own words are Plotly's.
COVERED = """() => {
  const cut = node => {
    const seen = {left: 0, top: 0, right: innerWidth, bottom: Infinity};
    for (let parent = node; parent; parent = parent.parentElement) {
      if (parent.tagName === 'HTML' || getComputedStyle(parent).overflow === 'visible') continue;
      const box = parent.getBoundingClientRect();
      for (const side of ['left', 'top']) seen[side] = Math.max(seen[side], box[side]);
      for (const side of ['right', 'bottom']) seen[side] = Math.min(seen[side], box[side]);
    }
    return seen;
  };
  const words = [], walker = document.createTreeWalker(document.querySelector('#figures'), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement, range = document.createRange();
    if (!node.data.trim() || !parent.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      const seen = cut(parent), left = Math.max(box.left, seen.left), right = Math.min(box.right, seen.right);
      const top = Math.max(box.top, seen.top), bottom = Math.min(box.bottom, seen.bottom);
      if (right - left > 2 && bottom - top > 4) words.push({left, right, top, bottom, node});
    }
  }
  return words.flatMap((one, i) => words.slice(i + 1).filter(other => other.node !== one.node
    && Math.min(one.right, other.right) - Math.max(one.left, other.left) > 3
    && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 6
  ).map(other => `${one.node.data.trim()} | ${other.node.data.trim()}`));
}"""
# Top of each figure and of the names over it, and the size of each figure, of one view.
BOXES = """view => [...document.querySelectorAll(`#${view} .ic-figure`)].map(node => node.getBoundingClientRect())
  .flatMap(({left, top, width, height}) => [left, top, width, height].map(Math.round))"""


def figures(page: Page, view: str) -> list[tuple[int, ...]]:
    """Left, top, width and height of each figure of a view, once they stay as they are."""
    flat = [int(value) for value in at_rest(page, BOXES, view)]
    return [tuple(flat[i : i + 4]) for i in range(0, len(flat), 4)]


@pytest.mark.parametrize(
    "page", [Screen(1440, 900), Screen(1280, 720), PHONE], indirect=True, ids=["1440", "1280", "phone"]
)
def test_no_words_of_any_view_cover_each_other_and_panels_of_a_row_stand_in_line(page: Page):
    instruction(page, 0).fill(LONG)  # takes more lines over its figure than the other
    embed(page, 32)
    for name, view in VIEWS.items():
        open_tab(page, name)
        page.locator(f"#{view} .js-plotly-plot").first.wait_for()
        boxes = figures(page, view)
        assert not (covered := page.evaluate(COVERED)), (name, covered)
        for first, second in pairwise(boxes):
            assert first[1] == second[1] or first[1] + first[3] <= second[1], (name, boxes)
    expect(page.locator("#stop")).to_be_hidden()  # nothing runs
    expect(page.locator("#lab-stop")).to_be_hidden()


@pytest.mark.parametrize("page", [Screen(1440, 900)], indirect=True)
def test_figures_of_few_texts_and_maps_with_shared_axes_use_their_room(page: Page):
    panel = "document.querySelector('#{} .ic-panel').getBoundingClientRect().width"
    drawn(page, "map-plots", 2)
    with how_it_is_drawn(page):
        page.get_by_role("radio", name="joint").check()
        ranges = "[...document.querySelectorAll('#map-plots .ic-plot')].map(gd => gd.layout.xaxis.range.join())"
        page.wait_for_function(f"new Set({ranges}).size === 1")
        for _, _, width, height in figures(page, "map-plots"):
            assert width > 400 and height > 300
    texts(page).fill("A warm soup.\nA cold soup.\nA dull film.\nA bright film.")
    embed(page, 8)
    open_tab(page, "Matrix")
    for _, _, width, height in figures(page, "similarity-plots"):
        assert min(width, height) > 0.8 * page.evaluate(panel.format("similarity-plots"))


@pytest.mark.parametrize("page", [Screen(1440, 900)], indirect=True)
def test_tools_of_a_figure_leave_its_name_free_and_a_menu_has_one_frame(page: Page):
    figure = drawn(page, "map-plots", 2).first
    figure.hover()
    bar, name = page.locator("#map-plots .modebar").first, page.locator("#map-plots h3").first
    expect(bar).to_be_visible()
    tools, words = bar.bounding_box(), name.bounding_box()
    assert tools is not None and words is not None and tools["y"] >= words["y"] + words["height"]
    menu = page.get_by_label("Example", exact=True)
    menu.focus()
    framed = menu.evaluate(
        """node => { let framed = 0;
          for (let box = node; box && box.id !== 'example'; box = box.parentElement) {
            const {outlineStyle, boxShadow, borderTopWidth} = getComputedStyle(box);
            framed += outlineStyle !== 'none' || boxShadow !== 'none' || borderTopWidth !== '0px';
          }
          return framed; }"""
    )
    assert framed == 1


def test_places_are_in_the_header_and_a_view_that_is_chosen_right_after_one_stays_in_front(page: Page):
    page.locator("#test-it").click()  # the bottom line leads to the test
    expect(page.locator("#lab-question")).to_be_visible()
    expect(page.locator("[role=tab]:visible")).to_have_count(0)
    page.locator("#lab-plots .js-plotly-plot").first.wait_for()
    open_tab(page, "Learn")
    expect(page.locator(".ic-lesson-row").first).to_be_visible()
    expect(page.locator(".ic-inputs")).to_be_hidden()
    page.locator("#place-look").click()
    page.get_by_role("tab", name="Nearest", exact=True).click()
    drawn(page, "nearest-plots", 2)
    expect(page.get_by_role("tab", selected=True)).to_have_text("Nearest")
    expect(page.locator("[role=tab]:visible")).to_have_text(["Map", "Matrix", "Nearest", "Tokens", "Why"])
    open_panel(page, "share")
    expect(page.locator("#link-url")).to_be_hidden()  # no link was made yet
    panel = page.locator("#panel-share").bounding_box()
    assert panel is not None and panel["x"] >= 0 and panel["x"] + panel["width"] <= 1280
