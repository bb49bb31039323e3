"""The running app, and a Chromium in which no foreign host, console error or error toast goes unnoticed."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.browser.chromium import find_chromium
from tests.serving import Server, serving

# The machines that run this are shared: a right answer may take its time, no test asserts how long.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)

LOCAL = {"127.0.0.1", "localhost", ""}

# Gradio shows a failure as a toast that goes away by itself; this turns each into a console error that stays.
WATCH_TOASTS = """
new MutationObserver(changes => {
  for (const change of changes) for (const node of change.addedNodes) {
    if (node.nodeType !== Node.ELEMENT_NODE) continue;
    const toasts = [...node.querySelectorAll('.toast-body.error')];
    if (node.matches('.toast-body.error')) toasts.push(node);
    for (const toast of toasts) console.error('error toast: ' + toast.innerText);
  }
}).observe(document, {childList: true, subtree: true});
"""


@dataclass
class Problems:
    """What went wrong on the pages of one test; anything left over at its end fails it."""

    found: list[str] = field(default_factory=list)
    allowed: list[re.Pattern[str]] = field(default_factory=list)

    def allow(self, pattern: str) -> None:
        """Lets this test provoke a failure: problems that match the regular expression are not reported."""
        self.allowed.append(re.compile(pattern))

    def remaining(self) -> list[str]:
        return [line for line in self.found if not any(pattern.search(line) for pattern in self.allowed)]


@dataclass(frozen=True)
class Screen:
    """Size of the window in CSS pixels, the colour scheme of the visitor's system, whether it is touched and moves."""

    width: int = 1280
    height: int = 900
    dark: bool = False
    touch: bool = False
    motion: bool = False


DESKTOP = Screen()
DARK = Screen(dark=True)
PHONE = Screen(width=390, height=844)
FINGER = Screen(width=390, height=844, touch=True)
MOVING = Screen(motion=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """app.py on a free port: one process for all browser tests, as for all visitors."""
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def components(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The made-up page of components_app.py."""
    with serving(tmp_path_factory.mktemp("components"), arguments=("-m", "tests.browser.components_app")) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium. Without one the tests are skipped, in continuous integration they fail."""
    executable = find_chromium()
    if executable is None:
        reason = "no Chromium found: install one, or set CHROMIUM to its path"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        # The sandbox needs a user that is not root; /dev/shm is small in containers.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def problems(server: Server) -> Iterator[Problems]:
    """Foreign requests, console and page errors, error toasts, tracebacks: what is left fails the test."""
    log_before = len(server.log_text())
    noted = Problems()
    yield noted
    _, *tracebacks = server.log_text()[log_before:].split("Traceback (most recent call last):\n")
    noted.found.extend(f"traceback on the server:\n{text[-2000:]}" for text in tracebacks)
    noted.found.extend(f"the server reached for {host}" for host in server.take_foreign_hosts())
    if noted.remaining():
        pytest.fail("\n".join(["the page had problems:", *noted.remaining()]), pytrace=False)


@pytest.fixture
def open_page(browser: Browser, server: Server, problems: Problems) -> Iterator[Callable[..., Page]]:
    """Function that opens the app in a visitor's own window: `open_page(screen=DESKTOP, path="/")`.

    Each call is another visitor (own storage, own session). The page is loaded and Gradio has drawn it.
    """
    contexts = []

    def watch(route: Route) -> None:
        parts = urlsplit(route.request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname not in LOCAL:
            problems.found.append(f"foreign request: {route.request.url}")
            route.abort()
        else:
            route.continue_()

    def open_it(screen: Screen = DESKTOP, path: str = "/") -> Page:
        context = browser.new_context(
            viewport={"width": screen.width, "height": screen.height},
            color_scheme="dark" if screen.dark else "light",
            has_touch=screen.touch,
            is_mobile=screen.touch,
            reduced_motion="no-preference" if screen.motion else "reduce",
            service_workers="block",  # their requests would pass by the route below
        )
        contexts.append(context)
        context.route("**/*", watch)
        context.add_init_script(WATCH_TOASTS)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda it: it.type == "error" and problems.found.append(f"console error: {it.text}"))
        page.on("pageerror", lambda error: problems.found.append(f"page error: {error}"))
        page.goto(server.url + path)
        page.locator("gradio-app .gradio-container").first.wait_for()
        # Not "networkidle": Gradio keeps a connection open for as long as the page is.
        page.locator("footer").wait_for()
        return page

    yield open_it
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Callable[..., Page], request: pytest.FixtureRequest) -> Page:
    """The app in a window; `@pytest.mark.parametrize("page", [PHONE, DARK], indirect=True)` chooses it."""
    return open_page(getattr(request, "param", DESKTOP))


@pytest.fixture(scope="session")
def screenshot(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Function `screenshot(page, "name")`: writes name.png into $SCREENSHOT_DIR, else a temporary folder."""
    chosen = os.environ.get("SCREENSHOT_DIR")
    folder = Path(chosen).resolve() if chosen else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str, *, full_page: bool = False) -> Path:
        path = folder / f"{name}.png"
        page.screenshot(path=path, full_page=full_page, animations="disabled")
        return path

    return take
