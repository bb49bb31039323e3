"""A view as data: panels, each with a Plotly figure, and the texts and the colour scale that they share.

`PanelSet.to_json` is the payload of the browser component (`ui/components.py`), which draws the panels as one
responsive grid. What a trace shows is said in its `meta`, see `to_json`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.analysis.grid import letter
from instructor_core.figures import theme
from instructor_core.figures.charts import one_line

MAX_ITEM_BYTES = 600_000  # of all items of a payload, as UTF-8: tooltips of many texts show their beginnings


@dataclass(frozen=True, eq=False)
class Panel:
    """One figure under a heading."""

    key: str  # the same as long as the panel shows the same thing: zoom and marks survive an update
    title: str
    figure: go.Figure  # without title, colour bar and template: the component adds those of the page
    subtitle: str = ""
    aspect: float | None = None  # height / width of the plotted area; None takes `figure.layout.height`
    instruction: int | None = None  # whose letter is on the chip; events carry it


def instruction_panel(
    k: int, instruction: str, figure: go.Figure, subtitle: str = "", *, aspect: float | None = None, what: str = ""
) -> Panel:
    """The panel of one instruction, under its words; `what` tells it from others of the same instruction."""
    key = f"{letter(k)} {what}".strip()
    return Panel(key, one_line(instruction), figure, subtitle, aspect, k)


@dataclass(frozen=True, eq=False)
class ColorScale:
    """The one colour scale of a set of panels, drawn once as a bar."""

    colors: tuple[str, ...]  # hex, evenly spaced from `low` to `high`
    low: float
    high: float
    label: str  # what is measured, with its unit if it has one
    midpoint: float | None = None  # value to mark on the bar

    @staticmethod
    def signed(limit: float, label: str) -> ColorScale:
        """The diverging scale from `-limit` to `limit`, its middle at zero."""
        return ColorScale(theme.DIVERGING, -limit, limit, label, midpoint=0.0)


@dataclass(frozen=True)
class Selection:
    """What is marked for good: a cell (item indices), in all panels alike if `panel` is "", or `items`, or nothing."""

    row: int | None = None
    column: int | None = None
    panel: str = ""
    items: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class PanelSet:
    """What one plot view shows; two panels of one key could not be told apart, so they are refused."""

    panels: tuple[Panel, ...]  # in reading order
    items: tuple[str, ...] = ()  # full texts by their index, for tooltips and links between views
    scale: ColorScale | None = None
    min_width: int = 320  # px of a panel, under which panels stack
    alt: str = ""  # one or two sentences for those who do not see the figures
    selected: Selection | None = None  # None keeps the mark that the page has

    def __post_init__(self) -> None:
        keys = [panel.key for panel in self.panels]
        if len(set(keys)) != len(keys):
            raise ValueError(f"panels need different keys, got {keys!r}")

    def to_json(self) -> str:
        """Return the payload of the browser component.

        Numbers are rounded to a ten-thousandth of the span of their array, finer than a pixel; NaN and
        infinite values become null. Items are shortened where all together are more than `MAX_ITEM_BYTES`.
        `<` is escaped, so that the payload is inert wherever it is put.

        A trace is read through `trace.meta`:
            `{"kind": "matrix", "rows": [...], "columns": [...], "value": "cosine"}`: a go.Heatmap on index
                axes; item index per row and column, and the name of the value. `row_names` and `column_names`
                (list of str) stand for the texts where rows or columns are no texts; those are not linked.
            `{"kind": "points"}`: a scatter whose `customdata` holds the item index of each point; an optional
                `hovertext` per point follows in its tooltip, then the items of `nearest`, a list per point.
            `{"kind": "plain"}` or nothing: `customdata` holds the tooltip of each point as plain text, or
                nothing.
        """
        payload = {
            "panels": [_panel(panel) for panel in self.panels],
            "items": shorten_all(self.items, MAX_ITEM_BYTES),
            "scale": None if self.scale is None else vars(self.scale),
            "min_width": self.min_width,
            "alt": self.alt,
            "selected": None if self.selected is None else vars(self.selected),
        }
        return inert_json(payload)


def shorten_all(texts: Sequence[str], n_bytes: int) -> list[str]:
    """Return texts that have `n_bytes` of UTF-8 at most together: the longest ones are cut to one length."""
    sizes = np.array([len(text.encode("utf-8", "replace")) for text in texts], dtype=np.int64)
    if int(sizes.sum()) <= n_bytes:
        return list(texts)
    low, high = 1, int(sizes.max())
    while low < high:  # the largest length in bytes at which they fit
        middle = (low + high + 1) // 2
        low, high = (middle, high) if int(np.minimum(sizes, middle).sum()) <= n_bytes else (low, middle - 1)
    room = max(low, 4)  # an ellipsis takes three
    return [text if size <= room else _shorten(text, room) for text, size in zip(texts, sizes.tolist(), strict=True)]


def _shorten(text: str, n_bytes: int) -> str:
    """The beginning of a text with an ellipsis, in `n_bytes` of UTF-8 at most."""
    return text.encode("utf-8", "replace")[: n_bytes - 3].decode("utf-8", "ignore") + "…"


def inert_json(payload: object) -> str:
    """Return `payload` as compact JSON without any `<`: no tag can start in it, wherever it is put."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def chip(instruction: int | None) -> dict[str, object]:
    """What stands on the chip of an instruction, and its colour; nothing for none."""
    return {} if instruction is None else {"chip": letter(instruction), "accent": theme.accent(instruction)}


def _panel(panel: Panel) -> dict[str, object]:
    figure = panel.figure.to_plotly_json()
    # The template of a figure made with Plotly's defaults is 7 kB; the component brings its own.
    layout = {name: value for name, value in figure.get("layout", {}).items() if name != "template"}
    return {
        "key": panel.key,
        "instruction": panel.instruction,
        "title": panel.title,
        **chip(panel.instruction),
        "subtitle": panel.subtitle,
        "aspect": panel.aspect,
        "figure": {
            "data": _to_plain(figure.get("data", [])),
            "layout": _to_plain(layout),
            "frames": _to_plain(figure.get("frames", [])),
        },
    }


def _to_plain(value: object) -> object:
    """Return `value` made of JSON types alone, arrays as rounded lists."""
    if isinstance(value, dict):
        if value.keys() >= {"dtype", "bdata"}:
            return _to_plain(_decode(value))
        return {name: _to_plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f":
            return _round(value)
        return value.tolist() if value.dtype.kind in "iub" else _to_plain(value.tolist())
    if isinstance(value, list | tuple):
        if value and all(isinstance(item, float | np.floating) for item in value):
            return _round(np.asarray(value, dtype=np.float64))
        return [_to_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _to_plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _decode(encoded: dict[str, str]) -> NDArray[np.generic]:
    """Return the array behind Plotly's base64 form of it; `shape` is missing there in one dimension."""
    values = np.frombuffer(base64.b64decode(encoded["bdata"]), dtype=encoded["dtype"])
    return values.reshape([int(n) for n in encoded["shape"].split(",")]) if "shape" in encoded else values


def _round(values: NDArray[np.floating]) -> object:
    """Return the nested list of `values`, any shape, float; its digits follow from their span."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if finite.size == 0:
        return np.full(values.shape, None, dtype=object).tolist()
    span = float(np.ptp(finite)) or float(np.max(np.abs(finite))) or 1.0
    decimals = max(0, 4 - math.floor(math.log10(span)))
    rounded = np.round(values.astype(np.float64), decimals)
    if finite.size == values.size:
        return rounded.tolist()
    with_gaps = rounded.astype(object)
    with_gaps[~np.isfinite(values)] = None
    return with_gaps.tolist()
