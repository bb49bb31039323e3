"""The fingerprint of an instruction on a visitor's texts: what has to be encoded for it, and the result.

The page makes fingerprints after every run, unasked, so their cost is bounded. The bundled checkpoint takes up to 48
texts. Another one takes as many of them as half the pairs of the run pay for, or two seconds at the rate its model has
shown, whichever is more; below four texts there is no fingerprint, and the line says so. On ZeroGPU, where a visitor
pays with minutes, there is none. The endpoint `fingerprint` is asked for, and always takes up to 48.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from html import escape
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis import fingerprint as analysis
from instructor_core.analysis.ablation import meaning_free_edits
from instructor_core.analysis.suggest import yardsticks
from instructor_core.hub import BUNDLED
from instructor_core.ui.data.inputs import MAX_INSTRUCTIONS, Inputs
from instructor_core.ui.page import Listener, Page, listen
from instructor_core.ui.server.runtime import ZERO_GPU, Runtime

SHARE = 0.5  # of the pairs of a run: what its fingerprints may cost
FREE_S = 2.0  # seconds of the model that they may cost in any case
TOO_DEAR = "not measured: with this checkpoint only larger runs pay for it; the endpoint fingerprint does it when asked"

Encode = Callable[[Sequence[tuple[str, str]]], NDArray[np.float32]]


def edits_of(instruction: str) -> tuple[str, ...]:
    """Edits that leave an instruction its meaning; marks alone have none: they are an edit themselves, of none."""
    return tuple(edit.instruction for edit in meaning_free_edits(instruction)) or ("",)


def fingerprints(encode: Encode, inputs: Inputs) -> Iterator[analysis.Fingerprint | None]:
    """The fingerprint of each instruction, on up to 48 of the texts, each different one once; None below four.

    What the texts are held against is the same for every instruction: with a `CachedEncoder` it is encoded once.
    """
    texts = sample(inputs.texts)
    if len(texts) < analysis.MIN_TEXTS:
        yield from [None] * len(inputs.instructions)
        return
    held_against = yardsticks()
    n_tasks = len(held_against.tasks)
    for instruction in inputs.instructions:
        needed = (instruction, "", *held_against.instructions, *edits_of(instruction))
        encoded = encode([(one, text) for one in needed for text in texts])
        vectors = encoded.reshape(-1, len(texts), encoded.shape[-1])
        n_held_against = 2 + len(held_against.instructions)
        yield analysis.fingerprint(
            vectors[0],
            vectors[1],
            vectors[n_held_against:],
            vectors[2 : 2 + n_tasks],
            vectors[2 + n_tasks : n_held_against],
            [task.name for task in held_against.tasks],
        )


def sample(texts: Sequence[str], most: int = analysis.MAX_TEXTS) -> tuple[str, ...]:
    """The texts that fingerprints are made from: each different one once, of many a sample."""
    different = list(dict.fromkeys(texts))
    chosen = analysis.sample_texts(len(different))
    places = np.linspace(0, len(chosen) - 1, min(most, len(chosen))).astype(int)
    return tuple(different[chosen[place]] for place in places)


def n_affordable(runtime: Runtime, inputs: Inputs) -> int:
    """How many texts the page may make the fingerprints of a run from; the rule stands at the top of the module."""
    if inputs.checkpoint_id == BUNDLED:
        return analysis.MAX_TEXTS
    if runtime.place(inputs.checkpoint_id) == ZERO_GPU:
        return 0
    runtime.grid(inputs)  # the run: when the page opens it may be under way, and then nothing is known of the rate
    per_text = 1 + len(yardsticks().instructions) + sum(len(edits_of(each)) for each in inputs.instructions)
    n_pairs = max(SHARE * len(inputs.pairs), FREE_S * runtime.pace(inputs.checkpoint_id))
    return min(analysis.MAX_TEXTS, int(n_pairs / per_text))


def fingerprint_lines(encode: Encode, inputs: Inputs) -> Iterator[str]:
    """One line per instruction on what it does to the texts, as HTML."""
    for instruction, found in zip(inputs.instructions, fingerprints(encode, inputs), strict=True):
        if not instruction:
            words = "the control: what the others are held against"
        elif found is None:
            words = f"what it does can be said from {analysis.MIN_TEXTS} different texts on"
        else:
            words = analysis.describe(found)
        yield _line(words)


def _line(words: str) -> str:
    return f'<p class="ic-fingerprint">{escape(words)}</p>'


def follow_fingerprints(page: Page, demo: gr.Blocks, lines: Sequence[gr.HTML]) -> None:
    """Write under each instruction what it does: after the figures, in an event of its own, a line when it is ready."""

    @lru_cache(maxsize=64)
    def find_known(checkpoint_id: str, instruction: str, texts: tuple[str, ...]) -> str:
        one = Inputs(checkpoint_id, (instruction,), texts, None)
        (line,) = fingerprint_lines(page.runtime.encoder(checkpoint_id).encode, one)
        return line

    def write(inputs: Inputs) -> Iterator[list[Any]]:
        found = [""] * MAX_INSTRUCTIONS
        yield list(found)  # those of other texts go away
        most = n_affordable(page.runtime, inputs)
        texts, too_dear = sample(inputs.texts, most), most < analysis.MIN_TEXTS <= len(set(inputs.texts))
        for k, instruction in enumerate(inputs.instructions):
            found[k] = (
                _line(TOO_DEAR) if instruction and too_dear else find_known(inputs.checkpoint_id, instruction, texts)
            )
            yield list(found)

    listen(
        [demo.load, page.inputs.change],
        [Listener(write, [page.inputs], lines)],
        concurrency_limit=2,
        show_progress="hidden",
    )
