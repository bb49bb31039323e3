"""The forward and backward passes for training against inference and against autograd."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from instructor_core import InstructorModel
from instructor_core.train.batch import Batch
from instructor_core.train.network import TrainingNetwork
from instructor_core.train.tokens import chunks, tokenize
from instructor_core.train.trainer import TrainingSettings, _Trainer
from tests.checkpoints import make_checkpoint

SENTENCE = "the cat sat on a mat while rain fell over quiet streets </s> and <pad> people hurried home ünder £3"
INSTRUCTIONS = ("", "Represent the review for its sentiment: ", "x: ", "no space at the end")


def some_pairs(n: int, seed: int = 0) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    return [(rng.choice(INSTRUCTIONS), " ".join(rng.choices(SENTENCE.split(), k=rng.randint(1, 30)))) for _ in range(n)]


class OneBatch:
    """The same batch at every step; a loss in which every pair of rows and every component matters."""

    def __init__(self, pairs: list[tuple[str, str]], dim: int) -> None:
        target = torch.randn(len(pairs), dim, generator=torch.Generator().manual_seed(0))

        def loss(embeddings: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
            value = ((embeddings @ embeddings.t()) ** 2).mean() + (embeddings * target).mean()
            return value, {}

        self._batch = Batch(pairs, loss, "one")

    def batch(self, step: int) -> Batch:
        return self._batch


def slow_gradients(model: InstructorModel, batch: Batch) -> tuple[float, dict[str, torch.Tensor]]:
    """Autograd through the inference code, one pair at a time."""
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for block in model.transformer.encoder.block:
        block.layer[0].SelfAttention.dropout = 0.0
    embeddings = torch.cat([model([pair])[0] for pair in batch.pairs])
    loss, _ = batch.loss(embeddings)
    loss.backward()
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    model.eval()
    return loss.item(), gradients


def fast_gradients(
    model: InstructorModel, batch: Batch, folder: Path, **settings: Any
) -> tuple[float, dict[str, torch.Tensor]]:
    source = OneBatch([], 1)
    trainer = _Trainer(model, source, TrainingSettings(n_steps=1, bfloat16=False, **settings), folder)
    loss, _, _ = trainer.gradients(batch)
    trainer.workers.close()
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    return loss, gradients


@pytest.fixture(scope="module", params=["relu", "gated"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> InstructorModel:
    path = tmp_path_factory.mktemp("train") / request.param
    if request.param == "gated":
        make_checkpoint(path, d_model=48, d_ff=80, num_layers=3, num_heads=3, d_kv=12, out_features=40, gated=True)
    else:
        make_checkpoint(path)
    return InstructorModel(path, trainable=True, device="cpu")


@pytest.mark.parametrize(
    "settings",
    [
        {"chunk_tokens": 10_000, "workers": 1},
        {"chunk_tokens": 100, "workers": 3},
        {"chunk_tokens": 100, "workers": 2, "gradient_cache": True},
    ],
    ids=["one chunk", "workers", "cached, workers"],
)
def test_gradients_are_those_of_autograd_one_pair_at_a_time(
    model: InstructorModel, settings: dict[str, Any], tmp_path: Path
) -> None:
    # Few pairs: with many, some input of a ReLU is so near zero that the order of a sum decides about its gradient.
    batch = OneBatch(some_pairs(9), model.dim).batch(0)
    expected_loss, expected = slow_gradients(model, batch)
    loss, gradients = fast_gradients(model, batch, tmp_path, **settings)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        assert gradient.abs().max() > 0, name
        error = (gradients[name] - gradient).abs().max() / gradient.abs().max()
        assert error < 2e-5, (name, float(error))


def test_embeddings_while_training_are_those_of_inference(model: InstructorModel) -> None:
    pairs = some_pairs(40, seed=1)
    expected = InstructorModel(model.folder, device="cpu").encode(pairs)
    network = TrainingNetwork(model, bfloat16=False)
    network.start_step()
    parts = chunks(tokenize(model, pairs), chunk_tokens=256, pad=model.pad_id, device=model.device)
    assert len(parts) > 3
    embeddings = torch.empty(len(pairs), model.dim)
    for part in parts:
        embeddings[part.rows] = network.forward(part)[0]
    np.testing.assert_allclose(embeddings.numpy(), expected, atol=1e-5)


def test_bfloat16_gradients_point_where_float32_ones_do(model: InstructorModel, tmp_path: Path) -> None:
    batch = OneBatch(some_pairs(23), model.dim).batch(0)
    _, expected = fast_gradients(model, batch, tmp_path)
    trainer = _Trainer(model, OneBatch([], 1), TrainingSettings(n_steps=1), tmp_path)
    trainer.gradients(batch)
    trainer.workers.close()
    one = torch.cat([gradient.flatten() for gradient in expected.values()])
    other = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    model.zero_grad()
    assert torch.cosine_similarity(one, other, dim=0) > 0.99


def test_chunks_hold_every_pair_once_in_few_shapes(model: InstructorModel) -> None:
    pairs = some_pairs(200, seed=2)
    tokens = tokenize(model, pairs)
    parts = chunks(tokens, chunk_tokens=512, pad=model.pad_id, device=model.device)
    assert sorted(int(row) for part in parts for row in part.rows) == list(range(200))
    for part in parts:
        b, n = part.input_ids.shape
        assert b * n <= 512
        assert n % 4 == 0
        for line, row in enumerate(part.rows):
            assert part.input_ids[line, : part.lengths[line]].tolist() == tokens.ids[row]
    # Only the last chunk of a batch may have fewer rows than others of its length.
    assert len({tuple(part.input_ids.shape) for part in parts}) <= len({part.input_ids.shape[1] for part in parts}) + 1


def test_long_texts_are_cut_before_the_end_token(model: InstructorModel) -> None:
    instruction = "Represent the review for its sentiment: "
    (count,) = model.count_tokens([instruction.strip()])
    whole = tokenize(model, [(instruction, "rain fell over quiet streets " * 5)])
    cut = tokenize(model, [(instruction, "rain fell over quiet streets " * 5)], max_tokens=7)
    assert cut.ids[0] == [*whole.ids[0][: count + 7], whole.ids[0][-1]]
    assert cut.masked == whole.masked == [count]
    assert tokenize(model, [(instruction, "rain")], max_tokens=7).ids == tokenize(model, [(instruction, "rain")]).ids
