"""Seeded samples of many texts, for analyses whose work grows with the square of their number or faster."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from instructor_core.figures.panels import PanelSet
from instructor_core.ui.data.inputs import Inputs

SEED = 42
PER_LABEL = 2  # texts of a label that are kept: with one alone there is nothing to find


@dataclass(frozen=True)
class SampledInputs:
    """A run with some of its texts alone, and the index of each in the whole run, rising."""

    inputs: Inputs
    rows: tuple[int, ...]
    sentences: tuple[str, ...] = ()  # on the sample; none where nothing was left out


def sample(inputs: Inputs, limit: int, *, each_label: bool = False) -> SampledInputs:
    """Return at most `limit` texts of a run, drawn with a fixed seed; if asked for, two of each label come first."""
    n = len(inputs.texts)
    if n <= limit:
        return SampledInputs(inputs, tuple(range(n)))
    drawn = random.Random(SEED).sample(range(n), n)
    first = _two_of_each(drawn, inputs.labels) if each_label and inputs.labels is not None else []
    rows = tuple(sorted(list(dict.fromkeys([*first, *drawn]))[:limit]))
    each = f", {PER_LABEL} of each label among them" if first else ""
    note = f"A sample of {limit} of {n} texts was taken (seed {SEED}{each})."
    return SampledInputs(keep_only(inputs, rows), rows, (note,))


def keep_only(inputs: Inputs, rows: Sequence[int]) -> Inputs:
    """Return the run with these texts alone."""
    labels = inputs.labels
    return replace(
        inputs,
        texts=tuple(inputs.texts[row] for row in rows),
        labels=None if labels is None else tuple(labels[row] for row in rows),
        more_labels=tuple(tuple(column[row] for row in rows) for column in inputs.more_labels),
    )


def relink(panels: PanelSet, chosen: SampledInputs, texts: Sequence[str]) -> PanelSet:
    """Return the panels of a sample with its points as those of the whole run, so that other views mark the same text.

    The items are those of the sample; the others are "".
    """
    if not chosen.sentences:
        return panels
    items = [""] * len(texts)
    for row in chosen.rows:
        items[row] = texts[row]
    for trace in (trace for panel in panels.panels for trace in panel.figure.data):
        if (trace.meta or {}).get("kind") == "points":
            trace.customdata = [chosen.rows[int(item)] for item in trace.customdata]
    return replace(panels, items=tuple(items))


def _two_of_each(drawn: Sequence[int], labels: Sequence[str]) -> list[int]:
    """The first two texts of each label in the order of the draw."""
    seen: Counter[str] = Counter()
    taken = []
    for row in drawn:
        if labels[row] and seen[labels[row]] < PER_LABEL:
            seen[labels[row]] += 1
            taken.append(row)
    return taken
