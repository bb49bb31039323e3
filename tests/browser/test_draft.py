"""What was typed outlives a reload of the page; a new page starts afresh."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Problems
from tests.browser.reading import choose, drawn, how_it_is_drawn, open_tab, texts, wait_for_size

# What the page does when it is left, and what it keeps then of how it shows its run.
LEAVE = "dispatchEvent(new Event('pagehide'))"
KEPT = "JSON.parse(sessionStorage.getItem('instructor:draft')).scene"
TEXTS = "A text of my own.\nAnother one\tlabel"


def test_a_page_that_is_reloaded_comes_back_as_it_was_and_a_new_one_starts_afresh(
    page: Page, open_page: Callable[..., Page], problems: Problems
) -> None:
    problems.allow("AbortError|Connection errored out|Connection to the server")  # Gradio's, where a reload cuts it off
    first = page.locator("#texts textarea").input_value()
    page.reload()
    drawn(page, "map-plots", 2)
    assert page.evaluate("InstructorShell.recall('sessionStorage', 'instructor:draft')") is None  # nothing was touched
    open_tab(page, "Matrix")
    wait_for_size(page, 2, 16)
    with how_it_is_drawn(page):
        choose(page, page.get_by_label("Order of texts", exact=True), "clustered under A")
    texts(page).fill(TEXTS)
    page.wait_for_function(f"{LEAVE}; {KEPT}?.options['similarity.order'] === 'clustered'")
    page.reload()
    expect(page.locator("#texts textarea")).to_have_value(TEXTS)
    expect(page.get_by_role("tab", name="Matrix", exact=True)).to_have_attribute("aria-selected", "true")
    wait_for_size(page, 2, 2)
    with how_it_is_drawn(page):
        expect(page.get_by_label("Order of texts", exact=True)).to_have_value("clustered under A")
    expect(open_page().locator("#texts textarea")).to_have_value(first)
