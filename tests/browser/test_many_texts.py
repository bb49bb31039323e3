"""More than a thousand texts: nearest texts and blocks instead of a matrix, pages and a search in the list, WebGL."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import FINGER
from tests.browser.reading import embed, is_narrow, open_tab, status, texts

N = 1200
SUBJECTS = ("soup", "film", "room", "phone")


@pytest.mark.parametrize("page", [FINGER], indirect=True)
def test_a_phone_shows_the_tools_of_the_list_in_its_width(page: Page):
    page.locator("#sheet-handle").tap()
    texts(page).fill("\n".join(f"{i}" for i in range(60)))
    embed(page, 120)
    page.locator("#edit-texts").tap()
    expect(page.locator(".ic-list-tools input")).to_be_visible()
    assert is_narrow(page)


def test_many_texts_have_neighbours_blocks_a_search_and_a_map(page: Page, screenshot: Callable[..., Path]):
    page.locator("#remove-1").click()  # one instruction is enough
    expect(page.locator("#instruction-1")).to_be_hidden()
    texts(page).fill("\n".join(f"{SUBJECTS[i % 4]} {i}\t{SUBJECTS[i % 4]}" for i in range(N)))
    embed(page, N)
    page.locator("#edit-texts").click()
    open_tab(page, "Matrix")
    expect(page.locator("#similarity-plots .ic-plot")).to_have_count(1)
    expect(page.locator("#text-list [data-item]")).to_have_count(200)
    expect(page.locator(".ic-list-found")).to_have_text(f"1–200 of {N}")
    page.wait_for_function("document.querySelector('#similarity-plots .ic-plot').data?.[0].z.length === 4")
    screenshot(page, "many-matrix")

    open_tab(page, "Nearest")
    page.locator(".ic-list-tools input").fill("room 770")
    expect(page.locator("#text-list [data-item]")).to_have_count(1)
    page.locator("#text-list [data-item='770']").click()
    expect(page.locator("#selection-line")).to_contain_text("room 770")
    page.wait_for_function(
        "[...document.querySelectorAll('#nearest-plots .ic-hidden')].some(e => e.textContent.includes('text 771.'))"
    )
    nearest = page.evaluate("document.querySelector('#nearest-plots .ic-plot').data[0].customdata")
    assert len(nearest) == 20 and 770 not in nearest
    page.locator(".ic-list-tools input").fill("")
    expect(page.locator(".ic-list-found")).to_have_text(f"601–800 of {N}")  # where the selected one is
    expect(page.locator("#text-list [data-item='770']")).to_have_class(re.compile("ic-selected"))
    screenshot(page, "many-nearest")

    open_tab(page, "Map")
    page.wait_for_function(
        "document.querySelector('#map-plots .ic-plot')?.data?.some(trace => trace.type === 'scattergl')"
    )
    count = page.evaluate(
        "document.querySelector('#map-plots .ic-plot').data.map(t => t.customdata.length).reduce((a, b) => a + b)"
    )
    assert count == N
    screenshot(page, "many-map")
    expect(status(page)).to_contain_text(f"{N} pairs")
