"""A small page to show scenes on."""

from __future__ import annotations

import gradio as gr

from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.options import TabOption
from instructor_core.ui.page import Page, Selected
from instructor_core.ui.runtime import Runtime
from instructor_core.ui.scene.link_menu import build_link
from instructor_core.ui.scene.stage import Stage
from instructor_core.ui.sidebar import build_sidebar

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
