"""A quick evaluation while training runs: plain similarity, and whose neighbours an instruction brings together."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path

import numpy as np

from instructor_core.analysis.metrics import nearest_agreement
from instructor_core.encoder import InstructorModel
from instructor_core.evaluate.data import read_data
from instructor_core.evaluate.evaluation import spearman
from instructor_core.train.mini.shares import usual_name, word_plainly
from instructor_core.train.mini.wordings import TrainingWordings

_ALIASES: Mapping[str, str] = {
    "stype": "sentence_type",
    "qtype": "question_type",
    "coarse": "question_type",
    "scenario": "domain",
    "tag": "topic",
}
"""Names that label files use for an axis, and the axis."""


_ONE_NOT_THE_OTHER = (
    "Two texts are alike if their {wanted} is alike, even where their {unwanted} is another: ",
    "With the {unwanted} left out of account, judge likeness on the {wanted} alone: ",
    "The {unwanted} has already been dealt with; what remains to be told apart is the {wanted}: ",
    "Give me neighbours of equal {wanted}, be their {unwanted} what it may: ",
)
"""Instructions that name two axes, in frames that the training does not have."""


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
        """Return Spearman correlations (``sts``, ``sts neutral``) and mean 1-nearest-neighbour agreements.

        ``topic plain`` is the agreement of neighbours on the topic under a plain topic instruction, ``topic free``
        under held-out wordings; ``wanted`` and ``unwanted`` the agreement on either of two axes where the instruction
        names both; means over the label sets that have the axis for all of their texts. ``shuffled`` is the mean cosine
        of a text's embeddings under a held-out wording and under the same words in another order.
        """
        values: dict[str, list[float]] = defaultdict(list)
        for pairs in self._pairs:
            for name, instruction in (("sts", ""), ("sts neutral", "Which of these say the same thing? ")):
                first, second = (
                    model.encode([(instruction, text) for text in side]) for side in (pairs.first, pairs.second)
                )
                values[name].append(spearman(first, second, pairs.scores))
        for label_set in self._sets:
            axes = {_ALIASES.get(name, name): labels for name, labels in label_set.columns.items() if "" not in labels}
            axes = {axis: labels for axis, labels in axes.items() if axis in self._wordings.axes}
            for number, (axis, labels) in enumerate(axes.items()):
                held = self._wordings.held_out(axis)[:3]
                for kind, instructions in (("plain", [word_plainly(axis, "text")]), ("free", held)):
                    for instruction in instructions:
                        embeddings = model.encode([(instruction, text) for text in label_set.texts])
                        values[f"{axis} {kind}"].append(nearest_agreement(embeddings, labels))
                if not held:
                    continue
                words = held[0].split()
                shuffled = " ".join(random.Random(number).sample(words, len(words))) + " "
                ordered, other = (
                    model.encode([(wording, text) for text in label_set.texts[:40]]) for wording in (held[0], shuffled)
                )
                values["shuffled"].append(float((ordered * other).sum(axis=1).mean()))
            for number, (wanted, unwanted) in enumerate(permutations(axes, 2)):
                frame = _ONE_NOT_THE_OTHER[number % len(_ONE_NOT_THE_OTHER)]
                instruction = frame.format(wanted=usual_name(wanted), unwanted=usual_name(unwanted))
                embeddings = model.encode([(instruction, text) for text in label_set.texts])
                values["wanted"].append(nearest_agreement(embeddings, axes[wanted]))
                values["unwanted"].append(nearest_agreement(embeddings, axes[unwanted]))
        return {name: round(float(np.mean(found)), 4) for name, found in values.items()}
