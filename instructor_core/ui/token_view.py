"""The token view: rows of tokens that wrap like text, drawn by `assets/token_view.js`.

Each token shows its segment as the line under it and, where there is one, a weight as its background. The
script puts what it gets on the page as text nodes only.
"""

from __future__ import annotations

from html import escape

import gradio as gr

from instructor_core.figures.token_rows import TokenRows
from instructor_core.ui.plot_view import script_tags

# Gradio turns the quoted name into a listener method, `view.token_click(...)`.
ON_LOAD = "InstructorTokenView.mount(element, props, watch, trigger, 'token_click');"


def token_view(
    rows: TokenRows | None = None,
    *,
    elem_id: str,
    label: str,
    empty: str = "No tokens yet: choose a text.",
) -> gr.HTML:
    """Return a component that draws rows of tokens; its value is `TokenRows.to_json()`, or None.

    Args:
        rows: What it shows at first.
        elem_id: Id in the page, different for each view.
        label: Name of the view for assistive technology.
        empty: Shown while the value is None; says what to do.

    Events:
        `view.token_click(handler, ...)`: `handler` takes a `gr.EventData` whose `_data` is
        `{"row": position of the row, "index": index of the token}`.
    """
    return gr.HTML(
        None if rows is None else rows.to_json(),
        elem_id=elem_id,
        elem_classes=["ic-view"],
        label=label,
        html_template=f"<div class='ic-tokens' data-empty='{escape(empty)}'></div>",
        js_on_load=ON_LOAD,
        head=script_tags("linking.js", "token_view.js"),
        apply_default_css=False,
    )
