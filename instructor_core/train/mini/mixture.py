"""The mixture: which batch a step of training gets, and with which loss.

A batch is a pure function of the seed and the step. Seven kinds are mixed (``SHARES``); all of them see instructions
in many wordings, because the wordings are what the model has to generalise over.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from instructor_core.encoder import InstructorModel, Pair
from instructor_core.train.batch import Batch, Loss
from instructor_core.train.mini.loading import Material
from instructor_core.train.mini.objectives import (
    Structure,
    distillation,
    pair_contrast,
    supervised_contrast,
    triplet_contrast,
)
from instructor_core.train.mini.tasks import MANY_CLASSES, LabelledTask, TripletTask
from instructor_core.train.mini.wordings import TrainingWordings

SHARES: Mapping[str, float] = {
    # Plain similarity is the hardest to win back and the space that every instruction starts from: the largest share.
    "plain": 0.26,
    # The same target under instructions that ask for nothing the model knows; without these batches it guesses an axis.
    "neutral": 0.15,
    # What instructions are for. Three quarters of these batches are crossed by another axis.
    "labels": 0.33,
    # Tasks whose labels are not known: mostly intents, domains and events with many classes.
    "triplets": 0.07,
    # Paraphrases and answers: the only similarity judged by people rather than by the teacher.
    "pairs": 0.05,
    # The teacher's own structure under topic, domain and intent instructions: fine unseen classes must not merge.
    "structure": 0.07,
    # The start checkpoint under a wording that it knows teaches other wordings of the same axis, on any text.
    "wordings": 0.07,
}

AXIS_WEIGHTS: Mapping[str, float] = {
    # Axes that visitors ask for first.
    "topic": 5.0,
    "sentiment": 5.0,
    "sentence_type": 4.0,
    "intent": 3.0,
    "emotion": 2.5,
    # Plain in form, learned fast.
    "question_type": 1.5,
    "tense": 1.5,
    "person": 1.0,
    "formality": 1.2,
    "urgency": 1.0,
    "aspect": 1.2,
    "domain": 1.2,
    "act": 1.0,
    "format": 0.7,
    "subjectivity": 0.8,
}
OTHER_AXIS_WEIGHT = 0.25  # small axes: they widen what an instruction can be about

PLAIN_NAMES: Mapping[str, str] = {
    "person": "grammatical person",
    "act": "dialogue act",
    "aspect": "aspect discussed",
    "format": "text format",
    "entity": "entity type",
    "relation": "relation expressed",
    "stars": "rating",
    "offensive": "offensive language",
}
TEXT_TYPES = ("sentence", "text", "document", "post", "message", "statement", "article", "passage", "question", "title")
CONTENT_AXES = frozenset({"topic", "domain", "intent"})

Builder = Callable[[random.Random], Batch]
T = TypeVar("T", LabelledTask, TripletTask)


@dataclass(frozen=True)
class MixtureSettings:
    """Sizes, temperatures and shares of each kind of batch; ``tokens`` of a batch are estimated, with instructions.

    0.05 tells near neighbours of a text from nearest ones where neighbourhoods are taken over from a teacher; beside
    these the distance to the target has the ``cosine_weight``, and inside classes structure its own.
    """

    seed: int = 0
    tokens: int = 7000
    distillation_temperature: float = 0.05
    cosine_weight: float = 5.0
    contrast_temperature: float = 0.06
    structure_weight: float = 0.5
    shares: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))


def plain_wording(axis: str, text_type: str) -> str:
    """Return the instruction for an axis as the INSTRUCTOR paper would write it, ready to be joined."""
    return f"Represent the {text_type} for classifying the {PLAIN_NAMES.get(axis, axis.replace('_', ' '))}: "


class Mixture:
    """The batches of instructor-mini.

    The known checkpoint teaches free wordings by the plain ones that it knows; without it (a start from scratch) there
    are no such batches.
    """

    def __init__(
        self,
        material: Material,
        wordings: TrainingWordings,
        settings: MixtureSettings,
        *,
        known: InstructorModel | None = None,
    ) -> None:
        self.material = material
        self.wordings = wordings
        self.settings = settings
        self.known = known
        self._labelled = _by_axis(material.labelled, wordings)
        self._triplets = _by_axis(material.triplets, wordings)
        builders: dict[str, tuple[bool, Builder]] = {
            "plain": (True, self._plain),
            "neutral": (True, self._neutral),
            "labels": (bool(self._labelled), self._labels),
            "triplets": (bool(self._triplets), self._triplet),
            "pairs": (bool(material.pairs), self._pairs),
            "structure": (bool(CONTENT_AXES & set(wordings.axes)), self._structure),
            "wordings": (known is not None and bool(self._labelled), self._wordings),
        }
        usable = {kind: builder for kind, (possible, builder) in builders.items() if possible}
        self.shares = {kind: settings.shares[kind] for kind in usable if settings.shares.get(kind, 0) > 0}
        self._builders = usable

    def batch(self, step: int) -> Batch:
        """Return the batch of a step."""
        rng = random.Random(f"{self.settings.seed}/{step}")
        kind = rng.choices(list(self.shares), list(self.shares.values()))[0]
        return self._builders[kind](rng)

    # ---- distillation -------------------------------------------------------------------------------------------

    def _plain(self, rng: random.Random) -> Batch:
        rows = self._corpus_rows(rng, instruction_tokens=0)
        return self._distilled("plain", rows, [""] * len(rows))

    def _neutral(self, rng: random.Random) -> Batch:
        rows = self._corpus_rows(rng, instruction_tokens=10)
        return self._distilled("neutral", rows, _spread(rng, len(rows), lambda: self._meaningless(rng)))

    def _meaningless(self, rng: random.Random) -> str:
        """An instruction that names no axis: mostly a neutral wording, sometimes just somebody's words."""
        if rng.random() < 0.75:
            return self.wordings.neutral(rng)
        words = self.material.texts[rng.randrange(len(self.material.texts))].split()[:12]
        if rng.random() < 0.5:
            words = rng.sample(words, min(len(words), rng.randint(1, 5)))
        return " ".join(words).rstrip(".:") + rng.choice((": ", " ", ". "))

    def _structure(self, rng: random.Random) -> Batch:
        axis = rng.choice([name for name in ("intent", "intent", "topic", "domain") if name in self.wordings.axes])
        requests = self.material.requests if axis != "topic" else np.empty(0, dtype=np.int64)
        rows = self._corpus_rows(rng, instruction_tokens=12)
        if len(requests) > len(rows):
            count = max(32, self.settings.tokens // 27)  # requests are short: 15 tokens and 12 of the instruction
            rows = np.unique(requests[np.random.default_rng(rng.getrandbits(64)).integers(len(requests), size=count)])
        draw = self._drawer(axis, rng, TEXT_TYPES if axis == "topic" else ("utterance", "query", "request", "message"))
        return self._distilled(f"structure:{axis}", rows, _spread(rng, len(rows), draw))

    def _distilled(self, name: str, rows: NDArray[np.int64], instructions: Sequence[str]) -> Batch:
        pairs = [(instruction, self.material.texts[row]) for instruction, row in zip(instructions, rows, strict=True)]
        return Batch(pairs=pairs, loss=self._distillation(self._teacher(rows), name), name=name)

    def _distillation(self, target: Tensor, name: str) -> Loss:
        return distillation(
            target,
            name=name.partition(":")[0],
            temperature=self.settings.distillation_temperature,
            cosine_weight=self.settings.cosine_weight,
        )

    def _teacher(self, rows: NDArray[np.int64]) -> Tensor:
        vectors = torch.from_numpy(self.material.embeddings[rows].astype(np.float32))
        return F.normalize(vectors, dim=-1)  # float16 has rounded the length

    def _corpus_rows(self, rng: random.Random, *, instruction_tokens: int) -> NDArray[np.int64]:
        """Draw distinct corpus lines: half of the time of like length (little padding), else half from one topic.

        Texts of one topic are each other's near neighbours, which is where similarity is decided.
        """
        numbers = np.random.default_rng(rng.getrandbits(64))
        material = self.material
        if rng.random() < 0.5:
            window = min(6000, len(material.texts))
            start = rng.randrange(len(material.texts) - window + 1)
            candidates = numbers.permutation(material.by_length[start : start + window])
        else:
            topic = numbers.permutation(rng.choice(material.by_topic))[:400]
            anywhere = numbers.integers(len(material.texts), size=len(topic))
            candidates = numbers.permutation(np.unique(np.concatenate([topic, anywhere])))
        tokens = np.minimum(material.lengths[candidates], 360) // 4 + 2 + instruction_tokens
        count = int(np.searchsorted(np.cumsum(tokens), self.settings.tokens))
        rows: NDArray[np.int64] = candidates[: max(2, min(count, 512))]
        return rows

    # ---- supervised tasks ---------------------------------------------------------------------------------------

    def _labels(self, rng: random.Random) -> Batch:
        task = _pick(self._labelled, rng)
        chosen = task.sample(rng, self._n_texts(task.texts, rng, 12))
        labels = task.labels[chosen]
        classes = [task.classes[label] for label in np.unique(labels)] if task.classes else []
        draw = self._drawer(task.axis, rng, task.text_types, classes)
        pairs = list(zip(_spread(rng, len(chosen), draw), [task.texts[i] for i in chosen], strict=True))
        structure = None
        if task.axis in CONTENT_AXES and bool((task.rows[chosen] >= 0).any()):
            structure = self._kept(task.rows[chosen], task.axis)
        loss = supervised_contrast(
            torch.from_numpy(labels),
            temperature=self.settings.contrast_temperature,
            structure=structure,
            inside_classes=task.axis != "intent",
        )
        return Batch(pairs=pairs, loss=loss, name=f"labels:{task.axis}")

    def _triplet(self, rng: random.Random) -> Batch:
        task = _pick(self._triplets, rng)
        count = self._n_texts([*task.texts[:100], *task.positives[:100]], rng, 12) // 3
        chosen = rng.sample(range(len(task.texts)), min(count, len(task.texts)))
        columns = (task.texts, task.positives, task.negatives)
        texts = [column[i] for column in columns for i in chosen]
        pairs = list(zip(_spread(rng, len(texts), self._drawer(task.axis, rng, task.text_types)), texts, strict=True))
        structure = None
        if task.axis in CONTENT_AXES:
            structure = self._kept(task.rows[:, chosen].reshape(-1), task.axis)
        loss = triplet_contrast(
            temperature=self.settings.contrast_temperature,
            many_classes=task.n_classes >= MANY_CLASSES,
            structure=structure,
        )
        return Batch(pairs=pairs, loss=loss, name=f"triplets:{task.axis}")

    def _pairs(self, rng: random.Random) -> Batch:
        tasks = self.material.pairs
        task = rng.choices(tasks, [task.weight for task in tasks])[0]
        sides = [text for _, text in (*task.left[:100], *task.right[:100])]
        count = min(160, self._n_texts(sides, rng, 8) // 2, len(task.left))
        chosen = rng.sample(range(len(task.left)), count)
        left, right = [task.left[i] for i in chosen], [task.right[i] for i in chosen]
        kind = rng.random()
        if task.symmetric and kind < 0.3:
            instruction = self.wordings.neutral(rng)
            left, right = [(instruction, text) for _, text in left], [(instruction, text) for _, text in right]
        elif kind < 0.6:
            left, right = [("", text) for _, text in left], [("", text) for _, text in right]
        same = np.zeros((count, count), dtype=bool)
        for side in (left, right):
            codes = np.unique([text for _, text in side], return_inverse=True)[1]
            same |= codes[:, None] == codes[None, :]
        np.fill_diagonal(same, False)
        loss = pair_contrast(torch.from_numpy(same), temperature=self.settings.distillation_temperature)
        return Batch(pairs=[*left, *right], loss=loss, name="pairs")

    def _wordings(self, rng: random.Random) -> Batch:
        task = _pick(self._labelled, rng)
        if rng.random() < 0.6:
            texts = [task.texts[i] for i in task.sample(rng, self._n_texts(task.texts, rng, 14))]
        else:
            texts = [self.material.texts[row] for row in self._corpus_rows(rng, instruction_tokens=14)]
        text_type = rng.choice(task.text_types)
        assert self.known is not None  # the builder is not offered without it
        goal = self.known.encode([(plain_wording(task.axis, text_type), text) for text in texts])
        free = [
            self.wordings.draw(task.axis, rng, text_type=text_type) for _ in range(rng.choice((1, 4, 16, len(texts))))
        ]
        pairs: list[Pair] = [(rng.choice(free), text) for text in texts]
        return Batch(pairs=pairs, loss=self._distillation(torch.from_numpy(goal), "wordings"), name="wordings")

    # ---- instructions and sizes ---------------------------------------------------------------------------------

    def _drawer(
        self, axis: str, rng: random.Random, text_types: Sequence[str], classes: Sequence[str] = ()
    ) -> Callable[[], str]:
        return lambda: self.wordings.draw(axis, rng, text_type=rng.choice(text_types), classes=classes)

    def _n_texts(self, texts: Sequence[str], rng: random.Random, instruction_tokens: int) -> int:
        """Number of texts like these that fill a batch."""
        few = [texts[rng.randrange(len(texts))] for _ in range(40)]
        mean = sum(min(len(text), 360) for text in few) / len(few) / 4 + 2
        return max(8, min(384, int(self.settings.tokens / (mean + instruction_tokens))))

    def _kept(self, rows: NDArray[np.int64], axis: str) -> Structure:
        # The teacher tells intents apart finely, and coarse labels would merge them: they count double.
        return Structure(
            embeddings=self._teacher(np.maximum(rows, 0)),
            known=torch.from_numpy(rows >= 0),
            weight=self.settings.structure_weight * (2 if axis == "intent" else 1),
        )


def _by_axis(tasks: Sequence[T], wordings: TrainingWordings) -> dict[str, list[T]]:
    """Group tasks by their axis; an axis that no instruction can ask for cannot be trained."""
    groups: dict[str, list[T]] = {}
    for task in tasks:
        if task.axis in wordings.axes:
            groups.setdefault(task.axis, []).append(task)
    return groups


def _pick(groups: Mapping[str, list[T]], rng: random.Random) -> T:
    """Choose an axis by its weight, then one of its tasks by theirs."""
    axes = list(groups)
    axis = rng.choices(axes, [AXIS_WEIGHTS.get(axis, OTHER_AXIS_WEIGHT) for axis in axes])[0]
    tasks = groups[axis]
    return rng.choices(tasks, [task.weight for task in tasks])[0]


def _spread(rng: random.Random, count: int, draw: Callable[[], str]) -> list[str]:
    """Return an instruction for each of ``count`` texts: one for all, a few mixed, or a different one in every row.

    Mixed ones make texts of a class attract each other across wordings.
    """
    form = rng.random()
    if form < 0.5:
        return [draw()] * count
    if form < 0.75:
        few = [draw() for _ in range(rng.randint(2, 5))]
        return [rng.choice(few) for _ in range(count)]
    return [draw() for _ in range(count)]
