"""Pairs to tokens, exactly as inference makes them, and to chunks of like length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from instructor_core.encoder import InstructorModel, Pair, read_pairs

# Lengths are padded up to a multiple, and a chunk's number of rows is the same for the same length. The first pass of
# a shape costs up to half as much again: oneDNN compiles its products for every shape, and keeps about a thousand.
_MULTIPLE = 4


@dataclass(frozen=True, eq=False)
class Tokens:
    """Token ids of N pairs, each ending with ``</s>``, and how many leading ones, the instruction's, are masked."""

    ids: list[list[int]]
    masked: list[int]

    @property
    def n_tokens(self) -> int:
        """Number of tokens, instructions and ``</s>`` included, padding not."""
        return sum(map(len, self.ids))


@dataclass(frozen=True, eq=False)
class Chunk:
    """Pairs that go through the network together: (b,) positions in the batch, (b', n) ids, (b',) numbers of tokens.

    Rows from ``b`` on repeat the last one and count for nothing; ``masked`` leading tokens stay out of the mean.
    """

    rows: Tensor
    input_ids: Tensor
    lengths: Tensor
    masked: Tensor


def tokenize(model: InstructorModel, pairs: Sequence[Pair], *, max_tokens: int | None = None) -> Tokens:
    """Tokenize pairs as ``InstructorModel`` does, keeping ``max_tokens`` of a text, or what the window holds."""
    prepared = model.prepare(read_pairs(pairs))
    ids = [item.ids for item in prepared]
    masked = [item.pooled.start for item in prepared]
    if max_tokens is not None:
        # </s> stands behind the text and is kept.
        limits = [count + max_tokens for count in masked]
        ids = [row if len(row) <= most + 1 else [*row[:most], row[-1]] for row, most in zip(ids, limits, strict=True)]
    return Tokens(ids, masked)


def chunks(tokens: Tokens, *, chunk_tokens: int, pad: int, device: torch.device) -> list[Chunk]:
    """Split pairs into chunks of like length, longest first, of so many padded tokens, or a longer pair of its own."""
    order = sorted(range(len(tokens.ids)), key=lambda i: -len(tokens.ids[i]))
    out = []
    start = 0
    while start < len(order):
        width = _up(len(tokens.ids[order[start]]))
        most = max(1, chunk_tokens // width)
        most = most // _MULTIPLE * _MULTIPLE or most
        rows = order[start : start + most]
        start += len(rows)
        filled = rows + rows[-1:] * (min(most, _up(len(rows))) - len(rows))
        input_ids = np.full((len(filled), width), pad, dtype=np.int64)
        for line, row in enumerate(filled):
            input_ids[line, : len(tokens.ids[row])] = tokens.ids[row]
        lengths = [len(tokens.ids[row]) for row in filled]
        parts: list[NDArray[np.int64]] = [
            np.asarray(part, dtype=np.int64) for part in (rows, input_ids, lengths, [tokens.masked[i] for i in filled])
        ]
        out.append(Chunk(*(torch.from_numpy(part).to(device) for part in parts)))
    return out


def _up(n: int) -> int:
    return -(-n // _MULTIPLE) * _MULTIPLE
