"""The forward and backward passes for training against inference and against autograd."""

import random
from typing import Any

import numpy as np
import pytest
import torch

from instructor_core import InstructorModel
from instructor_core.encoder import EncoderError
from instructor_core.train.batch import Batch
from instructor_core.train.chunked import ChunkedNetwork
from instructor_core.train.network import TrainingNetwork
from instructor_core.train.packed import PackedNetwork, cut_runs, pack
from instructor_core.train.settings import TrainingSettings
from instructor_core.train.tokens import PairTokenizer, chunks
from tests.checkpoints import make_checkpoint

SENTENCE = "the cat sat on a mat while rain fell over quiet streets </s> and <pad> people hurried home ünder £3"
INSTRUCTIONS = ("", "Represent the review for its sentiment: ", "x: ", "no space at the end")


def some_pairs(n: int, seed: int = 0) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    return [(rng.choice(INSTRUCTIONS), " ".join(rng.choices(SENTENCE.split(), k=rng.randint(1, 30)))) for _ in range(n)]


def one_batch(pairs: list[tuple[str, str]], dim: int) -> Batch:
    """A loss in which every pair of rows and every component matters."""
    target = torch.randn(len(pairs), dim, generator=torch.Generator().manual_seed(0))

    def loss(embeddings: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        return ((embeddings @ embeddings.t()) ** 2).mean() + (embeddings * target).mean(), {}

    return Batch(pairs, loss, "one")


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
    model: InstructorModel, batch: Batch, *, packed: bool = False, **settings: Any
) -> tuple[float, dict[str, torch.Tensor]]:
    asked = TrainingSettings(n_steps=1, **{"bfloat16": False, **settings})
    network = PackedNetwork(model, bfloat16=asked.bfloat16) if packed else ChunkedNetwork(model, asked)
    tokens = PairTokenizer(model)(batch.pairs)
    loss, padded = network.gradients(tokens, lambda embeddings: batch.loss(embeddings)[0])
    assert padded >= len(tokens.ids)
    if isinstance(network, ChunkedNetwork):
        network.workers.close()
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    return loss.item(), gradients


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
        {"packed": True},
    ],
    ids=["one chunk", "workers", "cached, workers", "packed"],
)
def test_gradients_are_those_of_autograd_one_pair_at_a_time(model: InstructorModel, settings: dict[str, Any]) -> None:
    # Few pairs: with many, some input of a ReLU is so near zero that the order of a sum decides about its gradient.
    batch = one_batch(some_pairs(9), model.dim)
    expected_loss, expected = slow_gradients(model, batch)
    loss, gradients = fast_gradients(model, batch, **settings)
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
    parts = chunks(PairTokenizer(model)(pairs), chunk_tokens=256, pad=model.pad_id, device=model.device)
    assert len(parts) > 3
    embeddings = torch.empty(len(pairs), model.dim)
    for part in parts:
        embeddings[part.rows] = network.forward(part)[0]
    np.testing.assert_allclose(embeddings.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("packed", [False, True])
def test_bfloat16_gradients_point_where_float32_ones_do(model: InstructorModel, packed: bool) -> None:
    batch = one_batch(some_pairs(23), model.dim)
    one, other = (
        torch.cat([gradient.flatten() for gradient in fast_gradients(model, batch, **settings)[1].values()])
        for settings in ({}, {"bfloat16": True, "packed": packed})
    )
    assert torch.cosine_similarity(one, other, dim=0) > 0.99


def test_runs_hold_every_pair_with_little_padding_and_weights_that_make_a_mean(model: InstructorModel) -> None:
    rng = np.random.default_rng(0)
    lengths = np.sort(rng.gamma(3.0, 10.0, 3000).astype(np.int64) + 2)[::-1]
    runs = cut_runs(lengths)
    assert sum(count for count, _ in runs) == 3000
    assert sum(count * width for count, width in runs) < 1.1 * lengths.sum()
    assert len(runs) < 40
    assert cut_runs(np.asarray([9, 8, 8, 3])) == [(4, 12)]  # not worth another call
    pairs = some_pairs(60, seed=3)
    tokens = PairTokenizer(model)(pairs)
    packed = pack(tokens, pad=model.pad_id, device=model.device)
    np.testing.assert_allclose(torch.zeros(60).index_add(0, packed.pairs, packed.weights), 1, rtol=1e-6)
    for i, ids in enumerate(tokens.rows()):
        own = packed.pairs == i
        assert packed.ids[own & (packed.hidden == 0)].tolist() == ids.tolist()
        assert (packed.weights[own] > 0).sum() == tokens.lengths[i] - tokens.masked[i]


def test_the_watched_scores_are_those_of_the_attention(model: InstructorModel) -> None:
    pairs = some_pairs(5, seed=4)
    scores = PackedNetwork(model, bfloat16=False).scores(PairTokenizer(model)(pairs))
    attention = model.transformer.encoder.block[0].layer[0]
    largest = []
    for ids in PairTokenizer(model)(pairs).rows():
        states = attention.layer_norm(model.transformer.shared(torch.from_numpy(ids).long()))
        query, key = (part(states).view(len(ids), model.backbone.n_heads, -1).transpose(0, 1) for part in (
            attention.SelfAttention.q, attention.SelfAttention.k))  # fmt: skip
        bias = attention.SelfAttention.compute_bias(len(ids), len(ids))[0]
        largest.append(float((query @ key.transpose(1, 2) + bias).detach().max()))
    assert len(scores) == model.n_layers
    assert scores[0] == pytest.approx(max(largest), rel=1e-5)


@pytest.mark.parametrize("max_tokens", [None, 5])
def test_words_that_are_known_give_the_ids_of_inference(max_tokens: int | None) -> None:
    model = InstructorModel("instructor-mini", trainable=True, device="cpu")
    odd = ["", "  ", "e.g. </s>x <pad> a_b", "\u200bzero\u00a0width \u00b4acute x\u00b4", "cafe\u0301 \ufb01ne"]
    odd += ["你好 ok", "\ud800 lone", "a" * 900]
    pairs = [(instruction, text) for text in odd for instruction in (*INSTRUCTIONS[:3], " two  spaces ", "tab\t")]
    pairs += some_pairs(40)
    tokenizer = PairTokenizer(model, max_tokens)
    tokens = tokenizer(pairs)
    for ids, masked, pair in zip(tokens.rows(), tokens.masked, pairs, strict=True):
        (whole,) = model.encode_tokens([pair])
        *kept, end = whole.token_ids[: whole.n_encoded].tolist()
        kept = kept if max_tokens is None else kept[: whole.n_instruction_tokens + max_tokens]
        assert (ids.tolist(), int(masked)) == ([*kept, end], whole.n_instruction_tokens), pair
    with pytest.raises(EncoderError, match="no room"):
        tokenizer([("word " * 600, "text")])


def test_chunks_hold_every_pair_once_in_few_shapes_and_long_texts_are_cut_before_the_end_token(
    model: InstructorModel,
) -> None:
    pairs = some_pairs(200, seed=2)
    tokens = PairTokenizer(model)(pairs)
    ids = tokens.rows()
    parts = chunks(tokens, chunk_tokens=512, pad=model.pad_id, device=model.device)
    assert sorted(int(row) for part in parts for row in part.rows) == list(range(200))
    for part in parts:
        b, n = part.input_ids.shape
        assert b * n <= 512
        assert n % 4 == 0
        for line, row in enumerate(part.rows):
            assert part.input_ids[line, : part.lengths[line]].tolist() == ids[row].tolist()
    # Only the last chunk of a batch may have fewer rows than others of its length.
    assert len({tuple(part.input_ids.shape) for part in parts}) <= len({part.input_ids.shape[1] for part in parts}) + 1
    instruction = "Represent the review for its sentiment: "
    (count,) = model.count_tokens([instruction.strip()])
    text = "rain fell over quiet streets " * 5
    whole, cut = (PairTokenizer(model, most)([(instruction, text)]) for most in (None, 7))
    assert cut.ids.tolist() == [*whole.ids[: count + 7], whole.ids[-1]]
    assert cut.masked == whole.masked == [count]
    assert PairTokenizer(model, 7)([(instruction, "rain")]).ids[-1] == whole.ids[-1]
