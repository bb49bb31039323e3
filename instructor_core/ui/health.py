"""`/health`: whether the app is up and how busy it is, for whoever watches over it."""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, version

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from instructor_core.ui.runtime import Runtime

SOURCE = "source"  # the version of an app that runs from its repository


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
