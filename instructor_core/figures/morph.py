"""The map that moves from one instruction to another, with a slider and arrows where neighbours really change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.analysis.grid import letter
from instructor_core.analysis.morph import LayoutQuality, Morph
from instructor_core.analysis.numbers import number
from instructor_core.figures import theme
from instructor_core.figures.charts import NEUTRAL, dots, frame, one_line
from instructor_core.figures.labels import LabelGroup, label_groups
from instructor_core.figures.panels import Panel, PanelSet

HOW_TO_READ = (
    "The slider moves the texts from the first map to the second. An arrow marks a text whose nearest neighbours in "
    "the full space change more than under a change of punctuation."
)
NOT_SHOWN = (
    "A long way without an arrow is a move of the picture, not of the neighbours. Positions between the two ends are "
    "interpolated and mean nothing by themselves."
)
N_STEPS = 10
MAX_ARROWS = 60
_SECONDS = 0.12  # per step
_MARGIN_SHARE = 0.08  # of the span of the data, left free on every side
_NAMED = 12  # labels up to which a legend fits


def morph_panels(
    result: Morph, texts: Sequence[str], labels: Sequence[str] | None, instructions: Sequence[str]
) -> PanelSet:
    """One panel with frames from A to B; the figure carries the slider."""
    groups = label_groups(labels, len(texts))
    arrows = [i for i in np.argsort(-result.changes, kind="stable").tolist() if result.changed[i]]
    frames = [
        go.Frame(
            name=str(step),
            data=[{"x": points[list(group.members), 0], "y": points[list(group.members), 1]} for group in groups],
            traces=list(range(1, len(groups) + 1)),
        )
        for step, points in ((step, result.positions(step / N_STEPS)) for step in range(N_STEPS + 1))
    ]
    start = result.coordinates[0]
    traces = [_texts(start, group, result) for group in groups]
    figure = go.Figure([_arrows(result, arrows[:MAX_ARROWS]), *traces], frames=frames)
    low, high = _box(result.coordinates)
    axis = {"showticklabels": False, "ticks": "", "zeroline": False}
    frame(figure, height=520, legend=0 < sum(group.named for group in groups) <= _NAMED)
    a, b = letter(result.a), letter(result.b)
    figure.update_layout(
        xaxis=axis | {"range": [low[0], high[0]]},
        yaxis=axis | {"range": [low[1], high[1]], "scaleanchor": "x", "scaleratio": 1},
        margin={"l": 8, "r": 8, "t": 8, "b": 70},
        sliders=[_slider(a, b)],
    )
    changed = int(result.changed.sum())
    drawn = f", the {MAX_ARROWS} largest drawn" if changed > MAX_ARROWS else ""
    subtitle = (
        f"{result.layout}, trustworthiness {_trust(result.quality, a, b)} · {changed} of {len(texts)} texts change "
    )
    subtitle += f"neighbours beyond noise{drawn} (Jaccard above {number(result.floor, 2)}, k = {result.k})"
    tried = "; ".join(f"{quality.layout} {_trust(quality, a, b)}" for quality in result.qualities)
    title = f"{a} {one_line(instructions[result.a])} → {b} {one_line(instructions[result.b])}"
    alt = f"Map of {len(texts)} texts moving from {a} to {b}. {subtitle}. Layouts tried: {tried}."
    return PanelSet((Panel("morph", title, figure, subtitle),), tuple(texts), min_width=420, alt=alt)


def _texts(points: NDArray[np.float32], group: LabelGroup, result: Morph) -> go.Scatter:
    """The texts of one label at their place under A."""
    rows = list(group.members)
    return dots(
        points[rows, 0],
        points[rows, 1],
        [f"{result.changes[i]:.0%} of the neighbourhood changes" for i in rows],
        items=rows,
        name=theme.escape(theme.shorten(group.name, 18)),
        marker={"color": group.color, "symbol": group.symbol, "size": theme.MARKER_SIZE},
    )


def _arrows(result: Morph, shown: Sequence[int]) -> go.Scatter:
    """Lines from A to B with a head at B; always the first trace, and still while the texts move."""
    x: list[float | None] = []
    y: list[float | None] = []
    for i in shown:
        (x0, y0), (x1, y1) = result.coordinates[:, i].tolist()
        x += [x0, x1, None]
        y += [y0, y1, None]
    return go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        line={"color": NEUTRAL, "width": 1},
        marker={"symbol": "arrow", "angleref": "previous", "size": [0, 9, 0] * len(shown), "color": NEUTRAL},
        opacity=0.6,
        showlegend=False,
        meta={"kind": "plain"},
        hoverinfo="skip",
    )


def _slider(a: str, b: str) -> dict[str, object]:
    """One stop per frame, named by the instructions at the ends and by percent between them."""
    names = [a, *(f"{100 * step // N_STEPS} %" for step in range(1, N_STEPS)), b]
    motion = {"duration": round(1000 * _SECONDS)}
    options = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": motion}
    steps = [{"label": name, "method": "animate", "args": [[str(step)], options]} for step, name in enumerate(names)]
    grip = {"duration": 150}  # Plotly's own; named so that it is none for visitors who asked for less motion
    return {"steps": steps, "transition": grip, "pad": {"t": 12, "b": 4}, "currentvalue": {"visible": False}}


def _box(coordinates: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper corner around both maps, with a margin."""
    points = coordinates.reshape(-1, coordinates.shape[2]).astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = _MARGIN_SHARE * (float((high - low).max()) or 1.0)
    return low - margin, high + margin


def _trust(quality: LayoutQuality, a: str, b: str) -> str:
    """Both figures of a layout in words."""
    if quality.a is None or quality.b is None:
        return "not defined below 4 different texts"
    return f"{a} {number(quality.a, 2)}, {b} {number(quality.b, 2)}"
