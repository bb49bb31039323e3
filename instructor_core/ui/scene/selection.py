"""The lines under every view: what the instructions did to the texts, and the two that are selected."""

from __future__ import annotations

import secrets
from functools import lru_cache, partial
from typing import Any

import gradio as gr

from instructor_core.analysis.calibration import background, unrelated_sentences
from instructor_core.analysis.grid import letter, unit_vectors
from instructor_core.analysis.nearest import describe_agreement, describe_change, nearest_change
from instructor_core.analysis.why import why
from instructor_core.errors import UserError
from instructor_core.figures.theme import shorten
from instructor_core.ui.feedback import incident, note, sentence_list, status
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.page import Page, Selected, follow
from instructor_core.ui.runtime import Runtime

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last"}
WAYS = (("all words", "pair"), ("without a word", "deletion"), ("inside the model", "divergence"))  # (button, view)
N_TIES = 3  # pairs of words that are named
MAX_TEXTS = 2000  # of which the nearest are found within the time that a page may take to follow


def describe_selection(runtime: Runtime, inputs: Inputs, selected: Selected) -> str:
    """Return the line about the two selected texts, their labels, and their cosine under every instruction."""
    chosen = selected.within(inputs)
    i, j = chosen.row, chosen.column
    pairs = [(instruction, inputs.texts[index]) for instruction in inputs.instructions for index in (i, j)]
    vectors = unit_vectors(runtime.encoder(inputs.checkpoint_id).encode(pairs))
    cosines = " · ".join(
        f"{letter(k)} {vectors[2 * k] @ vectors[2 * k + 1]:.3f}" for k in range(len(inputs.instructions))
    )
    first, second = (_named(inputs, index) for index in (i, j))
    return status(f"selected: {first} × {second} — cosine {cosines}")


def describe_nearest(runtime: Runtime, inputs: Inputs) -> str:
    """Return the sentences on how many texts have another nearest text than under A, and one of their own label."""
    n_instructions, n_texts = len(inputs.instructions), len(inputs.texts)
    if n_texts < 2 or n_texts > MAX_TEXTS:
        return ""
    result = nearest_change(runtime.grid(inputs).embeddings, inputs.labels)
    said = [describe_change(result, k) for k in range(1, n_instructions)]
    if result.agreement is not None:
        names = [letter(k) for k in range(n_instructions)]
        agreement = describe_agreement(result.agreement, names).replace("   ", " · ")
        said.append(f"Share of the labelled texts whose nearest text has their label: {agreement}.")
    return note(*said)


def describe_why(runtime: Runtime, inputs: Inputs, selected: Selected) -> str:
    """Return why the two selected texts are alike: under each instruction, by its strongest pairs of words."""
    chosen = selected.within(inputs)
    if chosen.row == chosen.column:
        return ""
    encoder, sentences = runtime.encoder(inputs.checkpoint_id), unrelated_sentences()
    first, second = (
        encoder.encode_tokens([(instruction, inputs.texts[at]) for instruction in inputs.instructions])
        for at in (chosen.row, chosen.column)
    )
    unrelated = encoder.encode([(one, text) for one in inputs.instructions for text in sentences.texts])
    by_instruction = unrelated.reshape(len(inputs.instructions), len(sentences.texts), -1)
    found = why(first, second, [background(one, sentences.domains) for one in by_instruction])
    said = [f"Why text {chosen.row + 1} and text {chosen.column + 1} are as alike as they are"]
    for k, one in enumerate(found.under):
        ties = ", ".join(f"{tie.first} × {tie.second} {tie.contribution:+.2f}" for tie in one.ties[:N_TIES])
        said.append(f"{letter(k)} {one.cosine:.2f}, {one.words}: {ties}")
    if found.largest is not None:
        high, low = found.largest
        gap = found.under[high].cosine - found.under[low].cosine
        ties = ", ".join(f"{tie.first} × {tie.second} {tie.contribution:+.2f}" for tie in found.changed[:N_TIES])
        said.append(f"Most apart are {letter(high)} and {letter(low)}, by {gap:.2f}: {ties}")
    return sentence_list(said)


def _named(inputs: Inputs, index: int) -> str:
    label = inputs.labels[index] if inputs.labels else ""
    return f'text {index + 1} "{shorten(inputs.texts[index], 48)}"' + (f" ({shorten(label, 24)})" if label else "")


def build_bottom(page: Page, start: Inputs) -> None:
    """Lay out the line that says what the instructions did to the texts, and the way to the test."""
    nearest = gr.HTML(describe_nearest(page.runtime, start), elem_id="nearest-line", padding=False)
    test = gr.Button("Test your instructions", size="sm", min_width=90, elem_id="test-it")

    @lru_cache(maxsize=4)  # a selection is followed too, and changes nothing here
    def nearest_of(inputs: Inputs) -> str:
        return describe_nearest(page.runtime, inputs)

    follow(page, lambda inputs: [nearest_of(inputs)], [page.inputs], [nearest])
    test.click(lambda: (gr.Tabs(selected="lab"), "lab"), None, [page.tabs, page.active], **QUIET)


def build_selection(page: Page, start: Inputs, why_view: gr.components.Component) -> None:
    """Lay out what is said of the two selected texts, and the ways into the explanation."""
    line = gr.HTML(describe_selection(page.runtime, start, Selected()), elem_id="selection-line", padding=False)
    card = gr.HTML("", elem_id="why-card", padding=False)
    with gr.Row(elem_classes=["ic-buttons"]):
        for words, view in WAYS:
            button = gr.Button(words, size="sm", min_width=60, elem_id=f"why-{view}")
            button.click(
                partial(lambda view: (gr.Tabs(selected="explain"), "explain", view, secrets.token_hex(8)), view),
                None,
                [page.tabs, page.active, why_view, page.restored],
                **QUIET,
            )
    follow(
        page,
        lambda inputs, selected: [describe_selection(page.runtime, inputs, selected)],
        [page.inputs, page.selected],
        [line],
    )

    def why_now(inputs: Inputs, selected: Selected) -> str:
        try:
            return describe_why(page.runtime, inputs, selected)
        except UserError:
            return ""  # too many wait: the line above is there
        except Exception as error:  # the boundary to the visitor
            incident(error)
            return ""

    gr.on(
        [page.selected.change, page.inputs.change],
        why_now,
        [page.inputs, page.selected],
        card,
        concurrency_limit=2,
        show_progress="hidden",
        api_visibility="private",
        trigger_mode="always_last",
    )
