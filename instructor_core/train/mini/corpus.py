"""The lines of a run's texts that distillation draws from, and the teacher's vectors of all of them."""

from __future__ import annotations

import random
import re

import numpy as np
from numpy.typing import NDArray

from instructor_core.train.mini.material import Material
from instructor_core.train.mini.taught import Taught
from instructor_core.train.mini.topics import Topics

_LONGEST = 360  # characters of a text that count: the rest is cut off as tokens
_MOST_TEXTS = 768
_REQUEST_START = re.compile(
    r"(i|i'd|i'm|i've|my|can|could|would|will|do|does|did|is|are|how|what|when|where|which|who|why|please|tell|show|give"
    r"|find|help|book|cancel|set|remind|change|check|get|make|call|send)\b",
    re.IGNORECASE,
)

Rows = NDArray[np.int64]


class Corpus:
    """Draws lines of the corpus; `lengths`, `topics` and `vectors` are of all texts of the material."""

    def __init__(self, material: Material, taught: Taught, tokens: int) -> None:
        lines = material.lines
        self._embeddings, self._lines, self._tokens = taught.embeddings, lines, tokens
        self.lengths = np.fromiter(map(len, material.texts), dtype=np.int32, count=len(material.texts))
        found = taught.topics
        self.topics = Topics(found.fine[lines], found.coarse[lines], found.confidence[lines], found.centres)
        self.n = material.n_corpus
        self.mean_length = float(np.minimum(self.lengths[: self.n], _LONGEST).mean())
        self._by_length = np.argsort(self.lengths[: self.n], kind="stable")
        order = np.argsort(self.topics.fine[: self.n], kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(self.topics.fine[order])) + 1)
        self._by_topic = [part for part in parts if len(part) > 1] or [order]
        # What reads like something said to a service: short questions, wishes and orders.
        requests = [
            row
            for row in np.flatnonzero((self.lengths[: self.n] > 15) & (self.lengths[: self.n] < 160)).tolist()
            if material.texts[row].endswith("?") or _REQUEST_START.match(material.texts[row])
        ]
        self._requests = np.asarray(requests or range(self.n), dtype=np.int64)
        # A part of the texts has a part of the lines that the nouns were found in.
        places = np.searchsorted(lines, taught.noun_rows).clip(max=len(lines) - 1)
        self.noun_rows = [row[lines[row] == wanted] for row, wanted in zip(places, taught.noun_rows, strict=True)]
        self.noun_cosines = taught.noun_vectors @ taught.noun_vectors.T

    def vectors(self, rows: Rows) -> NDArray[np.float16]:
        """Return the teacher's embeddings (n, D) of some texts."""
        vectors: NDArray[np.float16] = self._embeddings[self._lines[rows]]
        return vectors

    def draw(
        self, rng: random.Random, numbers: np.random.Generator, *, instruction_tokens: int, requests: bool = False
    ) -> Rows:
        """Draw distinct lines that fill a batch: of like length, or one to three topics and as many from anywhere.

        Texts of one topic are each other's near neighbours, which is where similarity is decided.
        """
        if requests:
            drawn = np.unique(self._requests[numbers.integers(len(self._requests), size=_MOST_TEXTS)])
        elif rng.random() < 0.45:
            window = min(6000, self.n)
            start = rng.randrange(self.n - window + 1)
            drawn = self._by_length[start + np.unique(numbers.integers(window, size=2 * _MOST_TEXTS))]
        else:
            parts = [numbers.integers(self.n, size=_MOST_TEXTS)]
            for _ in range(rng.choice((1, 2, 2, 3))):
                topic = rng.choice(self._by_topic)
                parts.append(topic[numbers.integers(len(topic), size=_MOST_TEXTS // 3)])
            drawn = np.unique(np.concatenate(parts))
        drawn = numbers.permutation(drawn)
        tokens = np.minimum(self.lengths[drawn], _LONGEST) // 4 + 2 + instruction_tokens
        count = int(np.searchsorted(np.cumsum(tokens), self._tokens))
        rows: Rows = drawn[: max(2, min(count, _MOST_TEXTS))]
        return rows
