"""Tokens: one text under each instruction, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from instructor_core.analysis.numbers import number
from instructor_core.analysis.pooled import pools_instruction, pools_one
from instructor_core.analysis.tokens import token_alignment, token_dimensions, token_similarity
from instructor_core.figures import theme
from instructor_core.figures.charts import one_line
from instructor_core.figures.panels import ColorScale
from instructor_core.figures.token_rows import Token, TokenRow, TokenRows
from instructor_core.figures.tokens import token_dimension_panels, token_similarity_panels
from instructor_core.ui.components import plot_view, token_view
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.look.canvas import Canvas, Context, Drawing, View, choices, redraw
from instructor_core.ui.page import LATEST, Page, Selected, menu, options_menu, text_choices
from instructor_core.ui.scene.stage import TabOption

if TYPE_CHECKING:
    from instructor_core.encoder import TokenEncoding

TAB = "tokens"
ORDERS = [("similar side by side", "seriation"), ("most variable first", "variance"), ("by number", "index")]
MAX_TOKENS = 160  # rows of a heatmap; a longer text shows its first ones

NOTES = {
    "dimensions": "Each row is a token's vector W h; {pooled}. A dimension has no meaning of its own.",
    "similarity": "Cosine between token vectors. Every vector already contains the words around it, the "
    "instruction's included, so a high value is not a similarity of the two words alone.",
}


def _draw(view: str, context: Context) -> Drawing:
    """The token rows and the heatmaps of the selected text under every instruction."""
    inputs, selected = context.inputs, context.selected
    pairs = [(instruction, inputs.texts[selected.row]) for instruction in inputs.instructions]
    encodings = context.encoder.encode_tokens(pairs)
    clipped = [min(encoding.n_encoded, MAX_TOKENS) for encoding in encodings]
    vectors = [encoding.projected[:n] for encoding, n in zip(encodings, clipped, strict=True)]
    tokens = [encoding.tokens[:n] for encoding, n in zip(encodings, clipped, strict=True)]
    segments = [encoding.segments[:n] for encoding, n in zip(encodings, clipped, strict=True)]
    if view == "similarity":
        results = [token_similarity(rows) for rows in vectors]
        drawn = token_similarity_panels(results, tokens, segments, inputs.instructions)
    else:
        result = token_dimensions(
            vectors, order=context.options["tokens.order"], n_dimensions=int(context.options["tokens.n_dimensions"])
        )
        drawn = token_dimension_panels(result, tokens, segments, inputs.instructions)
    cut = max(encoding.n_encoded for encoding in encodings)
    first = f"The heatmaps show the first {MAX_TOKENS} of {cut} tokens." if cut > MAX_TOKENS else ""
    return Drawing((NOTES[view].format(pooled=pooled_words(encodings[0])), first), drawn, rows=rows_of(encodings))


VIEWS = tuple(
    View(name, title, TAB, partial(_draw, name), ("tokens.order", "tokens.n_dimensions"), follows_selection=True)
    for name, title in (("dimensions", "token × dimension"), ("similarity", "token × token"))
)


def pooled_words(encoding: TokenEncoding) -> str:
    """Return which rows the embedding is the mean of."""
    if pools_one(encoding):
        (row,) = np.flatnonzero(encoding.pooling_mask)
        return f"the embedding is the row of {encoding.tokens[row]} alone, all others are shown and never counted"
    if pools_instruction(encoding):
        return "the embedding is the mean of all rows, those of the instruction too"
    end = encoding.tokens[encoding.n_encoded - 1]
    return f"the embedding is the mean of the text rows and {end}, so instruction rows are shown and never counted"


def count_note(encoding: TokenEncoding) -> str:
    """Return the token count in the form "instruction 9 + text 34 + 1 of 512"."""
    n_marks = sum(segment.value == "end" for segment in encoding.segments)
    n_text = encoding.n_encoded - n_marks - encoding.n_instruction_tokens
    words = f"instruction {encoding.n_instruction_tokens} + text {n_text + encoding.n_cut} + {n_marks}"
    total = encoding.n_encoded + encoding.n_cut
    if encoding.n_cut:
        return f"{words} = {total} / {encoding.max_seq_length}: {encoding.n_cut} cut off"
    return f"{words} of {encoding.max_seq_length}"


def rows_of(encodings: Sequence[TokenEncoding]) -> TokenRows:
    """Return one row of chips per instruction; pooled tokens are coloured by their cosine with the embedding."""
    aligned = [token_alignment(encoding.projected, encoding.pooling_mask) for encoding in encodings]
    pooled = np.concatenate([values[e.pooling_mask] for values, e in zip(aligned, encodings, strict=True)])
    low, high = float(np.floor(pooled.min() * 20) / 20), float(np.ceil(pooled.max() * 20) / 20)
    rows = []
    for k, (encoding, cosines) in enumerate(zip(encodings, aligned, strict=True)):
        tokens = []
        for i, (piece, segment) in enumerate(zip(encoding.tokens, encoding.segments, strict=True)):
            counts = i < encoding.n_encoded and bool(encoding.pooling_mask[i])
            tip = f"cosine with the embedding {number(cosines[i])}" if counts else "not in the mean"
            tokens.append(Token(piece, segment.value, float(cosines[i]) if counts else None, i, tip))
        rows.append(TokenRow(one_line(encoding.instruction), tuple(tokens), k, count_note(encoding)))
    return TokenRows(tuple(rows), ColorScale(theme.SEQUENTIAL, low, max(high, low + 0.05), "cosine with the embedding"))


def choose_text(inputs: Inputs, selected: Selected) -> list[dict[str, Any]]:
    """Return the menu of texts with the selected one chosen."""
    row = selected.within(inputs).row
    return [gr.update(choices=text_choices(inputs, row), value=row)]


def build(page: Page, start: Inputs) -> dict[str, TabOption]:
    """Lay out the tab and connect it; returns its options, by names that stay the same between versions."""
    text = menu("Text", text_choices(start), 0)
    with options_menu(), gr.Row(elem_classes=["ic-options"]):
        view = gr.Radio(choices(VIEWS), value="dimensions", label="Heatmap", min_width=290)
        order = gr.Dropdown(ORDERS, value="seriation", label="Order of dimensions", min_width=160)
        n_dimensions = gr.Slider(8, 128, value=48, step=8, label="Dimensions shown", min_width=160)
    rows = token_view(elem_id="token-rows", label="Tokens of the text under each instruction")
    plots = plot_view(elem_id="token-plots", label="Token heatmaps")
    explanation = gr.HTML()
    options = {"tokens.view": view, "tokens.order": order, "tokens.n_dimensions": n_dimensions}
    redraw(page, VIEWS, Canvas(explanation, plots, rows=rows), options)
    page.follow(choose_text, [page.inputs, page.selected], [text])
    text.input(
        lambda chosen, selected: Selected(chosen, selected.column, selected.instruction),
        [text, page.selected],
        page.selected,
        **LATEST,
    )
    return {name: TabOption(option) for name, option in options.items()}
