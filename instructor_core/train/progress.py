"""How far a run is, and the lines that tell it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from instructor_core.train.settings import TrainingSettings

_MEMORY = 0.98  # of the running means in the log: about the last 50 reports of a value


@dataclass(eq=False)
class Progress:
    """What a state on disk holds besides weights and optimizer; ``rate`` is halved at each of the ``returns``."""

    step: int = 0
    tokens: int = 0
    padded: int = 0
    seconds: float = 0.0
    rate: float = 1.0
    returns: int = 0
    means: dict[str, float] = field(default_factory=dict)
    watch: dict[str, Any] = field(default_factory=dict)

    def add(self, values: dict[str, float]) -> None:
        """Bring the running means up to date."""
        for name, value in values.items():
            self.means[name] = _MEMORY * self.means.get(name, value) + (1 - _MEMORY) * value


class Pace:
    """Lines of progress: rates since the last line, the remaining time by all steps of this process."""

    def __init__(self, settings: TrainingSettings, progress: Progress, done: float) -> None:
        self._settings, self._progress = settings, progress
        self._began = progress.seconds, done
        self._last = progress.tokens, progress.padded, progress.seconds, 0.0

    def line(self, *, seconds: float, waited: float, done: float, rate: float, norm: float, scores: list[float]) -> str:
        """Return the line for now, after so many seconds in all, of which the run has waited for batches."""
        progress, settings = self._progress, self._settings
        now = progress.tokens, progress.padded, seconds, waited
        tokens, padded, spent, idle = (new - old for new, old in zip(now, self._last, strict=True))
        self._last = now
        spent = max(spent, 1e-9)
        left = (seconds - self._began[0]) / max(1e-9, done - self._began[1]) * (1 - done)
        clock = f"{int(left // 3600)}:{int(left // 60) % 60:02}:{int(left) % 60:02}"
        where = f"{progress.step}/{settings.n_steps}" if settings.n_steps else f"{progress.step} ({done:.0%})"
        parts = [
            f"step {where}",
            f"{tokens / spent:,.0f} tokens/s ({padded / spent:,.0f} padded)",
            *([f"waited {idle / spent:.0%}"] if settings.prepare_processes else []),
            f"{clock} left",
            f"rate x{rate:.3f}",
            f"norm {norm:.2f}",
            "scores " + " ".join(f"{score:.0f}" for score in scores),
            _list({name: value for name, value in progress.means.items() if name != "gradient"}),
        ]
        return "  ".join(parts)


def _list(values: Mapping[str, float]) -> str:
    """``labels contrast 0.64 anchors 2.04  plain cosine 0.78``: names of one kind stand together."""
    kinds: dict[str, list[str]] = {}
    for name, value in values.items():
        kind, _, rest = name.partition(" ")
        kinds.setdefault(kind, [kind]).append(f"{rest} {value:.2f}".strip())
    return "  ".join(" ".join(parts) for parts in kinds.values())


def tell_line(line: str) -> None:
    """Print a line with the time of day to standard error."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)
