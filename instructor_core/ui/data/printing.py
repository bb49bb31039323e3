"""What is printed, a lesson or the view on screen, as a page that opens in a tab of its own.

The browser opens the tab at the click, or its blocker would step in, and fills it when the page arrives as a value.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from instructor_core.figures.panels import inert_json
from instructor_core.ui.components import component
from instructor_core.ui.data.worksheet import Printer, lesson_sheet, page_address, scene_sheet
from instructor_core.ui.feedback import boundary
from instructor_core.ui.gradio_patches import event_data
from instructor_core.ui.learn.lessons import load_lessons
from instructor_core.ui.look.views import VIEWS
from instructor_core.ui.page import QUIET
from instructor_core.ui.scene import Scene
from instructor_core.ui.scene.stage import Stage
from instructor_core.ui.trial import TAB

SCRIPTS = ("figure.js", "linking.js", "shell.js", "lessons.js", "lesson_list.js")
PLACES = {*(view.tab for view in VIEWS), TAB}  # that can be printed


def view_button() -> gr.HTML:
    """Return the button that prints what is on screen."""
    return component(
        "<button type='button' class='ic-print-view'>Worksheet of this view</button>",
        "InstructorLessonList.mountPrint(element, trigger, 'lesson_print');",
        elem_id="print-view",
        scripts=SCRIPTS,
    )


def connect_printing(stage: Stage, *sources: gr.HTML) -> None:
    """Let components print by their event `lesson_print`: a lesson where it names one, else the scene on screen."""
    lessons = {lesson.id: lesson for lesson in load_lessons()}
    defaults = {name: option.component.value for name, option in stage.options.items()}
    delivery = component(
        "<span></span>",
        "InstructorLessonList.mountDelivery(element, props, watch);",
        elem_id="lesson-worksheet",
        elem_classes=["ic-hidden"],
        scripts=SCRIPTS,
    )

    @boundary(lambda message: {"error": message})
    def page_of(data: dict[str, Any], *values: Any) -> dict[str, str]:
        scene = stage.scene(*values)
        printer = Printer(stage.page.runtime, defaults, page_address(data.get("at")))
        lesson = lessons.get(str(data.get("lesson")))
        if lesson is not None:
            answers = data.get("answers") is True
            page = lesson_sheet(printer, lesson, scene.inputs.checkpoint_id, answers=answers)
            return {"name": f"lesson-{lesson.id}.html", "html": page}
        return {"name": "worksheet.html", "html": scene_sheet(printer, _printable(stage, scene))}

    def write_page(event: gr.EventData, *values: Any) -> str:
        data = event_data(event)
        # With the mark of the click, so that the same page is news when it is asked for twice.
        return inert_json({**page_of(data, *values), "token": str(data.get("token"))[:40]})

    for source in sources:
        source.lesson_print(
            write_page, stage.now, delivery, trigger_mode="multiple", preprocess=False, concurrency_limit=2, **QUIET
        )


def _printable(stage: Stage, scene: Scene) -> Scene:
    """A scene with a view, and the options that a visitor could have chosen."""
    options = {
        name: value
        for name, value in (scene.options or {}).items()
        if stage.options[name].restored(value, scene.inputs) is not None
    }
    return replace(scene, place=scene.place if scene.place in PLACES else VIEWS[0].tab, options=options)
