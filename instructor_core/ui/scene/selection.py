"""What is said beside every view: what the instructions did to the texts, and why two of them are alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape

import gradio as gr

from instructor_core.analysis.checkpoints import agreement, describe
from instructor_core.analysis.grid import letter
from instructor_core.analysis.neighbors import describe_agreement, describe_change, nearest_change
from instructor_core.analysis.numbers import number, signed
from instructor_core.analysis.why import Tie, WhyUnder, explain
from instructor_core.errors import UserError
from instructor_core.figures.theme import shorten
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.data.samples import sample
from instructor_core.ui.feedback import boundary, chip, note
from instructor_core.ui.page import IN_TURN, Listener, Page, Selected, listen, news
from instructor_core.ui.server.runtime import Runtime

WAYS = (("all words", "pair"), ("without a word", "deletion"), ("inside the model", "divergence"))  # (button, view)
N_TIES = 3  # pairs of words that are named
MAX_TEXTS = 2000  # of which the nearest are found within the time that a page may take to follow


def describe_selection(inputs: Inputs, selected: Selected) -> str:
    """Return the two selected texts with their labels, as HTML."""
    chosen = selected.within(inputs)
    i, j = chosen.row, chosen.column
    texts = "".join(_name(inputs, index) for index in (i, j))
    return f'<div class="ic-pair" role="status">{texts}</div>'


def describe_nearest(runtime: Runtime, inputs: Inputs) -> str:
    """Return the sentences on how many texts have another nearest text than under A, and one of their own label."""
    n_instructions, n_texts = len(inputs.instructions), len(inputs.texts)
    if inputs.beside_id:
        return note(describe_two(runtime, inputs))
    if n_texts < 2 or n_texts > MAX_TEXTS:
        return ""
    result = nearest_change(runtime.grid(inputs).embeddings, inputs.labels)
    names = [letter(k) for k in range(n_instructions)]
    sentences = [describe_change(result, k) for k in range(1, n_instructions)]
    if len(sentences) > 2:  # one line
        changed = " · ".join(f"{name} {count}" for name, count in zip(names[1:], result.changed[1:], strict=True))
        sentences = [f"Texts (of {n_texts}) whose nearest text is another than under A: {changed}."]
    if result.agreement is not None:
        shares = describe_agreement(result.agreement, names).replace("   ", " · ")
        sentences.append(f"Share of the labelled texts whose nearest text has their label: {shares}.")
    return note(*sentences)


def describe_two(runtime: Runtime, inputs: Inputs) -> str:
    """Return how far the two checkpoints of a run agree under each instruction, in words."""
    chosen = sample(inputs, MAX_TEXTS)
    first, second = (runtime.grid(run).embeddings[:, chosen.rows] for run in inputs.runs)
    try:
        results = [agreement(*pair) for pair in zip(first, second, strict=True)]
    except UserError as error:  # too few texts
        return str(error)
    return " ".join([describe(results, [letter(k) for k in range(len(results))]), *chosen.sentences])


def describe_why(runtime: Runtime, inputs: Inputs, selected: Selected) -> str:
    """Return why the two selected texts are alike, by the strongest pairs of words of each instruction, as HTML."""
    chosen = selected.within(inputs)
    if chosen.row == chosen.column:
        return note("Click another text, in the list or in a figure, to see what ties the two.")
    encoder = runtime.encoder(inputs.checkpoint_id)
    first, second = (
        encoder.encode_tokens([(instruction, inputs.texts[at]) for instruction in inputs.instructions])
        for at in (chosen.row, chosen.column)
    )
    found = explain(first, second, runtime.backgrounds(inputs))
    listed = "".join(
        f"<li>{chip(k)} <b>{number(one.cosine)}</b> {escape(one.words)}<br>{_words(one)}</li>"
        for k, one in enumerate(found.under)
    )
    apart = ""
    if found.largest is not None:
        high, low = found.largest
        gap = found.under[high].cosine - found.under[low].cosine
        most = f", most by {_ties(found.changed)}" if found.changed else ""
        apart = f"<p>{chip(high)} and {chip(low)} are {number(gap, 2)} apart{most}</p>"
    title = f"Why texts {chosen.row + 1} and {chosen.column + 1} are as alike as they are"
    title += f" for {escape(inputs.checkpoint)}" if inputs.beside_id else ""
    return f'<section class="ic-why"><h3>{title}</h3><ul>{listed}</ul>{apart}</section>'


def _words(one: WhyUnder) -> str:
    """What ties two texts under one instruction, and what else takes part."""
    if not one.ties:
        return "the whole of it is of one token: no words are averaged"
    own = f", the instruction's own tokens in {signed(one.instruction, 2)}" if one.instruction else ""
    return f"{_ties(one.ties)}; the end mark takes part in {signed(one.end, 2)}{own}"


def _ties(ties: Sequence[Tie]) -> str:
    return ", ".join(
        f"{escape(tie.first)} × {escape(tie.second)} {signed(tie.contribution, 2)}" for tie in ties[:N_TIES]
    )


def _name(inputs: Inputs, index: int) -> str:
    label = f" <i>{escape(shorten(inputs.labels[index], 24))}</i>" if inputs.labels and inputs.labels[index] else ""
    return f"<p><b>{index + 1}</b> <span>{escape(shorten(inputs.texts[index], 120))}{label}</span></p>"


def build_bottom(page: Page) -> None:
    """Lay out the line that says what the instructions did to the texts, and the way to the test."""
    nearest = gr.HTML(elem_id="nearest-line")
    page.follow(lambda inputs: [describe_nearest(page.runtime, inputs)], [page.inputs], [nearest])
    page.bring_to_front("lab", gr.Button("Test your instructions", size="sm", min_width=90, elem_id="test-it"))


def build_selection(page: Page, why_view: gr.components.Component) -> None:
    """Lay out what is said of the two selected texts, and the ways into the explanation."""
    chosen = [page.inputs, page.selected]
    line = gr.HTML(elem_id="selection-line")
    page.follow(lambda inputs, selected: [describe_selection(inputs, selected)], chosen, [line])
    card = gr.HTML(describe_why(page.runtime, *(state.value for state in chosen)), elem_id="why-card")
    with gr.Row(elem_classes=["ic-buttons"]):
        for words, view in WAYS:
            button = gr.Button(words, size="sm", min_width=60, elem_id=f"why-{view}")
            button.click(
                partial(lambda view: (gr.Tabs(selected="explain"), "explain", view, news()), view),
                None,
                [page.tabs, page.active, why_view, page.restored],
                **IN_TURN,
            )

    @boundary(lambda _: [""])  # too many may wait: the line above is there
    def explain_why(inputs: Inputs, selected: Selected) -> list[str]:
        return [describe_why(page.runtime, inputs, selected)]

    # An event of its own, as it takes longer than what else follows a selection.
    listen(
        [page.selected.change, page.inputs.change],
        [Listener(explain_why, chosen, [card])],
        concurrency_limit=2,
        show_progress="minimal",  # what is said of other texts is dim until it is replaced
        show_progress_on=[card],
    )
