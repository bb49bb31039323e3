"""Where words stand on a map: beside the points of few texts, and at the places of groups, without covering anything.

Places are reckoned on a panel 360 px wide, as on a phone; on a wider one there is more room than needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from instructor_core.figures import theme
from instructor_core.figures.labels import LabelGroup

MAX_WORDED = 24  # texts up to which points carry the beginnings of their texts, where there is room
MAX_NUMBERED = 40  # texts up to which points carry their numbers
NAME_LENGTH = 24  # characters of a label in the legend and on the map
_WORDS_LENGTHS = (16, 24, 36)  # characters of a text beside its point: all get the first before one gets more
PANEL_WIDTH = 360.0  # px, the width that placing words reckons with: a phone
_CELLS = 11  # along one side of the lattice on which a group's place is looked for
_SURELY = 0.7  # share of the points around the place of a name that are of its group
_GATHERED = 0.5  # share of a group that stands around the place of its name
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


def place_names(
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
        if crowd[best] < max(_SURELY * everywhere[best], _GATHERED * len(own) + 1, 2):
            continue
        near = own[(np.abs(_lattice(own) - np.array(best)) <= 1).all(axis=1)]
        (left, bottom), (right, top) = near.min(axis=0), near.max(axis=0)
        x, y = near.mean(axis=0).tolist()
        width = 0.7 * theme.SIZE_BODY * len(theme.shorten(group.name, NAME_LENGTH))
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
            middle_x = min(max(wanted_x, width / 2), PANEL_WIDTH - width / 2)
            box = (middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2)
            if not any(_overlap(box, other) for other in [*taken, *markers]):
                placed.append((group, middle_x, middle_y))
                taken.append(box)
                break
    return placed, taken


def _lattice(pixels: NDArray[np.float64]) -> NDArray[np.int64]:
    """The cell of each point on a lattice over the panel, (n, 2)."""
    return np.clip(pixels / PANEL_WIDTH * _CELLS, 0, _CELLS - 1).astype(np.int64)


def _crowd(pixels: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many points stand in each cell of the lattice and its eight neighbours."""
    counts = np.zeros((_CELLS + 2, _CELLS + 2), dtype=np.int64)
    np.add.at(counts, tuple((_lattice(pixels) + 1).T), 1)
    crowd = np.zeros((_CELLS, _CELLS), dtype=np.int64)
    for i in range(3):
        for j in range(3):
            crowd += counts[i : i + _CELLS, j : j + _CELLS]
    return crowd


def _markers(pixels: NDArray[np.float64]) -> list[_Box]:
    """The rectangles that markers take."""
    half = theme.MARKER_SIZE / 2
    return [(x - half, y - half, x + half, y + half) for x, y in np.unique(pixels, axis=0).tolist()]


def place_words(
    pixels: NDArray[np.float64], texts: Sequence[str], names: Sequence[_Box]
) -> tuple[list[str], list[str]]:
    """What is written at each point and where, "" where no place is free; nothing for many points.

    Numbers are placed first, then words take the place of numbers where there is room for them, then more words.
    Points are served in order; each takes the first place around its point that covers no marker and nothing placed
    before it.
    """
    n = len(pixels)
    if n > MAX_NUMBERED:
        return [], []
    away = theme.MARKER_SIZE / 2 / 0.8 + 1  # as Plotly sets words beside a marker
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
            left = x + right * away + (right - 1) / 2 * width
            bottom = y + up * away + (up - 1) / 2 * height
            rectangle = (left, bottom, left + width, bottom + height)
            inside = line == str(i + 1) or (left >= 0 and left + width <= PANEL_WIDTH)
            if inside and not any(_overlap(rectangle, other) for other in others):
                words[i], places[i], standing[i] = line, place, rectangle
                break
    return words, places


def _overlap(first: _Box, second: _Box) -> bool:
    """Whether two rectangles (left, bottom, right, top) share an area."""
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
