"""The endpoints as tools of the Model Context Protocol, where the `mcp` package is installed."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import gradio as gr


def mcp_is_installed() -> bool:
    """Return whether the app can speak MCP; without the package it says nothing of it."""
    return find_spec("mcp") is not None


def answer_in_json(demo: gr.Blocks) -> None:
    """Have the tools of a running page answer in JSON; Gradio would write what Python prints (None, True)."""
    server: Any = demo.mcp_server_obj
    if server is None:
        return

    def contents(answers: list[Any], root_url: str) -> list[Any]:
        return [server.types.TextContent(type="text", text=json.dumps(answer)) for answer in answers]

    server.postprocess_output_data = contents
