"""The report of a run in a real browser: it opens from disk, draws, asks nobody for anything, and runs no text."""

from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.data.exports import Export
from instructor_core.ui.data.report import report_html
from tests.browser.reading import offline

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
    with offline(browser, path) as page:
        page.locator(".figure .heatmaplayer image").nth(1).wait_for(state="attached")
        page.locator(".figure .draglayer .nsewdrag").first.hover()
        page.locator(".hoverlayer").first.get_by_text("cosine").first.wait_for()
        for text in HOSTILE:
            assert page.locator("td", has_text=text).first.is_visible()


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
