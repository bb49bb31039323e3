"""Learn: lessons that drive the real page, the list of them, and the glossary.

The lesson itself stands in a bar over the canvas, because a lesson opens one view after the other. The bar and the list
are components of our own, drawn by `assets/lessons.js`; what happens in them arrives here as one event with an action.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import gradio as gr

from instructor_core.figures.panels import inert_json
from instructor_core.ui.components import script_tags
from instructor_core.ui.examples import load_examples
from instructor_core.ui.gradio_patches import event_data
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.lessons import (
    GlossaryEntry,
    Lesson,
    Step,
    Verdict,
    judge,
    judge_change,
    load_glossary,
    load_lessons,
)
from instructor_core.ui.page import KEEP, Selected, follow
from instructor_core.ui.printing import SCRIPTS
from instructor_core.ui.runtime import Runtime
from instructor_core.ui.scene import Scene
from instructor_core.ui.scene.stage import Stage, Updates

TAB = "learn"


@dataclass(frozen=True)
class Place:
    """Where a learner is, and what to go back to.

    Attributes:
        lesson: Index of the lesson.
        step: Index of the step; the number of steps once the lesson is finished.
        own: The learner's own scene, options and all; what they make in a free task is theirs as well.
        turn: Counts what the bar was told, so that saying the same again is news.
        verdict: On the answer to this step; None before there is one.
        shown: What the page was last set up to in this step; None at the end of a lesson.
        before: The inputs that were on screen then: until those of `shown` are there, they are no answer.
    """

    lesson: int
    step: int
    own: Scene
    turn: int = 0
    verdict: Verdict | None = None
    shown: Scene | None = None
    before: Inputs | None = None


def bar_json(lessons: Sequence[Lesson], place: Place | None, *, follows: bool = False) -> str:
    """Return the value of the bar: the lesson's step with its verdict; "" while there is no lesson."""
    if place is None:
        return ""
    lesson = lessons[place.lesson]
    following = lessons[place.lesson + 1] if place.lesson + 1 < len(lessons) else None
    value: dict[str, Any] = {
        "turn": place.turn,
        "follows": follows,  # of a run: no news where the learner has gone on meanwhile
        "lesson": lesson.id,
        "title": lesson.title,
        "goal": lesson.goal,
        "number": place.lesson + 1,
        "step": place.step + 1,
        "steps": len(lesson.steps),
        "next": None if following is None else {"id": following.id, "title": following.title},
        "verdict": None if place.verdict is None else asdict(place.verdict),
    }
    if place.step < len(lesson.steps):
        step = lesson.steps[place.step]
        value |= {
            "say": step.say,
            "question": step.question,
            "choices": list(step.choices),
            "free": step.free and ("own" if is_own(place.own) and not _is_lent(step, place) else "lesson"),
            "look": asdict(step.look),
        }
    return inert_json(value)


def catalogue_json(lessons: Sequence[Lesson], glossary: Sequence[GlossaryEntry]) -> str:
    """Return the value of the list of lessons with the glossary under it."""
    listed = [
        {
            **{"id": each.id, "title": each.title, "goal": each.goal, "minutes": each.minutes},
            "questions": [step.question for step in each.steps],
        }
        for each in lessons
    ]
    return inert_json({"lessons": listed, "glossary": [asdict(entry) for entry in glossary]})


def step_of(lessons: Sequence[Lesson], place: Place | None) -> Step | None:
    """Return the step that a learner is at; None outside a lesson and at its end."""
    if place is None or place.step >= len(lessons[place.lesson].steps):
        return None
    return lessons[place.lesson].steps[place.step]


def find(lessons: Sequence[Lesson], lesson_id: object, number: object) -> tuple[int, int] | None:
    """Return the indices of a lesson and of its step, counted from 1 in a link; None for an unknown lesson."""
    for at, lesson in enumerate(lessons):
        if lesson.id == lesson_id:
            step = int(number) - 1 if isinstance(number, int | float) else 0
            return at, max(0, min(step, len(lesson.steps) - 1))
    return None


@cache
def _examples() -> frozenset[tuple[Any, ...]]:
    return frozenset((each.instructions, each.texts) for each in load_examples())


def is_own(scene: Scene) -> bool:
    """Return whether a scene is of texts or instructions that are no example's."""
    return (scene.inputs.instructions, scene.inputs.texts) not in _examples()


def act(
    runtime: Runtime, lessons: Sequence[Lesson], place: Place | None, now: Scene, action: str, event: dict[str, Any]
) -> tuple[Place | None, Scene | None]:
    """Return where a learner is after an action, and the scene to set up; None leaves the page as it is.

    Args:
        runtime: Loaded checkpoints; the one in use answers.
        lessons: All lessons.
        place: Where the learner is; None outside a lesson.
        now: What the page shows.
        action: "open", "next", "back", "show", "answer", "reveal", "check", "solve" or "leave".
        event: What came with it; untrusted.
    """
    if action == "open":
        place = place and _kept(lessons, place, now)
        found = find(lessons, event.get("lesson"), event.get("step"))
        if found is None:
            return place, None
        return _entered(lessons, Place(*found, now if place is None else place.own, _turn(place)), now)
    if place is None:
        return None, None
    place = _kept(lessons, place, now)
    if action == "leave":
        return None, place.own
    if action in ("next", "back", "show"):
        by = {"next": 1, "back": -1, "show": 0}[action]
        step = max(0, min(place.step + by, len(lessons[place.lesson].steps)))
        told = step_of(lessons, place)
        verdict = place.verdict if action == "show" and told and not told.free else None
        return _entered(lessons, replace(place, step=step, verdict=verdict, turn=place.turn + 1), now)
    step_now = step_of(lessons, place)
    if step_now is None:
        return place, None
    encoder, checkpoint_id = runtime.encoder(now.inputs.checkpoint_id), now.inputs.checkpoint_id
    if action == "solve" and step_now.solution is not None:
        scene = step_now.solved(checkpoint_id)
        verdict = judge_change(encoder, step_now, scene.inputs, scene.selected)
        return _told(replace(place, shown=scene, before=now.inputs), verdict), scene
    if action == "check" and step_now.solution is not None:
        return _told(place, judge_change(encoder, step_now, now.inputs, now.selected)), None
    choice = step_now.answer if action == "reveal" else event.get("choice")
    if action in ("answer", "reveal") and isinstance(choice, int | float) and 0 <= choice < len(step_now.choices):
        untouched = now.inputs.runs[0] == replace(step_now.inputs, checkpoint_id=checkpoint_id)
        revealed = replace(now, selected=step_now.reveal) if step_now.reveal and untouched else None
        return _told(place, judge(encoder, step_now, checkpoint_id, int(choice))), revealed
    return place, None


def notice(
    runtime: Runtime, lessons: Sequence[Lesson], place: Place | None, inputs: Inputs, selected: Selected
) -> Place | None:
    """Return the place after a new run or selection: a change that a step asks for is judged as soon as it is there."""
    step = step_of(lessons, place)
    if place is None or step is None or step.solution is None or (shown := place.shown) is None:
        return place
    if inputs.runs[0] == replace(shown.inputs, checkpoint_id=inputs.checkpoint_id):
        if not step.free or selected == shown.selected:
            return place
    elif inputs == place.before:
        return place
    verdict = judge_change(runtime.encoder(inputs.checkpoint_id), step, inputs, selected)
    return place if verdict == place.verdict else replace(place, verdict=verdict)


def _start(step: Step, place: Place, checkpoint_id: str) -> Scene:
    """The scene that a step begins with: a free task with texts of the learner's own, if there are any."""
    scene, own = step.scene(checkpoint_id), place.own
    if not step.free or not is_own(own):
        return scene
    inputs = replace(own.inputs, checkpoint_id=checkpoint_id, beside_id="")
    return replace(scene, inputs=inputs, selected=own.selected.within(inputs))


def _is_lent(step: Step, place: Place) -> bool:
    """Whether an example that the learner asked for stands in the place of texts of their own."""
    return place.shown is not None and place.shown == step.solved(place.shown.inputs.checkpoint_id)


def _kept(lessons: Sequence[Lesson], place: Place, now: Scene) -> Place:
    """The place, with what a learner made in a free task for their own, unless they have other texts and play."""
    step = step_of(lessons, place)
    if step is None or not step.free or place.shown is None or (is_own(place.own) and _is_lent(step, place)):
        return place
    alone = now.inputs.runs[0]
    if now.inputs == place.before or alone == replace(place.shown.inputs, checkpoint_id=alone.checkpoint_id):
        return place
    return replace(place, own=replace(place.own, inputs=now.inputs, selected=now.selected), shown=now)


def _turn(place: Place | None) -> int:
    return 0 if place is None else place.turn + 1


def _told(place: Place, verdict: Verdict) -> Place:
    return replace(place, verdict=verdict, turn=place.turn + 1)


def _entered(lessons: Sequence[Lesson], place: Place, now: Scene) -> tuple[Place, Scene | None]:
    """The place and its scene; the end of a lesson leaves the page as it is."""
    step = step_of(lessons, place)
    scene = None if step is None else _start(step, place, now.inputs.checkpoint_id)
    return replace(place, shown=scene, before=now.inputs), scene


# ---- components ------------------------------------------------------------------------------------------------------


def lesson_bar() -> gr.HTML:
    """Return the bar over the canvas; empty until a lesson runs, but for a link into the first one."""
    first = load_lessons()[0]
    words = f"New here? Lesson 1, {first.minutes} minutes"
    return gr.HTML(
        "",
        elem_id="lesson-bar",
        label="Lesson",
        html_template="<section class='ic-lesson' aria-label='Lesson' hidden></section>"
        f"<a class='ic-first' href='?lesson={first.id}' data-lesson='{first.id}'>{words}</a>",
        js_on_load="InstructorLessons.mountBar(element, props, watch, trigger, 'lesson_action');",
        head=script_tags(*SCRIPTS),
        apply_default_css=False,
    )


def _catalogue(lessons: Sequence[Lesson], glossary: Sequence[GlossaryEntry]) -> gr.HTML:
    return gr.HTML(
        catalogue_json(lessons, glossary),
        elem_id="lesson-list",
        label="Lessons",
        html_template="<div class='ic-lessons'></div>",
        js_on_load="InstructorLessonList.mountList(element, props, watch, trigger, 'lesson_action', 'lesson_print');",
        head=script_tags(*SCRIPTS),
        apply_default_css=False,
    )


def build(stage: Stage, bar: gr.HTML) -> gr.HTML:
    """Lay out the list and connect it and the bar, which `lesson_bar` made; returns the list."""
    lessons, page = load_lessons(), stage.page
    catalogue, place = _catalogue(lessons, load_glossary()), gr.State(None)

    def handle(event: gr.EventData, at: Place | None, *values: Any) -> Updates:
        now, data = stage.scene(*values), event_data(event)
        after, scene = act(page.runtime, lessons, at, now, str(data.get("action")), data)
        updates = {} if scene is None else stage.show(scene)
        return {**updates, place: after, bar: bar_json(lessons, after)}

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    given, outputs = [place, *stage.now], [place, bar, *stage.components]
    for source in (bar, catalogue):
        source.lesson_action(handle, given, outputs, trigger_mode="multiple", preprocess=False, **quiet)

    def follow_change(at: Place | None, inputs: Inputs, selected: Selected) -> list[Any]:
        # The bar alone is told: a learner may be elsewhere by the time that this is judged.
        after = notice(page.runtime, lessons, at, inputs, selected.within(inputs))
        return [KEEP if after is at else bar_json(lessons, after, follows=True)]

    follow(page, follow_change, [place, page.inputs, page.selected], [bar])
    return catalogue
