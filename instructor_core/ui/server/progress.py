"""Generators that report on their way: how long work tells a visitor what is done and left, and can be stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.cache import CachedEncoder, Progress

Step = TypeVar("Step")
Shown = TypeVar("Shown")
Result = TypeVar("Result")


def describe(steps: Generator[Step, None, Result], describe: Callable[[Step], Shown]) -> Generator[Shown, None, Result]:
    """Yield a description of everything a generator yields, and return what it returns."""
    with closing(steps):
        try:
            while True:
                yield describe(next(steps))
        except StopIteration as stop:
            result: Result = stop.value
            return result


def finish(steps: Generator[Any, None, Result]) -> Result:
    """Return what a generator returns, whatever it reports on the way."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result


def rate_line() -> Callable[[Progress], str]:
    """Return a function that says how many pairs are done, how fast, and how long the rest will take."""
    started = time.monotonic()

    def describe(progress: Progress) -> str:
        rate = max(1, progress.done) / max(1e-3, time.monotonic() - started)
        left = (progress.total - progress.done) / rate
        words = f"{progress.done} of {progress.total} pairs · {rate:.0f} per s · {left:.0f} s left"
        if progress.n_others <= 0:
            return words
        return f"{words} · shared with {progress.n_others} other request{'s' if progress.n_others > 1 else ''}"

    return describe


def encode_grid(
    encoder: CachedEncoder, instructions: Sequence[str], texts: Sequence[str], labels: tuple[str, ...] | None = None
) -> Generator[str, None, EmbeddingGrid]:
    """Embed every text under every instruction, yielding lines of progress; returns the grid."""
    pairs = [(instruction, text) for instruction in instructions for text in texts]
    vectors: NDArray[np.float32] = yield from describe(encoder.encode_steps(pairs), rate_line())
    shape = (len(instructions), len(texts), vectors.shape[1])
    return EmbeddingGrid(tuple(instructions), tuple(texts), labels, vectors.reshape(shape))
