"""The heatmap that every matrix of the app is drawn with: index axes, thinned labels, separator lines.

The figure can be read on its own; in the app the component fits labels, margins and gaps to the panel's width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.analysis.numbers import number
from instructor_core.analysis.similarity import TextPair
from instructor_core.figures import theme
from instructor_core.figures.panels import ColorScale

MAX_NUMBERED = 24  # rows and columns up to which values are printed into the cells that have room for them
MAX_TICKS = 40  # labels that fit along one side
_BAND = 24  # px beside a matrix for a coloured strip and the name of each block
_BLOCK_CHARACTERS = 56  # of the names of blocks that all together have room along a matrix; the component measures
_OVERHANG = 0.012  # of the side of the matrix: the line shows also where cells have its colour


@dataclass(frozen=True)
class Block:
    """Neighbouring rows or columns that belong together: `start` to before `end`, with a name beside the matrix."""

    name: str
    start: int
    end: int
    color: str


@dataclass(frozen=True)
class Side:
    """What stands along one side of a matrix."""

    ticks: tuple[str, ...]  # one plain text label per row or column
    items: Sequence[int] | None = None  # the item index of each, for tooltips and links; None: numbered in order
    names: tuple[str, ...] | None = None  # for tooltips; None where rows or columns are texts
    title: str = ""
    separators: tuple[int, ...] = ()  # k draws a line before the k-th row or column
    blocks: tuple[Block, ...] = ()  # parted by thin lines; names stand on top and at the right


def matrix_figure(
    values: NDArray[np.floating],
    rows: Side,
    columns: Side,
    scale: ColorScale,
    value: str = "cosine",
    *,
    digits: int = 2,
    exact: bool = False,
    separator: str | None = None,
) -> go.Figure:
    """A heatmap of values (r, c), to four decimals unless exact, first row on top; a small one has numbers in cells."""
    n_rows, n_columns = values.shape
    meta: dict[str, object] = {"kind": "matrix", "value": value}
    for axis, side in (("row", rows), ("column", columns)):
        meta[f"{axis}s"] = list(range(len(side.ticks)) if side.items is None else side.items)
        if side.names is not None:
            meta[f"{axis}_names"] = list(side.names)
    heatmap = go.Heatmap(
        z=values if exact else np.round(values.astype(np.float64), 4),
        x=np.arange(n_columns),
        y=np.arange(n_rows),
        colorscale=theme.colorscale(scale.colors),
        zmin=scale.low,
        zmax=scale.high,
        showscale=False,
        hoverinfo="none",
        meta=meta,
    )
    if digits and max(values.shape) <= MAX_NUMBERED:
        heatmap.update(texttemplate=f"%{{z:.{digits}f}}", textfont={"size": theme.SIZE_SMALL})
    figure = go.Figure(heatmap)
    figure.update_layout(
        xaxis=_axis(columns, [-0.5, n_columns - 0.5]),
        yaxis=_axis(rows, [n_rows - 0.5, -0.5]),
        margin={"l": 6, "r": _BAND if rows.blocks else 6, "t": _BAND if columns.blocks else 6, "b": 6},
        shapes=[
            *_lines(columns.separators, "x", separator),
            *_lines(rows.separators, "y", separator),
            *(shape for side, axis in ((columns, "x"), (rows, "y")) for shape in _bands(side, axis)),
        ],
        annotations=[note for side, axis in ((columns, "x"), (rows, "y")) for note in _block_names(side, axis)],
    )
    return figure


def _axis(side: Side, limits: list[float]) -> dict[str, object]:
    """Layout of one axis: a label at every row, or at every 5th, 10th, ... where they would overlap."""
    shown = _thinned(len(side.ticks))
    return {
        "range": limits,
        "tickmode": "array",
        "tickvals": list(shown),
        "ticktext": [theme.escape(side.ticks[i]) for i in shown],
        "title": {"text": theme.escape(side.title)},
        "ticks": "",
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
    }


def _thinned(n: int) -> range:
    """Indices of the labels to draw: all, or those numbered 5, 10, 15, ... on screen with a round step."""
    if n <= MAX_TICKS:
        return range(n)
    least = n / MAX_TICKS
    decade = 10 ** math.floor(math.log10(least))
    step = next(size * decade for size in (2, 5, 10) if size * decade >= least)
    return range(step - 1, n, step)


def _lines(positions: Sequence[int], axis: str, color: str | None) -> list[dict[str, object]]:
    """Separator lines before the given rows ("y") or columns ("x"), a little longer than the matrix."""
    other = "y" if axis == "x" else "x"
    line = {"width": theme.LINE_WIDTH} | ({} if color is None else {"color": color})
    ends: dict[str, object] = {f"{other}ref": "paper", f"{other}0": -_OVERHANG, f"{other}1": 1 + _OVERHANG}
    return [
        {"type": "line", f"{axis}0": position - 0.5, f"{axis}1": position - 0.5, "line": line, **ends}
        for position in positions
    ]


def _bands(side: Side, axis: str) -> list[dict[str, object]]:
    """A strip in the colour of each block beside the matrix, and a thin line before each block but the first."""
    other = "y" if axis == "x" else "x"
    beside = {f"{other}ref": "paper", f"{other}sizemode": "pixel", f"{other}anchor": 1, f"{other}0": 2, f"{other}1": 5}
    strip: dict[str, object] = {"type": "rect", "line": {"width": 0}, **beside}
    return [
        *({f"{axis}0": at.start - 0.5, f"{axis}1": at.end - 0.5, "fillcolor": at.color, **strip} for at in side.blocks),
        *({**line, "line": {"width": 1}} for line in _lines([at.start for at in side.blocks[1:]], axis, None)),
    ]


def _block_names(side: Side, axis: str) -> list[dict[str, object]]:
    """The name of each block at its middle, on top of the columns or at the right of the rows.

    The component reads the axis and the ends from `name` and fits the words to the drawn size.
    """
    other = "y" if axis == "x" else "x"
    place = {"yanchor": "bottom", "yshift": 5} if axis == "x" else {"xanchor": "left", "xshift": 5, "textangle": 90}
    return [
        {
            "name": f"block {axis} {block.start} {block.end}",
            f"{axis}": (block.start + block.end - 1) / 2,
            f"{other}": 1,
            f"{other}ref": "paper",
            "text": theme.escape(
                theme.shorten(block.name, max(_BLOCK_CHARACTERS * (block.end - block.start) // len(side.ticks), 2))
            ),
            "hovertext": theme.escape(block.name),
            "showarrow": False,
            **place,
        }
        for block in side.blocks
    ]


def pair_words(pair: TextPair, value: str = "") -> str:
    """Both texts by their number on screen, and the value, with three decimals unless given."""
    return f"text {pair.first + 1} and text {pair.second + 1} ({value or number(pair.value)})"
