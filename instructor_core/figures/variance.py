"""The variance split of a grid as one bar."""

from __future__ import annotations

import plotly.graph_objects as go

from instructor_core.analysis.numbers import counted
from instructor_core.analysis.variance import VarianceSplit
from instructor_core.figures import theme
from instructor_core.figures.charts import bars, frame
from instructor_core.figures.panels import Panel, PanelSet

HOW_TO_READ = (
    "Text: texts differ whatever the instruction. Instruction: it shifts all texts alike, neighbours stay. "
    "Interaction: it moves texts differently, so that neighbours may change."
)
NOT_SHOWN = "The split does not say whether a re-arrangement is useful, or which instruction makes it."
_COLORS = (theme.SEGMENTS["text"], theme.SEGMENTS["instruction"], theme.SEQUENTIAL[7])
_MEANINGS = (
    "differences between texts that every instruction keeps",
    "a shift of all texts alike: no neighbour changes",
    "texts moved differently: neighbours may change",
)


def variance_panels(split: VarianceSplit) -> PanelSet:
    """One stacked bar: text, instruction, interaction, as shares of the total sum of squares."""
    figure = go.Figure()
    names = ("text", "instruction", "interaction")
    for name, share, color, meaning in zip(names, split.shares, _COLORS, _MEANINGS, strict=True):
        figure.add_trace(
            bars([share], [f"{name}: {share:.1%} of the variance\n{meaning}"], color, name=f"{name} {share:.0%}")
        )
    figure.update_layout(
        barmode="stack",
        xaxis={"range": [0, 1], "tickformat": ".0%", "showgrid": False, "zeroline": False},
        yaxis={"visible": False},
    )
    frame(figure, height=110, legend=True)
    figure.update_layout(margin={"l": 10, "r": 10, "t": 30, "b": 30}, legend_traceorder="normal")
    subtitle = f"{split.n_instructions} instructions × {counted(split.n_texts, 'text')}, unit vectors"
    shares = ", ".join(f"{name} {share:.1%}" for name, share in zip(names, split.shares, strict=True))
    alt = f"Shares of the variance of {subtitle}: {shares}."
    return PanelSet((Panel("variance", "Where the variance comes from", figure, subtitle),), alt=alt)
