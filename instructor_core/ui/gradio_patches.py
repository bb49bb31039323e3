"""Every name of Gradio that is not documented, in one place, with the version in which it is as used here.

Another version is not refused: `missing_names` says at the start what is gone, and a test fails at every upgrade.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
import sys
import time
from collections.abc import Collection
from copy import copy
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import patch

from jinja2 import ChoiceLoader, DictLoader, FileSystemLoader

# Gradio writes an interface file for each of its components when it is imported, unless their code is in no file: half
# the time of the import.
with patch.object(inspect, "getfile", side_effect=OSError):
    import gradio as gr
from gradio import processing_utils, routes, state_holder, utils

logger = logging.getLogger(__name__)

RIGHT_FOR = "6.31.0"
MAX_SESSIONS = 300  # of which the one used longest ago is forgotten first; its page embeds anew what it shows
IDLE_S = 10.0
EVERY_S = 5.0
TEMPLATES = Path(gr.__file__).parent / "templates"
PAGE = "frontend/index.html"  # a template of `routes.templates`

# Gradio keeps the status of every component that an event reported on, of all its inputs too when it ends, and renews
# them all at each step of any event, each by a walk over the page: a quarter of a second between a key and the new
# figures. Here a step renews the outputs that it is about, and no input is told that it has no error: none is checked.
STATUS_SCRIPT = """<script type="module">
const file = (name) => import(document.querySelector(`link[rel=modulepreload][href*="/${name}-"]`).href);
file("statustracker").then((all) => {
  const { prototype } = Object.values(all).find((one) => one.prototype?.resolve_args);
  const { update } = prototype;
  prototype.update = function (step) {
    update.call(this, step);
    const about = ([, { type, fn_index }]) => type === "output" && fn_index === step.fn_index;
    this.current = Object.fromEntries(Object.entries(this.current).filter(about));
  };
});
file("core").then(({ AppTree: { prototype } }) => {
  const { update_state } = prototype;
  prototype.update_state = async function (component, state, look) {
    if (state.loading_status?.validation_error !== null) await update_state.call(this, component, state, look);
  };
});
</script>"""


def missing_names() -> list[str]:
    """Return the names used here that this Gradio does not have."""
    with gr.Blocks(analytics_enabled=False) as page:
        holder: Any = state_holder.StateHolder()  # type: ignore[no-untyped-call]
        session = state_holder.SessionState(page)
    used: dict[str, tuple[Any, list[str]]] = {
        "gradio.processing_utils": (processing_utils, ["async_ssrf_protected_download"]),
        "gradio.routes": (routes, ["templates"]),
        "gradio.utils": (utils, ["get_upload_folder"]),
        "EventData": (gr.EventData(None, {}), ["_data"]),
        "Blocks": (page, ["default_config", "mcp_server_obj", "postprocess_data"]),
        "Blocks.default_config": (page.default_config, ["blocks", "config_for_block"]),
        "StateHolder": (holder, ["session_data", "time_last_used", "lock"]),
        "SessionState": (session, ["state_data", "blocks_config", "config_values", "_update_value_in_config"]),
    }
    if mcp_is_installed():
        from gradio.mcp import GradioMCPServer

        used["GradioMCPServer"] = (GradioMCPServer, ["postprocess_output_data"])
    return [f"{place}.{name}" for place, (owner, names) in used.items() for name in names if not hasattr(owner, name)]


def prepare(demo: gr.Blocks) -> None:
    """Before the start: say what does not fit, open no addresses, and forget sessions that hold nothing."""
    if gr.__version__ != RIGHT_FOR:
        logger.warning("Gradio is %s: this app is tested with %s.", gr.__version__, RIGHT_FOR)
    missing = missing_names()
    if missing:
        logger.error(
            "Gradio %s has no %s: uploads by address may be opened, and empty sessions and tools' answers stay as "
            "Gradio makes them. Install gradio==%s.",
            *(gr.__version__, ", ".join(missing), RIGHT_FOR),
        )
    _open_no_addresses()
    if find_spec("matplotlib") is None:  # Gradio imports it before and after each step of an event
        sys.modules["matplotlib"] = None  # type: ignore[assignment]  # not looked for again: that takes 1 ms
    if not missing:
        share_descriptions(demo)
        leave_skipped_alone(demo)
        Thread(target=_keep_forgetting, args=[demo], name="forget-sessions", daemon=True).start()


def share_descriptions(demo: gr.Blocks) -> None:
    """Have sessions share what describes the components of the page; each is described once.

    Gradio describes all of them anew for each session, and each call of the API is one: 30 ms in which nobody else is
    answered. A session writes values alone, each into a copy of its own.
    """
    config: Any = type(demo.default_config)
    describe, described = config.config_for_block, dict[int, dict[str, Any]]()

    def shared(number: int, rendered: list[int], block: Any, renderable: Any = None) -> dict[str, Any]:
        if renderable is not None or demo.default_config.blocks.get(number) is not block:
            return describe(number, rendered, block, renderable)  # type: ignore[no-any-return]
        if number not in described:
            described[number] = describe(number, rendered, block)
        return described[number]

    def write(session: Any, number: int, value: Any) -> None:
        blocks = session.blocks_config  # what a render has added is not described yet
        of_all = session.config_values.get(number) or blocks.config_for_block(number, [], blocks.blocks[number])
        session.config_values[number] = {**of_all, "props": {**of_all["props"], "value": value}}

    config.config_for_block = staticmethod(shared)
    setattr(state_holder.SessionState, "_update_value_in_config", write)  # noqa: B010


def leave_skipped_alone(demo: gr.Blocks) -> None:
    """Have an output that a handler skips stay as it is; Gradio makes and describes its component anew."""
    page: Any = demo
    postprocess, skip = page.postprocess_data, gr.skip()

    async def of_the_others(function: Any, predictions: Any, state: Any) -> list[Any]:
        outputs = function.outputs
        if isinstance(predictions, dict) and len(outputs) > 1 and all(key in outputs for key in predictions):
            predictions = [predictions.get(output, skip) for output in outputs]
        elif isinstance(predictions, dict) and predictions == skip:
            predictions = [skip] * len(outputs)
        if not isinstance(predictions, list | tuple) or len(predictions) != len(outputs) or len(outputs) < 2:
            return await postprocess(function, predictions, state)  # type: ignore[no-any-return]
        at = [k for k, one in enumerate(predictions) if not (isinstance(one, dict) and one == skip)]
        answers = [None if output.stateful else skip for output in outputs]
        if at:
            some = copy(function)
            some.outputs = [outputs[k] for k in at]
            given = [predictions[k] for k in at]
            for k, answer in zip(at, await postprocess(some, given if len(at) > 1 else given[0], state), strict=True):
                answers[k] = answer
        return answers

    page.postprocess_data = of_the_others


def event_data(event: gr.EventData) -> dict[str, Any]:
    """Return what a component of our own sent with its event; empty if nothing came."""
    return event._data or {}


def report_no_progress(demo: gr.Blocks) -> None:
    """Have the events that show no progress report it on no component.

    Gradio reports on every output otherwise, and for each step of any event the browser looks up and copies all
    components that were ever reported on: most of what it did between a key and the new figures.
    """
    for event in demo.fns.values():
        if event.show_progress == "hidden" and event.show_progress_on is None:
            event.show_progress_on = []


def put_in_page(head: str, demo: gr.Blocks) -> str:
    """Put HTML into the head of the page as it is sent, with what the browser will ask for; returns what is left.

    The `head` of `launch` comes into the page by Gradio's scripts once they have run, and each of them is asked for by
    another: what is named here is fetched and run meanwhile.
    """
    try:
        page = (TEMPLATES / PAGE).read_text(encoding="utf-8")
        files = first_files(page, {block.get_block_name() for block in demo.blocks.values()})
    except (OSError, ValueError, StopIteration) as error:
        logger.error("The page of this Gradio is not as expected: it opens later. %s", error)
        return head
    scripts = "".join(f'<link rel="modulepreload" href="assets/{name}">' for name in files if name.endswith(".js"))
    styles = "".join(
        f'<link rel="preload" as="style" crossorigin href="assets/{name}">' for name in files if name.endswith(".css")
    )
    theme = '<link rel="preload" as="style" href="theme.css?v={{ config.theme_hash }}">'
    before, script, after = page.partition('<script type="module"')
    source = f"{before}{theme}{{% raw %}}{head}{styles}{scripts}{STATUS_SCRIPT}{{% endraw %}}{script}{after}"
    whole = FileSystemLoader(TEMPLATES)
    routes.templates.env.loader = ChoiceLoader([DictLoader({PAGE: source}), whole])
    return ""


def first_files(page: str, types: Collection[str]) -> list[str]:
    """Return the names of Gradio's files that show a page with components of some types.

    Each script lists the files that its imports need, and an import gives their places in the list.
    """
    found: dict[str, None] = {}

    def add(script: str, *starts: str) -> None:
        text = (TEMPLATES / "frontend" / "assets" / script).read_text(encoding="utf-8")
        files = json.loads(text[text.index("m.f=[") + 4 : text.index("])))=>")] + "]")
        for start in starts:
            if used := re.search(rf"{start}.*?__vite__mapDeps\(\[([\d,]+)\]\)", text):
                found.update(dict.fromkeys(files[int(place)].removeprefix("./") for place in used[1].split(",")))

    add(page.partition("./assets/")[2].partition('"')[0], r"import\(`\./Index-")
    add(next(iter(found)), r"import\(`\./Blocks-")
    core = next(name for name in found if name.startswith("core-") and name.endswith(".js"))
    add(core, *(rf"\b{kind}:{{(?:(?!}},).)*?component:" for kind in sorted(types)))
    return list(found)


def cache_folder() -> Path:
    """Return the folder whose files Gradio serves, and deletes after a while (`delete_cache`)."""
    return Path(utils.get_upload_folder())


def _open_no_addresses() -> None:
    """Keep Gradio from fetching the file behind an address that a visitor sends in place of an upload."""

    async def refuse(url: str, cache_dir: str) -> str:
        raise gr.Error("Addresses are not opened here. Upload the file instead.", print_exception=False)

    processing_utils.async_ssrf_protected_download = refuse


def forget_empty_sessions(demo: gr.Blocks, *, idle_s: float = IDLE_S) -> int:
    """Forget the sessions without state that were not used for a while; returns how many.

    Gradio gives every call of the API a session of its own with a copy of the description of the page (0.4 MB), and
    keeps it until there are too many; then the one used longest ago goes, though it may be a visitor's.
    """
    holder, original = demo.state_holder, demo.default_config.blocks
    before = datetime.now() - timedelta(seconds=idle_s)
    forgotten = 0
    for name, used in list(holder.time_last_used.items()):
        session = holder.session_data.get(name)
        if session is None or used > before or session.state_data:
            continue
        if any(original.get(number) is not block for number, block in session.blocks_config.blocks.items()):
            continue  # a component of this page was changed, such as the choices of a menu
        with holder.lock:
            holder.session_data.pop(name, None)
            holder.time_last_used.pop(name, None)
        forgotten += 1
    return forgotten


def _keep_forgetting(demo: gr.Blocks) -> None:
    while True:
        time.sleep(EVERY_S)
        if hasattr(demo, "state_holder"):  # Gradio makes it when the server starts
            forget_empty_sessions(demo)


def mcp_is_installed() -> bool:
    """Return whether the app can speak the Model Context Protocol; without the package it says nothing of it."""
    return find_spec("mcp") is not None


def answer_in_json(demo: gr.Blocks) -> None:
    """Have the tools of a running page answer in JSON; Gradio would write what Python prints (None, True)."""
    server: Any = getattr(demo, "mcp_server_obj", None)
    if server is None:
        return

    def contents(answers: list[Any], root_url: str) -> list[Any]:
        return [server.types.TextContent(type="text", text=json.dumps(answer)) for answer in answers]

    server.postprocess_output_data = contents
