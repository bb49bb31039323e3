"""What stands on the page, read by the tests: figures, fields, lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect

if TYPE_CHECKING:
    from instructor_core import InstructorModel

Matrix = NDArray[np.float64]

# Where on the screen a cell of a matrix is, from the axes that Plotly drew.
CELL_AT = """([panel, row, column]) => {
  const gd = document.querySelectorAll('#similarity-plots .ic-plot')[panel];
  gd.scrollIntoView({block: 'center'});
  const box = gd.getBoundingClientRect(), {xaxis, yaxis} = gd._fullLayout;
  return [box.left + xaxis._offset + xaxis.d2p(column), box.top + yaxis._offset + yaxis.d2p(row)];
}"""


def drawn(page: Page, view: str, count: int) -> Locator:
    """The figures of a view, once it has `count` of them and all are drawn."""
    page.wait_for_function(
        "([view, count]) => { const all = [...document.querySelectorAll(`#${view} .ic-plot`)];"
        " return all.length === count && all.every(gd => gd._fullLayout && gd.data); }",
        arg=[view, count],
        timeout=30_000,
    )
    return page.locator(f"#{view} .ic-plot")


def matrices(page: Page, count: int, view: str = "similarity-plots") -> list[Matrix]:
    """The values of the matrices of a view, in the order of the panels."""
    drawn(page, view, count)
    values = page.evaluate(
        "view => [...document.querySelectorAll(`#${view} .ic-plot`)]"
        ".map(gd => gd.data.find(trace => trace.meta.kind === 'matrix').z)",
        view,
    )
    return [np.array(value, dtype=np.float64) for value in values]


def traces(page: Page, view: str, what: str) -> list[object]:
    """`what`, an expression of `trace`, of every trace that shows texts as points, figure by figure."""
    found: list[object] = page.evaluate(
        f"view => [...document.querySelectorAll(`#${{view}} .ic-plot`)].map(gd => gd.data"
        f".filter(trace => trace.meta?.kind === 'points').map(trace => {what}))",
        view,
    )
    return found


def wait_for_size(page: Page, count: int, n: int) -> None:
    """Waits until the similarity tab shows `count` matrices of `n` rows."""
    page.wait_for_function(
        "([count, n]) => { const all = [...document.querySelectorAll('#similarity-plots .ic-plot')];"
        " return all.length === count && all.every(gd => gd.data?.[0].z.length === n); }",
        arg=[count, n],
        timeout=30_000,
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
        return
    tab = page.get_by_role("tab", name=name, exact=True)
    if not tab.is_visible():
        page.locator("#place-look").click()
    tab.click()


def open_panel(page: Page, name: str) -> None:
    """Opens "texts" or "share" under the header."""
    if page.locator(f"#open-{name}").get_attribute("aria-expanded") != "true":
        page.locator(f"#open-{name}").click()


def choose(page: Page, menu: Locator, option: str) -> None:
    """Chooses an option of a menu by its beginning."""
    menu.click()
    page.get_by_role("option", name=option).first.click()


def is_narrow(page: Page) -> bool:
    """Nothing stands out of the page sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def embed(page: Page, pairs: int) -> None:
    """Waits until the figures have followed what was typed."""
    page.wait_for_function("!document.body.classList.contains('ic-typed')", timeout=30_000)
    expect(status(page)).to_contain_text(f"{pairs} pairs · ", timeout=30_000)
