"""Lessons and views on paper: every view can be printed, answers stay hidden until they are asked for."""

import inspect
import json
import re
from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.data.worksheet import MAX_LISTED, Printer, lesson_sheet, page_address, scene_sheet
from instructor_core.ui.learn.lessons import load_lessons
from instructor_core.ui.look.views import VIEWS
from instructor_core.ui.page import Selected
from instructor_core.ui.scene import VIEW_OPTIONS, Scene
from instructor_core.ui.scene.stage import Stage
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial.closer import QUESTIONS
from tests.ui.inside import event, handler, options_of, stage_of

LESSON = load_lessons()[0]
AT = "https://example.org/lens/"
# Not the moving map: its two fits by UMAP take as long as all others together.
PRINTED = [(view.tab, view.name) for view in VIEWS] + [("lab", name) for name, *_ in QUESTIONS if name != "morph"]


@pytest.fixture(scope="module")
def stage(demo: gr.Blocks) -> Stage:
    return stage_of(demo)


@pytest.fixture(scope="module")
def printer(runtime: Runtime, demo: gr.Blocks) -> Printer:
    return Printer(runtime, options_of(demo), AT)


def without_code(page: str) -> str:
    return re.sub(r'<p class="code">.*?</p>', "", page, flags=re.DOTALL)


@pytest.mark.parametrize(("place", "view"), PRINTED)
def test_every_view_has_a_worksheet_with_its_figure_its_texts_and_a_code_that_opens_it(
    printer: Printer, stage: Stage, place: str, view: str
) -> None:
    inputs = stage.page.inputs.value
    options = {VIEW_OPTIONS[place]: view} if place in VIEW_OPTIONS else {}
    page = scene_sheet(printer, Scene(inputs, place, Selected(0, 8), options))
    assert f'href="{AT}?s=' in page and 'class="qrline"' in page
    assert re.search(r"<(table|svg [^>]*role=\"img\"|div class=\"tokens\")", without_code(page))
    assert page.count("<li>") >= len(inputs.texts) and "Click" not in page and "nan" not in without_code(page).lower()


def test_a_view_of_many_texts_prints_a_picture_and_the_first_of_them(printer: Printer, stage: Stage) -> None:
    texts = tuple(f"Text <b> number {n}" for n in range(MAX_LISTED + 7))
    inputs = replace(stage.page.inputs.value, texts=texts, labels=None, more_labels=())
    page = scene_sheet(replace(printer, address=""), Scene(inputs, "similarity"))
    assert page.count("data:image/png") == len(inputs.instructions)
    assert "And 7 more." in page and "<b> number" not in page and 'class="code"' not in page


def test_a_lesson_is_escaped_on_paper_links_to_its_steps_and_asks_nobody(printer: Printer) -> None:
    lesson = replace(LESSON, title="<b>&")
    page = lesson_sheet(printer, lesson, CHECKPOINTS[0].id)
    assert "<h1>&lt;b&gt;&amp;</h1>" in page
    links = re.findall(r'href="([^"]*)"', page)
    assert links == [f"{AT}?lesson={lesson.id}&amp;step={n}" for n in range(1, len(lesson.steps) + 1)]
    assert not re.search(r"<script [^>]|<link|<img|url\(|@import|\bsrc=", page)
    assert "checked>" not in page and "checked>" in lesson_sheet(printer, lesson, CHECKPOINTS[0].id, answers=True)


def test_the_address_on_a_sheet_is_that_of_the_page_or_none() -> None:
    assert page_address("https://user-name.hf.space/") == "https://user-name.hf.space/"
    assert page_address("http://127.0.0.1:7860/proxy/lens/?s=abc#map") == "http://127.0.0.1:7860/proxy/lens/"
    assert page_address("http://[::1]:7860") == "http://[::1]:7860/"
    for wrong in ("javascript:alert(1)", "https://user:word@example.org/", "https://", "//example.org/", "http://[", 7):
        assert page_address(wrong) == ""
    assert page_address("https://example.org/" + "x" * 500) == page_address(None) == ""


def printed(demo: gr.Blocks, stage: Stage, sent: dict[str, Any], **options: Any) -> dict[str, str]:
    """What the page answers to a click that prints, with the options on screen set otherwise."""
    write = inspect.unwrap(handler(demo, "write_page"))
    shown = [stage.page.inputs.value, Selected(), "learn", None]
    values = {**options_of(demo), **options}.values()
    answer: dict[str, str] = json.loads(write(event(**sent), *shown, *values))
    return answer


def test_whatever_is_asked_for_is_printed_under_the_mark_of_its_click(demo: gr.Blocks, stage: Stage) -> None:
    lesson = printed(demo, stage, {"lesson": LESSON.id, "at": AT, "token": "12-7"})
    assert (lesson["token"], lesson["name"]) == ("12-7", f"lesson-{LESSON.id}.html")
    # Where no view is in front, as in Learn, the map is printed; what no visitor could choose is left aside.
    view = printed(demo, stage, {"lesson": ["x"], "at": "javascript:0"}, **{"map.method": "</script>", "map.metric": 3})
    assert "<title>Map</title>" in view["html"] and "href=" not in view["html"]
