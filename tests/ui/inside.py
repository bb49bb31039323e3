"""A look into the page: the functions of its events, and the stage that its scenes are shown on."""

import inspect
from typing import Any

import gradio as gr
from hypothesis import strategies as st

from instructor_core.ui.scene.stage import Stage

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


def event(**values: Any) -> gr.EventData:
    """What a component of the page sends."""
    return gr.EventData(None, values)


def options_of(demo: gr.Blocks) -> dict[str, Any]:
    """The options of the page as they stand at first."""
    return {name: option.component.value for name, option in stage_of(demo).options.items()}


def handler(demo: gr.Blocks, name: str) -> Any:
    """The function of an event."""
    return next(function.fn for function in demo.fns.values() if function.name == name)


def stage_of(demo: gr.Blocks) -> Stage:
    """The stage of the whole page."""
    stage: Stage = inspect.getclosurevars(inspect.unwrap(handler(demo, "link"))).nonlocals["stage"]
    return stage
