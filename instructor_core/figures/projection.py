"""Maps of the texts, one panel per instruction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.analysis.grid import letter
from instructor_core.analysis.groups import Groups
from instructor_core.analysis.numbers import counted, number
from instructor_core.analysis.projection import GridProjection
from instructor_core.figures import theme
from instructor_core.figures.labels import LabelGroup, label_groups, label_names
from instructor_core.figures.panels import PanelSet, instruction_panel
from instructor_core.figures.placing import MAX_NUMBERED, NAME_LENGTH, PANEL_WIDTH, place_names, place_words

MAX_SVG_POINTS = 1000  # above it points are drawn by WebGL
MAX_LEGEND = 24  # groups up to which a legend fits over the view
_MAX_TOLD = 500  # points of which the nearest ones are told in words
NAMES = {"umap": "UMAP", "pca": "PCA"}
_MIN_WIDTH = 400  # px of a panel, below which panels stack
_MANY = ((60, theme.MARKER_SIZE), (600, 7))  # points up to which markers have a size, px
_SMALLEST = 5  # px, the markers of more points
_MARGIN_SHARE = 0.12  # room for the numbers beside the outermost points
_SYMBOLS_3D = ("circle", "square", "diamond", "cross", "x", "circle-open")  # the few shapes there are in 3D
_BARE, _TITLED = {"l": 1, "r": 1, "t": 4, "b": 1}, {"l": 26, "r": 8, "t": 8, "b": 26}  # margins, px
_EYE = {"x": 1.6, "y": 1.6, "z": 1.1}  # far enough for the axis titles to stay in the panel


def projection_panels(
    result: GridProjection,
    texts: Sequence[str],
    labels: Sequence[str] | None,
    instructions: Sequence[str],
    *,
    groups: Groups | None = None,
    nearest: NDArray[np.integer] | None = None,
    more_labels: Sequence[Sequence[str]] = (),
) -> PanelSet:
    """One map per instruction, in instruction order; a group has the same colour and shape in all of them.

    Found `groups` stand in for labels where there are none; `nearest` (K, N, k) are the texts nearest in the full
    space, for the tooltips. A map on which the labels have no place is named by the first of `more_labels` that have.
    """
    n_components = result.coordinates.shape[2]
    drawn = label_groups(labels, len(texts), groups)
    namings = (drawn, *(label_groups(column, len(texts)) for column in more_labels))
    boxes = [_box(panel) for panel in result.coordinates]
    if result.layout == "joint":
        boxes = [_box(result.coordinates.reshape(-1, n_components))] * len(boxes)
    spans = np.array([box[1] - box[0] for box in boxes]).reshape(-1, n_components)
    aspect = float(np.clip((spans[:, 1] / spans[:, 0]).max(initial=0.0), 0.6, 1.0))
    if n_components == 2:
        boxes = [_widen(box, aspect) for box in boxes]
    panels = []
    for k, instruction in enumerate(instructions):
        ratio = result.explained_variance_ratio(k)
        quality = _quality(result.trustworthiness[k], result.trust_neighbors[k])
        subtitle = f"{NAMES[result.method]} · {quality}"
        titles = _axis_titles(ratio)
        if ratio is not None and (result.turned and n_components == 2):
            subtitle += f" · {100 * float(ratio.sum()):.0f} % of variance"
            titles = []
        figure = _map(result.coordinates[k], boxes[k], texts, namings, None if nearest is None else nearest[k], titles)
        panels.append(instruction_panel(k, instruction, figure, subtitle, aspect=aspect))
    return PanelSet(tuple(panels), tuple(texts), min_width=_MIN_WIDTH, alt=_alt(result, labels))


def _map(
    points: NDArray[np.float32],
    box: NDArray[np.float64],
    texts: Sequence[str],
    namings: Sequence[Sequence[LabelGroup]],
    nearest: NDArray[np.integer] | None,
    titles: Sequence[str],
) -> go.Figure:
    """Scatter of one panel, one trace per group; in two dimensions a name where a group has a place of its own."""
    groups, flat = namings[0], points.shape[1] == 2
    symbols = {group.rank: group.symbol for group in groups}
    if flat:
        pixels = (points - box[0]) / float(box[1, 0] - box[0, 0]) * PANEL_WIDTH
        placed = [place_names(pixels, naming) for naming in namings]
        names, taken = next((one for one in placed if len(one[0]) > 1), placed[0])
        words, places = place_words(pixels, texts, taken)
        size: float = next((size for most, size in _MANY if len(points) <= most), _SMALLEST)
        kind = "scattergl" if len(points) > MAX_SVG_POINTS else "scatter"
        layout = _flat_layout(box, names, titles)
    else:
        words, places = [str(i + 1) for i in range(len(texts))] if len(texts) <= MAX_NUMBERED else [], []
        size, kind = theme.MARKER_SIZE / 2, "scatter3d"
        symbols |= dict(enumerate(_SYMBOLS_3D))
        layout = _solid_layout(box, titles)
    n_named = sum(group.named for group in groups)
    traces = [
        {
            "type": kind,
            **dict(zip("xyz", points[members].T, strict=False)),
            "mode": "markers+text" if words else "markers",
            "text": [theme.escape(words[i]) for i in members] if words else None,
            "textposition": [places[i] for i in members] if places else None,
            "textfont": {"size": theme.SIZE_SMALL},
            "marker": {"color": group.color, "symbol": symbols[group.rank], "size": size, "opacity": 0.9},
            "name": theme.escape(theme.shorten(group.name, NAME_LENGTH)),
            "customdata": np.array(members),  # of a list Plotly looks at every number
            "meta": {"kind": "points"} | ({} if nearest is None else {"nearest": nearest[members].tolist()}),
            "hovertext": group.name if n_named else None,  # the component writes it as plain text
            "hoverinfo": "none",
        }
        for group, members in ((group, list(group.members)) for group in groups)
    ]
    # Made at once: an update of a figure costs more than all of it.
    return go.Figure(traces, {**layout, "showlegend": 0 < n_named <= MAX_LEGEND})


def _flat_layout(
    box: NDArray[np.float64], names: Sequence[tuple[LabelGroup, float, float]], titles: Sequence[str]
) -> dict[str, Any]:
    """Layout of two dimensions, with the names of groups; the component gives them ink and halo of the page."""
    low, high = box
    hidden = dict.fromkeys(("showticklabels", "zeroline", "showgrid"), False)
    axis = {**hidden, "ticks": "", "showline": True, "mirror": True}
    scale = float(high[0] - low[0]) / PANEL_WIDTH
    layout: dict[str, Any] = {
        "xaxis": axis | {"range": [low[0], high[0]]},
        "yaxis": axis | {"range": [low[1], high[1]], "scaleanchor": "x", "scaleratio": 1},
        "annotations": [
            {
                "name": "group",
                "x": low[0] + x * scale,
                "y": low[1] + y * scale,
                "text": theme.escape(theme.shorten(group.name, NAME_LENGTH)),
                "font": {"size": theme.SIZE_BODY, "weight": 600},
                "showarrow": False,
            }
            for group, x, y in names
        ],
        "margin": _TITLED if titles else _BARE,
    }
    for name, title in zip(("xaxis", "yaxis"), titles, strict=False):
        layout[name]["title"] = {"text": title}
    return layout


def _solid_layout(box: NDArray[np.float64], titles: Sequence[str]) -> dict[str, Any]:
    """Layout of three dimensions."""
    axes = {
        f"{axis}axis": {"showticklabels": False, "title": {"text": ""}, "range": [low, high], "zeroline": False}
        for axis, low, high in zip("xyz", *box, strict=True)
    }
    for axis, title in zip(axes.values(), titles, strict=False):  # short: in perspective a long one runs out
        axis["title"] = {"text": title.removesuffix(" of variance"), "font": {"size": theme.SIZE_SMALL}}
    scene = {**axes, "aspectmode": "data", "dragmode": "orbit", "camera": {"eye": _EYE}}
    return {"scene": scene, "margin": _BARE}


def _box(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Lower and upper corner (2, n_components) around the points with a margin, never empty."""
    if len(points) == 0:
        return np.array([[-1.0] * points.shape[1], [1.0] * points.shape[1]])
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    widest = float((high - low).max()) or 1.0
    # A side that is much shorter than the widest one is drawn as if it had a tenth of it.
    extra = np.maximum(0.1 * widest - (high - low), 0.0) / 2 + _MARGIN_SHARE * widest
    return np.stack([low - extra, high + extra])


def _widen(box: NDArray[np.float64], aspect: float) -> NDArray[np.float64]:
    """The box with the sides of a panel, whose axes have one scale: where words are placed is where they are drawn."""
    width, height = box[1] - box[0]
    extra = np.array([max(height / aspect - width, 0.0), max(width * aspect - height, 0.0)]) / 2
    return np.stack([box[0] - extra, box[1] + extra])


def _axis_titles(ratio: NDArray[np.float64] | None) -> list[str]:
    """Titles of the principal axes with their share of the variance; other axes have no name."""
    return [
        f"PC {axis + 1} · {100 * share:.0f} % of variance" for axis, share in enumerate(() if ratio is None else ratio)
    ]


def _quality(value: float | None, n_neighbors: int) -> str:
    """The trustworthiness of a panel in words."""
    if value is None:
        return "trustworthiness needs 4 different texts"
    return f"trustworthiness {number(value, 2)} ({counted(n_neighbors, 'neighbour')})"


def _alt(result: GridProjection, labels: Sequence[str] | None) -> str:
    """Text alternative: what is drawn, how far it can be trusted, and what stands together on each panel."""
    n_panels, n_texts, n_components = result.coordinates.shape
    by = f"by {NAMES[result.method]}, {result.layout} layout"
    words = [f"Map of {counted(n_texts, 'text')} in {n_components} dimensions {by}."]
    trust = [f"{letter(k)} {number(value, 2)}" for k, value in enumerate(result.trustworthiness) if value is not None]
    if trust:
        words.append(f"Trustworthiness: {', '.join(trust)}.")
    if not 3 <= n_texts <= _MAX_TOLD:
        return " ".join(words)
    together = [_nearest(points) for points in result.coordinates]
    named = np.array([bool(label) for label in labels or ()])
    if labels is not None and len(label_names(labels)) > 1:
        same = [np.array([labels[i] == labels[j] for i, j in enumerate(row)]) & named for row, _ in together]
        told = ", ".join(f"{letter(k)} {int(same[k].sum())} of {int(named.sum())}" for k in range(n_panels))
        words.append(f"Labelled texts that lie nearest to one of their own label: {told}.")
    else:
        pairs = [(int(np.argmin(distance)), row) for row, distance in together]
        told = ", ".join(f"{letter(k)} {i + 1} and {int(row[i]) + 1}" for k, (i, row) in enumerate(pairs))
        words.append(f"Closest together: {told}.")
    return " ".join(words)


def _nearest(points: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Index of the nearest other point, and the squared distance to it, for each of (n, d) points."""
    differences = points[:, None, :].astype(np.float64) - points[None, :, :]
    squared = (differences**2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    return squared.argmin(axis=1), squared.min(axis=1)
