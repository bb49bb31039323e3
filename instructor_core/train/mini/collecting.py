"""Texts and sets while they are being collected: a text has one line, and a line has one source."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from instructor_core.train.mini.material import (
    HELD_OUT_AXES,
    HELD_OUT_SLOTS,
    LabelledSet,
    Material,
    PairSet,
    TripletSet,
)
from instructor_core.train.mini.medi import Record
from instructor_core.train.mini.sentences import Labelled
from instructor_core.train.mini.sources import UNKNOWN_SOURCE, TaskSource, read_sources

_NEITHER = re.compile(r"[\W_]+")
_MIN_TEXTS = 4  # of a class


class Collection:
    """Grows texts and sets: a text that is there already gets no second row, and one that is kept apart gets none."""

    def __init__(self, corpus: Iterable[str], named: Mapping[str, str], apart: set[str]) -> None:
        self._open = {name for name, source in read_sources().items() if source.is_open}
        self._apart = apart
        self._named = named
        self.texts: list[str] = []
        self.sources: list[str] = []
        self._row_of: dict[str, int] = {}
        self._labelled: list[LabelledSet] = []
        self._triplets: list[TripletSet] = []
        self._pairs: list[PairSet] = []
        for text in corpus:
            self.row(text, UNKNOWN_SOURCE)
        self.n_corpus = len(self.texts)

    def row(self, text: str, source: str) -> int:
        """Return the line of a text, a new one if need be, or -1 for a text that must not be trained on."""
        text = " ".join(text.split())  # a text is one line of a file
        found = self._row_of.get(text)
        if found is not None:
            if source in self._open and self.sources[found] not in self._open:
                self.sources[found] = source
            return found
        key = letters(text)
        if len(text) < 2 or key in self._apart:
            return -1
        if source not in self._open:
            source = self._named.get(key, UNKNOWN_SOURCE if source == "mixed" else source)
        self._row_of[text] = len(self.texts)
        self.texts.append(text)
        self.sources.append(source)
        return len(self.texts) - 1

    def add(
        self,
        name: str,
        entries: Sequence[Labelled],
        text_types: Sequence[str],
        source: str,
        weight: float = 1.0,
        *,
        lines: Sequence[int] | None = None,
        twins: Sequence[int] | None = None,
        axis_weights: Mapping[str, float] | None = None,
        class_names: bool = True,
    ) -> None:
        """Add a labelled set; the texts made from `lines` of the corpus have their sources and their topics."""
        rows = np.asarray(
            [
                self.row(entry.text, source if lines is None else self.sources[lines[i]])
                for i, entry in enumerate(entries)
            ],
            dtype=np.int64,
        )
        kept = rows >= 0
        if twins is not None:
            whole = np.bincount(np.asarray(twins)[kept], minlength=max(twins, default=0) + 1) == 2
            kept &= whole[np.asarray(twins, dtype=np.int64)]
        positions = np.flatnonzero(kept).tolist()
        columns, classes = {}, {}
        axes = {axis for i in positions for axis in entries[i].labels} - HELD_OUT_AXES - HELD_OUT_SLOTS
        for axis in sorted(axes):
            values = [entries[i].labels.get(axis) for i in positions]
            counts = Counter(value for value in values if value is not None)
            names = sorted(value for value, count in counts.items() if count >= _MIN_TEXTS)
            if len(names) >= 2:
                numbers = {value: number for number, value in enumerate(names)}
                columns[axis] = np.asarray([numbers.get(value or "", -1) for value in values], dtype=np.int32)
                classes[axis] = tuple(names) if class_names else ()
        if columns:
            made = LabelledSet(
                name=name,
                rows=rows[kept],
                columns=columns,
                classes=classes,
                text_types=tuple(text_types),
                weight=weight,
                axis_weights=axis_weights or {},
                topic_rows=rows[kept] if lines is None else np.asarray(lines, dtype=np.int64)[kept],
                twins=None if twins is None else np.asarray(twins, dtype=np.int32)[kept],
                source=source,
            )
            self._labelled.append(made)

    def add_triplets(self, task: TaskSource, columns: Sequence[Sequence[str]]) -> None:
        """Add the texts of a task, those like them, and those unlike them."""
        rows = np.asarray([[self.row(text, task.source) for text in column] for column in columns], dtype=np.int64)
        rows = rows[:, (rows >= 0).all(axis=0)]
        self._triplets.append(
            TripletSet(task.task, task.axis, rows, task.n_classes, task.text_types, task.weight, task.source)
        )

    def add_pairs(self, task: TaskSource, records: Sequence[Record]) -> None:
        """Add texts that belong together, with the instructions that the file gives them."""
        rows = np.asarray([[self.row(r[side][1], task.source) for r in records] for side in (0, 1)], dtype=np.int64)
        kept = (rows >= 0).all(axis=0)
        instructions = [(records[i][0][0], records[i][1][0]) for i in np.flatnonzero(kept).tolist()]
        symmetric = all(left == right for left, right in instructions)
        self._pairs.append(PairSet(task.task, rows[:, kept], instructions, symmetric, task.weight, task.source))

    def material(self) -> Material:
        """Return all that has been added."""
        names = tuple(sorted(set(self.sources)))
        numbers = {name: number for number, name in enumerate(names)}
        return Material(
            texts=self.texts,
            n_corpus=self.n_corpus,
            sources=np.asarray([numbers[name] for name in self.sources], dtype=np.int16),
            source_names=names,
            labelled=self._labelled,
            triplets=self._triplets,
            pairs=self._pairs,
            lines=np.arange(len(self.texts)),
        )


def letters(text: str) -> str:
    """Letters and digits alone: what hides no copy."""
    return _NEITHER.sub("", text.lower())
