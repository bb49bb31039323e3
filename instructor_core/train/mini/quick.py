"""A quick evaluation while training runs: plain similarity, and whose neighbours an instruction brings together."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.metrics import nearest_agreement
from instructor_core.encoder import InstructorModel
from instructor_core.errors import UserError
from instructor_core.train.mini.mixture import plain_wording
from instructor_core.train.mini.wordings import Wordings

_ALIASES: Mapping[str, str] = {
    "stype": "sentence_type",
    "qtype": "question_type",
    "coarse": "question_type",
    "scenario": "domain",
    "tag": "topic",
}
"""Names that label files use for an axis, and the axis."""


@dataclass(frozen=True)
class LabelSet:
    """Texts with labels of several axes; ``labels[axis][i]`` belongs to ``texts[i]``."""

    name: str
    texts: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]


class QuickEvaluation:
    """Scores a model in seconds; called by the trainer.

    Args:
        wordings: Gives the held-out wordings.
        sts: File of scored pairs, one JSON object with ``a``, ``b`` and ``score`` a line; None for none.
        label_sets: Folder of ``.jsonl`` files, one JSON object with ``text`` and ``labels`` a line; None for none.
        n_pairs: Scored pairs used.
        n_texts: Texts used of each label set.

    Raises:
        UserError: If a file is not of that form.
    """

    def __init__(
        self, wordings: Wordings, *, sts: Path | None, label_sets: Path | None, n_pairs: int = 500, n_texts: int = 150
    ) -> None:
        self._wordings = wordings
        self._pairs = _sample(sts, n_pairs) if sts is not None else []
        files = sorted(label_sets.glob("*.jsonl")) if label_sets is not None else []
        self._sets = [entry for entry in (_label_set(path, n_texts) for path in files) if entry is not None]

    def __call__(self, model: InstructorModel) -> dict[str, float]:
        """Return Spearman correlations (``sts``, ``sts neutral``) and mean 1-nearest-neighbour agreements by axis.

        ``topic plain`` is the agreement of neighbours on the topic under a plain topic instruction, ``topic free``
        under held-out wordings; a mean over the label sets that have the axis.
        """
        values = {}
        if self._pairs:
            values["sts"] = self._similarity(model, "")
            values["sts neutral"] = self._similarity(model, "Which of these say the same thing? ")
        agreements: dict[str, list[float]] = {}
        for entry in self._sets:
            for axis, labels in entry.labels.items():
                named = _ALIASES.get(axis, axis)
                if named not in self._wordings.axes:
                    continue
                asked = {"plain": [plain_wording(named, "text")], "free": self._wordings.held_out(named)[:3]}
                for kind, instructions in asked.items():
                    for instruction in instructions:
                        embeddings = model.encode([(instruction, text) for text in entry.texts])
                        agreements.setdefault(f"{named} {kind}", []).append(nearest_agreement(embeddings, labels))
        values.update({name: float(np.mean(found)) for name, found in agreements.items()})
        return {name: round(value, 4) for name, value in values.items()}

    def _similarity(self, model: InstructorModel, instruction: str) -> float:
        left = model.encode([(instruction, str(pair["a"])) for pair in self._pairs])
        right = model.encode([(instruction, str(pair["b"])) for pair in self._pairs])
        return spearman((left * right).sum(axis=1), np.asarray([float(str(pair["score"])) for pair in self._pairs]))


def _sample(path: Path, count: int) -> list[dict[str, object]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    random.Random(0).shuffle(lines)
    records = []
    for line in lines[:count]:
        try:
            records.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise UserError(f"{path.name} must hold one JSON object a line, got {line[:60]!r}.") from error
    return records


def _label_set(path: Path, count: int) -> LabelSet | None:
    """Read a label set; axes that not all of its texts have are left out, and so is a set without any."""
    records = [record for record in _sample(path, count) if isinstance(record.get("labels"), dict)]
    labels: dict[str, list[str]] = {}
    for record in records:
        found = record["labels"]
        assert isinstance(found, dict)
        for axis, label in found.items():
            labels.setdefault(str(axis), []).append(str(label))
    complete = {axis: tuple(values) for axis, values in labels.items() if len(values) == len(records)}
    if not complete:
        return None
    return LabelSet(path.stem, tuple(str(record["text"]) for record in records), complete)


def spearman(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return the correlation of the ranks of two ``(N,)`` arrays; equal values share their mean rank."""
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = (ends - (counts - 1) / 2)[inverse]
    return ranks
