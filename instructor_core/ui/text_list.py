"""The numbered list of texts, drawn by `assets/text_list.js`: what the plots mark is marked here, and the other way."""

from __future__ import annotations

import gradio as gr

from instructor_core.figures import theme
from instructor_core.figures.panels import inert_json, shortened
from instructor_core.figures.projection import label_names
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.plot_view import script_tags

MAX_BYTES = 1_500_000  # of all texts, as UTF-8
ON_LOAD = "InstructorTextList.mount(element, props, watch, trigger, 'item_click');"


def rows_json(inputs: Inputs) -> str:
    """Return the texts of a run, with their labels and the colours that maps give them, as the list's value.

    Very many or very long texts are shortened alike, so that the value stays below two megabytes or so.
    """
    labels = inputs.labels or ()
    names = label_names(labels)
    place = {name: at for at, name in enumerate(names)}
    return inert_json(
        {
            "texts": shortened(inputs.texts, MAX_BYTES),
            "labels": [place.get(label, -1) for label in labels],
            "names": shortened(names, MAX_BYTES // 4),
            "colors": [theme.label_color(rank) for rank in range(len(names))],
        }
    )


def text_list(inputs: Inputs, *, elem_id: str) -> gr.HTML:
    """Return the list; `list.item_click(handler)` gives a `gr.EventData` whose `_data` is `{"item": index}`."""
    return gr.HTML(
        rows_json(inputs),
        elem_id=elem_id,
        label="Texts",
        html_template="<ol class='ic-list' role='listbox' aria-label='Texts'></ol>",
        js_on_load=ON_LOAD,
        head=script_tags("linking.js", "text_list.js"),
        apply_default_css=False,
    )


def selection_mark(*, elem_id: str) -> gr.HTML:
    """Return an invisible component that marks the selected texts in every view; its value is ``mark_json(...)``."""
    return gr.HTML(
        None,
        elem_id=elem_id,
        elem_classes=["ic-hidden"],
        html_template="<span></span>",
        js_on_load=(
            "watch('value', () => { if (props.value) window.InstructorLinking.select(JSON.parse(props.value)); });"
        ),
        head=script_tags("linking.js"),
        apply_default_css=False,
    )


def mark_json(row: int, column: int) -> str:
    """Return the value that marks two texts."""
    return inert_json({"row": row, "column": column, "items": []})
