"""How to train: the numbers of a run and the learning rate of each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from instructor_core.errors import UserError

_RANGES: dict[str, tuple[float, float]] = {
    "n_steps": (1, math.inf),
    "learning_rate": (0, math.inf),
    "embedding_learning_rate": (0, math.inf),
    "warmup_steps": (0, math.inf),
    "decay": (0, 1),
    "min_scale": (0, 1),
    "weight_decay": (0, math.inf),
    "clip_norm": (0, math.inf),
    "chunk_tokens": (1, math.inf),
    "save_every": (0, math.inf),
    "evaluate_every": (0, math.inf),
    "log_every": (1, math.inf),
    "max_tokens": (1, math.inf),
    "workers": (0, math.inf),
}


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
        n_steps: Steps in all; a resumed run counts those it has done.
        learning_rate: Highest rate of all weights but the token embeddings.
        embedding_learning_rate: Highest rate of the token embeddings; ``learning_rate`` if None.
        warmup_steps: Steps over which the rate rises linearly from zero.
        decay: Share of the steps, at the end, over which the rate falls linearly.
        min_scale: Share of the rate that is left at the end.
        weight_decay: AdamW's, on weight matrices only, not on norms, embeddings or position biases.
        clip_norm: Longest gradient over all weights.
        bfloat16: Compute linear layers and attention in bfloat16; weights and optimizer stay float32.
        chunk_tokens: Padded tokens per forward pass.
        gradient_cache: Embed without keeping anything, then repeat each chunk for its gradient (Gao et al. 2021,
            arXiv 2101.06983): the same gradients in the memory of one chunk, for about a third more time.
        save_every: Steps between two states on disk; 0 for one at the end only.
        evaluate_every: Steps between two evaluations; 0 for one at the end only.
        log_every: Steps between two lines of progress.
        max_tokens: Tokens of a text that are kept while training; None for the checkpoint's window.
        workers: Threads among which the chunks of a step are divided; 0 chooses: as many as torch has threads for a
            small model on the CPU, else one.
        seed: Seeds torch; batches have their own.

    Raises:
        UserError: If a number is out of its range.
    """

    n_steps: int
    learning_rate: float = 2e-5
    embedding_learning_rate: float | None = None
    warmup_steps: int = 0
    decay: float = 1.0
    min_scale: float = 0.0
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    bfloat16: bool = True
    chunk_tokens: int = 768
    gradient_cache: bool = False
    save_every: int = 500
    evaluate_every: int = 0
    log_every: int = 20
    max_tokens: int | None = None
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UserError(f"{name} must be at least {low} and at most {high}: got {value}. Change it.")

    def scale(self, step: int) -> float:
        """Return the share of the highest learning rate at a step, counted from 0."""
        rise = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        falling = self.decay * self.n_steps
        fall = min(1.0, (self.n_steps - step) / falling) if falling else 1.0
        return rise * max(self.min_scale, fall)
