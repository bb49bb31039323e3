"""A lesson cannot say what the model does not do: every step's claim is evaluated on the bundled checkpoint."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from instructor_core.cache import CachedEncoder
from instructor_core.hub import CHECKPOINTS, local_checkpoint
from instructor_core.ui.claims import KINDS
from instructor_core.ui.inputs import Inputs, format_texts, parse_texts
from instructor_core.ui.lessons import (
    GLOSSARY_FILE,
    LessonError,
    Step,
    judge,
    judge_change,
    load_glossary,
    load_lessons,
    parse_lesson,
)
from instructor_core.ui.page import Selected
from instructor_core.ui.runtime import Runtime
from instructor_core.ui.scene import Scene
from instructor_core.ui.tabs.learn import Place, act, bar_json, find, notice
from instructor_core.ui.worksheet import worksheet

if TYPE_CHECKING:
    from instructor_core import InstructorModel

LESSONS = load_lessons()
STEPS = [
    pytest.param(step, id=f"{lesson.id}-{n}") for lesson in LESSONS for n, step in enumerate(lesson.steps, start=1)
]
CHOICES = [param for param in STEPS if param.values[0].choices]
CHANGES = [param for param in STEPS if param.values[0].solution]
OWN = Inputs(CHECKPOINTS[0].id, ("Mine: ",), ("My first.", "My second."), None)
NOW = Scene(OWN, "tokens", Selected(1, 0, 0), {"similarity.scale": "percentile"})

GOOD: dict[str, Any] = {
    "id": "tiny",
    "title": "Tiny",
    "goal": "You can say little.",
    "minutes": 1,
    "sets": {"instructions": ["Represent the text: ", ""], "texts": ["One.", "Two."]},
    "steps": [
        {
            "say": "Two texts.",
            "look": {"at": "#similarity-plots"},
            "ask": {"question": "Which?", "choices": ["This", "That"], "answer": 0},
            "claim": {"kind": "cosine_at_least", "cell": {"instruction": 0, "pair": [0, 0]}, "at_least": 0.9},
            "explain": "It is {cosine}.",
        }
    ]
    * 2,
}


@pytest.fixture(scope="module")
def encoder(mini: InstructorModel) -> CachedEncoder:
    return CachedEncoder(mini)


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime(CHECKPOINTS, device="cpu")


# What the lessons say


@pytest.mark.parametrize("step", CHOICES)
def test_what_a_step_claims_is_what_the_model_computes(encoder: CachedEncoder, step: Step) -> None:
    assert step.claim.measure(encoder, step.inputs).holds


@pytest.mark.parametrize("step", CHANGES)
def test_a_change_is_not_there_at_first_and_there_after_the_solution(encoder: CachedEncoder, step: Step) -> None:
    assert step.solution is not None
    assert not step.claim.measure(encoder, step.inputs).holds
    assert step.claim.measure(encoder, step.solution).holds


@pytest.mark.parametrize("step", STEPS)
def test_an_explanation_quotes_only_numbers_that_were_measured(encoder: CachedEncoder, step: Step) -> None:
    measured = step.claim.measure(encoder, step.solution or step.inputs)
    assert {slot for slot, _ in measured.numbers} == set(step.claim.slots)
    for sentence in (step.explain, step.not_yet):
        assert not re.search(r"[{}]|\bno (value|share)\b|nan", measured.fill(sentence))


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_short_enough_to_stand_over_the_figures(step: Step) -> None:
    assert len(step.say) <= 400
    assert len(step.question) <= 140
    assert len(step.explain) <= 330
    assert all(len(choice) <= 70 for choice in step.choices)


@pytest.mark.parametrize("step", [param for param in CHOICES if param.values[0].reveal])
def test_what_is_selected_before_the_answer_does_not_give_it_away(step: Step) -> None:
    assert step.reveal is not None
    assert {step.selected.row, step.selected.column} != {step.reveal.row, step.reveal.column}


@pytest.mark.parametrize("step", STEPS)
def test_the_texts_of_a_step_survive_the_field_they_are_typed_in(step: Step) -> None:
    for inputs in (step.inputs, step.solution or step.inputs):
        texts, columns = parse_texts(format_texts(inputs))
        assert texts == inputs.texts
        assert (columns[0] if columns else None) == inputs.labels


def test_an_option_that_a_lesson_sets_is_on_the_page_and_offers_the_value() -> None:
    import inspect

    from instructor_core.ui.demo import build_demo

    demo = build_demo(Runtime(CHECKPOINTS, device="cpu"))
    link = next(function.fn for function in demo.fns.values() if function.name == "link")
    stage = inspect.getclosurevars(inspect.unwrap(link)).nonlocals["stage"]
    assert [param.id for param in STEPS if stage.n_ignored(param.values[0].scene("instructor-mini"))] == []


def test_lessons_use_the_whole_vocabulary_of_claims() -> None:
    assert {param.values[0].claim.kind for param in STEPS} == set(KINDS)


def test_there_are_about_ten_lessons_and_the_first_surprises_at_its_first_step() -> None:
    assert 8 <= len(LESSONS) <= 12
    assert sum(lesson.minutes for lesson in LESSONS) <= 30
    assert LESSONS[0].steps[0].claim.kind == "nearest_is"


def test_glossary_terms_differ_and_lead_to_lessons() -> None:
    glossary = load_glossary(LESSONS)
    terms = [entry.term for entry in glossary]
    assert len(set(terms)) == len(terms) >= 15
    assert terms == sorted(terms, key=str.lower)
    assert {entry.lesson for entry in glossary} <= {lesson.id for lesson in LESSONS} | {""}


def test_a_glossary_entry_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "glossary.json"
    broken.write_text(json.dumps([{"term": "a", "means": "b", "lesson": "gone"}]), encoding="utf-8")
    with pytest.raises(LessonError, match="names a lesson 'gone' that is not there"):
        load_glossary(LESSONS, broken)
    assert GLOSSARY_FILE.is_file()


# Judging


def test_an_answer_is_right_or_wrong_by_the_claim(encoder: CachedEncoder) -> None:
    step = LESSONS[0].steps[0]
    right, wrong = (judge(encoder, step, "instructor-mini", choice) for choice in (step.answer, 0))
    assert (right.kind, wrong.kind) == ("right", "wrong")
    vectors = encoder.encode([(step.inputs.instructions[1], step.inputs.texts[i]) for i in (0, 2)])
    cosine = float(np.dot(vectors[0], vectors[1]) / np.prod(np.linalg.norm(vectors, axis=1)))
    assert f"{cosine:.3f}" in right.words and f"{cosine:.3f}" in wrong.words
    assert step.choices[step.answer] in wrong.words


def test_a_checkpoint_that_does_otherwise_makes_no_answer_wrong(checkpoint_a: Path) -> None:
    runtime = Runtime((local_checkpoint(checkpoint_a),), device="cpu")
    other = runtime.encoder(runtime.checkpoints[0].id)
    kinds = {judge(other, param.values[0], "random", 0).kind for param in CHOICES}
    assert "differs" in kinds
    step = next(p.values[0] for p in CHOICES if judge(other, p.values[0], "random", 0).kind == "differs")
    assert judge(other, step, "random", 1).kind == "differs"
    assert "random does otherwise" in judge(other, step, "random", 1).words


def test_a_change_that_lost_its_texts_is_not_judged(encoder: CachedEncoder) -> None:
    step = CHANGES[0].values[0]
    assert judge_change(encoder, step, OWN).kind == "not-yet"
    assert "puts them back" in judge_change(encoder, step, OWN).words


# The way through a lesson


def opened(runtime: Runtime, lesson: int = 0, step: int = 1) -> Place:
    place, _ = act(runtime, LESSONS, None, NOW, "open", {"lesson": LESSONS[lesson].id, "step": step})
    assert place is not None
    return place


def scene_of(step: Step) -> Scene:
    return step.scene(OWN.checkpoint_id)


def test_opening_a_step_sets_it_up_and_keeps_what_the_learner_had(runtime: Runtime) -> None:
    place, scene = act(runtime, LESSONS, None, NOW, "open", {"lesson": "senses", "step": 2})
    step = next(lesson for lesson in LESSONS if lesson.id == "senses").steps[1]
    assert scene == scene_of(step)
    assert place is not None and place.own == NOW
    assert "similarity.scale" not in (scene.options or {})  # the shared scale, whatever the visitor had


def test_leaving_a_second_lesson_gives_back_what_there_was_before_the_first(runtime: Runtime) -> None:
    first = opened(runtime)
    playing = Scene(replace(OWN, texts=("Played.",)), "map")
    second, _ = act(runtime, LESSONS, first, playing, "open", {"lesson": LESSONS[3].id, "step": 1})
    assert act(runtime, LESSONS, second, playing, "leave", {}) == (None, NOW)


def test_next_runs_to_the_end_and_back_returns(runtime: Runtime) -> None:
    place: Place | None = opened(runtime)
    for _ in LESSONS[0].steps:
        place, scene = act(runtime, LESSONS, place, NOW, "next", {})
    assert scene is None and place is not None and place.step == len(LESSONS[0].steps)
    assert "question" not in json.loads(bar_json(LESSONS, place))
    assert json.loads(bar_json(LESSONS, place))["next"]["id"] == LESSONS[1].id
    place, scene = act(runtime, LESSONS, place, NOW, "back", {})
    assert scene == scene_of(LESSONS[0].steps[-1])


def test_an_answer_reveals_the_pair_unless_the_learner_changed_the_texts(runtime: Runtime) -> None:
    place, step = opened(runtime), LESSONS[0].steps[0]
    told, scene = act(runtime, LESSONS, place, scene_of(step), "answer", {"choice": step.answer})
    assert told is not None and told.verdict is not None and told.verdict.kind == "right"
    assert scene is not None and scene.selected == step.reveal != step.selected
    assert act(runtime, LESSONS, place, NOW, "answer", {"choice": step.answer})[1] is None


def test_a_change_is_noticed_as_soon_as_it_is_there(runtime: Runtime) -> None:
    lesson, step = LESSONS[0], LESSONS[0].steps[2]
    place = opened(runtime, step=3)
    before = scene_of(step).inputs
    assert step.solution is not None and len(lesson.steps) == 3
    assert notice(runtime, LESSONS, place, OWN) is place  # the run of the step before is still on screen
    assert notice(runtime, LESSONS, place, before) is place
    # A quick learner's change may run before the step's own inputs did.
    other = notice(runtime, LESSONS, place, replace(before, texts=(*before.texts[:3], "The hotel bed was broken.")))
    assert other is not None and other.verdict is not None and other.verdict.kind == "not-yet"
    done = notice(runtime, LESSONS, other, replace(step.solution, checkpoint_id=OWN.checkpoint_id))
    assert done is not None and done.verdict is not None and done.verdict.kind == "right"
    assert notice(runtime, LESSONS, done, replace(step.solution, checkpoint_id=OWN.checkpoint_id)) is done


@pytest.mark.parametrize(
    ("action", "event"),
    [
        ("open", {"lesson": "nowhere"}),
        ("answer", {"choice": 99}),
        ("answer", {"choice": "1"}),
        ("answer", {}),
        ("solve", {}),
        ("check", {}),
        ("dance", {}),
    ],
)
def test_an_event_that_makes_no_sense_changes_nothing(runtime: Runtime, action: str, event: dict[str, object]) -> None:
    place = opened(runtime)
    assert act(runtime, LESSONS, place, NOW, action, event) == (place, None)


@pytest.mark.parametrize(("step", "expected"), [(2, 1), (0, 0), (-5, 0), (99, 2), ("x", 0), (None, 0)])
def test_a_link_leads_into_the_lesson_whatever_step_it_names(step: object, expected: int) -> None:
    assert find(LESSONS, LESSONS[0].id, step) == (0, expected)


# The worksheet


def test_words_of_a_lesson_are_escaped_on_its_worksheet(runtime: Runtime) -> None:
    lesson = parse_lesson(json.dumps(GOOD | {"title": "<b>&"}), source="tiny.json")
    defaults = {
        "similarity.scale": "shared",
        "similarity.order": "given",
        "similarity.first": 0,
        "similarity.second": 1,
    }
    page = worksheet(runtime, lesson, CHECKPOINTS[0].id, {**defaults, "similarity.view": "matrices"})
    assert "<h1>&lt;b&gt;&amp;</h1>" in page and not re.search(r"https?:|<script|<link|<img|url\(", page)


# The format


def with_step(**change: Any) -> dict[str, Any]:
    return GOOD | {"steps": [GOOD["steps"][0] | change, GOOD["steps"][1]]}


def test_a_minimal_lesson_is_read_as_it_stands() -> None:
    lesson = parse_lesson(json.dumps(GOOD), source="tiny.json")
    step = lesson.steps[0]
    assert (step.tab, step.selected, step.options) == ("similarity", Selected(), {})
    assert step.inputs.instructions == ("Represent the text: ", "")
    assert (step.reveal, step.solution) == (None, None)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"title": " x"}, "title must be text without outer spaces"),
        ({"id": "No"}, "id must be lower case"),
        ({"minutes": 0}, "minutes must be 1 to 10"),
        ({"steps": []}, "2 to 6 steps"),
        ({"more": 1}, r"unknown fields \['more'\]"),
        (with_step(look={"at": "body"}), r"step 1: look.at must be one of"),
        (with_step(look={}), r"look lacks the fields \['at'\]"),
        (with_step(sets={"tab": "learn"}), "tab must be one of"),
        (with_step(sets={"selected": [0, 5, 0]}), "selected must lie inside the inputs"),
        (with_step(sets={"texts": ["One.", " "]}), "must not be empty"),
        (with_step(sets={"labels": ["a"]}), "as many as texts"),
        (with_step(explain="It is 0.96."), "a slot, never typed in"),
        (with_step(explain="It is {gap}."), r"got the slots \['gap'\]"),
        (with_step(ask={"question": "?", "choices": ["a"], "answer": 0}), "2 to 4 choices"),
        (with_step(ask={"question": "?", "choices": ["a", "b"], "answer": 2}), "answer must be an index"),
        (with_step(ask={"question": "?"}), "a change has solution and not_yet"),
        (with_step(claim={"kind": "magic"}), "kind is one of"),
        (with_step(claim={"kind": "nearest_is", "instruction": 0}), "has the fields"),
        (with_step(claim={"kind": "nearest_is", "instruction": 2, "text": 0, "nearest": 1}), "index from 0 to 1"),
        (
            with_step(claim={"kind": "cosine_at_least", "cell": {"pair": [0, 1]}, "at_least": 0}),
            "object with instruction and pair",
        ),
    ],
)
def test_a_broken_rule_is_named_with_the_file_and_what_was_got(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(LessonError, match=rf"^tiny\.json: .*{complaint}"):
        parse_lesson(json.dumps(GOOD | change), source="tiny.json")


def test_a_folder_without_lessons_or_with_one_id_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LessonError, match="at least one"):
        load_lessons(tmp_path)
    for name in ("1.json", "2.json"):
        (tmp_path / name).write_text(json.dumps(GOOD), encoding="utf-8")
    with pytest.raises(LessonError, match="ids must differ"):
        load_lessons(tmp_path)
    with pytest.raises(LessonError, match="not valid JSON"):
        parse_lesson("{", source="tiny.json")
