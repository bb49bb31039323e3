"""Similarity: one matrix per instruction, their differences, and two instructions against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from instructor_core.analysis.calibration import percentile_matrices
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.groups import grid_groups
from instructor_core.analysis.neighbors import block_means, cross_block_means
from instructor_core.analysis.similarity import (
    cluster_order,
    cosine_matrix,
    cross_similarity,
    difference,
    instruction_similarity,
    similarity,
)
from instructor_core.figures.neighbors import (
    BLOCKS_HOW_TO_READ,
    block_difference_panels,
    block_panels,
    cross_block_panels,
)
from instructor_core.figures.panels import PanelSet, Selection
from instructor_core.figures.similarity import (
    CALIBRATION_HOW_TO_READ,
    CALIBRATION_NOT_SHOWN,
    calibration_panels,
    cross_panels,
    difference_panels,
    instruction_panels,
    label_order,
    similarity_panels,
)
from instructor_core.ui.components import plot_view
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.gradio_patches import event_data
from instructor_core.ui.look.canvas import Canvas, Context, Drawing, View, choices, redraw
from instructor_core.ui.page import (
    Page,
    Selected,
    follow_instructions,
    instruction_choices,
    menu,
    options_menu,
    select_by,
)
from instructor_core.ui.scene.options import TabOption

TAB = "similarity"
SCALE, ORDER, FIRST, SECOND = (f"{TAB}.{name}" for name in ("scale", "order", "first", "second"))  # options
MAX_SHOWN = 120  # texts in a matrix; past that a cell is smaller than a few pixels
MAX_COMPARED = 400  # texts of which all pairs are computed; past that nearest texts and means of groups are shown

SCALES = [
    ("percentile of unrelated pairs", "percentile"),
    ("cosine, one scale", "shared"),
    ("cosine, each its own", "each"),
]
ORDERS = [
    ("by label, else by group", "auto"),
    ("as given", "given"),
    ("clustered under A", "clustered"),
    ("by label", "label"),
]

NOTES = {
    "matrices": "Each cell is the cosine of two texts under that instruction; brighter is more alike. Colours span the "
    "values measured here, so compare cells with each other, not with a fixed threshold.",
    "percentile": "Each cell says of how many in a hundred unrelated pairs of sentences two texts are more alike under "
    "that instruction; at 50 a cosine means nothing yet.",
    "difference": "How much closer (or further) two texts are under the first instruction than under the second. "
    "It does not say which of the two is right.",
    "cross": "Rows are embedded under one instruction (say, for queries), columns under another (for documents). "
    "The diagonal is a text against itself under the other instruction.",
    "instructions": "A number for each two instructions: the cosine of a text under one with the same text under the "
    "other, for the selected text and as the mean over all. It does not say whether a move helps: labels do.",
}


def draw_matrices(context: Context) -> Drawing:
    """One matrix per instruction, of cosines or of the share of unrelated sentence pairs that are less alike."""
    grid, scale = context.grid, context.options[SCALE]
    if is_large(context.inputs):
        return _of_groups(
            context.leading, block_panels(block_means(grid, grid_groups(context.leading)), grid.instructions)
        )
    result, about = similarity(grid), (grid.texts, grid.labels, grid.instructions)
    sides, cut = _sides(context)
    if scale != "percentile":
        return _of_texts(context, similarity_panels(result, *about, **sides, scale=scale), NOTES["matrices"], cut)
    percentiles = percentile_matrices(result.matrices, context.runtime.backgrounds(context.inputs))
    drawn = similarity_panels(result, *about, **sides, percentiles=percentiles)
    return _of_texts(context, drawn, NOTES["percentile"], CALIBRATION_NOT_SHOWN, cut)


def draw_difference(context: Context) -> Drawing:
    """The matrix under the first instruction minus that under the second."""
    grid, a, b = context.grid, *_two(context)
    if is_large(context.inputs):
        return _of_groups(
            context.leading, block_difference_panels(block_means(grid, grid_groups(context.leading)), a, b)
        )
    sides, cut = _sides(context)
    drawn = difference_panels(difference(similarity(grid), a, b), grid.texts, grid.labels, **sides)
    return _of_texts(context, drawn, NOTES["difference"], cut)


def draw_cross(context: Context) -> Drawing:
    """Texts under the first instruction against texts under the second."""
    grid, a, b = context.grid, *_two(context)
    if is_large(context.inputs):
        blocks = cross_block_means(grid, grid_groups(context.leading), rows=a, columns=b)
        return _of_groups(context.leading, cross_block_panels(blocks, grid.instructions, rows=a, columns=b))
    sides, cut = _sides(context)
    result = cross_similarity(grid, rows=a, columns=b)
    return _of_texts(
        context, cross_panels(result, grid.texts, grid.labels, grid.instructions, **sides), NOTES["cross"], cut
    )


def draw_instructions(context: Context) -> Drawing:
    """Instructions against instructions, on the selected text and on all."""
    grid = context.grid
    results = [instruction_similarity(grid, text) for text in (context.selected.row, None)]
    return Drawing((NOTES["instructions"],), instruction_panels(results, grid.texts, grid.instructions))


def draw_unrelated(context: Context) -> Drawing:
    """How alike unrelated sentences are under each instruction: where zero is."""
    backgrounds = context.runtime.backgrounds(context.inputs)
    return Drawing((CALIBRATION_HOW_TO_READ,), calibration_panels(backgrounds, context.inputs.instructions))


def is_large(inputs: Inputs) -> bool:
    """Return whether there are too many texts for a text x text matrix."""
    return len(inputs.texts) > MAX_COMPARED


def _two(context: Context) -> tuple[int, int]:
    """The two instructions that are compared."""
    return context.instruction(FIRST), context.instruction(SECOND)


def _sides(context: Context) -> tuple[dict[str, Any], str]:
    """Order and groups of the texts on both sides of a matrix, and a sentence if not all of them fit."""
    order, cut = display_order(context.leading, context.options[ORDER])
    return {"order": order, "groups": grid_groups(context.leading)}, cut


def _of_texts(context: Context, drawn: PanelSet, *notes: str) -> Drawing:
    """Matrices of texts, in which the selected pair is marked."""
    return Drawing(notes, replace(drawn, selected=Selection(context.selected.row, context.selected.column)))


def _of_groups(grid: EmbeddingGrid, drawn: PanelSet) -> Drawing:
    """Matrices of mean cosines between groups, which stand for those of many texts."""
    instead = f"Texts have a matrix up to {MAX_COMPARED}; here are {grid.n_texts}. Nearest shows them in words."
    return Drawing((BLOCKS_HOW_TO_READ, grid_groups(grid).rule, instead), drawn)


def display_order(grid: EmbeddingGrid, order: str) -> tuple[Sequence[int], str]:
    """Return text indices in display order, and a sentence if not all of them fit."""
    indices: Sequence[int] = range(grid.n_texts)
    cut = ""
    if grid.n_texts > MAX_SHOWN:
        indices = range(MAX_SHOWN)
        cut = f"The matrix shows the first {MAX_SHOWN} of {grid.n_texts} texts."
    if order == "clustered":
        first = grid.embeddings[0, : len(indices)]
        indices = [int(i) for i in cluster_order(cosine_matrix(first, first))]
    elif order == "label" and grid.labels is not None:
        indices = label_order(grid.labels[: len(indices)])
    elif order == "auto":
        groups = grid_groups(grid)  # those of the labels where there are two
        indices = sorted(indices, key=lambda i: int(groups.index[i]))
    return indices, cut


def select(event: gr.EventData, inputs: Inputs, selected: Selected, view: str) -> Selected:
    """Return the selection after a click on a cell."""
    cell = event_data(event)
    if view == "instructions" or cell.get("row") is None or is_large(inputs):
        return selected
    instruction = int(cell["instruction"]) if view == "matrices" else selected.instruction
    return Selected(int(cell["row"]), int(cell["column"]), instruction)


VIEWS = (
    View("matrices", "One matrix per instruction", TAB, draw_matrices, (SCALE, ORDER), of_two=True),
    View("difference", "Difference of two", TAB, draw_difference, (ORDER, FIRST, SECOND), of_two=True),
    View("cross", "Rows and columns apart", TAB, draw_cross, (ORDER, FIRST, SECOND), of_two=True),
    View("instructions", "Instruction × instruction", TAB, draw_instructions, (ORDER,), lambda _: True, of_two=True),
    View("unrelated", "Unrelated sentences: where zero is", TAB, draw_unrelated, of_two=True),
)


def build(page: Page, start: Inputs) -> dict[str, TabOption]:
    """Lay out the tab and connect it; returns its options, by names that stay the same between versions."""
    instructions = instruction_choices(start)
    second = min(1, len(instructions) - 1)
    with options_menu(), gr.Row(elem_classes=["ic-options"]):
        view = gr.Dropdown(choices(VIEWS), value="matrices", label="Show", min_width=180)
        scale = gr.Dropdown(SCALES, value="percentile", label="Colour scale", min_width=160)
        order = gr.Dropdown(ORDERS, value="auto", label="Order of texts", min_width=160)
        a = menu("First (rows)", instructions, 0)
        b = menu("Second (columns)", instructions, second)
    a.visible = b.visible = False
    plots = plot_view(elem_id="similarity-plots", label="Similarity matrices")
    explanation = gr.HTML()
    options = {
        f"{TAB}.view": view,
        SCALE: scale,
        ORDER: order,
        FIRST: a,
        SECOND: b,
    }
    redraw(page, VIEWS, Canvas(explanation, plots), options)
    follow_instructions(page, a, b)
    select_by(page, plots.item_click, select, [page.inputs, page.selected, view])
    return {name: TabOption(option, names_instruction=name in (FIRST, SECOND)) for name, option in options.items()}
