"""The report of a run in a real browser: it opens from disk, draws, asks nobody for anything, and runs no text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.exports import Export
from instructor_core.ui.report import report_html

HOSTILE = (
    "<img src=http://example.org/x onerror=\"window.hit='img'\">",
    "</script><script>window.hit='script'</script>",
    "${window.hit='template'} `x`",
    "<!--<script>",
    "An ordinary sentence.",
)


def test_a_report_opens_offline_draws_its_matrices_and_runs_no_text(browser: Browser, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(2, len(HOSTILE), 8)).astype(np.float32)
    grid = EmbeddingGrid((HOSTILE[0], ""), HOSTILE, HOSTILE, vectors)
    path = tmp_path / "report.html"
    path.write_text(report_html(Export(grid, CHECKPOINTS[0])), encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    requests: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(path.as_uri())
    page.locator(".figure .heatmaplayer image").nth(1).wait_for(state="attached")
    first = page.locator(".figure .draglayer .nsewdrag").first
    first.hover()
    tooltip = page.locator(".hoverlayer").first
    tooltip.get_by_text("cosine").first.wait_for()
    assert page.evaluate("window.hit") is None
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
    assert problems == []
    for text in HOSTILE:
        assert page.locator("td", has_text=text).first.is_visible()
    context.close()


def test_the_state_and_the_report_of_a_run_arrive_as_files(page: Page) -> None:
    page.locator("#open-share").click()
    for button, name, begin in (
        ("#state-save", "instruction-lens.json", "{"),
        ("#export-download", "report.html", "<!"),
    ):
        with page.expect_download() as download:
            page.locator(button).click()
        assert download.value.suggested_filename == name
        assert download.value.path().read_text(encoding="utf-8").startswith(begin)
