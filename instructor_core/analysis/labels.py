"""What is wrong with a column of labels, all of it at once, and which texts can be used in spite of it."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.label_task import LabelTask, label_task
from instructor_core.analysis.numbers import counted
from instructor_core.errors import UserError

SMALL = 5  # texts: a label with fewer can hardly be found by its neighbours
_NAMED = 5  # labels that a sentence names before it only counts
_LIKENESS = 0.82  # `refudn` and `refund` have 0.83, `male` and `female` 0.80
_MOST_COMPARED = 300  # labels: more are identifiers or free text, whose likeness says nothing


@dataclass(frozen=True)
class Merge:
    """A label that is probably another one, written differently."""

    label: str
    into: str
    n_texts: int


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """What was found; nothing is changed by itself.

    `rows` (n,) are the texts that can be used; the others lack a label, repeat a text, or are alone with their label.
    """

    rows: NDArray[np.int64]
    n_texts: int
    n_missing: int
    n_repeated: int
    singletons: tuple[str, ...]
    small: tuple[tuple[str, int], ...]
    merges: tuple[Merge, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Everything in words; empty where all is well."""
        left_out = [
            f"{counted(self.n_missing, 'text')} without a label" if self.n_missing else "",
            counted(self.n_repeated, "repeated text") if self.n_repeated else "",
            f"{counted(len(self.singletons), 'label')} with one text ({_list(self.singletons)})"
            if self.singletons
            else "",
        ]
        found = [words for words in left_out if words]
        said = [f"{len(self.rows)} of {self.n_texts} texts used; left out: {', '.join(found)}."] if found else []
        if self.small:
            names = [f"{name} ({n})" for name, n in self.small]
            said.append(f"Too few texts to judge by themselves: {_list(names)}.")
        if self.merges:
            pairs = [f'"{merge.label}" ({merge.n_texts}) into "{merge.into}"' for merge in self.merges]
            said.append(f"Perhaps the same label, written differently: merge {_list(pairs)}?")
        return tuple(said)


def label_issues(labels: Sequence[str], texts: Sequence[str] | None = None) -> LabelIssues:
    """What is wrong with N labels, and with N texts that may stand twice; a blank label is none."""
    labelled = [row for row, label in enumerate(labels) if label.strip()]
    once = labelled
    if texts is not None:
        first: dict[str, int] = {}
        for row in labelled:
            first.setdefault(" ".join(texts[row].casefold().split()), row)
        once = sorted(first.values())
    counts = Counter(labels[row] for row in once)
    uneven = max(counts.values(), default=0) >= SMALL  # where all are small, there is nothing to single out
    rows = [row for row in once if counts[labels[row]] > 1]
    return LabelIssues(
        rows=np.array(rows, dtype=np.int64),
        n_texts=len(labels),
        n_missing=len(labels) - len(labelled),
        n_repeated=len(labelled) - len(once),
        singletons=tuple(label for label, n in counts.items() if n == 1),
        small=tuple((label, n) for label, n in counts.items() if 1 < n < SMALL) if uneven else (),
        merges=_merges(Counter(labels[row] for row in labelled)),
    )


def make_task(labels: Sequence[str], issues: LabelIssues, *, n_resamples: int = 1000) -> LabelTask:
    """The task of the texts that can be used; a UserError where they are too few, with all that was left out."""
    try:
        return label_task([labels[row] for row in issues.rows], n_resamples=n_resamples)
    except UserError as error:
        raise UserError(" ".join((str(error), *issues.sentences))) from error


def merge(labels: Sequence[str], merges: Sequence[Merge]) -> tuple[str, ...]:
    """The labels with every merge carried out."""
    into = {merge.label: merge.into for merge in merges}
    return tuple(into.get(label, label) for label in labels)


def _merges(counts: Counter[str]) -> tuple[Merge, ...]:
    """Each label once at most, into the most frequent one that it may be; targets stay what they are."""
    if len(counts) > _MOST_COMPARED:
        return ()
    found: list[Merge] = []
    kept: list[str] = []
    for label, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        into = next((other for other in kept if _may_be(label, n, other, counts[other])), None)
        if into is None:
            kept.append(label)
        else:
            found.append(Merge(label, into, n))
    return tuple(found)


def _may_be(label: str, n: int, other: str, n_other: int) -> bool:
    """Whether a label is another one but for case, spaces and marks, or a rare misspelling of it."""
    mine, its = _letters(label), _letters(other)
    if mine == its:
        return bool(mine) or label.strip() == other.strip()
    if n >= n_other or n > max(2, n_other // 10) or _digits(mine) != _digits(its):
        return False
    if mine.endswith(its) or its.endswith(mine):  # `known` and `unknown` are opposites
        return False
    return difflib.SequenceMatcher(None, mine, its).ratio() >= _LIKENESS


def _letters(label: str) -> str:
    return "".join(character for character in label.casefold() if character.isalnum())


def _digits(label: str) -> str:
    return "".join(character for character in label if character.isdigit())


def _list(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
