"""Nearest: the texts nearest to the selected one, in words, under each instruction, at every size."""

from __future__ import annotations

from dataclasses import replace

import gradio as gr

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.neighbors import nearest_texts
from instructor_core.figures.neighbors import NEAREST_HOW_TO_READ, nearest_panels
from instructor_core.figures.panels import PanelSet, Selection
from instructor_core.ui.components import plot_view
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.gradio_patches import event_data
from instructor_core.ui.look.canvas import Canvas, Drawing, View, redraw
from instructor_core.ui.page import EACH, Page, Selected
from instructor_core.ui.scene.stage import TabOption

TAB = "nearest"
N_NEAREST = 20


def draw(grid: EmbeddingGrid, selected: Selected) -> PanelSet:
    """One list of nearest texts per instruction."""
    drawn = nearest_panels(nearest_texts(grid, selected.row, k=N_NEAREST), grid.texts, grid.instructions)
    return replace(drawn, selected=Selection(items=(selected.row, selected.column)))


VIEWS = (
    View(
        "nearest",
        "Nearest",
        TAB,
        lambda context: Drawing((NEAREST_HOW_TO_READ,), draw(context.grid, context.selected)),
        follows_selection=True,
        of_two=True,
    ),
)


def select(event: gr.EventData, selected: Selected) -> Selected:
    """Return the selection after a click on one of the nearest texts, which takes the column."""
    point = event_data(event)
    if point.get("item") is None:
        return selected
    return Selected(selected.row, int(point["item"]), int(point["instruction"]))


def build(page: Page, _: Inputs) -> dict[str, TabOption]:
    """Lay out the tab and connect it; it has no options."""
    plots = plot_view(elem_id="nearest-plots", label="Nearest texts")
    explanation = gr.HTML()
    redraw(page, VIEWS, Canvas(explanation, plots), {})
    plots.item_click(select, page.selected, page.selected, **EACH)
    return {}
