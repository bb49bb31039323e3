"""A page with both browser components on made-up data; the tests of the components drive it. Run it to look at it."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import json
from dataclasses import replace

import gradio as gr
import numpy as np
import plotly.graph_objects as go

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.similarity import Similarity, difference, similarity
from instructor_core.figures import theme
from instructor_core.figures.panels import ColorScale, Panel, PanelSet, Selection
from instructor_core.figures.similarity import difference_panels, similarity_panels
from instructor_core.figures.token_rows import Token, TokenRow, TokenRows
from instructor_core.ui.components import plot_view, script_routes, text_list, token_view
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.theme import page_head, page_theme

HOSTILE = (
    "<img src=x onerror=\"window.hit='img'\"> under <b>bold</b>",
    "${window.hit='template'} costs {{value}} `euros`",
    "</script><script>window.hit='script'</script> & more",
)
SENTENCES = (
    "The soup was cold and the waiter never came back.",
    "A wonderful evening: the best risotto in town!",
    "Our flight was delayed by six hours without a word of explanation.",
    "The crew were kind, and we landed early.",
    "My new phone stopped charging after two days.",
    "Battery life is superb, I charge it twice a week.",
    "The hotel room smelled of smoke.",
    "We loved the quiet garden behind the hotel.",
    "Stocks fell sharply after the central bank raised interest rates.",
    "The startup closed its largest funding round so far.",
    "She scored twice in the second half.",
    "The team lost its third match in a row.",
    "Mix the flour with the butter until it looks like sand.",
    "Boil the pasta one minute less than the package says.",
    "How do I reset my password?",
    "I cannot log in to my account since the update.",
    "The museum reopens in spring with a new wing.",
    "The exhibition is overpriced and badly lit.",
    "A gene linked to long sleep was found in mice.",
    "Researchers measured the mass of the particle again.",
    "Rain is expected along the coast until Friday.",
)
TEXTS = SENTENCES + HOSTILE
INSTRUCTIONS = ("topic", "sentiment", "kind of speech act, in a title that is too long for one line of a panel")
N = len(TEXTS)
LABELS = np.array([0, 0, 1, 1, 2, 2, 1, 1, 3, 3, 4, 4, 0, 0, 2, 2, 5, 5, 6, 6, 7, 7, 7, 7])


def cosines(step: int = 0) -> Similarity:
    """Of random vectors that share a part within each label, under three instructions."""
    vectors = []
    for seed in (10 * step, 10 * step + 1, 10 * step + 2):
        rng = np.random.default_rng(seed)
        vectors.append(rng.normal(size=(8, 16))[LABELS] + 0.8 * rng.normal(size=(N, 16)) + 1.0)
    return similarity(EmbeddingGrid(INSTRUCTIONS, TEXTS, None, np.stack(vectors)))


def matrices(step: int = 0) -> PanelSet:
    """Three matrices on one scale."""
    return similarity_panels(cosines(step), TEXTS, None, INSTRUCTIONS)


def changes() -> PanelSet:
    """One signed matrix, small enough for numbers in its cells."""
    found = difference(cosines(), 0, 1)
    panels = difference_panels(replace(found, matrix=found.matrix[:8, :8], limit=0.6), TEXTS[:8], None)
    return replace(panels, selected=Selection(row=2, column=5))


def scatter(seed: int, *, flat: bool) -> go.Figure:
    """Texts as points, one trace per label."""
    places = np.random.default_rng(seed).normal(size=(8, 3))[LABELS] * 3
    places += np.random.default_rng(seed + 1).normal(size=(N, 3)) * 0.5
    traces = []
    for label in range(8):
        at = np.flatnonzero(label == LABELS)
        shared = {
            "mode": "markers",
            "customdata": at,
            "hoverinfo": "none",
            "name": f"label {label}",
            "showlegend": False,
        }
        marker = {"color": theme.label_color(label), "size": theme.MARKER_SIZE}
        x, y, z = places[at].T
        if flat:
            marker["symbol"] = theme.label_symbol(label)
            traces.append(go.Scatter(x=x, y=y, marker=marker, meta={"kind": "points"}, **shared))
        else:
            marker["size"] = 5
            traces.append(go.Scatter3d(x=x, y=y, z=z, marker=marker, meta={"kind": "points"}, **shared))
    figure = go.Figure(traces)
    if flat:
        figure.update_xaxes(showticklabels=False, zeroline=False)
        figure.update_yaxes(showticklabels=False, zeroline=False, scaleanchor="x")
    return figure


def maps(step: int = 0) -> PanelSet:
    """Two flat maps and one in space."""
    panels = (
        Panel("A", "topic", scatter(1 + step, flat=True), aspect=0.8, instruction=0),
        Panel("B", "sentiment", scatter(5, flat=True), aspect=0.8, instruction=1),
        Panel("A3", "topic, three axes", scatter(1, flat=False), aspect=0.8),
    )
    return PanelSet(panels, TEXTS, alt="Two maps of the texts, and one in three dimensions.")


def bars() -> PanelSet:
    """A figure with nothing to link, with frames."""

    def bar(count: int) -> go.Bar:
        tips = [f"axis {axis}\n<i>{axis * count}</i>" for axis in range(9)]
        return go.Bar(
            y=[axis * count for axis in range(9)],
            marker={"color": theme.accent(0)},
            customdata=tips,
            hoverinfo="none",
            meta={"kind": "plain"},
        )

    frames = [go.Frame(data=[bar(count)], name=str(count)) for count in (1, 2)]
    figure = go.Figure([bar(1)], frames=frames)
    step = [{"label": name, "method": "animate", "args": [[name], {"mode": "immediate"}]} for name in ("1", "2")]
    figure.update_layout(sliders=[{"steps": step}], height=260, xaxis_title="axis", yaxis_title="share of the sum")
    figure.update_yaxes(range=[0, 20])
    return PanelSet((Panel("bars", "Explained variance", figure),), ())


def token_rows() -> TokenRows:
    """A short row of each segment, one with weights, and a long one."""

    def tokens(text: str, segment: str, start: int, weighted: bool = False) -> list[Token]:
        pieces = text.split(" ")
        weight = np.random.default_rng(start).normal(size=len(pieces)) * 0.2
        return [
            Token(piece, segment, float(weight[i]) if weighted else None, start + i, f"share {weight[i]:.3f}")
            for i, piece in enumerate(pieces)
        ]

    head = "▁Represent ▁the ▁review ▁for ▁ sentiment"
    text = "▁The ▁so up ▁was ▁cold ▁and ▁the ▁wait er ▁never ▁came ▁back ."
    plain = [*tokens(head, "instruction", 0), Token("▁:The", "straddling", None, 6), *tokens(text[5:], "text", 7)]
    weighted = [*tokens(head, "instruction", 0), *tokens(text, "text", 6, weighted=True)]
    end = Token("</s>", "end", 0.05, 19)
    hostile = [
        Token("▁<img", "text", 0.3, 0),
        Token("src=x", "text", -0.3, 1),
        Token("onerror=alert(1)>", "text", None, 2),
    ]
    cut = tokens("▁and ▁what ▁came ▁after ▁was ▁cut", "cut", 20)
    long = [token for start in range(0, 600, 13) for token in tokens(text, "text", start, weighted=True)]
    rows = (
        TokenRow("topic", (*plain, Token("</s>", "end", None, 19), *cut), 0, "26 tokens, 6 cut off"),
        TokenRow("sentiment", (*weighted, end), 1),
        TokenRow("hostile", tuple(hostile)),
        TokenRow("long", tuple(long), 2, f"{len(long)} tokens"),
    )
    return TokenRows(rows, ColorScale(theme.DIVERGING, -0.5, 0.5, "contribution", midpoint=0.0))


def told(event: gr.EventData) -> str:
    """What an event brought, as JSON."""
    return json.dumps(event._data)


def build() -> gr.Blocks:
    """The page."""
    with gr.Blocks(title="Components", analytics_enabled=False, fill_width=True) as demo:
        with gr.Row(elem_classes="ic-header"):
            gr.HTML("<h1>Components</h1>")
            again = gr.Button("Next values", size="sm", scale=0, elem_id="next")
            clear = gr.Button("Clear", size="sm", scale=0, elem_id="clear")
        with gr.Row(elem_classes="ic-page"):
            with gr.Column(elem_classes="ic-main"):
                with gr.Tab("Similarity"):
                    matrix = plot_view(matrices(), elem_id="matrices", label="Similarity under three instructions")
                    gr.HTML('<p class="ic-note">Cosines of texts with each other. They say nothing about truth.</p>')
                    signed = plot_view(changes(), elem_id="difference", label="Difference")
                with gr.Tab("Map"):
                    points = plot_view(maps(), elem_id="maps", label="Maps of the texts")
                    plain = plot_view(bars(), elem_id="bars", label="Explained variance")
                with gr.Tab("Tokens"):
                    tokens = token_view(token_rows(), elem_id="tokens", label="Tokens")
                    plot_view(elem_id="nothing", label="Nothing", empty="Enter a text, then choose an instruction.")
            with gr.Column():
                gr.Textbox(label="Instructions", value="Represent the review for topic:", lines=3)
                text_list(Inputs("instructor-mini", ("",), TEXTS, None), elem_id="text-list")
                output = gr.Textbox(label="Last event", elem_id="output")
                gr.HTML('<p class="ic-status">48 pairs · 3 new · 0.04 s</p>')
        for view in (matrix, signed, points, plain):
            view.item_click(told, None, output, show_progress="hidden")
        tokens.token_click(told, None, output, show_progress="hidden")
        again.click(lambda: (matrices(1).to_json(), maps(1).to_json()), None, [matrix, points], show_progress="hidden")
        clear.click(lambda: None, None, matrix, show_progress="hidden")
    return demo


if __name__ == "__main__":
    build().launch(
        app_kwargs={"routes": script_routes()},
        theme=page_theme(),
        head=page_head(),
        footer_links=["settings"],
        ssr_mode=False,
        quiet=True,
        run_history=False,
    )
