"""The same view of two checkpoints: their panels side by side, each with the name of its checkpoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from instructor_core.figures.panels import ColorScale, Panel, PanelSet

HOW_TO_READ = (
    "The last line has for each instruction the share of the nearest texts that both checkpoints have; CKA, how alike "
    "all their cosines are, 0 for unrelated embeddings; and the share of triplets in which a text is nearer to another "
    "one of two, .50 for unrelated embeddings. One checkpoint twice has 1, 1 and 0. None says which of two is better."
)
MAX_INSTRUCTIONS = 4  # whose panels are shown: eight figures are what can be taken in


def side_by_side(first: PanelSet, second: PanelSet, names: tuple[str, str]) -> PanelSet:
    """The panels of two checkpoints in pairs, on one scale; those of instructions after the fourth are left out."""
    scale = first.scale
    if first.scale is not None and second.scale is not None:
        low, high = min(first.scale.low, second.scale.low), max(first.scale.high, second.scale.high)
        scale = replace(first.scale, low=low, high=high)
    panels: list[Panel] = []
    for a, b in zip(first.panels, second.panels, strict=True):
        if a.instruction is None or a.instruction < MAX_INSTRUCTIONS:
            aspect = None if a.aspect is None or b.aspect is None else max(a.aspect, b.aspect)
            pair = replace(a, aspect=aspect), replace(b, aspect=aspect, key=f"{b.key} beside")
            panels += [_name(panel, name, scale) for panel, name in zip(pair, names, strict=True)]
    return replace(
        first,
        panels=tuple(panels),
        items=tuple(max(pair, key=len) for pair in zip(first.items, second.items, strict=True)),  # "" if not drawn
        scale=scale,
        alt=f"{names[0]}: {first.alt} {names[1]}: {second.alt}",
    )


def on_one_axis(drawn: PanelSet) -> PanelSet:
    """The panels with one horizontal axis, which has room for every dot, its interval and the lines."""
    figures = [panel.figure for panel in drawn.panels]
    ends = [shape.x0 for figure in figures for shape in figure.layout.shapes]
    for trace in (trace for figure in figures for trace in figure.data):
        values = np.asarray(trace.x, dtype=np.float64)
        for length, sign in ((trace.error_x.arrayminus, -1), (trace.error_x.array, 1)):
            ends += (values if length is None else values + sign * np.asarray(length)).tolist()
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    beside = 0.04 * (high - low or 1.0)
    for figure in figures:
        figure.update_xaxes(range=[low - beside, high + beside])
    return drawn


def _name(panel: Panel, name: str, scale: ColorScale | None) -> Panel:
    """The panel with the checkpoint's name under its title, whose beginning narrow panels cut, and on the scale."""
    if scale is not None:
        panel.figure.update_traces(zmin=scale.low, zmax=scale.high, selector={"type": "heatmap"})
    return replace(panel, subtitle=f"{name} · {panel.subtitle}" if panel.subtitle else name)
