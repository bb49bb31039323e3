"""What a visitor enters: the rows of instructions, the list of texts, and the run that turns them into embeddings."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from instructor_core.analysis.grid import letter
from instructor_core.analysis.numbers import counted
from instructor_core.analysis.suggest import Slots, load_builder
from instructor_core.cache import CachedEncoder
from instructor_core.errors import UserError
from instructor_core.figures.charts import NO_INSTRUCTION
from instructor_core.ui.components import rows_json, text_list
from instructor_core.ui.feedback import message_for, status
from instructor_core.ui.gradio_patches import event_data
from instructor_core.ui.inputs import MAX_INSTRUCTION, MAX_INSTRUCTIONS, Inputs, format_texts, parse_inputs, parse_texts
from instructor_core.ui.page import Selected
from instructor_core.ui.progress import described, rate_line
from instructor_core.ui.runtime import Runtime
from instructor_core.ui.strings import one_line

LIVE_SECONDS = 5.0  # of encoding, by estimate, that typing may start by itself; what takes longer is asked for
OPERATIONS_PER_SECOND = 5e10  # of a processor that two threads share with other visitors
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
    live: gr.HTML  # fires when typing has paused
    edited: gr.State  # changes when a click has changed the instructions

    @property
    def entries(self) -> list[Any]:
        """What `fill` fills: count, rows and fields of instructions, text field."""
        return [self.count, *self.rows, *self.fields, self.texts]


def summary_of(inputs: Inputs) -> str:
    """Return the line over the list of texts."""
    n_labels = len({label for label in inputs.labels or () if label})
    labels = f" · {counted(n_labels, 'label')}" if n_labels else ""
    return status(f"{counted(len(inputs.texts), 'text')}{labels}")


def estimated_seconds(encoder: CachedEncoder, pairs: Sequence[tuple[str, str]], share: float) -> float:
    """Return about how long a share of pairs takes: two operations per weight and token, a token of 4 characters."""
    tokens = share * sum(len(instruction) + len(text) for instruction, text in pairs) / 4
    weights = sum(weight.numel() for weight in encoder.model.parameters())
    return 2.0 * weights * tokens / OPERATIONS_PER_SECOND / encoder.speed


def run(
    runtime: Runtime, before: Inputs, checkpoint_id: str, typed_texts: str, count: int, *typed: str, ask: bool = False
) -> Generator[list[Any], None, None]:
    """Embed what was entered, yielding (inputs, status, summary, list, checkpoint, run, stop) after every batch.

    Nothing on the page changes until the new embeddings are there; an error leaves everything as it is, and a
    checkpoint that cannot be had leaves the one in use. With ``ask``, what would take long waits for the button.
    """
    keep = gr.skip()
    shown, hidden = gr.update(visible=True), gr.update(visible=False)
    try:
        inputs = parse_inputs(checkpoint_id, typed[:count], typed_texts)
        pairs = inputs.pairs
        if inputs == before:
            line = status(f"{counted(len(pairs), 'pair')} · 0 new", run="same")
            yield [keep, line, keep, keep, keep, hidden, hidden]  # an old error goes away
            return
        started = time.monotonic()
        loading = runtime.load_steps(checkpoint_id)
        encoder = yield from described(
            loading, lambda words: [keep, status(words, run="busy"), keep, keep, keep, hidden, shown]
        )
        n_new, n_found, rate = 0, -1, rate_line()
        steps = encoder.encode_steps(pairs)
        with closing(steps):
            for progress in steps:
                n_new = progress.n_new
                if n_found < 0:  # the first step tells what the cache had
                    n_found = progress.done
                    seconds = estimated_seconds(encoder, pairs, 1 - n_found / len(pairs)) if ask else 0.0
                    if seconds > LIVE_SECONDS:
                        line = status(
                            f"{counted(len(pairs) - n_found, 'pair')} to embed, about {seconds:.0f} s", run="waits"
                        )
                        yield [keep, line, keep, keep, keep, gr.update(visible=True, value="Embed them"), hidden]
                        return
                if progress.done < progress.total:
                    yield [keep, status(rate(progress), run="busy"), keep, keep, keep, hidden, shown]
        seconds = time.monotonic() - started
        done = status(
            f"{counted(len(pairs), 'pair')} · {n_new} new · {n_found} cached ({encoder.n_bytes / 1e6:.1f} MB) · "
            f"{seconds:.2f} s"
        )
        yield [inputs, done, summary_of(inputs), rows_json(inputs), checkpoint_id, hidden, hidden]
    except Exception as error:  # a boundary to the visitor: message_for words whatever went wrong
        line = status(message_for(error), error=True)
        yield [keep, line, keep, keep, before.checkpoint_id, hidden, hidden]


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


def try_chip(chip: int, count: int, *typed: str) -> list[Any]:
    """Return count, row visibilities and fields with a proposed instruction in the place of the second one."""
    objective = CHIPS[chip][1]
    kind = re.match(r"Represent the (?:[\w-]+ )??([\w-]+) for ", typed[0])
    instruction = build_instruction("", kind[1] if kind else "sentence", objective) if objective else ""
    return put_second(instruction, count, *typed)


def put_second(instruction: str, count: int, *typed: str) -> list[Any]:
    """Return count, row visibilities and fields with an instruction in the place of the second one."""
    if count < 2:
        return add_instruction(instruction, count, *typed)
    return [count, *shown_rows(count), typed[0], instruction, *typed[2:]]


def build_sidebar(start: Inputs, drawer: gr.Column) -> Sidebar:
    """Lay out the instructions here and the texts in the drawer, filled with ``start``."""
    fields, fingerprints, rows, removers = [], [], [], []
    count, edited = gr.State(len(start.instructions)), gr.State("")
    with gr.Column(elem_classes=["ic-instructions"]):
        for k in range(MAX_INSTRUCTIONS):
            typed = start.instructions[k].strip() if k < len(start.instructions) else ""
            with gr.Row(
                visible=k < len(start.instructions), elem_classes=["ic-instruction", f"ic-instruction-{k}"]
            ) as row:
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
                        placeholder=NO_INSTRUCTION,
                        lines=1,
                        max_lines=4,
                        elem_id=f"instruction-{k}",
                    )
                )
                removers.append(
                    gr.Button("×", size="sm", min_width=24, elem_classes=["ic-remove"], elem_id=f"remove-{k}")
                )
                fingerprints.append(gr.HTML("", padding=False, elem_id=f"fingerprint-{k}", elem_classes=["ic-told"]))
            rows.append(row)
    with gr.Row(elem_classes=["ic-tools"]):
        add = gr.Button("+ add", size="sm", min_width=60, elem_id="add-instruction")
        chips = gr.HTML(
            "<span class='ic-try'>try</span>"
            + "".join(
                f"<button type='button' data-chip='{k}'>{escape(words)}</button>" for k, (words, _) in enumerate(CHIPS)
            ),
            js_on_load="InstructorShell.chips(element, trigger, 'pick');",
            elem_id="chips",
            elem_classes=["ic-chips"],
            padding=False,
            apply_default_css=False,
        )
        earlier = gr.HTML(
            html_template="<select aria-label='Earlier instructions of this visit' hidden></select>",
            js_on_load="InstructorShell.earlier(element.querySelector('select'), trigger, 'pick');",
            elem_id="earlier",
            padding=False,
            apply_default_css=False,
        )
        builder = gr.Column(min_width=60)
        update = gr.Button("Embed them", variant="primary", size="sm", min_width=90, elem_id="update", visible=False)
        stop = gr.Button("Stop", size="sm", min_width=60, elem_id="stop", visible=False)
        line = gr.HTML(status(""), elem_id="status", padding=False)
        facts = gr.HTML(padding=False, elem_id="checkpoint-facts")
        live = gr.HTML(
            html_template="<span></span>",
            js_on_load="InstructorShell.live(trigger, 'paused');",
            elem_id="live",
            padding=False,
            apply_default_css=False,
        )
    everything = [count, *rows, *fields]
    with drawer:
        sheet = gr.Button("more", size="sm", min_width=50, elem_id="sheet-handle")
        with gr.Row(elem_classes=["ic-texts-head"]):
            gr.HTML("<h2>Texts</h2>", padding=False)
            summary = gr.HTML(summary_of(start), elem_id="summary", padding=False)
            edit = gr.Button("edit", size="sm", min_width=50, elem_id="edit-texts")
        warnings = gr.HTML(
            "",
            js_on_load="element.addEventListener('click', ({target}) => "
            "target.closest('[data-merge]') && trigger('merge', {}));",
            elem_id="text-warnings",
            padding=False,
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
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def change(handler: Callable[..., list[Any]]) -> dict[str, Any]:
        outputs = [*everything, edited]
        return {"fn": lambda *typed: [*handler(*typed), secrets.token_hex(8)], "outputs": outputs, **quiet}

    add.click(**change(partial(add_instruction, "")), inputs=[count, *fields], trigger_mode="always_last")
    for k, remove in enumerate(removers):
        remove.click(**change(partial(remove_instruction, k)), inputs=[count, *fields], trigger_mode="always_last")

    def picked(event: gr.EventData, count: int, *typed: str) -> list[Any]:
        chip = event_data(event).get("chip")
        known = isinstance(chip, int) and 0 <= chip < len(CHIPS)
        return [*try_chip(int(chip or 0) if known else 0, count, *typed), secrets.token_hex(8)]

    preview.item_edit(edited_texts, texts, [texts, edited], trigger_mode="multiple", concurrency_limit=1, **quiet)
    with builder:
        _builder(change, [count, *fields])

    def recalled(event: gr.EventData, count: int, *typed: str) -> list[Any]:
        instruction = str(event_data(event).get("instruction") or "")[:MAX_INSTRUCTION]
        return [*put_second(instruction, count, *typed), secrets.token_hex(8)]

    for menu, handler in ((chips, picked), (earlier, recalled)):
        menu.pick(
            handler, [count, *fields], [*everything, edited], trigger_mode="multiple", concurrency_limit=1, **quiet
        )
    return Sidebar(
        *(fields, fingerprints, rows, count, texts, summary, warnings, preview),
        *(update, stop, line, facts, live, edited),
    )


def _builder(change: Callable[..., dict[str, Any]], entered: Sequence[Any]) -> None:
    """The form that writes an instruction in the paper's template."""
    lists = load_builder()
    objectives = [
        (f"{entry.objective} ·" if entry.mini else entry.objective, entry.objective) for entry in lists.objectives
    ]
    with gr.Accordion("the paper's template", open=False, elem_classes=["ic-fold", "ic-drawn"]):
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

    insert.click(**change(add_built), inputs=[domain, text_type, objective, *entered], trigger_mode="always_last")


def edited_texts(event: gr.EventData, typed_texts: str) -> list[Any]:
    """Return the text field with one text in another wording, its labels kept, and a mark that starts the run.

    Nothing changes where the field no longer holds what was changed: there it has the last word.
    """
    change = event_data(event)
    item, before, text = change.get("item"), change.get("before"), one_line(str(change.get("text") or ""))
    try:
        texts, columns = parse_texts(typed_texts)
    except UserError:
        return [gr.skip(), secrets.token_hex(8)]  # the run says what is wrong
    if not isinstance(item, int) or not 0 <= item < len(texts) or texts[item] != before or not text:
        return [gr.skip(), secrets.token_hex(8)]
    texts = (*texts[:item], text, *texts[item + 1 :])
    return [format_texts(Inputs("", (), texts, columns[0] if columns else None, columns[1:])), secrets.token_hex(8)]


def select_text(event: gr.EventData, selected: Selected) -> Selected:
    """Return the selection after a click in the list: the new text takes the row, the former row the column."""
    item = event_data(event).get("item")
    if item is None or int(item) == selected.row:
        return selected
    return Selected(int(item), selected.row, selected.instruction)
