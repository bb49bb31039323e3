"""Runs a checkpoint over label sets and pairs under every wording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations
from pathlib import PurePath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.checkpoints import agreement
from instructor_core.analysis.following import following
from instructor_core.analysis.grid import unit_vectors
from instructor_core.analysis.label_task import label_task
from instructor_core.analysis.metrics import nearest_agreement, v_measure
from instructor_core.errors import UserError
from instructor_core.evaluate.data import LabelSet, PairSet, Wordings
from instructor_core.evaluate.reading import contrasts, measure_shuffled
from instructor_core.evaluate.report import (
    Beside,
    Column,
    EvaluationReport,
    Followed,
    InstructionResult,
    Kind,
    PairResult,
    Recovery,
    SetResult,
)

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
    other: Encoder | None = None,
    n_free: int | None = None,
    max_texts: int = 4000,
    seed: int = 0,
    progress: Callable[[str], None] = lambda message: None,
) -> EvaluationReport:
    """Measure instructions, with `n_free` free wordings of each axis or all; `max_texts` and `seed` are only stated.

    With another checkpoint, `other`, it is also said how far the two agree under every instruction.
    """
    results = []
    for label_set in sets:
        progress(f"{label_set.name}: {len(label_set.texts)} texts")
        results.append(_evaluate_set(model, label_set, wordings, reference, other, n_free))
    pair_results = []
    for pair_set in pairs:
        progress(f"{pair_set.name}: {len(pair_set.first)} pairs")
        pair_results.append(_evaluate_pairs(model, pair_set, wordings, reference))
    paths = [PurePath(str(getattr(each, "name", ""))) for each in (model, other)]
    same = paths[0].name == paths[1].name  # as two runs of training have it
    checkpoint, other_name = ("/".join(path.parts[-2:]) if same else path.name for path in paths)
    return EvaluationReport(
        checkpoint=checkpoint,
        reference=reference.name if reference else "",
        max_texts=max_texts,
        seed=seed,
        sets=tuple(results),
        pairs=tuple(pair_results),
        other=other_name if other else "",
    )


def recovery(embeddings: NDArray[np.floating], labels: Sequence[str]) -> Recovery:
    """How well (N, D) embeddings recover N labels, each of which at least two texts have."""
    task = label_task(labels, k=1, n_resamples=1)  # resamples make intervals, and none is reported
    return Recovery(nearest_agreement(embeddings, labels), v_measure(unit_vectors(np.asarray(embeddings)), task)[0])


def chance(labels: Sequence[str]) -> float:
    """Agreement to expect of embeddings that know nothing: the share of ordered pairs with the same label."""
    n = len(labels)
    return sum(count * (count - 1) for count in Counter(labels).values()) / (n * (n - 1))


def spearman(first: NDArray[np.floating], second: NDArray[np.floating], scores: Sequence[float]) -> float:
    """Spearman correlation of the cosines of (P, D) with (P, D) and P human scores; 0.0 where either orders nothing."""
    from scipy.stats import spearmanr

    cosines = np.einsum("pd,pd->p", unit_vectors(np.asarray(first)), unit_vectors(np.asarray(second)))
    cosines = np.round(cosines, 6)  # noise of the arithmetic is not an order
    if np.ptp(cosines) == 0 or np.ptp(scores) == 0:
        return 0.0
    return float(spearmanr(cosines, scores).statistic)


def _evaluate_set(
    model: Encoder,
    label_set: LabelSet,
    wordings: Wordings,
    reference: PlainEncoder | None,
    other: Encoder | None,
    n_free: int | None,
) -> SetResult:
    kept = {name: _find_usable(labels) for name, labels in label_set.columns.items()}
    kept = {name: rows for name, rows in kept.items() if len({label_set.columns[name][row] for row in rows}) > 1}
    columns = tuple(_column(label_set.columns[name], name, rows, wordings) for name, rows in kept.items())

    def scores(embeddings: Embeddings) -> Mapping[str, Recovery]:
        return {
            name: recovery(embeddings[rows], [label_set.columns[name][row] for row in rows])
            for name, rows in kept.items()
        }

    @cache
    def encode(wording: str) -> Embeddings:
        return model.encode([(wording, text) for text in label_set.texts])

    asked: list[tuple[Kind, str, str]] = []
    axes = list(dict.fromkeys(column.axis for column in columns if column.axis))
    for axis in axes:
        entry = wordings.axes[axis]
        asked.append((Kind.PLAIN, axis, entry.plain))
        asked += [(Kind.FREE, axis, wording) for wording in entry.free[:n_free]]
    asked.append((Kind.NONE, "", ""))
    found = [encode(wording) for _, _, wording in asked]
    rows = [InstructionResult(*each, scores(embeddings)) for each, embeddings in zip(asked, found, strict=True)]
    under = {
        (kind, axis): [embeddings for each, embeddings in zip(asked, found, strict=True) if each[:2] == (kind, axis)]
        for kind, axis, _ in asked
    }
    if reference:
        rows.append(InstructionResult(Kind.REFERENCE, "", "", scores(reference.encode(label_set.texts))))
    followed = tuple(_follow(label_set, columns, under))
    beside = []
    if other is not None and len(label_set.texts) > 2:
        for (kind, axis, wording), embeddings in zip(asked, found, strict=True):
            one = agreement(embeddings, other.encode([(wording, text) for text in label_set.texts]))
            beside.append(Beside(kind, axis, wording, one.overlap, one.k, one.cka, one.flipped))
    size = len(label_set.texts), label_set.n_in_file
    named = tuple(contrasts(encode, label_set, columns, kept, wordings.contrasts))
    mixed = measure_shuffled(encode, axes, wordings, n_free)
    return SetResult(label_set.name, *size, columns, tuple(rows), followed, tuple(beside), named, mixed)


def _follow(
    label_set: LabelSet, columns: Sequence[Column], under: Mapping[tuple[Kind, str], Sequence[Embeddings]]
) -> Iterator[Followed]:
    """For every two columns of unlike axes; the first free wording of one axis goes with the first of the other."""
    for first, second in combinations([column for column in columns if column.axis], 2):
        labels = label_set.columns[first.name], label_set.columns[second.name]
        if first.axis == second.axis:
            continue
        pairs = {
            kind: list(zip(under.get((kind, first.axis), ()), under.get((kind, second.axis), ()), strict=False))
            for kind in (Kind.PLAIN, Kind.FREE)
        }
        try:
            plain, *free = (following(*pair, *labels) for pair in (*pairs[Kind.PLAIN], *pairs[Kind.FREE]))
        except UserError:  # no text shares one label with another and differs in the other
            continue
        yield Followed((first.name, second.name), plain, tuple(free))


def _find_usable(labels: Sequence[str]) -> NDArray[np.int64]:
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

    def embed(wording: str) -> float:
        return correlation(model.encode([(wording, text) for text in texts]))

    return PairResult(
        name=pairs.name,
        n_pairs=len(pairs.first),
        n_in_file=pairs.n_in_file,
        none=embed(""),
        neutral={wording: embed(wording) for wording in wordings.neutral},
        unknown={wording: embed(wording) for wording in wordings.unknown},
        reference=correlation(reference.encode(texts)) if reference else None,
    )
