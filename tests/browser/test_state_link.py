"""A link made on one server sets up the page on another: inputs, selection and the options of the tabs."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DESKTOP
from tests.browser.reading import (
    choose,
    drawn,
    how_it_is_drawn,
    instruction,
    open_panel,
    open_tab,
    texts,
    wait_for_size,
)
from tests.serving import serving

CANDIDATES = "Represent the review for its mood:\nMood:"
SUBJECTS = {"food": ("soup", "bread", "rice", "tea"), "film": ("film", "scene", "actor", "plot")}
TEXTS = [f"The {word} was fine.\t{label}" for label, words in SUBJECTS.items() for word in words]


@pytest.fixture
def elsewhere(tmp_path: Path, browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Opens a path on a server that was started after the link was made and shares nothing with the first one."""
    with serving(tmp_path) as other:
        context = browser.new_context(viewport={"width": DESKTOP.width, "height": DESKTOP.height})

        def open_it(path: str) -> Page:
            page = context.new_page()
            page.goto(other.url + path)
            page.locator("footer").wait_for()
            return page

        yield open_it
        context.close()


def wordings_by_task(page: Page) -> str:
    """The title of the figure of many wordings, once a row is the column that the labels came from."""
    expect(page.locator("#lab-plots")).to_contain_text("wordings of")
    page.wait_for_function("document.querySelector('#lab-plots .ic-plot').layout.yaxis.ticktext.includes('subject')")
    return page.locator("#lab-plots").get_by_text("wordings of").first.inner_text()


def test_a_link_restores_inputs_selection_and_options_on_another_server(
    page: Page, elsewhere: Callable[[str], Page], tmp_path: Path
) -> None:
    drawn(page, "map-plots", 2)
    instruction(page, 0).fill("Represent the review for clustering by topic:")
    table = tmp_path / "own.tsv"
    table.write_text("\n".join(["text\tsubject", *TEXTS]), encoding="utf-8")
    open_panel(page, "texts")
    page.locator("#upload-file input[type=file]").set_input_files(table)
    page.locator("#upload-use").click()
    expect(page.locator("#example-point")).to_contain_text("8 texts, 2 labels (subject)")
    page.locator("#text-list [data-item]").nth(2).click()
    with how_it_is_drawn(page):
        page.get_by_role("radio", name="joint").check()
    open_tab(page, "Test")
    page.get_by_role("button", name=re.compile("^add candidates")).click()
    page.get_by_role("textbox", name="More candidates").fill(CANDIDATES)
    page.get_by_role("textbox", name="More candidates").blur()
    page.locator("#try-wordings").click()
    title = wordings_by_task(page)
    open_tab(page, "Matrix")
    wait_for_size(page, 2, 8)
    with how_it_is_drawn(page):
        choose(page, page.get_by_label("Order of texts", exact=True), "clustered under A")
        choose(page, page.get_by_label("Show", exact=True), "Difference of two")
    drawn(page, "similarity-plots", 1)
    open_panel(page, "share")
    page.locator("#link-copy").click()
    link = page.locator("#link-url input, #link-url textarea").first
    expect(link).to_have_value(re.compile(r"\?s=[\w-]{100,}$"))
    parts = urlsplit(link.input_value())

    other = elsewhere(f"{parts.path}?{parts.query}")
    expect(other.locator("#example-point")).to_contain_text("Restored: 8 texts.")
    expect(other.locator("#example-point")).not_to_contain_text("left aside")
    expect(texts(other)).to_have_value("\n".join(TEXTS))
    drawn(other, "similarity-plots", 1)
    other.wait_for_function("document.querySelector('#similarity-plots .ic-plot').data[0].z.length === 8")
    with how_it_is_drawn(other):
        expect(other.get_by_label("Order of texts", exact=True)).to_have_value("clustered under A")
        expect(other.get_by_label("Second (columns)", exact=True)).to_be_visible()
    expect(other.locator("#selection-line p").first).to_contain_text("The rice was fine.")
    open_tab(other, "Map")
    drawn(other, "map-plots", 2)
    with how_it_is_drawn(other):
        expect(other.get_by_role("radio", name="joint")).to_be_checked()
    open_tab(other, "Test")
    assert wordings_by_task(other) == title
    other.get_by_role("button", name=re.compile("^add candidates")).click()
    expect(other.get_by_role("textbox", name="More candidates")).to_have_value(CANDIDATES)
