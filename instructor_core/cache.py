"""A bounded, thread-safe cache around an encoder, keyed by content: what was encoded once is not encoded again.

One instance belongs to one loaded checkpoint and may be shared by all visitors: an entry is found only by whoever
has the same instruction and the same text.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from instructor_core.errors import UserError
from instructor_core.queueing import ModelQueue

if TYPE_CHECKING:
    from instructor_core.encoder import InstructorModel, Pair, TokenEncoding
    from instructor_core.families import EmbeddingModel

Key = tuple[str, str]
Value = TypeVar("Value")
OnDevice = Callable[[Callable[..., Any], "EmbeddingModel"], Callable[..., Any]]
MEGABYTE = 1 << 20
# Costs of the queue are characters that a CPU encodes; only the order and the size of slices depend on them.
CHARACTERS_PER_TOKEN = 4
DEEP_COST = 4  # attention weights of every layer take time and memory
SPEED = {"cuda": 16}


@dataclass(frozen=True)
class Progress:
    """How far a request is."""

    done: int  # pairs that are ready
    total: int  # pairs asked for
    n_new: int  # different pairs that had to be encoded
    n_others: int = 0  # other requests that the model works on at the same time


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
    """Embeddings and token encodings of one checkpoint, computed when missing."""

    def __init__(
        self,
        model: EmbeddingModel,
        *,
        queue: ModelQueue | None = None,  # several encoders may share one; None: one of its own
        on_device: OnDevice = partial,  # binds each function that runs the model to it, perhaps to run somewhere else
        speed: int | None = None,  # how many times as fast as a CPU that is; None: as the model's own device
        max_pairs: int | None = None,  # that one request may have the model encode
        embedding_bytes: int = 256 * MEGABYTE,
        token_bytes: int = 256 * MEGABYTE,  # once as they are, once with layers and attention weights
    ) -> None:
        self.model = model
        self.queue = queue or ModelQueue()
        self.max_pairs = max_pairs
        self.speed = speed or SPEED.get(model.device.type, 1)
        self._on_device = on_device
        self._embeddings: BoundedStore[NDArray[np.float32]] = BoundedStore(embedding_bytes)
        self._tokens: BoundedStore[TokenEncoding] = BoundedStore(token_bytes)
        self._deep_tokens: BoundedStore[TokenEncoding] = BoundedStore(token_bytes)
        self._run_embed = on_device(_embed, model)
        self._run_tokens = on_device(_encode_tokens, model)
        self._run_read_out = on_device(_read_out, model)
        self._run_writes = on_device(_direct_writes, model)
        self._template = ""

    def with_template(self, template: str) -> CachedEncoder:
        """Return this encoder, its model and its cache, for pairs that are joined by another template than its own."""
        other = object.__new__(CachedEncoder)
        other.__dict__.update(self.__dict__, _template=template)
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, here or in another process, begins empty and with a queue of its own."""
        made = partial(
            CachedEncoder,
            on_device=self._on_device,
            speed=self.speed,
            max_pairs=self.max_pairs,
            embedding_bytes=self._embeddings.max_bytes,
            token_bytes=self._tokens.max_bytes,
        )
        return made, (self.model,)

    def prompts(self, instructions: Sequence[str]) -> list[str]:
        """Return what stands before a text under each instruction."""
        keys = [instruction for instruction, _ in self._read((instruction, "") for instruction in instructions)]
        template = getattr(self.model, "template", None)
        return [template.prompt(key) for key in keys] if template else keys

    @property
    def n_bytes(self) -> int:
        """Bytes held at present."""
        return self._embeddings.n_bytes + self._tokens.n_bytes + self._deep_tokens.n_bytes

    def encode_steps(self, pairs: Iterable[Pair]) -> Generator[Progress, None, NDArray[np.float32]]:
        """Embed pairs in steps, each different one once: returns ``(N, D)`` float32 vectors, not normalised.

        Closing the generator stops the work after the slice at hand; what was done by then stays in the cache.
        """
        keys = self._read(pairs)
        out = np.empty((len(keys), self.model.dim), dtype=np.float32)
        places: dict[Key, list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(key, []).append(place)
        missing = []
        for key, rows in places.items():
            if (found := self._embeddings.get(key)) is None:
                missing.append(key)
            else:
                out[rows] = found
        done = len(keys) - sum(len(places[key]) for key in missing)
        yield Progress(done, len(keys), len(missing))
        with closing(self.queue.work((self, "embed"), self._costs(missing), self._embed)) as parts:
            for part in parts:
                for key, vector in part.items():
                    out[places[key]] = vector
                    done += len(places[key])
                yield Progress(done, len(keys), len(missing), self.queue.n_requests - 1)
        return out

    def encode(self, pairs: Iterable[Pair]) -> NDArray[np.float32]:
        """Return ``(N, D)`` float32 vectors, not normalised; as ``encode_steps`` in one go."""
        steps = self.encode_steps(pairs)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                vectors: NDArray[np.float32] = stop.value
                return vectors

    def encode_tokens(self, pairs: Iterable[Pair], *, deep: bool = False) -> list[TokenEncoding]:
        """Return the token encodings of pairs, in their order; ``deep``: with layers and attention weights."""
        store = self._deep_tokens if deep else self._tokens
        keys = self._read(pairs)
        found = {key: store.get(key) for key in dict.fromkeys(keys)}
        missing = [key for key, encoding in found.items() if encoding is None]
        costs = self._costs(missing, factor=DEEP_COST if deep else 1)
        run = partial(self._encode_tokens, deep=deep)
        for part in self.queue.work((self, "deep" if deep else "tokens"), costs, run):
            found.update(part)
        return [encoding for key in keys if (encoding := found[key]) is not None]

    def read_out(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Apply the final norm and the linear layer to residual states ``(..., h)``: ``(..., D)`` float32."""
        read: NDArray[np.float32] = self._in_turn(partial(self._run_read_out, states))
        return read

    def direct_writes(self, encoding: TokenEncoding, groups: NDArray[np.bool_]) -> tuple[NDArray[np.float32], ...]:
        """Return what wrote a deep encoding's embedding: see ``direct_writes.py``."""
        if hasattr(self.model, "template"):
            raise UserError(
                "Who wrote a cosine is known of INSTRUCTOR's T5 alone, whose blocks only add to one stream. For this "
                "checkpoint 'where it enters' shows its layers."
            )
        writes: tuple[NDArray[np.float32], ...] = self._in_turn(partial(self._run_writes, encoding, groups))
        return writes

    def _in_turn(self, run: Callable[[], Any]) -> Any:
        """The result of one small piece of work, which waits for its turn at the model."""
        results = self.queue.work(object(), {0: 1}, lambda _: [run()])
        return next(part[0] for part in results if part)

    def _read(self, pairs: Iterable[Pair]) -> list[Key]:
        from instructor_core.encoder import read_pairs  # brings PyTorch, which is there as soon as there is a model

        keys = list(read_pairs(pairs))
        if self._template:
            from instructor_core.families.templates import fill

            return [(fill(self._template, instruction), text) for instruction, text in keys]
        return keys

    def _costs(self, pairs: Sequence[Key], *, factor: int = 1) -> dict[Key, int]:
        if self.max_pairs is not None and len(pairs) > self.max_pairs:
            raise UserError(
                f"A request may have {self.max_pairs} new pairs of instruction and text: this one has {len(pairs)}. "
                "Take fewer texts or fewer instructions at a time."
            )
        window = CHARACTERS_PER_TOKEN * self.model.max_seq_length
        return {pair: 1 + factor * min(len(pair[0]) + len(pair[1]), window) // self.speed for pair in pairs}

    def _embed(self, pairs: list[Key]) -> list[NDArray[np.float32]]:
        vectors = []
        for key, row in zip(pairs, self._run_embed(pairs), strict=True):
            own = row.copy()  # a view would keep the whole slice alive
            own.setflags(write=False)
            self._embeddings.put(key, own, own.nbytes)
            vectors.append(own)
        return vectors

    def _encode_tokens(self, pairs: list[Key], *, deep: bool) -> list[TokenEncoding]:
        store = self._deep_tokens if deep else self._tokens
        encoded: list[TokenEncoding] = self._run_tokens(pairs, deep)
        for key, new in zip(pairs, encoded, strict=True):
            arrays = (new.hidden, new.projected, new.layers, new.attentions)
            store.put(key, new, sum(array.nbytes for array in arrays if array is not None) + 4096)
        return encoded


def _embed(model: EmbeddingModel, pairs: list[Key]) -> NDArray[np.float32]:
    return model.encode(pairs, normalize=False)


def _encode_tokens(model: EmbeddingModel, pairs: list[Key], deep: bool) -> list[TokenEncoding]:
    return model.encode_tokens(pairs, layers=deep, attentions=deep)


def _read_out(model: EmbeddingModel, states: NDArray[np.float32]) -> NDArray[np.float32]:
    return model.read_out(states)


def _direct_writes(
    model: InstructorModel, encoding: TokenEncoding, groups: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], ...]:
    from instructor_core.direct_writes import direct_writes

    return direct_writes(model, encoding, groups)
