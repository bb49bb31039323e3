"""On ZeroGPU the model runs inside functions that `spaces` has wrapped; without the package nothing changes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.hub import local_checkpoint
from instructor_core.ui.runtime import Runtime
from instructor_core.ui.zero_gpu import on_device

PAIRS = [("Represent the text: ", "One."), ("", "Two.")]


def test_without_the_package_functions_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spaces", None)  # an import of it fails
    assert on_device()(print) is print


def test_every_run_of_a_model_is_a_call_of_a_function_that_the_package_wrapped(
    checkpoint_a: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent: list[str] = []
    wrapped: list[Callable[..., Any]] = []

    def gpu(function: Callable[..., Any]) -> Callable[..., Any]:
        wrapped.append(function)

        def run(*arguments: Any) -> Any:
            # Arguments and results travel between processes there: a model among them would be copied each time.
            assert not any(isinstance(argument, InstructorModel) for argument in arguments)
            lent.append("GPU")
            return function(*arguments)

        return run

    stand_in = ModuleType("spaces")
    stand_in.GPU = gpu  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spaces", stand_in)
    local = local_checkpoint(checkpoint_a)
    encoder = Runtime((local,), device="cpu").encoder(local.id)
    assert len(wrapped) == 3 and lent == []
    expected = InstructorModel(checkpoint_a, device="cpu").encode(PAIRS, normalize=False)
    np.testing.assert_allclose(encoder.encode(PAIRS), expected, atol=1e-5)
    (row,) = encoder.encode_tokens(PAIRS[:1])
    encoder.read_out(row.hidden)
    assert lent == ["GPU"] * 3
    encoder.encode(PAIRS)
    assert lent == ["GPU"] * 3  # what is known needs no GPU
