"""The link to the page as it is, the state file for what a link cannot hold, and the way back from both."""

from __future__ import annotations

import json
import math
import os
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from instructor_core.ui.downloads import fetch_script, new_path
from instructor_core.ui.feedback import message_for, note
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.link import (
    MAX_FILE_BYTES,
    Option,
    State,
    decode_state,
    encode_state,
    read_state_file,
    state_file,
)
from instructor_core.ui.options import Options
from instructor_core.ui.page import Page, Selected
from instructor_core.ui.sidebar import Sidebar, counted, fill

PARAMETER = "s"
FILE_NAME = "instruction-lens.json"

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


@dataclass(frozen=True)
class Target:
    """What a restored state is written to, in the order of `values`.

    Attributes:
        menu: Menu of checkpoints.
        sidebar: Instructions and texts.
        point: The line over the tabs.
        page: Tabs, tab in front and selection.
        options: Options of the tabs by name; only these are restored, each only to a value that it offers.
    """

    menu: gr.Dropdown
    sidebar: Sidebar
    point: gr.HTML
    page: Page
    options: Options

    @property
    def components(self) -> list[Any]:
        """Outputs of an event that restores."""
        sidebar, page = self.sidebar, self.page
        return [
            self.menu,
            sidebar.count,
            *sidebar.rows,
            *sidebar.fields,
            sidebar.texts,
            self.point,
            page.tabs,
            page.active,
            page.selected,
            *(option.component for option in self.options.values()),
            page.restored,
        ]

    def values(self, state: State) -> list[Any]:
        """Return one value per component."""
        inputs, given = state.inputs, dict(state.options)
        fit = {name: option.restored(given[name], inputs) for name, option in self.options.items() if name in given}
        restored = [gr.skip() if fit.get(name) is None else fit[name] for name in self.options]
        n_ignored = state.n_ignored + len(given) - sum(value is not None for value in fit.values())
        words = note(f"Restored: {counted(len(inputs.texts), 'text')}.", _ignored(n_ignored))
        tabs = gr.Tabs(selected=state.tab)
        return [
            inputs.checkpoint_id,
            *fill(inputs),
            words,
            tabs,
            state.tab,
            state.selected,
            *restored,
            secrets.token_hex(8),
        ]

    def failed(self, error: Exception) -> list[Any]:
        """Return the values that change nothing but the line over the tabs."""
        values: list[Any] = [gr.skip()] * len(self.components)
        values[self.components.index(self.point)] = note(message_for(error), error=True)
        return values

    def unchanged(self) -> list[Any]:
        """Return the values that change nothing."""
        return [gr.skip()] * len(self.components)


def _ignored(n: int) -> str:
    """Return the sentence about options that were not taken over; "" for none."""
    if not n:
        return ""
    subject, rest = (
        ("1 option in it was", "It keeps its value") if n == 1 else (f"{n} options in it were", "They keep theirs")
    )
    return f"{subject} left aside: this page does not know the name or does not offer the value. {rest}."


def space_id() -> str:
    """Return the id of the Hugging Face Space that this runs on; "" elsewhere."""
    name = os.environ.get("SPACE_ID", "")
    return name if re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.ASCII) else ""


def state_of(names: Sequence[str], inputs: Inputs, selected: Selected, tab: str, *values: Option) -> State:
    """Return what is on screen; an option that was never shown, and one whose value is no plain value, is left out."""
    pairs = ((name, value) for name, value in zip(names, values, strict=True))
    plain = tuple(
        (name, value)
        for name, value in pairs
        if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    )
    return State(inputs, tab, selected.within(inputs), plain)


def restore(target: Target, decode: Callable[[], State | None]) -> list[Any]:
    """Return the values of `target` after decoding: nothing changes without a state, an error is told."""
    try:
        state = decode()
        return target.unchanged() if state is None else target.values(state)
    except Exception as error:  # a boundary to the visitor: message_for words whatever went wrong
        return target.failed(error)


def build_link(
    demo: gr.Blocks,
    page: Page,
    sidebar: Sidebar,
    menu: gr.Dropdown,
    point: gr.HTML,
    *,
    tabs: Sequence[str],
    options: Options | None = None,
) -> None:
    """Lay out link and state file; `page.restored` changes when the fields hold a restored state and have to be run.

    Args:
        demo: The page, whose loading restores the state in its address.
        page: What the tabs share.
        sidebar: Fields of instructions and texts.
        menu: Menu of checkpoints.
        point: The line over the tabs, which tells what was restored or why not.
        tabs: Ids of all tabs.
        options: Options to keep, by a name that stays the same between versions of the page.
    """
    target = Target(menu, sidebar, point, page, options or {})
    checkpoints = [checkpoint.id for checkpoint in page.runtime.checkpoints]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    with gr.Accordion("link to this page", open=False, elem_classes=["ic-fold"], elem_id="link"):
        with gr.Row(elem_classes=["ic-buttons"]):
            copy = gr.Button("Copy link", size="sm", min_width=80, elem_id="link-copy")
            save = gr.Button("Save state", size="sm", min_width=80, elem_id="state-save")
            load = gr.UploadButton(
                "Open state", file_types=[".json"], type="filepath", size="sm", min_width=80, elem_id="state-open"
            )
        message = gr.HTML("", elem_id="link-note", padding=False)
        url = gr.Textbox(
            "", label="Link", show_label=False, container=False, interactive=False, max_lines=1, elem_id="link-url"
        )
        token = gr.Textbox("", visible="hidden")
        file = gr.DownloadButton(visible="hidden", elem_id="state-file")
    now = [page.inputs, page.selected, page.active, *(option.component for option in target.options.values())]
    names = list(target.options)

    def link(*values: Any) -> tuple[str, str]:
        try:
            return encode_state(state_of(names, *values)), ""
        except Exception as error:  # as in `restore`
            return "", note(message_for(error), error=True)

    def write(*values: Any) -> tuple[str | None, str]:
        try:
            content = state_file(state_of(names, *values))
            path = new_path(Path(file.GRADIO_CACHE), FILE_NAME)
            path.write_bytes(content)
        except Exception as error:  # as in `restore`
            return None, note(message_for(error), error=True)
        return str(path), note(f"{FILE_NAME}, {len(content) / 1000:.0f} kB")

    def from_address(request: gr.Request) -> list[Any]:
        given = request.query_params.get(PARAMETER)
        read = partial(decode_state, checkpoints=checkpoints, tabs=tabs)
        return restore(target, lambda: read(str(given)) if given else None)

    def from_file(path: str) -> list[Any]:
        def read() -> State:
            with Path(path).open("rb") as opened:
                content = opened.read(MAX_FILE_BYTES + 1)
            return read_state_file(content, checkpoints=checkpoints, tabs=tabs)

        return restore(target, read)

    script = COPY.format(space=json.dumps(space_id()), parameter=PARAMETER)
    # Unchecked: a menu may have choices by now that it did not have at first. What a state holds is checked on arrival.
    raw: dict[str, Any] = {"preprocess": False, **quiet}
    copy.click(link, now, [token, message], **raw).then(None, [token, message], [url, message], js=script, **quiet)
    save.click(write, now, [file, message], **raw).then(None, file, js=fetch_script("state-file"), **quiet)
    demo.load(from_address, None, target.components, **quiet)
    load.upload(from_file, load, target.components, **quiet)
