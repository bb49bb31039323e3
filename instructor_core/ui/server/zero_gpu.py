"""ZeroGPU: a Space that lends a GPU for seconds to functions that its `spaces` package has wrapped.

A visitor has minutes of it a day. So the bundled checkpoint stays on the CPU and spends none; a checkpoint of the hub
is lent a GPU for as long as its number of tokens may take. What `spaces` 0.51 does decides the form: a Space without a
wrapped function at its start is refused; a wrapped function runs in a forked process, kept for a while, to which
arguments and results are copied; and CUDA is emulated outside of it in the main thread alone. So each checkpoint is
wrapped before the start, loads its weights where the GPU is, and has a twin on the CPU that tells widths and tokens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from instructor_core.cache import OnDevice
from instructor_core.errors import UserError
from instructor_core.hub import Checkpoint

if TYPE_CHECKING:
    from instructor_core.families import EmbeddingModel

SPEED = 64  # of costs in the queue: each loan waits for a GPU, so slices are large
# Not measured on a GPU, and generous: a run that outlasts what it declared is ended. Unused seconds are not charged.
START_S = 5
READ_BYTES_PER_S = 5e8
OPERATIONS_PER_S = 5e12
BYTES_PER_PARAMETER = 4
MAX_S = 60  # what a function without a duration declares


def gpu_of(environment: Mapping[str, str] = os.environ) -> Callable[..., Any] | None:
    """Return `spaces.GPU` on ZeroGPU, else None; call it before CUDA is used."""
    if environment.get("SPACES_ZERO_GPU", "").lower() not in ("1", "t", "true"):
        return None
    wrap: Callable[..., Any] = import_module("spaces").GPU
    return wrap


def seconds(n_tokens: int, n_parameters: int) -> int:
    """Seconds to declare for a run: the start, reading the weights, two operations per parameter and token."""
    reading = n_parameters * BYTES_PER_PARAMETER / READ_BYTES_PER_S
    return int(min(MAX_S, np.ceil(START_S + reading + 2 * n_parameters * n_tokens / OPERATIONS_PER_S)))


def lend(gpu: Callable[..., Any], checkpoint: Checkpoint, dtype: str, *, device: str = "cuda") -> OnDevice:
    """Return what binds a function to the model of a checkpoint on a borrowed GPU."""
    loaded: list[EmbeddingModel] = []  # in the process that has the GPU

    def declare(n_tokens: int, *_: Any) -> int:
        return seconds(n_tokens, checkpoint.n_parameters)

    def work(_: int, function: Callable[..., Any], *arguments: Any) -> Any:
        import torch

        from instructor_core.encoder import EncoderError
        from instructor_core.families import open_checkpoint

        if not loaded:
            torch.set_num_threads(1)  # OpenMP's threads do not survive a fork
            loaded.append(open_checkpoint(checkpoint.source, device, dtype, revision=checkpoint.revision))
        try:
            return function(loaded[0], *arguments)
        except (UserError, EncoderError) as error:  # raised there, only its type would arrive
            return error

    borrowed = gpu(duration=declare)(work)

    def bind(function: Callable[..., Any], twin: EmbeddingModel) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            try:
                answer = borrowed(count_tokens(twin, *arguments), function, *arguments)
            except gr.Error as error:  # no GPU is free, or the visitor's minutes are used up: in words, by `spaces`
                raise UserError(str(error.message)) from error
            if isinstance(answer, Exception):
                raise answer
            return answer

        return run

    return bind


def count_tokens(model: EmbeddingModel, given: Any, deep: bool = False) -> int:
    """Tokens of pairs, each cut off at the window, or of states ``(..., h)``; those of every layer count four times."""
    if isinstance(given, np.ndarray):
        return int(np.prod(given.shape[:-1]))
    counts = model.count_tokens([instruction + text for instruction, text in given])
    return (4 if deep else 1) * sum(min(count + 1, model.max_seq_length) for count in counts)
