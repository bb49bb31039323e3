"""What the tests of the page share: the whole page, and a runtime on the bundled checkpoint."""

import gradio as gr
import pytest

from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.demo import build_demo
from instructor_core.ui.server.runtime import Runtime


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    """The checkpoints of the menu, of which the bundled one is there."""
    return Runtime(CHECKPOINTS, device="cpu")


@pytest.fixture(scope="session")
def demo(runtime: Runtime) -> gr.Blocks:
    """The page as it is built for visitors."""
    return build_demo(runtime)
