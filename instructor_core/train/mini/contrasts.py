"""Batches whose texts are told apart by what the instruction asks for: labels, listed nouns, triplets and pairs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from instructor_core.encoder import Pair
from instructor_core.train.batch import Batch
from instructor_core.train.mini.asking import Asking, spread
from instructor_core.train.mini.corpus import Corpus, Rows
from instructor_core.train.mini.drawn import CONTENT_AXES, DrawnSet
from instructor_core.train.mini.material import HELD_OUT_AXES, Material, PairSet, TripletSet
from instructor_core.train.mini.objectives import Objective, floor_of
from instructor_core.train.mini.shares import MixtureSettings, axis_weight
from instructor_core.train.mini.taught import Taught
from instructor_core.train.mini.wordings import TrainingWordings

_MANY_CLASSES = 40  # from here on another text of the batch is nearly always of another class
_NAMED = 24  # so many classes may stand in an instruction
_OTHER_ANCHORS = 48  # classes of other axes that a text could be taken for


@dataclass(frozen=True, eq=False)
class Draw:
    """The two sources of chance of one batch."""

    rng: random.Random
    numbers: np.random.Generator


class Contrasts:
    """Draws from the sets of a material; `by_axis` holds those whose axis has wordings and two classes."""

    def __init__(
        self, material: Material, taught: Taught, corpus: Corpus, wordings: TrainingWordings, settings: MixtureSettings
    ) -> None:
        self._material, self._taught, self._corpus, self._settings = material, taught, corpus, settings
        self._anchor_axes = np.asarray([axis for axis, _ in taught.anchor_names], dtype=str)
        numbers = {name: number for number, name in enumerate(taught.anchor_names)}
        sure = float(np.median(corpus.topics.confidence[: material.n_corpus]))
        sets = [DrawnSet(one, corpus.topics, sure, numbers, corpus.lengths) for one in material.labelled]
        # No text of the corpus was made to mention an animal or a room: nearly always there is nothing to find.
        absent = sorted({axis for one in material.labelled if one.name == "slots" for axis in one.columns})
        self.asking = Asking(wordings, material.texts, [axis for axis in absent if axis in wordings.axes])
        self.by_axis: dict[str, list[DrawnSet]] = {}
        for one in sets:
            for axis in one.columns:
                if axis in wordings.axes and axis not in HELD_OUT_AXES and one.is_drawable(axis):
                    self.by_axis.setdefault(axis, []).append(one)
        self.triplet_sets = [
            three for three in material.triplets if three.axis in wordings.axes and three.rows.shape[1] > 8
        ]
        self._joint = {axis: found for axis, sets in self.by_axis.items() if len(found := _find_named(axis, sets)) >= 2}
        self.crossable = [
            (axis, one, others)
            for axis, sets in self.by_axis.items()
            for one in sets
            if (others := [other for other in one.columns if other != axis and one in self.by_axis.get(other, [])])
        ]
        self._cross_weights = np.cumsum(
            [axis_weight(axis) * one.weight(axis) for axis, one, _ in self.crossable]
        ).tolist()

    def pick(self, rng: random.Random) -> tuple[str, DrawnSet]:
        """Choose an axis by its weight, then a set by its own."""
        axis = choose_weighted(rng, {axis: axis_weight(axis) for axis in self.by_axis})
        sets = self.by_axis[axis]
        return axis, rng.choices(sets, [one.weight(axis) for one in sets])[0]

    def n_texts(self, mean_length: float, instruction_tokens: int) -> int:
        """Return how many texts of a mean length fill a batch, and a third more: what has no room is cut off."""
        return max(8, min(768, int(1.35 * self._settings.tokens / (mean_length / 4 + 2 + instruction_tokens))))

    def join(self, instructions: Sequence[str], rows: Rows) -> list[Pair]:
        """Put texts behind their instructions."""
        texts = self._material.texts
        return [(instruction, texts[row]) for instruction, row in zip(instructions, rows.tolist(), strict=True)]

    def labels(self, draw: Draw) -> Batch:
        """Texts of one axis, as many of each class, under wordings of it."""
        rng = draw.rng
        axis, one = self.pick(rng)
        if axis in self._joint and rng.random() < 0.35:
            return self._join_sets(axis, draw)
        at = one.sample(axis, self.n_texts(one.mean_length, 12), rng, draw.numbers)
        labels = one.columns[axis][at].astype(np.int64)
        types, names = one.set.text_types, _names(one, axis, labels)
        instructions = spread(rng, len(at), partial(self.asking.axis, axis, rng, types, names))
        anchors = one.anchors[axis][labels].astype(np.int64) if axis in one.anchors else None
        return self._contrast(f"labels:{axis}", one.set.rows[at], instructions, labels, draw, [axis], anchors)

    def _join_sets(self, axis: str, draw: Draw) -> Batch:
        """Texts of several sets whose classes have the same names: what a class shares is the label, not the style."""
        rng = draw.rng
        sets = rng.sample(self._joint[axis], min(len(self._joint[axis]), rng.choice((2, 2, 3))))
        size = self.n_texts(float(np.mean([one.mean_length for one in sets])), 12) // len(sets)
        parts = [(one, one.sample(axis, size, rng, draw.numbers)) for one in sets]
        rows = np.concatenate([one.set.rows[at] for one, at in parts])
        labels = np.concatenate([one.anchors[axis][one.columns[axis][at]] for one, at in parts]).astype(np.int64)
        order = draw.numbers.permutation(len(rows))
        rows, labels = rows[order], labels[order]
        names = [self._taught.anchor_names[number][1] for number in np.unique(labels)]
        types = [text_type for one in sets for text_type in one.set.text_types]
        draw_one = partial(self.asking.axis, axis, rng, types, names if len(names) <= _NAMED else ())
        instructions = spread(rng, len(rows), draw_one)
        return self._contrast(f"labels:{axis}", rows, instructions, labels, draw, [axis], labels)

    def cross(self, draw: Draw) -> Batch:
        """The same texts under two or three instructions; most often one text is exactly what the other is not."""
        rng = draw.rng
        first, one, others = rng.choices(self.crossable, cum_weights=self._cross_weights)[0]
        second = choose_weighted(rng, {other: axis_weight(other) for other in others})
        contrast = rng.random() < 0.6
        axes = [first, second]
        if not contrast and len(others) > 1 and rng.random() < 0.4:
            axes.append(rng.choice([other for other in others if other != second]))
        at = one.sample(first, self.n_texts(one.mean_length, 14) // len(axes), rng, draw.numbers, most=16)
        columns = np.stack([one.columns[axis][at] for axis in axes], axis=1).astype(np.int64)  # (n, axes)
        if contrast:
            drawn = spread(rng, len(at), partial(self.asking.draw_both_orders, first, second, rng))
        else:
            names = [_names(one, axis, columns[:, part]) for part, axis in enumerate(axes)]
            by_axis = [
                spread(rng, len(at), partial(self.asking.axis, axis, rng, one.set.text_types, names[part]))
                for part, axis in enumerate(axes)
            ]
            drawn = list(zip(*by_axis, strict=True))
        # Texts stand together under all their instructions; a label of one axis is none of another.
        labels = np.where(columns >= 0, columns + 100_000 * np.arange(len(axes)), -1).reshape(-1)
        anchors = np.stack(
            [
                np.where(columns[:, part] >= 0, one.anchors[axis][columns[:, part]], -1)
                if axis in one.anchors
                else np.full(len(at), -1)
                for part, axis in enumerate(axes)
            ],
            axis=1,
        ).reshape(-1)
        rows = np.repeat(one.set.rows[at], len(axes))
        texts = rows * len(axes) + np.tile(np.arange(len(axes)), len(at))
        instructions = [instruction for several in drawn for instruction in several]
        name = f"{'contrast' if contrast else 'cross'}:{first}"
        return self._contrast(name, rows, instructions, labels, draw, axes, anchors, texts=texts)

    def nouns(self, draw: Draw) -> Batch:
        """Texts near to a few nouns, under instructions that list some of them and say nothing else."""
        rng, nouns, wordings = draw.rng, self._taught.nouns, self.asking.wordings
        chosen: list[int] = []
        count = rng.choice((2, 3, 3, 4, 4, 5, 6, 8))
        for noun in rng.sample(range(len(nouns)), len(nouns)):
            if len(chosen) < count and all(self._corpus.noun_cosines[noun, other] < 0.45 for other in chosen):
                chosen.append(noun)
        size = 1 + self.n_texts(self._corpus.mean_length, 12) // len(chosen)
        parts = [draw.numbers.permutation(self._corpus.noun_rows[noun])[:size] for noun in chosen]
        rows, first = np.unique(np.concatenate(parts), return_index=True)  # a text of two nouns counts for the first
        labels = np.repeat(np.arange(len(parts)), [len(part) for part in parts])[first]
        order = draw.numbers.permutation(len(rows))

        def word() -> str:
            some = rng.sample(chosen, rng.randint(min(2, len(chosen)), len(chosen)))
            return wordings.list_of([nouns[noun] for noun in some], rng)

        instructions = spread(rng, len(rows), word)
        return self._contrast("nouns", rows[order], instructions, labels[order], draw, structure=0.3)

    # ---- triplets and pairs -------------------------------------------------------------------------------------

    def triplets(self, draw: Draw) -> Batch:
        """Texts with one of their own label and one of another, where the labels themselves are not known."""
        rng = draw.rng
        weights = [three.weight * axis_weight(three.axis) for three in self.triplet_sets]
        three = rng.choices(self.triplet_sets, weights)[0]
        rows = three.rows[:, self._choose(three, 12, draw)]  # (3, n)
        instructions = spread(rng, rows.size, partial(self.asking.axis, three.axis, rng, three.text_types))
        name = f"triplets:{three.axis}"
        if three.n_classes >= _MANY_CLASSES:
            texts = rows.T.reshape(-1)
            return self._contrast(name, texts, instructions, _connect(rows), draw, [three.axis])
        # With few classes most of the batch may be of the right one: only a text's own negative counts.
        rows = rows.T.reshape(-1)
        labels = np.tile(np.asarray([0, 0, 1]), len(rows) // 3)
        groups = np.repeat(np.arange(len(rows) // 3), 3)
        return self._contrast(name, rows, instructions, labels, draw, [three.axis], groups=groups)

    def pairs(self, draw: Draw) -> Batch:
        """Paraphrases, questions and answers: under their own instructions, neutral ones or none."""
        rng = draw.rng
        two = rng.choices(self._material.pairs, [two.weight for two in self._material.pairs])[0]
        chosen = self._choose(two, 8, draw)
        rows = two.rows[:, chosen]
        kind = rng.random()
        if two.symmetric and kind < 0.3:
            instructions = spread(rng, rows.size, partial(self.asking.ask_nothing, rng))
        elif kind < 0.6:
            instructions = [""] * rows.size
        else:
            instructions = [instruction for i in chosen.tolist() for instruction in two.instructions[i]]
        return self._contrast("pairs", rows.T.reshape(-1), instructions, _connect(rows), draw, structure=0.5)

    def _choose(self, one: TripletSet | PairSet, instruction_tokens: int, draw: Draw) -> Rows:
        """Numbers of so many triplets or pairs as fill a batch."""
        few = draw.numbers.integers(one.rows.shape[1], size=40)
        mean = float(np.minimum(self._corpus.lengths[one.rows[:, few]], 360).mean())
        return draw.numbers.permutation(one.rows.shape[1])[: self.n_texts(mean, instruction_tokens) // len(one.rows)]

    # ---- what all of them share ---------------------------------------------------------------------------------

    def _contrast(
        self,
        name: str,
        rows: Rows,
        instructions: Sequence[str],
        labels: Rows,
        draw: Draw,
        axes: Sequence[str] = (),
        anchors: Rows | None = None,
        *,
        texts: Rows | None = None,
        groups: Rows | None = None,
        structure: float | None = None,
    ) -> Batch:
        """Put a batch of labels together, as many texts as it has room for, in their order."""
        pairs = self.join(instructions, rows)
        tokens = np.cumsum([len(instruction) / 4 + min(len(text), 360) / 4 + 1 for instruction, text in pairs])
        n = max(4, int(np.searchsorted(tokens, self._settings.tokens)))
        kind = name.partition(":")[0]
        # The teacher tells intents apart finely, and coarse labels would merge them: kept across classes, and double.
        fine = list(axes) == ["intent"]
        if structure is None:
            content = len(axes) == 1 and axes[0] in CONTENT_AXES
            structure = self._settings.structure_weight * content * (2 if fine else 1)
        given: dict[str, Any] = {}
        if anchors is not None and len(self._taught.anchors) and (anchors[:n] >= 0).any():
            given = self._anchor(anchors[:n], axes, draw)
        objective = Objective(
            kind,
            (rows if texts is None else texts)[:n],
            targets=self._corpus.vectors(rows[:n]) if structure else None,
            labels=labels[:n],
            groups=None if groups is None else groups[:n],
            floor=0.0 if groups is not None else floor_of(labels[:n]),
            contrast=1.0,
            structure=structure,
            inside=kind in ("labels", "nouns") and not fine,
            anchoring=self._settings.anchor_weight if given else 0.0,
            **given,
        )
        return Batch(pairs[:n], objective, name)

    def _anchor(self, anchors: Rows, axes: Sequence[str], draw: Draw) -> dict[str, Any]:
        """The vectors that the texts choose among: the classes present, and some of other axes, never absent ones."""
        present = np.unique(anchors[anchors >= 0])
        others = np.flatnonzero(~np.isin(self._anchor_axes, axes))
        others = draw.numbers.permutation(others)[:_OTHER_ANCHORS]
        own = np.where(anchors >= 0, np.searchsorted(present, anchors).clip(max=len(present) - 1), -1)
        vectors = self._taught.anchors[np.concatenate([present, others])].astype(np.float16)
        return {"anchors": vectors, "own_anchors": own}


def choose_weighted(rng: random.Random, weights: Mapping[str, float]) -> str:
    """Choose a key by its weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


def _find_named(axis: str, sets: Sequence[DrawnSet]) -> list[DrawnSet]:
    """Sets whose classes of an axis have names that another set has, too."""
    named = [one for one in sets if axis in one.anchors and (one.anchors[axis] >= 0).all()]
    counts = Counter(number for one in named for number in one.anchors[axis].tolist())
    return [one for one in named if sum(counts[number] > 1 for number in one.anchors[axis].tolist()) > 1]


def _names(one: DrawnSet, axis: str, labels: Rows) -> list[str]:
    """Names of the classes present that an instruction may list."""
    present = np.unique(labels[labels >= 0])
    if axis not in one.anchors or len(present) > _NAMED:
        return []
    return [one.set.classes[axis][number] for number in present]


def _connect(rows: Rows) -> Rows:
    """Number the texts of (k, n) lines, column by column, so that first and second of each column belong together.

    A text may be in several columns, and then they all belong together.
    """
    parent: dict[int, int] = {}

    def root(row: int) -> int:
        while parent.setdefault(row, row) != row:
            row = parent[row]
        return row

    for first, second in zip(rows[0].tolist(), rows[1].tolist(), strict=True):
        parent[root(first)] = root(second)
    roots = [root(row) for row in rows.T.reshape(-1).tolist()]
    return np.asarray(np.unique(roots, return_inverse=True)[1], dtype=np.int64)
