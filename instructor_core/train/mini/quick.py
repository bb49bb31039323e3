"""A quick evaluation while training runs: plain similarity, and whose neighbours an instruction brings together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from instructor_core.analysis.metrics import nearest_agreement
from instructor_core.encoder import InstructorModel
from instructor_core.evaluate import read_data, spearman
from instructor_core.train.mini.mixture import plain_wording
from instructor_core.train.mini.wordings import TrainingWordings

_ALIASES: Mapping[str, str] = {
    "stype": "sentence_type",
    "qtype": "question_type",
    "coarse": "question_type",
    "scenario": "domain",
    "tag": "topic",
}
"""Names that label files use for an axis, and the axis."""


class QuickEvaluation:
    """Scores a model in seconds, on a file of scored pairs and a folder of label sets; called by the trainer."""

    def __init__(
        self,
        wordings: TrainingWordings,
        *,
        sts: Path | None,
        label_sets: Path | None,
        n_pairs: int = 500,
        n_texts: int = 150,
    ) -> None:
        self._wordings = wordings
        self._pairs = read_data([sts], max_texts=n_pairs)[1] if sts is not None else ()
        self._sets = read_data([label_sets], max_texts=n_texts)[0] if label_sets is not None else ()

    def __call__(self, model: InstructorModel) -> dict[str, float]:
        """Return Spearman correlations (``sts``, ``sts neutral``) and mean 1-nearest-neighbour agreements by axis.

        ``topic plain`` is the agreement of neighbours on the topic under a plain topic instruction, ``topic free``
        under held-out wordings; a mean over the label sets that have the axis for all of their texts.
        """
        values: dict[str, list[float]] = defaultdict(list)
        for pairs in self._pairs:
            for name, instruction in (("sts", ""), ("sts neutral", "Which of these say the same thing? ")):
                first, second = (
                    model.encode([(instruction, text) for text in side]) for side in (pairs.first, pairs.second)
                )
                values[name].append(spearman(first, second, pairs.scores))
        for label_set in self._sets:
            for column, labels in label_set.columns.items():
                axis = _ALIASES.get(column, column)
                if axis not in self._wordings.axes or "" in labels:
                    continue
                asked = {"plain": [plain_wording(axis, "text")], "free": self._wordings.held_out(axis)[:3]}
                for kind, instructions in asked.items():
                    for instruction in instructions:
                        embeddings = model.encode([(instruction, text) for text in label_set.texts])
                        values[f"{axis} {kind}"].append(nearest_agreement(embeddings, labels))
        return {name: round(float(np.mean(found)), 4) for name, found in values.items()}
