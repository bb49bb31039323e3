"""The plot view and the token view in a real browser, on the made-up page of components_app.py."""

import json
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect

from tests.browser.components_app import HOSTILE, SENTENCES, N
from tests.browser.conftest import FINGER, MOVING
from tests.browser.reading import POINT_AT, cell_at, point_at
from tests.serving import Server

# The row and the column that are marked in a matrix.
MARK_OF_CELL = """panel => {
  const mark = document.querySelectorAll('#matrices .ic-overlay')[panel].querySelector('rect.ic-at');
  if (!mark) return null;
  const gd = document.querySelectorAll('#matrices .ic-plot')[panel], {xaxis, yaxis} = gd._fullLayout;
  const {left, top} = gd.getBoundingClientRect(), {x, y, width, height} = mark.getBoundingClientRect();
  return [yaxis.p2d(y + height / 2 - top - yaxis._offset), xaxis.p2d(x + width / 2 - left - xaxis._offset)];
}"""


@pytest.fixture
def server(components: Server) -> Server:
    """The page of the components in place of the app."""
    return components


def matrices(page: Page) -> Locator:
    """The figures of the similarity tab, drawn."""
    figures = page.locator("#matrices .ic-figure")
    expect(figures.locator(".main-svg").first).to_be_visible()
    expect(page.locator("#difference .main-svg").first).to_be_visible()
    return figures


def open_tab(page: Page, name: str, ready: str) -> None:
    page.get_by_role("tab", name=name).click()
    expect(page.locator(ready).first).to_be_visible()


def python_got(page: Page, **expected: object) -> None:
    """Waits until the handler in Python has answered with what the event brought it."""
    box = page.locator("#output textarea, #output input").first
    for name, value in expected.items():
        shown = json.dumps({name: value})[1:-1]
        expect(box).to_have_value(re.compile(re.escape(shown)))


def tooltip(page: Page) -> Locator:
    return page.locator(".ic-tooltip")


def drag(page: Page, view: str, share: float) -> None:
    """Drags the mouse over the first figure of a view, from its corner over a share of its sides."""
    area = page.locator(f"{view} .nsewdrag").first
    box = area.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.down()
    page.mouse.move(box["x"] + share * box["width"], box["y"] + share * box["height"], steps=4)
    page.mouse.up()


def test_hovering_a_cell_marks_the_same_cell_everywhere_and_shows_both_texts(page: Page):
    matrices(page)
    page.mouse.move(*cell_at(page, 0, 2, 9, "matrices"))
    expect(tooltip(page)).to_contain_text(SENTENCES[2])
    expect(tooltip(page)).to_contain_text(SENTENCES[9])
    for panel in range(3):
        page.wait_for_function(f"({MARK_OF_CELL})({panel})")
        assert page.evaluate(MARK_OF_CELL, panel) == pytest.approx([2, 9], abs=0.2)
    values = page.evaluate("[...document.querySelectorAll('#matrices .ic-plot')].map(gd => gd.data[0].z[2][9])")
    shown = tooltip(page).locator(".ic-tip-values b").all_text_contents()
    assert shown == [f"{value:.3f}".replace("-", "\u2212") for value in values]
    expect(page.locator(".ic-list .ic-hover")).to_have_count(2)
    page.mouse.move(5, 5)
    expect(tooltip(page)).to_be_hidden()
    expect(page.locator(".ic-list .ic-hover")).to_have_count(0)
    page.locator(".ic-list [data-item='4']").hover()  # and a row of the list marks its text in the figures
    expect(page.locator("#matrices .ic-overlay").first.locator(".ic-line")).to_have_count(2)


def test_zoom_node_and_selection_survive_new_values_and_a_double_click_takes_the_zoom_back(page: Page):
    matrices(page)
    page.mouse.click(*cell_at(page, 0, 1, 2, "matrices"))
    python_got(page, row=1, column=2)
    page.evaluate("window.before = (gd => ({gd, z: gd.data[0].z[0][1]}))(document.querySelector('#matrices .ic-plot'))")
    drag(page, "#matrices", 0.5)
    zoomed = "document.querySelector('#matrices .ic-plot')._fullLayout.xaxis.range"
    page.wait_for_function(f"{zoomed}[1] < {N / 2 + 1}")
    before = page.evaluate(zoomed)
    page.locator("#next").click()
    page.wait_for_function("document.querySelector('#matrices .ic-plot').data[0].z[0][1] !== window.before.z")
    assert page.evaluate("document.querySelector('#matrices .ic-plot') === window.before.gd")
    assert page.evaluate(zoomed) == pytest.approx(before)
    expect(page.locator("#matrices .ic-overlay").first.locator(".ic-chosen")).to_have_count(1)
    page.mouse.dblclick(*cell_at(page, 0, 1, 2, "matrices"))
    page.wait_for_function(f"{zoomed}[1] == {N - 0.5}")


def test_the_dark_switch_redraws_figures_and_scale(page: Page):
    matrices(page)
    middle = "document.querySelector('#difference .ic-plot').data[0].colorscale[5][1]"
    ink = "document.querySelector('#difference .ic-plot')._fullLayout.font.color"
    light = page.evaluate(f"[{middle}, {ink}]")
    page.evaluate("document.body.classList.toggle('dark')")
    page.wait_for_function(f"{ink} !== '{light[1]}'")
    assert page.evaluate(middle) != light[0]
    expect(page.locator("#difference .ic-scale-track")).to_have_css(
        "background-image", re.compile(r"rgb\(38, 41, 46\)")
    )


def test_what_changed_behind_another_tab_is_drawn_when_its_own_comes_back(page: Page):
    matrices(page)
    open_tab(page, "Map", "#bars .main-svg")
    place = "document.querySelector('#maps .ic-plot')._fullData[0].x[0]"
    ink = "document.querySelector('#maps .ic-plot')._fullLayout.font.color"
    before = page.evaluate(f"[{place}, {ink}]")
    page.get_by_role("tab", name="Similarity").click()
    page.locator("#next").click()
    page.wait_for_function("document.querySelector('#maps .ic-plot') && window.Plotly")
    page.evaluate("document.body.classList.toggle('dark')")
    page.wait_for_timeout(500)
    open_tab(page, "Map", "#bars .main-svg")
    page.wait_for_function(f"{place} !== {before[0]} && {ink} !== '{before[1]}'")


def test_numbers_in_cells_can_be_read_on_every_colour_and_no_tool_sends_data_away(page: Page):
    page.set_viewport_size({"width": 1800, "height": 900})
    figure = matrices(page).first
    spoken = f"topic: matrix of {N} rows and {N} columns. Arrow keys move, Enter selects"
    expect(figure).to_have_attribute("aria-label", spoken)
    page.locator("#difference .heatmap-label").first.wait_for()
    inks = page.evaluate("[...document.querySelectorAll('#difference .heatmap-label text')].map(t => t.style.fill)")
    assert len(inks) == 64
    assert set(inks) == {"rgb(0, 0, 0)", "rgb(255, 255, 255)"}
    titles = page.evaluate(
        "[...document.querySelectorAll('#matrices .ic-panel')[0].querySelectorAll('.modebar-btn')]"
        ".map(button => button.dataset.title || button.ariaLabel)"
    )
    assert len(titles) == 3
    assert not [title for title in titles if "hare" in title or "loud" in title or "lotly" in title]


def test_hostile_texts_are_shown_and_never_run(page: Page):
    matrices(page)
    for row in range(N - len(HOSTILE), N):
        page.mouse.move(*cell_at(page, 0, row, row, "matrices"))
        expect(tooltip(page)).to_contain_text(HOSTILE[row - N + len(HOSTILE)])
    open_tab(page, "Map", "#bars .main-svg")
    page.mouse.move(*point_at(page, 0, N - 1, "maps")[:2])
    expect(tooltip(page)).to_contain_text(HOSTILE[-1])
    open_tab(page, "Tokens", "#tokens .ic-token")
    expect(page.locator("#tokens .ic-piece", has_text="onerror=alert(1)>")).to_be_visible()
    assert page.evaluate("window.hit === undefined")
    assert page.locator("img[src='x']").count() == 0


def test_a_click_on_a_point_reaches_python_and_a_box_around_all_marks_them(page: Page):
    matrices(page)
    open_tab(page, "Map", "#maps .main-svg")
    page.locator("#bars .main-svg").first.wait_for()
    page.mouse.click(*point_at(page, 1, 10, "maps")[:2])
    python_got(page, panel="B", instruction=1, kind="points", item=10)
    expect(page.locator("#maps .ic-overlay").first.locator("circle.ic-chosen, circle.ic-at")).to_have_count(1)
    page.evaluate("Plotly.relayout(document.querySelector('#maps .ic-plot'), {dragmode: 'select'})")
    drag(page, "#maps", 0.99)
    expect(page.locator("#maps .ic-overlay").first.locator("circle.ic-chosen")).to_have_count(N)


def test_the_tooltip_of_a_plain_figure_shows_its_lines_literally_and_an_empty_view_says_what_to_do(page: Page):
    matrices(page)
    page.locator("#clear").click()
    expect(page.locator("#matrices .ic-empty")).to_be_visible()
    expect(page.locator("#matrices .ic-panel")).to_have_count(0)
    page.locator("#next").click()
    expect(page.locator("#matrices .main-svg").first).to_be_visible()
    open_tab(page, "Map", "#bars .main-svg")
    page.locator("#bars .ic-plot").scroll_into_view_if_needed()
    page.mouse.move(*cell_at(page, 0, 1, 6, "bars"))
    expect(tooltip(page).locator("p").nth(1)).to_have_text("<i>6</i>")
    assert page.evaluate("document.querySelector('#bars .ic-plot')._transitionData._frames.length") == 2


def test_keys_walk_through_tokens_enter_chooses_one_and_a_long_row_is_folded_until_asked(page: Page):
    open_tab(page, "Tokens", "#tokens .ic-token")
    rows = page.locator("#tokens .ic-token-row")
    assert page.locator("#tokens .ic-token[tabindex='0']").count() == 1
    rows.nth(0).locator(".ic-token").first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    expect(rows.nth(1).locator(".ic-token").nth(1)).to_be_focused()
    expect(tooltip(page)).to_contain_text("▁the")
    page.keyboard.press("Enter")
    python_got(page, row=1, index=1)
    folded = rows.nth(3).bounding_box()
    rows.nth(3).get_by_role("button", name="show all 611 tokens").click()
    expect(rows.nth(3).get_by_role("button", name="show less")).to_have_attribute("aria-expanded", "true")
    unfolded = rows.nth(3).bounding_box()
    assert folded and unfolded and unfolded["height"] > 2 * folded["height"]


@pytest.mark.parametrize("page", [FINGER], indirect=True)
def test_a_tap_names_both_texts_until_the_next_tap_inside_the_window(page: Page):
    figures = matrices(page)
    page.touchscreen.tap(*cell_at(page, 0, 2, 9, "matrices"))
    python_got(page, kind="matrix", row=2, column=9)
    for text in (SENTENCES[2], SENTENCES[9]):
        expect(tooltip(page)).to_contain_text(text)
    page.wait_for_timeout(700)  # longer than the clicks that a browser makes up after a tap
    box = tooltip(page).bounding_box()
    assert box is not None
    assert box["x"] >= 0 and box["x"] + box["width"] <= FINGER.width
    assert box["y"] >= 0 and box["y"] + box["height"] <= FINGER.height
    expect(figures.first.locator("rect.ic-chosen")).to_have_count(1)
    page.touchscreen.tap(*cell_at(page, 0, 4, 6, "matrices"))
    expect(tooltip(page)).to_contain_text(SENTENCES[6])
    python_got(page, kind="matrix", row=4, column=6)
    page.locator("#matrices .ic-scale-label").tap()
    expect(tooltip(page)).to_be_hidden()


@pytest.mark.parametrize("page", [FINGER], indirect=True)
def test_two_taps_on_points_select_a_pair_and_a_tap_on_a_token_tells_of_it(page: Page):
    matrices(page)
    open_tab(page, "Map", "#bars .main-svg")
    for item in (9, 15):  # apart from all others
        page.touchscreen.tap(*point_at(page, 0, item, "maps")[:2])
        expect(tooltip(page)).to_contain_text(SENTENCES[item])
        python_got(page, kind="points", item=item)
    expect(page.locator("#maps .ic-overlay").first.locator("circle.ic-halo")).to_have_count(2)
    open_tab(page, "Tokens", "#tokens .ic-token")
    page.locator("#tokens .ic-token").nth(1).tap()
    python_got(page, row=0, index=1)
    expect(tooltip(page)).to_contain_text("token 2")


HELD = """
window.moves = [];
const animate = Element.prototype.animate;
Element.prototype.animate = function (frames, timing) {
  const move = animate.call(this, frames, {...timing, delay: 1e7});
  window.moves.push(move);
  return move;
};
0"""
SEEN = """panel => {
  const box = document.querySelectorAll('#maps .ic-figure')[panel], origin = box.getBoundingClientRect();
  return [...box.querySelectorAll('.scatterlayer .trace')].flatMap(trace => [...trace.querySelectorAll('.point')].map(
    point => {
      const {x, y, width, height} = point.getBoundingClientRect();
      return [trace.__data__[0].trace.customdata[point.__data__.i],
              x + width / 2 - origin.x, y + height / 2 - origin.y];
    })).sort(([one], [other]) => one - other).map(([_, x, y]) => [x, y]);
}"""


def places(page: Page, panel: int) -> NDArray[np.float64]:
    """(N, 2) px of the points of a map, in the order of the texts, as they are seen now."""
    found = np.array(page.evaluate(SEEN, panel))
    assert found.shape == (N, 2)
    return found


def own_places(page: Page, panel: int) -> NDArray[np.float64]:
    """(N, 2) px of the points of a map by its axes."""
    found = np.array([page.evaluate(POINT_AT, ["maps", panel, item])[:2] for item in range(N)])
    box = page.locator("#maps .ic-figure").nth(panel).bounding_box()
    assert box is not None
    return found - (box["x"], box["y"])


@pytest.mark.parametrize("page", [MOVING], indirect=True)
def test_points_travel_from_the_first_map_at_the_opening_and_from_where_they_were_afterwards(page: Page):
    matrices(page)
    page.evaluate(HELD)
    open_tab(page, "Map", "#bars .main-svg")
    page.wait_for_function("window.moves.length >= 24")
    first, second = own_places(page, 0), own_places(page, 1)
    assert np.abs(first - second).max() > 20
    np.testing.assert_allclose(places(page, 0), first, atol=1.5)
    np.testing.assert_allclose(places(page, 1), first, atol=1.5)
    page.mouse.click(*point_at(page, 1, 10, "maps")[:2])
    python_got(page, panel="B", kind="points", item=10)
    ring = page.locator("#maps .ic-overlay").nth(1).locator("circle.ic-chosen, circle.ic-at").last.bounding_box()
    box = page.locator("#maps .ic-figure").nth(1).bounding_box()
    assert ring and box
    seen = (ring["x"] + ring["width"] / 2 - box["x"], ring["y"] + ring["height"] / 2 - box["y"])
    np.testing.assert_allclose(seen, first[10], atol=1.5)
    page.evaluate("window.moves.splice(0).forEach(move => move.finish())")
    np.testing.assert_allclose(places(page, 1), second, atol=1.5)
    page.locator("#next").click()
    page.wait_for_function("window.moves.length >= 24")
    after = own_places(page, 0)
    assert np.abs(first - after).max() > 20
    np.testing.assert_allclose(places(page, 0), first, atol=1.5)
    np.testing.assert_allclose(places(page, 1), second, atol=1.5)
    page.evaluate("window.moves.splice(0).forEach(move => move.finish())")
    np.testing.assert_allclose(places(page, 0), after, atol=1.5)


def test_points_of_a_visitor_who_asked_for_less_motion_are_simply_there(page: Page):
    matrices(page)
    page.evaluate(HELD)
    open_tab(page, "Map", "#bars .main-svg")
    page.locator("#maps .ic-figure").nth(2).locator(".main-svg").first.wait_for()
    np.testing.assert_allclose(places(page, 1), own_places(page, 1), atol=1.5)
    assert page.evaluate("window.moves.length") == 0
