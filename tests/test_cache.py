"""The cache returns what the encoder returns, encodes only what is missing, and stays within its bound."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.cache import CachedEncoder, Progress

TOPIC, MOOD = "Represent the text for its topic: ", "Represent the text for its mood: "
TEXTS = ("Cold soup.", "A fine day", "Rain again", "x", "A much longer text than all of the others here.")
PAIRS = [(instruction, text) for instruction in (TOPIC, MOOD) for text in TEXTS]


@pytest.fixture(scope="module")
def model(checkpoint_a: Path) -> InstructorModel:
    return InstructorModel(checkpoint_a)


class Counting:
    """The encoder with a record of the pairs it was asked for."""

    def __init__(self, model: InstructorModel) -> None:
        self.model, self.dim = model, model.dim
        self.encoded: list[tuple[str, str]] = []
        self.tokens: list[tuple[str, str]] = []

    def encode_batches(self, pairs: list[tuple[str, str]], *, normalize: bool) -> object:
        self.encoded += pairs
        return self.model.encode_batches(pairs, normalize=normalize)

    def encode_tokens(self, pairs: list[tuple[str, str]], *, layers: bool, attentions: bool) -> object:
        self.tokens += pairs
        return self.model.encode_tokens(pairs, layers=layers, attentions=attentions)


def test_vectors_are_those_of_the_encoder_in_the_order_asked(model: InstructorModel) -> None:
    encoder = CachedEncoder(model)
    expected = model.encode(PAIRS, normalize=False)
    np.testing.assert_allclose(encoder.encode(PAIRS), expected, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(PAIRS[::-1]), expected[::-1], atol=1e-5)


def test_only_missing_pairs_are_encoded_and_each_once(model: InstructorModel) -> None:
    counting = Counting(model)
    encoder = CachedEncoder(counting)  # type: ignore[arg-type]
    encoder.encode([*PAIRS[:3], PAIRS[0]])
    assert sorted(counting.encoded) == sorted(PAIRS[:3])
    encoder.encode(PAIRS)
    assert sorted(counting.encoded) == sorted(PAIRS)


def test_editing_one_text_encodes_that_text_only(model: InstructorModel) -> None:
    counting = Counting(model)
    encoder = CachedEncoder(counting)  # type: ignore[arg-type]
    encoder.encode(PAIRS)
    counting.encoded.clear()
    encoder.encode([(instruction, "y" if text == "x" else text) for instruction, text in PAIRS])
    assert sorted(counting.encoded) == [(MOOD, "y"), (TOPIC, "y")]


def test_progress_counts_pairs_and_closing_keeps_what_was_done(
    model: InstructorModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("instructor_core.encoder").encoder._BATCH_TOKENS, "cpu", 1)
    counting = Counting(model)
    encoder = CachedEncoder(counting)  # type: ignore[arg-type]
    steps = encoder.encode_steps(PAIRS)
    assert next(steps) == Progress(0, 10, 10)
    assert next(steps) == Progress(1, 10, 10)
    steps.close()
    counting.encoded.clear()
    encoder.encode(PAIRS)
    assert len(counting.encoded) == 9


def test_the_bound_holds_and_the_oldest_goes_first(model: InstructorModel) -> None:
    counting = Counting(model)
    encoder = CachedEncoder(counting, embedding_bytes=1700)  # type: ignore[arg-type]  # room for some four entries
    for pair in PAIRS:
        encoder.encode([pair])
        assert encoder.n_bytes <= 1700
    counting.encoded.clear()
    encoder.encode([PAIRS[-1]])
    assert counting.encoded == []
    np.testing.assert_allclose(encoder.encode(PAIRS), model.encode(PAIRS, normalize=False), atol=1e-5)


def test_cached_vectors_cannot_be_changed_by_a_caller(model: InstructorModel) -> None:
    encoder = CachedEncoder(model)
    first = encoder.encode(PAIRS)
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(encoder.encode(PAIRS), kept)


def test_token_encodings_are_computed_once_per_depth(model: InstructorModel) -> None:
    counting = Counting(model)
    encoder = CachedEncoder(counting)  # type: ignore[arg-type]
    shallow = encoder.encode_tokens([PAIRS[0], PAIRS[0]])
    assert shallow[0] is shallow[1] and shallow[0].layers is None
    assert counting.tokens == [PAIRS[0]]
    deep = encoder.encode_tokens([PAIRS[0]], deep=True)[0]
    assert deep.layers is not None and deep.attentions is not None
    assert encoder.encode_tokens([PAIRS[0]], deep=True)[0] is deep


def test_threads_get_the_same_answers(model: InstructorModel) -> None:
    encoder = CachedEncoder(model, embedding_bytes=4000)
    expected = model.encode(PAIRS, normalize=False)
    results: list[np.ndarray] = []
    threads = [Thread(target=lambda: results.append(encoder.encode(PAIRS))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    for result in results:
        np.testing.assert_allclose(result, expected, atol=1e-5)
