"""Sessions that hold nothing are forgotten soon, so that calls of programs do not push out those of visitors.

Gradio gives every call of the API a session of its own with a copy of the description of the page (0.4 MB), and keeps
it until there are too many; then the one used longest ago goes, whatever it holds.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from threading import Thread

import gradio as gr

MAX_SESSIONS = 300  # of which the one used longest ago is forgotten first; its page embeds anew what it shows
IDLE_S = 10.0
EVERY_S = 5.0


def forget_empty_sessions(demo: gr.Blocks, *, idle_s: float = IDLE_S) -> int:
    """Forget the sessions without state that were not used for a while; returns how many."""
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


def keep_forgetting(demo: gr.Blocks) -> None:
    """Forget empty sessions in a background thread, for as long as the process lives."""

    def forget() -> None:
        while True:
            time.sleep(EVERY_S)
            if hasattr(demo, "state_holder"):  # Gradio makes it when the server starts
                forget_empty_sessions(demo)

    Thread(target=forget, name="forget-sessions", daemon=True).start()
