"""Similarity matrices: per instruction, the difference of two, among instructions, across two; and where zero is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, groupby
from typing import Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.analysis.calibration import QUANTILES, Background
from instructor_core.analysis.grid import letter
from instructor_core.analysis.groups import Groups
from instructor_core.analysis.numbers import counted, number, span
from instructor_core.analysis.similarity import CrossSimilarity, Difference, InstructionSimilarity, Similarity
from instructor_core.figures import theme
from instructor_core.figures.charts import dots, frame, mark_value, one_line
from instructor_core.figures.labels import LabelGroup, label_groups
from instructor_core.figures.matrix import Block, Side, matrix_figure, pair_words
from instructor_core.figures.panels import ColorScale, Panel, PanelSet, instruction_panel

Scale = Literal["shared", "each"]

CALIBRATION_HOW_TO_READ = (
    "The curve says for every cosine how many unrelated pairs of sentences stay at or below it under this instruction. "
    "The dashed line is their median: a cosine there means nothing yet."
)
CALIBRATION_NOT_SHOWN = (
    "A high percentile says more alike than unrelated short English sentences, not that two texts mean the same. "
    "The same cosine can be ordinary under one instruction and rare under another."
)

_MAX_WORDED = 24  # texts up to which row labels carry the beginning of the text
_LABEL_LENGTH = 20  # characters of a row label after its number
_MIN_WIDTH = 290  # px: three matrices stand side by side on a laptop


def similarity_panels(
    result: Similarity,
    texts: Sequence[str],
    labels: Sequence[str] | None,
    instructions: Sequence[str],
    *,
    order: Sequence[int] | None = None,
    groups: Groups | None = None,
    scale: Scale = "shared",
    percentiles: NDArray[np.float32] | None = None,
) -> PanelSet:
    """One heatmap per instruction, all with the texts in one order, coloured by cosine or by percentiles (K, N, N)."""
    shown = _display_order(order, len(texts))
    rows, columns = _text_sides(texts, labels, groups, shown)
    bar = ColorScale(theme.SEQUENTIAL, result.low, result.high, "cosine similarity")
    alt = f"Cosine similarity of {counted(len(texts), 'text')}, {span(result.low, result.high)}."
    closest = [f"under {letter(k)} {pair_words(pair)}" for k, pair in enumerate(result.closest) if pair is not None]
    alt += f" Most similar: {', '.join(closest)}." if closest else ""
    if percentiles is not None:
        bar = ColorScale(theme.SEQUENTIAL, 0.0, 100.0, "percentile among unrelated pairs", midpoint=50.0)
        alt += " Colours are percentiles among unrelated sentence pairs under the same instruction."
    panels = []
    for k, instruction in enumerate(instructions):
        colors, subtitle, cosines = bar, "", result.matrices[k][np.ix_(shown, shown)]
        if scale == "each":
            low, high = result.ranges[k].tolist()
            colors, subtitle = replace(bar, low=low, high=high), f"colours {span(low, high)}"
        figure = matrix_figure(cosines, rows, columns, colors)
        if percentiles is not None:
            heatmap, values = figure.data[0], percentiles[k][np.ix_(shown, shown)].astype(np.float64)
            if heatmap.texttemplate is not None:
                heatmap.update(text=np.round(heatmap.z, 2), texttemplate="%{text}")
            heatmap.update(z=np.round(values, 1), meta=heatmap.meta | {"value": "percentile"})
        panels.append(instruction_panel(k, instruction, figure, subtitle, aspect=1.0))
    return PanelSet(tuple(panels), tuple(texts), None if scale == "each" else bar, min_width=_MIN_WIDTH, alt=alt)


def difference_panels(
    result: Difference,
    texts: Sequence[str],
    labels: Sequence[str] | None,
    *,
    order: Sequence[int] | None = None,
    groups: Groups | None = None,
) -> PanelSet:
    """The matrix A - B on a diverging scale centred on zero; further arguments as in `similarity_panels`."""
    shown = _display_order(order, len(texts))
    rows, columns = _text_sides(texts, labels, groups, shown)
    a, b = letter(result.a), letter(result.b)
    name = f"{a} − {b}"
    bar = ColorScale.signed(result.limit, f"cosine, {name}")
    figure = matrix_figure(result.matrix[np.ix_(shown, shown)], rows, columns, bar, f"cosine {name}")
    subtitle = f"positive: more similar under {a}; negative: more similar under {b}"
    alt = f"Difference {name} of the similarity of {counted(len(texts), 'text')}."
    if result.largest is not None:
        alt += f" The largest change is {pair_words(result.largest, f'{result.largest.value:+.3f}')}."
    panel = Panel(f"{a}-{b}", name, figure, subtitle, aspect=1.0)
    return PanelSet((panel,), tuple(texts), bar, alt=alt)


def instruction_panels(
    results: Sequence[InstructionSimilarity], texts: Sequence[str], instructions: Sequence[str]
) -> PanelSet:
    """Instruction x instruction matrices, of one text or of the mean over all texts, on one scale."""
    n = len(instructions)
    names = tuple(f"{letter(k)}  {instruction}" for k, instruction in enumerate(instructions))
    letters = tuple(letter(k) for k in range(n))
    worded = tuple(theme.shorten(name, _LABEL_LENGTH) for name in names)
    low, high = min(result.low for result in results), max(result.high for result in results)
    bar = ColorScale(theme.SEQUENTIAL, low, high, "cosine similarity")
    panels, told = [], []
    for result in results:
        figure = matrix_figure(result.matrix, Side(worded, names=names), Side(letters, names=names), bar)
        key, title, subtitle = "mean", f"Instructions, mean over {counted(len(texts), 'text')}", ""
        if result.text is not None:
            key, title = "text", f"Instructions on text {result.text + 1}"
            subtitle = theme.shorten(texts[result.text], 90)
        panels.append(Panel(key, title, figure, subtitle, aspect=1.0))
        told.append(f"{title}: cosines of {counted(n, 'instruction')}, {span(result.low, result.high)}.")
        if (cell := result.furthest) is not None:
            told.append(f"Furthest apart: {letter(cell.first)} and {letter(cell.second)} ({number(cell.value)}).")
    return PanelSet(tuple(panels), tuple(texts), bar, alt=" ".join(told))


def cross_panels(
    result: CrossSimilarity,
    texts: Sequence[str],
    labels: Sequence[str] | None,
    instructions: Sequence[str],
    *,
    order: Sequence[int] | None = None,
    groups: Groups | None = None,
) -> PanelSet:
    """Texts under one instruction (rows) against texts under another (columns); arguments as in `similarity_panels`."""
    shown = _display_order(order, len(texts))
    row, column = letter(result.rows), letter(result.columns)
    rows, columns = _text_sides(texts, labels, groups, shown, row_title=f"under {row}", column_title=f"under {column}")
    bar = ColorScale(theme.SEQUENTIAL, result.low, result.high, "cosine similarity")
    figure = matrix_figure(result.matrix[np.ix_(shown, shown)], rows, columns, bar)
    title = f"Rows under {row}, columns under {column}"
    subtitle = f"{row}: {one_line(instructions[result.rows])} · {column}: {one_line(instructions[result.columns])}"
    alt = f"Similarity of {counted(len(texts), 'text')}. {title}. Cosines {span(result.low, result.high)}."
    if (cell := result.closest) is not None:
        alt += f" Most similar: text {cell.first + 1} under {row} and text {cell.second + 1} under {column} "
        alt += f"({number(cell.value)})."
    panel = Panel(f"{row}x{column}", title, figure, subtitle, aspect=1.0)
    return PanelSet((panel,), tuple(texts), bar, alt=alt)


def calibration_panels(backgrounds: Sequence[Background], instructions: Sequence[str]) -> PanelSet:
    """One curve per instruction, all with the same axes."""
    low = min(float(background.curve[0, 0]) for background in backgrounds)
    panels = []
    for k, (background, instruction) in enumerate(zip(backgrounds, instructions, strict=True)):
        tips = [f"cosine {number(x)}\n{number(y, 1)} % of unrelated pairs are not higher" for x, y in background.curve]
        line = {"color": theme.accent(k), "width": theme.LINE_WIDTH}
        figure = go.Figure(dots(background.curve[:, 0], background.curve[:, 1], tips, mode="lines", line=line))
        median = float(background.quantiles[QUANTILES.index(0.5)])
        mark_value(figure, median, dash="dash")
        frame(figure, height=220)
        figure.update_xaxes(title_text="cosine", range=[low - 0.02, 1.02])
        figure.update_yaxes(title_text="percentile", range=[-2, 102])
        subtitle = f"unrelated pairs: half of them {span(background.quantiles[1], background.quantiles[3])}"
        panels.append(instruction_panel(k, instruction, figure, subtitle, what="curve"))
    medians = ", ".join(f"{letter(k)} {number(each.quantiles[2], 2)}" for k, each in enumerate(backgrounds))
    alt = f"Share of unrelated sentence pairs below each cosine, by instruction. Median cosine: {medians}."
    return PanelSet(tuple(panels), min_width=260, alt=alt)


def label_order(labels: Sequence[str]) -> list[int]:
    """Text indices grouped by label, in the order in which labels first appear; texts without one come last."""
    first: dict[str, int] = {}
    for i, label in enumerate(labels):
        first.setdefault(label, i)
    return sorted(range(len(labels)), key=lambda i: (labels[i] == "", first[labels[i]], i))


def _display_order(order: Sequence[int] | None, n_texts: int) -> list[int]:
    """Text indices in display order, as plain integers."""
    return list(range(n_texts)) if order is None else [int(i) for i in order]


def _text_sides(
    texts: Sequence[str],
    labels: Sequence[str] | None,
    groups: Groups | None,
    shown: Sequence[int],
    *,
    row_title: str = "",
    column_title: str = "",
) -> tuple[Side, Side]:
    """Rows labelled with words and number where there is room, columns with numbers; groups named at both."""
    numbers = tuple(str(i + 1) for i in shown)
    worded = numbers
    if len(shown) <= _MAX_WORDED:
        worded = tuple(f"{theme.shorten(texts[i], _LABEL_LENGTH)}  {i + 1}" for i in shown)
    blocks = _blocks(label_groups(labels, len(texts), groups), shown)
    sides = (worded, row_title), (numbers, column_title)
    rows, columns = (Side(ticks, shown, title=title, blocks=blocks) for ticks, title in sides)
    return rows, columns


def _blocks(groups: Sequence[LabelGroup], shown: Sequence[int]) -> tuple[Block, ...]:
    """A block per group, if each stands in one piece and there are at least two; else none."""
    group_of = {text: group for group in groups for text in group.members}
    runs = [(group, len(list(run))) for group, run in groupby(group_of[text] for text in shown)]
    if not 1 < len(runs) == len({id(group) for group, _ in runs}):
        return ()
    ends = list(accumulate(length for _, length in runs))
    return tuple(Block(group.name, end - n, end, group.color) for (group, n), end in zip(runs, ends, strict=True))
