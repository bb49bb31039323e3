"""The page as a server, with `/health` for whoever watches over it: whether the app is up and how busy it is."""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, version

import gradio as gr
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from instructor_core.errors import UserError
from instructor_core.ui.components import early_head, script_routes
from instructor_core.ui.gate import Gate
from instructor_core.ui.gradio_patches import MAX_SESSIONS, answer_in_json, mcp_is_installed, prepare
from instructor_core.ui.runtime import Runtime, warm_up
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
            head=early_head() + page_head(),
            app_kwargs={"routes": [*script_routes(), health_route(runtime)], "middleware": [Middleware(Gate)]},
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
