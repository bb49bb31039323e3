"""Who wrote a similarity: bars by layer and source, and what each head wrote from the instruction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from instructor_core.analysis.grid import letter
from instructor_core.analysis.numbers import number, signed
from instructor_core.analysis.writes import WriteShares
from instructor_core.figures import theme
from instructor_core.figures.charts import NEUTRAL
from instructor_core.figures.layers import GROUP_LOOK, hatched, heads_figure, layer_name, stacked_layers
from instructor_core.figures.panels import ColorScale, Panel, PanelSet, instruction_panel

NOT_SHOWN = (
    "It does not show causes: under a norm held as it was, what was written directly adds up, and what a layer makes "
    "of the instruction that earlier heads brought to it counts as its own. Deleting the instruction changes all parts."
)


def write_panels(shares: Sequence[WriteShares], which: Sequence[int], instructions: Sequence[str]) -> PanelSet:
    """Shares of a cosine by layer and source under each of the instructions `which`, and by head what one brought."""
    panels = []
    for result, k in zip(shares, which, strict=True):
        said = f"all bars add up to the cosine {number(result.cosine)}"
        panels.append(instruction_panel(k, instructions[k], _stack(result), said, what="writes"))
    ends = [_ends(panel.figure) for panel in panels]
    for panel in panels:  # bars of one length are one share
        panel.figure.update_xaxes(range=[1.05 * min(low for low, _ in ends), 1.05 * max(high for _, high in ends)])
    limit = max((float(np.abs(result.heads[:, :, 0]).max()) for result in shares), default=0.0) or 1.0
    scale = ColorScale.signed(limit, "adds to the cosine")
    for result, k in zip(shares, which, strict=True):
        read = result.heads[:, :, 0]
        figure = heads_figure(read, scale, "from the instruction")
        figure.data[0].update(texttemplate="%{z:.3f}")
        title = f"{letter(k)}: read from the instruction, by head"
        panels.append(Panel(f"{letter(k)} heads", title, figure, f"sum {signed(read.sum())}", aspect=0.7))
    alt = " ".join(f"Under {letter(k)}, {write_sentence(result)}" for result, k in zip(shares, which, strict=True))
    return PanelSet(tuple(panels), scale=scale, alt=alt)


def write_sentence(shares: WriteShares) -> str:
    """Who wrote how much of a cosine."""
    instruction, text, end = (number(share) for share in shares.by_group.tolist())
    return (
        f"of {number(shares.cosine)}: {instruction} read from the instruction, {text} from the text, {end} from "
        f"`</s>`, {number(float(shares.feed_forward.sum()))} feed-forward, {number(shares.embedding)} token embeddings."
    )


def _stack(shares: WriteShares) -> go.Figure:
    """Bars of one layer end to end, the token embedding on top."""
    names = tuple(layer_name(layer) for layer in range(len(shares.feed_forward) + 1))
    read = np.vstack([np.zeros(3), shares.heads.sum(axis=1)])
    sources = [(name, color, pattern, read[:, k]) for k, (name, color, pattern) in enumerate(GROUP_LOOK)]
    sources.append(("feed-forward", theme.FEED_FORWARD, "", np.append(0.0, shares.feed_forward)))
    sources.append(("token embedding", NEUTRAL, "", np.append(shares.embedding, np.zeros(len(names) - 1))))
    stacked = []
    for name, color, pattern, values in sources:
        tips = [
            f"{layer}\n{name} {'takes' if value < 0 else 'adds'} {signed(value)} of {number(shares.cosine)}"
            for layer, value in zip(names, values.tolist(), strict=True)
        ]
        stacked.append(hatched(values, tips, color, pattern, name))
    return stacked_layers(stacked, names, title="share of the cosine")


def _ends(figure: go.Figure) -> tuple[float, float]:
    """How far the stacked bars reach to the left and to the right of zero."""
    values = np.stack([bar.x for bar in figure.data])
    return float(values.clip(max=0).sum(axis=0).min()), float(values.clip(min=0).sum(axis=0).max())
