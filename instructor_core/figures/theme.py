"""Every colour, size and font of figures, components and page, and the helpers that put words into figures.

Nothing outside this module spells a colour: stylesheets and scripts read the CSS custom properties of
`css_variables`, figures read the constants. One colour has one meaning: accents are instructions, the label
palette is the visitor's own labels, violet / teal / grey are the segments of a token sequence, the sequential
scale is similarity and the diverging scale is anything signed.
"""

from __future__ import annotations

from dataclasses import dataclass

INSTRUCTION_ACCENTS = (
    "#d55e00",  # A vermillion
    "#0072b2",  # B blue
    "#009e73",  # C bluish green
    "#cc79a7",  # D reddish purple
    "#e69f00",  # E orange
    "#56b4e9",  # F sky blue
    "#6b7078",  # G grey
    "#c2b000",  # H yellow, darkened so that it can be seen on white
)
"""Okabe and Ito's colour-blind safe set; vermillion and blue lead: they keep 3:1 on white and on black."""

LABEL_COLORS = ("#4657bd", "#c9a58a", "#9a2fa6", "#6fbf8f", "#86651f", "#dd4f62", "#cf8cf2", "#5f86d0")
"""Dark and light in turn, none near an accent or a segment; always with LABEL_SYMBOLS, never alone."""

LABEL_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "star", "pentagon")

SEQUENTIAL = (
    "#00224e", "#123570", "#3b496c", "#575d6d", "#707173",
    "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838",
)  # fmt: skip
"""Cividis: perceptually uniform and read the same with and without colour vision deficiency."""

DIVERGING = (
    "#7d0a4b", "#b0256e", "#d169a0", "#e8a9c8", "#f5dbe8", "#f4f3f0",
    "#dfeccf", "#b6d58e", "#82b04a", "#4a781d", "#1f5608",
)  # fmt: skip
"""Magenta, neutral, green; the middle is zero and nearly the colour of the light page, the ends are nobody's hue."""

DIVERGING_DARK = (
    "#fca2df", "#fb55cc", "#b83d94", "#7c2f64", "#4a2640", "#26292e",
    "#24401c", "#2f6a1e", "#3c9a2a", "#62cc45", "#a4e884",
)  # fmt: skip
"""The same scale for the dark page: zero sinks into the page, the ends glow. The components swap it in."""

POSITIVE, NEGATIVE = DIVERGING[-2], DIVERGING[1]

SEGMENTS = {
    "instruction": "#7b5bd6",
    "text": "#0f8a96",
    "straddling": "#7b5bd6",  # drawn with the text colour as its second line
    "end": "#7d848c",
    "cut": "#7d848c",
}
"""Segment of a token sequence -> colour of its line; the lines differ in style too (dashed, solid, dotted)."""

FEED_FORWARD = "#b07d12"
"""Of what no segment is the source of, beside the colours of the segments."""

FONT_SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
FONT_MONO = "ui-monospace, 'SF Mono', Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace"

SIZE_SMALL = 11  # px: ticks, notes in figures
SIZE_BODY = 13  # px: controls, lists, sentences
SIZE_TITLE = 15  # px: panel and section titles

MARKER_SIZE = 9  # px, diameter of a text in a scatter
LINE_WIDTH = 2  # px, curves
FIGURE_MARGIN = {"l": 44, "r": 10, "t": 8, "b": 36}  # px; matrices get theirs from measured labels
FIGURE_HEIGHT = 340  # px, a panel that says nothing else


@dataclass(frozen=True)
class Surface:
    """The neutral colours of one theme: everything that is not data."""

    page: str
    paper: str
    raised: str
    ink: str
    muted: str
    rule: str
    grid: str
    hover: str
    error: str


LIGHT = Surface(
    page="#ffffff", paper="#ffffff", raised="#f5f5f3", ink="#1a1c20", muted="#5c6168",
    rule="#dcdcd8", grid="#ececea", hover="#f0f0ed", error="#a8201a",
)  # fmt: skip
DARK = Surface(
    page="#131518", paper="#131518", raised="#1c1f23", ink="#e9eaec", muted="#a0a6ad",
    rule="#34383e", grid="#25282d", hover="#22262b", error="#ff9d94",
)  # fmt: skip


def accent(index: int) -> str:
    """Return the hex colour of instruction number `index` (0 is A); past the eighth the colours repeat."""
    return INSTRUCTION_ACCENTS[index % len(INSTRUCTION_ACCENTS)]


def label_color(index: int) -> str:
    """Return the hex colour of the `index`-th label; pair it with `label_symbol`."""
    return LABEL_COLORS[index % len(LABEL_COLORS)]


def label_symbol(index: int) -> str:
    """Return the marker of the `index`-th label, shifted by one each time colours repeat, so that 64 pairs differ."""
    return LABEL_SYMBOLS[(index + index // len(LABEL_COLORS)) % len(LABEL_SYMBOLS)]


def colorscale(colors: tuple[str, ...]) -> list[list[float | str]]:
    """Return `colors` as a Plotly colour scale: evenly spaced pairs of position in [0, 1] and hex."""
    last = len(colors) - 1
    return [[position / last, color] for position, color in enumerate(colors)]


def color_at(colors: tuple[str, ...], place: float) -> str:
    """Return the hex colour at `place` in [0, 1] of evenly spaced `colors`; beyond the ends, that of the nearer one."""
    at = min(1.0, max(0.0, place)) * (len(colors) - 1)
    below = min(int(at), len(colors) - 2)
    pairs = ((int(colors[below][i : i + 2], 16), int(colors[below + 1][i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(start + (end - start) * (at - below)):02x}" for start, end in pairs)


def luminance(color: str) -> float:
    """Return the relative luminance (WCAG 2) of a `#rrggbb` colour, 0 for black and 1 for white."""
    channels = (int(color[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio (WCAG 2) of two `#rrggbb` colours, from 1 to 21."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def ink_on(background: str) -> str:
    """Return black or white, whichever is the more readable on `background`; never below 4.5:1."""
    return max("#000000", "#ffffff", key=lambda ink: contrast(ink, background))


def escape(text: str) -> str:
    """Return `text` so that Plotly draws it literally (Plotly reads a small HTML in labels and hovers)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shorten(text: str, length: int) -> str:
    """Return `text` on one line in `length` characters, cut at a word (inside one that alone is too long) with "…"."""
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    room = max(length - 1, 1)
    head = line[:room]
    if line[room] != " " and " " in head:
        head = head[: head.rindex(" ")]
    return head.rstrip(" ,;:.-") + "…"


def template(surface: Surface = LIGHT) -> dict[str, object]:
    """Return the Plotly template of a page as a plain dict; backgrounds are transparent."""
    axis = {
        "gridcolor": surface.grid,
        "zerolinecolor": surface.rule,
        "linecolor": surface.rule,
        "tickcolor": surface.rule,
        "tickfont": {"size": SIZE_SMALL, "color": surface.muted},
        "title": {"font": {"size": SIZE_SMALL, "color": surface.muted}, "standoff": 6},
        "automargin": True,
    }
    axis_3d = axis | {"backgroundcolor": "rgba(0,0,0,0)", "showbackground": False, "showspikes": False}
    axis_3d["title"] = {"text": "", "font": {"size": SIZE_SMALL, "color": surface.muted}}
    del axis_3d["automargin"]
    control = {
        "bgcolor": surface.raised,
        "bordercolor": surface.rule,
        "font": {"size": SIZE_SMALL, "color": surface.ink},
    }
    return {
        "layout": {
            "font": {"family": FONT_SANS, "size": SIZE_SMALL, "color": surface.ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(INSTRUCTION_ACCENTS),
            "colorscale": {"sequential": colorscale(SEQUENTIAL), "diverging": colorscale(DIVERGING)},
            "margin": dict(FIGURE_MARGIN),
            "xaxis": axis,
            "yaxis": axis,
            "scene": {"xaxis": axis_3d, "yaxis": axis_3d, "zaxis": axis_3d},
            "legend": {
                "orientation": "h",
                "y": 1.02,
                "yanchor": "bottom",
                "x": 0,
                "font": {"size": SIZE_SMALL, "color": surface.ink},
                "bgcolor": "rgba(0,0,0,0)",
            },
            "annotationdefaults": {
                "font": {"size": SIZE_SMALL, "color": surface.muted},
                "arrowcolor": surface.muted,
            },
            "shapedefaults": {"line": {"color": surface.muted, "width": 1}},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": surface.muted, "activecolor": surface.ink},
            "sliderdefaults": control | {"tickcolor": surface.muted, "borderwidth": 1},
            "updatemenudefaults": control | {"borderwidth": 1},
            "newselection": {"line": {"color": surface.ink, "width": 1, "dash": "dot"}},
            "activeselection": {"fillcolor": "rgba(0,0,0,0)"},
        }
    }


def dark_twins() -> dict[str, str]:
    """Return, for every colour that has another shade on the dark page, light hex -> dark hex."""
    return dict(zip(DIVERGING, DIVERGING_DARK, strict=True))


def css_variables() -> str:
    """Return the CSS custom properties (`--ic-ink`, `--ic-accent-0`, ...) of both themes, as a stylesheet."""
    fixed = {f"accent-{index}": color for index, color in enumerate(INSTRUCTION_ACCENTS)}
    fixed |= {f"accent-{index}-ink": ink_on(color) for index, color in enumerate(INSTRUCTION_ACCENTS)}
    fixed |= {f"label-{index}": color for index, color in enumerate(LABEL_COLORS)}
    fixed |= {f"segment-{name}": color for name, color in SEGMENTS.items()}
    fixed |= {"sans": FONT_SANS, "mono": FONT_MONO}
    fixed |= {"small": f"{SIZE_SMALL}px", "body": f"{SIZE_BODY}px", "title": f"{SIZE_TITLE}px"}
    blocks = ((":root", fixed | vars(LIGHT)), (".dark", dict(vars(DARK))))
    return "\n".join(
        f"{selector} {{\n" + "".join(f"  --ic-{name}: {value};\n" for name, value in values.items()) + "}"
        for selector, values in blocks
    )
