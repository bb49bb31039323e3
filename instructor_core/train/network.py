"""The encoder once more, for training: forward and backward passes written out, several times faster on a CPU.

The computation is that of ``InstructorModel`` (same tokens, same weights, and with float32 arithmetic the same
embeddings). Three things make it fast where a step consists of thousands of short sequences:

- Query, key and value are one product, and the weight of each norm is multiplied into the linear layer behind it
  once a step, so that a norm is a division of each row by its root mean square and nothing else.
- Weights are brought to bfloat16 once a step, not once a call; the master copy, the residual stream, the softmax and
  the accumulated gradients are float32.
- There is no graph: ``forward`` leaves a ``Tape`` of what ``backward`` reads, which adds into one gradient buffer per
  weight. Whoever drops the tape and calls ``forward`` again trades time for memory (gradient caching).

There is no dropout, whatever the checkpoint's configuration asks for: gradient caching would need the same draws twice,
and embeddings are those of inference at any moment.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from instructor_core.encoder import InstructorModel
from instructor_core.errors import UserError
from instructor_core.train.tokens import Chunk

_ACTIVATIONS = {"relu": None, "gelu_new": "tanh", "gelu": "none"}  # name in config.json -> approximation of GELU


@dataclass(eq=False)
class _Weight:
    """A weight (out, in) in the dtype of the step, and the sums of its gradients so far, one for each worker."""

    value: Tensor
    gradients: list[Tensor]

    def backward(self, outgoing: Tensor, inputs: Tensor, worker: int) -> Tensor:
        """Add the gradient of ``inputs @ value.T`` and pass it on: ``(M, out)``, ``(M, in)`` -> ``(M, in)``."""
        self.gradients[worker] += outgoing.t() @ inputs
        return outgoing @ self.value

    def gradient(self) -> Tensor:
        """Sum over the workers."""
        return _sum(self.gradients)


@dataclass(eq=False)
class _Block:
    """Weights of one block, norms multiplied in: fused query, key, value ``(3 heads d_kv, h)`` and so on."""

    qkv: _Weight
    out: _Weight
    wide: _Weight  # (d_ff, h), or (2 d_ff, h) with a gate
    narrow: _Weight


@dataclass(eq=False)
class _BlockTape:
    attention_input: Tensor  # (M, h), divided by its root mean square
    attention_scale: Tensor  # (M, 1), one over the root mean square
    qkv: Tensor  # (3, b heads, n, d_kv)
    weights: Tensor  # (b heads, n, n)
    mixed: Tensor  # (M, heads d_kv)
    wide_input: Tensor  # (M, h)
    wide_scale: Tensor  # (M, 1)
    wide: Tensor  # (M, d_ff) after ReLU, or (M, d_ff or 2 d_ff) before another activation
    narrow_input: Tensor  # (M, d_ff)


@dataclass(eq=False)
class Tape:
    """What the backward pass of one chunk needs from its forward pass (M = b n tokens)."""

    chunk: Chunk
    blocks: list[_BlockTape]
    final: Tensor  # (M, h) states divided by their root mean square
    final_scale: Tensor  # (M, 1)
    pooling: Tensor  # (b, n) weight of each token in the mean
    mean: Tensor  # (b, h) before the weight of the final norm
    length: Tensor  # (b, 1) of the embeddings before scaling
    embeddings: Tensor  # (b, D)


def _sum(gradients: list[Tensor]) -> Tensor:
    """Add all tensors into the first, always in the same order."""
    for other in gradients[1:]:
        gradients[0] += other
    return gradients[0]


def _unit_rms(states: Tensor, epsilon: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Divide rows by their root mean square: ``(M, h)`` float32 -> ``(M, h)`` in dtype, ``(M, 1)`` factors."""
    scale = torch.linalg.vecdot(states, states).div_(states.shape[-1]).add_(epsilon).rsqrt_().unsqueeze(-1)
    return (states * scale).to(dtype), scale


def _add_unit_rms_gradient(gradient: Tensor, outgoing: Tensor, unit: Tensor, scale: Tensor) -> None:
    """Add to ``gradient`` (M, h) what reaches the input of ``_unit_rms``, given what reached its output."""
    outgoing, unit = outgoing.float(), unit.float()
    along = torch.linalg.vecdot(outgoing, unit).div_(unit.shape[-1]).unsqueeze(-1)
    gradient.addcmul_(outgoing.addcmul_(unit, along, value=-1.0), scale)


class TrainingNetwork:
    """Forward and backward passes over a model's weights.

    ``start_step`` takes over the weights as they are now; ``forward`` and ``backward`` may then be called for any
    number of chunks; ``finish_step`` writes the sums into ``.grad`` of the model's parameters. Each worker, a thread
    that calls ``backward``, has gradient buffers of its own.
    """

    def __init__(self, model: InstructorModel, *, bfloat16: bool, workers: int = 1) -> None:
        t5, activation = model.backbone, model.backbone.config.dense_act_fn
        if activation not in _ACTIVATIONS:
            raise UserError(
                f"Training needs an activation of {sorted(_ACTIVATIONS)}: this checkpoint has "
                f"{activation!r}. Train another checkpoint."
            )
        if not model.trainable or model.dtype != torch.float32:
            raise UserError(
                f"Training needs a model with plain float32 weights: got trainable={model.trainable} and "
                f"{model.dtype}. Load it with trainable=True and dtype='float32'."
            )
        self.model = model
        self.workers = workers
        self.dtype = torch.bfloat16 if bfloat16 else torch.float32
        self._t5 = t5
        self._heads: int = t5.n_heads
        self._gated: bool = t5.config.is_gated_act
        self._gelu = _ACTIVATIONS[activation]
        self._epsilon: float = t5.config.layer_norm_epsilon
        self._buckets: dict[int, Tensor] = {}
        self._blocks: list[_Block] = []

    # ---- weights ------------------------------------------------------------------------------------------------

    def _weight(self, parts: list[Tensor], norm: Tensor | None) -> _Weight:
        value = torch.cat([part.detach() for part in parts]) if len(parts) > 1 else parts[0].detach()
        value = value if norm is None else value * norm.detach()
        return _Weight(value.to(self.dtype), self._zeros(value))

    def _zeros(self, like: Tensor) -> list[Tensor]:
        return [torch.zeros(like.shape, device=like.device) for _ in range(self.workers)]

    def start_step(self) -> None:
        """Take over the weights as they are now, with gradients of zero."""
        self._blocks = []
        for layer in range(self.model.n_layers):
            qkv, out, wide, narrow, first, second = self._t5.weights(layer)
            self._blocks.append(
                _Block(
                    self._weight(qkv, first), self._weight([out], None),
                    self._weight(wide, second), self._weight([narrow], None),
                )
            )  # fmt: skip
        self._table = self._t5.position_table.weight.detach()
        self._embeddings = self._t5.embed.weight.detach()
        self._final_norm = self._t5.final_norm.weight.detach()
        self._dense = self.model.dense.weight.detach()
        tensors = self._table, self._embeddings, self._final_norm, self._dense
        self._gradients = [self._zeros(tensor) for tensor in tensors]

    def finish_step(self) -> None:
        """Write the gradients summed since ``start_step`` into ``.grad`` of the parameters."""
        for layer, block in enumerate(self._blocks):
            qkv, out, wide, narrow, first, second = self._t5.weights(layer)
            out.grad, narrow.grad = block.out.gradient(), block.narrow.gradient()
            for parts, norm, weight in ((qkv, first, block.qkv), (wide, second, block.wide)):
                norm.grad = torch.zeros_like(norm)
                of_parts = torch.split(weight.gradient(), [len(part) for part in parts])
                for part, gradient in zip(parts, of_parts, strict=True):
                    norm.grad += (gradient * part.detach()).sum(0)
                    part.grad = gradient * norm.detach()
        parameters = (
            self._t5.position_table.weight,
            self._t5.embed.weight,
            self._t5.final_norm.weight,
            self.model.dense.weight,
        )
        for parameter, gradients in zip(parameters, self._gradients, strict=True):
            parameter.grad = _sum(gradients)
        self._blocks = []

    # ---- forward ------------------------------------------------------------------------------------------------

    def _bucket(self, n: int) -> Tensor:
        """T5's bucket of every (query, key) pair of positions: ``(n, n)`` int64."""
        if n not in self._buckets:
            self._buckets[n] = self._t5.position_buckets(n, self.model.device)
        return self._buckets[n]

    @torch.no_grad()
    def forward(self, chunk: Chunk) -> tuple[Tensor, Tape]:
        """Embed the rows of a chunk: ``(b, D)`` float32 of unit length, and what ``backward`` needs."""
        b, n = chunk.input_ids.shape
        states = F.embedding(chunk.input_ids, self._embeddings).view(b * n, -1)
        bias = F.embedding(self._bucket(n), self._table).permute(2, 0, 1)[None]  # (1, heads, n, n)
        hidden_keys = torch.arange(n, device=states.device) >= chunk.lengths[:, None]
        bias = bias.masked_fill(hidden_keys[:, None, None, :], torch.finfo(torch.float32).min)  # (b, heads, n, n)
        bias = bias.reshape(b * self._heads, n, n)
        blocks = []
        for block in self._blocks:
            states, saved = self._block_forward(block, states, bias)
            blocks.append(saved)
        final, final_scale = _unit_rms(states, self._epsilon, torch.float32)
        positions = torch.arange(n, device=states.device)
        pooled = (positions >= chunk.masked[:, None]) & ~hidden_keys
        pooling = pooled.float() / (chunk.lengths - chunk.masked)[:, None]
        mean = torch.bmm(pooling[:, None], final.view(b, n, -1))[:, 0]
        projected = (mean * self._final_norm) @ self._dense.t()
        length = torch.linalg.vector_norm(projected, dim=-1, keepdim=True).clamp_min(1e-12)
        embeddings = projected / length
        return embeddings[: len(chunk.rows)], Tape(chunk, blocks, final, final_scale, pooling, mean, length, embeddings)

    def _block_forward(self, block: _Block, states: Tensor, bias: Tensor) -> tuple[Tensor, _BlockTape]:
        n = bias.shape[-1]
        attention_input, attention_scale = _unit_rms(states, self._epsilon, self.dtype)
        qkv = F.linear(attention_input, block.qkv.value).view(
            -1, n, 3, self._heads, block.out.value.shape[1] // self._heads
        )
        qkv = qkv.permute(2, 0, 3, 1, 4).flatten(1, 2).contiguous()  # (3, b heads, n, d_kv)
        query, key, value = qkv
        # T5 does not scale its scores.
        scores = torch.bmm(query, key.transpose(1, 2)) + bias
        weights = torch.softmax(scores, dim=-1).to(self.dtype)
        mixed = torch.bmm(weights, value).view(-1, self._heads, n, value.shape[-1])  # (b, heads, n, d_kv)
        mixed = mixed.transpose(1, 2).flatten(2).flatten(0, 1)  # (M, heads d_kv)
        states = states + F.linear(mixed, block.out.value)
        wide_input, wide_scale = _unit_rms(states, self._epsilon, self.dtype)
        wide = F.linear(wide_input, block.wide.value)
        if self._gelu is None and not self._gated:
            wide = narrow_input = torch.relu_(wide)
        else:
            narrow_input = self._activate(wide)
        states += F.linear(narrow_input, block.narrow.value)
        return states, _BlockTape(
            attention_input, attention_scale, qkv, weights, mixed, wide_input, wide_scale, wide, narrow_input
        )

    def _act(self, x: Tensor) -> Tensor:
        return torch.relu(x) if self._gelu is None else F.gelu(x, approximate=self._gelu)

    def _activate(self, wide: Tensor) -> Tensor:
        if not self._gated:
            return self._act(wide)
        gate, linear = wide.chunk(2, dim=-1)
        return self._act(gate) * linear

    # ---- backward -----------------------------------------------------------------------------------------------

    def _activate_backward(self, outgoing: Tensor, saved: _BlockTape) -> Tensor:
        """Gradient at the input of the activation: ``(M, d_ff)`` -> ``(M, d_ff)``, with a gate ``(M, 2 d_ff)``."""
        if self._gelu is None and not self._gated:
            passed: Tensor = torch.ops.aten.threshold_backward(outgoing, saved.wide, 0.0)
            return passed
        with torch.enable_grad():
            wide = saved.wide.detach().requires_grad_()
            return torch.autograd.grad(self._activate(wide), wide, outgoing)[0]

    @torch.no_grad()
    def backward(self, tape: Tape, gradient: Tensor, *, worker: int = 0) -> None:
        """Add the gradient of every weight, given that of the chunk's embeddings ``(b, D)`` float32."""
        table, embeddings, final_norm, dense = (gradients[worker] for gradients in self._gradients)
        b, n = tape.chunk.input_ids.shape
        unit = tape.embeddings
        gradient = F.pad(gradient, (0, 0, 0, b - len(gradient)))
        outgoing = (gradient - unit * torch.linalg.vecdot(unit, gradient).unsqueeze(-1)) / tape.length
        dense += outgoing.t() @ (tape.mean * self._final_norm)
        outgoing = outgoing @ self._dense  # (b, h)
        final_norm += (outgoing * tape.mean).sum(0)
        outgoing = (tape.pooling[:, :, None] * (outgoing * self._final_norm)[:, None]).view(b * n, -1)
        states = torch.zeros_like(outgoing)
        _add_unit_rms_gradient(states, outgoing, tape.final, tape.final_scale)
        bias = torch.zeros(self._heads, n, n, device=states.device)
        for block, saved in zip(reversed(self._blocks), reversed(tape.blocks), strict=True):
            self._block_backward(block, saved, states, bias, worker)
        table.index_add_(0, self._bucket(n).view(-1), bias.permute(1, 2, 0).reshape(n * n, -1))
        embeddings.index_add_(0, tape.chunk.input_ids.view(-1), states)

    def _block_backward(self, block: _Block, saved: _BlockTape, states: Tensor, bias: Tensor, worker: int) -> None:
        """Turn ``states`` (M, h), the gradient after the block, into that before it, and add that of the bias."""
        outgoing = block.narrow.backward(states.to(self.dtype), saved.narrow_input, worker)
        outgoing = block.wide.backward(self._activate_backward(outgoing, saved), saved.wide_input, worker)
        _add_unit_rms_gradient(states, outgoing, saved.wide_input, saved.wide_scale)
        query, key, value = saved.qkv
        n, size = query.shape[1:]
        mixed = block.out.backward(states.to(self.dtype), saved.mixed, worker)  # (M, heads d_kv)
        mixed = mixed.view(-1, n, self._heads, size).transpose(1, 2).flatten(0, 1)  # (b heads, n, d_kv)
        weights = torch.bmm(mixed, value.transpose(1, 2))
        scores = torch.ops.aten._softmax_backward_data(weights, saved.weights, -1, self.dtype)
        bias += scores.view(-1, self._heads, n, n).sum(0, dtype=torch.float32)
        qkv = torch.stack(
            [
                torch.bmm(scores, key),
                torch.bmm(scores.transpose(1, 2), query),
                torch.bmm(saved.weights.transpose(1, 2), mixed),
            ]
        )
        qkv = qkv.view(3, -1, self._heads, n, size).permute(1, 3, 0, 2, 4).flatten(2).flatten(0, 1)  # (M, 3 heads d_kv)
        outgoing = block.qkv.backward(qkv, saved.attention_input, worker)
        _add_unit_rms_gradient(states, outgoing, saved.attention_input, saved.attention_scale)
