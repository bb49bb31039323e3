"""Figures as files: what the menu over a figure saves holds the figure, opens offline and runs no text."""

import csv
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.components_app import HOSTILE, SENTENCES, TEXTS
from tests.browser.reading import offline
from tests.serving import Server


@pytest.fixture
def server(components: Server) -> Server:
    """The page of the components in place of the app."""
    return components


def saved(page: Page, panel: Locator, kind: str, folder: Path) -> Path:
    """The file that the menu of a panel saves."""
    panel.get_by_label("Save figure").click()
    with page.expect_download() as download:
        panel.get_by_role("button", name=kind).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def check_html(browser: Browser, path: Path, drawn: str, words: str) -> None:
    """The file draws without a network, asks nobody, and has the texts as texts."""
    assert path.stat().st_size < 6_000_000
    with offline(browser, path) as page:
        page.locator(f"#figure {drawn}").first.wait_for(state="attached")
        texts = "document.querySelector('#figure').data.map(trace => trace.hovertext).flat(3).join('\\n')"
        assert words in page.evaluate(texts)


def test_each_figure_is_saved_as_png_svg_and_a_page_that_opens_offline(
    open_page: Callable[..., Page], browser: Browser, tmp_path: Path
):
    page = open_page()
    matrix = page.locator("#matrices .ic-panel").first
    expect(matrix.locator(".main-svg").first).to_be_visible()

    png = saved(page, matrix, "PNG", tmp_path)
    assert png.name == "topic.png"
    with Image.open(png) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert min(pixels.shape[:2]) > 400
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 200, "the cells have many colours"

    svg = ElementTree.parse(saved(page, matrix, "SVG", tmp_path)).getroot()
    words = [node.text for node in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert {"topic", "cosine similarity"} <= set(words)
    assert any((word or "").startswith("The soup was") for word in words) or "5" in words
    assert list(svg.iter("{http://www.w3.org/2000/svg}image")), "the cells of a heatmap are one picture"

    with saved(page, matrix, "CSV", tmp_path).open(encoding="utf-8-sig", newline="") as file:
        head, first, *_ = csv.reader(file)
    assert head == ["cosine", *TEXTS] and first[:2] == [TEXTS[0], "1"]
    cells = {text: page.evaluate("text => InstructorFigureFiles.cell(text)", text) for text in ("=1+1", " @a", "b-c")}
    assert cells == {"=1+1": "'=1+1", " @a": "' @a", "b-c": "b-c"}

    escaped = HOSTILE[0].replace("<", "&lt;").replace(">", "&gt;")
    check_html(browser, saved(page, matrix, "HTML", tmp_path), ".heatmaplayer image", escaped)

    page.get_by_role("tab", name="Map").click()
    panels = page.locator("#maps .ic-panel")
    expect(panels.nth(2).locator(".gl-container canvas").first).to_be_attached()
    check_html(browser, saved(page, panels.nth(0), "HTML", tmp_path), ".scatterlayer .point", SENTENCES[3])
    check_html(browser, saved(page, panels.nth(2), "HTML", tmp_path), ".gl-container canvas", SENTENCES[3])
