"""What charts share: a frame of rows, bars or curves, lines that mark a value, and words for instructions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.figures import theme

NEUTRAL = theme.SEGMENTS["end"]  # a grey that can be seen on the light and on the dark page
ROW_HEIGHT = 24  # px per row of a chart of rows
NO_INSTRUCTION = "(no instruction)"
_FRAME = 56  # px around the rows: the axis and its title
_NAME_LENGTH = 22  # characters of a token or word beside its bar
_BAR_HEIGHT = 22  # px per unit
_AROUND_BARS = 64  # px for the axis and the legend


def frame(figure: go.Figure, *, height: int = theme.FIGURE_HEIGHT, legend: bool = False) -> go.Figure:
    """The figure with the margins of the theme and a height in px."""
    return figure.update_layout(height=height, showlegend=legend, margin=dict(theme.FIGURE_MARGIN))


def rows_chart(figure: go.Figure, names: Sequence[str], *, title: str) -> go.Figure:
    """The figure with one row per name, the first on top, and a titled value axis."""
    figure.update_layout(
        xaxis={"title": {"text": theme.escape(title)}, "zeroline": False},
        yaxis={
            "range": [len(names) - 0.5, -0.5],
            "tickmode": "array",
            "tickvals": list(range(len(names))),
            "ticktext": [theme.escape(name) for name in names],
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
        },
    )
    return frame(figure, height=_FRAME + ROW_HEIGHT * max(len(names), 1))


def mark_value(figure: go.Figure, value: float, *, dash: str, axis: str = "x") -> None:
    """A line across the figure at a value of the axis "x" or "y", under the data."""
    other = "y" if axis == "x" else "x"
    figure.add_shape(
        {
            "type": "line",
            f"{axis}0": value,
            f"{axis}1": value,
            f"{other}ref": "paper",
            f"{other}0": 0,
            f"{other}1": 1,
            "line": {"dash": dash, "width": 1.5, "color": NEUTRAL},
            "layer": "below",
        }
    )


def one_line(instruction: str) -> str:
    """The instruction on one line, or words for the empty one."""
    return " ".join(instruction.split()) or NO_INSTRUCTION


def signed_colors(values: NDArray[np.floating]) -> list[str]:
    """The colour of each bar by its sign, those of the diverging scale."""
    return [theme.NEGATIVE if value < 0 else theme.POSITIVE for value in values.tolist()]


def unit_bars(names: Sequence[str], bars: Sequence[go.Bar | go.Scatter], *, title: str) -> go.Figure:
    """Horizontal bars from zero, one row per token or word, the first on top; a trace's `y` is the index of the row."""
    figure = go.Figure(list(bars))
    rows_chart(figure, [theme.shorten(name, _NAME_LENGTH) for name in names], title=title)
    figure.update_layout(
        barmode="group",
        bargap=0.25,
        bargroupgap=0.1,
        height=max(len(names), 3) * _BAR_HEIGHT + _AROUND_BARS,
        margin={"l": 8, "r": 12, "t": 8, "b": 36},
        yaxis_tickfont={"family": theme.FONT_MONO, "size": theme.SIZE_SMALL},
        shapes=[{"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1}],
        showlegend=len(bars) > 1,
    )
    figure.update_xaxes(automargin=True)
    return figure


def bars(values: Sequence[float] | NDArray[np.number], tips: Sequence[str], color: object, **more: object) -> go.Bar:
    """Horizontal bars, one per row from the top unless `y` says where, each with a tooltip."""
    return go.Bar(
        x=values,
        orientation="h",
        marker={"color": color},
        customdata=list(tips),
        hoverinfo="none",
        meta={"kind": "plain"},
        **{"y": list(range(len(values))), **more},
    )


def dots(
    x: Sequence[float] | NDArray[np.floating],
    y: Sequence[float] | NDArray[np.floating],
    tips: Sequence[str],
    *,
    items: Sequence[int] | None = None,
    **look: object,
) -> go.Scatter:
    """Markers or a line with a tooltip each; those that stand for texts are linked by `items`, their indices."""
    tooltips: dict[str, object] = {"customdata": list(tips), "meta": {"kind": "plain"}}
    if items is not None:
        tooltips = {"customdata": list(items), "hovertext": list(tips), "meta": {"kind": "points"}}
    return go.Scatter(**{"x": x, "y": y, "mode": "markers", "hoverinfo": "none", **tooltips, **look})
