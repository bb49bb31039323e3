"""On ZeroGPU checkpoints of the hub run in functions wrapped before the start; the bundled one never does."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import gradio as gr
import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.encoder import EncoderError
from instructor_core.errors import UserError
from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.server import zero_gpu
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.server.zero_gpu import MAX_S, START_S, count_tokens, lend, seconds
from tests.test_project import ROOT, front_matter, pin_of, requirements

PAIRS = [("Represent the text: ", "One."), ("", "Two.")]
# hub-docs: docs/hub/spaces-zerogpu.md of 22 August 2026; pull request 2763 (4 September 2026) for the last two
PYTHON_ON_ZERO_GPU = {"3.12.12", "3.10.13"}
TORCH_ON_ZERO_GPU = {"2.8.0", "2.9.1", "2.10.0", "2.11.0", "2.12.1", "2.13.0"}


class Spaces(ModuleType):
    """A stand-in that writes down what was wrapped, and the seconds and arguments of each call."""

    def __init__(self) -> None:
        super().__init__("spaces")
        self.wrapped = 0
        self.declared: list[int] = []

    def GPU(self, *, duration: Callable[..., int]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
            self.wrapped += 1

            def run(*arguments: Any) -> Any:
                # They travel between processes there: a model among them would be copied each time.
                assert not any(isinstance(argument, InstructorModel) for argument in arguments)
                self.declared.append(duration(*arguments))
                return function(*arguments)

            return run

        return wrap


@pytest.fixture
def spaces(monkeypatch: pytest.MonkeyPatch) -> Spaces:
    stand_in = Spaces()
    monkeypatch.setitem(sys.modules, "spaces", stand_in)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setattr(zero_gpu.lend, "__kwdefaults__", {"device": "cpu"})
    return stand_in


def test_elsewhere_nothing_is_wrapped_and_the_seconds_grow_with_tokens_and_weights_and_are_bounded(
    spaces: Spaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPACES_ZERO_GPU")
    runtime = Runtime(CHECKPOINTS)
    assert spaces.wrapped == 0
    assert runtime.place(CHECKPOINTS[0].id) == runtime.encoder(CHECKPOINTS[0].id).model.device.type
    assert seconds(0, 0) == START_S
    assert seconds(512, 110_000_000) == 6  # 5 + 0.44 GB / 0.5 GB/s + 2 * 110e6 * 512 / 5e12 = 5.9
    assert seconds(50_000, 1_300_000_000) == 42  # 5 + 10.4 + 26
    assert seconds(10**9, 1_300_000_000) == MAX_S


def test_the_bundled_checkpoint_spends_nobodys_minutes(spaces: Spaces) -> None:
    runtime = Runtime(CHECKPOINTS, device="cuda")
    encoder = runtime.encoder("instructor-mini")
    assert encoder.model.device.type == runtime.place("instructor-mini") == "cpu"
    encoder.encode(PAIRS)
    (row,) = encoder.encode_tokens(PAIRS[:1], deep=True)
    encoder.read_out(row.hidden)
    assert spaces.declared == []


def test_every_run_of_a_hub_checkpoint_declares_the_seconds_of_its_tokens(
    spaces: Spaces, checkpoint_a: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = replace(CHECKPOINTS[1], source=str(checkpoint_a))
    runtime = Runtime((CHECKPOINTS[0], hub))
    assert spaces.wrapped == 1  # before the start: a Space without a wrapped function is refused
    encoder = runtime.encoder(hub.id)
    assert runtime.place(hub.id) == "ZeroGPU" and spaces.declared == []
    expected = InstructorModel(checkpoint_a, device="cpu").encode(PAIRS, normalize=False)
    np.testing.assert_allclose(encoder.encode(PAIRS), expected, atol=1e-5)
    (row,) = encoder.encode_tokens(PAIRS[:1])
    encoder.read_out(row.hidden)
    encoder.encode(PAIRS)  # what is known needs no GPU
    few = seconds(10, hub.n_parameters)
    assert spaces.declared == [few] * 3
    long = [("", f"{i} " + "word " * 600) for i in range(300)]
    declare = [count_tokens(encoder.model, long), hub.n_parameters]
    assert declare[0] == 300 * 512
    assert few < seconds(*declare) <= MAX_S


def test_what_goes_wrong_on_the_gpu_is_told_in_words(checkpoint_a: Path) -> None:
    twin = InstructorModel(checkpoint_a, device="cpu")
    hub = replace(CHECKPOINTS[1], source=str(checkpoint_a))
    encode = lend(Spaces().GPU, hub, "float32", device="cpu")(InstructorModel.encode, twin)
    with pytest.raises(EncoderError, match="leaves no room"):
        encode([("word " * 600, "One.")])

    def used_up(*, duration: object) -> Callable[[object], Callable[..., Any]]:
        def run(*_: object) -> Any:
            raise gr.Error("You have exceeded your free ZeroGPU quota")

        return lambda _: run

    with pytest.raises(UserError, match="exceeded your free ZeroGPU quota"):
        lend(used_up, hub, "float32")(InstructorModel.encode, twin)(PAIRS)


def test_the_readme_asks_for_versions_that_zero_gpu_has() -> None:
    assert front_matter()["python_version"] in PYTHON_ON_ZERO_GPU
    assert pin_of(requirements(ROOT / "requirements.txt")["torch"]) in TORCH_ON_ZERO_GPU
