"""What a training run consumes: batches of (instruction, text) pairs, each with the loss that judges them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from instructor_core.encoder import Pair

Loss = Callable[[Tensor], tuple[Tensor, dict[str, float]]]
"""Unit-length embeddings ``(N, D)`` float32, in the order of ``Batch.pairs`` -> scalar loss, values to report."""


@dataclass(frozen=True, eq=False)
class Batch:
    """One step of training.

    Attributes:
        pairs: ``N`` pairs (instruction, text); the instruction is joined to the text as it stands.
        loss: Called once with the ``(N, D)`` embeddings of the pairs, in their order.
        name: The task, for the log.
    """

    pairs: Sequence[Pair]
    loss: Loss
    name: str


class BatchSource(Protocol):
    """Where batches come from."""

    def batch(self, step: int) -> Batch:
        """Return the batch of a step.

        A pure function of the step and of what the source was built from (its seed included): nothing else is
        remembered, so that a run which was stopped goes on with exactly the batches that it would have had.
        """
        ...
