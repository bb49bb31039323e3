"""What a visitor enters: the rows of instructions, and the list of texts in the drawer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, wraps
from html import escape
from typing import Any

import gradio as gr

from instructor_core.analysis.grid import letter
from instructor_core.analysis.suggest import load_builder
from instructor_core.errors import UserError
from instructor_core.figures.charts import NO_INSTRUCTION
from instructor_core.ui.components import component, text_list
from instructor_core.ui.data.inputs import MAX_INSTRUCTIONS, Inputs, format_texts, one_line, parse_texts
from instructor_core.ui.data.instructions import (
    CHIPS,
    add_built,
    add_instruction,
    instruction_fields,
    objective_choices,
    recall,
    remove_instruction,
    try_chip,
)
from instructor_core.ui.feedback import chip, status
from instructor_core.ui.gradio_patches import event_data
from instructor_core.ui.page import EACH, KEEP, LATEST, news
from instructor_core.ui.server.run import summary_of


@dataclass(frozen=True)
class Sidebar:
    """Components of instructions and texts."""

    fields: list[gr.Textbox]
    fingerprints: list[gr.HTML]
    rows: list[gr.Row]
    count: gr.State
    texts: gr.Textbox
    summary: gr.HTML
    warnings: gr.HTML  # on the texts
    preview: gr.HTML
    update: gr.Button
    stop: gr.Button
    status: gr.HTML
    facts: gr.HTML  # about the checkpoint
    template: gr.Textbox  # how it joins instruction and text; not shown for INSTRUCTOR
    live: gr.HTML  # fires when typing has paused
    edited: gr.State  # changes when a click has changed the instructions

    @property
    def entries(self) -> list[Any]:
        """What `fill` fills: count, rows and fields of instructions, text field."""
        return [*self.instructions, self.texts]

    @property
    def instructions(self) -> list[Any]:
        """What the buttons beside the instructions change: count, rows and fields."""
        return [self.count, *self.rows, *self.fields]


def fill(inputs: Inputs) -> list[Any]:
    """Return count, visibility of rows, fields and the text field for given inputs."""
    return [*instruction_fields(inputs.instructions), format_texts(inputs)]


def build_sidebar(start: Inputs, drawer: gr.Column) -> Sidebar:
    """Lay out the instructions here and the texts in the drawer, filled with ``start``."""
    count, edited = gr.State(len(start.instructions)), gr.State("")
    with gr.Column(elem_classes=["ic-instructions"]):
        parts = [_row(k, start.instructions) for k in range(MAX_INSTRUCTIONS)]
    rows, fields, removers, fingerprints = map(list, zip(*parts, strict=True))
    template = gr.Textbox("", label="Template", lines=1, max_lines=6, visible=False, elem_id="template")
    with gr.Row(elem_classes=["ic-tools"]):
        add = gr.Button("+ add", size="sm", min_width=60, elem_id="add-instruction")
        chips = component(
            "<span class='ic-try'>try</span>"
            + "".join(
                f"<button type='button' data-chip='{k}'>{escape(words)}</button>" for k, (words, _) in enumerate(CHIPS)
            ),
            "InstructorShell.chips(element, trigger, 'pick');",
            elem_id="chips",
            elem_classes=["ic-chips"],
        )
        earlier = component(
            "<select aria-label='Earlier instructions of this visit' hidden></select>",
            "InstructorShell.earlier(element.querySelector('select'), trigger, 'pick');",
            elem_id="earlier",
        )
        builder = gr.Column(min_width=60)
        update = gr.Button("Embed them", variant="primary", size="sm", min_width=90, elem_id="update")
        stop = gr.Button("Stop", size="sm", min_width=60, elem_id="stop")
        line = gr.HTML(status(""), elem_id="status")
        facts = gr.HTML(elem_id="checkpoint-facts")
        live = component("<span></span>", "InstructorShell.live(trigger, 'paused');", elem_id="live")
    with drawer:
        sheet = gr.Button("more", size="sm", min_width=50, elem_id="sheet-handle")
        with gr.Row(elem_classes=["ic-texts-head"]):
            gr.HTML("<h2>Texts</h2>")
            summary = gr.HTML(summary_of(start), elem_id="summary")
            edit = gr.Button("edit", size="sm", min_width=50, elem_id="edit-texts")
        warnings = gr.HTML(
            "",
            js_on_load="element.addEventListener('click', ({target}) => "
            "target.closest('[data-merge]') && trigger('merge', {}));",
            elem_id="text-warnings",
        )
        texts = gr.Textbox(
            format_texts(start),
            label="One text per line; a label may follow after a tab or |",
            lines=10,
            max_lines=10,
            elem_id="texts",
        )
        preview = text_list(start, elem_id="text-list")
    edit.click(None, js="() => InstructorShell.edit()", api_visibility="private")
    sheet.click(None, js="() => InstructorShell.sheet()", api_visibility="private")

    def change(event: Any, handler: Callable[..., list[Any]], *given: Any, **options: Any) -> None:
        """Let an event change the instructions, and start a run."""

        @wraps(handler)
        def changed(*values: Any) -> list[Any]:
            return [*handler(*values), news()]

        event(changed, [*given, count, *fields], [count, *rows, *fields, edited], **options)

    change(add.click, partial(add_instruction, ""), **LATEST)
    for k, remove in enumerate(removers):
        change(remove.click, partial(remove_instruction, k), **LATEST)
    change(chips.pick, try_chip, **EACH)
    change(earlier.pick, recall, **EACH)
    with builder:
        slots, insert = _builder()
    change(insert.click, add_built, *slots, **LATEST)
    preview.item_edit(edited_texts, texts, [texts, edited], **EACH)
    return Sidebar(
        *(fields, fingerprints, rows, count, texts, summary, warnings, preview),
        *(update, stop, line, facts, template, live, edited),
    )


def _row(k: int, instructions: Sequence[str]) -> tuple[gr.Row, gr.Textbox, gr.Button, gr.HTML]:
    """A row with letter, field, the button that removes it, and what is said of the instruction."""
    is_used = k < len(instructions)
    with gr.Row(visible=is_used, elem_classes=["ic-instruction", f"ic-instruction-{k}"]) as row:
        gr.HTML(f'<span aria-hidden="true">{chip(k)}</span>')
        field = gr.Textbox(
            instructions[k].strip() if is_used else "",
            label=f"Instruction {letter(k)}",
            show_label=False,
            placeholder=NO_INSTRUCTION,
            lines=1,
            max_lines=4,
            elem_id=f"instruction-{k}",
        )
        remove = gr.Button("×", size="sm", min_width=24, elem_classes=["ic-remove"], elem_id=f"remove-{k}")
        fingerprint = gr.HTML("", elem_id=f"fingerprint-{k}", elem_classes=["ic-told"])
    return row, field, remove, fingerprint


def _builder() -> tuple[list[gr.Dropdown], gr.Button]:
    """The form that writes an instruction in the paper's template: its slots, and the button that adds it."""
    lists = load_builder()
    objectives = objective_choices()
    with gr.Accordion("the paper's template", open=False, elem_classes=["ic-fold", "ic-drawn"]):
        with gr.Row(elem_classes=["ic-options"]):
            domain = gr.Dropdown(["", *lists.domains], value="", label="domain", allow_custom_value=True, min_width=110)
            text_type = gr.Dropdown(
                list(lists.text_types), value="review", label="text type", allow_custom_value=True, min_width=110
            )
        objective = gr.Dropdown(objectives, value=objectives[0][1], label="task objective", allow_custom_value=True)
        insert = gr.Button("Add this instruction", size="sm", elem_id="build-instruction")
    return [domain, text_type, objective], insert


def edited_texts(event: gr.EventData, typed_texts: str) -> list[Any]:
    """Return the text field with one text in another wording, its labels kept, and a mark that starts the run.

    Nothing changes where the field no longer holds what was changed: there it has the last word.
    """
    change = event_data(event)
    item, before, text = change.get("item"), change.get("before"), one_line(str(change.get("text") or ""))
    field: Any = KEEP
    with suppress(UserError):  # the run says what is wrong
        texts, columns = parse_texts(typed_texts)
        if isinstance(item, int) and 0 <= item < len(texts) and texts[item] == before and text:
            texts = (*texts[:item], text, *texts[item + 1 :])
            field = format_texts(Inputs("", (), texts, columns[0] if columns else None, columns[1:]))
    return [field, news()]
