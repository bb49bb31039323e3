"""A draft from a browser fills the fields again, and anything else changes nothing."""

from __future__ import annotations

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_core.ui.draft import RESTORED, restore
from instructor_core.ui.inputs import MAX_INSTRUCTIONS
from instructor_core.ui.scene.stage import Stage
from tests.ui.stages import small_stage

KEPT = {"texts": "one\ttwo\n\nthree", "instructions": ["A:", ""], "checkpoint": "mini (on this machine)"}


@pytest.fixture(scope="module")
def stage() -> Stage:
    return small_stage(gr.Blocks())


def test_a_draft_fills_the_fields_as_they_were_and_runs_them(stage: Stage) -> None:
    updates, sidebar = restore(stage, KEPT), stage.sidebar
    assert updates[stage.checkpoint] == "instructor-mini" and updates[sidebar.count] == 2
    assert [updates[row]["visible"] for row in sidebar.rows] == [True] * 2 + [False] * (MAX_INSTRUCTIONS - 2)
    assert [updates[field] for field in sidebar.fields] == ["A:", "", *[""] * (MAX_INSTRUCTIONS - 2)]
    assert updates[sidebar.texts] == "one\ttwo\n\nthree" and RESTORED in updates[stage.line]
    assert updates[stage.page.restored]


def test_a_checkpoint_that_is_not_in_the_menu_is_left_as_it_is(stage: Stage) -> None:
    for label in ("huge", "", "mini"):
        assert stage.checkpoint not in restore(stage, KEPT | {"checkpoint": label})


@pytest.mark.parametrize(
    "change", [{"instructions": ["i"] * (MAX_INSTRUCTIONS + 1)}, {"instructions": []}, {"texts": None}]
)
def test_what_is_no_draft_changes_nothing(stage: Stage, change: dict[str, object]) -> None:
    assert restore(stage, KEPT | change) == {stage.line: gr.skip()} == restore(stage, "text")


@given(st.text(st.characters(categories=["Cs", "L", "Cc"])))
def test_any_string_comes_back_well_formed(stage: Stage, text: str) -> None:
    updates = restore(stage, {"texts": text, "instructions": [text]})
    updates[stage.sidebar.texts].encode()
    updates[stage.sidebar.fields[0]].encode()
