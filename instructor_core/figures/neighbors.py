"""Many texts: the nearest ones of a text under each instruction, and matrices of mean cosines between groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.analysis.grid import letter
from instructor_core.analysis.groups import Groups
from instructor_core.analysis.neighbors import Blocks, Nearest
from instructor_core.analysis.numbers import counted, number, span
from instructor_core.figures import theme
from instructor_core.figures.charts import dots, one_line, rows_chart
from instructor_core.figures.matrix import Side, matrix_figure
from instructor_core.figures.panels import ColorScale, Panel, PanelSet, instruction_panel

NEAREST_HOW_TO_READ = (
    "The texts nearest to the selected one under each instruction, best first, by cosine; a filled mark is near under "
    "every instruction. Click one to compare the two, click the list of texts to ask about another."
)
BLOCKS_HOW_TO_READ = (
    "Each cell is the mean cosine over all pairs of texts of two groups, a text never paired with itself; the diagonal "
    "is how alike the texts of a group are. A mean says nothing about single texts."
)
_LABEL_LENGTH = 30  # characters of a text beside its mark
_SUBTITLE_LENGTH = 60
_GROUP_LENGTH = 16  # characters of the name of a group
_MARGIN = 0.04  # of the range, beside the outermost marks


def nearest_panels(result: Nearest, texts: Sequence[str], instructions: Sequence[str]) -> PanelSet:
    """One chart of nearest texts per instruction, on one axis of cosines; items that are not drawn are ""."""
    everywhere = set.intersection(*({neighbor.text for neighbor in one} for one in result.lists))
    beside = (result.high - result.low) * _MARGIN
    panels = []
    for k, neighbors in enumerate(result.lists):
        figure = go.Figure(
            dots(
                [neighbor.similarity for neighbor in neighbors],
                list(range(len(neighbors))),
                [
                    f"place {place} under {letter(k)}, cosine {number(neighbor.similarity)}"
                    for place, neighbor in enumerate(neighbors, start=1)
                ],
                items=[neighbor.text for neighbor in neighbors],
                marker={
                    "size": theme.MARKER_SIZE + 1,
                    "color": theme.accent(k),
                    "symbol": ["circle" if neighbor.text in everywhere else "circle-open" for neighbor in neighbors],
                    "line": {"width": 2},
                },
            )
        )
        names = [f"{theme.shorten(texts[one.text], _LABEL_LENGTH)}  {one.text + 1}" for one in neighbors]
        rows_chart(figure, names, title="cosine")
        figure.update_xaxes(range=[result.low - beside, result.high + beside])
        subtitle = f"nearest to text {result.text + 1}: {theme.shorten(texts[result.text], _SUBTITLE_LENGTH)}"
        panels.append(instruction_panel(k, instructions[k], figure, subtitle))
    drawn = {neighbor.text for one in result.lists for neighbor in one} | {result.text}
    items = tuple(text if i in drawn else "" for i, text in enumerate(texts))
    return PanelSet(tuple(panels), items, alt=_nearest_alt(result, len(texts), len(everywhere)))


def block_panels(result: Blocks, instructions: Sequence[str]) -> PanelSet:
    """One matrix of groups per instruction, all on one scale."""
    bar = ColorScale(theme.SEQUENTIAL, result.low, result.high, "mean cosine")
    panels = tuple(
        instruction_panel(
            k,
            instruction,
            _group_matrix(result.matrices[k], result.groups, bar),
            f"mean cosine of {len(result.groups.names)} groups",
            aspect=1.0,
            what="groups",
        )
        for k, instruction in enumerate(instructions)
    )
    return PanelSet(panels, scale=bar, alt=_blocks_alt(result))


def block_difference_panels(result: Blocks, a: int, b: int) -> PanelSet:
    """The mean cosines under instruction `a` minus those under `b`, on a diverging scale centred on zero."""
    matrix = result.matrices[a] - result.matrices[b]
    limit = max(float(np.ceil(np.nanmax(np.abs(matrix), initial=0.0) * 100)) / 100, 0.01)
    name = f"{letter(a)} − {letter(b)}"
    bar = ColorScale.signed(limit, f"mean cosine, {name}")
    figure = _group_matrix(matrix, result.groups, bar, value=f"mean cosine {name}")
    subtitle = f"positive: more similar under {letter(a)}; negative: more similar under {letter(b)}"
    panel = Panel(f"{letter(a)}-{letter(b)}", name, figure, subtitle, aspect=1.0)
    return PanelSet((panel,), scale=bar, alt=f"Difference {name} of the mean cosines. {_blocks_alt(result)}")


def cross_block_panels(result: Blocks, instructions: Sequence[str], *, rows: int, columns: int) -> PanelSet:
    """Groups under one instruction (rows) against groups under another (columns)."""
    row, column = letter(rows), letter(columns)
    bar = ColorScale(theme.SEQUENTIAL, result.low, result.high, "mean cosine")
    figure = _group_matrix(result.matrices[0], result.groups, bar, titles=(f"under {row}", f"under {column}"))
    title = f"Rows under {row}, columns under {column}"
    subtitle = f"{row}: {one_line(instructions[rows])} · {column}: {one_line(instructions[columns])}"
    panel = Panel(f"{row}x{column}", title, figure, subtitle, aspect=1.0)
    return PanelSet((panel,), scale=bar, alt=f"{title}. {_blocks_alt(result)}")


def _group_matrix(
    matrix: NDArray[np.float64],
    groups: Groups,
    scale: ColorScale,
    *,
    value: str = "mean cosine",
    titles: tuple[str, str] = ("", ""),
) -> go.Figure:
    """A heatmap of groups with their names along both sides and their sizes in the tooltip."""
    ticks = tuple(theme.shorten(name, _GROUP_LENGTH) for name in groups.names)
    sizes = zip(groups.names, groups.counts.tolist(), strict=True)
    names = tuple(f"{name} ({counted(count, 'text')})" for name, count in sizes)
    rows, columns = (Side(ticks, names=names, title=title) for title in titles)
    return matrix_figure(matrix, rows, columns, scale, value)


def _nearest_alt(result: Nearest, n_texts: int, n_everywhere: int) -> str:
    """Text alternative: the first neighbour under each instruction, and how many all instructions share."""
    firsts = [
        f"under {letter(k)} text {one[0].text + 1} ({number(one[0].similarity)})"
        for k, one in enumerate(result.lists)
        if one
    ]
    words = f"The nearest of {n_texts} texts to text {result.text + 1}."
    if not firsts:
        return f"{words} There is no other text."
    return f"{words} First: {', '.join(firsts)}. {n_everywhere} are near under every instruction."


def _blocks_alt(result: Blocks) -> str:
    """Text alternative: groups and range."""
    n_groups, n_texts = len(result.groups.names), len(result.groups.index)
    return f"Mean cosines between {n_groups} groups of {n_texts} texts, {span(result.low, result.high)}."
