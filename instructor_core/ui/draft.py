"""What was typed comes back after the page was loaded anew: `assets/draft.js` keeps it, this fills the fields again."""

from __future__ import annotations

from contextlib import suppress

import gradio as gr
from pydantic import BaseModel, Field, ValidationError

from instructor_core.errors import UserError
from instructor_core.ui.components import widget
from instructor_core.ui.feedback import note
from instructor_core.ui.gradio_patches import event_data
from instructor_core.ui.inputs import MAX_INSTRUCTIONS, parse_texts
from instructor_core.ui.instructions import instruction_fields
from instructor_core.ui.page import KEEP, QUIET, news
from instructor_core.ui.scene.stage import Stage, Updates, Words
from instructor_core.ui.strings import well_formed

RESTORED = "The page was loaded anew. What you had typed is back, and embedded again."


class Draft(BaseModel, strict=True):
    """The fields as they were typed, which need not make a scene yet, and what the menu of checkpoints showed."""

    texts: str
    instructions: list[str] = Field(min_length=1, max_length=MAX_INSTRUCTIONS)
    checkpoint: str = ""


def restore(stage: Stage, kept: object) -> Updates:
    """Return the updates that fill the fields and run them; nothing changes for what is no draft."""
    try:
        draft = Draft.model_validate(kept)
    except ValidationError:
        return {stage.line: KEEP}
    typed = [*instruction_fields(list(map(well_formed, draft.instructions))), well_formed(draft.texts)]
    updates = dict(zip(stage.sidebar.entries, typed, strict=True))
    updates |= {stage.line: note(RESTORED), stage.page.restored: news()}
    for label, checkpoint_id in stage.checkpoint.choices:
        if label == draft.checkpoint:
            updates[stage.checkpoint] = checkpoint_id
    with suppress(UserError):  # what the run will say as well
        updates[stage.words] = Words(parse_texts(draft.texts)[0], note(RESTORED))
    return updates


def build_draft(stage: Stage) -> None:
    """Lay out the component that takes a draft."""
    box = widget("InstructorDraft.mount(trigger, 'typed');", template="<span></span>", elem_id="draft")

    def fill(event: gr.EventData) -> Updates:
        return restore(stage, event_data(event))

    box.typed(fill, None, stage.components, **QUIET)
