"""Runs a checkpoint over label sets and pairs under every wording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from instructor_core.evaluate.data import LabelSet, PairSet, Wordings
from instructor_core.evaluate.report import Column, EvaluationReport, Kind, PairResult, Row, SetResult
from instructor_core.evaluate.scores import Score, chance, score, spearman

Embeddings = NDArray[np.float32]


class Encoder(Protocol):
    """What is evaluated: `InstructorModel`, or anything that encodes pairs as it does."""

    def encode(self, pairs: Sequence[Sequence[str]], /) -> Embeddings:
        """Embed (instruction, text) pairs: (N, D)."""
        ...


class PlainEncoder(Protocol):
    """What it is compared with."""

    name: str

    def encode(self, texts: Sequence[str], /) -> Embeddings:
        """Embed texts: (N, D)."""
        ...


def evaluate_checkpoint(
    model: Encoder,
    sets: Sequence[LabelSet],
    wordings: Wordings,
    *,
    pairs: Sequence[PairSet] = (),
    reference: PlainEncoder | None = None,
    name: str = "",
    n_free: int | None = None,
    max_texts: int = 4000,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> EvaluationReport:
    """Measure what the instructions do.

    Args:
        model: the checkpoint.
        sets: texts with labels, from `read_data`.
        wordings: instructions, from `read_wordings`.
        pairs: pairs with human scores, from `read_data`.
        reference: a model without instructions to put beside it.
        name: of the checkpoint in the report; by default that of the model.
        n_free: number of free wordings per axis, the first ones; all if None.
        max_texts: as given to `read_data`; only stated.
        seed: as given to `read_data`; only stated.
        progress: called with the name of each set before it is measured.

    Raises:
        EncoderError: if the checkpoint cannot encode a text under a wording.
    """
    told = progress or (lambda message: None)
    results = []
    for label_set in sets:
        told(f"{label_set.name}: {len(label_set.texts)} texts")
        results.append(_evaluate_set(model, label_set, wordings, reference, n_free))
    pair_results = []
    for pair_set in pairs:
        told(f"{pair_set.name}: {len(pair_set.first)} pairs")
        pair_results.append(_evaluate_pairs(model, pair_set, wordings, reference))
    return EvaluationReport(
        checkpoint=PurePath(name or str(getattr(model, "name", ""))).name,
        reference=reference.name if reference else "",
        max_texts=max_texts,
        seed=seed,
        sets=tuple(results),
        pairs=tuple(pair_results),
    )


def _evaluate_set(
    model: Encoder, label_set: LabelSet, wordings: Wordings, reference: PlainEncoder | None, n_free: int | None
) -> SetResult:
    kept = {name: _usable(labels) for name, labels in label_set.columns.items()}
    kept = {name: rows for name, rows in kept.items() if len({label_set.columns[name][row] for row in rows}) > 1}
    columns = tuple(_column(label_set.columns[name], name, rows, wordings) for name, rows in kept.items())

    def scores(embeddings: Embeddings) -> Mapping[str, Score]:
        return {
            name: score(embeddings[rows], [label_set.columns[name][row] for row in rows]) for name, rows in kept.items()
        }

    asked: list[tuple[Kind, str, str]] = []
    for axis in dict.fromkeys(column.axis for column in columns if column.axis):
        entry = wordings.axes[axis]
        asked.append((Kind.PLAIN, axis, entry.plain))
        asked += [(Kind.FREE, axis, wording) for wording in entry.free[:n_free]]
    asked.append((Kind.NONE, "", ""))
    rows = [
        Row(kind, axis, wording, scores(model.encode([(wording, text) for text in label_set.texts])))
        for kind, axis, wording in asked
    ]
    if reference:
        rows.append(Row(Kind.REFERENCE, "", "", scores(reference.encode(label_set.texts))))
    return SetResult(label_set.name, len(label_set.texts), label_set.n_in_file, columns, tuple(rows))


def _usable(labels: Sequence[str]) -> NDArray[np.int64]:
    """Positions of the texts with a label that another text has too."""
    counts = Counter(labels)
    return np.array([row for row, label in enumerate(labels) if label and counts[label] > 1], dtype=np.int64)


def _column(labels: Sequence[str], name: str, rows: NDArray[np.int64], wordings: Wordings) -> Column:
    used = [labels[row] for row in rows]
    return Column(name, wordings.axis_of(name) or "", len(set(used)), len(used), chance(used))


def _evaluate_pairs(model: Encoder, pairs: PairSet, wordings: Wordings, reference: PlainEncoder | None) -> PairResult:
    texts = list(dict.fromkeys([*pairs.first, *pairs.second]))  # each text is encoded once
    place = {text: position for position, text in enumerate(texts)}
    first, second = ([place[text] for text in side] for side in (pairs.first, pairs.second))

    def correlation(embeddings: Embeddings) -> float:
        return spearman(embeddings[first], embeddings[second], pairs.scores)

    def under(wording: str) -> float:
        return correlation(model.encode([(wording, text) for text in texts]))

    return PairResult(
        name=pairs.name,
        n_pairs=len(pairs.first),
        n_in_file=pairs.n_in_file,
        none=under(""),
        neutral={wording: under(wording) for wording in wordings.neutral},
        unknown={wording: under(wording) for wording in wordings.unknown},
        reference=correlation(reference.encode(texts)) if reference else None,
    )
