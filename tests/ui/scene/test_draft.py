"""A draft from a browser shows the page as it was, and anything else changes nothing."""

import json

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.data.inputs import MAX_INSTRUCTIONS, parse_inputs
from instructor_core.ui.page import Selected
from instructor_core.ui.scene import Scene
from instructor_core.ui.scene.draft import RESTORED, build_draft, restore
from instructor_core.ui.scene.link import form_of
from instructor_core.ui.scene.stage import Stage, Updates
from tests.ui.inside import JSON, handler
from tests.ui.stages import INPUTS, PLACES, small_stage

# Of a page that kept no scene yet.
KEPT: dict[str, object] = {
    "texts": "one\ttwo\n\nthree",
    "instructions": ["A:", ""],
    "checkpoint": CHECKPOINTS[1].label,
}
FORM = {"v": 3, "place": "map", "selected": [1, 0, 1], "options": {"map.method": "pca"}}


@pytest.fixture(scope="module")
def stage() -> Stage:
    return small_stage(gr.Blocks())


def fields(updates: Updates, stage: Stage) -> list[object]:
    return [updates[entry] for entry in stage.sidebar.entries if not isinstance(entry, gr.Row)]


def test_a_draft_of_an_earlier_version_fills_the_fields_and_leaves_the_options(stage: Stage) -> None:
    updates, sidebar = restore(stage, KEPT, PLACES), stage.sidebar
    assert updates[stage.checkpoint] == CHECKPOINTS[1].id
    assert [updates[row]["visible"] for row in sidebar.rows] == [True] * 2 + [False] * (MAX_INSTRUCTIONS - 2)
    assert fields(updates, stage) == [2, "A:", *[""] * (MAX_INSTRUCTIONS - 1), KEPT["texts"]]
    assert RESTORED in updates[stage.line] and updates[stage.page.restored]
    assert updates[stage.page.active] == "similarity"
    assert not {option.component for option in stage.options.values()} & set(updates)


def test_a_draft_is_shown_as_the_scene_of_its_fields(stage: Stage) -> None:
    updates = restore(stage, KEPT | {"scene": FORM}, PLACES)
    inputs = parse_inputs(CHECKPOINTS[1].id, ["A:", ""], str(KEPT["texts"]))
    shown = stage.show(Scene(inputs, "map", Selected(1, 0, 1), {"map.method": "pca"}))
    assert set(shown) | {stage.line} == set(updates) <= set(stage.components)
    for component in (stage.page.active, stage.page.selected, *(option.component for option in stage.options.values())):
        assert updates[component] == shown[component]


def test_what_is_not_valid_yet_comes_back_as_it_was_typed_and_what_is_no_draft_changes_nothing(stage: Stage) -> None:
    for texts in ("", " \n ", "\tlabel without a text"):
        updates = restore(stage, KEPT | {"texts": texts, "scene": FORM}, PLACES)
        assert fields(updates, stage) == [2, "A:", *[""] * (MAX_INSTRUCTIONS - 1), texts]
        assert updates[stage.page.active] == "map" and updates[stage.page.selected] == Selected(1, 0, 1)
    for wrong in (
        {"instructions": ["i"] * (MAX_INSTRUCTIONS + 1)},
        {"instructions": []},
        {"texts": None},
        {"scene": "x"},
    ):
        assert restore(stage, KEPT | wrong, PLACES) == {stage.line: gr.skip()} == restore(stage, "text", PLACES)
    for label in ("huge", "", "mini"):
        assert restore(stage, KEPT | {"checkpoint": label}, PLACES)[stage.checkpoint] == INPUTS.checkpoint_id


def test_the_browser_is_told_what_a_draft_needs_beside_the_fields() -> None:
    demo = gr.Blocks()
    stage = small_stage(demo)
    with demo:
        build_draft(stage, places=PLACES)
    told = json.loads(handler(demo, "form")(INPUTS, Selected(1, 0, 1), "map", None, "pca", None))
    assert told == FORM == form_of(Scene(INPUTS, "map", Selected(1, 0, 1), {"map.method": "pca"}))


@given(st.text(st.characters(categories=["Cs", "L", "Cc"])), st.dictionaries(st.sampled_from([*FORM]), JSON))
def test_any_string_comes_back_well_formed_whatever_the_scene_says(
    stage: Stage, text: str, form: dict[str, object]
) -> None:
    updates = restore(stage, {"texts": text, "instructions": [text], "scene": form}, PLACES)
    updates[stage.sidebar.texts].encode()
    updates[stage.sidebar.fields[0]].encode()
    assert updates[stage.page.active] in PLACES
