"""The gate in front of every route: what is too large or makes no sense is refused in words, broken text is mended.

Gradio's own routes answer malformed requests with 500 and a traceback in the log, and break off an answer that repeats
half a surrogate pair. Errors of this app's handlers never get here: they become messages before (`ui.feedback`).
"""

from __future__ import annotations

import logging
import re

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 16_000_000
# Every escape of JSON from left to right: a surrogate pair, half of one (group 1), or any other.
_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


class Gate:
    """ASGI middleware: 413 for a body beyond the limit, 400 where a route fails over what it was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and answer in place of what could not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answered = False

        async def watched(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        body = _Body(receive, is_json=_header(scope, b"content-type").startswith(b"application/json"))
        if "/file=http" in scope["path"]:  # Gradio would send the browser on to any address
            await JSONResponse({"detail": "There is no such file."}, 404)(scope, receive, send)
            return
        announced = _header(scope, b"content-length")
        try:
            if announced.isdigit() and int(announced[:12]) > MAX_REQUEST_BYTES:
                raise _TooLargeError
            await self.app(scope, body.receive, watched)
        except Exception as error:  # whatever a route raises over what it was sent
            logger.warning("refused %s %r: %s %.200r", scope["method"], scope["path"], type(error).__name__, str(error))
            if answered:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await _refusal(too_large=body.too_large or isinstance(error, _TooLargeError))(scope, receive, send)


class _TooLargeError(Exception):
    """A request has more bytes than allowed."""


class _Body:
    """Hands a body on, counted; one of JSON whole and without half surrogate pairs."""

    def __init__(self, receive: Receive, *, is_json: bool) -> None:
        self._receive = receive
        self._is_json = is_json
        self._n_bytes = 0

    @property
    def too_large(self) -> bool:
        return self._n_bytes > MAX_REQUEST_BYTES

    async def receive(self) -> Message:
        message = await self._next()
        if not self._is_json or message["type"] != "http.request":
            return message
        self._is_json = False  # what comes after the body is passed on
        parts = [message.get("body", b"")]
        while message.get("more_body"):
            message = await self._next()
            if message["type"] != "http.request":
                return message
            parts.append(message.get("body", b""))
        return {"type": "http.request", "body": mend(b"".join(parts)), "more_body": False}

    async def _next(self) -> Message:
        message = await self._receive()
        self._n_bytes += len(message.get("body", b""))
        if self.too_large:
            raise _TooLargeError
        return message


def mend(body: bytes) -> bytes:
    """Return JSON with half surrogate pairs replaced by U+FFFD: no text has them, and none can be sent back."""
    return _ESCAPES.sub(lambda found: rb"\ufffd" if found[1] else found[0], body) if rb"\u" in body else body


def _header(scope: Scope, name: bytes) -> bytes:
    found: bytes = dict(scope["headers"]).get(name, b"")
    return found


def _refusal(*, too_large: bool) -> JSONResponse:
    if too_large:
        limit = f"{MAX_REQUEST_BYTES / 1e6:.0f} MB"
        return JSONResponse({"detail": f"A request may have {limit}. Send fewer texts at a time."}, 413)
    return JSONResponse({"detail": "This request could not be understood. The API page lists what is taken."}, 400)
