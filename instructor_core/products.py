"""Products of matrices for inference, and attention made of them: on a CPU by oneDNN where that is faster."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from timeit import timeit
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SCORES = 1 << 18  # of attention in bfloat16 on a CPU at a time: larger temporaries leave its cache


def choose_attention(
    device: torch.device, dtype: torch.dtype
) -> Callable[[Tensor, Tensor, Tensor, Tensor], Any] | None:
    """Return what takes the place of PyTorch's fused attention, or None where that is fast."""
    return attend if device.type == "cpu" and dtype == torch.bfloat16 and splitting_pays() else None


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Attention in two products of bfloat16 and a softmax of float32: on many CPUs twice as fast as PyTorch's.

    All are ``(n, heads, width, d_kv)`` but the bias, of float32, to which scores are promoted. A few heads at a time.
    """
    step = max(1, _SCORES // (len(query) * query.shape[2] ** 2))
    parts = zip(*(torch.split(part, step, dim=1) for part in (query, key, value, bias)), strict=True)
    return torch.cat([torch.softmax(q @ k.mT + added, dim=-1).to(v.dtype) @ v for q, k, v, added in parts], dim=1)


class Product(nn.Module):
    """Multiplies rows by a transposed weight (and applies a ReLU); on a CPU in oneDNN's blocked layout where that pays.

    torch sends float32 to MKL, which on processors not made by Intel reaches about half of oneDNN's rate or less; with
    bfloat16 nothing is reordered at each call. The two operators are private to PyTorch (2.6 to 2.13).
    """

    def __init__(self, weight: Tensor, device: torch.device, *, relu: bool = False, pack: bool | None = None) -> None:
        super().__init__()
        weight = weight.detach().to(device)
        self.relu = relu
        self.is_packed = device.type == "cpu" and (packing_pays(weight.dtype) if pack is None else pack)
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight) if self.is_packed else weight

    def forward(self, states: Tensor) -> Any:
        """Return the product ``(R, out)`` of rows ``(R, in)``."""
        if self.is_packed:
            return torch.ops.mkldnn._linear_pointwise(
                states, self.weight, None, "relu" if self.relu else "none", [], ""
            )
        out = F.linear(states, self.weight)
        return torch.relu_(out) if self.relu else out

    def __reduce__(self) -> tuple[Any, ...]:  # blocked layouts cannot be pickled, and differ between machines
        weight = self.weight.to_dense() if self.is_packed else self.weight
        return partial(Product, relu=self.relu), (weight, weight.device)


@cache
@torch.inference_mode()
def packing_pays(dtype: torch.dtype) -> bool:
    """Try a packed weight: False if it fails, is wrong, or is not clearly faster (takes milliseconds, once)."""
    generator = torch.Generator().manual_seed(0)
    weight, states = (torch.randn(n, 512, generator=generator).div(4).to(dtype) for n in (1024, 32))
    try:
        plain, packed = (Product(weight, weight.device, relu=True, pack=pack) for pack in (False, True))
        torch.testing.assert_close(packed(states), plain(states), atol=1e-2, rtol=1e-2)
        return _is_faster(partial(packed, states), partial(plain, states))
    except Exception:  # private operators may do anything in another version: then PyTorch's public ones serve
        return False


@cache
@torch.inference_mode()
def splitting_pays() -> bool:
    """Try attention in two products: False if it is not clearly faster than the fused one on this processor."""
    generator = torch.Generator().manual_seed(0)
    runs = [torch.randn(4, 8, 4, width, 64, generator=generator).bfloat16() for width in (16, 128)]
    bias = torch.randn(1, 4, 128, 128, generator=generator)

    def run(attention: Callable[[Tensor, Tensor, Tensor, Tensor], Any], bias: Tensor) -> None:
        for query, key, value, _ in runs:
            attention(query, key, value, bias[..., : query.shape[2], : query.shape[2]])

    fused = partial(F.scaled_dot_product_attention, scale=1.0)
    return _is_faster(partial(run, attend, bias), partial(run, fused, bias.bfloat16()))


def _is_faster(own: Callable[[], Any], plain: Callable[[], Any]) -> bool:
    """Time both in turns, and compare the fastest of many: the machine may be busy with other things just now."""
    turns = [[timeit(run, number=1) for run in (plain, own)] for _ in range(25)]
    return min(own for _, own in turns) * 1.1 < min(plain for plain, _ in turns)
