"""What a visitor enters: the rows of instructions, and the list of texts in the drawer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from instructor_core.analysis.grid import letter
from instructor_core.analysis.suggest import Slots, load_builder
from instructor_core.errors import UserError
from instructor_core.figures.charts import NO_INSTRUCTION
from instructor_core.ui.components import component, text_list
from instructor_core.ui.data.inputs import (
    MAX_INSTRUCTION,
    MAX_INSTRUCTIONS,
    Inputs,
    format_texts,
    one_line,
    parse_texts,
)
from instructor_core.ui.feedback import chip, status
from instructor_core.ui.gradio_patches import event_data
from instructor_core.ui.page import EACH, KEEP, LATEST, news
from instructor_core.ui.server.run import summary_of

# What may be tried by a click: (words on the chip, the template's objective, one that the bundled checkpoint was tested
# for; "" for no instruction).
CHIPS = (
    ("mood", "classifying the emotion"),
    ("question or statement", "distinguishing questions from statements and commands"),
    ("who speaks", "classifying the grammatical person"),
    ("formality", "deciding whether it is formal or casual"),
    ("no instruction", ""),
)


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


def objective_choices() -> list[tuple[str, str]]:
    """Return (words, objective) of each task for a menu; a dot marks what the bundled checkpoint was tested for."""
    objectives = load_builder().objectives
    return [(f"{entry.objective} ·" if entry.mini else entry.objective, entry.objective) for entry in objectives]


def show_rows(instructions: Sequence[str]) -> list[Any]:
    """Return what the components of the rows become: count, visibility of every row, and fields."""
    n = len(instructions)
    fields = [*((instruction or "").strip() for instruction in instructions), *[""] * (MAX_INSTRUCTIONS - n)]
    return [n, *(gr.update(visible=k < n) for k in range(MAX_INSTRUCTIONS)), *fields]


def add_instruction(instructions: Sequence[str], new: str = "") -> list[str]:
    """Return the instructions with one more; nothing changes when all rows are in use."""
    return [*instructions, new][:MAX_INSTRUCTIONS]


def remove_instruction(instructions: Sequence[str], k: int) -> list[str]:
    """Return the instructions without one of them; the last one stays."""
    return [*instructions[:k], *instructions[k + 1 :]] or list(instructions)


def put_second(instructions: Sequence[str], new: str) -> list[str]:
    """Return the instructions with a new one in the place of the second."""
    return [instructions[0], new, *instructions[2:]]


def build_instruction(domain: str | None, text_type: str | None, objective: str | None) -> str:
    """Return the paper's template with its slots filled; the domain and the objective may be left out.

    >>> build_instruction("", "review", "clustering by topic")
    'Represent the review for clustering by topic:'
    """
    slots = (" ".join((entry or "").split()) for entry in (domain, text_type or "text", objective))
    return Slots(*slots).instruction.strip()


def try_chip(instructions: Sequence[str], clicked: dict[str, Any]) -> list[str]:
    """Return the instructions with that of a chip in the place of the second."""
    chip = clicked.get("chip")
    _, objective = CHIPS[chip if isinstance(chip, int) and 0 <= chip < len(CHIPS) else 0]
    kind = re.match(r"Represent the (?:[\w-]+ )??([\w-]+) for ", instructions[0])
    return put_second(
        instructions, build_instruction("", kind[1] if kind else "sentence", objective) if objective else ""
    )


def recall(instructions: Sequence[str], clicked: dict[str, Any]) -> list[str]:
    """Return the instructions with an earlier one in the place of the second."""
    return put_second(instructions, str(clicked.get("instruction") or "")[:MAX_INSTRUCTION])


def fill(inputs: Inputs) -> list[Any]:
    """Return count, visibility of rows, fields and the text field for given inputs."""
    return [*show_rows(inputs.instructions), format_texts(inputs)]


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

    def change(event: Any, edit: Callable[..., list[str]], *given: Any, reads: bool = False) -> None:
        """Let an event change the instructions, and start a run; `edit` reads what was clicked if asked to."""

        def changed(n: int, *values: Any) -> list[Any]:
            typed, others = values[:MAX_INSTRUCTIONS], values[MAX_INSTRUCTIONS:]
            return [*show_rows(edit(typed[:n], *others)), news()]

        def clicked(event: gr.EventData, n: int, *typed: str) -> list[Any]:
            return changed(n, *typed, event_data(event))

        handler, how = (clicked, EACH) if reads else (changed, LATEST)
        event(handler, [count, *fields, *given], [count, *rows, *fields, edited], **how)

    change(add.click, add_instruction)
    for k, remove in enumerate(removers):
        change(remove.click, partial(remove_instruction, k=k))
    change(chips.pick, try_chip, reads=True)
    change(earlier.pick, recall, reads=True)
    with builder:
        slots, insert = _builder()
    change(insert.click, lambda typed, *chosen: add_instruction(typed, build_instruction(*chosen)), *slots)
    preview.item_edit(edit_texts, texts, [texts, edited], **EACH)
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


def edit_texts(event: gr.EventData, typed_texts: str) -> list[Any]:
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
