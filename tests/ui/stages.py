"""A small page to show scenes on, and views without a page."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.data.sidebar import build_sidebar
from instructor_core.ui.look.canvas import Context, Drawing
from instructor_core.ui.look.views import view_of
from instructor_core.ui.page import Page, Selected
from instructor_core.ui.scene.link_menu import build_link
from instructor_core.ui.scene.options import TabOption
from instructor_core.ui.scene.stage import Stage
from instructor_core.ui.server.runtime import Runtime

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


def holding(grid: EmbeddingGrid) -> Runtime:
    """A runtime without models, for which a grid is that of every run."""
    return cast(Runtime, SimpleNamespace(grid=lambda _: grid))


def draw(
    runtime: Runtime, inputs: Inputs, selected: Selected, tab: str, name: str, options: Mapping[str, Any]
) -> Drawing:
    """Draw a view; options are named without their tab."""
    named = {f"{tab}.{option}": value for option, value in options.items()}
    return view_of(tab, name).draw(Context(runtime, inputs, selected, named))
