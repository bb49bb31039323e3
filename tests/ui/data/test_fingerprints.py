"""The line under each instruction: what it does to the texts, said by what was measured."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest

from instructor_core.cache import CachedEncoder
from instructor_core.hub import BUNDLED, local_checkpoint
from instructor_core.ui.data.examples import load_examples
from instructor_core.ui.data.fingerprints import (
    FREE_S,
    SHARE,
    TOO_DEAR,
    fingerprint_lines,
    fingerprints,
    follow_fingerprints,
    n_affordable,
    sample,
)
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.server.runtime import Runtime

TEXTS = load_examples()[0].texts


def test_each_instruction_is_told_by_what_it_does_few_texts_from_how_many_on_and_many_are_sampled(
    encoder: CachedEncoder,
):
    instructions = ("Represent this: ", "Is the author happy or annoyed? ", "", "Do not use sentiment: ")
    nothing, mood, control, opposite = fingerprint_lines(encoder.encode, Inputs("mini", instructions, TEXTS, None))
    assert re.search(r"hardly changes anything \(\.\d\d; punctuation \.\d\d\)", nothing)
    assert re.search(r"moves the texts \.\d\d \(punctuation \.\d\d\) · like .*sentiment", mood)
    assert "control" in control
    assert "sentiment" in opposite  # by what it does, not by what it asks for
    (line,) = fingerprint_lines(encoder.encode, Inputs("mini", ("Mood: ",), ("a", "b", "a", "b"), None))
    assert "from 4 different texts on" in line
    many = [f"text {i}" for i in range(100)]
    chosen = sample([*many, *many])
    assert len(set(chosen)) == len(chosen) == 48 and sample(chosen) == chosen
    for most in (0, 1, 47):  # a smaller sample is spread over the larger one
        fewer = sample(many, most)
        assert len(set(fewer)) == most and set(fewer) <= set(chosen)


MANY = tuple(f"Text {i} is {'good' if i % 2 else 'bad'}." for i in range(1000))
PER_TEXT = 1 + 25 + 5  # no instruction, 13 tasks and 12 controls, 5 edits of "Mood: "


@pytest.fixture
def runtime(checkpoint_a: Path) -> Runtime:  # of its own: it is lent, and its pace is measured
    return Runtime((local_checkpoint(checkpoint_a),), device="cpu")


def test_what_is_made_unasked_costs_half_the_run_or_two_seconds_of_the_model(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    run = Inputs(runtime.checkpoints[0].id, ("Mood: ",), MANY, None)
    runtime.grid(run)
    assert runtime.pace(run.checkpoint_id) > 0
    monkeypatch.setattr(Runtime, "pace", lambda *_: 0.0)
    assert n_affordable(runtime, run) == 16  # 1000 / 2 = 500 pairs; 500 / 31 = 16.1
    encoded: set[tuple[str, str]] = set()
    encode = runtime.encoder(run.checkpoint_id).encode
    list(fingerprints(lambda pairs: (encoded.update(pairs), encode(pairs))[1], replace(run, texts=sample(MANY, 16))))
    assert len(encoded - set(run.pairs)) == 16 * PER_TEXT <= SHARE * len(run.pairs)
    monkeypatch.setattr(Runtime, "pace", lambda *_: 10 * PER_TEXT / FREE_S)
    assert n_affordable(runtime, replace(run, texts=MANY[:60])) == 10
    assert n_affordable(runtime, run) == 16
    monkeypatch.setattr(Runtime, "pace", lambda *_: 1e6)
    assert n_affordable(runtime, run) == n_affordable(runtime, replace(run, checkpoint_id=BUNDLED)) == 48
    runtime._lent[run.checkpoint_id] = lambda function, model: function
    assert n_affordable(runtime, run) == 0  # ZeroGPU: a visitor's minutes


def test_a_fingerprint_that_would_cost_too_much_is_said_to_be_missing(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Runtime, "pace", lambda *_: 0.0)
    with gr.Blocks(analytics_enabled=False) as demo:
        page = SimpleNamespace(runtime=runtime, inputs=gr.State())
        follow_fingerprints(page, demo, [gr.HTML() for _ in range(8)])  # type: ignore[arg-type]
    (event,) = demo.fns.values()
    *_, lines = event.fn(Inputs(runtime.checkpoints[0].id, ("Mood: ", ""), MANY[:60], None))
    assert TOO_DEAR in lines[0] and "the control" in lines[1] and lines[2] == ""
