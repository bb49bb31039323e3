"""The instructions of the mixture: for an axis, for two in both orders, for nothing; and how a batch shares them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from instructor_core.train.mini.shares import TEXT_TYPES
from instructor_core.train.mini.wordings import TrainingWordings

T = TypeVar("T")


class Asking:
    """Instructions that can be drawn: `absent` are axes that hardly any text says something about."""

    def __init__(self, wordings: TrainingWordings, texts: Sequence[str], absent: Sequence[str]) -> None:
        self.wordings = wordings
        self._texts = texts
        self._absent = absent

    def axis(self, axis: str, rng: random.Random, text_types: Sequence[str], classes: Sequence[str] = ()) -> str:
        """Draw an instruction for an axis."""
        return self.wordings.draw(axis, rng, text_type=rng.choice(text_types), classes=classes)

    def draw_both_orders(self, first: str, second: str, rng: random.Random) -> tuple[str, str]:
        """Draw two instructions that name both axes in the same frame: each wants what the other does not."""
        seed = rng.getrandbits(32)
        return (
            self.wordings.contrast(first, second, random.Random(seed)),
            self.wordings.contrast(second, first, random.Random(seed)),
        )

    def ask_nothing(self, rng: random.Random) -> str:
        """Draw an instruction that asks for nothing: mostly a neutral wording, or what only looks like one."""
        kind = rng.random()
        if kind < 0.74 or not self._absent:
            return self.wordings.neutral(rng, shuffled=0.06)
        if kind < 0.84:
            return self.axis(rng.choice(self._absent), rng, TEXT_TYPES)
        words = self._texts[rng.randrange(len(self._texts))].split()[:12]
        if rng.random() < 0.5:
            words = rng.sample(words, min(len(words), rng.randint(1, 5)))
        return " ".join(words).rstrip(".:") + rng.choice((": ", " ", ". "))


def spread(rng: random.Random, count: int, draw: Callable[[], T]) -> list[T]:
    """Return an instruction for each of ``count`` texts: mostly one of its own, else from a few or one for all.

    Different ones make texts of a class attract each other across wordings.
    """
    if rng.random() < 0.55:
        return [draw() for _ in range(count)]
    few = [draw() for _ in range(rng.choice((1, 2, 4, 16, 48)))]
    return rng.choices(few, k=count)
