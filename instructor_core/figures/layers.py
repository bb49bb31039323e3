"""Where in the network the instruction enters: divergence, similarity, attention and writes, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from instructor_core.analysis.grid import letter
from instructor_core.analysis.layers import LayerDivergence, LayerSimilarity, SegmentAttention, WriteShares
from instructor_core.analysis.numbers import number, signed, span
from instructor_core.figures import theme
from instructor_core.figures.charts import NEUTRAL, bars, rows_chart
from instructor_core.figures.matrix import Side, matrix_figure, pair_words
from instructor_core.figures.panels import ColorScale, Panel, PanelSet, instruction_panel

DIVERGENCE_NOT_SHOWN = (
    "It does not show whether a difference matters: later layers may drop what earlier ones carry, and only the last "
    "one is averaged into the embedding."
)
READ_OUT_NOT_SHOWN = (
    "It does not show what the model knows at a layer: the final norm and the linear layer were trained for the last "
    "one alone, so everything before it is a read-out the model was not trained for."
)
ATTENTION_NOT_SHOWN = (
    "Attention is not an explanation: it shows where a token looks, not what it takes from there nor what becomes "
    "of it."
)
WRITES_NOT_SHOWN = (
    "It does not show causes: under a norm held as it was, what was written directly adds up, and what a layer makes "
    "of the instruction that earlier heads brought to it counts as its own. Deleting the instruction changes all parts."
)
_GROUP_LOOK = (  # name, colour and bar pattern of a segment, in the order of the shares
    ("instruction", theme.SEGMENTS["instruction"], "/"),
    ("text", theme.SEGMENTS["text"], ""),
    ("</s>", theme.SEGMENTS["end"], "."),
)
_NUMBERED_TEXTS = 24  # texts up to which rows carry words
_LABEL_LENGTH = 20


def layer_name(layer: int) -> str:
    """What a layer is called on screen."""
    return "token embedding" if layer == 0 else f"block {layer}"


def divergence_panels(result: LayerDivergence, *, a: int, b: int) -> PanelSet:
    """Layer x token heatmap of `1 - cos` between the states under instructions `a` and `b`, the embedding on top."""
    names = tuple(unit.text for unit in result.tokens)
    layers = tuple(layer_name(layer) for layer in range(len(result.values)))
    high = float(result.values.max()) or 1.0
    scale = ColorScale(theme.SEQUENTIAL, 0.0, high, f"1 − cosine of states under {letter(a)} and {letter(b)}")
    ticks = tuple(unit.plain for unit in result.tokens)
    columns = Side(ticks, names=names, separators=(len(names) - 1,) if len(names) > 1 else ())
    # Early layers differ by less than what matrices are rounded to.
    figure = matrix_figure(result.values, Side(layers, names=layers), columns, scale, "1 − cosine", exact=True)
    title = f"{letter(a)} against {letter(b)}"
    subtitle = "the token embedding is exactly 0: the same tokens start out the same"
    layer, token = (int(i) for i in np.unravel_index(result.values.argmax(), result.values.shape))
    alt = (
        f"Divergence of {len(names)} tokens in {len(layers)} layers, from 0 in the token embedding to {number(high)} "
        f"({result.tokens[token].plain}, {layer_name(layer)})."
    )
    aspect = float(np.clip(len(layers) / len(names), 0.2, 1.0))
    return PanelSet((Panel("divergence", title, figure, subtitle, aspect=aspect),), scale=scale, alt=alt)


def layer_similarity_panels(
    result: LayerSimilarity, layers: Sequence[int], texts: Sequence[str], *, instruction: int
) -> PanelSet:
    """The similarity matrix read out at layers, each with its range; one alone keeps its key, for a slider."""
    numbers = tuple(str(i + 1) for i in range(len(texts)))
    worded = tuple(f"{theme.shorten(text, _LABEL_LENGTH)}  {i + 1}" for i, text in enumerate(texts))
    rows = Side(worded if len(texts) <= _NUMBERED_TEXTS else numbers)
    last = len(result.matrices) - 1
    panels, scale = [], None
    for layer in layers:
        low, high = result.ranges[layer].tolist()
        scale = ColorScale(theme.SEQUENTIAL, low, high, f"cosine, {layer_name(layer)}")
        figure = matrix_figure(result.matrices[layer], rows, Side(numbers), scale, scale.label)
        key = "layer" if len(layers) == 1 else f"layer {layer}"
        title = f"{letter(instruction)}, {'after ' if layer else ''}{layer_name(layer)}"
        what = "the similarity itself" if layer == last else "a read-out the model was not trained for"
        panels.append(Panel(key, title, figure, f"{what}; colours {span(low, high)}", aspect=1.0))
    shown = ", ".join(layer_name(layer) for layer in layers)
    alt = f"Similarity of {len(texts)} texts read out at {shown} of {last} blocks."
    for layer in layers:
        if (cell := result.closest(layer)) is not None:
            alt += f" Most similar, {layer_name(layer)}: {pair_words(cell)}."
    return PanelSet(tuple(panels), tuple(texts), scale if len(layers) == 1 else None, alt=alt)


def attention_panels(result: SegmentAttention) -> PanelSet:
    """Stacked bars of the shares by layer, and the instruction's share by layer and head."""
    shares = result.by_layer
    blocks = tuple(layer_name(layer + 1) for layer in range(len(shares)))
    stacked = []
    for group, (name, color, pattern) in enumerate(_GROUP_LOOK):
        tips = [
            f"{block}\n{share:.1%} of the attention of text tokens goes to {name}\n"
            f"{result.even[group]:.1%} if every token got the same"
            for block, share in zip(blocks, shares[:, group].tolist(), strict=True)
        ]
        stacked.append(_hatched(shares[:, group], tips, color, pattern, name))
    scale = ColorScale(theme.SEQUENTIAL, 0.0, 1.0, "share of attention to instruction")
    figure = _stacked_layers(stacked, blocks, title="share of attention")
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    heads = _heads_figure(result.shares[:, :, 0], scale, "share to instruction")
    panels = (
        Panel("attention", "Where text tokens look, by layer", figure, "mean over the heads"),
        Panel("heads", "Share that goes to instruction, by head", heads, aspect=0.7),
    )
    first, final = shares[0, 0], shares[-1, 0]
    alt = (
        f"Shares of attention of the text's tokens in {len(blocks)} layers. The instruction gets {first:.0%} in the "
        f"first and {final:.0%} in the last; {result.even[0]:.0%} if every token got the same."
    )
    return PanelSet(panels, scale=scale, alt=alt)


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
        figure = _heads_figure(read, scale, "from the instruction")
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


def _hatched(values: NDArray[np.floating], tips: Sequence[str], color: str, pattern: str, name: str) -> go.Bar:
    """Bars told apart by colour and, on paper too, by a pattern ("" for none)."""
    marks = {"shape": pattern, "solidity": 0.2, "fillmode": "overlay"}
    return bars(values, tips, color, name=theme.escape(name)).update(marker_pattern=marks)


def _stacked_layers(stacked: Sequence[go.Bar], names: Sequence[str], *, title: str) -> go.Figure:
    """Bars of one layer end to end, the first layer on top."""
    figure = rows_chart(go.Figure(list(stacked)), names, title=title)
    figure.update_xaxes(automargin=True)
    return figure.update_layout(
        barmode="relative",
        bargap=0.2,
        height=len(names) * 24 + len(stacked) * 10 + 60,  # names of the colours stand under each other on a phone
        showlegend=True,
        legend_traceorder="normal",
        margin={"l": 8, "r": 12, "t": 8, "b": 36},
    )


def _heads_figure(values: NDArray[np.floating], scale: ColorScale, what: str) -> go.Figure:
    """Layer x head heatmap, the first layer on top; `what` is measured."""
    blocks = tuple(layer_name(layer + 1) for layer in range(len(values)))
    heads = tuple(str(head + 1) for head in range(values.shape[1]))
    columns = Side(heads, names=tuple(f"head {head}" for head in heads), title="head")
    return matrix_figure(values, Side(blocks, names=blocks), columns, scale, what, exact=True)


def _stack(shares: WriteShares) -> go.Figure:
    """Bars of one layer end to end, the token embedding on top."""
    names = tuple(layer_name(layer) for layer in range(len(shares.feed_forward) + 1))
    read = np.vstack([np.zeros(3), shares.heads.sum(axis=1)])
    sources = [(name, color, pattern, read[:, k]) for k, (name, color, pattern) in enumerate(_GROUP_LOOK)]
    sources.append(("feed-forward", theme.FEED_FORWARD, "", np.append(0.0, shares.feed_forward)))
    sources.append(("token embedding", NEUTRAL, "", np.append(shares.embedding, np.zeros(len(names) - 1))))
    stacked = []
    for name, color, pattern, values in sources:
        tips = [
            f"{layer}\n{name} {'takes' if value < 0 else 'adds'} {signed(value)} of {number(shares.cosine)}"
            for layer, value in zip(names, values.tolist(), strict=True)
        ]
        stacked.append(_hatched(values, tips, color, pattern, name))
    return _stacked_layers(stacked, names, title="share of the cosine")


def _ends(figure: go.Figure) -> tuple[float, float]:
    """How far the stacked bars reach to the left and to the right of zero."""
    values = np.stack([bar.x for bar in figure.data])
    return float(values.clip(max=0).sum(axis=0).min()), float(values.clip(min=0).sum(axis=0).max())
