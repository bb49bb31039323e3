"""The server is killed and started again while a page is open: the page says so, and nothing typed is lost."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Problems
from tests.browser.reading import instruction, texts
from tests.serving import Server, free_port, serving

TEXTS = "A text of my own.\nAnother one\tlabel"
INSTRUCTION = "Represent what I typed:"


@pytest.fixture
def restart(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """Function that starts the app: on the same port each time."""
    port = free_port()
    with ExitStack() as running:

        def start() -> Server:
            running.close()
            return running.enter_context(serving(tmp_path, port=port, environment={"INSTRUCTOR_THREADS": "1"}))

        yield start


@pytest.fixture
def server(restart: Callable[[], Server]) -> Server:
    return restart()


def test_what_was_typed_outlives_the_server(
    page: Page, server: Server, restart: Callable[[], Server], problems: Problems, screenshot: Callable[..., Path]
) -> None:
    problems.allow(
        "Failed to load resource|Failed to fetch|Connection errored out|network error|Connection to the server"
    )
    page.locator(".js-plotly-plot").first.wait_for()  # every script is loaded
    page.locator("#remove-1").click()
    expect(page.locator("#instruction-1 textarea")).to_have_count(0)
    texts(page).fill(TEXTS)
    server.kill()
    instruction(page, 0).fill(INSTRUCTION)  # and the page goes for the server by itself
    expect(page.locator(".ic-offline")).to_have_text(
        "The server does not answer. What you typed stays in this page, and is restored when the server is back; "
        "the page keeps trying by itself."
    )
    expect(page.locator("#texts textarea")).to_have_value(TEXTS)
    expect(page.locator(".toast-body").filter(visible=True)).to_have_count(0)  # one sentence is enough
    screenshot(page, "server-gone")
    restart()
    expect(page.locator("#example-point")).to_have_text(
        "The page was loaded anew. What you had typed is back, and embedded again."
    )
    expect(page.locator("#texts textarea")).to_have_value(TEXTS)
    expect(instruction(page, 0)).to_have_value(INSTRUCTION)
    expect(page.locator("#instruction-1 textarea")).to_have_count(0)
    expect(page.locator("#summary")).to_contain_text("2 texts · 1 label")
    expect(page.locator(".ic-offline")).to_have_count(0)
    screenshot(page, "server-back")
