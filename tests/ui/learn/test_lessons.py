"""A lesson cannot say what the model does not do: every step's claim is evaluated on the bundled checkpoint."""

import json
import re
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest

from instructor_core.cache import CachedEncoder
from instructor_core.errors import UserError
from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.data.examples import load_examples
from instructor_core.ui.data.inputs import Inputs, format_texts, join_ready, parse_texts
from instructor_core.ui.learn import place as learn
from instructor_core.ui.learn.claims import KINDS, read_claim
from instructor_core.ui.learn.lessons import (
    LESSONS_FOLDER,
    Step,
    judge,
    judge_change,
    load_glossary,
    load_lessons,
    read_lesson,
)
from instructor_core.ui.learn.place import Place, act, bar_json, find, notice
from instructor_core.ui.page import Selected
from instructor_core.ui.scene import TABS, Scene
from instructor_core.ui.server.runtime import Runtime
from tests.ui.inside import handler, stage_of

LESSONS = load_lessons()
STEPS = [
    pytest.param(step, id=f"{lesson.id}-{n}") for lesson in LESSONS for n, step in enumerate(lesson.steps, start=1)
]
OWN = Inputs(CHECKPOINTS[0].id, ("Mine: ",), ("My first.", "My second."), None)
NOW = Scene(OWN, "tokens", Selected(1, 0, 0), {"similarity.scale": "percentile"})


# What the lessons say


@pytest.mark.parametrize("step", STEPS)
def test_what_a_step_claims_is_what_the_model_computes(encoder: CachedEncoder, step: Step) -> None:
    measured = step.measure(encoder, "instructor-mini")
    assert measured.holds
    assert all(one.measure(encoder, step.inputs, step.selected).holds for one in step.also)
    assert step.solution is None or not step.claim.measure(encoder, step.inputs, step.selected).holds
    for sentence in (step.explain, step.not_yet, *step.replies):
        assert not re.search(r"[{}]|\bno (value|share)\b|nan", measured.fill(sentence))
        assert not re.search(r"\d[.,]\d|\d ?%", sentence), "a measured number is a slot, never typed in"


def test_the_lessons_and_the_glossary_are_sound() -> None:
    assert 8 <= len(LESSONS) <= 12 and len({lesson.id for lesson in LESSONS}) == len(LESSONS)
    assert sum(lesson.minutes for lesson in LESSONS) <= 45
    assert all(2 <= len(lesson.steps) <= 6 for lesson in LESSONS)
    assert all([step.free for step in lesson.steps] == [False] * (len(lesson.steps) - 1) + [True] for lesson in LESSONS)
    assert LESSONS[0].steps[0].claim.kind == "nearest_is", "the first lesson surprises at its first step"
    steps = [param.values[0] for param in STEPS]
    assert {step.claim.kind for step in steps} == set(KINDS)
    for step in steps:
        assert len(step.say) <= 400 and len(step.question) <= 140, step.say
        assert all(len(words) <= 330 for words in (step.explain, step.not_yet, *step.replies)), step.question
        assert all(len(choice) <= 70 for choice in step.choices), step.choices
        if step.solution is None:
            assert step.answer in range(len(step.choices)) and 2 <= len(set(step.choices)) == len(step.choices) <= 4
            assert len(set(step.replies)) == len(step.choices)
        else:
            assert step.not_yet and not step.choices
        if step.reveal is not None:
            now, then = step.selected, step.reveal
            assert {now.row, now.column} != {then.row, then.column}, f"{step.question} is given away"
        assert step.selected == step.selected.within(step.inputs)
        if step.reveal is not None:
            assert step.reveal == step.reveal.within(step.solution or step.inputs)
        for inputs in (step.inputs, step.solution or step.inputs):
            columns = () if inputs.labels is None else (inputs.labels,)
            assert parse_texts(format_texts(inputs)) == (inputs.texts, columns), "they are typed into a field"
            assert inputs.instructions == tuple(map(join_ready, inputs.instructions))
    glossary = load_glossary()
    terms = [entry.term for entry in glossary]
    assert len(set(terms)) == len(terms) >= 15
    assert terms == sorted(terms, key=str.lower)
    assert {entry.lesson for entry in glossary} <= {lesson.id for lesson in LESSONS} | {""}


def test_what_a_lesson_sets_and_marks_is_on_the_page(demo: gr.Blocks) -> None:
    stage = stage_of(demo)
    marked = {f"#{block.elem_id}" for block in demo.blocks.values()}
    marked |= {f".{name}" for block in demo.blocks.values() for name in block.elem_classes or ()}
    for param in STEPS:
        step = param.values[0]
        assert step.tab in TABS and stage.n_ignored(step.scene("instructor-mini")) == 0, param.id
        if step.tab == "similarity":
            assert {"similarity.scale", "similarity.order"} <= set(step.options), f"{param.id} inherits"
        assert step.look.at in marked, param.id


# Judging


def test_every_choice_is_answered_with_the_numbers_of_the_model(encoder: CachedEncoder) -> None:
    step = LESSONS[0].steps[0]
    verdicts = [judge(encoder, step, "instructor-mini", choice) for choice in range(3)]
    assert [verdict.kind for verdict in verdicts] == ["wrong", "right", "wrong"]
    vectors = encoder.encode([(step.inputs.instructions[1], text) for text in step.inputs.texts])
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for other, verdict in enumerate(verdicts, start=1):
        assert f"{float(units[0] @ units[other]):.3f}" in verdict.words
        assert f"{float(units[0] @ units[2]):.3f}" in verdict.words


def test_no_answer_is_wrong_where_the_checkpoint_does_otherwise_or_the_texts_are_gone(
    small_runtime: Runtime, encoder: CachedEncoder
) -> None:
    other = small_runtime.encoder(small_runtime.checkpoints[0].id)
    steps = [param.values[0] for param in STEPS]
    step = next(step for step in steps if step.choices and judge(other, step, "random", 0).kind == "differs")
    assert judge(other, step, "random", 1).kind == "differs"
    assert "random does otherwise" in judge(other, step, "random", 1).words
    content = json.loads((LESSONS_FOLDER / "01_neighbours.json").read_bytes())
    content["steps"][0]["also"][0]["nearest"] = 3  # the step's words take for granted what is not so
    assert judge(encoder, read_lesson(content).steps[0], "instructor-mini", 1).kind == "differs"
    change = judge_change(encoder, next(step for step in steps if step.solution), OWN, Selected())
    assert change.kind == "not-yet" and "puts them back" in change.words


FREE = {lesson.id: lesson.steps[-1] for lesson in LESSONS}


@pytest.mark.parametrize("step", FREE.values(), ids=list(FREE))
@pytest.mark.parametrize(
    "inputs",
    [
        replace(OWN, texts=texts)
        for texts in (("Blue.", "The train to the coast was late."), ("One.",), ("Same.", "same."))
    ],
    ids=["two", "one", "same"],
)
def test_a_free_task_says_what_is_missing_of_any_texts(encoder: CachedEncoder, step: Step, inputs: Inputs) -> None:
    verdict = judge_change(encoder, step, inputs, Selected(0, 1, 0))
    assert verdict.kind == "not-yet", verdict
    assert not re.search(r"[{}]|nan", verdict.words) and len(verdict.words) > 60


def test_words_are_compared_whole_and_one_word_apart_is_one(encoder: CachedEncoder) -> None:
    def told(kind: str, first: str, second: str, **bounds: float) -> dict[str, str]:
        claim = read_claim({"kind": kind, "cell": {"instruction": 0}, **bounds})
        run = Inputs("instructor-mini", ("",), (first, second, "Of all", "others"), None)
        return dict(claim.measure(encoder, run, Selected(0, 1, 0)).numbers)

    for second, apart in (("The soup is hot", 1), ("The soup is not cold", 1), ("A soup was cold", 2), ("Soup", 3)):
        assert told("one_word_apart", "The soup is cold", second, at_most=1)["apart"].startswith(str(apart))
    shared = told("finds", "A Warm soup, a cold room", "The room was warmer, the SOUP not", most_shared=0)
    assert shared["shared"] == "“room”, “soup”"


# The way through a lesson


def opened(runtime: Runtime, lesson: int = 0, step: int = 1) -> Place:
    place, _ = act(runtime, LESSONS, None, NOW, "open", {"lesson": LESSONS[lesson].id, "step": step})
    return place


def scene_of(step: Step) -> Scene:
    return step.scene(OWN.checkpoint_id)


def test_opening_a_step_sets_it_up_and_leaving_gives_back_what_there_was_before_the_first(runtime: Runtime) -> None:
    place, scene = act(runtime, LESSONS, None, NOW, "open", {"lesson": "senses", "step": 2})
    step = next(lesson for lesson in LESSONS if lesson.id == "senses").steps[1]
    assert scene == scene_of(step)
    assert place is not None and place.own == NOW
    assert (scene.options or {})["similarity.scale"] == "shared", "whatever the visitor had"
    playing = Scene(replace(OWN, texts=("Played.",)), "map")
    second, _ = act(runtime, LESSONS, place, playing, "open", {"lesson": LESSONS[3].id, "step": 1})
    assert act(runtime, LESSONS, second, playing, "leave", {}) == (None, NOW)


def test_next_runs_to_the_end_and_back_returns(runtime: Runtime) -> None:
    place: Place | None = opened(runtime)
    for _ in LESSONS[0].steps:
        place, scene = act(runtime, LESSONS, place, NOW, "next", {})
    assert scene is None and place is not None and place.step == len(LESSONS[0].steps)
    assert "question" not in json.loads(bar_json(LESSONS, place))
    assert json.loads(bar_json(LESSONS, place))["next"]["id"] == LESSONS[1].id
    place, scene = act(runtime, LESSONS, place, NOW, "back", {})
    assert scene is not None and place is not None and place.step == len(LESSONS[0].steps) - 1


def test_an_answer_reveals_the_pair_unless_the_learner_changed_the_texts(runtime: Runtime) -> None:
    place, step = opened(runtime), LESSONS[0].steps[0]
    told, scene = act(runtime, LESSONS, place, scene_of(step), "answer", {"choice": step.answer})
    assert told is not None and told.verdict is not None and told.verdict.kind == "right"
    assert scene is not None and scene.selected == step.reveal != step.selected
    assert act(runtime, LESSONS, place, NOW, "answer", {"choice": step.answer})[1] is None


def told(place: Place | None) -> str:
    return "" if place is None or place.verdict is None else place.verdict.kind


def test_a_change_is_noticed_as_soon_as_it_is_there(runtime: Runtime) -> None:
    step = LESSONS[0].steps[2]
    place, before = opened(runtime, step=3), scene_of(step).inputs
    assert notice(runtime, LESSONS, place, OWN, Selected()) is place  # the run of the step before is still on screen
    assert notice(runtime, LESSONS, place, before, Selected()) is place
    # A quick learner's change may run before the step's own inputs did.
    quick = replace(before, texts=(*before.texts[:3], "The hotel bed was broken."))
    other = notice(runtime, LESSONS, place, quick, Selected())
    assert told(other) == "not-yet"
    solved = step.solved(OWN.checkpoint_id).inputs
    done = notice(runtime, LESSONS, other, solved, Selected())
    assert told(done) == "right"
    assert notice(runtime, LESSONS, done, solved, Selected()) is done


EXAMPLE = replace(NOW, inputs=load_examples()[0].inputs(OWN.checkpoint_id))


def test_a_free_task_begins_with_texts_of_ones_own_and_looks_at_what_is_selected(runtime: Runtime) -> None:
    free = LESSONS[0].steps[3]
    place, scene = act(runtime, LESSONS, opened(runtime, step=3), scene_of(LESSONS[0].steps[2]), "next", {})
    assert (scene.inputs, scene.selected, scene.place) == (OWN, NOW.selected, free.tab)
    assert json.loads(bar_json(LESSONS, place))["free"] == "own"
    assert notice(runtime, LESSONS, place, OWN, NOW.selected) is place
    lent, scene = act(runtime, LESSONS, place, scene, "solve", {})
    assert scene == free.solved(OWN.checkpoint_id) and told(lent) == "right"
    assert notice(runtime, LESSONS, lent, OWN, scene.selected) is lent, "the example is still to come"
    lent = notice(runtime, LESSONS, lent, scene.inputs, scene.selected)
    assert told(lent) == "right" and told(notice(runtime, LESSONS, lent, scene.inputs, Selected(0, 3, 0))) == "not-yet"
    assert act(runtime, LESSONS, lent, scene, "show", {})[1] == replace(
        scene_of(free), inputs=OWN, selected=NOW.selected
    )
    assert act(runtime, LESSONS, lent, scene, "leave", {}) == (None, NOW)

    place, scene = act(runtime, LESSONS, None, EXAMPLE, "open", {"lesson": LESSONS[0].id, "step": 4})
    assert scene == scene_of(free), "an example is no text of one's own"
    assert json.loads(bar_json(LESSONS, place))["free"] == "lesson"
    assert notice(runtime, LESSONS, place, scene.inputs, scene.selected) is place
    assert told(notice(runtime, LESSONS, place, scene.inputs, Selected(0, 3, 0))) == "not-yet"
    assert told(notice(runtime, LESSONS, place, scene.inputs, Selected(0, 2, 0))) == "right"


def test_what_is_written_in_a_free_task_is_never_lost(runtime: Runtime) -> None:
    place, scene = act(runtime, LESSONS, None, EXAMPLE, "open", {"lesson": LESSONS[0].id, "step": 4})
    mine = replace(scene, inputs=replace(scene.inputs, texts=("Written just now.", "And this.")), selected=Selected())
    back, before = act(runtime, LESSONS, place, mine, "back", {})
    assert before == scene_of(LESSONS[0].steps[2])
    again, scene = act(runtime, LESSONS, back, before, "next", {})
    assert scene is not None and scene.inputs == mine.inputs
    _, left = act(runtime, LESSONS, again, scene, "leave", {})
    assert left == replace(EXAMPLE, inputs=mine.inputs, selected=mine.selected)
    assert act(runtime, LESSONS, place, replace(mine, inputs=EXAMPLE.inputs), "leave", {}) == (None, EXAMPLE)


def test_an_event_that_makes_no_sense_changes_nothing_and_a_link_leads_into_the_lesson_whatever_step_it_names(
    runtime: Runtime,
) -> None:
    place = opened(runtime)
    for action in ("open nowhere", "answer 99", "answer", "solve", "dance"):
        name, _, value = action.partition(" ")
        event = {"lesson": value} if name == "open" else {"choice": int(value)} if value else {}
        assert act(runtime, LESSONS, place, NOW, name, event) == (place, None)
    for step, expected in ((2, 1), (-5, 0), (99, 3), ("x", 0), (None, 0)):
        assert find(LESSONS, LESSONS[0].id, step) == (0, expected)


def test_what_goes_wrong_is_said_in_the_bar(runtime: Runtime, demo: gr.Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise UserError("Too many wait. Try again.")

    monkeypatch.setattr(learn, "act", fail)
    now = (OWN, Selected(), "tokens", None, *stage_of(demo).options)
    updates = handler(demo, "handle")(gr.EventData(None, {"action": "next"}), opened(runtime), *now)
    assert sum("Too many wait" in str(value) for value in updates.values()) == 2  # the bar, and the place behind it
