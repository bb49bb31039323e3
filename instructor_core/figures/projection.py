"""Maps of the texts, one panel per instruction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.analysis.grid import letter
from instructor_core.analysis.numbers import counted
from instructor_core.analysis.projection import GridProjection
from instructor_core.figures import theme
from instructor_core.figures.panels import PanelSet, instruction_panel

MAX_WORDED = 24  # texts up to which points carry the beginnings of their texts, where there is room
MAX_NUMBERED = 40  # texts up to which points carry their numbers
MAX_SVG_POINTS = 1000  # above it points are drawn by WebGL
MAX_SYMBOLS = 6  # labels up to which the marker shape is a second channel
MAX_TRACES = 60  # labels, the first ones, that get a trace of their own
MAX_LEGEND = 12  # labels up to which a legend fits over a panel
_NEUTRAL = theme.SEGMENTS["end"]  # a grey that can be seen on the light and on the dark page
_LABEL_LENGTH = 18  # characters of a label in the legend
_MAX_TOLD = 500  # points of which the nearest ones are told in words
_WORDS_LENGTH = 24  # characters of a text beside its point
_MIN_WIDTH = 440  # px of a panel, below which panels stack
_PANEL_WIDTH = 400.0  # px, the width that placing numbers and words reckons with
_MARGIN_SHARE = 0.12  # room for the numbers beside the outermost points
_SYMBOLS_3D = ("circle", "square", "diamond", "cross", "x", "circle-open")  # the few shapes there are in 3D
_EYE = {"x": 1.6, "y": 1.6, "z": 1.1}  # far enough for the axis titles to stay in the panel
_PLACES = (  # where a number may stand, best first: Plotly's name and the direction from the point
    ("top center", 0, 1),
    ("middle right", 1, 0),
    ("bottom center", 0, -1),
    ("middle left", -1, 0),
    ("top right", 1, 1),
    ("bottom right", 1, -1),
    ("bottom left", -1, -1),
    ("top left", -1, 1),
)


def projection_panels(
    result: GridProjection, texts: Sequence[str], labels: Sequence[str] | None, instructions: Sequence[str]
) -> PanelSet:
    """One map per instruction, in instruction order; a label has the same colour and shape in all of them.

    Panels of a joint layout share their axis ranges. Distances have no unit, so the axes have no ticks; those
    of PCA say how much of the variance they show. All axes of a panel have the same scale.
    """
    n_components = result.coordinates.shape[2]
    boxes = [_box(panel) for panel in result.coordinates]
    if result.layout == "joint":
        boxes = [_box(result.coordinates.reshape(-1, n_components))] * len(boxes)
    spans = np.array([box[1] - box[0] for box in boxes]).reshape(-1, n_components)
    aspect = float(np.clip((spans[:, 1] / spans[:, 0]).max(initial=0.0), 0.6, 1.0))
    panels = []
    for k, instruction in enumerate(instructions):
        draw = _flat_map if n_components == 2 else _solid_map
        figure = draw(result.coordinates[k], boxes[k], texts, labels)
        ratio = result.explained_variance_ratio(k)
        subtitle = _quality(result.trustworthiness[k], result.trust_neighbors[k])
        if ratio is not None and result.turned and k > 0:
            figure.update_layout(margin={"l": 26, "r": 8, "t": 8, "b": 26})  # as large as the first
            subtitle += f" · {100 * float(ratio.sum()):.0f} % of variance"
        else:
            _name_axes(figure, ratio, n_components)
        panels.append(instruction_panel(k, instruction, figure, subtitle, aspect=aspect))
    return PanelSet(tuple(panels), tuple(texts), min_width=_MIN_WIDTH, alt=_alt(result, labels))


def label_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Different labels in the order in which they first appear, without ""; the order of their colours."""
    return tuple(dict.fromkeys(label for label in labels if label))


def _flat_map(
    points: NDArray[np.float32], box: NDArray[np.float64], texts: Sequence[str], labels: Sequence[str] | None
) -> go.Figure:
    """Scatter of one panel in two dimensions, one trace per label."""
    names, places = _names(points, box, texts)
    trace = go.Scattergl if len(points) > MAX_SVG_POINTS else go.Scatter
    figure = go.Figure()
    for name, members, color, rank in _groups(labels, len(points)):
        symbol = theme.LABEL_SYMBOLS[rank] if rank < MAX_SYMBOLS else "circle"
        figure.add_trace(
            trace(
                x=points[members, 0],
                y=points[members, 1],
                mode="markers+text" if names else "markers",
                text=[theme.escape(names[i]) for i in members] if names else None,
                textposition=[places[i] for i in members] if names else None,
                textfont={"size": theme.SIZE_SMALL},
                marker={"color": color, "symbol": symbol, "size": theme.MARKER_SIZE, "opacity": 0.9},
                **_common(name, members),
            )
        )
    low, high = box
    axis = {"showticklabels": False, "ticks": "", "zeroline": False}
    figure.update_layout(
        xaxis=axis | {"range": [low[0], high[0]]},
        yaxis=axis | {"range": [low[1], high[1]], "scaleanchor": "x", "scaleratio": 1},
    )
    return _finished(figure, labels)


def _solid_map(
    points: NDArray[np.float32], box: NDArray[np.float64], texts: Sequence[str], labels: Sequence[str] | None
) -> go.Figure:
    """Scatter of one panel in three dimensions, one trace per label."""
    numbered = len(points) <= MAX_NUMBERED
    figure = go.Figure()
    for name, members, color, rank in _groups(labels, len(points)):
        symbol = _SYMBOLS_3D[rank] if rank < MAX_SYMBOLS else "circle"
        figure.add_trace(
            go.Scatter3d(
                x=points[members, 0],
                y=points[members, 1],
                z=points[members, 2],
                mode="markers+text" if numbered else "markers",
                text=[str(i + 1) for i in members] if numbered else None,
                textfont={"size": theme.SIZE_SMALL},
                marker={"color": color, "symbol": symbol, "size": theme.MARKER_SIZE / 2, "opacity": 0.9},
                **_common(name, members),
            )
        )
    axes = {
        f"{axis}axis": {"showticklabels": False, "title": {"text": ""}, "range": [low, high], "zeroline": False}
        for axis, low, high in zip("xyz", *box, strict=True)
    }
    figure.update_layout(scene={**axes, "aspectmode": "data", "dragmode": "orbit", "camera": {"eye": _EYE}})
    return _finished(figure, labels)


def _common(name: str, members: Sequence[int]) -> dict[str, object]:
    """What traces in two and in three dimensions have in common."""
    return {
        "name": theme.escape(theme.shorten(name, _LABEL_LENGTH)),
        "customdata": list(members),
        "meta": {"kind": "points"},
        "hovertext": name,  # the component writes it as plain text
        "hoverinfo": "none",
    }


def _finished(figure: go.Figure, labels: Sequence[str] | None) -> go.Figure:
    """The figure with transparent paper, thin margins, and a legend where there are a few labels."""
    n_names = 0 if labels is None else len(label_names(labels))
    if labels is None:
        figure.update_traces(hovertext=None)
    figure.update_layout(
        showlegend=0 < n_names <= MAX_LEGEND,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def _groups(labels: Sequence[str] | None, n: int) -> list[tuple[str, list[int], str, int]]:
    """Name, text indices, colour and rank of each label; texts without one are grey circles and come first.

    So do, together, the labels after the first `MAX_TRACES`: their colours would be those of others anyway.
    """
    if labels is None:
        return [("texts", list(range(n)), _NEUTRAL, 0)]
    members: dict[str, list[int]] = {name: [] for name in label_names(labels)[:MAX_TRACES]}
    rest: list[int] = []
    beyond: list[int] = []
    for i, label in enumerate(labels):
        (members.get(label, beyond) if label else rest).append(i)
    groups = [(name, listed, theme.label_color(rank), rank) for rank, (name, listed) in enumerate(members.items())]
    grey = [("no label", rest, _NEUTRAL, 0), ("further labels", beyond, _NEUTRAL, 0)]
    return [*(entry for entry in grey if entry[1]), *groups]


def _box(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Lower and upper corner (2, n_components) around the points with a margin, never empty."""
    if len(points) == 0:
        return np.array([[-1.0] * points.shape[1], [1.0] * points.shape[1]])
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    widest = float((high - low).max()) or 1.0
    # A side that is much shorter than the widest one is drawn as if it had a tenth of it.
    extra = np.maximum(0.1 * widest - (high - low), 0.0) / 2 + _MARGIN_SHARE * widest
    return np.stack([low - extra, high + extra])


def _names(points: NDArray[np.float32], box: NDArray[np.float64], texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is written at each point and where, "" where no place is free; nothing for many points.

    Numbers are placed first, then words take the place of numbers where there is room for them. Points are served in
    order; each takes the first place around its point that covers no marker and nothing placed before it, reckoned on
    a panel 400 px wide.
    """
    n = len(points)
    if n > MAX_NUMBERED:
        return [], []
    pixels = (points - box[0]) / float((box[1] - box[0]).max()) * _PANEL_WIDTH
    half = theme.MARKER_SIZE / 2
    taken = [(x - half, y - half, x + half, y + half) for x, y in np.unique(pixels, axis=0).tolist()]
    names, places = [""] * n, [_PLACES[0][0]] * n
    standing: dict[int, tuple[float, ...]] = {}
    wanted = [(i, str(i + 1)) for i in range(n)]
    if n <= MAX_WORDED:
        wanted += [(i, f"{i + 1} {theme.shorten(texts[i], _WORDS_LENGTH)}") for i in range(n)]
    for i, words in wanted:
        x, y = pixels[i].tolist()
        width, height = 0.6 * theme.SIZE_SMALL * len(words), float(theme.SIZE_SMALL)
        others = [*taken, *(rectangle for j, rectangle in standing.items() if j != i)]
        for place, right, up in _PLACES:
            left = x + right * (half + 1) + (right - 1) / 2 * width
            bottom = y + up * (half + 1) + (up - 1) / 2 * height
            rectangle = (left, bottom, left + width, bottom + height)
            inside = words == str(i + 1) or (left >= 0 and left + width <= _PANEL_WIDTH)
            if inside and not any(_overlap(rectangle, other) for other in others):
                names[i], places[i], standing[i] = words, place, rectangle
                break
    return names, places


def _overlap(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    """Whether two rectangles (left, bottom, right, top) share an area."""
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _name_axes(figure: go.Figure, ratio: NDArray[np.float64] | None, n_components: int) -> None:
    """Titles of the principal axes with their share of the variance; other axes have no name."""
    if ratio is None:
        return
    titles = [f"PC {axis + 1} · {100 * share:.0f} % of variance" for axis, share in enumerate(ratio)]
    if n_components == 2:
        figure.update_layout(
            xaxis_title_text=titles[0],
            yaxis_title_text=titles[1],
            margin={"l": 26, "r": 8, "t": 8, "b": 26},
        )
        return
    for axis, title in zip("xyz", titles, strict=True):  # short: in perspective a long title runs out of the panel
        words = {"text": title.removesuffix(" of variance"), "font": {"size": theme.SIZE_SMALL}}
        figure.update_layout({f"scene_{axis}axis_title": words})


def _quality(value: float | None, n_neighbors: int) -> str:
    """The trustworthiness of a panel in words."""
    if value is None:
        return "trustworthiness needs 4 different texts"
    return f"trustworthiness {value:.2f} ({n_neighbors} neighbours)"


def _alt(result: GridProjection, labels: Sequence[str] | None) -> str:
    """Text alternative: what is drawn, how far it can be trusted, and what stands together on each panel."""
    n_panels, n_texts, n_components = result.coordinates.shape
    name = {"umap": "UMAP", "pca": "PCA"}[result.method]
    words = [f"Map of {counted(n_texts, 'text')} in {n_components} dimensions by {name}, {result.layout} layout."]
    trust = [f"{letter(k)} {value:.2f}" for k, value in enumerate(result.trustworthiness) if value is not None]
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
