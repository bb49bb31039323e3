"""What was typed outlives a reload of the page; a new page starts afresh."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Problems
from tests.browser.reading import texts

pytestmark = pytest.mark.browser

TEXTS = "A text of my own.\nAnother one\tlabel"


def test_a_page_that_is_reloaded_keeps_what_was_typed_and_a_new_one_starts_afresh(
    page: Page, open_page: Callable[..., Page], problems: Problems
) -> None:
    problems.allow("AbortError|Connection errored out|Connection to the server")  # Gradio's, where a reload cuts it off
    first = texts(page).input_value()
    texts(page).fill(TEXTS)
    page.reload()
    expect(page.locator("#texts textarea")).to_have_value(TEXTS)
    expect(open_page().locator("#texts textarea")).to_have_value(first)
