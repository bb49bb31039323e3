"""A small page to show scenes on, and a look into the whole one."""

from __future__ import annotations

import inspect
from typing import Any

import gradio as gr
from hypothesis import strategies as st

from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.options import TabOption
from instructor_core.ui.page import Page, Selected
from instructor_core.ui.runtime import Runtime
from instructor_core.ui.scene.link_menu import build_link
from instructor_core.ui.scene.stage import Stage
from instructor_core.ui.sidebar import build_sidebar

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
PLACES = ("similarity", "map", "tokens")
INPUTS = Inputs("instructor-mini", ("Represent the text: ", ""), ("One.", "Two."), ("a", ""), (("x", "y"),))


def small_stage(demo: gr.Blocks) -> Stage:
    """Fields, two options, link and state file."""
    with demo:
        tabs, line, example, words = gr.Tabs(), gr.HTML(), gr.Dropdown(), gr.State(None)
        menu = gr.Dropdown([("mini (on this machine)", "instructor-mini")])
        page = Page(Runtime(CHECKPOINTS), gr.State(INPUTS), gr.State(Selected()), gr.State("similarity"), tabs)
        options = {
            "map.method": TabOption(gr.Radio(["umap", "pca"], value="umap")),
            "map.center": TabOption(gr.Checkbox()),
        }
        stage = Stage(page, build_sidebar(INPUTS, gr.Column()), menu, line, example, options, words)
        build_link(demo, stage, places=PLACES)
    return stage


def handler(demo: gr.Blocks, name: str) -> Any:
    """The function of an event."""
    return next(function.fn for function in demo.fns.values() if function.name == name)


def stage_of(demo: gr.Blocks) -> Stage:
    """The stage of the whole page."""
    stage: Stage = inspect.getclosurevars(inspect.unwrap(handler(demo, "link"))).nonlocals["stage"]
    return stage
