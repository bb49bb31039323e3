"""All pairs of a step in a single pass with hardly any padding: training on a GPU, and what the watch looks at.

Sequences are sorted by length and cut into runs of one width. Norms and linear layers take one token at a time,
whatever run it is in; attention alone is called run by run. A step of 100,000 tokens is then a few thousand kernels,
and nothing waits for the GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from instructor_core.encoder import InstructorModel
from instructor_core.train.tokens import MULTIPLE, Tokens

_ALIGNED = 8  # the kernel that takes a bias with a gradient wants rows of so many numbers
# Of the kernels for attention the one whose bias may have a gradient; cuDNN's would plan anew for every shape.
_KERNELS = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
_HIDDEN = -1e9  # added to the score of padding; finite, and small enough for every dtype
# Judges (N, D) embeddings: the loss.
Judge = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Packed:
    """N pairs by falling length, in runs: R padded tokens in all.

    ``runs`` are (number of sequences, width); ``ids`` (R,), ``hidden`` (R,) what is added to the score of a token,
    ``weights`` (R,) its weight in the mean of its pair, ``pairs`` (R,) the position of that pair in the step.
    """

    runs: list[tuple[int, int]]
    ids: Tensor
    hidden: Tensor
    weights: Tensor
    pairs: Tensor


def cut_runs(lengths: NDArray[np.int64], *, share: float = 0.0025, least: int = 32) -> list[tuple[int, int]]:
    """Cut falling lengths into runs (sequences, width); a run goes on while padding costs less than another call."""
    widths = -(-lengths // MULTIPLE) * MULTIPLE
    bound = max(least, share * float(lengths.sum()))
    runs: list[tuple[int, int]] = []
    padding = 0
    for width, count in zip(*(part[::-1].tolist() for part in np.unique(widths, return_counts=True)), strict=True):
        if runs and padding + (runs[-1][1] - width) * count <= bound:
            padding += (runs[-1][1] - width) * count
            runs[-1] = runs[-1][0] + count, runs[-1][1]
        else:
            runs.append((count, width))
            padding = 0
    return runs


def pack(tokens: Tokens, *, pad: int, device: torch.device) -> Packed:
    """Lay the pairs of a step out in runs, on the device; the processor only sorts the lengths."""
    order = np.argsort(-tokens.lengths, kind="stable")
    lengths = tokens.lengths[order]
    runs = cut_runs(lengths)
    widths = np.repeat([width for _, width in runs], [count for count, _ in runs])
    n_tokens, n_padded = int(lengths.sum()), int(widths.sum())
    numbers = np.stack(
        [
            lengths,
            tokens.masked[order],
            np.cumsum(widths) - widths,  # where a pair begins among the padded tokens
            (np.cumsum(tokens.lengths) - tokens.lengths)[order],  # and among those of the step
            np.cumsum(lengths) - lengths,
            order,
            widths,
        ]
    )

    def move(array: NDArray[np.generic]) -> Tensor:
        tensor = torch.from_numpy(array)
        return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)

    columns = move(numbers)
    count, masked, place, source, first = columns[:5].repeat_interleave(columns[0], dim=1, output_size=n_tokens)
    position = torch.arange(n_tokens, device=device) - first
    place = place + position
    given = move(tokens.ids.astype(np.int64))
    ids = torch.full((n_padded,), pad, device=device).index_copy_(0, place, given.index_select(0, source + position))
    weights = (position >= masked) / (count - masked)
    return Packed(
        runs,
        ids,
        torch.full((n_padded,), _HIDDEN, device=device).index_fill_(0, place, 0.0),
        torch.zeros(n_padded, device=device).index_copy_(0, place, weights),
        columns[5].repeat_interleave(columns[6], output_size=n_padded),
    )


class PackedNetwork:
    """Embeds packed pairs with a graph for autograd; linear layers and attention in ``dtype``, all else in float32.

    There is no dropout, as in ``TrainingNetwork``.
    """

    def __init__(self, model: InstructorModel, *, bfloat16: bool) -> None:
        self._model, self._t5 = model, model.backbone
        self._dtype = torch.bfloat16 if bfloat16 else torch.float32
        self._epsilon: float = model.backbone.config.layer_norm_epsilon
        self._activation = self._t5.parts(0)[1].act
        self._buckets: dict[int, Tensor] = {}

    def gradients(self, tokens: Tokens, judge: Judge) -> tuple[Tensor, int]:
        """Put the gradient of what the judge says into the parameters: the loss and the number of padded tokens."""
        packed = pack(tokens, pad=self._model.pad_id, device=self._model.device)
        with sdpa_kernel(_KERNELS):
            embeddings = self.embed(packed, len(tokens.lengths))
        loss = judge(embeddings)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach(), len(packed.ids)

    def scores(self, tokens: Tokens) -> list[float]:
        """Return the largest attention score of each block."""
        packed = pack(tokens, pad=self._model.pad_id, device=self._model.device)
        found: list[Tensor] = []
        with torch.no_grad(), sdpa_kernel(_KERNELS):
            self.embed(packed, len(tokens.lengths), found)
        return [float(value) for value in torch.stack(found).view(self._model.n_layers, -1).amax(1)]

    def embed(self, packed: Packed, n: int, scores: list[Tensor] | None = None) -> Tensor:
        """Return (n, D) float32 embeddings of unit length; collect the largest score of each block and run."""
        # Index selection has a gradient by atomic addition; that of an embedding sorts the ids first.
        states = self._t5.embed.weight.index_select(0, packed.ids)
        biases = self._biases(packed)
        sizes = [count * width for count, width in packed.runs]
        for layer in range(self._model.n_layers):
            parts, out, wide, narrow, first, second = self._t5.weights(layer)
            products = F.linear(self._norm(states, first), torch.cat(parts).to(self._dtype))
            mixed = []
            for (count, width), bias, part in zip(packed.runs, biases, torch.split(products, sizes), strict=True):
                query, key, value = part.view(count, width, 3, self._t5.n_heads, -1).permute(2, 0, 3, 1, 4)
                if scores is not None:
                    scores.append((query @ key.transpose(2, 3) + bias).float().amax())
                heads = F.scaled_dot_product_attention(query, key, value, bias, scale=1.0)
                mixed.append(heads.transpose(1, 2).reshape(count * width, -1))
            states = states + F.linear(torch.cat(mixed), out.to(self._dtype))
            inner = F.linear(self._norm(states, second), torch.cat(wide).to(self._dtype))
            if self._t5.config.is_gated_act:
                gate, inner = inner.chunk(2, dim=-1)
                inner = self._activation(gate) * inner
            else:
                inner = self._activation(inner)
            states = states + F.linear(inner, narrow.to(self._dtype))
        final = F.rms_norm(states, states.shape[-1:], self._t5.final_norm.weight, self._epsilon)
        means = torch.zeros(n, final.shape[-1], device=final.device)
        means = means.index_add(0, packed.pairs, final * packed.weights[:, None])
        return F.normalize(F.linear(means, self._model.dense.weight), dim=-1)

    def _norm(self, states: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(states, states.shape[-1:], weight, self._epsilon).to(self._dtype)

    def _biases(self, packed: Packed) -> list[Tensor]:
        """What is added to the scores of each run: (sequences, heads, width, width), rows aligned for the kernel."""
        most = -(-packed.runs[0][1] // _ALIGNED) * _ALIGNED
        if most not in self._buckets:
            self._buckets[most] = self._t5.position_buckets(most, self._model.device)
        table = self._t5.position_table.weight.to(self._dtype)
        positions = F.embedding(self._buckets[most], table).permute(2, 0, 1).contiguous()[None]
        out = []
        hidden = torch.split(packed.hidden.to(self._dtype), [count * width for count, width in packed.runs])
        for (count, width), part in zip(packed.runs, hidden, strict=True):
            extra = -width % _ALIGNED
            keys = F.pad(part.view(count, 1, 1, width), (0, extra))
            # Biases depend on distances alone: those of a shorter run are a corner of those of the longest.
            out.append((positions[..., :width, : width + extra] + keys)[..., :width])
        return out
