"""What a training run consumes: batches of (instruction, text) pairs, each with the loss that judges them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from instructor_core.encoder import Pair

Loss = Callable[[Tensor], tuple[Tensor, Mapping[str, float | Tensor]]]
"""Unit-length embeddings ``(N, D)`` float32, in the order of ``Batch.pairs`` -> scalar loss, values to report.

Values may be detached tensors: they are read when a line is written, so that a GPU need not wait at every step. A loss
that is made in another process must be picklable.
"""


@dataclass(frozen=True, eq=False)
class Batch:
    """What one loss judges; a step of training has one or several.

    Attributes:
        pairs: ``N`` pairs (instruction, text); the instruction is joined to the text as it stands.
        loss: Called once with the ``(N, D)`` embeddings of the pairs, in their order.
        name: The task, for the log.
    """

    pairs: Sequence[Pair]
    loss: Loss
    name: str


class BatchSource(Protocol):
    """Where batches come from.

    A source whose ``batch`` also has a parameter ``progress`` is given the share of the run that is done, 0 to 1 in
    hundredths: for mixtures that change while a run goes on.
    """

    def batch(self, step: int) -> Batch:
        """Return a batch by its number, which is the step as long as a step has one batch.

        A pure function of the number and of what the source was built from (its seed included): nothing else is
        remembered, so that a run which was stopped goes on with exactly the batches that it would have had.
        """
        ...
