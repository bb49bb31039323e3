"""How to train: the numbers of a run and the learning rate of each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from instructor_core.errors import UserError

# Numbers may be 0 and more, or 1 and more; shares are not above 1.
_FROM_ONE = ("n_steps", "seconds", "batches_per_step", "chunk_tokens", "log_every", "max_tokens")
_MOST = {"query_key_scale": 1, "decay": 1, "min_scale": 1, "average": 0.99999}


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
        n_steps: Steps in all; a resumed run counts those it has done. None if ``seconds`` is given.
        learning_rate: Highest rate of all weights but the token embeddings.
        embedding_learning_rate: Highest rate of the token embeddings; ``learning_rate`` if None.
        query_key_scale: Share of the rate that queries and keys have. T5 does not divide its attention scores: with
            large batches and a high rate these weights can grow until a block looks at one token only.
        warmup_steps: Steps over which the rate rises linearly from zero.
        decay: Share of the run, at the end, over which the rate falls.
        fall: ``"linear"`` or ``"cosine"``.
        min_scale: Share of the rate that is left at the end.
        seconds: Length of the run by the clock, in place of ``n_steps``; a resumed run counts those it has had.
        weight_decay: AdamW's, on weight matrices only, not on norms, embeddings or position biases.
        clip_norm: Longest gradient over all weights.
        max_score: A run goes back to its last state on disk, with half of the rate, when an attention score passes
            this; None for four times the highest of the start, and no less than 200.
        average: Decay of the average of the weights over the steps, which is what is evaluated and left in the model
            at the end; 0 for the weights themselves.
        bfloat16: Compute linear layers and attention in bfloat16; weights and optimizer stay float32.
        batches_per_step: Batches, each with its own loss, whose mean a step follows.
        chunk_tokens: Padded tokens per forward pass on a CPU; on a GPU a step is a single one.
        gradient_cache: Embed without keeping anything, then repeat each chunk for its gradient (Gao et al. 2021,
            arXiv 2101.06983): the same gradients in the memory of one chunk, for about a third more time.
        save_every: Steps between two states on disk; 0 for one at the end only.
        keep_copies: The last so many states are kept as weights of their own as well, ``step-000400.safetensors``.
        evaluate_every: Steps between two evaluations; 0 for one at the end only.
        log_every: Steps between two lines of progress.
        max_tokens: Tokens of a text that are kept while training; None for the checkpoint's window.
        workers: Threads among which the chunks of a step are divided; 0 chooses: as many as torch has threads for a
            small model on the CPU, else one.
        prepare_processes: Processes that draw and tokenize batches ahead of the step; 0 does it in between.
        seed: Seeds torch; batches have their own.

    Raises:
        UserError: If a number is out of its range.
    """

    n_steps: int | None = None
    learning_rate: float = 2e-5
    embedding_learning_rate: float | None = None
    query_key_scale: float = 1.0
    warmup_steps: int = 0
    decay: float = 1.0
    fall: str = "linear"
    min_scale: float = 0.0
    seconds: float | None = None
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    max_score: float | None = None
    average: float = 0.0
    bfloat16: bool = True
    batches_per_step: int = 1
    chunk_tokens: int = 768
    gradient_cache: bool = False
    save_every: int = 500
    keep_copies: int = 0
    evaluate_every: int = 0
    log_every: int = 20
    max_tokens: int | None = None
    workers: int = 0
    prepare_processes: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        for name, value in vars(self).items():
            low, high = int(name in _FROM_ONE), _MOST.get(name, math.inf)
            if name != "seed" and isinstance(value, int | float) and not low <= value <= high:
                raise UserError(f"{name} must be at least {low} and at most {high}: got {value}. Change it.")
        if (self.n_steps is None) == (self.seconds is None):
            raise UserError(
                f"A run ends by its steps or by the clock: got n_steps={self.n_steps} and seconds={self.seconds}. "
                "Give one of them."
            )
        if self.fall not in ("linear", "cosine"):
            raise UserError(f'fall must be "linear" or "cosine": got {self.fall!r}. Change it.')

    def done(self, step: int, seconds: float) -> float:
        """Return the share of the run, 0 to 1, that is over after so many steps and seconds."""
        share = step / self.n_steps if self.n_steps is not None else seconds / (self.seconds or 1)
        return min(1.0, share)

    def scale(self, step: int, done: float) -> float:
        """Return the share of the highest learning rate at a step, counted from 0, with that share of the run over."""
        rise = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        left = min(1.0, (1 - done) / self.decay) if self.decay else 1.0
        fall = left if self.fall == "linear" else (1 - math.cos(math.pi * left)) / 2
        return rise * max(self.min_scale, fall)
