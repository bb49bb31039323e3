"""Map: every text as a point, one panel per instruction, by UMAP or PCA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.alignment import align, rotate
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.groups import grid_groups
from instructor_core.analysis.metrics import nearest_others
from instructor_core.analysis.projection import GridProjection, project_grid
from instructor_core.figures.panels import Selection
from instructor_core.figures.projection import projection_panels
from instructor_core.ui.components import plot_view
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.feedback import boundary
from instructor_core.ui.look.canvas import Canvas, Context, Drawing, View, draw, redraw
from instructor_core.ui.page import EACH, KEEP, Listener, Page, choose_text, listen, options_menu, visitor_event
from instructor_core.ui.scene.stage import TabOption

TAB = "map"
METHODS = [("PCA, then UMAP", "auto"), ("PCA", "pca"), ("UMAP", "umap")]
DIMENSIONS = [("2D", 2), ("3D", 3)]
LAYOUTS = [("joint", "joint"), ("one fit for each, turned onto A", "separate")]
MAX_NEAREST = 2000  # texts up to which the tooltip names the nearest ones
N_NEAREST = 3
METRICS = ["cosine", "euclidean", "manhattan"]
DEFAULTS: dict[str, Any] = {
    "method": "auto",
    "n_components": 2,
    "layout": "separate",
    "center": False,
    "n_neighbors": 10,
    "min_dist": 0.1,
    "metric": "cosine",
    "random_state": 42,
}
UMAP_FOLLOWS = range(50, 2001)  # texts: UMAP makes blobs of fewer; of more, its fits would keep other visitors waiting

NOTE = (
    "Near points are alike under that instruction, as far as a plane can show it; trustworthiness says how far. "
    "Distances between far groups, their sizes and the axes of UMAP mean nothing: read the matrix for values."
)


def draw_map(context: Context) -> Drawing:
    """One map per instruction."""
    option = {name.removeprefix("map."): value for name, value in context.options.items()}
    inputs, selected, grid = context.inputs, context.selected, context.grid
    follows = option["method"] == "auto" and grid.n_texts in UMAP_FOLLOWS
    if option["method"] == "auto":
        is_fitted = (
            follows
            and option.get("fitted") is not None
            and (inputs in option["fitted"][0] and option["fitted"][1] == tuple(settings_of(option).values()))
        )
        option["method"] = "umap" if is_fitted else "pca"
    result = place(grid, **settings_of(option))
    if context.lead is not None and result.turned:
        target = place(context.leading, **settings_of(option)).coordinates[0]
        result = replace(result, coordinates=np.stack([rotate(points, target) for points in result.coordinates]))
    found = grid_groups(context.leading)
    drawn = projection_panels(
        result,
        inputs.texts,
        inputs.labels,
        inputs.instructions,
        groups=found,
        nearest=nearest_in_full(grid) if grid.n_texts <= MAX_NEAREST else None,
        more_labels=inputs.more_labels,
    )
    marked = replace(drawn, selected=Selection(items=(selected.row, selected.column)))
    coming = "The points travel to UMAP as soon as it is there." if follows and result.method == "pca" else ""
    return Drawing((*result.notes, coming, "" if found.from_labels else found.rule, NOTE), marked)


def settings_of(option: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `place` takes beside the grid, from the values of the options."""
    given = {name: option[name] for name in DEFAULTS}
    if given["method"] == "pca":  # which takes no notice of these: the map is not laid out again
        given |= {name: DEFAULTS[name] for name in ("n_neighbors", "min_dist", "random_state")}
    whole = {name: int(given[name] or 0) for name in ("n_neighbors", "random_state")}  # a field may be empty
    return {**given, **whole, "min_dist": float(given["min_dist"])}


@lru_cache(maxsize=4)
def place(grid: EmbeddingGrid, **settings: Any) -> GridProjection:
    """Return the positions of all texts; panels that were fitted apart are turned onto the first."""
    result = project_grid(grid, **settings)
    return align(result, grid) if result.layout == "separate" else result


@lru_cache(maxsize=4)
def nearest_in_full(grid: EmbeddingGrid) -> NDArray[np.int32]:
    """(K, N, 3) the texts nearest to each in the full space, under each instruction."""
    return np.stack([nearest_others(rows @ rows.T, min(N_NEAREST, grid.n_texts - 1)) for rows in grid.embeddings])


VIEWS = (View("map", "Map", TAB, draw_map, defaults=DEFAULTS, of_two=True),)


def build(page: Page, start: Inputs) -> dict[str, TabOption]:
    """Lay out the tab and connect it; returns its options, by names that stay the same between versions."""
    with options_menu():
        with gr.Row(elem_classes=["ic-options"]):
            method = gr.Radio(METHODS, value=DEFAULTS["method"], label="Method", min_width=220)
            n_components = gr.Radio(DIMENSIONS, value=DEFAULTS["n_components"], label="Dimensions", min_width=100)
            layout = gr.Radio(LAYOUTS, value=DEFAULTS["layout"], label="Layout", min_width=460)
            center = gr.Checkbox(
                value=DEFAULTS["center"], label="subtract each instruction's mean", container=False, min_width=260
            )
        with gr.Row(elem_classes=["ic-options"]):
            n_neighbors = gr.Slider(2, 50, step=1, value=DEFAULTS["n_neighbors"], label="n_neighbors", min_width=140)
            min_dist = gr.Slider(0.0, 1.0, step=0.05, value=DEFAULTS["min_dist"], label="min_dist", min_width=140)
            metric = gr.Dropdown(METRICS, value=DEFAULTS["metric"], label="metric", min_width=120)
            random_state = gr.Number(
                precision=0,
                minimum=0,
                maximum=2**32 - 1,
                value=DEFAULTS["random_state"],
                label="random_state",
                min_width=120,
            )
    plots = plot_view(
        elem_id="map-plots", label="Maps", empty="The map is being drawn. The first one takes some seconds."
    )
    explanation = gr.HTML()
    options = {
        "map.method": method,
        "map.n_components": n_components,
        "map.layout": layout,
        "map.center": center,
        "map.n_neighbors": n_neighbors,
        "map.min_dist": min_dist,
        "map.metric": metric,
        "map.random_state": random_state,
    }
    canvas = Canvas(explanation, plots)
    fitted = gr.State(None)  # the run and the settings whose UMAP is there
    read = {**options, "map.fitted": fitted}
    at_first = Context(page.runtime, start, page.selected.value, {name: option.value for name, option in read.items()})
    explanation.value, plots.value = canvas.values(draw(VIEWS[0], at_first))
    redraw(page, VIEWS, canvas, read)
    names = [name.removeprefix("map.") for name in options]

    @boundary(lambda _: [KEEP])  # the map by PCA is there
    def fit(active: str, inputs: Inputs, *values: Any) -> list[Any]:
        settings = settings_of(dict(zip(names, values, strict=True)))
        if active != TAB or settings["method"] != "auto" or len(inputs.texts) not in UMAP_FOLLOWS:
            return [KEEP]
        for run in inputs.runs:
            place(page.runtime.grid(run), **{**settings, "method": "umap"})
        return [(inputs.runs, tuple(settings.values()))]

    # Only says that UMAP is there: `draw_map` draws what is shown by then, so that none comes late.
    listen(
        [page.inputs.change, page.active.change, page.restored.change, *map(visitor_event, options.values())],
        [Listener(fit, [page.active, page.inputs, *options.values()], [fitted])],
        concurrency_limit=1,
        trigger_mode="multiple",  # an option has one listener that waits already
        show_progress="hidden",
    )
    plots.item_click(choose_text, page.selected, page.selected, **EACH)
    return {name: TabOption(option) for name, option in options.items()}
