"""A draft from a browser fills the fields again, and anything else changes nothing."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_core.ui.draft import RESTORED, restore
from instructor_core.ui.inputs import MAX_INSTRUCTIONS

LABELS = {"mini (on this machine)": "mini"}
N_OUTPUTS = 1 + 1 + MAX_INSTRUCTIONS + MAX_INSTRUCTIONS + 1 + 1


def visible(updates: list[Any]) -> int:
    return sum(bool(update["visible"]) for update in updates)


def test_a_draft_fills_the_fields_as_they_were() -> None:
    kept = {"texts": "one\ttwo\n\nthree", "instructions": ["A:", ""], "checkpoint": "mini (on this machine)"}
    checkpoint, count, *rest = restore(LABELS, kept)
    rows, fields = rest[:MAX_INSTRUCTIONS], rest[MAX_INSTRUCTIONS : 2 * MAX_INSTRUCTIONS]
    assert (checkpoint, count, visible(rows)) == ("mini", 2, 2)
    assert fields == ["A:", "", *[""] * (MAX_INSTRUCTIONS - 2)]
    assert rest[-2] == "one\ttwo\n\nthree" and RESTORED in rest[-1]


def test_a_checkpoint_that_is_not_in_the_menu_is_left_as_it_is() -> None:
    for label in ("huge", None, ["mini"], "mini"):
        kept = {"texts": "x", "instructions": [""], "checkpoint": label}
        assert restore(LABELS, kept)[0] == gr.skip()


@pytest.mark.parametrize(
    "kept",
    [
        None,
        "text",
        {},
        {"texts": "x"},
        {"texts": "x", "instructions": []},
        {"texts": "x", "instructions": ["i"] * (MAX_INSTRUCTIONS + 1)},
        {"texts": "x", "instructions": [1]},
        {"texts": None, "instructions": ["i"]},
        {"texts": "x", "instructions": {"0": "i"}},
    ],
)
def test_what_is_no_draft_changes_nothing(kept: object) -> None:
    assert restore(LABELS, kept) == [gr.skip()] * N_OUTPUTS


@given(st.text(st.characters(categories=["Cs", "L", "Cc"])))
def test_any_string_comes_back_well_formed(text: str) -> None:
    values = restore(LABELS, {"texts": text, "instructions": [text]})
    assert len(values) == N_OUTPUTS
    values[-2].encode()
    values[2 + MAX_INSTRUCTIONS].encode()
