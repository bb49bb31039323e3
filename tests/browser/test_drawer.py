"""What stands on the page says whether it is of what stands in the fields, and the drawer is where texts are mended."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.reading import instruction, status, texts

pytestmark = pytest.mark.browser

DIM = "() => getComputedStyle(document.querySelector('#nearest-line')).opacity < 0.6"
CLEAR = "() => getComputedStyle(document.querySelector('#nearest-line')).opacity === '1'"
EDIT = "() => document.documentElement.classList.add('ic-editing')"


def test_figures_are_dim_from_the_first_key_until_those_of_the_new_inputs_stand_there(page: Page):
    canvas = page.locator(".ic-page")
    page.wait_for_function(CLEAR)
    instruction(page, 1).press_sequentially(" x", delay=20)
    expect(canvas).to_have_attribute("aria-busy", "true")
    page.wait_for_function(DIM)
    page.wait_for_function(CLEAR)
    expect(canvas).to_have_attribute("aria-busy", "false")
    expect(status(page)).to_contain_text("16 new")


def test_an_error_looks_like_one_and_figures_stay_dim_until_it_is_undone(page: Page):
    page.evaluate(EDIT)
    before = texts(page).input_value()
    texts(page).fill("")
    error = page.locator("#status [role=alert]")
    expect(error).to_have_text("There is no text to embed. Write or paste one text per line.")
    color, muted = (
        page.evaluate("it => getComputedStyle(document.querySelector(it)).color", it)
        for it in ("#status .ic-error", "#summary p")
    )
    assert color != muted
    page.locator("#place-look").click()  # whatever else is done
    page.wait_for_timeout(600)
    assert page.evaluate(DIM)
    texts(page).fill(before)
    page.wait_for_function(CLEAR)
    expect(error).to_have_count(0)
