"""What stands on the page, read by the tests: figures, fields, lists."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, expect

from instructor_core import InstructorModel

Matrix = NDArray[np.float64]

# Where on the screen the cell of two texts is, or of a row and a column, from the axes that Plotly drew.
CELL_AT = """([view, panel, row, column]) => {
  const gd = document.querySelectorAll(`#${view} .ic-plot`)[panel];
  gd.scrollIntoView({block: 'center'});
  const box = gd.getBoundingClientRect(), {xaxis, yaxis} = gd._fullLayout, {rows, columns} = gd.data[0].meta ?? {};
  return [box.left + xaxis._offset + xaxis.d2p(columns ? columns.indexOf(column) : column),
    box.top + yaxis._offset + yaxis.d2p(rows ? rows.indexOf(row) : row)];
}"""
# Where on the screen the point of a text is in a map; without a text that of the one which is furthest from any other.
POINT_AT = """([view, panel, text]) => {
  const gd = document.querySelectorAll(`#${view} .ic-plot`)[panel], {xaxis, yaxis} = gd._fullLayout;
  gd.scrollIntoView({block: 'center'});
  const box = gd.getBoundingClientRect();
  const all = gd.data.filter(trace => trace.meta?.kind === 'points').flatMap(({x, y, customdata}) =>
    [...customdata].map((item, i) => [box.left + xaxis._offset + xaxis.d2p(x[i]),
      box.top + yaxis._offset + yaxis.d2p(y[i]), item]));
  const room = ([x, y, item]) => Math.min(...all.map(other => other[2] === item ? Infinity
    : Math.hypot(other[0] - x, other[1] - y)));
  return text === null ? all.reduce((best, one) => room(one) > room(best) ? one : best)
    : all.find(point => point[2] === text);
}"""


def drawn(page: Page, view: str, count: int) -> Locator:
    """The figures of a view, once it has `count` of them and all are drawn."""
    page.wait_for_function(
        "([view, count]) => { const all = [...document.querySelectorAll(`#${view} .ic-plot`)];"
        " return all.length === count && all.every(gd => gd._fullLayout && gd.data); }",
        arg=[view, count],
    )
    return page.locator(f"#{view} .ic-plot")


def matrices(page: Page, count: int, view: str = "similarity-plots") -> list[Matrix]:
    """The values of the matrices of a view, panel by panel; those of texts in the order of the texts."""
    drawn(page, view, count)
    shown = page.evaluate(
        "view => [...document.querySelectorAll(`#${view} .ic-plot`)]"
        ".map(gd => gd.data.find(trace => trace.meta.kind === 'matrix'))"
        ".map(({z, meta}) => [z, meta.rows, meta.columns])",
        view,
    )
    found = []
    for values, *sides in shown:
        given = [np.argsort(side) if sorted(side) == list(range(len(side))) else np.arange(len(side)) for side in sides]
        found.append(np.array(values, dtype=np.float64)[np.ix_(*given)])
    return found


def cosine_matrices(page: Page, count: int) -> list[Matrix]:
    """Brings the matrices to the front, with cosines in the place of percentiles."""
    open_tab(page, "Matrix")
    drawn(page, "similarity-plots", count)
    measures = "[...document.querySelectorAll('#similarity-plots .ic-plot')].map(gd => gd.data[0].meta.value)"
    if "percentile" in page.evaluate(measures):
        with how_it_is_drawn(page):
            choose(page, page.get_by_label("Colour scale", exact=True), "cosine, one scale")
            page.wait_for_function(f"{measures}.every(value => value === 'cosine')")
    return matrices(page, count)


@contextmanager
def how_it_is_drawn(page: Page) -> Iterator[None]:
    """The options of the view in front, open meanwhile."""
    fold = page.locator(".tabitem:visible .ic-drawn > button")
    fold.click()
    yield
    fold.click()


@contextmanager
def offline(browser: Browser, file: Path) -> Iterator[Page]:
    """A file in a browser without a network; it asks for nothing, runs no text and reports no error."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url))
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.goto(file.as_uri())
    yield page
    assert page.evaluate("window.hit === undefined")
    assert [line for line in found if not line.startswith(("data:", "blob:"))] == [file.as_uri()]
    context.close()


def traces(page: Page, view: str, what: str) -> list[object]:
    """`what`, an expression of `trace`, of every trace that shows texts as points, figure by figure."""
    found: list[object] = page.evaluate(
        f"view => [...document.querySelectorAll(`#${{view}} .ic-plot`)].map(gd => gd.data"
        f".filter(trace => trace.meta?.kind === 'points').map(trace => {what}))",
        view,
    )
    return found


def wait_for_size(page: Page, count: int, n: int) -> None:
    """Waits until there are `count` matrices of `n` rows."""
    page.wait_for_function(
        "([count, n]) => { const all = [...document.querySelectorAll('#similarity-plots .ic-plot')];"
        " return all.length === count && all.every(gd => gd.data?.[0].z.length === n); }",
        arg=[count, n],
    )


def cosines(model: InstructorModel, instruction: str, texts: Sequence[str]) -> Matrix:
    """(N, N) cosines as the encoder gives them in this process."""
    joined = f"{instruction.strip()} " if instruction.strip() else ""
    unit = model.encode([(joined, text) for text in texts]).astype(np.float64)
    return unit @ unit.T


def instruction(page: Page, k: int) -> Locator:
    return page.locator(f"#instruction-{k} textarea")


def texts(page: Page) -> Locator:
    """The field of the texts, in the place of their list."""
    field = page.locator("#texts textarea")
    if not field.is_visible():
        page.locator("#edit-texts").click()
    return field


def status(page: Page) -> Locator:
    return page.locator("#status")


def open_tab(page: Page, name: str) -> None:
    """Brings a view of Look to the front, or one of the other places."""
    if name in ("Test", "Learn"):
        page.locator(f"#place-{name.lower()}").click()
        tab = {"Test": "lab", "Learn": "learn"}[name]
        page.locator(f"[data-tab-id={tab}][aria-selected=true]").first.wait_for(state="attached")
        return
    if page.locator("[data-tab-id=lab][aria-selected=true], [data-tab-id=learn][aria-selected=true]").count():
        page.locator("#place-look").click()
    page.get_by_role("tab", name=name, exact=True).click()


def open_panel(page: Page, name: str) -> None:
    """Opens "texts" or "share" under the header."""
    if page.locator(f"#open-{name}").get_attribute("aria-expanded") != "true":
        page.locator(f"#open-{name}").click()


def choose(page: Page, menu: Locator, option: str) -> None:
    """Chooses an option of a menu by its beginning."""
    menu.click()
    page.get_by_role("option", name=option).first.click()


def cell_at(page: Page, panel: int, row: int, column: int, view: str = "similarity-plots") -> list[float]:
    """Brings a matrix to the middle: left, top of the cell of two texts."""
    return at_rest(page, CELL_AT, [view, panel, row, column])


def point_at(page: Page, panel: int, text: int | None = None, view: str = "map-plots") -> tuple[float, float, int]:
    """Brings the point of a text on a map to the middle: left, top, text; the loneliest point if none is named."""
    left, top, item = at_rest(page, POINT_AT, [view, panel, text])
    return left, top, int(item)


def at_rest(page: Page, script: str, argument: object = None) -> list[float]:
    """What a script says of a place on the screen, once nothing has moved it for half a second."""
    before, since = None, 0
    while since < 5:
        now = page.evaluate(script, argument)
        before, since = now, since + 1 if now == before else 0
        page.wait_for_timeout(100)
    return now


def selected_texts(page: Page) -> list[int]:
    """The two selected texts, in the order in which they are named."""
    expect(page.locator("#selection-line p > b").first).to_be_visible()
    return [int(number) - 1 for number in page.locator("#selection-line p > b").all_inner_texts()]


def is_narrow(page: Page) -> bool:
    """Nothing stands out of the page sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def embed(page: Page, pairs: int) -> None:
    """Waits until the figures have followed what was typed."""
    page.wait_for_function("!document.body.classList.contains('ic-typed')")
    expect(status(page)).to_contain_text(f"{pairs} pairs · ")
