"""The line about the two selected texts, the same under every view."""

from __future__ import annotations

import gradio as gr

from instructor_core.analysis.grid import letter, unit_vectors
from instructor_core.figures.theme import shorten
from instructor_core.ui.feedback import status
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.page import Page, Selected, follow
from instructor_core.ui.runtime import Runtime


def describe_selection(runtime: Runtime, inputs: Inputs, selected: Selected) -> str:
    """Return the line about the two selected texts, their labels, and their cosine under every instruction."""
    chosen = selected.within(inputs)
    i, j = chosen.row, chosen.column
    pairs = [(instruction, inputs.texts[index]) for instruction in inputs.instructions for index in (i, j)]
    vectors = unit_vectors(runtime.encoder(inputs.checkpoint_id).encode(pairs))
    cosines = " · ".join(
        f"{letter(k)} {vectors[2 * k] @ vectors[2 * k + 1]:.3f}" for k in range(len(inputs.instructions))
    )
    first, second = (_named(inputs, index) for index in (i, j))
    return status(f"selected: {first} × {second} — cosine {cosines}")


def _named(inputs: Inputs, index: int) -> str:
    label = inputs.labels[index] if inputs.labels else ""
    return f'text {index + 1} "{shorten(inputs.texts[index], 48)}"' + (f" ({shorten(label, 24)})" if label else "")


def build_selection(page: Page, start: Inputs) -> None:
    """Lay out the line and the way from it to the ledger."""
    with gr.Row(elem_classes=["ic-status-row", "ic-selection"]):
        line = gr.HTML(describe_selection(page.runtime, start, Selected()), elem_id="selection-line", padding=False)
        open_ledger = gr.Button("open the ledger", size="sm", min_width=110, elem_id="open-ledger")
    follow(
        page,
        lambda inputs, selected: [describe_selection(page.runtime, inputs, selected)],
        [page.inputs, page.selected],
        [line],
    )
    open_ledger.click(
        lambda: (gr.Tabs(selected="explain"), "explain"),
        None,
        [page.tabs, page.active],
        show_progress="hidden",
        api_visibility="private",
        trigger_mode="always_last",
    )
