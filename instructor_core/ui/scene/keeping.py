"""Where a scene is kept, and the way back: a link, a file for what a link cannot hold, and a draft in the browser.

`assets/draft.js` keeps the draft, so that a page that is loaded anew comes back as it was. A draft is a scene whose
inputs stand as they were typed, as they need not be valid yet.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from pydantic import BaseModel, Field, ValidationError

from instructor_core.analysis.numbers import counted
from instructor_core.errors import UserError
from instructor_core.table.cells import well_formed
from instructor_core.ui.components import component
from instructor_core.ui.data.exports import SAVE_FILE, new_path, size_of
from instructor_core.ui.data.inputs import MAX_INSTRUCTIONS, Inputs, parse_inputs
from instructor_core.ui.data.sidebar import show_rows
from instructor_core.ui.feedback import boundary, note
from instructor_core.ui.gradio_patches import cache_folder, event_data
from instructor_core.ui.page import KEEP, LATEST, QUIET
from instructor_core.ui.scene import Scene
from instructor_core.ui.scene import link as links
from instructor_core.ui.scene.stage import Stage, Updates

PARAMETER = "s"
FILE_NAME = "instruction-lens.json"
RESTORED = "The page was loaded anew. What you had typed is back, and embedded again."

# On a Space the page lies in a frame of another host, so its address is not the one to share.
COPY = """async (state, message) => {{
  if (!state) return ["", message];
  const space = {space};
  const url = new URL(space ? "https://huggingface.co/spaces/" + space : location.origin + location.pathname);
  url.searchParams.set("{parameter}", state);
  if (!space) history.replaceState(null, "", url);
  let copied = false;
  try {{ await navigator.clipboard.writeText(url.href); copied = true; }} catch (error) {{ copied = false; }}
  const words = copied ? "The link is in the clipboard." : "Copy the link from here:";
  return [url.href, `<p class="ic-note" role="status">${{words}}</p>`];
}}"""


def space_id() -> str:
    """Return the id of the Hugging Face Space that this runs on; "" elsewhere."""
    name = os.environ.get("SPACE_ID", "")
    return name if re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.ASCII) else ""


def restored(stage: Stage, scene: Scene, n_ignored: int) -> Updates:
    """Return the updates that show a scene from a link or a file, and say what was left aside."""
    n_ignored += len(scene.options or {}) - len(stage.possible(scene).options or {})
    subject = "1 option in it was" if n_ignored == 1 else f"{n_ignored} options in it were"
    ignored = f"{subject} left aside: this page does not know the name or does not offer the value."
    words = note(f"Restored: {counted(len(scene.inputs.texts), 'text')}.", ignored if n_ignored else "")
    return stage.show(scene, words)


def build_link(demo: gr.Blocks, stage: Stage) -> None:
    """Lay out link and state file, and connect the way back from both; loading the page restores its address."""
    known = [checkpoint.id for checkpoint in stage.page.runtime.checkpoints]
    with gr.Accordion("link to this page", open=True, elem_classes=["ic-fold"], elem_id="link"):
        with gr.Row(elem_classes=["ic-buttons"]):
            copy = gr.Button("Copy link", size="sm", min_width=80, elem_id="link-copy")
            save = gr.Button("Save state", size="sm", min_width=80, elem_id="state-save")
            load = gr.UploadButton(
                "Open state", file_types=[".json"], type="filepath", size="sm", min_width=80, elem_id="state-open"
            )
        message = gr.HTML("", elem_id="link-note")
        url = gr.Textbox(
            "",
            label="Link",
            placeholder=" ",  # by which styles see that it is empty
            show_label=False,
            container=False,
            interactive=False,
            max_lines=1,
            elem_id="link-url",
        )
        token = gr.Textbox("", visible="hidden")
        file = gr.DownloadButton(visible="hidden")

    @boundary(lambda words: ("", note(words, error=True)))
    def link(*values: Any) -> tuple[str, str]:
        return links.encode_scene(stage.scene(*values)), ""

    @boundary(lambda words: (None, note(words, error=True)))
    def write(*values: Any) -> tuple[str | None, str]:
        content = links.scene_file(stage.scene(*values))
        path = new_path(cache_folder(), FILE_NAME)
        path.write_bytes(content)
        return str(path), note(f"{FILE_NAME}, {size_of(len(content))}")

    def tell_failure(words: str) -> Updates:
        return {stage.line: note(words, error=True)}

    @boundary(tell_failure)
    def from_address(request: gr.Request) -> Updates:
        given = request.query_params.get(PARAMETER)
        return restored(stage, *links.decode_scene(str(given), checkpoints=known)) if given else {stage.line: KEEP}

    @boundary(tell_failure)
    def from_file(path: str) -> Updates:
        with Path(path).open("rb") as opened:
            content = opened.read(links.MAX_FILE_BYTES + 1)
        return restored(stage, *links.read_scene_file(content, checkpoints=known))

    script = COPY.format(space=json.dumps(space_id()), parameter=PARAMETER)
    # Unchecked: a menu may have choices by now that it did not have at first. What a link holds is checked on arrival.
    raw: dict[str, Any] = {"preprocess": False, **QUIET}
    copied = copy.click(link, stage.now, [token, message], **raw)
    copied.then(None, [token, message], [url, message], js=script, **QUIET)
    save.click(write, stage.now, [file, message], **raw).then(None, file, js=SAVE_FILE, **QUIET)
    demo.load(from_address, None, stage.components, **QUIET)
    load.upload(from_file, load, stage.components, **QUIET)


class Draft(BaseModel, strict=True):
    """What stood in the fields, what the menu of checkpoints showed, and how the page showed its run."""

    texts: str
    instructions: list[str] = Field(min_length=1, max_length=MAX_INSTRUCTIONS)
    checkpoint: str = ""
    scene: dict[str, Any] | None = None  # by `link.form_of`; drafts of earlier versions have none


def restore(stage: Stage, sent: object) -> Updates:
    """Return the updates that show a draft and run it; nothing changes for what is no draft."""
    try:
        draft = Draft.model_validate(sent)
    except ValidationError:
        return {stage.line: KEEP}
    page, texts, instructions = stage.page, well_formed(draft.texts), list(map(well_formed, draft.instructions))
    start: Inputs = page.inputs.value
    choice = dict(page.runtime.choices).get(draft.checkpoint, start.checkpoint_id)
    checkpoint_id, beside_id = page.runtime.choose(choice)
    try:
        inputs = replace(parse_inputs(checkpoint_id, instructions, texts), beside_id=beside_id)
    except UserError:  # the run says what is wrong
        inputs = replace(start, checkpoint_id=checkpoint_id, beside_id=beside_id)
    scene = Scene(inputs, page.active.value, page.selected.value, options=None)
    if draft.scene is not None:
        scene, _ = links.scene_of(draft.scene, inputs)
    typed = [*show_rows(instructions), texts]
    return {**stage.show(scene, note(RESTORED)), **dict(zip(stage.sidebar.entries, typed, strict=True))}


def build_draft(stage: Stage) -> None:
    """Lay out the component that takes a draft, and tells the browser what a draft needs beside the fields."""
    box = component("<span></span>", "InstructorDraft.mount(props, watch, trigger, 'typed', 'asked');", elem_id="draft")

    def fill(event: gr.EventData) -> Updates:
        return restore(stage, event_data(event))

    @boundary(lambda _: KEEP)
    def form(*values: Any) -> str:
        return json.dumps(links.form_of(stage.scene(*values)))

    box.typed(fill, None, stage.components, **QUIET)
    box.asked(form, stage.now, box, preprocess=False, **LATEST)
