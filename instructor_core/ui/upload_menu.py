"""The upload under the text field: a file, its columns with a preview, and a button that fills the field."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from instructor_core.errors import UserError
from instructor_core.figures.theme import shorten
from instructor_core.ui.feedback import message_for, note
from instructor_core.ui.files import FILE_TYPES, MAX_FILE_BYTES, read_table
from instructor_core.ui.inputs import MAX_CHARACTERS, MAX_TEXTS
from instructor_core.ui.tables import MAX_ROWS, Sample, Table, guess_columns, to_lines

SAMPLES = [("the first", "first"), ("evenly spread", "spread"), ("at random", "random")]
LIMITS = (
    f"{', '.join(kind.lstrip('.').upper() for kind in FILE_TYPES)}; up to {MAX_FILE_BYTES // 1_000_000} MB, {MAX_ROWS} "
    f"rows, {MAX_CHARACTERS} characters per text. The page takes {MAX_TEXTS} texts."
)
_PREVIEW_ROWS, _PREVIEW_COLUMNS, _PREVIEW_CHARACTERS = 5, 6, 60


def preview(table: Table) -> str:
    """Return the first rows as an HTML table, every cell shortened and escaped."""

    def cells(values: tuple[str, ...], tag: str) -> str:
        shown = (escape(shorten(value, _PREVIEW_CHARACTERS)) for value in values[:_PREVIEW_COLUMNS])
        return "".join(f"<{tag}>{value}</{tag}>" for value in shown)

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in table.rows[:_PREVIEW_ROWS])
    more = len(table.columns) - _PREVIEW_COLUMNS
    size = f"{len(table.rows)} rows" + (f"; {more} more columns are not shown" if more > 0 else "")
    return (
        f'<div class="ic-table"><table><caption>{size}</caption><thead><tr>{cells(table.columns, "th")}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def show(path: str | None, header: bool | None = None) -> list[Any]:
    """Return message, preview, header box, text menu, label menu, sampling row and number of texts for a file."""
    hidden = gr.update(visible=False)
    if path is None:
        return [note(LIMITS), "", hidden, hidden, hidden, hidden, gr.skip()]
    try:
        table = read_table(path, header=header)
    except Exception as error:  # a boundary to the visitor: message_for words whatever went wrong
        return [note(message_for(error), error=True), "", hidden, hidden, hidden, hidden, gr.skip()]
    text, label = guess_columns(table)
    choices = [(name, column) for column, name in enumerate(table.columns)]
    return [
        note(table.note),
        preview(table),
        gr.update(value=bool(table.has_header), visible=table.has_header is not None),
        gr.update(choices=choices, value=text, visible=True),
        gr.update(choices=choices, value=[] if label is None else [label], visible=True),
        gr.update(visible=True),
        min(len(table.rows), MAX_TEXTS),
    ]


def use(
    path: str | None, header: bool, text: int | None, labels: list[int], sample: Sample, limit: float | None
) -> list[Any]:
    """Return the text field and a message; the field keeps what it has if something is wrong."""
    try:
        if path is None:
            raise UserError("There is no file to take texts from. Upload one first.")
        table = read_table(path, header=header)
        if text is None:  # the button was faster than the menus
            text, label = guess_columns(table)
            labels = [] if label is None else [label]
        chosen = [label for label in labels if label != text]
        lines, left_out = to_lines(table, text, chosen, sample=sample, limit=int(limit or MAX_TEXTS))
        return [lines, note("The texts are in the field above.", left_out)]
    except Exception as error:  # as in `show`
        return [gr.skip(), note(message_for(error), error=True)]


def build_upload(texts: gr.Textbox) -> gr.events.Dependency:
    """Lay out the upload; returns the event after which `texts` holds the chosen rows."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    with gr.Accordion("upload a file", open=False, elem_classes=["ic-fold"]):
        file = gr.File(
            file_types=list(FILE_TYPES), type="filepath", label="File with texts", height=90, elem_id="upload-file"
        )
        message = gr.HTML(note(LIMITS), elem_id="upload-note", padding=False)
        header = gr.Checkbox(True, label="the first line names the columns", container=False, visible=False)
        with gr.Row(elem_classes=["ic-options"]):
            text = gr.Dropdown([], label="Texts", visible=False, min_width=110, elem_id="upload-text")
            labels = gr.Dropdown(
                [], label="Labels", multiselect=True, visible=False, min_width=110, elem_id="upload-labels"
            )
        table = gr.HTML("", elem_id="upload-preview", padding=False)
        with gr.Row(visible=False, elem_classes=["ic-options"]) as sampling:
            limit = gr.Number(MAX_TEXTS, precision=0, minimum=1, maximum=MAX_TEXTS, label="Texts at most", min_width=90)
            sample = gr.Dropdown(SAMPLES, value="first", label="If there are more", min_width=130)
        with gr.Row(elem_classes=["ic-buttons"]):
            button = gr.Button("Use these texts", size="sm", min_width=110, elem_id="upload-use")
    shown = [message, table, header, text, labels, sampling, limit]
    file.change(show, file, shown, **quiet)
    header.input(show, [file, header], shown, **quiet)
    return button.click(use, [file, header, text, labels, sample, limit], [texts, message], **quiet)
