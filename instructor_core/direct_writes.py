"""What wrote an embedding: the parts that token embeddings, heads and feed-forward layers add to the residual stream.

In T5 nothing but a norm, a mean and a linear layer follow the last block. With the scale of the norm frozen as their
sum had it, all of these are linear, so the parts of an embedding add up to it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from instructor_core.encoder import EncoderError, InstructorModel, TokenEncoding, Vectors


@torch.inference_mode()
def direct_writes(
    model: InstructorModel, encoding: TokenEncoding, sources: NDArray[np.bool_]
) -> tuple[Vectors, Vectors, Vectors]:
    """Split the embedding of a pair, encoded with layers and attentions, by what wrote it into the residual stream.

    A part is what was written directly: what it does to the parts after it is theirs. ``sources`` ``(S, n)`` are groups
    of tokens, each token in one, by which the writes of attention are split. Returns ``(D,)`` of the token embeddings,
    ``(L, heads, S, D)`` of what each head read in each group, and ``(L, D)`` of the feed-forward layers.
    """
    if encoding.layers is None or encoding.attentions is None:
        raise EncoderError("Direct writes need encode_tokens(pairs, layers=True, attentions=True): got neither or one.")
    given = encoding.layers, encoding.attentions, sources, encoding.pooling_mask
    states, weights, read, pooled = (torch.from_numpy(array).to(model.device, torch.float32) for array in given)
    norm = model.backbone.final_norm
    scale = pooled / pooled.sum() * torch.rsqrt(states[-1].pow(2).mean(-1) + norm.variance_epsilon)
    heads, forwards = list[Tensor](), list[Tensor]()
    for block, before, after, weight in zip(model.backbone.blocks, states, states[1:], weights, strict=False):
        products, write = model.backbone.attention(block, before.to(model.dtype))
        value = products.view(len(before), 3, weight.shape[0], -1)[:, 2]  # (n, heads, d_kv)
        mixed = torch.einsum("i,hij,sj,jhd->hsd", scale, weight, read, value.float())
        alone = mixed.new_zeros(*mixed.shape[:2], *mixed.shape[::2])  # of each head, beside zeros for the others
        each = range(len(mixed))
        alone[each, :, each] = mixed
        heads.append(write(alone.flatten(2).flatten(0, 1).to(value.dtype)).float().view(*mixed.shape[:2], -1))
        forwards.append(scale @ (after - before) - heads[-1].sum((0, 1)))
    parts = scale @ states[0], torch.stack(heads), torch.stack(forwards)
    gain = norm.weight.float()
    return tuple(np.asarray(model.dense(gain * part).cpu()) for part in parts)  # type: ignore[return-value]
