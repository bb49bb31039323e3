"""What tells that a run is being lost: attention scores, the usual length of gradients, steps that were left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import torch
from torch import Tensor

EVERY = 20  # steps between two looks: reading a number waits for the GPU
_KEPT = 200  # gradient lengths from which the usual one is told
_WILD = 30.0  # times the usual length
_LEFT_OUT = 0.25  # share of the last steps
_LEAST_SCORE = 200.0


@dataclass(eq=False)
class Watch:
    """Gradient lengths of the last steps (infinite for a step that was left out) and what follows from them.

    A gradient that is many times the usual one is left out, and a run whose usual one has become so long is lost.
    Limits are relative: a fixed one would stop every step of a run whose gradients are longer by nature. What clipping
    has not to shorten is never wild.
    """

    norms: list[float] = field(default_factory=list)
    usual: float = math.inf  # the lowest median so far
    limit: float = math.inf

    def is_wild(self, norm: Tensor) -> Tensor:
        """Whether a step is to be left out, as a tensor: nothing waits for it."""
        return ~(norm <= min(self.limit, torch.finfo(torch.float32).max))

    def median(self) -> float:
        """Median length of the last gradients that were followed."""
        return median([norm for norm in self.norms[-EVERY:] if math.isfinite(norm)] or [math.inf])

    def add(self, norms: Sequence[float], steps: int, clip_norm: float) -> None:
        """Take in the lengths up to a step; the limit changes at fixed steps, so that a resumed run has the same."""
        self.norms = [*self.norms, *norms][-_KEPT:]
        followed = [norm for norm in self.norms if math.isfinite(norm)]
        if steps % EVERY == 0 and len(followed) >= EVERY:
            self.usual = min(self.usual, self.median())
            self.limit = _WILD * max(median(followed), clip_norm)

    def trouble(self, scores: Sequence[float], max_score: float, clip_norm: float) -> str:
        """Say what is wrong, or nothing."""
        recent = self.norms[-EVERY:]
        left_out = sum(not math.isfinite(norm) for norm in recent)
        if left_out >= _LEFT_OUT * len(recent) and left_out:
            return f"{left_out} of the last {len(recent)} steps had no finite loss or a gradient far beyond the usual"
        if self.median() > _WILD * max(self.usual, clip_norm):
            return f"the median gradient has length {self.median():.1f}, once it was {self.usual:.2f}"
        if not max(scores) <= max_score:
            block, score = scores.index(max(scores)), max(scores)
            return f"an attention score of block {block} is {score:.0f} (limit {max_score:.0f})"
        return ""


def score_limit(scores: Sequence[float], max_score: float | None) -> float:
    """Return the highest score that a run may have which starts with these."""
    return max(_LEAST_SCORE, 4 * max(scores)) if max_score is None else max_score
