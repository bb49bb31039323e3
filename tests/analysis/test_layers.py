import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.analysis.layers import (
    layer_divergence,
    layer_similarity,
    pool_layers,
    segment_attention,
)
from instructor_core.encoder import TokenEncoding
from instructor_core.errors import UserError

SENTIMENT = "Represent the review for classifying its sentiment: "
TOPIC = "Represent the sentence by its topic: "
LONG = " ".join(f"word {number}" for number in range(300))
TEXTS = ("The goal came late.", "very very good very", "a", "日本 ½ supercalifragilistic", "")


def with_layers(model: InstructorModel, pairs: list[tuple[str, str]]) -> list[tuple[TokenEncoding, np.ndarray]]:
    encoded = model.encode_tokens(pairs, layers=True)
    assert all(pair.layers is not None for pair in encoded)
    return [(pair, pair.layers) for pair in encoded if pair.layers is not None]


@pytest.mark.parametrize("text", TEXTS)
def test_the_embedding_row_is_exactly_zero_and_the_rest_equals_a_loop(model: InstructorModel, text: str) -> None:
    (first, left), (second, right) = with_layers(model, [(SENTIMENT, text), (TOPIC, text)])
    result = layer_divergence(first, second, first_layers=left, second_layers=right)
    assert result.values.shape == (len(left), first.pooling_mask.sum())
    assert (result.values[0] == 0).all()
    assert (result.values[1:].max(axis=1) > 1e-4).all()
    places = zip(np.flatnonzero(first.pooling_mask), np.flatnonzero(second.pooling_mask), strict=True)
    for column, (i, j) in enumerate(places):
        for layer in range(1, len(left)):
            a, b = left[layer, i].astype(np.float64), right[layer, j].astype(np.float64)
            expected = 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert result.values[layer, column] == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(result.by_layer, result.values.mean(axis=1), atol=1e-6)


def test_padding_changes_no_layer(model: InstructorModel) -> None:
    ((first, left),) = with_layers(model, [(TOPIC, TEXTS[0])])
    (second, right), _ = with_layers(model, [(TOPIC, TEXTS[0]), (TOPIC, " ".join(TEXTS * 6))])
    values = layer_divergence(first, second, first_layers=left, second_layers=right).values
    assert np.abs(values).max() < 1e-9


def test_the_read_out_of_the_last_layer_is_the_similarity_of_the_embeddings(model: InstructorModel) -> None:
    pairs = [(TOPIC, text) for text in (*TEXTS, LONG)]
    embeddings = np.stack(
        [pool_layers(model.read_out(layers), pair.pooling_mask) for pair, layers in with_layers(model, pairs)], axis=1
    )
    result = layer_similarity(embeddings)
    units = model.encode(pairs)
    np.testing.assert_allclose(result.matrices[-1], units @ units.T, atol=1e-5)
    assert result.matrices.shape == (len(embeddings), len(pairs), len(pairs))
    for (low, high), matrix in zip(result.ranges, result.matrices, strict=True):
        apart = matrix[~np.eye(len(pairs), dtype=bool)]
        assert low <= apart.min() <= apart.max() <= high
        assert low < high
    assert np.abs(result.matrices[1] - result.matrices[-1]).max() > 1e-3
    # Pooling a layer leaves out the instruction.
    read_outs = np.arange(12.0).reshape(2, 3, 2)
    pooled = pool_layers(read_outs, np.array([False, True, True]))
    assert pooled.tolist() == [[3, 4], [9, 10]]


@pytest.mark.parametrize(("instruction", "text"), [(TOPIC, TEXTS[0]), ("", "very good"), ("x:", "//a")])
def test_shares_of_attention_sum_to_one_and_equal_a_loop(model: InstructorModel, instruction: str, text: str) -> None:
    (pair,) = model.encode_tokens([(instruction, text)], attentions=True)
    result = segment_attention(pair.attentions, pair.segments)
    np.testing.assert_allclose(result.shares.sum(axis=2), 1, atol=1e-5)
    assert result.even.sum() == pytest.approx(1)
    expected = np.zeros(result.shares.shape)
    asking = [i for i, segment in enumerate(pair.segments) if segment in ("text", "straddling")]
    for i in asking:
        for j, segment in enumerate(pair.segments):
            group = {"instruction": 0, "text": 1, "straddling": 1, "end": 2}[segment]
            expected[:, :, group] += pair.attentions[:, :, i, j] / len(asking)
    np.testing.assert_allclose(result.shares, expected, atol=1e-5)
    np.testing.assert_allclose(result.by_layer, expected.mean(axis=1), atol=1e-5)


def test_even_attention_gives_each_segment_its_share_of_the_tokens_that_were_encoded() -> None:
    segments = ("instruction", "instruction", "text", "straddling", "end", "cut", "cut")
    result = segment_attention(np.full((1, 2, 5, 5), 0.2), segments)
    np.testing.assert_allclose(result.even, [0.4, 0.4, 0.2])
    np.testing.assert_allclose(result.shares, np.broadcast_to([0.4, 0.4, 0.2], (1, 2, 3)), atol=1e-6)
    with pytest.raises(UserError, match="got an empty text"):
        segment_attention(np.full((1, 1, 2, 2), 0.5), ("instruction", "end"))
