"""T5's encoder on a GPU, for inference: tokens of all sequences side by side, no padding, few and large calls.

Norms and linear layers take one token at a time, so that only attention has to know where a sequence ends; here it is
one launch per block. Between the blocks the residual stream stays float32, and so does all that norms and softmax
compute, whatever the dtype of the weights: bfloat16 then rounds only what enters and leaves a product of matrices.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

_REACH = 512  # distances that the table of biases covers at first
# float32 as three products of shorter numbers, which is about as exact and stays on tensor cores.
# On an H100 two warps and blocks of 32 took 409 us where four and 64 took 473 (mixed lengths), 203 for 544 (short).
_OPTIONS: dict[torch.dtype, dict[str, Any]] = {
    torch.float32: {"PRECISION": "tf32x3", "num_warps": 4, "num_stages": 2},
    torch.bfloat16: {"PRECISION": "ieee", "num_warps": 2, "num_stages": 2},
}
_AHEAD = 8  # batches given to a GPU before the first is read: meanwhile the next are prepared
_BLOCK = 32  # queries, and keys, at a time
_TOLERANCE = {torch.float32: 1e-2, torch.bfloat16: 0.2}  # of the self-check: relative, a wrong kernel is off by 1


def _attention(  # type: ignore[no-untyped-def]
    qkv,  # (R, 3, HEADS, D): query, key and value of every token
    tiles,  # (n, 3): first row of a sequence, its length, first of BLOCK queries in it
    bias,  # (HEADS, 2 * REACH): by distance from query to key, from -REACH on, times log2(e)
    out,  # (R, HEADS, D)
    HEADS: tl.constexpr,
    D: tl.constexpr,
    BLOCK_D: tl.constexpr,
    REACH: tl.constexpr,
    BLOCK: tl.constexpr,
    PRECISION: tl.constexpr,
) -> None:
    """One program per tile and head: softmax(query key^T + bias) value, in one pass over blocks of keys."""
    head, tile = tl.program_id(0) % HEADS, tl.program_id(0) // HEADS
    start = tl.load(tiles + 3 * tile).to(tl.int64)
    length = tl.load(tiles + 3 * tile + 1)
    rows = tl.load(tiles + 3 * tile + 2) + tl.arange(0, BLOCK)
    columns = tl.arange(0, BLOCK_D)
    first = qkv + start * (3 * HEADS * D) + head * D
    inside = (rows < length)[:, None] & (columns < D)[None, :]
    query = tl.load(first + rows[:, None] * (3 * HEADS * D) + columns[None, :], mask=inside, other=0.0)
    # Padding queries read the bias of distances down to -REACH, which is a multiple of BLOCK.
    near = bias + head * (2 * REACH) + REACH - rows[:, None]
    top = tl.full([BLOCK], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    mixed = tl.zeros([BLOCK, BLOCK_D], tl.float32)
    for begin in range(0, length, BLOCK):
        keys = begin + tl.arange(0, BLOCK)
        known = (keys < length)[None, :] & (columns < D)[:, None]
        at = first + keys[None, :] * (3 * HEADS * D) + columns[:, None]
        key = tl.load(at + HEADS * D, mask=known, other=0.0)  # (BLOCK_D, BLOCK)
        # Scores are not scaled in T5; in powers of two the exponential is one instruction.
        scores = tl.dot(query, key, input_precision=PRECISION) * 1.4426950408889634 + tl.load(near + keys[None, :])
        scores = tl.where((keys < length)[None, :], scores, float("-inf"))
        peak = tl.maximum(top, tl.max(scores, 1))
        weights = tl.exp2(scores - peak[:, None])
        shrink = tl.exp2(top - peak)
        total = total * shrink + tl.sum(weights, 1)
        known = (keys < length)[:, None] & (columns < D)[None, :]
        at = first + keys[:, None] * (3 * HEADS * D) + columns[None, :]
        value = tl.load(at + 2 * HEADS * D, mask=known, other=0.0)
        mixed = mixed * shrink[:, None] + tl.dot(weights.to(value.dtype), value, input_precision=PRECISION)
        top = peak
    mixed = mixed / total[:, None]
    out += start * (HEADS * D) + head * D
    tl.store(out + rows[:, None] * (HEADS * D) + columns[None, :], mixed.to(out.dtype.element_ty), mask=inside)


def _norm(  # type: ignore[no-untyped-def]
    states,  # (R, WIDTH) float32, the residual stream: changed in place
    change,  # (R, WIDTH) what a layer adds to it, or None
    weight,  # (WIDTH,)
    out,  # (R, WIDTH)
    epsilon,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """One program per token: adds the change to the stream and writes its norm."""
    columns = tl.arange(0, BLOCK)
    inside = columns < WIDTH
    row = tl.program_id(0).to(tl.int64) * WIDTH + columns
    state = tl.load(states + row, mask=inside, other=0.0)
    if change is not None:
        state += tl.load(change + row, mask=inside, other=0.0).to(tl.float32)
        tl.store(states + row, state, mask=inside)
    scale = tl.rsqrt(tl.sum(state * state, 0) / WIDTH + epsilon)
    normed = state * scale * tl.load(weight + columns, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row, normed.to(out.dtype.element_ty), mask=inside)


_attention_kernel, _norm_kernel = triton.jit(_attention), triton.jit(_norm)


def make_tiles(lengths: Sequence[int], widths: Sequence[int], block: int) -> Tensor:
    """Return ``(n, 3)`` int32, what one program of attention works on: first row, length, first query of a block."""
    sizes, starts = np.array(lengths, dtype=np.int64), np.cumsum([0, *widths[:-1]])
    counts = -(-sizes // block)
    of = np.repeat(np.arange(len(sizes)), counts)
    place = np.arange(len(of)) - (np.cumsum(counts) - counts)[of]
    return torch.from_numpy(np.stack([starts[of], sizes[of], place * block], axis=1).astype(np.int32))


def attend(qkv: Tensor, tiles: Tensor, bias: Tensor, block: int, **options: Any) -> Tensor:
    """Return what attention reads, ``(R, heads * d)``, from query, key and value ``(R, 3 * heads * d)``."""
    n_heads, reach = bias.shape[0], bias.shape[1] // 2
    out = qkv.new_empty(len(qkv), qkv.shape[1] // 3)
    size = out.shape[1] // n_heads
    wide = max(16, triton.next_power_of_2(size))
    sizes = {"HEADS": n_heads, "D": size, "BLOCK_D": wide, "REACH": reach, "BLOCK": block}
    _attention_kernel[(len(tiles) * n_heads,)](qkv, tiles, bias, out, **sizes, **(_OPTIONS[qkv.dtype] | options))
    return out


def add_norm(states: Tensor, change: Tensor | None, norm: Any, dtype: torch.dtype) -> Tensor:
    """Add the change to the residual stream, in place, and return its norm ``(R, h)`` in a dtype."""
    out = torch.empty_like(states, dtype=dtype)
    width = states.shape[1]
    block = triton.next_power_of_2(width)
    _norm_kernel[(len(states),)](states, change, norm.weight, out, norm.variance_epsilon, WIDTH=width, BLOCK=block)
    return out


class Packed:
    """Runs the blocks of a merged ``encoder.T5``, with a ``run`` like its own."""

    def __init__(self, t5: Any) -> None:
        self._t5, self._dtype, self._device = t5, t5.embed.weight.dtype, t5.embed.weight.device
        self._layers = [t5.parts(layer) for layer in range(len(t5.blocks))]
        self._bias = torch.empty(0, 0)
        self._zeros = torch.zeros(t5.config.d_ff, dtype=self._dtype, device=self._device)

    def run(self, ids: Tensor, runs: Sequence[Sequence[int]], record: Any = None) -> Tensor:
        """Return the last hidden states ``(R, h)`` float32 of the ``(R,)`` ids of runs of sequences of these lengths.

        Rows of padding, where a run has any, hold nothing of meaning.
        """
        if record is not None:
            return self._t5.run(ids, runs, record)  # type: ignore[no-any-return]
        lengths, widths = list(chain.from_iterable(runs)), [run[0] for run in runs for _ in run]
        tiles = make_tiles(lengths, widths, _BLOCK)
        if not ids.is_cuda:
            return self._run(ids, tiles, max(lengths))
        with torch.cuda.device(ids.device):
            return self._run(ids, tiles.pin_memory().to(ids.device, non_blocking=True), max(lengths))

    def _run(self, ids: Tensor, tiles: Tensor, longest: int) -> Tensor:
        bias, states, change = self._distance_bias(longest), self._t5.embed(ids).float(), None
        for attention, feed, before, between in self._layers:
            read = attend(attention.qkv(add_norm(states, change, before, self._dtype)), tiles, bias, _BLOCK)
            change = self._feed(feed, add_norm(states, attention.o(read), between, self._dtype))
        return add_norm(states, change, self._t5.final_norm, torch.float32)

    def _feed(self, feed: Any, normed: Tensor) -> Tensor:
        """Return what the two wide layers of a block make of normed states."""
        if normed.is_cuda and getattr(getattr(feed, "wi", None), "relu", False):
            # cuBLASLt applies the ReLU before it writes, but only together with a bias: here one of zeros.
            normed = torch._addmm_activation(self._zeros, normed, feed.wi.weight.t())
            return feed.wo(normed)  # type: ignore[no-any-return]
        return feed(normed)  # type: ignore[no-any-return]

    def _distance_bias(self, longest: int) -> Tensor:
        """Return what is added to scores by distance, ``(heads, 2 * reach)`` float32: -reach first, times log2(e)."""
        if self._bias.shape[1] < 2 * longest:
            reach = max(_REACH, triton.next_power_of_2(longest))
            buckets = self._t5.position_buckets(reach + 1, self._device)  # from a query (row) to a key (column)
            table = self._t5.position_table(torch.cat([buckets[1:, 0].flip(0), buckets[0, :-1]]))
            self._bias = (table.float() * math.log2(math.e)).t().contiguous()
        return self._bias

    @classmethod
    @torch.inference_mode()
    def checked(cls, t5: Any) -> Packed:
        """Return one that gives what plain PyTorch gives on this GPU with these versions, tried on short sequences."""
        packed = cls(t5)
        for runs in ([[130], [64, 64], [33, 33], [3]], [[32], [9, 9]]):
            ids = torch.arange(sum(map(sum, runs)), device=packed._device) % t5.config.vocab_size
            fast, plain = packed.run(ids, runs), t5.run(ids, runs)
            if not (fast - plain).norm() < _TOLERANCE[packed._dtype] * plain.norm():
                raise RuntimeError("it does not give what plain PyTorch gives here")
        return packed

    def bring_back(
        self, batches: Iterable[tuple[NDArray[np.int64], Tensor]]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield positions and embeddings in main memory, while the GPU has the next batches to work on."""
        # Beside the stream that computes; pinned memory of that size would have to be allocated first.
        side = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        running = deque[tuple[NDArray[np.int64], Tensor, Any]]()

        def wait(positions: NDArray[np.int64], embeddings: Tensor, event: Any) -> tuple[NDArray[np.int64], Any]:
            with torch.cuda.stream(side):
                side.wait_event(event)
                return positions, embeddings.cpu().numpy()

        try:
            for positions, embeddings in batches:
                running.append((positions, embeddings, torch.cuda.current_stream(self._device).record_event()))
                if len(running) > _AHEAD:
                    yield wait(*running.popleft())
        except Exception:  # comes after all that came before it
            yield from (wait(*batch) for batch in running)
            raise
        yield from (wait(*batch) for batch in running)
