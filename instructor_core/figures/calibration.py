"""Backgrounds of unrelated sentences as curves."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from instructor_core.analysis.calibration import QUANTILES, Background
from instructor_core.analysis.grid import letter
from instructor_core.analysis.numbers import number, span
from instructor_core.figures import theme
from instructor_core.figures.charts import dots, framed, mark_value
from instructor_core.figures.panels import PanelSet, instruction_panel

HOW_TO_READ = (
    "The curve says for every cosine how many unrelated pairs of sentences stay at or below it under this instruction. "
    "The dashed line is their median: a cosine there means nothing yet."
)
NOT_SHOWN = (
    "A high percentile says more alike than unrelated short English sentences, not that two texts mean the same. "
    "The same cosine can be ordinary under one instruction and rare under another."
)


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
        framed(figure, height=220)
        figure.update_xaxes(title_text="cosine", range=[low - 0.02, 1.02])
        figure.update_yaxes(title_text="percentile", range=[-2, 102])
        subtitle = f"unrelated pairs: half of them {span(background.quantiles[1], background.quantiles[3])}"
        panels.append(instruction_panel(k, instruction, figure, subtitle, what="curve"))
    medians = ", ".join(f"{letter(k)} {number(each.quantiles[2], 2)}" for k, each in enumerate(backgrounds))
    alt = f"Share of unrelated sentence pairs below each cosine, by instruction. Median cosine: {medians}."
    return PanelSet(tuple(panels), min_width=260, alt=alt)
