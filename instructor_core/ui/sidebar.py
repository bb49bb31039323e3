"""The left column: instructions, texts, and the run that turns them into embeddings."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from instructor_core.analysis.grid import letter
from instructor_core.analysis.suggest import Slots, load_builder
from instructor_core.ui.components import rows_json, text_list
from instructor_core.ui.feedback import message_for, status
from instructor_core.ui.gradio_patches import event_data
from instructor_core.ui.inputs import MAX_INSTRUCTIONS, Inputs, format_texts, parse_inputs
from instructor_core.ui.page import Selected
from instructor_core.ui.progress import described, rate_line
from instructor_core.ui.runtime import Runtime


@dataclass(frozen=True)
class Sidebar:
    """Components of the left column."""

    fields: list[gr.Textbox]
    fingerprints: list[gr.HTML]
    rows: list[gr.Row]
    count: gr.State
    texts: gr.Textbox
    summary: gr.HTML
    preview: gr.HTML
    update: gr.Button
    stop: gr.Button
    status: gr.HTML

    @property
    def entries(self) -> list[Any]:
        """What `fill` fills: count, rows and fields of instructions, text field."""
        return [self.count, *self.rows, *self.fields, self.texts]


def summary_of(inputs: Inputs) -> str:
    """Return the line over the list of texts."""
    n_labels = len({label for label in inputs.labels or () if label})
    labels = f" · {counted(n_labels, 'label')}" if n_labels else ""
    return status(f"{counted(len(inputs.texts), 'text')}{labels}")


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: "1 text", "2 texts"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def run(
    runtime: Runtime, before: Inputs, checkpoint_id: str, typed_texts: str, count: int, *typed: str
) -> Generator[list[Any], None, None]:
    """Embed what was entered, yielding (inputs, status, summary, list, checkpoint) after every batch.

    Nothing on the page changes until the new embeddings are there; an error leaves everything as it is, and a
    checkpoint that cannot be had leaves the one in use.
    """
    keep = gr.skip()
    try:
        inputs = parse_inputs(checkpoint_id, typed[:count], typed_texts)
        if inputs == before:
            yield [keep, status(f"{len(inputs.pairs)} pairs · 0 new"), keep, keep, keep]  # an old error goes away
            return
        started = time.monotonic()
        loading = runtime.load_steps(checkpoint_id)
        encoder = yield from described(loading, lambda words: [keep, status(words), keep, keep, keep])
        n_new, n_found, rate = 0, -1, rate_line()
        steps = encoder.encode_steps(inputs.pairs)
        with closing(steps):
            for progress in steps:
                n_new = progress.n_new
                n_found = progress.done if n_found < 0 else n_found  # the first step tells what the cache had
                if progress.done < progress.total:
                    yield [keep, status(rate(progress)), keep, keep, keep]
        seconds = time.monotonic() - started
        done = status(
            f"{len(inputs.pairs)} pairs · {n_new} new · {n_found} cached ({encoder.n_bytes / 1e6:.1f} MB) · "
            f"{seconds:.2f} s"
        )
        yield [inputs, done, summary_of(inputs), rows_json(inputs), checkpoint_id]
    except Exception as error:  # a boundary to the visitor: message_for words whatever went wrong
        yield [keep, status(message_for(error), error=True), keep, keep, before.checkpoint_id]


def shown_rows(count: int) -> list[Any]:
    """Return the visibility of every instruction row."""
    return [gr.update(visible=k < count) for k in range(MAX_INSTRUCTIONS)]


def add_instruction(instruction: str, count: int, *typed: str) -> list[Any]:
    """Return count, row visibilities and fields with one instruction more; nothing changes when all are in use."""
    if count >= MAX_INSTRUCTIONS:
        return [count, *shown_rows(count), *typed]
    fields = [*typed[:count], instruction, *typed[count + 1 :]]
    return [count + 1, *shown_rows(count + 1), *fields]


def remove_instruction(k: int, count: int, *typed: str) -> list[Any]:
    """Return count, row visibilities and fields without instruction k; the last one stays."""
    if count <= 1:
        return [count, *shown_rows(count), *typed]
    fields = [*typed[:k], *typed[k + 1 :], ""]
    return [count - 1, *shown_rows(count - 1), *fields]


def instruction_fields(instructions: Sequence[str]) -> list[Any]:
    """Return count, row visibilities and fields for given instructions."""
    count = len(instructions)
    fields = [*(instruction.strip() for instruction in instructions), *[""] * (MAX_INSTRUCTIONS - count)]
    return [count, *shown_rows(count), *fields]


def fill(inputs: Inputs) -> list[Any]:
    """Return count, row visibilities, fields and the text field for given inputs."""
    return [*instruction_fields(inputs.instructions), format_texts(inputs)]


def build_instruction(domain: str | None, text_type: str | None, objective: str | None) -> str:
    """Return the paper's template with its slots filled; the domain and the objective may be left out.

    >>> build_instruction("", "review", "clustering by topic")
    'Represent the review for clustering by topic:'
    """
    slots = (" ".join((entry or "").split()) for entry in (domain, text_type or "text", objective))
    return Slots(*slots).instruction.strip()


def build_sidebar(start: Inputs) -> Sidebar:
    """Lay out the column, filled with ``start``."""
    fields, fingerprints, rows, removers = [], [], [], []
    count = gr.State(len(start.instructions))
    gr.HTML("<h2>Instructions</h2>", padding=False)
    for k in range(MAX_INSTRUCTIONS):
        typed = start.instructions[k].strip() if k < len(start.instructions) else ""
        with gr.Row(visible=k < len(start.instructions), elem_classes=["ic-instruction", f"ic-instruction-{k}"]) as row:
            gr.HTML(
                f'<span class="ic-chip" aria-hidden="true" '
                f'style="background:var(--ic-accent-{k});color:var(--ic-accent-{k}-ink)">{letter(k)}</span>',
                elem_classes=["ic-letter"],
                padding=False,
            )
            fields.append(
                gr.Textbox(
                    typed,
                    label=f"Instruction {letter(k)}",
                    show_label=False,
                    placeholder="(no instruction)",
                    lines=1,
                    max_lines=4,
                    elem_id=f"instruction-{k}",
                )
            )
            removers.append(gr.Button("×", size="sm", min_width=24, elem_classes=["ic-remove"], elem_id=f"remove-{k}"))
            fingerprints.append(gr.HTML("", padding=False, elem_id=f"fingerprint-{k}", elem_classes=["ic-told"]))
        rows.append(row)
    with gr.Row(elem_classes=["ic-buttons"]):
        add = gr.Button("+ add", size="sm", min_width=60, elem_id="add-instruction")
    everything = [count, *rows, *fields]
    _builder(count, everything, fields)
    gr.HTML("<h2>Texts</h2>", padding=False)
    texts = gr.Textbox(
        format_texts(start),
        label="One text per line; a label may follow after a tab or |",
        lines=8,
        max_lines=8,
        elem_id="texts",
    )
    with gr.Row(elem_classes=["ic-buttons"]):
        update = gr.Button("Embed", variant="primary", size="sm", min_width=90, elem_id="update")
        stop = gr.Button("Stop", size="sm", min_width=60, elem_id="stop")
    with gr.Row(elem_classes=["ic-status-row"]):
        summary = gr.HTML(summary_of(start), elem_id="summary", padding=False)
        line = gr.HTML(status("ready"), elem_id="status", padding=False)
    preview = text_list(start, elem_id="text-list")
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last"}
    add.click(partial(add_instruction, ""), [count, *fields], everything, **quiet)
    for k, remove in enumerate(removers):
        remove.click(partial(remove_instruction, k), [count, *fields], everything, **quiet)
    return Sidebar(fields, fingerprints, rows, count, texts, summary, preview, update, stop, line)


def _builder(count: gr.State, everything: Sequence[Any], fields: Sequence[gr.Textbox]) -> None:
    """The form that writes an instruction in the paper's template."""
    lists = load_builder()
    objectives = [
        (f"{entry.objective} ·" if entry.mini else entry.objective, entry.objective) for entry in lists.objectives
    ]
    with gr.Accordion(
        "builder: Represent the (domain) (text type) for (objective):", open=False, elem_classes=["ic-fold"]
    ):
        with gr.Row(elem_classes=["ic-options"]):
            domain = gr.Dropdown(["", *lists.domains], value="", label="domain", allow_custom_value=True, min_width=110)
            text_type = gr.Dropdown(
                list(lists.text_types), value="review", label="text type", allow_custom_value=True, min_width=110
            )
        objective = gr.Dropdown(
            objectives,
            value=objectives[0][1],
            label="task objective",
            allow_custom_value=True,
        )
        insert = gr.Button("Add this instruction", size="sm", elem_id="build-instruction")

    def add_built(
        domain: str | None, text_type: str | None, objective: str | None, count: int, *typed: str
    ) -> list[Any]:
        return add_instruction(build_instruction(domain, text_type, objective), count, *typed)

    insert.click(
        add_built,
        [domain, text_type, objective, count, *fields],
        list(everything),
        show_progress="hidden",
        api_visibility="private",
        trigger_mode="always_last",
    )


def select_text(event: gr.EventData, selected: Selected) -> Selected:
    """Return the selection after a click in the list: the new text takes the row, the former row the column."""
    item = event_data(event).get("item")
    if item is None or int(item) == selected.row:
        return selected
    return Selected(int(item), selected.row, selected.instruction)
