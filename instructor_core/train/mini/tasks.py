"""Supervised tasks: texts whose relation under an axis is known, in three shapes.

``LabelledTask`` has a label for every text, ``TripletTask`` only knows a text to be closer to a second than to a third,
``PairTask`` knows which two texts belong together. An axis is what an instruction asks for ("sentiment", "topic").
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from instructor_core.train.mini.material import HELD_OUT_AXES

CROSSED = 0.75
"""Share of the labelled batches whose texts come from few values of another axis, which becomes the distractor."""

MANY_CLASSES = 40
"""From this many classes on, another text of the batch is nearly always of another class."""


@dataclass(frozen=True, eq=False)
class LabelledTask:
    """Texts with one label each.

    Labels (n,) index into the names of the classes, which are () if they have none that could stand in an instruction.
    Crossings, each (n,), are values of another axis of the same texts, -1 where it is not known. Rows (n,) are the
    lines of the corpus that hold the texts (the teacher's embeddings have these numbers), or -1.
    """

    name: str
    axis: str
    texts: Sequence[str]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]
    crossings: tuple[NDArray[np.int32], ...]
    text_types: tuple[str, ...]
    weight: float
    rows: NDArray[np.int64]

    @cached_property
    def _members(self) -> dict[int, NDArray[np.int64]]:
        groups = {int(label): np.flatnonzero(self.labels == label) for label in np.unique(self.labels)}
        return {label: members for label, members in groups.items() if len(members) >= 2}

    @property
    def n_classes(self) -> int:
        """Number of classes with at least two texts."""
        return len(self._members)

    def sample(self, rng: random.Random, n_texts: int) -> NDArray[np.int64]:
        """Draw positions of about ``n_texts`` distinct texts, as many of each of at most 24 classes.

        In ``CROSSED`` of the draws the texts come from 2 to 16 values of another axis only, so that texts which are
        alike in everything but the label meet in one batch.
        """
        numbers = np.random.default_rng(rng.getrandbits(64))
        classes = list(self._members)
        rng.shuffle(classes)
        classes = classes[: rng.choice((12, 16, 24))]
        size = max(2, n_texts // len(classes))
        kept: NDArray[np.bool_] | None = None
        if self.crossings and rng.random() < CROSSED:
            crossing = rng.choice(self.crossings)
            values = np.unique(crossing[crossing >= 0])
            chosen = numbers.permutation(values)[: rng.choice((2, 4, 8, 16))]
            kept = np.isin(crossing, chosen)
        drawn = []
        for label in classes:
            members = self._members[label]
            if kept is not None and int(kept[members].sum()) >= 2:
                members = members[kept[members]]
            drawn.append(numbers.permutation(members)[:size] if len(members) > size else members)
        return np.concatenate(drawn)


@dataclass(frozen=True, eq=False)
class TripletTask:
    """Triplets of one axis: ``texts[i]`` and ``positives[i]`` have the same label, ``negatives[i]`` another.

    ``rows`` is ``(3, n)`` int64: the corpus lines of texts, positives and negatives, -1 where a text has none.
    """

    name: str
    axis: str
    texts: Sequence[str]
    positives: Sequence[str]
    negatives: Sequence[str]
    n_classes: int
    text_types: tuple[str, ...]
    weight: float
    rows: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PairTask:
    """Texts that belong together, each with its instruction: paraphrases, a term and its definition, a title and more.

    ``symmetric`` says that both sides are of one kind, so that a neutral instruction fits the pair as well.
    """

    name: str
    left: Sequence[tuple[str, str]]
    right: Sequence[tuple[str, str]]
    symmetric: bool
    weight: float


def label_tasks(
    name: str,
    texts: Sequence[str],
    labels: Sequence[Mapping[str, str]],
    *,
    weight: float = 1.0,
    text_types: Sequence[str] = ("sentence", "text"),
    rows: NDArray[np.int64] | None = None,
    named: bool = True,
    axes: Iterable[str] | None = None,
    min_texts: int = 2,
) -> list[LabelledTask]:
    """Make one task per axis from texts that carry labels of several axes; the other axes cross it.

    A text may lack some of the labels. Tasks are made of ``axes``, or of all that occur, but of none that is held out;
    classes with fewer than ``min_texts`` are left out. Rows (n,) are as in ``LabelledTask``; ``named`` says whether the
    labels may stand in an instruction.
    """
    found = Counter(axis for entry in labels for axis in entry)
    codes = {axis: _codes([entry.get(axis) for entry in labels]) for axis in found}
    tasks = []
    for axis in sorted(set(found if axes is None else axes) & set(found) - HELD_OUT_AXES):
        values, classes = codes[axis]
        sizes = np.bincount(values[values >= 0], minlength=len(classes))
        keep = np.flatnonzero((values >= 0) & (sizes[values] >= min_texts))
        if len(np.unique(values[keep])) < 2:
            continue
        others = [codes[other][0][keep] for other in sorted(found) if other != axis and other not in HELD_OUT_AXES]
        tasks.append(
            LabelledTask(
                name=f"{name}:{axis}",
                axis=axis,
                texts=[texts[i] for i in keep.tolist()],
                labels=values[keep],
                classes=classes if named else (),
                crossings=tuple(other for other in others if len(np.unique(other[other >= 0])) >= 2),
                text_types=tuple(text_types),
                weight=weight,
                rows=np.full(len(keep), -1) if rows is None else rows[keep],
            )
        )
    return tasks


def _codes(values: Sequence[str | None]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Number the values, -1 for None, and return the numbers and the names in their order."""
    names = tuple(sorted({value for value in values if value is not None}))
    index = {value: i for i, value in enumerate(names)}
    return np.asarray([-1 if value is None else index[value] for value in values], dtype=np.int32), names


def corpus_tasks(
    corpus: Sequence[str],
    topics: NDArray[np.int32],
    coarse_topics: NDArray[np.int32],
    confidence: NDArray[np.float32],
    label_by_rule: Callable[[str], Mapping[str, str | None]],
    *,
    n_texts: int,
    seed: int,
    max_per_class: int = 8000,
) -> list[LabelledTask]:
    """Label real text twice: its form by rules, its topic by the teacher's clusters; each crosses the other.

    Fine and coarse clusters and confidence are (N,); a rule gives None where it is not sure, and at most
    ``max_per_class`` texts keep its label.
    """
    order = np.random.default_rng(seed).permutation(len(corpus))
    rows = np.asarray([row for row in order.tolist() if 15 < len(corpus[row]) < 240][:n_texts], dtype=np.int64)
    threshold = float(np.median(confidence))  # texts near no centre have no clear topic
    labels: list[dict[str, str]] = []
    taken: Counter[tuple[str, str]] = Counter()
    for row in rows.tolist():
        entry = {"coarse topic": str(coarse_topics[row])}
        if confidence[row] >= threshold:
            entry["topic"] = str(topics[row])
        for axis, label in label_by_rule(corpus[row]).items():
            if label is not None and axis not in HELD_OUT_AXES and taken[axis, label] < max_per_class:
                taken[axis, label] += 1
                entry[axis] = label
        labels.append(entry)
    texts = [corpus[row] for row in rows.tolist()]
    forms = sorted({axis for axis, _ in taken})
    # Neither topic may cross the other, and the fine one is too fine to cross anything.
    crossed = [{axis: label for axis, label in entry.items() if axis != "topic"} for entry in labels]
    fine = [{axis: label for axis, label in entry.items() if axis != "coarse topic"} for entry in labels]
    return [
        *label_tasks("corpus", texts, crossed, rows=rows, axes=forms),
        *label_tasks("corpus", texts, fine, rows=rows, axes=["topic"], named=False, min_texts=8, weight=5.0),
    ]
