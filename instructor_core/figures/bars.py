"""Horizontal and vertical bars over the units of a text: index axes, signed colours, tooltips as plain text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.figures import theme

POSITIVE = theme.DIVERGING[-2]
NEGATIVE = theme.DIVERGING[1]
NAME_LENGTH = 22  # characters of a token or word beside its bar
_BAR_HEIGHT = 22  # px per unit
_AROUND_BARS = 64  # px for the axis and the legend


def signed_colors(values: NDArray[np.floating]) -> list[str]:
    """The colour of each bar by its sign, those of the diverging scale."""
    return [NEGATIVE if value < 0 else POSITIVE for value in values.tolist()]


def unit_bars(
    names: Sequence[str], bars: Sequence[go.Bar | go.Scatter], *, title: str, reference: float = 0.0
) -> go.Figure:
    """A figure of horizontal bars, one row per name, the first on top; its height follows from their number.

    Args:
        names: plain text labels of the rows.
        bars: traces with `y` the index of the row.
        title: of the value axis, with its unit.
        reference: where the bars start; marked by a line.
    """
    figure = go.Figure(list(bars))
    n = len(names)
    figure.update_layout(
        barmode="group",
        bargap=0.25,
        bargroupgap=0.1,
        height=max(n, 3) * _BAR_HEIGHT + _AROUND_BARS,
        margin={"l": 8, "r": 12, "t": 8, "b": 36},
        xaxis={"title": {"text": theme.escape(title)}, "zeroline": False, "automargin": True},
        yaxis={
            "range": [n - 0.5, -0.5],
            "tickmode": "array",
            "tickvals": list(range(n)),
            "ticktext": [theme.escape(theme.shorten(name, NAME_LENGTH)) for name in names],
            "tickfont": {"family": theme.FONT_MONO, "size": theme.SIZE_SMALL},
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
        },
        shapes=[{"type": "line", "x0": reference, "x1": reference, "yref": "paper", "y0": 0, "y1": 1}],
        showlegend=len(bars) > 1,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure
