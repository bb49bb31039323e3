"""The panel for own texts: a file, its columns with a preview, and a button that fills the fields."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import gradio as gr

from instructor_core.analysis.numbers import counted
from instructor_core.errors import UserError
from instructor_core.figures.theme import shorten
from instructor_core.ui.data import tables
from instructor_core.ui.data.examples import load_examples
from instructor_core.ui.data.inputs import MAX_CHARACTERS, MAX_TEXTS, one_line, parse_texts
from instructor_core.ui.data.sidebar import Sidebar, show_rows
from instructor_core.ui.feedback import boundary, note
from instructor_core.ui.page import HIDDEN, KEEP, QUIET, SHOWN, news
from instructor_core.ui.scene.stage import Updates, Words

TOO_LONG = [("are cut", "cut"), ("are left out", "leave out")]
SAMPLES = [("the first", "first"), ("evenly spread", "spread"), ("at random", "random")]
PROPOSED = ("proposed from the labels", -2)
NO_INSTRUCTIONS = ("none: keep those above", -1)
LIMITS = (
    f"{', '.join(kind.lstrip('.').upper() for kind in tables.UPLOAD_TYPES)}; up to "
    f"{tables.MAX_FILE_BYTES // 1_000_000} MB and {tables.MAX_ROWS} rows. The page takes {MAX_TEXTS} texts of up to "
    f"{MAX_CHARACTERS} characters."
)
MAX_NAME = 40  # characters of the name of a column in a sentence
_PREVIEW_ROWS, _PREVIEW_COLUMNS, _PREVIEW_CHARACTERS = 5, 6, 60


def are_of_an_example(typed: Sequence[str]) -> bool:
    """Return whether the instructions are those of an example, so that nothing a visitor wrote is lost."""
    written = {(instruction or "").strip() for instruction in typed} - {""}
    known = {instruction.strip() for example in load_examples() for instruction in example.instructions}
    return written <= known


def preview(table: tables.Table) -> str:
    """Return the first rows as an HTML table, every cell shortened and escaped."""

    def cells(values: tuple[str, ...], tag: str) -> str:
        short = (escape(shorten(value, _PREVIEW_CHARACTERS)) for value in values[:_PREVIEW_COLUMNS])
        return "".join(f"<{tag}>{value}</{tag}>" for value in short)

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in table.rows[:_PREVIEW_ROWS])
    more = len(table.columns) - _PREVIEW_COLUMNS
    size = counted(len(table.rows), "row") + (f"; {more} more columns are not shown" if more > 0 else "")
    return (
        f'<div class="ic-table"><table><caption>{size}</caption><thead><tr>{cells(table.columns, "th")}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


class Offer(NamedTuple):
    """One value for each part of the panel; without a table nothing is offered."""

    message: str
    table: str = ""
    header: Any = HIDDEN
    text: Any = HIDDEN
    labels: Any = HIDDEN
    instruction: Any = HIDDEN
    sampling: Any = HIDDEN
    limit: Any = KEEP
    too_long: Any = HIDDEN
    cut_rows: Any = HIDDEN


class Use(NamedTuple):
    """What becomes of the fields: those for which there is None keep what they have."""

    words: Words | None = None
    instructions: tuple[str, ...] | None = None
    lines: str | None = None
    message: str = ""


@boundary(lambda message: Offer(note(message, error=True)))
def show(path: str | None, header: bool | None = None, *typed: str) -> Offer:
    """Return what the panel offers for a file."""
    if path is None:
        return Offer(note(LIMITS))
    table = tables.read_table(path, header=header)
    text, label = tables.guess_columns(table)
    instruction = tables.guess_instructions(table)
    about = "" if instruction is None else tables.instructions_of(table, instruction, text)[1]
    choices = [(name, column) for column, name in enumerate(table.columns)]
    more = f"The page takes {MAX_TEXTS} of them: choose which below." if len(table.rows) > MAX_TEXTS else ""
    is_long = any(len(one_line(row[text])) > MAX_CHARACTERS for row in table.rows)
    proposal = (PROPOSED if are_of_an_example(typed) else NO_INSTRUCTIONS)[1]
    return Offer(
        note(table.note, more, about),
        preview(table),
        gr.update(value=bool(table.has_header), visible=table.has_header is not None),
        gr.update(choices=choices, value=text, visible=True),
        gr.update(choices=choices, value=[] if label is None else [label], visible=True),
        gr.update(
            choices=[PROPOSED, NO_INSTRUCTIONS, *choices],
            value=proposal if instruction is None else instruction,
            visible=True,
        ),
        SHOWN,
        min(len(table.rows), MAX_TEXTS),
        gr.update(visible=is_long, label=f"Texts over {MAX_CHARACTERS} characters"),
        gr.update(visible=table.has_long_rows, value=False),
    )


@boundary(lambda message: note(message, error=True))
def describe(path: str | None, header: bool, text: int | None, instruction: int) -> str:
    """Return what the chosen column of instructions would do, before anything is changed."""
    if path is None or text is None:
        return note(LIMITS)
    table = tables.read_table(path, header=header)
    return note(table.note, "" if instruction < 0 else tables.instructions_of(table, instruction, text)[1])


@boundary(lambda message: Use(message=note(message, error=True)))
def use(
    path: str | None,
    header: bool,
    text: int | None,
    labels: list[int],
    instruction: int | None,
    sample: tables.Sample,
    limit: float | None,
    seed: float | None,
    too_long: tables.TooLong = "cut",
    cut_rows: bool = False,
) -> Use:
    """Return what fills the fields; those of instructions stay if no column of them is chosen."""
    if path is None:
        raise UserError("There is no file to take texts from. Upload one first.")
    table = tables.read_table(path, header=header, cut_rows=cut_rows)
    if text is None:  # the button was faster than the menus
        text, label = tables.guess_columns(table)
        labels, instruction = [] if label is None else [label], tables.guess_instructions(table)
    instructions, about = None, ""
    if instruction == PROPOSED[1]:
        instructions = tables.propose_instructions(table, text, labels)
    has_instructions = instruction is not None and instruction >= 0
    if instruction is not None and has_instructions:
        instructions, about = tables.instructions_of(table, instruction, text)
    chosen = [label for label in labels if label not in (text, instruction)]
    seeded = tables.SEED if seed is None else int(seed)
    size = int(limit or MAX_TEXTS)
    options: dict[str, Any] = {"sample": sample, "limit": size, "seed": seeded, "too_long": too_long}
    lines, left_out = tables.to_lines(table, text, chosen, once=has_instructions, **options)
    name = shorten(table.columns[chosen[0]], MAX_NAME) if chosen else ""  # the first labels are those that count
    words = Words(parse_texts(lines)[0], label_name=name)
    return Use(words, instructions, lines, note("The texts are in the list.", left_out, about))


def build_upload(sidebar: Sidebar, restored: gr.State, words: gr.State) -> None:
    """Lay out the upload; `restored` changes when the fields of the sidebar hold what was chosen, and `words` say."""
    gr.HTML("<h2>Your texts</h2>")
    with gr.Column(min_width=100):
        file = gr.File(
            file_types=list(tables.UPLOAD_TYPES),
            type="filepath",
            label="File with texts",
            height=130,
            elem_id="upload-file",
        )
        message = gr.HTML(note(LIMITS), elem_id="upload-note")
        header = gr.Checkbox(True, label="the first line names the columns", container=False, visible=False)
        with gr.Row(elem_classes=["ic-options"]):
            text = gr.Dropdown([], label="Texts", visible=False, min_width=110, elem_id="upload-text")
            labels = gr.Dropdown(
                [], label="Labels", multiselect=True, visible=False, min_width=110, elem_id="upload-labels"
            )
            instruction = gr.Dropdown(
                [PROPOSED, NO_INSTRUCTIONS],
                value=PROPOSED[1],
                label="Instructions",
                visible=False,
                min_width=110,
                elem_id="upload-instructions",
            )
        table = gr.HTML("", elem_id="upload-preview")
        with gr.Row(visible=False, elem_classes=["ic-options"]) as sampling:
            limit = gr.Number(MAX_TEXTS, precision=0, minimum=1, maximum=MAX_TEXTS, label="Texts at most", min_width=90)
            sample = gr.Dropdown(SAMPLES, value="first", label="If there are more", min_width=130)
            seed = gr.Number(
                tables.SEED, precision=0, minimum=0, maximum=2**32 - 1, label="Seed", visible=False, min_width=70
            )
        with gr.Row(elem_classes=["ic-options"]):
            too_long = gr.Dropdown(
                TOO_LONG, value="cut", label="Long texts", visible=False, min_width=130, elem_id="upload-too-long"
            )
            cut_rows = gr.Checkbox(
                False,
                label="keep rows with too many fields, cut to the columns",
                container=False,
                visible=False,
                elem_id="upload-cut-rows",
            )
        with gr.Row(elem_classes=["ic-buttons"]):
            button = gr.Button("Use these texts", variant="primary", size="sm", min_width=110, elem_id="upload-use")
    offered = [message, table, header, text, labels, instruction, sampling, limit, too_long, cut_rows]  # as in `Offer`
    file.change(lambda path, *typed: show(path, None, *typed), [file, *sidebar.fields], offered, **QUIET)
    header.input(show, [file, header, *sidebar.fields], offered, **QUIET)
    gr.on([instruction.input, text.input], describe, [file, header, text, instruction], message, **QUIET)
    sample.input(lambda chosen: gr.update(visible=chosen == "random"), sample, seed, **QUIET)

    def fill(*chosen: Any) -> Updates:
        used = use(*chosen)
        updates: Updates = {message: used.message, restored: news()}
        if used.lines is not None:
            updates |= {words: used.words, sidebar.texts: used.lines}
        if used.instructions is not None:
            updates |= zip(sidebar.instructions, show_rows(used.instructions), strict=True)
        return updates

    chosen = [file, header, text, labels, instruction, sample, limit, seed, too_long, cut_rows]
    filled = button.click(fill, chosen, [words, *sidebar.entries, message, restored], **QUIET)
    filled.then(None, js="() => InstructorShell.used()", **QUIET)
