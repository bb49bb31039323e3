"""Figures on paper: small matrices as HTML tables, tokens as marked words, all else as inline SVG; no script."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape, unescape
from io import BytesIO
from itertools import groupby
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from instructor_core.analysis.grid import letter
from instructor_core.analysis.numbers import number
from instructor_core.figures import matrix, placing, theme
from instructor_core.figures.panels import ColorScale, Panel
from instructor_core.figures.token_rows import TokenRow

STYLE = """
figure { display: inline-block; width: min-content; min-width: 16em; margin: 0 1.2em .6em 0; vertical-align: top;
  break-inside: avoid; }
figcaption { font-size: 9pt; } figcaption small { color: #555; }
table { border-collapse: collapse; font-size: 8pt; font-variant-numeric: tabular-nums; }
table.large { font-size: 7pt; } th { padding: 0 5px; font-weight: 400; text-align: right; white-space: nowrap; }
thead th { padding: 0; text-align: center; } td { min-width: 2.1em; padding: 2px; text-align: center; }
td, .token, .scale i { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.scale { margin: 0 0 .4em; font-size: 8pt; } .scale i { display: inline-block; width: 9em; height: .8em; }
.tokens { line-height: 2.2; } .token { display: inline-block; margin-right: 2px; padding: 0 3px; line-height: 1.4;
  border-bottom: 2px solid #555; background: #eee; }
.token.instruction { border-bottom-style: dashed; background: none; }
.token.end { border-bottom-style: dotted; } svg { display: block; } svg text { font: 9px system-ui, sans-serif; }
"""
TOKEN_KEY = "Dashed line: instruction. Solid line: text. Dotted line: end of the sequence, </s>."
WIDTH = 320  # px of a chart
PICTURE = 460  # px of a large matrix
_LARGE = 9  # rows from which the cells of a table are small
_CHARACTER = 5.2  # px of a letter beside an axis
_SIDES = {"square": 4, "diamond": 4, "triangle-up": 3, "triangle-down": 3, "pentagon": 5, "hexagon": 6}
_TURNS = {"square": 45, "triangle-down": 180}  # degrees
Ends = dict[tuple[float, bool], float]  # of a row's stacked bars, above zero and below


def panel_html(panel: Panel, items: Sequence[str]) -> str:
    """Return one panel with its heading; `items` are the texts that its rows stand for."""
    name = "" if panel.instruction is None else f"{letter(panel.instruction)} · "
    small = f"<br><small>{escape(panel.subtitle)}</small>" if panel.subtitle else ""
    caption = f"<figcaption>{escape(name + panel.title)}{small}</figcaption>"
    first = panel.figure.data[0]
    if not isinstance(first, go.Heatmap):
        body = _chart(panel)
    elif max(np.shape(first.z)) <= matrix.MAX_NUMBERED:
        body = _table(panel.figure, items)
    else:
        body = _picture(panel)
    return f"<figure>{caption}{body}</figure>"


def scale_html(scale: ColorScale | None) -> str:
    """Return the bar that says what the colours of matrices or tokens mean; "" for none."""
    if scale is None:
        return ""
    low, high = (f"{value:.3g}".replace("-", "−") for value in (scale.low, scale.high))
    colors = ", ".join(scale.colors)
    return (
        f'<p class="scale">{escape(scale.label)}: {low} '
        f'<i style="background:linear-gradient(to right, {colors})"></i> {high}</p>'
    )


def token_row_html(row: TokenRow, scale: ColorScale | None) -> str:
    """Return a sequence of tokens in the colours of their weights; a line says to which segment each belongs."""
    tokens = "".join(
        f'<span class="token {escape(token.segment)}"{_background(token.weight, scale)}>'
        f"{escape(token.text.removeprefix('▁') or '▁')}</span>"
        for token in row.tokens
    )
    small = f"<br><small>{escape(row.note)}</small>" if row.note else ""
    title = row.title if row.instruction is None else f"{letter(row.instruction)} · {row.title}"
    return f'<div class="tokens"><small>{escape(title)}</small><br>{tokens}{small}</div>'


def _table(figure: go.Figure, items: Sequence[str]) -> str:
    """A matrix with its values in the cells, and the texts or names of its rows."""
    trace = figure.data[0]
    meta, values, ticks = trace.meta, np.asarray(trace.z, dtype=np.float64), figure.layout.xaxis.ticktext or ()
    length = 44 if len(values[0]) > _LARGE else 26
    rows = meta.get("row_names") or [f"{theme.shorten(items[i], length)} {i + 1}" for i in meta["rows"]]
    columns = (
        [unescape(tick) for tick in ticks] if len(ticks) == len(values[0]) else [str(i + 1) for i in meta["columns"]]
    )
    scale = ColorScale(tuple(color for _, color in trace.colorscale), trace.zmin, trace.zmax, "")
    digits = 0 if trace.zmax > 2 else 2  # percentiles, or cosines
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        f"<tr><th>{escape(str(name))}</th>{''.join(_cell(value, scale, digits) for value in row)}</tr>"
        for name, row in zip(rows, values.tolist(), strict=True)
    )
    size = ' class="large"' if len(columns) > _LARGE else ""
    return f"<table{size}><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: float, scale: ColorScale, digits: int) -> str:
    if not math.isfinite(value):
        return "<td></td>"
    return f"<td{_background(value, scale)}><span>{number(value, digits)}</span></td>"


def _background(weight: float | None, scale: ColorScale | None) -> str:
    if weight is None or scale is None:
        return ""
    color = theme.color_at(scale.colors, (weight - scale.low) / max(1e-9, scale.high - scale.low))
    return f' style="background:{color};color:{theme.ink_on(color)}"'


class _Frame:
    """Where the values of a figure lie on paper."""

    def __init__(self, panel: Panel, aspect: float | None, width: float = WIDTH) -> None:
        layout = panel.figure.layout
        names = [unescape(name) for name in layout.yaxis.ticktext or ()]
        self.left = 14 + _CHARACTER * max((len(name) for name in names), default=4)
        self.right, self.top = width - 8.0, 6.0
        plotted = (self.right - self.left) * aspect if aspect else (layout.height or 230) - 46
        self.bottom = self.top + plotted
        self.height = self.bottom + 32
        self.x_range = _range(panel.figure, "x")
        self.y_range = _range(panel.figure, "y")

    def x(self, value: float) -> float:
        low, high = self.x_range
        return round(self.left + (value - low) / (high - low) * (self.right - self.left), 1)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return round(self.bottom - (value - low) / (high - low) * (self.bottom - self.top), 1)


def _range(figure: go.Figure, axis: str) -> tuple[float, float]:
    """The range of an axis as it is set, else that of the data with a margin."""
    given = figure.layout[f"{axis}axis"].range
    if given is not None:
        return float(given[0]), float(given[1])
    found: list[float] = []
    for trace in figure.data:
        values = _numbers(trace[axis])
        base = _numbers(trace.base) if isinstance(trace, go.Bar) and axis == "x" else np.zeros(1)
        ends = values + (base if base.size else 0.0)
        error = trace[f"error_{axis}"]
        for more in (_numbers(error.array), -_numbers(error.arrayminus)):
            found += (values + more).tolist() if more.size else []
        found += [*ends.tolist(), *base.tolist()] if isinstance(trace, go.Bar) else values.tolist()
    found += [float(shape[f"{axis}0"]) for shape in figure.layout.shapes if shape[f"{axis}ref"] != "paper"]
    low, high = np.nanmin(found), np.nanmax(found)
    margin = 0.06 * float(high - low) or 0.5
    return float(low) - margin, float(high) + margin


def _numbers(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.atleast_1d(np.asarray([] if values is None else values, dtype=np.float64))


def _chart(panel: Panel) -> str:
    """Axes, marks and the traces of a figure with index or value axes."""
    frame, layout = _Frame(panel, panel.aspect), panel.figure.layout
    width, height = frame.right - frame.left, frame.bottom - frame.top
    parts = [
        f'<rect x="{frame.left}" y="{frame.top}" width="{width}" height="{height}" fill="none" stroke="#999"/>',
        *_ticks(frame, layout),
    ]
    for shape in layout.shapes:
        x = (frame.left, frame.right) if shape.xref == "paper" else (frame.x(shape.x0), frame.x(shape.x1))
        y = (frame.bottom, frame.top) if shape.yref == "paper" else (frame.y(shape.y0), frame.y(shape.y1))
        dash = {"dash": "6 3", "dot": "2 3"}.get(shape.line.dash, "none")
        parts.append(_line(x[0], y[0], x[1], y[1], "#777", dash=dash))
    bars = [trace for trace in panel.figure.data if isinstance(trace, go.Bar)]
    ends: Ends = {}
    n_points = sum(len(trace.x) for trace in panel.figure.data if trace.meta)
    numbered = not layout.yaxis.ticktext and n_points <= placing.MAX_NUMBERED  # else rows have names
    for trace in panel.figure.data:
        if isinstance(trace, go.Bar) and layout.barmode == "relative":
            parts += _bars(frame, trace, 0, 1, ends)
        elif isinstance(trace, go.Bar):
            parts += _bars(frame, trace, bars.index(trace), len(bars))
        else:
            parts += _scatter(frame, trace, numbered)
    legend = ""
    if layout.showlegend:
        shown = [trace for trace in panel.figure.data if trace.name and trace.showlegend is not False]
        swatches = "".join(f"<span>{_swatch(trace)} {escape(unescape(trace.name))} &ensp;</span>" for trace in shown)
        legend = f"<small>{swatches}</small>"
    return f"{_svg(panel, WIDTH, frame, ''.join(parts))}{legend}"


def _svg(panel: Panel, width: int, frame: _Frame, drawn: str) -> str:
    size = f'width="{width}" height="{frame.height:.0f}"'
    return f'<svg {size} role="img" aria-label="{escape(panel.title)}">{drawn}</svg>'


def _picture(panel: Panel) -> str:
    """A matrix too large for a table: its colours, with the labels that the figure has room for."""
    trace = panel.figure.data[0]
    values = np.asarray(trace.z, dtype=np.float64)
    frame = _Frame(panel, min(max(values.shape[0] / values.shape[1], 0.1), 1.2), PICTURE)
    colors = tuple(color for _, color in trace.colorscale)
    shares = np.nan_to_num((values - trace.zmin) / max(1e-9, trace.zmax - trace.zmin)).clip(0, 1)
    image, file = Image.fromarray(np.round(shares * 255).astype(np.uint8)), BytesIO()
    image.putpalette(b"".join(bytes.fromhex(theme.color_at(colors, step / 255)[1:]) for step in range(256)))
    image.save(file, "PNG", optimize=True)
    place = f'x="{frame.left}" y="{frame.top}" width="{frame.right - frame.left}" height="{frame.bottom - frame.top}"'
    data = base64.b64encode(file.getvalue()).decode()
    drawn = (
        f'<image {place} preserveAspectRatio="none" style="image-rendering:pixelated" '
        f'href="data:image/png;base64,{data}"/>{"".join(_ticks(frame, panel.figure.layout))}'
    )
    return _svg(panel, PICTURE, frame, drawn)


def _ticks(frame: _Frame, layout: go.Layout) -> list[str]:
    parts = []
    for axis, name in ((layout.xaxis, "x"), (layout.yaxis, "y")):
        title = escape(unescape(axis.title.text or ""))
        if axis.tickvals is not None:
            ticks = list(zip(axis.tickvals, map(unescape, axis.ticktext), strict=True))
        elif axis.showticklabels is False:
            ticks = []
        else:
            low, high = sorted(frame.x_range if name == "x" else frame.y_range)
            ticks = [(value, f"{value:g}".replace("-", "−")) for value in _round_values(low, high)]
        if name == "x":
            parts += [_text(frame.x(v), frame.bottom + 11, words, "middle") for v, words in ticks]
            parts.append(_text((frame.left + frame.right) / 2, frame.bottom + 24, title, "middle"))
        else:
            parts += [_text(frame.left - 4, frame.y(v) + 3, words, "end") for v, words in ticks]
            at = f"{8} {(frame.top + frame.bottom) / 2:.1f}"
            parts.append(f'<text transform="translate({at}) rotate(-90)" text-anchor="middle">{title}</text>')
    return parts


def _round_values(low: float, high: float) -> list[float]:
    """Three to seven round numbers between two values."""
    decade = 10.0 ** math.floor(math.log10((high - low) / 3))
    step = max(size * decade for size in (1, 2, 5) if size * decade <= (high - low) / 3)
    return [round(k * step, 10) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _bars(frame: _Frame, trace: go.Bar, place: int, n: int, ends: Ends | None = None) -> list[str]:
    """Horizontal bars, those of several traces under each other; with the `ends` of those before, after them."""
    base = np.broadcast_to(_numbers(trace.base) if trace.base is not None else np.zeros(1), len(trace.x))
    thick = 0.75 / n
    parts = []
    for i, (x, y) in enumerate(zip(_numbers(trace.x), _numbers(trace.y), strict=True)):
        if not math.isfinite(x):
            continue
        foot = base[i] if ends is None else ends.get((y, x < 0), 0.0)
        if ends is not None:
            ends[y, x < 0] = foot + x
        start, end = sorted((frame.x(foot), frame.x(foot + x)))
        top, bottom = sorted(frame.y(y - 0.375 + thick * step) for step in (place, place + 0.9))
        size = f'x="{start}" y="{top}" width="{max(end - start, 0.5):.1f}" height="{bottom - top:.1f}"'
        parts.append(f"<rect {size} {_paint(trace, i)}/>")
    return parts


def _scatter(frame: _Frame, trace: Any, numbered: bool) -> list[str]:
    mode, parts = trace.mode or "lines", []
    points = [(frame.x(x), frame.y(y)) for x, y in zip(_numbers(trace.x), _numbers(trace.y), strict=True)]
    if "lines" in mode:
        for whole, strokes in groupby(points, key=lambda point: math.isfinite(sum(point))):
            drawn = " ".join(f"{x},{y}" for x, y in strokes)
            parts += [f'<polyline points="{drawn}" fill="none" stroke="{trace.line.color or "#333"}"/>'] * whole
    if "markers" not in mode:
        return parts
    for i, (x, y) in enumerate(points):
        if trace.error_x.array is not None:
            ends = trace.x[i] - trace.error_x.arrayminus[i], trace.x[i] + trace.error_x.array[i]
            parts.append(_line(frame.x(ends[0]), y, frame.x(ends[1]), y, _color(trace, i)))
        symbol = str(trace.marker.symbol or "circle")
        paint = f'fill="none" stroke="{_color(trace, i)}"' if symbol.endswith("-open") else f'fill="{_color(trace, i)}"'
        parts.append(_marker(x, y, symbol.removesuffix("-open"), paint))
        if numbered and (trace.meta or {}).get("kind") == "points":  # paper has no tooltip
            place = (trace.textposition[i] if trace.textposition is not None else "") or "top right"
            right = 6 * (("right" in place) - ("left" in place))
            up = 7 * (("top" in place) - ("bottom" in place)) - 3
            anchor = {6: "start", -6: "end"}.get(right, "middle")
            parts.append(_text(x + right, y - up, str(int(trace.customdata[i]) + 1), anchor))
    return parts


def _color(trace: Any, i: int) -> str:
    color = trace.marker.color
    return str(color if isinstance(color, str) else "#777" if color is None else color[i])


def _paint(trace: go.Bar, i: int) -> str:
    """Fill of a bar, and its edge where it has one."""
    edge = trace.marker.line
    color = edge.color if isinstance(edge.color, str) or edge.color is None else edge.color[i]
    return f'fill="{_color(trace, i)}"' + (f' stroke="{color}"' if color is not None and edge.width else "")


def _marker(x: float, y: float, shape: str, paint: str) -> str:
    if shape not in _SIDES:
        return f'<circle cx="{x}" cy="{y}" r="3.5" {paint}/>'
    angles = [math.radians(_TURNS.get(shape, 0) - 90 + 360 * k / _SIDES[shape]) for k in range(_SIDES[shape])]
    corners = " ".join(f"{x + 4.5 * math.cos(angle):.1f},{y + 4.5 * math.sin(angle):.1f}" for angle in angles)
    return f'<polygon points="{corners}" {paint}/>'


def _swatch(trace: Any) -> str:
    """The mark of a trace in the legend."""
    if isinstance(trace, go.Bar):
        mark = f'<rect x="1" y="1" width="8" height="8" {_paint(trace, 0)}/>'
    elif trace.mode == "lines":
        mark = _line(0, 5, 10, 5, trace.line.color or "#333")
    else:
        mark = _marker(5, 5, str(trace.marker.symbol or "circle"), f'fill="{_color(trace, 0)}"')
    return f'<svg width="10" height="10" style="display:inline">{mark}</svg>'


def _line(x0: float, y0: float, x1: float, y1: float, color: str, *, dash: str = "none") -> str:
    return f'<line x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" stroke="{color}" stroke-dasharray="{dash}"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
