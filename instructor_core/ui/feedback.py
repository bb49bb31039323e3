"""One place that turns an error into what a visitor sees, and text into safe HTML."""

from __future__ import annotations

import inspect
import logging
import re
import secrets
from collections.abc import Callable, Sequence
from functools import wraps
from html import escape
from typing import Any

from instructor_core.analysis.grid import letter
from instructor_core.errors import UserError

logger = logging.getLogger(__name__)


def note(*sentences: str, error: bool = False) -> str:
    """Return sentences as one HTML paragraph, escaped; an error is announced to screen readers at once."""
    words = " ".join(sentence for sentence in sentences if sentence)
    kind, role = ("ic-note ic-error", "alert") if error else ("ic-note", "note")
    return f'<p class="{kind}" role="{role}">{escape(words)}</p>' if words else ""


def status(words: str, *, error: bool = False, run: str = "") -> str:
    """Return the status line under the inputs as HTML, escaped.

    The page reads from ``run`` how far a run is: "busy", "same" as before, or it "waits" for the visitor.
    """
    kind, role = ("error", "alert") if error else (run, "status")
    return f'<p class="ic-status{f" ic-{kind}" if kind else ""}" role="{role}">{escape(words)}</p>'


def chip(k: int) -> str:
    """Return the letter of an instruction on its colour, as HTML."""
    style = f"background:var(--ic-accent-{k});color:var(--ic-accent-{k}-ink)"
    return f'<span class="ic-chip" style="{style}">{letter(k)}</span>'


def sentence_list(sentences: Sequence[str]) -> str:
    """Return findings as HTML, escaped: the first stands out, the others follow as a list; `x` is code."""
    first, *rest = sentences
    items = "".join(f"<li>{_mark(sentence)}</li>" for sentence in rest)
    return f'<div class="ic-findings"><p>{_mark(first)}</p><ul>{items}</ul></div>'


def _mark(sentence: str) -> str:
    """Return a sentence as HTML, escaped, with what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(sentence))


def message_for(error: Exception) -> str:
    """Return what to tell a visitor about an error: its own words if they are meant for users, else an incident number.

    A bug is logged with its traceback under that number.
    """
    from instructor_core.encoder import EncoderError

    if isinstance(error, UserError | EncoderError):
        return str(error)
    return f"Something went wrong here (incident {incident(error)}). Your inputs are unchanged; please try again."


def incident(error: Exception) -> str:
    """Log an error with its traceback under a number, and return the number."""
    number = secrets.token_hex(3)
    logger.error("incident %s", number, exc_info=error)
    return number


def boundary(tell: Callable[[str], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator for a handler, generator or not: what goes wrong in it becomes ``tell(message)``."""

    def decorate(handler: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(handler)
        def answer(*values: Any, **named: Any) -> Any:
            try:
                return handler(*values, **named)
            except Exception as error:
                return tell(message_for(error))

        @wraps(handler)
        def report(*values: Any) -> Any:
            try:
                yield from handler(*values)
            except Exception as error:
                yield tell(message_for(error))

        return report if inspect.isgeneratorfunction(handler) else answer

    return decorate
