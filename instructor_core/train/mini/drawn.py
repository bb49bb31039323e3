"""A labelled set as the mixture draws from it: members of every class, crossings, twins and the topics of its texts."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from instructor_core.train.mini.material import LabelledSet
from instructor_core.train.mini.topics import Topics

CONTENT_AXES = frozenset({"topic", "domain", "intent", "event", "product"})
"""Axes that the teacher's own neighbourhoods say something about."""

_TOPICAL = CONTENT_AXES | {"relation", "entity", "aspect"}  # a set with one of these needs no topics from clusters
_CROSSED = 0.75  # share of the draws from few values of another axis, which becomes the distractor
_TWINS = 0.6  # share of the draws that are pairs of twins, where there are some
_FEW = 4  # texts that a topic needs

Rows = NDArray[np.int64]
Column = NDArray[np.int32]


class DrawnSet:
    """Positions of a set's texts by class; a set without a content axis has the topics of its texts as one more."""

    def __init__(
        self, one: LabelledSet, topics: Topics, sure: float, numbers: Mapping[tuple[str, str], int], lengths: Column
    ) -> None:
        self.set = one
        self.columns: dict[str, Column] = dict(one.columns)
        self.coarse: Column = topics.coarse[one.topic_rows]
        if _TOPICAL.isdisjoint(one.columns):
            column = np.where(topics.confidence[one.topic_rows] >= sure, topics.fine[one.topic_rows], -1)
            counts = np.bincount(column[column >= 0], minlength=1)
            column = np.where((column >= 0) & (counts[np.maximum(column, 0)] >= _FEW), column, -1)
            if len(np.unique(column[column >= 0])) > 5:
                self.columns["topic"] = column.astype(np.int32)
        # For each class the number of its anchor.
        self.anchors: dict[str, Column] = {
            axis: np.asarray([numbers.get((axis, name), -1) for name in names], dtype=np.int32)
            for axis, names in one.classes.items()
            if names
        }
        self._members = {axis: _members(column) for axis, column in self.columns.items()}
        self._twins = _twin_pairs(one.twins)
        few = np.random.default_rng(0).integers(len(one.rows), size=400)
        self.mean_length = float(np.minimum(lengths[one.rows[few]], 360).mean())

    def weight(self, axis: str) -> float:
        """How often the set is drawn for an axis, among the sets that have it; topics by clusters count half."""
        size = min(len(self.set.rows), 8000) / 8000
        share = 1.0 if axis in self.set.columns else 0.5
        return float(self.set.weight * self.set.axis_weights.get(axis, 1.0) * size**0.5 * share)

    def is_drawable(self, axis: str) -> bool:
        """Whether there are two classes with two texts each."""
        return len(self._members[axis]) >= 2

    def sample(self, axis: str, n: int, rng: random.Random, numbers: np.random.Generator, most: int = 24) -> Rows:
        """Draw up to n positions, as many of each class: mostly of few values of another axis, or pairs of twins."""
        drawn = self._draw(axis, n, rng, numbers, most)
        for _ in range(2):  # few values may have few texts
            if len(drawn) < 0.9 * n:
                drawn = np.concatenate([drawn, self._draw(axis, n - len(drawn), rng, numbers, most)])
                drawn = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
        return drawn[:n]

    def _draw(self, axis: str, n: int, rng: random.Random, numbers: np.random.Generator, most: int) -> Rows:
        if len(self._twins) and rng.random() < _TWINS and self._differs(axis):
            return self._draw_twins(n, rng, numbers)
        kept = self._cross(axis, rng, numbers) if rng.random() < _CROSSED else None
        members = self._members[axis]
        classes = rng.sample(members, min(len(members), rng.choice((12, 16, most))))
        size = max(2, -(-n // len(classes)))
        drawn = []
        for one in classes:
            inside = one if kept is None else one[kept[one]]
            those = inside if len(inside) >= 2 else one
            # A sample with repetitions taken out is as good as a permutation, and does not touch every member.
            few = those if len(those) <= size else those[np.unique(numbers.integers(len(those), size=size))]
            drawn.append(few)
        return numbers.permutation(np.concatenate(drawn))[:n]

    def _differs(self, axis: str) -> bool:
        column = self.columns[axis][self._twins[:50]]
        return bool((column[:, 0] != column[:, 1]).mean() > 0.5)

    def _draw_twins(self, n: int, rng: random.Random, numbers: np.random.Generator) -> Rows:
        pairs = self._twins
        if rng.random() < 0.5:  # of few topics
            topics = self.coarse[pairs[:, 0]]
            chosen = numbers.permutation(np.unique(topics))[: rng.choice((2, 4, 8))]
            inside = pairs[np.isin(topics, chosen)]
            pairs = inside if len(inside) >= 8 else pairs
        drawn: Rows = pairs[numbers.permutation(len(pairs))[: max(2, n // 2)]].reshape(-1)
        return drawn

    def _cross(self, axis: str, rng: random.Random, numbers: np.random.Generator) -> NDArray[np.bool_] | None:
        others = [
            column
            for other, column in self.columns.items()
            if other != axis and not (other == "topic" and axis in CONTENT_AXES)
        ]
        if axis not in ("topic", "domain", "event"):
            others.append(self.coarse)
        if not others:
            return None
        column = rng.choice(others)
        size = int(column.max()) + 1
        values = numbers.permutation(np.flatnonzero(np.bincount(column[column >= 0], minlength=1)))
        allowed = np.zeros(size + 1, dtype=bool)  # the last place is that of -1
        allowed[values[: rng.choice((2, 4, 8, 16))]] = True
        kept: NDArray[np.bool_] = allowed[column]
        return kept


def _members(column: Column) -> list[Rows]:
    """Positions of every class that has two texts or more."""
    order = np.argsort(column, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(column[order])) + 1)
    return [part for part in parts if len(part) >= 2 and column[part[0]] >= 0]


def _twin_pairs(twins: Column | None) -> Rows:
    """Positions (P, 2) of the pairs of twins that are complete."""
    if twins is None:
        return np.empty((0, 2), dtype=np.int64)
    pairs = [part for part in _members(twins) if len(part) == 2]
    return np.stack(pairs) if pairs else np.empty((0, 2), dtype=np.int64)
