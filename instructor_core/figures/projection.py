"""Maps of the texts, one panel per instruction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.analysis.grid import letter
from instructor_core.analysis.neighbors import Groups
from instructor_core.analysis.projection import GridProjection
from instructor_core.figures import theme
from instructor_core.figures.labels import MAX_SYMBOLS, LabelGroup, label_groups, label_names
from instructor_core.figures.panels import PanelSet, instruction_panel

MAX_WORDED = 24  # texts up to which points carry the beginnings of their texts, where there is room
MAX_NUMBERED = 40  # texts up to which points carry their numbers
MAX_SVG_POINTS = 1000  # above it points are drawn by WebGL
MAX_LEGEND = 24  # groups up to which a legend fits over the view
_LABEL_LENGTH = 24  # characters of a label in the legend and on the map
_MAX_TOLD = 500  # points of which the nearest ones are told in words
_WORDS_LENGTHS = (16, 24, 36)  # characters of a text beside its point: all get the first before one gets more
_MIN_WIDTH = 400  # px of a panel, below which panels stack
_PANEL_WIDTH = 400.0  # px, the width that placing words reckons with
_MANY = ((60, theme.MARKER_SIZE), (600, 7))  # points up to which markers have a size, px
_SMALLEST = 5  # px, the markers of more points
_MARGIN_SHARE = 0.12  # room for the numbers beside the outermost points
_CELLS = 14  # along one side of the lattice on which a group's place is looked for
_SURELY = 0.7  # share of the points around the place of a name that are of its group
_GATHERED = 0.4  # share of a group that stands around the place of its name
_SYMBOLS_3D = ("circle", "square", "diamond", "cross", "x", "circle-open")  # the few shapes there are in 3D
_EYE = {"x": 1.6, "y": 1.6, "z": 1.1}  # far enough for the axis titles to stay in the panel
_PLACES = (  # where words may stand, best first: Plotly's name and the direction from the point
    ("top center", 0, 1),
    ("middle right", 1, 0),
    ("bottom center", 0, -1),
    ("middle left", -1, 0),
    ("top right", 1, 1),
    ("bottom right", 1, -1),
    ("bottom left", -1, -1),
    ("top left", -1, 1),
)
_Box = tuple[float, float, float, float]  # left, bottom, right, top


def projection_panels(
    result: GridProjection,
    texts: Sequence[str],
    labels: Sequence[str] | None,
    instructions: Sequence[str],
    *,
    groups: Groups | None = None,
    nearest: NDArray[np.integer] | None = None,
) -> PanelSet:
    """One map per instruction, in instruction order; a group has the same colour and shape in all of them.

    Panels of a joint layout share their axis ranges. Distances have no unit, so the axes have no ticks; those
    of PCA say how much of the variance they show. All axes of a panel have the same scale. Found `groups` stand in for
    labels where there are none; `nearest` (K, N, k) are the texts nearest in the full space, for the tooltips.
    """
    n_components = result.coordinates.shape[2]
    drawn = label_groups(labels, len(texts), groups)
    boxes = [_box(panel) for panel in result.coordinates]
    if result.layout == "joint":
        boxes = [_box(result.coordinates.reshape(-1, n_components))] * len(boxes)
    spans = np.array([box[1] - box[0] for box in boxes]).reshape(-1, n_components)
    aspect = float(np.clip((spans[:, 1] / spans[:, 0]).max(initial=0.0), 0.6, 1.0))
    panels = []
    for k, instruction in enumerate(instructions):
        draw = _flat_map if n_components == 2 else _solid_map
        figure = draw(result.coordinates[k], boxes[k], texts, drawn)
        if nearest is not None:
            for trace in figure.data:
                trace.meta = {**trace.meta, "nearest": nearest[k, list(trace.customdata)].tolist()}
        ratio = result.explained_variance_ratio(k)
        subtitle = _quality(result.trustworthiness[k], result.trust_neighbors[k])
        if ratio is not None and (result.turned and n_components == 2):
            subtitle += f" · {100 * float(ratio.sum()):.0f} % of variance"
        else:
            _name_axes(figure, ratio, n_components)
        panels.append(instruction_panel(k, instruction, figure, subtitle, aspect=aspect))
    return PanelSet(tuple(panels), tuple(texts), min_width=_MIN_WIDTH, alt=_alt(result, labels))


def _flat_map(
    points: NDArray[np.float32], box: NDArray[np.float64], texts: Sequence[str], groups: Sequence[LabelGroup]
) -> go.Figure:
    """Scatter of one panel in two dimensions, one trace per group; a name where a group has a place of its own."""
    pixels = (points - box[0]) / float((box[1] - box[0]).max()) * _PANEL_WIDTH
    names, taken = _group_names(pixels, groups)
    words, places = _words(pixels, texts, taken)
    size = next((size for most, size in _MANY if len(points) <= most), _SMALLEST)
    trace = go.Scattergl if len(points) > MAX_SVG_POINTS else go.Scatter
    figure = go.Figure()
    for group in groups:
        members = list(group.members)
        figure.add_trace(
            trace(
                x=points[members, 0],
                y=points[members, 1],
                mode="markers+text" if words else "markers",
                text=[theme.escape(words[i]) for i in members] if words else None,
                textposition=[places[i] for i in members] if words else None,
                textfont={"size": theme.SIZE_SMALL},
                marker={"color": group.color, "symbol": group.symbol, "size": size, "opacity": 0.9},
                **_common(group),
            )
        )
    low, high = box
    axis = {
        "showticklabels": False,
        "ticks": "",
        "zeroline": False,
        "showgrid": False,
        "showline": True,
        "mirror": True,
    }
    scale = float((high - low).max()) / _PANEL_WIDTH
    figure.update_layout(
        xaxis=axis | {"range": [low[0], high[0]]},
        yaxis=axis | {"range": [low[1], high[1]], "scaleanchor": "x", "scaleratio": 1},
        annotations=[_name(group, low[0] + x * scale, low[1] + y * scale) for group, x, y in names],
    )
    return _finished(figure, groups)


def _solid_map(
    points: NDArray[np.float32], box: NDArray[np.float64], texts: Sequence[str], groups: Sequence[LabelGroup]
) -> go.Figure:
    """Scatter of one panel in three dimensions, one trace per group; points have their numbers."""
    numbered = len(texts) <= MAX_NUMBERED
    figure = go.Figure()
    for group in groups:
        members = list(group.members)
        symbol = _SYMBOLS_3D[group.rank] if group.rank < MAX_SYMBOLS else "circle"
        figure.add_trace(
            go.Scatter3d(
                x=points[members, 0],
                y=points[members, 1],
                z=points[members, 2],
                mode="markers+text" if numbered else "markers",
                text=[str(i + 1) for i in members] if numbered else None,
                textfont={"size": theme.SIZE_SMALL},
                marker={"color": group.color, "symbol": symbol, "size": theme.MARKER_SIZE / 2, "opacity": 0.9},
                **_common(group),
            )
        )
    axes = {
        f"{axis}axis": {"showticklabels": False, "title": {"text": ""}, "range": [low, high], "zeroline": False}
        for axis, low, high in zip("xyz", *box, strict=True)
    }
    figure.update_layout(scene={**axes, "aspectmode": "data", "dragmode": "orbit", "camera": {"eye": _EYE}})
    return _finished(figure, groups)


def _common(group: LabelGroup) -> dict[str, object]:
    """What traces in two and in three dimensions have in common."""
    return {
        "name": theme.escape(theme.shorten(group.name, _LABEL_LENGTH)),
        "customdata": list(group.members),
        "meta": {"kind": "points"},
        "hovertext": group.name,  # the component writes it as plain text
        "hoverinfo": "none",
    }


def _finished(figure: go.Figure, groups: Sequence[LabelGroup]) -> go.Figure:
    """The figure with thin margins, and a legend where there are a few groups."""
    n_named = sum(group.named for group in groups)
    if n_named == 0:
        figure.update_traces(hovertext=None)
    figure.update_layout(
        showlegend=0 < n_named <= MAX_LEGEND,
        margin={"l": 1, "r": 1, "t": 4, "b": 1},
    )
    return figure


def _box(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Lower and upper corner (2, n_components) around the points with a margin, never empty."""
    if len(points) == 0:
        return np.array([[-1.0] * points.shape[1], [1.0] * points.shape[1]])
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    widest = float((high - low).max()) or 1.0
    # A side that is much shorter than the widest one is drawn as if it had a tenth of it.
    extra = np.maximum(0.1 * widest - (high - low), 0.0) / 2 + _MARGIN_SHARE * widest
    return np.stack([low - extra, high + extra])


def _group_names(
    pixels: NDArray[np.float64], groups: Sequence[LabelGroup]
) -> tuple[list[tuple[LabelGroup, float, float]], list[_Box]]:
    """Where the name of each group stands (its middle, px), and the rectangles that names take.

    A group has a place where most points are its own and a good part of it stands; a group that is spread among others
    has none, and its name is in the legend alone. Of few texts the name stands beside the points, of many over them.
    """
    few = len(pixels) <= MAX_NUMBERED
    markers = _markers(pixels) if few else []
    everywhere = _crowd(pixels)
    placed: list[tuple[LabelGroup, float, float]] = []
    taken: list[_Box] = []
    for group in sorted(groups, key=lambda group: -len(group.members)):
        own = pixels[list(group.members)]
        if not group.named or len(own) < 2:
            continue
        crowd = _crowd(own)
        best = np.unravel_index(int(np.argmax(crowd * crowd / np.maximum(everywhere, 1))), crowd.shape)
        if crowd[best] < max(_SURELY * everywhere[best], _GATHERED * len(own), 2):
            continue
        near = own[(np.abs(_lattice(own) - np.array(best)) <= 1).all(axis=1)]
        (left, bottom), (right, top) = near.min(axis=0), near.max(axis=0)
        x, y = near.mean(axis=0).tolist()
        width = 0.7 * theme.SIZE_BODY * len(theme.shorten(group.name, _LABEL_LENGTH))
        height = 1.3 * theme.SIZE_BODY
        away = theme.MARKER_SIZE / 2 + height / 2
        middle = y if top - bottom > 3 * height else top + away  # over a large group, on top of a small one
        candidates = [(x, middle + step * height) for step in (0, 1, -1, 2, -2, 3, -3)]
        if few:
            beside = [(right + away + width / 2, y), (left - away - width / 2, y)]
            candidates = [
                (x, top + away),
                (x, bottom - away),
                *beside,
                (x, top + away + height),
                (x, bottom - 3 * away),
            ]
        for wanted_x, middle_y in candidates:
            middle_x = min(max(wanted_x, width / 2), _PANEL_WIDTH - width / 2)
            box = (middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2)
            if not any(_overlap(box, other) for other in [*taken, *markers]):
                placed.append((group, middle_x, middle_y))
                taken.append(box)
                break
    return placed, taken


def _lattice(pixels: NDArray[np.float64]) -> NDArray[np.int64]:
    """The cell of each point on a lattice over the panel, (n, 2)."""
    return np.clip(pixels / _PANEL_WIDTH * _CELLS, 0, _CELLS - 1).astype(np.int64)


def _crowd(pixels: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many points stand in each cell of the lattice and its eight neighbours."""
    counts = np.zeros((_CELLS + 2, _CELLS + 2), dtype=np.int64)
    np.add.at(counts, tuple((_lattice(pixels) + 1).T), 1)
    crowd = np.zeros((_CELLS, _CELLS), dtype=np.int64)
    for i in range(3):
        for j in range(3):
            crowd += counts[i : i + _CELLS, j : j + _CELLS]
    return crowd


def _name(group: LabelGroup, x: float, y: float) -> dict[str, object]:
    """The name of a group on the map; the component gives it ink and halo in the colours of the page."""
    return {
        "name": "group",
        "x": x,
        "y": y,
        "text": theme.escape(theme.shorten(group.name, _LABEL_LENGTH)),
        "font": {"size": theme.SIZE_BODY, "weight": 600},
        "showarrow": False,
    }


def _markers(pixels: NDArray[np.float64]) -> list[_Box]:
    """The rectangles that markers take."""
    half = theme.MARKER_SIZE / 2
    return [(x - half, y - half, x + half, y + half) for x, y in np.unique(pixels, axis=0).tolist()]


def _words(pixels: NDArray[np.float64], texts: Sequence[str], names: Sequence[_Box]) -> tuple[list[str], list[str]]:
    """What is written at each point and where, "" where no place is free; nothing for many points.

    Numbers are placed first, then words take the place of numbers where there is room for them, then more words.
    Points are served in order; each takes the first place around its point that covers no marker and nothing placed
    before it, reckoned on a panel 400 px wide.
    """
    n = len(pixels)
    if n > MAX_NUMBERED:
        return [], []
    half = theme.MARKER_SIZE / 2
    taken = [*_markers(pixels), *names]
    words, places = [""] * n, [_PLACES[0][0]] * n
    standing: dict[int, _Box] = {}
    wanted = [(i, str(i + 1)) for i in range(n)]
    if n <= MAX_WORDED:
        wanted += [(i, f"{i + 1} {theme.shorten(texts[i], length)}") for length in _WORDS_LENGTHS for i in range(n)]
    for i, line in wanted:
        if line == words[i]:
            continue
        x, y = pixels[i].tolist()
        width, height = 0.6 * theme.SIZE_SMALL * len(line), float(theme.SIZE_SMALL)
        others = [*taken, *(rectangle for j, rectangle in standing.items() if j != i)]
        for place, right, up in _PLACES:
            left = x + right * (half + 1) + (right - 1) / 2 * width
            bottom = y + up * (half + 1) + (up - 1) / 2 * height
            rectangle = (left, bottom, left + width, bottom + height)
            inside = line == str(i + 1) or (left >= 0 and left + width <= _PANEL_WIDTH)
            if inside and not any(_overlap(rectangle, other) for other in others):
                words[i], places[i], standing[i] = line, place, rectangle
                break
    return words, places


def _overlap(first: _Box, second: _Box) -> bool:
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
    return f"trustworthiness {value:.2f} ({n_neighbors} {'neighbour' if n_neighbors == 1 else 'neighbours'})"


def _alt(result: GridProjection, labels: Sequence[str] | None) -> str:
    """Text alternative: what is drawn, how far it can be trusted, and what stands together on each panel."""
    n_panels, n_texts, n_components = result.coordinates.shape
    name = {"umap": "UMAP", "pca": "PCA"}[result.method]
    words = [f"Map of {n_texts} texts in {n_components} dimensions by {name}, {result.layout} layout."]
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
