"""What the mixture draws from: the corpus with its teacher embeddings and topics, and every supervised task."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instructor_core.errors import UserError
from instructor_core.train.mini.material import HELD_OUT_AXES
from instructor_core.train.mini.old_medi import read_medi
from instructor_core.train.mini.rules import label_by_rule
from instructor_core.train.mini.sentences import FRAMES, KINDS, Labelled, frame, generate
from instructor_core.train.mini.tasks import (
    LabelledTask,
    PairTask,
    TripletTask,
    corpus_tasks,
    label_tasks,
)
from instructor_core.train.mini.teacher import read_embeddings, read_texts
from instructor_core.train.mini.topics import Topics, find_topics

_HAND_WRITTEN = Path(__file__).parent / "data" / "sentences.jsonl"
_REQUEST_START = re.compile(
    r"(i|i'd|i'm|i've|my|can|could|would|will|do|does|did|is|are|how|what|when|where|which|who|why|please|tell|show|give"
    r"|find|help|book|cancel|set|remind|change|check|get|make|call|send)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, eq=False)
class Material:
    """What batches are drawn from: N corpus texts, their (N, D) float16 unit embeddings and topics, and tasks."""

    texts: Sequence[str]
    embeddings: NDArray[np.float16]
    topics: Topics
    labelled: Sequence[LabelledTask]
    triplets: Sequence[TripletTask]
    pairs: Sequence[PairTask]

    @cached_property
    def lengths(self) -> NDArray[np.int32]:
        """``(N,)`` int32 characters of each corpus text."""
        return np.fromiter((len(text) for text in self.texts), dtype=np.int32, count=len(self.texts))

    @cached_property
    def by_length(self) -> NDArray[np.int64]:
        """Corpus lines, shortest text first."""
        return np.argsort(self.lengths, kind="stable")

    @cached_property
    def by_topic(self) -> tuple[NDArray[np.int64], ...]:
        """Corpus lines of each coarse topic."""
        order = np.argsort(self.topics.coarse, kind="stable")
        counts = np.bincount(self.topics.coarse)
        return tuple(part for part in np.split(order, np.cumsum(counts)[:-1]) if len(part) > 1)

    @cached_property
    def requests(self) -> NDArray[np.int64]:
        """Corpus lines that read like something said to a service: short questions, wishes and orders."""
        found = [
            row
            for row, text in enumerate(self.texts)
            if 15 < len(text) < 160 and (text.endswith("?") or _REQUEST_START.match(text))
        ]
        return np.asarray(found, dtype=np.int64)


def read_labelled(path: Path) -> list[Labelled]:
    """Read labelled texts, one JSON object with ``text`` and ``labels`` (axis -> label) a line."""
    entries = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            labels = {axis: label.replace("_", " ") for axis, label in record["labels"].items()}
            entries.append(Labelled(text=str(record["text"]), labels=labels))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f'{path.name}, line {number}: expected {{"text", "labels"}}, got {line[:60]!r}.') from error
    return entries


def load_material(folder: Path, *, only_open: bool, seed: int, n_generated: int = 12_000) -> Material:
    """Read the sources and build all tasks; the same folder and seed give the same material.

    With `only_open` tasks are left out whose licence does not let a trained model be passed on. The corpus is one file
    of texts without their sources: it is used as it is, and choosing it is up to whoever makes it.
    """
    texts = read_texts(folder / "corpus.txt")
    embeddings = read_embeddings(folder / "corpus.txt", len(texts))
    topics = find_topics(embeddings, seed=seed)
    corpus = corpus_tasks(
        texts, topics.fine, topics.coarse, topics.confidence, label_by_rule, n_texts=min(len(texts), 200_000), seed=seed
    )
    labelled: list[LabelledTask] = []
    triplets: list[TripletTask] = []
    pairs: list[PairTask] = []
    medi = folder / "train.jsonl.gz"
    if medi.is_file():
        row_of = {text: row for row, text in enumerate(texts)}
        labelled, triplets, pairs = read_medi(medi, only_open=only_open, row_of=row_of, coarse_topics=topics.coarse)
    own = [*sentence_tasks(n_generated, seed), *frame_tasks(texts, topics, n_generated, seed)]
    tasks = [*own, *corpus, *labelled]
    tasks += joint_tasks(tasks)
    return Material(texts, embeddings, topics, tasks, triplets, pairs)


def sentence_tasks(n_generated: int, seed: int) -> list[LabelledTask]:
    """Make the tasks of generated and of hand-written sentences; the latter are fewer, truer, and weigh more."""
    tasks = []
    topics: set[str] = set()
    for number, (kind, axes) in enumerate(KINDS.items()):
        if not HELD_OUT_AXES.isdisjoint(axes) and len(set(axes) - HELD_OUT_AXES) < 2:
            continue  # a kind made for an axis that is held out
        entries = generate(kind, n_generated, seed + number)
        topics.update(entry.labels["topic"] for entry in entries)
        tasks += label_tasks(kind, [entry.text for entry in entries], [entry.labels for entry in entries])
    # Topics that the generator keeps for evaluation stay out of the written sentences, too.
    written = [entry for entry in read_labelled(_HAND_WRITTEN) if entry.labels.get("topic") in topics]
    tasks += label_tasks("written", [entry.text for entry in written], [entry.labels for entry in written], weight=3.0)
    return tasks


def frame_tasks(texts: Sequence[str], topics: Topics, n_texts: int, seed: int) -> list[LabelledTask]:
    """Join real snippets with clauses that carry a label; the snippet's topic crosses it and is a label itself."""
    rng = random.Random(seed)
    clear = np.flatnonzero(topics.confidence >= np.median(topics.confidence))
    snippets = [row for row in clear.tolist() if 15 < len(texts[row]) < 90]
    tasks = []
    for kind, axis in FRAMES.items():
        if axis in HELD_OUT_AXES or not snippets:
            continue
        rows = rng.sample(snippets, min(n_texts, len(snippets)))
        framed = [frame(kind, texts[row], rng) for row in rows]
        joined = [entry.text for entry in framed]
        coarse = [
            {**entry.labels, "coarse topic": str(topics.coarse[row])} for row, entry in zip(rows, framed, strict=True)
        ]
        fine = [{**entry.labels, "topic": str(topics.fine[row])} for row, entry in zip(rows, framed, strict=True)]
        tasks += label_tasks(f"framed {kind}", joined, coarse, axes=[axis])
        tasks += label_tasks(f"framed {kind}", joined, fine, axes=["topic"], named=False, min_texts=4, weight=0.3)
    return tasks


def joint_tasks(tasks: Sequence[LabelledTask], *, per_class: int = 2000, weight: float = 6.0) -> list[LabelledTask]:
    """Join all named tasks of an axis into one, crossed by where its texts come from.

    A class then holds generated, written and real texts at once: what they share is the label, not the style.
    """
    joint = []
    for axis in sorted({task.axis for task in tasks}):
        parts = [task for task in tasks if task.axis == axis and task.classes]
        shared = Counter(name for task in parts for name in set(task.classes))
        texts: list[str] = []
        labels: list[Mapping[str, str]] = []
        rows: list[int] = []
        taken: Counter[tuple[str, str]] = Counter()
        for task in parts:
            for text, label, row in zip(task.texts, task.labels, task.rows, strict=True):
                name = task.classes[label]
                if shared[name] >= 2 and taken[task.name, name] < per_class:
                    taken[task.name, name] += 1
                    texts.append(text)
                    labels.append({axis: name, "origin": task.name})
                    rows.append(int(row))
        if len({name for _, name in taken}) >= 2 and len({origin for origin, _ in taken}) >= 2:
            lines = np.asarray(rows, dtype=np.int64)
            joint += label_tasks("joint", texts, labels, axes=[axis], rows=lines, weight=weight)
    return joint


def trained_axes(material: Material) -> frozenset[str]:
    """Return the axes that some task trains."""
    return frozenset([task.axis for task in material.labelled] + [task.axis for task in material.triplets])
