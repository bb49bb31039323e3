"""A page that is loaded anew comes back as it was: `assets/draft.js` keeps a draft of it, this shows the draft.

A draft is a scene whose inputs stand as they were typed, as they need not be valid yet.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import gradio as gr
from pydantic import BaseModel, Field, ValidationError

from instructor_core.errors import UserError
from instructor_core.table.cells import well_formed
from instructor_core.ui.components import component
from instructor_core.ui.data.inputs import MAX_INSTRUCTIONS, Inputs, parse_inputs
from instructor_core.ui.data.sidebar import show_rows
from instructor_core.ui.feedback import boundary, note
from instructor_core.ui.gradio_patches import event_data
from instructor_core.ui.page import KEEP, LATEST, QUIET
from instructor_core.ui.scene import Scene
from instructor_core.ui.scene.link import form_of, scene_of
from instructor_core.ui.scene.stage import Stage, Updates

RESTORED = "The page was loaded anew. What you had typed is back, and embedded again."


class Draft(BaseModel, strict=True):
    """What stood in the fields, what the menu of checkpoints showed, and how the page showed its run."""

    texts: str
    instructions: list[str] = Field(min_length=1, max_length=MAX_INSTRUCTIONS)
    checkpoint: str = ""
    scene: dict[str, Any] | None = None  # by `form_of`; drafts of earlier versions have none


def restore(stage: Stage, sent: object, places: Collection[str]) -> Updates:
    """Return the updates that show a draft and run it; nothing changes for what is no draft."""
    try:
        draft = Draft.model_validate(sent)
    except ValidationError:
        return {stage.line: KEEP}
    page, texts, instructions = stage.page, well_formed(draft.texts), list(map(well_formed, draft.instructions))
    start: Inputs = page.inputs.value
    choice = dict(page.runtime.choices).get(draft.checkpoint, start.checkpoint_id)
    checkpoint_id, beside_id = page.runtime.chosen(choice)
    try:
        inputs = replace(parse_inputs(checkpoint_id, instructions, texts), beside_id=beside_id)
    except UserError:  # the run says what is wrong
        inputs = replace(start, checkpoint_id=checkpoint_id, beside_id=beside_id)
    scene = Scene(inputs, page.active.value, page.selected.value, options=None)
    if draft.scene is not None:
        scene, _ = scene_of(draft.scene, inputs, places=places)
    typed = [*show_rows(instructions), texts]
    return {**stage.show(scene, note(RESTORED)), **dict(zip(stage.sidebar.entries, typed, strict=True))}


def build_draft(stage: Stage, *, places: Collection[str]) -> None:
    """Lay out the component that takes a draft, and tells the browser what a draft needs beside the fields."""
    box = component("<span></span>", "InstructorDraft.mount(props, watch, trigger, 'typed', 'asked');", elem_id="draft")

    def fill(event: gr.EventData) -> Updates:
        return restore(stage, event_data(event), places)

    @boundary(lambda _: KEEP)
    def form(*values: Any) -> str:
        return json.dumps(form_of(stage.scene(*values)))

    box.typed(fill, None, stage.components, **QUIET)
    box.asked(form, stage.now, box, preprocess=False, **LATEST)
