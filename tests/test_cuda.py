"""What a GPU runs, as far as a processor can test it: the packed path, with its two kernels in plain NumPy's terms."""

import importlib
import math
import sys
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from instructor_core import EncoderError, InstructorModel
from instructor_core import encoder as encoder_module

PAIRS = [("Topic: ", "word " * n) for n in (9, 3, 8, 8, 1, 20, 3, 7, 300, 0)] + [("", "Soup"), ("Sentiment of: ", "")]


def attend(qkv: Tensor, tiles: Tensor, bias: Tensor, block: int) -> Tensor:
    """Attention query by query, in float64."""
    n_heads, reach = bias.shape[0], bias.shape[1] // 2
    query, key, value = qkv.double().view(len(qkv), 3, n_heads, -1).unbind(1)
    out = torch.full((len(qkv), qkv.shape[1] // 3), torch.nan, dtype=qkv.dtype)
    for start, length, first in tiles.tolist():
        keys = slice(start, start + length)
        for place in range(first, min(first + block, length)):
            scores = torch.einsum("hd,khd->hk", query[start + place], key[keys])
            scores += bias[:, reach - place : reach - place + length] * math.log(2)
            out[start + place] = torch.einsum("hk,khd->hd", torch.softmax(scores, dim=1), value[keys]).flatten()
    return out


def add_norm(states: Tensor, change: Tensor | None, norm: Any, dtype: torch.dtype) -> Tensor:
    """Adds to the stream in place."""
    if change is not None:
        states += change
    return (norm.weight * states / (states.square().mean(-1, keepdim=True) + norm.variance_epsilon).sqrt()).to(dtype)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the GPU, without Triton and streams."""
    language = SimpleNamespace(constexpr=object)
    triton = SimpleNamespace(
        language=language, jit=lambda kernel: kernel, next_power_of_2=lambda n: 1 << (n - 1).bit_length()
    )
    monkeypatch.setitem(sys.modules, "triton", triton)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "triton.language", language)  # type: ignore[arg-type]
    module = importlib.import_module("instructor_core.cuda")
    monkeypatch.setattr(module, "attend", attend)
    monkeypatch.setattr(module, "add_norm", add_norm)
    stream = SimpleNamespace(record_event=lambda: None, wait_event=lambda _: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    yield module
    del sys.modules["instructor_core.cuda"]


@pytest.mark.parametrize("name", ["checkpoint_a", "checkpoint_b"])  # ReLU, gated
def test_tokens_side_by_side_give_what_padded_runs_give(
    name: str, cuda: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = InstructorModel(request.getfixturevalue(name), device="cpu")
    expected = model.encode(PAIRS)
    layers = [row.layers for row in model.encode_tokens(PAIRS, layers=True)]
    states = [row.hidden for row in model.encode_tokens(PAIRS)]
    model.__dict__["_packed"] = cuda.Packed.checked(model.backbone)
    for budget in (65536, 40):
        monkeypatch.setitem(encoder_module._BATCH_TOKENS, "packed", (budget, 0))
        np.testing.assert_allclose(model.encode(PAIRS), expected, atol=1e-6)
    lengths = model.prepare(PAIRS).lengths
    assert all(len(set(lengths[run])) == 1 for batch in model._split(lengths) for run in batch)
    for found, hidden in zip(model.encode_tokens(PAIRS), states, strict=True):
        np.testing.assert_allclose(found.hidden, hidden, atol=1e-5)
    for found, stream in zip(model.encode_tokens(PAIRS, layers=True), layers, strict=True):
        np.testing.assert_allclose(found.layers, stream, atol=1e-5)


def test_texts_longer_than_the_table_of_distances_get_a_longer_one(cuda: Any, checkpoint_a: Path) -> None:
    backbone = InstructorModel(checkpoint_a, device="cpu").backbone
    packed, ids = cuda.Packed(backbone), torch.arange(700)
    for n in (40, 700):
        torch.testing.assert_close(packed.run(ids[:n], [[n]]), backbone.run(ids[:n], [[n]]), atol=1e-5, rtol=0)


def test_every_query_belongs_to_one_tile(cuda: Any) -> None:
    # Two sequences of 5 and 2 tokens in a run padded to 5, then one of 4: rows 0 to 4, 5 to 6 and 10 to 13.
    tiles = cuda.make_tiles([5, 2, 4], [5, 5, 4], 2)
    assert tiles.tolist() == [[0, 5, 0], [0, 5, 2], [0, 5, 4], [5, 2, 0], [10, 4, 0], [10, 4, 2]]


def test_batches_that_a_gpu_works_on_meanwhile_come_in_order_and_all(
    cuda: Any, checkpoint_a: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = InstructorModel(checkpoint_a, device="cpu")
    monkeypatch.setitem(encoder_module._BATCH_TOKENS, "cpu", (1, 8))
    monkeypatch.setattr(encoder_module, "_WINDOW", len(PAIRS))
    monkeypatch.setattr(cuda, "_AHEAD", 2)
    expected = list(model.encode_batches(PAIRS))
    events, waited = count(), list[int]()
    stream = SimpleNamespace(record_event=lambda: next(events), wait_event=waited.append)
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: stream)
    batches = cuda.Packed(model.backbone).bring_back(model._embed(iter([*PAIRS, ("word " * 600, "")]), True))
    found = [next(batches)]
    assert next(events) == 3
    found += [next(batches) for _ in expected[1:]]
    assert waited == [0, 1, 2, *range(4, len(expected) + 1)]
    for (positions, rows), (places, wanted) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(positions, places)
        np.testing.assert_array_equal(rows, wanted)
    with pytest.raises(EncoderError, match="leaves no room"):
        next(batches)


def test_kernels_that_give_something_else_are_not_used(
    cuda: Any, checkpoint_a: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = InstructorModel(checkpoint_a, device="cpu")
    model.device = SimpleNamespace(type="cuda")  # type: ignore[assignment]
    monkeypatch.setattr(cuda, "attend", lambda *given: attend(*given).nan_to_num(0).neg())
    assert model._packed is None
    assert "it does not give what plain PyTorch gives here" in caplog.text
    del model.__dict__["_packed"]
    monkeypatch.setitem(sys.modules, "instructor_core.cuda", None)
    assert model._packed is None
    assert "ModuleNotFoundError" in caplog.text
