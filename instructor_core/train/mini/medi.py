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
from pathlib import Path

import numpy as np

from instructor_core.errors import UserError
from instructor_core.train.mini.material import HELD_OUT_AXES
from instructor_core.train.mini.sources import TaskSource, read_tasks

_MAX_RECOVERED = 10  # classes; with more, few groups are set apart from all the others
_MIN_RECOVERED = 400  # texts with a label, below which the triplets say more

Triplet = tuple[str, str, str]
Record = tuple[tuple[str, str], ...]
"""Two or three pairs of instruction and text: a query, its positive, and for a task with an axis its negative."""


def read_medi(path: Path) -> list[tuple[TaskSource, list[Record]]]:
    """Read the records of a ``.jsonl.gz`` file by their task, without unlisted tasks and held-out axes."""
    tasks = {name: task for name, task in read_tasks().items() if task.axis not in HELD_OUT_AXES}
    records: dict[str, list[Record]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                task = tasks.get(record["task_name"])
                if task is not None:
                    roles = ("query", "pos", "neg") if task.axis else ("query", "pos")
                    records[task.task].append(tuple((record[role][0], record[role][1]) for role in roles))
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise UserError(
                    f"{path.name}, line {number}: expected a JSON record with task_name and [instruction, text] under "
                    f"query, pos and neg, got {line[:60]!r}. Correct the line."
                ) from error
    return [(tasks[name], rows) for name, rows in records.items()]


def find_labels(task: TaskSource, triplets: Sequence[Triplet]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the labels of the texts and the names of the classes, both empty where they do not follow."""
    if not 2 <= task.n_classes <= _MAX_RECOVERED:
        return {}, ()
    label_of = recover_labels(triplets, task.n_classes)
    if len(label_of) < _MIN_RECOVERED:
        return {}, ()
    return label_of, name_classes(label_of, task.n_classes, task.cues)


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
