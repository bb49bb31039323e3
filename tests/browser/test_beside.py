"""Two checkpoints side by side on the page: chosen in the menu, in a link, and back to one."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE
from tests.browser.reading import choose, drawn, is_narrow, open_panel, open_tab, status
from tests.serving import Server, serving

SUBTITLES = "[...document.querySelectorAll('#{} .ic-panel-subtitle')].map(node => node.textContent.split(' · ')[0])"


@pytest.fixture
def server(tmp_path: Path, checkpoint_b: Path) -> Iterator[Server]:
    with serving(tmp_path, arguments=("app.py", "--compare", str(checkpoint_b))) as running:
        yield running


def names(page: Page, view: str) -> list[str]:
    """The checkpoints that the panels of a view name."""
    found: list[str] = page.evaluate(SUBTITLES.format(view))
    return found


def test_two_checkpoints_are_chosen_drawn_decided_and_shared(
    page: Page, open_page: Callable[..., Page], checkpoint_b: Path, screenshot: Callable[..., Path]
) -> None:
    pair, menu = ["instructor-mini", checkpoint_b.name], page.locator("#checkpoint input")
    drawn(page, "map-plots", 4)
    assert names(page, "map-plots") == pair * 2
    expect(page.locator("#nearest-line")).to_contain_text("of triplets flipped · B:")
    choose(page, menu, "instructor-mini (on this machine)")
    drawn(page, "map-plots", 2)
    expect(page.locator("#nearest-line")).to_contain_text("another nearest text under B")
    choose(page, menu, f"instructor-mini + {checkpoint_b.name}")
    drawn(page, "map-plots", 4)
    expect(status(page)).to_contain_text("64 pairs · ")  # 2 instructions x 16 texts under each
    open_tab(page, "Matrix")
    drawn(page, "similarity-plots", 4)
    assert names(page, "similarity-plots") == pair * 2
    expect(page.get_by_text("No more than 2 models stay").filter(visible=True)).to_have_count(1)
    screenshot(page, "beside-matrix")
    open_panel(page, "share")
    page.locator("#link-copy").click()
    expect(page.locator("#link-url textarea, #link-url input")).not_to_have_value("")
    link = page.locator("#link-url textarea, #link-url input").input_value()
    open_tab(page, "Test")
    for name in pair:
        expect(page.locator("#lab-findings")).to_contain_text(f"{name}: Use ")
    drawn(page, "lab-plots", 2)
    page.locator("#lab-table-fold > button").click()
    page.get_by_role("button", name=f"B · {checkpoint_b.name}").click()
    expect(page.locator("#closer-findings")).to_contain_text(f"{checkpoint_b.name}: Labels against")
    expect(page.locator("body")).not_to_have_class(re.compile("ic-typed"))  # nothing was changed

    again = open_page(PHONE, link[link.index("/?") :])
    drawn(again, "similarity-plots", 4)
    assert names(again, "similarity-plots") == pair * 2
    expect(again.locator("#checkpoint input")).to_have_value(f"{' + '.join(pair)}, side by side (on this machine)")
    assert is_narrow(again)
