"""What the tests of the page share: the whole page, and a runtime on a random and on the bundled checkpoint."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from instructor_core.hub import CHECKPOINTS, local_checkpoint
from instructor_core.ui.demo import build_demo
from instructor_core.ui.runtime import Runtime


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    """The checkpoints of the menu, of which the bundled one is there."""
    return Runtime(CHECKPOINTS, device="cpu")


@pytest.fixture(scope="session")
def small_runtime(checkpoint_a: Path) -> Runtime:
    """A random checkpoint alone."""
    return Runtime((local_checkpoint(checkpoint_a),), device="cpu")


@pytest.fixture(scope="session")
def demo(runtime: Runtime) -> gr.Blocks:
    """The page as it is built for visitors."""
    return build_demo(runtime)
