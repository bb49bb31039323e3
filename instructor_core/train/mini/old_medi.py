"""Tasks in the MEDI format: one JSON record a line with ``query``, ``pos``, ``neg`` and ``task_name``.

The records say which texts share a label and which do not, but not the labels. Where the classes are few, the labels
can be worked out: texts joined by positives are of one class, groups set apart by negatives are not, and a group set
apart from all classes but one belongs to that one. What cannot be worked out stays a triplet.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instructor_core.errors import UserError
from instructor_core.train.mini.material import HELD_OUT_AXES
from instructor_core.train.mini.tasks import LabelledTask, PairTask, TripletTask

_SOURCES = Path(__file__).parent / "data" / "sources.json"
_MAX_RECOVERED = 10  # classes; with more, few groups are set apart from all the others
_MIN_RECOVERED = 400  # texts with a label, below which the triplets say more
_TOPICAL = frozenset({"topic", "domain", "event", "product", "entity", "relation", "genre", "intent"})
"""Axes that the topic of a text nearly decides: texts of few topics would be texts of few classes."""

Triplet = tuple[str, str, str]


@dataclass(frozen=True)
class TaskSource:
    """What the recipe knows about one task of the file: the terms of its texts, and what they are trained for.

    Pairs have no axis. A recovered class gets its name by the `cues`.
    """

    task: str
    terms: str
    open_licence: bool
    axis: str
    n_classes: int
    weight: float
    text_types: tuple[str, ...]
    cues: Mapping[str, Sequence[str]]


def read_sources() -> dict[str, TaskSource]:
    """Return what is known about each task, by its name; a task that is not listed is not trained on."""
    listed: dict[str, Any] = json.loads(_SOURCES.read_text(encoding="utf-8"))
    sources = {}
    for entry in listed["tasks"]:
        licence = listed["licences"][entry["licence"]]
        sources[entry["task"]] = TaskSource(
            task=entry["task"],
            terms=licence["terms"],
            open_licence=licence["open"],
            axis=entry.get("axis", ""),
            n_classes=entry.get("n_classes", 0),
            weight=entry["weight"],
            text_types=tuple(entry["text_types"]),
            cues=entry.get("cues", {}),
        )
    return sources


def read_medi(
    path: Path,
    *,
    only_open: bool,
    row_of: Mapping[str, int],
    coarse_topics: NDArray[np.int32],
) -> tuple[list[LabelledTask], list[TripletTask], list[PairTask]]:
    """Read the tasks of a ``.jsonl.gz`` file, without the held-out axes.

    `row_of` gives the corpus line of a text, for those that the corpus holds; `coarse_topics` (N,) is the cluster of
    each line, which crosses the axes that are not about content.
    """
    sources = {name: source for name, source in read_sources().items() if source.open_licence or not only_open}
    records: dict[str, list[tuple[tuple[str, str], ...]]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                source = sources.get(record["task_name"])
                if source is not None and source.axis not in HELD_OUT_AXES:
                    roles = ("query", "pos", "neg") if source.axis else ("query", "pos")
                    records[source.task].append(tuple((record[role][0], record[role][1]) for role in roles))
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise UserError(
                    f"{path.name}, line {number}: expected a JSON record with task_name and [instruction, text] under "
                    f"query, pos and neg, got {line[:60]!r}. Correct the line."
                ) from error
    labelled: list[LabelledTask] = []
    triplets: list[TripletTask] = []
    pairs: list[PairTask] = []
    for name, rows in records.items():
        source = sources[name]
        if not source.axis:
            left, right = [row[0] for row in rows], [row[1] for row in rows]
            symmetric = all(a[0] == b[0] for a, b in zip(left, right, strict=True))
            pairs.append(PairTask(name, left, right, symmetric, source.weight))
            continue
        made = _supervised(source, [(row[0][1], row[1][1], row[2][1]) for row in rows], row_of, coarse_topics)
        if isinstance(made, LabelledTask):
            labelled.append(made)
        else:
            triplets.append(made)
    return labelled, triplets, pairs


def _supervised(
    source: TaskSource, triplets: Sequence[Triplet], row_of: Mapping[str, int], coarse_topics: NDArray[np.int32]
) -> LabelledTask | TripletTask:
    def rows(texts: Sequence[str]) -> NDArray[np.int64]:
        return np.asarray([row_of.get(text, -1) for text in texts], dtype=np.int64)

    if 2 <= source.n_classes <= _MAX_RECOVERED:
        label_of = recover_labels(triplets, source.n_classes)
        if len(label_of) >= _MIN_RECOVERED:
            texts = list(label_of)
            lines = rows(texts)
            known = (lines >= 0) & (source.axis not in _TOPICAL)
            crossing = np.where(known, coarse_topics[np.maximum(lines, 0)], -1).astype(np.int32)
            return LabelledTask(
                name=source.task,
                axis=source.axis,
                texts=texts,
                labels=np.asarray([label_of[text] for text in texts], dtype=np.int32),
                classes=name_classes(label_of, source.n_classes, source.cues),
                crossings=(crossing,) if len(np.unique(crossing[crossing >= 0])) >= 2 else (),
                text_types=source.text_types,
                weight=source.weight,
                rows=lines,
            )
    columns = [list(column) for column in zip(*triplets, strict=True)]
    return TripletTask(
        name=source.task,
        axis=source.axis,
        texts=columns[0],
        positives=columns[1],
        negatives=columns[2],
        n_classes=source.n_classes,
        text_types=source.text_types,
        weight=source.weight,
        rows=np.stack([rows(column) for column in columns]),
    )


def recover_labels(triplets: Sequence[Triplet], n_classes: int) -> dict[str, int]:
    """Work out the labels of the texts of triplets (text, one of its class, one of another), as far as they follow.

    The result is empty if no ``n_classes`` groups are all set apart from each other.
    """
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        parent.setdefault(text, text)
        while parent[text] != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    for text, positive, _ in triplets:
        parent[root(text)] = root(positive)
    apart: dict[str, set[str]] = defaultdict(set)
    for text, _, negative in triplets:
        one, other = root(text), root(negative)
        apart[one].add(other)
        apart[other].add(one)
    sizes = Counter(root(text) for text in list(parent))
    placed: dict[str, int] = {}
    for group, _ in sizes.most_common():
        if len(placed) < n_classes and all(other in apart[group] for other in placed):
            placed[group] = len(placed)
    if len(placed) < n_classes:
        return {}
    waiting = [group for group in sizes if group not in placed]
    while True:  # every group placed may decide others
        decided = {}
        for group in waiting:
            excluded = {placed[other] for other in apart[group] if other in placed}
            if len(excluded) == n_classes - 1:
                decided[group] = (set(range(n_classes)) - excluded).pop()
        if not decided:
            break
        placed.update(decided)
        waiting = [group for group in waiting if group not in decided]
    return {text: placed[root(text)] for text in list(parent) if root(text) in placed}


def name_classes(label_of: Mapping[str, int], n_classes: int, cues: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Name each class by the cue words that are commoner in its texts than in the others; () if that is not clear."""
    if len(cues) != n_classes:
        return ()
    counts = np.zeros((len(cues), n_classes))
    for text, label in label_of.items():
        words = set(text.lower().split())
        counts[:, label] += [bool(words.intersection(cue)) for cue in cues.values()]
    shares = counts / np.maximum(counts.sum(axis=0), 1)  # (cues, classes)
    best = shares.argmax(axis=1)
    if len(set(best.tolist())) < n_classes:
        return ()
    names = dict(zip(best.tolist(), cues, strict=True))
    return tuple(names[label] for label in range(n_classes))
