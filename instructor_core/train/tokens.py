"""Pairs to tokens, exactly as inference makes them, and to chunks of like length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from instructor_core.encoder import InstructorModel, Pair, read_pairs

# Lengths are padded up to a multiple, and a chunk's number of rows is the same for the same length. The first pass of
# a shape costs up to half as much again: oneDNN compiles its products for every shape, and keeps about a thousand.
MULTIPLE = 4
_MOST_WORDS = 400_000  # kept; then the memory of words begins anew
_SPELLINGS = (
    "The soup was cold, and the waiter didn't care!",
    "Represent the Science title: über-naïve  café (1,250 £)",
    "a_b c/d e.g. </s> it's\u00a0x² № ﬁne",
    "",
)


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
    def joined(parts: Sequence[Tokens]) -> Tokens:
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
    """Tokenizes pairs as ``InstructorModel`` does, keeping ``max_tokens`` of a text, or what the window holds.

    T5's tokenizers cut at spaces before anything else, so the ids of a text are those of its words and a word that has
    been seen need not be cut again: twenty times faster. Whether a checkpoint's tokenizer is of that kind is tried.
    """

    def __init__(self, model: InstructorModel, max_tokens: int | None = None) -> None:
        self._model, self._max_tokens = model, max_tokens
        self._words: dict[str, list[int]] = {}
        (end,), *plain = self._ids(["", *_SPELLINGS])
        self._end = end
        plain += [item.ids for item in model.prepare([(text + " ", "") for text in _SPELLINGS])]
        self._by_word = [self._known(text) for text in _SPELLINGS * 2] == [ids[:-1] for ids in plain]

    def __call__(self, pairs: Iterable[Pair]) -> Tokens:
        """Tokenize the pairs of a batch."""
        read = list(read_pairs(pairs))
        if not self._by_word or not all(instruction[-1:] in ("", " ") for instruction, _ in read):
            prepared = self._model.prepare(read)
            return self._cut([item.ids[:-1] for item in prepared], [item.pooled.start for item in prepared])
        instructions = {instruction: self._known(instruction) for instruction, _ in read}
        room = self._model.max_seq_length - 1
        if any(len(ids) >= room for ids in instructions.values()):
            self._model.prepare(read)  # says what is wrong
        masked = [len(instructions[instruction]) for instruction, _ in read]
        return self._cut([instructions[instruction] + self._known(text) for instruction, text in read], masked)

    def _cut(self, rows: Sequence[list[int]], masked: list[int]) -> Tokens:
        room = self._model.max_seq_length - 1
        most = [room if self._max_tokens is None else min(room, count + self._max_tokens) for count in masked]
        rows = [[*row[:end], self._end] for row, end in zip(rows, most, strict=True)]
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        ids = np.fromiter(chain.from_iterable(rows), np.int32, int(lengths.sum()))
        return Tokens(ids, lengths, np.asarray(masked, dtype=np.int64))

    def _ids(self, strings: Sequence[str]) -> list[list[int]]:
        return [item.ids for item in self._model.prepare([("", string) for string in strings])]

    def _known(self, text: str) -> list[int]:
        """Ids of a text without ``</s>``, word by word."""
        words = text.split()
        try:
            return list(chain.from_iterable([self._words[word] for word in words]))
        except KeyError:
            if len(self._words) > _MOST_WORDS:
                self._words.clear()
            new = [word for word in dict.fromkeys(words) if word not in self._words]
            self._words.update(zip(new, (ids[:-1] for ids in self._ids(new)), strict=True))
            return [id_ for word in words for id_ in self._words[word]]


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
