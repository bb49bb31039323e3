"""Label repair in place: two spellings of a label are offered for merging, by a click."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

import gradio as gr

from instructor_core.analysis.labels import Merge, label_issues, merged
from instructor_core.ui.feedback import status
from instructor_core.ui.inputs import Inputs, format_texts


def merge_buttons(merges: Sequence[Merge]) -> str:
    """Return a button for each pair of labels that are written alike, as HTML, escaped; "" without any."""
    return "".join(
        f"<button type='button' data-chip='{k}'>merge {escape(merge.label)} ({merge.n_texts}) into "
        f"{escape(merge.into)}</button>"
        for k, merge in enumerate(merges)
    )


def merge_labels(inputs: Inputs, at: int | None = None) -> tuple[Any, str]:
    """Return the texts with one label merged into the one it is probably meant for, or all of them, and a status."""
    merges = label_issues(inputs.labels or ()).merges
    if inputs.labels is None or not merges or (at is not None and not 0 <= at < len(merges)):
        return gr.skip(), status("No two labels are written alike.")
    chosen = merges if at is None else merges[at : at + 1]
    done = ", ".join(f'"{merge.label}" into "{merge.into}"' for merge in chosen)
    return format_texts(replace(inputs, labels=merged(inputs.labels, chosen))), status(f"Merged {done}.")
