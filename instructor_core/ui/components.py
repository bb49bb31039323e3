"""The page's own components: figures, tokens, and the list of texts, each drawn by a script of `assets/`.

`gr.Plot` has no events, no frames, no dark page, and forgets the zoom at each update, hence our own: a `gr.HTML` with
a fixed, empty template whose script draws from JSON. What visitors typed is put on the page by the script as text nodes
only, never by the template. A component has no properties of its own: Gradio drops those when an update reaches it in a
tab that was never opened. The colours of the light and the dark page come with `ui.theme.page_head`. The handler of an
event reads what was sent by `gradio_patches.event_data`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

import gradio as gr
import plotly
import plotly.io
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from instructor_core.figures import theme
from instructor_core.figures.labels import label_names
from instructor_core.figures.panels import PanelSet, inert_json, shorten_all
from instructor_core.figures.token_rows import TokenRows
from instructor_core.ui.data.inputs import Inputs

ASSETS = Path(__file__).resolve().parents[2] / "assets"
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
FIGURE_SCRIPTS = (
    *("plotly.min.js", "figure.js", "linking.js", "figure_files.js"),
    *("panel_layout.js", "travel.js", "plot_view.js"),
)
OWN = (*FIGURE_SCRIPTS[1:], "token_view.js", "text_list.js", "draft.js", "lessons.js", "lesson_list.js", "shell.js")
SCRIPTS = {"plotly.min.js": PLOTLY_JS, **{name: ASSETS / name for name in OWN}}
# Of a file for visitors: its own scripts and styles run, and nothing else; no request can leave it.
FILE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
LESSON_SCRIPTS = ("figure.js", "linking.js", "shell.js", "lessons.js", "lesson_list.js")
A_YEAR = 31_536_000  # seconds
plotly.io.templates.default = None  # the page brings its own; Plotly would copy one of 7 kB into each figure, and out
# Chromium compiles a script that begins so on a thread of its own while it arrives; Plotly holds up the page .5 s less.
COMPILE_AT_ONCE = b"//# allFunctionsCalledOnLoad\n"
# assets/help.js makes it explain the page.
HELP_SWITCH = (
    '<button id="help-switch" type="button" aria-pressed="false" aria-label="Explain what is on the page">?</button>'
)
MAX_LIST_BYTES = 1_500_000  # of all texts of the list, as UTF-8


def plot_view(
    panels: PanelSet | None = None, *, elem_id: str, label: str, empty: str = "The figure is being drawn."
) -> gr.HTML:
    """Return a component that draws a set of panels; its value is `PanelSet.to_json()`, or None.

    `view.item_click(handler, ...)` sends
    `{"panel": key, "instruction": index | None, "kind": "matrix", "row": item, "column": item, "value": float}` or
    `{"panel": key, "instruction": index | None, "kind": "points", "item": item}`.
    """
    return component(
        f"<div class='ic-plots' data-empty='{escape(empty)}'></div>",
        "InstructorPlotView.mount(element, props, watch, trigger, 'item_click');",
        None if panels is None else panels.to_json(),
        elem_id=elem_id,
        label=label,
        elem_classes=["ic-view"],
        scripts=FIGURE_SCRIPTS,
    )


def token_view(
    rows: TokenRows | None = None, *, elem_id: str, label: str, empty: str = "No tokens yet: choose a text."
) -> gr.HTML:
    """Return a component that draws rows of tokens, wrapped like text; its value is `TokenRows.to_json()`, or None.

    `view.token_click(handler, ...)` sends `{"row": position of the row, "index": index of the token}`.
    """
    return component(
        f"<div class='ic-tokens' data-empty='{escape(empty)}'></div>",
        "InstructorTokenView.mount(element, props, watch, trigger, 'token_click');",
        None if rows is None else rows.to_json(),
        elem_id=elem_id,
        label=label,
        elem_classes=["ic-view"],
        scripts=("figure.js", "linking.js", "token_view.js"),
    )


def text_list(inputs: Inputs, *, elem_id: str) -> gr.HTML:
    """Return the numbered list of texts, marked as the figures are.

    `list.item_click` sends `{"item": index}`; `list.item_edit` sends `{"item": index, "before": text, "text": text}`.
    """
    return component(
        "<ol class='ic-list' role='listbox' aria-label='Texts'></ol>",
        "InstructorTextList.mount(element, props, watch, trigger, 'item_click', 'item_edit');",
        rows_json(inputs),
        elem_id=elem_id,
        label="Texts",
        scripts=("figure.js", "linking.js", "shell.js", "text_list.js"),
    )


def rows_json(inputs: Inputs) -> str:
    """Return the texts of a run, with their labels and the colours that maps give them, as the list's value.

    Very many or very long texts are shortened alike, so that the value stays below two megabytes or so.
    """
    labels = inputs.labels or ()
    names = label_names(labels)
    place = {name: at for at, name in enumerate(names)}
    texts = shorten_all(inputs.texts, MAX_LIST_BYTES)
    return inert_json(
        {
            "texts": texts,
            "whole": list(texts) == list(inputs.texts),
            "labels": [place.get(label, -1) for label in labels],
            "names": shorten_all(names, MAX_LIST_BYTES // 4),
            "colors": [theme.label_color(rank) for rank in range(len(names))],
        }
    )


def selection_mark(*, elem_id: str) -> gr.HTML:
    """Return an invisible component that marks the selected texts in every view; its value is ``mark_json(...)``."""
    return component(
        "<span></span>",
        # At first the list may not have its rows yet.
        "const mark = () => { if (!document.querySelector('.ic-list > *')) setTimeout(mark, 50);"
        " else if (props.value) window.InstructorLinking.select(JSON.parse(props.value)); };"
        "watch('value', mark); mark();",
        elem_id=elem_id,
        elem_classes=["ic-hidden"],
        scripts=("figure.js", "linking.js"),
    )


def mark_json(row: int, column: int) -> str:
    """Return the value that marks two texts."""
    return inert_json({"row": row, "column": column, "items": []})


def component(
    template: str,
    script: str,
    value: str | None = None,
    *,
    elem_id: str,
    label: str | None = None,
    elem_classes: Sequence[str] = (),
    scripts: Sequence[str] = (),
) -> gr.HTML:
    """Return a component whose template is drawn by a script, with the scripts of `assets/` that not every page has.

    Gradio turns the names that are quoted in the script into listener methods, such as `chips.pick(...)`.
    """
    return gr.HTML(
        value,
        elem_id=elem_id,
        elem_classes=list(elem_classes),
        label=label,
        html_template=template,
        js_on_load=script,
        head=script_tags(*scripts) or None,
        apply_default_css=False,
    )


def script_routes() -> list[Route]:
    """Return the routes of all scripts that the components load, for `launch(app_kwargs={"routes": ...})`.

    Plotly's script is served from the installed package, and compressed by Gradio. The addresses in the page
    are relative and carry a version, so they work behind a `root_path` and may be cached for a year.
    """
    return [_route(name, path) for name, path in SCRIPTS.items()]


def code_view(code: str = "", *, label: str, elem_id: str, lines: int, visible: bool = True) -> gr.Textbox:
    """Return a view of Python with a button that copies it; `gr.Code` brings an editor of 400 kB to every opening."""
    return gr.Textbox(
        code,
        label=label,
        lines=lines,
        max_lines=lines,
        interactive=False,
        visible=visible,
        buttons=["copy"],
        elem_id=elem_id,
        elem_classes=["ic-code"],
    )


def script_tags(*names: str) -> str:
    """Return the `<script>` tags of some of `SCRIPTS`, for the head of a component or of the page."""
    return "".join(f'<script src="{_address(name)}"></script>' for name in names)


def _address(name: str) -> str:
    path = SCRIPTS[name]
    version = plotly.__version__ if path == PLOTLY_JS else hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return f"{name}?v={version}"


def early_head() -> str:
    """Return what runs before the browser knows the components, for the head of the page.

    Plotly, a fifth of the work until the first figure, is fetched and run while Gradio still waits for its own scripts.
    What components bring along is fetched by then too.
    """
    plotly_script = script_tags("plotly.min.js").replace("<script ", '<script async fetchpriority="high" ')
    soon = "".join(f'<link rel="preload" as="script" href="{_address(name)}">' for name in OWN)
    return soon + script_tags("shell.js", "draft.js").replace("<script ", "<script defer ") + plotly_script


def _route(name: str, path: Path) -> Route:
    start = COMPILE_AT_ONCE if path == PLOTLY_JS else b""

    def send(_: Request) -> Response:
        headers = {"Cache-Control": f"public, max-age={A_YEAR}, immutable"}
        return Response(start + path.read_bytes(), media_type="text/javascript", headers=headers)

    return Route(f"/{name}", send)
