"""The fingerprint of an instruction on a visitor's texts: what has to be encoded for it, and the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.ablation import meaning_free_edits
from instructor_core.analysis.bundled import Yardsticks, yardsticks
from instructor_core.analysis.fingerprint import MIN_TEXTS, Fingerprint, fingerprint, sample_texts
from instructor_core.ui.inputs import Inputs

Encode = Callable[[Sequence[tuple[str, str]]], NDArray[np.float32]]


def fingerprint_pairs(instruction: str, texts: Sequence[str], held_against: Yardsticks) -> list[tuple[str, str]]:
    """What has to be encoded: the instruction, none, the tasks and controls, and the edits, each with every text."""
    # Marks alone have no edit that leaves them their meaning: they are one themselves, of no instruction.
    edits = tuple(edit.instruction for edit in meaning_free_edits(instruction)) or ("",)
    instructions = (instruction, "", *held_against.instructions, *edits)
    return [(one, text) for one in instructions for text in texts]


def fingerprints(encode: Encode, inputs: Inputs) -> tuple[Fingerprint | None, ...]:
    """The fingerprint of each instruction, on up to 48 of the texts, each different one once; None below four.

    What the texts are held against is the same for every instruction: with a `CachedEncoder` it is encoded once.
    """
    texts = list(dict.fromkeys(inputs.texts))
    if len(texts) < MIN_TEXTS:
        return (None,) * len(inputs.instructions)
    texts = [texts[i] for i in sample_texts(len(texts))]
    held_against = yardsticks()
    n_tasks = len(held_against.tasks)
    results = []
    for instruction in inputs.instructions:
        encoded = encode(fingerprint_pairs(instruction, texts, held_against))
        vectors = encoded.reshape(-1, len(texts), encoded.shape[-1])
        n_held_against = 2 + len(held_against.instructions)
        results.append(
            fingerprint(
                vectors[0],
                vectors[1],
                vectors[n_held_against:],
                vectors[2 : 2 + n_tasks],
                vectors[2 + n_tasks : n_held_against],
                [task.name for task in held_against.tasks],
            )
        )
    return tuple(results)
