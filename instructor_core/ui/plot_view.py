"""The plot view: a set of Plotly panels as one Gradio component, drawn by `assets/plot_view.js`.

`gr.Plot` has no events, no frames, no dark page, and forgets the zoom at each update, hence our own component:
a `gr.HTML` with a fixed, empty template whose script draws from the JSON of a `PanelSet`. What visitors
typed is put on the page by the script as text nodes only, never by the template. The component has no properties of
its own: Gradio drops those when an update reaches a component in a tab that was never opened. The colours of the light
and the dark page come with `ui.theme.page_head`.
"""

from __future__ import annotations

import hashlib
from html import escape
from pathlib import Path

import gradio as gr
import plotly
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from instructor_core.figures.panels import PanelSet

ASSETS = Path(__file__).resolve().parents[2] / "assets"
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
SCRIPTS = {
    "plotly.min.js": PLOTLY_JS,
    "linking.js": ASSETS / "linking.js",
    "figure_files.js": ASSETS / "figure_files.js",
    "plot_view.js": ASSETS / "plot_view.js",
    "token_view.js": ASSETS / "token_view.js",
    "text_list.js": ASSETS / "text_list.js",
    "draft.js": ASSETS / "draft.js",
}
A_YEAR = 31_536_000  # seconds

# Gradio turns the quoted names into listener methods, `view.item_click(...)` and `view.item_select(...)`.
ON_LOAD = "InstructorPlotView.mount(element, props, watch, trigger, 'item_click', 'item_select');"


def plot_view(
    panels: PanelSet | None = None,
    *,
    elem_id: str,
    label: str,
    empty: str = "Nothing to draw yet: enter texts and an instruction.",
) -> gr.HTML:
    """Return a component that draws a set of panels; its value is `PanelSet.to_json()`, or None.

    Args:
        panels: What it shows at first.
        elem_id: Id in the page, different for each view.
        label: Name of the view for assistive technology.
        empty: Shown instead of figures while the value is None; says what to do.

    Events:
        `view.item_click(handler, ...)`: `handler` takes a `gr.EventData` whose `_data` is
        `{"panel": key, "instruction": index | None, "kind": "matrix", "row": item, "column": item, "value": float}` or
        `{"panel": key, "instruction": index | None, "kind": "points", "item": item}`.
        `view.item_select(handler, ...)`: `_data` is `{"panel": key, "items": [item, ...]}` after a box or
        lasso selection, with no items when it was taken back.
    """
    return gr.HTML(
        None if panels is None else panels.to_json(),
        elem_id=elem_id,
        elem_classes=["ic-view"],
        label=label,
        html_template=f"<div class='ic-plots' data-empty='{escape(empty)}'></div>",
        js_on_load=ON_LOAD,
        head=script_tags("plotly.min.js", "linking.js", "figure_files.js", "plot_view.js"),
        apply_default_css=False,
    )


def plotly_routes() -> list[Route]:
    """Return the routes of all scripts that the components load, for `launch(app_kwargs={"routes": ...})`.

    Plotly's script is served from the installed package, and compressed by Gradio. The addresses in the page
    are relative and carry a version, so they work behind a `root_path` and may be cached for a year.
    """
    return [_route(name, path) for name, path in SCRIPTS.items()]


def script_tags(*names: str) -> str:
    """Return the `<script>` tags of some of `SCRIPTS`, for the `head` of a component."""
    return "".join(f'<script src="{name}?v={_version(SCRIPTS[name])}"></script>' for name in names)


def plotly_head() -> str:
    """Return what lets the browser fetch Plotly's script before it knows the components, for `launch(head=...)`."""
    return f'<link rel="preload" as="script" href="plotly.min.js?v={_version(PLOTLY_JS)}">'


def _route(name: str, path: Path) -> Route:
    def send(_: Request) -> FileResponse:
        headers = {"Cache-Control": f"public, max-age={A_YEAR}, immutable"}
        return FileResponse(path, media_type="text/javascript", headers=headers)

    return Route(f"/{name}", send)


def _version(path: Path) -> str:
    return plotly.__version__ if path == PLOTLY_JS else hashlib.sha256(path.read_bytes()).hexdigest()[:12]
