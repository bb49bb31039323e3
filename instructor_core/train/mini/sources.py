"""Where texts come from and under which terms: ``data/sources.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "data" / "sources.json"

UNKNOWN_SOURCE = "unknown"
"""The source of a corpus line that is found in no set whose source is known."""


@dataclass(frozen=True)
class Source:
    """The terms of texts, and whether they let a model that is trained on them be passed on."""

    name: str
    terms: str
    is_open: bool
    origin: str


@dataclass(frozen=True)
class TaskSource:
    """One task of the MEDI file: the source of its texts, and what they are trained for.

    Pairs have no axis. A recovered class gets its name by the `cues`.
    """

    task: str
    source: str
    axis: str
    n_classes: int
    weight: float
    text_types: tuple[str, ...]
    cues: Mapping[str, Sequence[str]]


@lru_cache(maxsize=1)
def _listed() -> dict[str, Any]:
    listed: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return listed


def read_sources() -> Mapping[str, Source]:
    """Return all sources by their name."""
    return {
        name: Source(name, entry["terms"], entry["open"], entry.get("origin", ""))
        for name, entry in _listed()["licences"].items()
    }


def read_tasks() -> Mapping[str, TaskSource]:
    """Return what is known about each task of the MEDI file, by its name; one that is not listed is not trained on."""
    return {
        entry["task"]: TaskSource(
            task=entry["task"],
            source=entry["licence"],
            axis=entry.get("axis", ""),
            n_classes=entry.get("n_classes", 0),
            weight=entry["weight"],
            text_types=tuple(entry["text_types"]),
            cues=entry.get("cues", {}),
        )
        for entry in _listed()["tasks"]
    }
