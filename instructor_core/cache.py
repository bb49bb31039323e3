"""A bounded, thread-safe cache around an encoder, keyed by content: what was encoded once is not encoded again.

One instance belongs to one loaded checkpoint and may be shared by all visitors: an entry is found only by whoever
has the same instruction and the same text.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from instructor_core.encoder import InstructorModel, TokenEncoding

Key = tuple[str, str]
Value = TypeVar("Value")
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Progress:
    """How far a request is: pairs that are ready, pairs asked for, and pairs that had to be encoded (different)."""

    done: int
    total: int
    n_new: int


class BoundedStore(Generic[Value]):
    """Least recently used entries go first once ``max_bytes`` is exceeded."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key) -> Value | None:
        """Return the entry and mark it as used, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: Key, value: Value, n_bytes: int) -> None:
        """Store an entry of a given size; one that is larger than the bound is not kept."""
        n_bytes += sys.getsizeof(key[0]) + sys.getsizeof(key[1])
        if n_bytes > self.max_bytes:
            return
        with self._lock:
            if key in self._entries:
                self.n_bytes -= self._entries.pop(key)[1]
            self._entries[key] = (value, n_bytes)
            self.n_bytes += n_bytes
            while self.n_bytes > self.max_bytes:
                self.n_bytes -= self._entries.popitem(last=False)[1][1]


class CachedEncoder:
    """Embeddings and token encodings of one checkpoint, computed when missing.

    Args:
        model: The encoder.
        embedding_bytes: Bound for embeddings in bytes.
        token_bytes: Bound for token encodings in bytes.
    """

    def __init__(
        self, model: InstructorModel, *, embedding_bytes: int = 256 * MEGABYTE, token_bytes: int = 256 * MEGABYTE
    ) -> None:
        self.model = model
        self._embeddings: BoundedStore[NDArray[np.float32]] = BoundedStore(embedding_bytes)
        self._tokens: BoundedStore[TokenEncoding] = BoundedStore(token_bytes)
        self._deep_tokens: BoundedStore[TokenEncoding] = BoundedStore(token_bytes)
        # Held for one batch at a time, so that requests of several visitors take turns.
        self._model_lock = Lock()

    @property
    def n_bytes(self) -> int:
        """Bytes held at present."""
        return self._embeddings.n_bytes + self._tokens.n_bytes + self._deep_tokens.n_bytes

    def encode_steps(self, pairs: Sequence[Key]) -> Generator[Progress, None, NDArray[np.float32]]:
        """Embed pairs in steps: yields after each batch, returns ``(N, D)`` float32 vectors, not normalised.

        A pair that occurs twice is encoded once. Closing the generator stops the work after the batch at hand; what
        was done by then stays in the cache.

        Raises:
            EncoderError: As the encoder does.
        """
        out = np.empty((len(pairs), self.model.dim), dtype=np.float32)
        places: dict[Key, list[int]] = {}
        for place, pair in enumerate(pairs):
            places.setdefault((pair[0], pair[1]), []).append(place)
        missing = []
        for key, rows in places.items():
            if (found := self._embeddings.get(key)) is None:
                missing.append(key)
            else:
                out[rows] = found
        done = len(pairs) - sum(len(places[key]) for key in missing)
        yield Progress(done, len(pairs), len(missing))
        batches = self.model.encode_batches(missing, normalize=False)
        while True:
            with self._model_lock:
                batch = next(batches, None)
            if batch is None:
                return out
            for position, vector in zip(*batch, strict=True):
                key = missing[position]
                own = vector.copy()  # a view would keep the whole batch alive
                own.setflags(write=False)
                self._embeddings.put(key, own, own.nbytes)
                out[places[key]] = own
                done += len(places[key])
            yield Progress(done, len(pairs), len(missing))

    def encode(self, pairs: Sequence[Key]) -> NDArray[np.float32]:
        """Return ``(N, D)`` float32 vectors, not normalised; as ``encode_steps`` in one go."""
        steps = self.encode_steps(pairs)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                vectors: NDArray[np.float32] = stop.value
                return vectors

    def encode_tokens(self, pairs: Sequence[Key], *, deep: bool = False) -> list[TokenEncoding]:
        """Return the token encodings of pairs, in their order.

        Args:
            pairs: ``N`` pairs (instruction, text).
            deep: With the residual stream and the attention weights of every layer.

        Raises:
            EncoderError: As the encoder does.
        """
        store = self._deep_tokens if deep else self._tokens
        found = {key: store.get(key) for key in dict.fromkeys((pair[0], pair[1]) for pair in pairs)}
        missing = [key for key, encoding in found.items() if encoding is None]
        if missing:
            with self._model_lock:
                encoded = self.model.encode_tokens(missing, layers=deep, attentions=deep)
            for key, new in zip(missing, encoded, strict=True):
                found[key] = new
                arrays = (new.hidden, new.projected, new.layers, new.attentions)
                store.put(key, new, sum(array.nbytes for array in arrays if array is not None) + 4096)
        return [encoding for pair in pairs if (encoding := found[pair[0], pair[1]]) is not None]
