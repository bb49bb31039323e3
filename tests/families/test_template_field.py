"""The template stands on the page with checkpoints that have one, and what is written there instead is used."""

from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from instructor_core.hub import local_checkpoint
from instructor_core.ui.data.inputs import MAX_INSTRUCTIONS, Inputs
from instructor_core.ui.demo import build_demo, template_field
from instructor_core.ui.scene import TABS, Scene
from instructor_core.ui.scene.link import decode_scene, encode_scene
from instructor_core.ui.scene.stage import Stage
from instructor_core.ui.server.run import RunStep, run
from instructor_core.ui.server.runtime import Runtime
from tests.ui.inside import stage_of

OWN = "Instruct: {instruction}\nQuery: {text}"
MINE = "About {instruction}\n{text}"


@pytest.fixture(scope="module")
def runtime(family_folders: dict[str, Path], checkpoint_a: Path) -> Runtime:
    folders = (family_folders["e5"], family_folders["gemma"], checkpoint_a)
    return Runtime(tuple(map(local_checkpoint, folders)), device="cpu")


@pytest.fixture(scope="module")
def stage(runtime: Runtime) -> Stage:
    return stage_of(build_demo(runtime))


def typed(runtime: Runtime, before: Inputs, template: str) -> RunStep:
    fields = ["topic", *[""] * (MAX_INSTRUCTIONS - 1)]
    *_, last = run(runtime, before, before.checkpoint, template, "The soup was cold.\nThe bus was late.", 1, *fields)
    return last


def test_what_is_typed_in_the_field_joins_every_pair(runtime: Runtime) -> None:
    e5, _, instructor = (Inputs(checkpoint.id, ("",), ("text",), None) for checkpoint in runtime.checkpoints)
    runtime.encoder(e5.checkpoint_id)
    plain, own, mine = (typed(runtime, e5, template).inputs for template in ("", f"{OWN} ", MINE))
    assert plain == own and (plain.checkpoint, plain.template) == (e5.checkpoint_id, "")
    assert (mine.checkpoint, mine.template) == (e5.checkpoint_id, MINE)
    assert np.abs(runtime.grid(plain).embeddings - runtime.grid(mine).embeddings).max() > 1e-3
    assert typed(runtime, mine, MINE).inputs == gr.skip()  # nothing is new
    wrong = typed(runtime, mine, "About {instruction}")
    assert "A template ends with {text}" in wrong.line and wrong.checkpoint == e5.checkpoint_id
    runtime.encoder(instructor.checkpoint_id)
    assert typed(runtime, instructor, MINE).inputs.template == ""  # left over from another checkpoint


def test_the_field_is_seen_with_checkpoints_that_have_a_template_and_says_who_says_so(
    runtime: Runtime, stage: Stage
) -> None:
    shown = {}
    for checkpoint in runtime.checkpoints:
        inputs = Inputs(checkpoint.id, ("",), ("text",), None)
        (update,) = template_field(runtime, inputs)
        shown[checkpoint.id] = (update["visible"], update["value"], update.get("label", ""))
    e5, gemma, instructor = shown.values()
    assert e5 == (True, OWN, "Template (mteb 2.26.24, November 2026)")
    assert gemma == (True, "task: {instruction} | query: {text}", "Template (config_sentence_transformers.json)")
    assert instructor[0] is False
    (mine,) = template_field(runtime, Inputs(f"{runtime.checkpoints[0].id}\n{MINE}", ("",), ("text",), None))
    assert (mine["value"], mine["label"]) == (MINE, "Template (as you wrote it)")
    assert (stage.sidebar.template.value, stage.sidebar.template.visible) == (OWN, True)


def test_links_and_the_page_bring_a_template_back(runtime: Runtime, stage: Stage) -> None:
    start: Inputs = stage.page.inputs.value
    scene = Scene(replace(start, checkpoint_id=f"{start.checkpoint}\n{MINE}"), "map")
    names = [checkpoint.id for checkpoint in runtime.checkpoints]
    restored, _ = decode_scene(encode_scene(scene), checkpoints=names, places=list(TABS))
    assert restored.inputs == scene.inputs
    updates = stage.show(restored)
    assert updates[stage.checkpoint] == start.checkpoint and updates[stage.sidebar.template] == MINE
    assert set(updates) <= set(stage.components) | {stage.line}
    plain, _ = decode_scene(encode_scene(Scene(start, "map")), checkpoints=names, places=list(TABS))
    assert plain.inputs.template == "" and stage.show(plain)[stage.sidebar.template] == ""
