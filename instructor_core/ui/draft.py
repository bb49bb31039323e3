"""What was typed comes back after the page was loaded anew: `assets/draft.js` keeps it, this fills the fields again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from instructor_core.ui.feedback import note
from instructor_core.ui.inputs import MAX_INSTRUCTIONS
from instructor_core.ui.plot_view import script_tags
from instructor_core.ui.sidebar import Sidebar, instruction_fields
from instructor_core.ui.strings import well_formed

RESTORED = "The page was loaded anew. What you had typed is back, and embedded again."


def draft_head() -> str:
    """Return the script that keeps what is typed, for `launch(head=...)`: it has to run before the page is built."""
    return script_tags("draft.js")


def restore(checkpoints: Mapping[str, str], kept: object) -> list[Any]:
    """Return checkpoint, count, row visibilities, fields, text field and note; nothing changes for what is no draft.

    Args:
        checkpoints: Ids of the checkpoints by their label in the menu.
        kept: What the script kept; it comes from a browser and may be anything.
    """
    unchanged: list[Any] = [gr.skip()] * (4 + 2 * MAX_INSTRUCTIONS)
    if not isinstance(kept, dict):
        return unchanged
    texts, typed, label = kept.get("texts"), kept.get("instructions"), kept.get("checkpoint")
    if not isinstance(texts, str) or not isinstance(typed, list) or not 1 <= len(typed) <= MAX_INSTRUCTIONS:
        return unchanged
    if not all(isinstance(field, str) for field in typed):
        return unchanged
    checkpoint_id = checkpoints.get(label) if isinstance(label, str) else None
    return [
        gr.skip() if checkpoint_id is None else checkpoint_id,
        *instruction_fields([well_formed(field) for field in typed]),
        well_formed(texts),
        note(RESTORED),
    ]


def build_draft(
    sidebar: Sidebar, menu: gr.Dropdown, point: gr.HTML, checkpoints: Mapping[str, str]
) -> gr.events.Dependency:
    """Lay out the component that takes a draft; returns the event after which the fields have to be embedded."""
    box = gr.HTML(
        html_template="<span></span>",
        js_on_load="InstructorDraft.mount(trigger, 'typed');",  # the quoted name becomes a listener method
        elem_id="draft",
        padding=False,
        apply_default_css=False,
    )

    def fill(event: gr.EventData) -> list[Any]:
        return restore(checkpoints, event._data)

    taken: gr.events.Dependency = box.typed(
        fill,
        None,
        [menu, sidebar.count, *sidebar.rows, *sidebar.fields, sidebar.texts, point],
        show_progress="hidden",
        api_visibility="private",
    )
    return taken
