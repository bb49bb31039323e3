"""Pairs to tokens, exactly as inference makes them, and to chunks of like length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from instructor_core.encoder import InstructorModel, Pair, read_pairs

# Lengths are padded up to a multiple, and a chunk's number of rows is the same for the same length. The first pass of
# a shape costs up to half as much again: oneDNN compiles its products for every shape, and keeps about a thousand.
MULTIPLE = 4


@dataclass(frozen=True, eq=False)
class Tokens:
    """N pairs one behind the other: (R,) ids, each ending with ``</s>``, (N,) lengths, (N,) leading ones masked."""

    ids: NDArray[np.int32]
    lengths: NDArray[np.int64]
    masked: NDArray[np.int64]

    def rows(self) -> list[NDArray[np.int32]]:
        """Return the ids of each pair."""
        return np.split(self.ids, np.cumsum(self.lengths)[:-1])

    @staticmethod
    def join(parts: Sequence[Tokens]) -> Tokens:
        """Put the pairs of several batches one behind the other."""
        return Tokens(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "lengths", "masked"))
        )


@dataclass(frozen=True, eq=False)
class Chunk:
    """Pairs that go through the network together: (b,) positions in the batch, (b', n) ids, (b',) numbers of tokens.

    Rows from ``b`` on repeat the last one and count for nothing; ``masked`` leading tokens stay out of the mean.
    """

    rows: Tensor
    input_ids: Tensor
    lengths: Tensor
    masked: Tensor


class PairTokenizer:
    """Tokenizes pairs as ``InstructorModel`` does, keeping ``max_tokens`` of a text, or what the window holds."""

    def __init__(self, model: InstructorModel, max_tokens: int | None = None) -> None:
        self._model, self._max_tokens = model, max_tokens

    def __call__(self, pairs: Iterable[Pair]) -> Tokens:
        """Tokenize the pairs of a batch."""
        prepared = self._model.prepare(read_pairs(pairs))
        rows = [prepared.ids[at : at + n] for at, n in zip(prepared.starts, prepared.lengths, strict=True)]
        masked = prepared.edges
        if self._max_tokens is not None:
            ends = np.minimum(masked + self._max_tokens, prepared.lengths - 1)
            rows = [np.append(row[:end], row[-1:]) for row, end in zip(rows, ends, strict=True)]
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return Tokens(np.concatenate(rows), lengths, masked)


def chunks(tokens: Tokens, *, chunk_tokens: int, pad: int, device: torch.device) -> list[Chunk]:
    """Split pairs into chunks of like length, longest first, of so many padded tokens, or a longer pair of its own."""
    ids = tokens.rows()
    order = np.argsort(-tokens.lengths, kind="stable")
    out = []
    start = 0
    while start < len(order):
        width = _up(int(tokens.lengths[order[start]]))
        most = max(1, chunk_tokens // width)
        most = most // MULTIPLE * MULTIPLE or most
        rows = order[start : start + most]
        start += len(rows)
        filled = np.concatenate([rows, np.repeat(rows[-1:], min(most, _up(len(rows))) - len(rows))])
        input_ids = np.full((len(filled), width), pad, dtype=np.int64)
        for line, row in enumerate(filled):
            input_ids[line, : tokens.lengths[row]] = ids[row]
        parts = rows, input_ids, tokens.lengths[filled], tokens.masked[filled]
        out.append(Chunk(*(torch.from_numpy(part).to(device) for part in parts)))
    return out


def _up(n: int) -> int:
    return -(-n // MULTIPLE) * MULTIPLE
