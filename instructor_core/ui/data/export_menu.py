"""The export of the run on screen: choose a format, get the file; and the code that computes the run again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr

from instructor_core.table import has_pyarrow
from instructor_core.ui.components import code_view
from instructor_core.ui.data.exports import (
    SAVE_FILE,
    Export,
    new_path,
    size_of,
    snippet,
    write_embeddings_csv,
    write_npz,
    write_parquet,
    write_similarity_csv,
)
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.data.printing import view_button
from instructor_core.ui.data.report import write_report
from instructor_core.ui.data.text_warnings import text_warnings
from instructor_core.ui.feedback import boundary, note
from instructor_core.ui.gradio_patches import cache_folder
from instructor_core.ui.page import QUIET, Page
from instructor_core.ui.server.runtime import Runtime


@dataclass(frozen=True)
class Format:
    """One entry of the menu, the name of the file, and what writes it."""

    label: str
    filename: str
    write: Callable[[Export, Path], None]


FORMATS = {
    "report": Format("report, one HTML file", "report.html", write_report),
    "npz": Format("embeddings, NPZ", "embeddings.npz", write_npz),
    "csv": Format("embeddings, CSV", "embeddings.csv", write_embeddings_csv),
    "parquet": Format("embeddings, Parquet", "embeddings.parquet", write_parquet),
    "similarity": Format("similarity, CSV", "similarity.csv", write_similarity_csv),
}


@boundary(lambda message: (None, note(message, error=True)))
def write(runtime: Runtime, folder: Path, inputs: Inputs, kind: str) -> tuple[str | None, str]:
    """Return the path of the file written below a folder (None if there is none) and a message."""
    chosen = FORMATS[kind]
    path = new_path(folder, chosen.filename)
    checkpoint = runtime.checkpoint(inputs.checkpoint_id)
    warnings = text_warnings(runtime.encoder(inputs.checkpoint_id), inputs)
    chosen.write(Export(runtime.grid(inputs), checkpoint, runtime.dtype, inputs.label_columns, warnings), path)
    return str(path), note(f"{chosen.filename}, {size_of(path.stat().st_size)}")


def code(runtime: Runtime, inputs: Inputs) -> str:
    """Return the code of the run on screen."""
    checkpoint = runtime.checkpoint(inputs.checkpoint_id)
    template = runtime.template(inputs.checkpoint_id) if runtime.is_loaded(inputs.checkpoint_id) else None
    how = template.string if template else ""
    return snippet(checkpoint, inputs.instructions, inputs.texts, dtype=runtime.dtype, template=how)


def build_export(page: Page) -> gr.HTML:
    """Lay out the export and connect it; returns the button that prints the view, for `connect_printing`."""
    choices = [(entry.label, kind) for kind, entry in FORMATS.items() if kind != "parquet" or has_pyarrow()]
    with gr.Accordion("export", open=True, elem_classes=["ic-fold"], elem_id="export"):
        with gr.Row(elem_classes=["ic-buttons"]):
            kind = gr.Dropdown(
                choices, value="report", label="What", show_label=False, min_width=180, elem_id="export-kind"
            )
            button = gr.Button("Download", size="sm", min_width=90, elem_id="export-download")
            printing = view_button()
        message = gr.HTML("", elem_id="export-note")
        file = gr.DownloadButton(visible="hidden")
        snippet_view = code_view(label="The same in Python", elem_id="export-code", lines=14)
    written = button.click(
        partial(write, page.runtime, cache_folder()),
        [page.inputs, kind],
        [file, message],
        concurrency_limit=2,
        concurrency_id="export",
        show_progress="minimal",
        show_progress_on=[message],
        api_visibility="private",
    )
    written.then(None, file, js=SAVE_FILE, **QUIET)
    page.follow(lambda inputs: [code(page.runtime, inputs)], [page.inputs], [snippet_view])
    return printing
