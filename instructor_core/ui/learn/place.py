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
from instructor_core.ui.components import LESSON_SCRIPTS, component
from instructor_core.ui.data.examples import load_examples
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.feedback import boundary
from instructor_core.ui.gradio_patches import event_data
from instructor_core.ui.learn.lessons import (
    GlossaryEntry,
    Lesson,
    Reply,
    Step,
    judge,
    judge_change,
    load_glossary,
    load_lessons,
)
from instructor_core.ui.page import KEEP, QUIET, Selected
from instructor_core.ui.scene import Scene
from instructor_core.ui.scene.stage import Stage, Updates
from instructor_core.ui.server.runtime import Runtime

TAB = "learn"


@dataclass(frozen=True)
class Place:
    """Where a learner is, and what to go back to."""

    lesson: int
    step: int  # the number of steps once the lesson is finished
    own: Scene  # the learner's, options and all; what they make in a free task is theirs as well
    turn: int = 0  # counts the values of the bar, so that the same again is news
    verdict: Reply | None = None  # on the answer to this step
    scene: Scene | None = None  # what the page was last set up to in this step; None at the end of a lesson
    before: Inputs | None = None  # on screen then: until those of `scene` are there, they are no answer


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
    """Return where a learner is after an action and what came with it, and the scene to set up, None for none.

    Outside a lesson there is no place. What the page shows, `now`, has the checkpoint that answers.
    """
    if action == "open":
        place = place and _keep_own(lessons, place, now)
        found = find(lessons, event.get("lesson"), event.get("step"))
        if found is None:
            return place, None
        own, turn = (now, 0) if place is None else (place.own, place.turn + 1)
        return _enter(lessons, Place(*found, own, turn), now)
    if place is None:
        return None, None
    place = _keep_own(lessons, place, now)
    if action == "leave":
        return None, place.own
    if action in ("next", "back", "show"):
        by = {"next": 1, "back": -1, "show": 0}[action]
        step = max(0, min(place.step + by, len(lessons[place.lesson].steps)))
        left = step_of(lessons, place)
        verdict = place.verdict if action == "show" and left and not left.free else None
        return _enter(lessons, replace(place, step=step, verdict=verdict, turn=place.turn + 1), now)
    step_now = step_of(lessons, place)
    if step_now is None:
        return place, None
    encoder, checkpoint_id = runtime.encoder(now.inputs.checkpoint_id), now.inputs.checkpoint_id
    if action == "solve" and step_now.solution is not None:
        scene = step_now.solved(checkpoint_id)
        verdict = judge_change(encoder, step_now, scene.inputs, scene.selected)
        return _with_verdict(replace(place, scene=scene, before=now.inputs), verdict), scene
    if action == "check" and step_now.solution is not None:
        return _with_verdict(place, judge_change(encoder, step_now, now.inputs, now.selected)), None
    choice = step_now.answer if action == "reveal" else event.get("choice")
    if action in ("answer", "reveal") and isinstance(choice, int | float) and 0 <= choice < len(step_now.choices):
        untouched = now.inputs.runs[0] == replace(step_now.inputs, checkpoint_id=checkpoint_id)
        revealed = replace(now, selected=step_now.reveal) if step_now.reveal and untouched else None
        return _with_verdict(place, judge(encoder, step_now, checkpoint_id, int(choice))), revealed
    return place, None


def notice(
    runtime: Runtime, lessons: Sequence[Lesson], place: Place | None, inputs: Inputs, selected: Selected
) -> Place | None:
    """Return the place after a new run or selection: a change that a step asks for is judged as soon as it is there."""
    step = step_of(lessons, place)
    if place is None or step is None or step.solution is None or (scene := place.scene) is None:
        return place
    if inputs.runs[0] == replace(scene.inputs, checkpoint_id=inputs.checkpoint_id):
        if not step.free or selected == scene.selected:
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
    return place.scene is not None and place.scene == step.solved(place.scene.inputs.checkpoint_id)


def _keep_own(lessons: Sequence[Lesson], place: Place, now: Scene) -> Place:
    """The place, with what a learner made in a free task for their own, unless they have other texts and play."""
    step = step_of(lessons, place)
    if step is None or not step.free or place.scene is None or (is_own(place.own) and _is_lent(step, place)):
        return place
    alone = now.inputs.runs[0]
    if now.inputs == place.before or alone == replace(place.scene.inputs, checkpoint_id=alone.checkpoint_id):
        return place
    return replace(place, own=replace(place.own, inputs=now.inputs, selected=now.selected), scene=now)


def _with_verdict(place: Place, verdict: Reply) -> Place:
    return replace(place, verdict=verdict, turn=place.turn + 1)


def _enter(lessons: Sequence[Lesson], place: Place, now: Scene) -> tuple[Place, Scene | None]:
    """The place and its scene; the end of a lesson leaves the page as it is."""
    step = step_of(lessons, place)
    scene = None if step is None else _start(step, place, now.inputs.checkpoint_id)
    return replace(place, scene=scene, before=now.inputs), scene


# ---- components ------------------------------------------------------------------------------------------------------


def lesson_bar() -> gr.HTML:
    """Return the bar over the canvas; empty until a lesson runs, but for a link into the first one."""
    first = load_lessons()[0]
    words = f"New here? Lesson 1, {first.minutes} minutes"
    return component(
        "<section class='ic-lesson' aria-label='Lesson' hidden></section>"
        f"<a class='ic-first' href='?lesson={first.id}' data-lesson='{first.id}'>{words}</a>",
        "InstructorLessons.mountBar(element, props, watch, trigger, 'lesson_action');",
        "",
        elem_id="lesson-bar",
        label="Lesson",
        scripts=LESSON_SCRIPTS,
    )


def build(stage: Stage, bar: gr.HTML) -> gr.HTML:
    """Lay out the list and connect it and the bar, which `lesson_bar` made; returns the list."""
    lessons, page = load_lessons(), stage.page
    catalogue = component(
        "<div class='ic-lessons'></div>",
        "InstructorLessonList.mountList(element, props, watch, trigger, 'lesson_action', 'lesson_print');",
        catalogue_json(lessons, load_glossary()),
        elem_id="lesson-list",
        label="Lessons",
        scripts=LESSON_SCRIPTS,
    )
    place = gr.State(None)

    def handle(event: gr.EventData, at: Place | None, *values: Any) -> Updates:
        now, data = stage.scene(*values), event_data(event)

        @boundary(lambda words: (at and _with_verdict(at, Reply("not-yet", words)), None))
        def answer() -> tuple[Place | None, Scene | None]:
            return act(page.runtime, lessons, at, now, str(data.get("action")), data)

        after, scene = answer()
        updates = {} if scene is None else stage.show(scene)
        return {**updates, place: after, bar: bar_json(lessons, after)}

    given, outputs = [place, *stage.now], [place, bar, *stage.components]
    for source in (bar, catalogue):
        source.lesson_action(handle, given, outputs, trigger_mode="multiple", preprocess=False, **QUIET)

    def follow_change(at: Place | None, inputs: Inputs, selected: Selected) -> list[Any]:
        # The bar alone is told: a learner may be elsewhere by the time that this is judged.
        after = notice(page.runtime, lessons, at, inputs, selected.within(inputs))
        return [KEEP if after is at else bar_json(lessons, after, follows=True)]

    page.follow(follow_change, [place, page.inputs, page.selected], [bar])
    return catalogue
