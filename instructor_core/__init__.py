"""INSTRUCTOR embeddings: exact inference, analysis and an interactive demo.

The names below load their modules on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from instructor_core.encoder import EncoderError, InstructorModel, Segment, TokenEncoding, find_checkpoint
    from instructor_core.families import TemplateModel, open_checkpoint

_HOME = {
    "EncoderError": "encoder",
    "InstructorModel": "encoder",
    "Segment": "encoder",
    "TokenEncoding": "encoder",
    "TemplateModel": "families",
    "find_checkpoint": "encoder",
    "open_checkpoint": "families",
}

__all__ = [
    "EncoderError",
    "InstructorModel",
    "Segment",
    "TemplateModel",
    "TokenEncoding",
    "find_checkpoint",
    "open_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
