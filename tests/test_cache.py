"""The cache returns what the encoder returns, encodes only what is missing, and stays within its bound."""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.cache import CachedEncoder, Progress
from instructor_core.encoder import EncoderError
from instructor_core.errors import UserError
from instructor_core.queueing import ModelQueue

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
        self.max_seq_length, self.device = model.max_seq_length, model.device
        self.encoded: list[tuple[str, str]] = []
        self.tokens: list[tuple[str, str]] = []
        self.runs = 0

    def encode(self, pairs: list[tuple[str, str]], *, normalize: bool) -> object:
        self.encoded += pairs
        self.runs += 1
        return self.model.encode(pairs, normalize=normalize)

    def encode_tokens(self, pairs: list[tuple[str, str]], *, layers: bool, attentions: bool) -> object:
        self.tokens += pairs
        return self.model.encode_tokens(pairs, layers=layers, attentions=attentions)


def test_only_missing_pairs_are_encoded_and_each_once(model: InstructorModel) -> None:
    counting = Counting(model)
    encoder = CachedEncoder(counting)  # type: ignore[arg-type]
    encoder.encode([*PAIRS[:3], PAIRS[0]])
    assert sorted(counting.encoded) == sorted(PAIRS[:3])
    np.testing.assert_allclose(encoder.encode(PAIRS[::-1]), model.encode(PAIRS[::-1], normalize=False), atol=1e-5)
    assert sorted(counting.encoded) == sorted(PAIRS)
    counting.encoded.clear()
    encoder.encode([(instruction, "y" if text == "x" else text) for instruction, text in PAIRS])
    assert sorted(counting.encoded) == [(MOOD, "y"), (TOPIC, "y")]
    kept = encoder.encode(PAIRS)
    encoder.encode(PAIRS)[:] = 0  # what a caller does to its answer
    np.testing.assert_array_equal(encoder.encode(PAIRS), kept)
    for ask in (encoder.encode, encoder.encode_tokens):
        with pytest.raises(EncoderError, match="leaves no room"):
            ask([("word " * 600, "x")])
    np.testing.assert_array_equal(encoder.encode(PAIRS), kept)


def test_progress_counts_pairs_and_closing_keeps_what_was_done_and_what_was_being_run(model: InstructorModel) -> None:
    for slice_cost in (1, 4096):
        counting = Counting(model)
        encoder = CachedEncoder(counting, queue=ModelQueue(slice_cost=slice_cost))  # type: ignore[arg-type]
        steps = encoder.encode_steps(PAIRS)
        assert next(steps) == Progress(0, 10, 10)
        progress = next(steps)
        while slice_cost == 1 and progress.done == 0:
            progress = next(steps)
        assert slice_cost > 1 or 1 <= progress.done < progress.total
        steps.close()
        encoder.encode(PAIRS)
        assert sorted(counting.encoded) == sorted(PAIRS)


def test_the_bound_holds_the_oldest_goes_first_and_more_new_pairs_than_allowed_are_refused(
    model: InstructorModel,
) -> None:
    counting = Counting(model)
    encoder = CachedEncoder(counting, embedding_bytes=1700)  # type: ignore[arg-type]  # room for some four entries
    for pair in PAIRS:
        encoder.encode([pair])
        assert encoder.n_bytes <= 1700
    counting.encoded.clear()
    encoder.encode([PAIRS[-1]])
    assert counting.encoded == []
    np.testing.assert_allclose(encoder.encode(PAIRS), model.encode(PAIRS, normalize=False), atol=1e-5)
    counting = Counting(model)
    encoder = CachedEncoder(counting, max_pairs=4)  # type: ignore[arg-type]
    for ask in (encoder.encode, encoder.encode_tokens):
        with pytest.raises(UserError, match="may have 4 new pairs of instruction and text: this one has 10"):
            ask(PAIRS)
    assert counting.encoded == counting.tokens == []
    for start in range(0, 10, 4):
        encoder.encode(PAIRS[start : start + 4])
    assert encoder.encode(PAIRS).shape == (10, 64)  # what is known does not count


def test_token_encodings_are_computed_once_per_depth_and_every_run_passes_through_the_wrapper_for_devices(
    model: InstructorModel,
) -> None:
    counting = Counting(model)
    encoder = CachedEncoder(counting)  # type: ignore[arg-type]
    shallow = encoder.encode_tokens([PAIRS[0], PAIRS[0]])
    assert shallow[0] is shallow[1] and shallow[0].layers is None
    assert counting.tokens == [PAIRS[0]]
    deep = encoder.encode_tokens([PAIRS[0]], deep=True)[0]
    assert deep.layers is not None and deep.attentions is not None
    assert encoder.encode_tokens([PAIRS[0]], deep=True)[0] is deep
    np.testing.assert_allclose(CachedEncoder(model).read_out(deep.layers), model.read_out(deep.layers), atol=1e-6)
    runs: list[str] = []

    def on_device(function: Callable[..., Any], held: object) -> Callable[..., Any]:
        def run(*arguments: object) -> Any:
            runs.append(type(arguments[0]).__name__)
            return function(held, *arguments)

        return run

    encoder = CachedEncoder(model, on_device=on_device)
    encoder.encode(PAIRS[:1])
    (row,) = encoder.encode_tokens(PAIRS[:1], deep=True)
    encoder.read_out(row.hidden)
    assert runs == ["list", "list", "ndarray"]


def test_requests_that_are_run_together_get_the_vectors_of_the_encoder(model: InstructorModel) -> None:
    queue = ModelQueue()
    counting = Counting(model)
    encoder = CachedEncoder(counting, queue=queue)  # type: ignore[arg-type]
    asked = [[(instruction, f"{text} {visitor}") for instruction, text in PAIRS] for visitor in range(6)]
    hold = Event()
    steps = queue.work("elsewhere", {"x": 1}, lambda items: [hold.wait(30)])
    holding = Thread(target=lambda: list(steps))
    holding.start()
    results: dict[int, np.ndarray] = {}

    def ask(visitor: int) -> None:
        results[visitor] = encoder.encode(asked[visitor])

    threads = [Thread(target=ask, args=(visitor,)) for visitor in range(6)]
    for thread in threads:
        thread.start()
    while queue.n_requests < 7:
        time.sleep(0.001)
    hold.set()
    for thread in [*threads, holding]:
        thread.join(30)
    assert sorted(counting.encoded) == sorted(pair for pairs in asked for pair in pairs)
    assert counting.runs == 1
    for visitor, pairs in enumerate(asked):
        np.testing.assert_allclose(results[visitor], model.encode(pairs, normalize=False), atol=1e-5)


def test_encoders_may_share_one_queue_and_a_full_one_refuses_new_pairs_only(model: InstructorModel) -> None:
    queue = ModelQueue(max_requests=1)
    one, other = CachedEncoder(model, queue=queue), CachedEncoder(model, queue=queue)
    one.encode(PAIRS[:2])
    hold = Event()
    steps = queue.work("elsewhere", {"x": 1}, lambda items: [hold.wait(30)])
    next(steps)
    with pytest.raises(UserError, match="busy"):
        other.encode(PAIRS[:2])
    with pytest.raises(UserError, match="busy"):
        one.encode_tokens(PAIRS[:2])
    assert one.encode(PAIRS[:2]).shape == (2, 64)
    hold.set()
    list(steps)
    np.testing.assert_allclose(other.encode(PAIRS[:2]), one.encode(PAIRS[:2]), atol=1e-5)
