"""The page as a server, with `/health` for whoever watches over it: whether the app is up and how busy it is."""

from __future__ import annotations

import asyncio
import time
from importlib.metadata import PackageNotFoundError, version

import brotli  # type: ignore[import-untyped]  # Gradio needs it
import gradio as gr
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from instructor_core.errors import UserError
from instructor_core.ui.components import SCRIPTS, early_head, script_routes
from instructor_core.ui.gradio_patches import MAX_SESSIONS, answer_in_json, mcp_is_installed, prepare, put_in_page
from instructor_core.ui.server.gate import Gate
from instructor_core.ui.server.runtime import Runtime, warm_up
from instructor_core.ui.theme import page_head, page_theme

MAX_EVENTS = 1000  # that wait for a handler; the model has a queue of its own
SOURCE = "source"  # the version of an app that runs from its repository


def launch(demo: gr.Blocks, runtime: Runtime, *, host: str | None = None, port: int | None = None) -> None:
    """Serve the page, the endpoints, MCP (where the `mcp` package is) and `/health` until interrupted."""
    prepare(demo)
    warm_up()
    demo.queue(default_concurrency_limit=8, max_size=MAX_EVENTS)
    try:
        demo.launch(
            server_name=host,
            server_port=port,
            theme=page_theme(),
            head=put_in_page(early_head(), demo) + page_head(),
            app_kwargs={
                "routes": [*script_routes(), health_route(runtime)],
                "middleware": [Middleware(Shelf), Middleware(Gate)],
            },
            mcp_server=mcp_is_installed(),
            prevent_thread_lock=True,
            max_threads=runtime.queue.max_requests + 40,  # who waits for the model holds a thread
            state_session_capacity=MAX_SESSIONS,
            show_error=False,
            ssr_mode=False,
            run_history=False,
            enable_monitoring=False,
            pwa=False,
            max_file_size="5mb",
            footer_links=["api", "settings"],
        )
    except OSError as error:
        where = f"{host or '127.0.0.1'}, {'any port from 7860 to 7959' if port is None else f'port {port}'}"
        raise UserError(
            f"The app cannot listen on {where}: it is in use, or no address of this machine. "
            "Choose another with --host and --port."
        ) from error
    answer_in_json(demo)
    demo.block_thread()


class Shelf:
    """ASGI middleware: scripts and styles that never change are compressed once, and answered from memory.

    Gradio compresses each anew for each visitor, Plotly's 4.8 MB among them: half of what a visit costs the server.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.kept: dict[str, list[Message]] = {}  # by path: names of Gradio's files change with what is in them

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is no such file, or is asked for in part, conditionally, or as it is."""
        if not self._may_answer(scope):
            await self.app(scope, receive, send)
            return
        messages = self.kept.get(scope["path"]) or await self._fetch(scope, receive)
        for message in messages:  # whoever passes it on may add to its headers
            await send({**message, "headers": [*message["headers"]]} if "headers" in message else {**message})

    def _may_answer(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] != "GET":
            return False
        headers, path = Headers(scope=scope), scope["path"]
        fixed = path.removeprefix("/") in SCRIPTS or (path.startswith("/assets/") and path.endswith((".js", ".css")))
        return fixed and "br" in headers.get("accept-encoding", "") and not {"range", "if-none-match"} & {*headers}

    async def _fetch(self, scope: Scope, receive: Receive) -> list[Message]:
        """Return an answer, compressed and kept if there is one."""
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self.app(scope, receive, keep)
        start, *parts = answer
        if start["status"] != 200:
            return answer
        body = await asyncio.to_thread(brotli.compress, b"".join(part["body"] for part in parts), quality=5)
        headers = MutableHeaders(raw=start["headers"])
        headers["content-encoding"], headers["content-length"] = "br", str(len(body))
        headers.add_vary_header("Accept-Encoding")
        start = {**start, "headers": headers.raw}
        self.kept[scope["path"]] = [start, {"type": "http.response.body", "body": body}]
        return self.kept[scope["path"]]


def health_route(runtime: Runtime) -> Route:
    """Return the route, for `launch(app_kwargs={"routes": ...})`; its answer names no path and no visitor.

    The answer: status "ok", version of the package, checkpoint that is open at the start and those in memory,
    requests in the queue and how many it takes, bytes in the caches, seconds since the start.
    """
    started = time.monotonic()

    def answer(_: Request) -> JSONResponse:
        loaded = [checkpoint.id for checkpoint in runtime.checkpoints if runtime.is_loaded(checkpoint.id)]
        return JSONResponse(
            {
                "status": "ok",
                "version": _version(),
                "checkpoint": runtime.checkpoints[0].id,
                "loaded": loaded,
                "queue": runtime.queue.n_requests,
                "queue_size": runtime.queue.max_requests,
                "cache_bytes": runtime.n_bytes,
                "uptime_s": round(time.monotonic() - started, 1),
            },
            headers={"Cache-Control": "no-store"},
        )

    return Route("/health", answer)


def _version() -> str:
    try:
        return version("instructor-core")
    except PackageNotFoundError:
        return SOURCE
