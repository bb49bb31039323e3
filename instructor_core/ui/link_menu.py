"""The link to the page as it is, the state file for what a link cannot hold, and the way back from both."""

from __future__ import annotations

import json
import math
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from instructor_core.errors import UserError
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
from instructor_core.ui.page import Page, Selected
from instructor_core.ui.sidebar import Sidebar, fill

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
    options: Mapping[str, gr.components.Component]

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
            *self.options.values(),
        ]

    def values(self, state: State) -> list[Any]:
        """Return one value per component."""
        given = dict(state.options)
        restored = [
            given[name] if name in given and takes(component, given[name]) else gr.skip()
            for name, component in self.options.items()
        ]
        tabs = gr.Tabs(selected=state.tab)
        inputs = state.inputs
        words = note("Restored: " + ("1 text" if len(inputs.texts) == 1 else f"{len(inputs.texts)} texts") + ".")
        return [inputs.checkpoint_id, *fill(inputs), words, tabs, state.tab, state.selected, *restored]

    def failed(self, error: Exception) -> list[Any]:
        """Return the values that change nothing but the line over the tabs."""
        values: list[Any] = [gr.skip()] * len(self.components)
        values[self.components.index(self.point)] = note(message_for(error), error=True)
        return values

    def unchanged(self) -> list[Any]:
        """Return the values that change nothing."""
        return [gr.skip()] * len(self.components)


def takes(component: gr.components.Component, value: Option) -> bool:
    """Return whether a visitor could have chosen this value."""
    if isinstance(component, gr.Checkbox):
        return isinstance(value, bool)
    if isinstance(component, gr.Slider | gr.Number):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        low, high = component.minimum, component.maximum
        return (low is None or value >= low) and (high is None or value <= high)
    if isinstance(component, gr.Dropdown | gr.Radio):
        return any(type(offered) is type(value) and offered == value for _, offered in component.choices)
    return False


def space_id() -> str:
    """Return the id of the Hugging Face Space that this runs on; "" elsewhere."""
    name = os.environ.get("SPACE_ID", "")
    return name if re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.ASCII) else ""


def state_of(names: Sequence[str], inputs: Inputs, selected: Selected, tab: str, *values: Option) -> State:
    """Return what is on screen; an option whose value is a list or an object is left out."""
    pairs = ((name, value) for name, value in zip(names, values, strict=True))
    plain = tuple(
        (name, value)
        for name, value in pairs
        if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
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
    options: Mapping[str, gr.components.Component] | None = None,
) -> list[gr.events.Dependency]:
    """Lay out link and state file; returns the events after which the page holds a restored state and has to be run.

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
    now = [page.inputs, page.selected, page.active, *target.options.values()]
    names = list(target.options)

    def link(*values: Any) -> tuple[str, str]:
        try:
            return encode_state(state_of(names, *values)), ""
        except UserError as error:
            return "", note(str(error), error=True)

    def write(*values: Any) -> tuple[str | None, str]:
        try:
            content = state_file(state_of(names, *values))
        except UserError as error:
            return None, note(str(error), error=True)
        path = Path(file.GRADIO_CACHE) / secrets.token_hex(16) / FILE_NAME
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
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
    copy.click(link, now, [token, message], **quiet).then(None, [token, message], [url, message], js=script, **quiet)
    save.click(write, now, [file, message], **quiet).then(None, file, js=_click("state-file"), **quiet)
    return [
        demo.load(from_address, None, target.components, **quiet),
        load.upload(from_file, load, target.components, **quiet),
    ]


def _click(elem_id: str) -> str:
    return (
        f'(file) => {{ if (file) setTimeout(() => document.querySelector("#{elem_id}, #{elem_id} button, '
        f'#{elem_id} a")?.click(), 150); }}'
    )
