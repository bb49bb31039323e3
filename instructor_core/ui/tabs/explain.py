"""Explain: why two texts are similar, what the instruction did, and where; all of it exact or labelled as not."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from instructor_core.analysis.units import By
from instructor_core.ui.explanations import (
    Answer,
    Question,
    explain_attention,
    explain_boundary,
    explain_deletion,
    explain_divergence,
    explain_movement,
    explain_pair,
    explain_read_out,
)
from instructor_core.ui.feedback import note, sentence_list
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.options import TabOption
from instructor_core.ui.page import (
    Page,
    Selected,
    follow,
    follow_instructions,
    instruction_choices,
    menu,
    redraw,
    show_controls_for,
    text_choices,
)
from instructor_core.ui.plot_view import plot_view
from instructor_core.ui.runtime import Runtime
from instructor_core.ui.token_view import token_view

TAB = "explain"
VIEWS = [
    ("why similar", "pair"),
    ("drop or delete a word", "deletion"),
    ("what the instruction moved", "movement"),
    ("where it enters", "divergence"),
    ("similarity by layer", "read-out"),
    ("attention", "attention"),
    ("boundary and pooling", "boundary"),
]
ANSWERS = {
    "pair": explain_pair,
    "deletion": explain_deletion,
    "movement": explain_movement,
    "divergence": explain_divergence,
    "read-out": explain_read_out,
    "attention": explain_attention,
    "boundary": explain_boundary,
}
# Which controls a view uses besides the text and the instruction.
USES_SECOND_TEXT = ("pair", "deletion")
USES_SECOND_INSTRUCTION = ("pair", "movement", "divergence")
USES_UNITS = ("pair", "deletion", "movement")
COUNTS = [("words", "word"), ("tokens", "token")]
MOST_LAYERS = 48  # of any T5 encoder; the slider ends at those of the checkpoint once it is loaded


def draw(
    runtime: Runtime, inputs: Inputs, selected: Selected, view: str, b: int, by: By, layer: float
) -> tuple[str, str, str | None, str | None]:
    """Return the note, the sentences, the chips and the figures of one view."""
    last = len(inputs.instructions) - 1
    question = Question(selected.row, selected.column, selected.instruction, min(b or 0, last), by, int(layer))
    answer: Answer = ANSWERS[view](runtime, inputs, question)
    return (
        note(answer.limits),
        sentence_list(answer.sentences),
        None if answer.rows is None else answer.rows.to_json(),
        None if answer.panels is None else answer.panels.to_json(),
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


def show_controls(view: str) -> list[Any]:
    """Return which of second text, second instruction, counting and layer a view uses."""
    return [
        gr.update(visible=view in USES_SECOND_TEXT),
        gr.update(visible=view in USES_SECOND_INSTRUCTION),
        gr.update(visible=view in USES_UNITS),
        gr.update(visible=view == "read-out"),
    ]


def build(page: Page, start: Inputs) -> dict[str, TabOption]:
    """Lay out the tab and connect it; returns its options, by names that stay the same between versions."""
    texts, instructions = text_choices(start), instruction_choices(start)
    view = gr.Radio(VIEWS, value="pair", label="Question", elem_id="explain-view")
    with gr.Row(elem_classes=["ic-options"]):
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
    sentences = gr.HTML(padding=False, elem_id="explain-sentences")
    rows = token_view(elem_id="explain-rows", label="Texts as tokens", empty="")
    plots = plot_view(elem_id="explain-plots", label="Explanation", empty="")
    explanation = gr.HTML(padding=False, elem_id="explain-note")
    show_controls_for(page, view, show_controls, [second, b, by, layer])
    redraw(
        page,
        TAB,
        draw,
        options=[view, b, by, layer],
        outputs=[explanation, sentences, rows, plots],
        follows_selection=lambda *_: True,
    )
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last"}
    follow_instructions(page, b)
    follow(page, partial(menus_in_step, page.runtime), [page.inputs, page.selected], [first, second, a, layer])
    gr.on(
        [first.input, second.input, a.input],
        lambda row, column, instruction: Selected(int(row or 0), int(column or 0), int(instruction or 0)),
        [first, second, a],
        page.selected,
        preprocess=False,  # the menus follow the run with a moment's delay
        **quiet,
    )
    return {
        "explain.view": TabOption(view),
        "explain.second_instruction": TabOption(b, names_instruction=True),
        "explain.by": TabOption(by),
        "explain.layer": TabOption(layer, most=MOST_LAYERS),
    }
