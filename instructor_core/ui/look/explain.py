"""Explain: why two texts are similar, what the instruction did, and where; all of it exact or labelled as not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr

from instructor_core.ui.components import plot_view, token_view
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.look import explanations
from instructor_core.ui.look.canvas import Canvas, Context, Drawing, View, choices, redraw
from instructor_core.ui.page import LATEST, Page, Selected, instruction_choices, menu, options_menu, text_choices
from instructor_core.ui.scene.stage import TabOption
from instructor_core.ui.server.runtime import Runtime

TAB = "explain"
COUNTS = [("words", "word"), ("tokens", "token")]
MOST_LAYERS = 48  # of any T5 encoder; the slider ends at those of the checkpoint once it is loaded


def _view(name: str, title: str, explain: Callable[[Context], Drawing], *uses: str) -> View:
    """A view of this tab, with the controls that it uses besides the text and the instruction."""
    return View(name, title, TAB, explain, tuple(f"explain.{use}" for use in uses), follows_selection=True)


VIEWS = (
    _view("pair", "why similar", explanations.explain_pair, "second_text", "second_instruction", "by"),
    _view("deletion", "drop or delete a word", explanations.explain_deletion, "second_text", "by"),
    _view("movement", "what the instruction moved", explanations.explain_movement, "second_instruction", "by"),
    _view("divergence", "where it enters", explanations.explain_divergence, "second_instruction"),
    _view("read-out", "similarity by layer", explanations.explain_read_out, "layer"),
    _view("attention", "attention", explanations.explain_attention),
    _view("writes", "who wrote it", explanations.explain_writes, "second_text", "second_instruction"),
    _view("boundary", "boundary and pooling", explanations.explain_boundary),
)


def menus_in_step(runtime: Runtime, inputs: Inputs, selected: Selected) -> list[Any]:
    """Return the menus of texts, the instruction and the layers in step with run and selection."""
    chosen = selected.within(inputs)
    texts = text_choices(inputs, chosen.row, chosen.column)
    return [
        gr.update(choices=texts, value=chosen.row),
        gr.update(choices=texts, value=chosen.column),
        gr.update(choices=instruction_choices(inputs), value=chosen.instruction),
        gr.update(maximum=runtime.encoder(inputs.checkpoint_id).model.n_layers),
    ]


def build(page: Page, start: Inputs) -> dict[str, TabOption]:
    """Lay out the tab and connect it; returns its options, by names that stay the same between versions."""
    texts, instructions = text_choices(start), instruction_choices(start)
    view = gr.Radio(choices(VIEWS), value="pair", label="Question", elem_id="explain-view")
    with options_menu(), gr.Row(elem_classes=["ic-options"]):
        first, second = menu("Text", texts, 0), menu("compared with", texts, 1)
        a, b = menu("under", instructions, 0), menu("and under", instructions, min(1, len(instructions) - 1))
        by = gr.Radio(COUNTS, value="word", label="Count by", min_width=160)
    layer = gr.Slider(
        0,
        page.runtime.encoder(start.checkpoint_id).model.n_layers,
        value=0,
        step=1,
        label="Layer, 0 is the embedding",
        min_width=240,
        visible=False,
    )
    sentences = gr.HTML(elem_id="explain-sentences")
    rows = token_view(elem_id="explain-rows", label="Texts as tokens", empty="")
    plots = plot_view(elem_id="explain-plots", label="Explanation", empty="")
    explanation = gr.HTML(elem_id="explain-note")
    options = {"explain.view": view, "explain.second_instruction": b, "explain.by": by, "explain.layer": layer}
    redraw(page, VIEWS, Canvas(explanation, plots, sentences, rows), options, menus={"explain.second_text": second})
    page.follow_instructions(b)
    page.follow(partial(menus_in_step, page.runtime), [page.inputs, page.selected], [first, second, a, layer])
    gr.on(
        [first.input, second.input, a.input],
        lambda row, column, instruction: Selected(int(row or 0), int(column or 0), int(instruction or 0)),
        [first, second, a],
        page.selected,
        preprocess=False,  # the menus follow the run with a moment's delay
        **LATEST,
    )
    return {
        "explain.view": TabOption(view),
        "explain.second_instruction": TabOption(b, names_instruction=True),
        "explain.by": TabOption(by),
        "explain.layer": TabOption(layer, most=MOST_LAYERS),
    }
