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


@dataclass(frozen=True)
class PublicSet:
    """A published labelled set: its files in SOURCES/public, and where their publisher keeps them."""

    name: str
    source: str
    origin: str
    files: tuple[str, ...]
    paths: tuple[str, ...]
    weight: float
    axis_weights: Mapping[str, float]
    text_types: tuple[str, ...]


@lru_cache(maxsize=1)
def _list() -> dict[str, Any]:
    listed: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return listed


def read_sources() -> Mapping[str, Source]:
    """Return all sources by their name."""
    return {
        name: Source(name, entry["terms"], entry["open"], entry.get("origin", ""))
        for name, entry in _list()["licences"].items()
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
        for entry in _list()["tasks"]
    }


def read_public_sets() -> list[PublicSet]:
    """Return what is known about each published set."""
    sources = read_sources()
    return [
        PublicSet(
            name=entry["name"],
            source=entry["source"],
            origin=sources[entry["source"]].origin,
            files=tuple(entry["files"]),
            paths=tuple(entry["paths"]),
            weight=entry["weight"],
            axis_weights=entry.get("axis_weights", {}),
            text_types=tuple(entry["text_types"]),
        )
        for entry in _list()["public"]
    ]


def licences() -> str:
    """Return a table of all sources: their terms, whether they are open, where they are from, what is made of them."""
    made: dict[str, list[str]] = {}
    for one in read_public_sets():
        files = (f"{path} as public/{name}" for path, name in zip(one.paths, one.files, strict=True))
        made.setdefault(one.source, []).append(f"{one.name} ({', '.join(files)})")
    for task in read_tasks().values():
        made.setdefault(task.source, []).append(task.task)
    lines = []
    for source in read_sources().values():
        lines.append(f"{source.name:18} {'open' if source.is_open else '-':5} {source.terms}")
        if source.origin:
            lines.append(f"{'':24} {source.origin}")
        lines += [f"{'':24} {name}" for name in made.get(source.name, [])]
    return "\n".join(lines)
