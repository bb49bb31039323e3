"""Who wrote a similarity: against a calculation by hand, and what must hold of any network."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from instructor_core import InstructorModel
from instructor_core.analysis.layers import WriteShares, read_groups, write_shares
from instructor_core.direct_writes import direct_writes
from instructor_core.encoder import EncoderError
from tests.checkpoints import make_checkpoint

INSTRUCTION = "Represent the review for its mood: "
PAIR = [(INSTRUCTION, "The soup was cold."), (INSTRUCTION, "What a wonderful evening, 日本!")]


def parts(model: InstructorModel, pairs: list[tuple[str, str]]) -> list[tuple[np.ndarray, ...]]:
    encoded = model.encode_tokens(pairs, layers=True, attentions=True)
    return [direct_writes(model, pair, read_groups(pair.segments, pair.n_encoded)) for pair in encoded]


def shares(model: InstructorModel, pairs: list[tuple[str, str]] = PAIR) -> WriteShares:
    first, second = parts(model, pairs)
    return write_shares(first, second)


def test_one_layer_and_one_head_are_as_computed_by_hand(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "one", num_layers=1, num_heads=1, seed=3)
    model = InstructorModel(folder, trainable=True)
    (pair,) = model.encode_tokens(PAIR[:1], layers=True, attentions=True)
    (q, k, v), o, (wi,), wo, before, between = [
        [each.detach().numpy().astype(float) for each in part] if isinstance(part, list) else part.detach().numpy()
        for part in model.backbone.weights(0)
    ]
    norm = lambda x, gain: x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6) * gain  # noqa: E731
    x = model.backbone.embed.weight.detach().numpy()[pair.token_ids].astype(float)
    n = len(x)
    table = model.backbone.position_table.weight.detach().numpy()[:, 0]
    scores = (norm(x, before) @ q.T) @ (norm(x, before) @ k.T).T
    scores += table[model.backbone.position_buckets(n, torch.device("cpu")).numpy()]
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    groups = read_groups(pair.segments, n)
    read = [(weights * group) @ (norm(x, before) @ v.T) @ o.T for group in groups]
    middle = x + sum(read)
    forward = np.maximum(norm(middle, between) @ wi.T, 0) @ wo.T
    last = middle + forward
    frozen = model.backbone.final_norm.weight.detach().numpy() / np.sqrt((last**2).mean(axis=1, keepdims=True) + 1e-6)
    out = model.dense.weight.detach().numpy().T
    wanted = [(part * frozen)[pair.pooling_mask].mean(axis=0) @ out for part in (x, *read, forward)]
    tokens, heads, feed_forward = direct_writes(model, pair, groups)
    assert heads.shape == (1, 1, 3, 64) and feed_forward.shape == (1, 64)
    for got, expected in zip((tokens, *heads[0, 0], feed_forward[0]), wanted, strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize("name", ["checkpoint_a", "checkpoint_b", "mini"])
def test_the_parts_of_any_pair_add_up_to_its_embedding_and_their_shares_to_the_cosine(
    request: pytest.FixtureRequest, name: str
) -> None:
    given = request.getfixturevalue(name)
    model = InstructorModel(given) if isinstance(given, Path) else given
    rng = np.random.default_rng(0)
    words = np.array(re.split(" ", "soup cold the good film ending 日本 was never </s> ½ it, train late! room"))
    told = [" ".join(rng.choice(words, rng.integers(0, 25))) for _ in range(200)]
    pairs = [(f"{' '.join(rng.choice(words, rng.integers(0, 9)))} ".lstrip(), text) for text in told]
    found = parts(model, pairs)
    embeddings = model.encode(pairs, normalize=False)
    for writes, embedding in zip(found, embeddings, strict=True):
        total = sum(part.reshape(-1, part.shape[-1]).sum(axis=0) for part in writes)
        np.testing.assert_allclose(total, embedding, atol=1e-5)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    for at in range(0, 200, 2):
        result = write_shares(found[at], found[at + 1])
        total = result.embedding + result.heads.sum() + result.feed_forward.sum()
        assert total == pytest.approx(result.cosine, abs=1e-9)
        assert result.cosine == pytest.approx(float(unit[at] @ unit[at + 1]), abs=1e-5)


def test_nothing_is_read_from_no_instruction_and_the_shares_are_the_same_whichever_text_comes_first(
    model: InstructorModel,
) -> None:
    result = shares(model, [("", text) for _, text in PAIR])
    assert (result.heads[:, :, 0] == 0).all() and abs(result.by_group[1]) > 1e-3
    assert (shares(model).heads[:, :, 0] != 0).all()
    one, two = shares(model), shares(model, PAIR[::-1])
    np.testing.assert_allclose(one.heads, two.heads, atol=1e-7)
    assert one.embedding == pytest.approx(two.embedding, abs=1e-7)
    (pair,) = model.encode_tokens(PAIR[:1], layers=True)
    with pytest.raises(EncoderError, match="layers=True, attentions=True"):
        direct_writes(model, pair, read_groups(pair.segments, pair.n_encoded))


def test_heads_in_another_order_are_the_same_bars_in_that_order(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "heads", num_heads=4, num_layers=2, seed=5)
    model, other = (InstructorModel(folder, trainable=True) for _ in range(2))
    order = [2, 0, 3, 1]
    with torch.no_grad():
        for layer in range(2):
            qkv, o, *_ = other.backbone.weights(layer)
            for weight in qkv:
                weight.copy_(weight.view(4, -1, weight.shape[1])[order].reshape(weight.shape))
            o.copy_(o.view(o.shape[0], 4, -1)[:, order].reshape(o.shape))
        table = other.backbone.position_table.weight
        table.copy_(table[:, order])
    one, two = shares(model), shares(other)
    np.testing.assert_allclose(two.heads, one.heads[:, order], atol=1e-5)
    np.testing.assert_allclose(two.feed_forward, one.feed_forward, atol=1e-5)
