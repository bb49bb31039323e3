"""The fingerprint of an instruction on a visitor's texts: what has to be encoded for it, and the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from html import escape
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.ablation import meaning_free_edits
from instructor_core.analysis.fingerprint import MIN_TEXTS, Fingerprint, describe, fingerprint, sample_texts
from instructor_core.analysis.suggest import Yardsticks, yardsticks
from instructor_core.errors import UserError
from instructor_core.ui.feedback import incident
from instructor_core.ui.inputs import MAX_INSTRUCTIONS, Inputs
from instructor_core.ui.page import Page

Encode = Callable[[Sequence[tuple[str, str]]], NDArray[np.float32]]


def fingerprint_pairs(instruction: str, texts: Sequence[str], held_against: Yardsticks) -> list[tuple[str, str]]:
    """What has to be encoded: the instruction, none, the tasks and controls, and the edits, each with every text."""
    # Marks alone have no edit that leaves them their meaning: they are one themselves, of no instruction.
    edits = tuple(edit.instruction for edit in meaning_free_edits(instruction)) or ("",)
    instructions = (instruction, "", *held_against.instructions, *edits)
    return [(one, text) for one in instructions for text in texts]


def fingerprints(encode: Encode, inputs: Inputs) -> Iterator[Fingerprint | None]:
    """The fingerprint of each instruction, on up to 48 of the texts, each different one once; None below four.

    What the texts are held against is the same for every instruction: with a `CachedEncoder` it is encoded once.
    """
    texts = sampled(inputs.texts)
    if len(texts) < MIN_TEXTS:
        yield from [None] * len(inputs.instructions)
        return
    held_against = yardsticks()
    n_tasks = len(held_against.tasks)
    for instruction in inputs.instructions:
        encoded = encode(fingerprint_pairs(instruction, texts, held_against))
        vectors = encoded.reshape(-1, len(texts), encoded.shape[-1])
        n_held_against = 2 + len(held_against.instructions)
        yield fingerprint(
            vectors[0],
            vectors[1],
            vectors[n_held_against:],
            vectors[2 : 2 + n_tasks],
            vectors[2 + n_tasks : n_held_against],
            [task.name for task in held_against.tasks],
        )


def sampled(texts: Sequence[str]) -> tuple[str, ...]:
    """The texts that fingerprints are made from: each different one once, of many a sample."""
    different = list(dict.fromkeys(texts))
    return tuple(different[i] for i in sample_texts(len(different)))


def fingerprint_lines(encode: Encode, inputs: Inputs) -> Iterator[str]:
    """One line per instruction on what it does to the texts, as HTML."""
    for instruction, found in zip(inputs.instructions, fingerprints(encode, inputs), strict=True):
        if not instruction:
            words = "the control: what the others are held against"
        elif found is None:
            words = f"what it does can be said from {MIN_TEXTS} different texts on"
        else:
            words = describe(found)
        yield f'<p class="ic-fingerprint">{escape(words)}</p>'


def follow_fingerprints(page: Page, demo: gr.Blocks, lines: Sequence[gr.HTML]) -> None:
    """Write under each instruction what it does: after the figures, in an event of its own, a line when it is ready."""

    @lru_cache(maxsize=64)
    def known(checkpoint_id: str, instruction: str, texts: tuple[str, ...]) -> str:
        one = Inputs(checkpoint_id, (instruction,), texts, None)
        (line,) = fingerprint_lines(page.runtime.encoder(checkpoint_id).encode, one)
        return line

    def write(inputs: Inputs) -> Iterator[list[Any]]:
        found = [""] * MAX_INSTRUCTIONS
        yield list(found)  # those of other texts go away
        texts = sampled(inputs.texts)
        try:
            for k, instruction in enumerate(inputs.instructions):
                found[k] = known(inputs.checkpoint_id, instruction, texts)
                yield list(found)
        except UserError:
            return  # too many who wait, or too many pairs: the figures are there all the same
        except Exception as error:  # the boundary to the visitor: a line that is missing must not keep anything back
            incident(error)

    gr.on(
        [demo.load, page.inputs.change],
        write,
        page.inputs,
        list(lines),
        trigger_mode="always_last",
        concurrency_limit=2,
        show_progress="hidden",
        api_visibility="private",
    )
