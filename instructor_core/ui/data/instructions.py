"""The rows of instructions: what each button does to count, visibility and fields."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import gradio as gr

from instructor_core.analysis.suggest import Slots, load_builder
from instructor_core.ui.data.inputs import MAX_INSTRUCTION, MAX_INSTRUCTIONS
from instructor_core.ui.gradio_patches import event_data

# What may be tried by a click: (words on the chip, the template's objective, one that the bundled checkpoint was tested
# for; "" for no instruction).
CHIPS = (
    ("mood", "classifying the emotion"),
    ("question or statement", "distinguishing questions from statements and commands"),
    ("who speaks", "classifying the grammatical person"),
    ("formality", "deciding whether it is formal or casual"),
    ("no instruction", ""),
)


def objective_choices() -> list[tuple[str, str]]:
    """Return (words, objective) of each task for a menu; a dot marks what the bundled checkpoint was tested for."""
    objectives = load_builder().objectives
    return [(f"{entry.objective} ·" if entry.mini else entry.objective, entry.objective) for entry in objectives]


def show_rows(count: int, fields: Sequence[str]) -> list[Any]:
    """Return what the components of the rows become: count, visibility of every row, and fields."""
    return [count, *(gr.update(visible=k < count) for k in range(MAX_INSTRUCTIONS)), *fields]


def instruction_fields(instructions: Sequence[str]) -> list[Any]:
    """Return the rows for given instructions."""
    fields = (instruction.strip() for instruction in instructions)
    return show_rows(len(instructions), [*fields, *[""] * (MAX_INSTRUCTIONS - len(instructions))])


def add_instruction(instruction: str, count: int, *typed: str) -> list[Any]:
    """Return the rows with one more; nothing changes when all are in use."""
    if count >= MAX_INSTRUCTIONS:
        return show_rows(count, typed)
    return show_rows(count + 1, [*typed[:count], instruction, *typed[count + 1 :]])


def remove_instruction(k: int, count: int, *typed: str) -> list[Any]:
    """Return the rows without instruction k; the last one stays."""
    return show_rows(count, typed) if count <= 1 else show_rows(count - 1, [*typed[:k], *typed[k + 1 :], ""])


def put_second(instruction: str, count: int, *typed: str) -> list[Any]:
    """Return the rows with an instruction in the place of the second one."""
    if count < 2:
        return add_instruction(instruction, count, *typed)
    return show_rows(count, [typed[0], instruction, *typed[2:]])


def build_instruction(domain: str | None, text_type: str | None, objective: str | None) -> str:
    """Return the paper's template with its slots filled; the domain and the objective may be left out.

    >>> build_instruction("", "review", "clustering by topic")
    'Represent the review for clustering by topic:'
    """
    slots = (" ".join((entry or "").split()) for entry in (domain, text_type or "text", objective))
    return Slots(*slots).instruction.strip()


def add_built(domain: str | None, text_type: str | None, objective: str | None, count: int, *typed: str) -> list[Any]:
    """Return the rows with what the builder holds as one more."""
    return add_instruction(build_instruction(domain, text_type, objective), count, *typed)


def try_chip(event: gr.EventData, count: int, *typed: str) -> list[Any]:
    """Return the rows with the instruction of a chip in the place of the second one."""
    chip = event_data(event).get("chip")
    _, objective = CHIPS[chip if isinstance(chip, int) and 0 <= chip < len(CHIPS) else 0]
    kind = re.match(r"Represent the (?:[\w-]+ )??([\w-]+) for ", typed[0])
    instruction = build_instruction("", kind[1] if kind else "sentence", objective) if objective else ""
    return put_second(instruction, count, *typed)


def recall(event: gr.EventData, count: int, *typed: str) -> list[Any]:
    """Return the rows with an earlier instruction in the place of the second one."""
    return put_second(str(event_data(event).get("instruction") or "")[:MAX_INSTRUCTION], count, *typed)
