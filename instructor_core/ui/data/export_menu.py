"""What leaves the page: the run as a file, the code that computes it again, and what is printed.

A lesson or the view on screen is printed from a tab of its own. The browser opens it at the click, or its blocker would
step in, and fills it when the page arrives as a value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from instructor_core.figures.panels import inert_json
from instructor_core.table import has_pyarrow
from instructor_core.ui.components import LESSON_SCRIPTS, code_view, component
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
from instructor_core.ui.data.report import write_report
from instructor_core.ui.data.text_warnings import text_warnings
from instructor_core.ui.data.worksheet import Printer, lesson_sheet, page_address, scene_sheet
from instructor_core.ui.feedback import boundary, note
from instructor_core.ui.gradio_patches import cache_folder, event_data
from instructor_core.ui.learn.lessons import load_lessons
from instructor_core.ui.look.views import VIEWS
from instructor_core.ui.page import QUIET
from instructor_core.ui.scene.stage import Stage
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial import TAB

PLACES = {*(view.tab for view in VIEWS), TAB}  # that can be printed


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


def build_export(stage: Stage, lesson_list: gr.HTML) -> None:
    """Lay out the export and connect it, with what prints: the button for the view, and the list of lessons."""
    page = stage.page
    choices = [(entry.label, kind) for kind, entry in FORMATS.items() if kind != "parquet" or has_pyarrow()]
    with gr.Accordion("export", open=True, elem_classes=["ic-fold"], elem_id="export"):
        with gr.Row(elem_classes=["ic-buttons"]):
            kind = gr.Dropdown(
                choices, value="report", label="What", show_label=False, min_width=180, elem_id="export-kind"
            )
            button = gr.Button("Download", size="sm", min_width=90, elem_id="export-download")
            printing = component(
                "<button type='button' class='ic-print-view'>Worksheet of this view</button>",
                "InstructorLessonList.mountPrint(element, trigger, 'lesson_print');",
                elem_id="print-view",
                scripts=LESSON_SCRIPTS,
            )
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
    _connect_printing(stage, printing, lesson_list)


def _connect_printing(stage: Stage, *sources: gr.HTML) -> None:
    """Let components print by their event `lesson_print`: a lesson where it names one, else the scene on screen."""
    by_id = {lesson.id: lesson for lesson in load_lessons()}
    defaults = {name: option.component.value for name, option in stage.options.items()}
    delivery = component(
        "<span></span>",
        "InstructorLessonList.mountDelivery(element, props, watch);",
        elem_id="lesson-worksheet",
        elem_classes=["ic-hidden"],
        scripts=LESSON_SCRIPTS,
    )

    @boundary(lambda message: {"error": message})
    def page_of(data: dict[str, Any], *values: Any) -> dict[str, str]:
        scene = stage.scene(*values)
        printer = Printer(stage.page.runtime, defaults, page_address(data.get("at")))
        lesson = by_id.get(str(data.get("lesson")))
        if lesson is not None:
            answers = data.get("answers") is True
            page = lesson_sheet(printer, lesson, scene.inputs.checkpoint_id, answers=answers)
            return {"name": f"lesson-{lesson.id}.html", "html": page}
        if scene.place not in PLACES:
            scene = replace(scene, place=VIEWS[0].tab)
        return {"name": "worksheet.html", "html": scene_sheet(printer, stage.possible(scene))}

    def write_page(event: gr.EventData, *values: Any) -> str:
        data = event_data(event)
        # With the mark of the click, so that the same page is news when it is asked for twice.
        return inert_json({**page_of(data, *values), "token": str(data.get("token"))[:40]})

    for source in sources:
        source.lesson_print(
            write_page, stage.now, delivery, trigger_mode="multiple", preprocess=False, concurrency_limit=2, **QUIET
        )
