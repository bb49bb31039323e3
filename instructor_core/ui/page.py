"""What all tabs share: the run on screen, the selection, the tab in front, and how a tab redraws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from instructor_core.analysis.grid import letter
from instructor_core.figures.theme import shorten
from instructor_core.ui.feedback import message_for, note
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.runtime import Runtime


@dataclass(frozen=True)
class Selected:
    """Two texts under one instruction, by index: chosen once, shown by every tab."""

    row: int = 0
    column: int = 1
    instruction: int = 0

    def within(self, inputs: Inputs) -> Selected:
        """Return the selection with every index inside the run."""
        n, k = len(inputs.texts), len(inputs.instructions)
        return Selected(min(self.row, n - 1), min(self.column, n - 1), min(self.instruction, k - 1))


@dataclass(frozen=True)
class Page:
    """Handles to the shared parts of the page.

    Attributes:
        runtime: Loaded checkpoints.
        inputs: State with the ``Inputs`` of the run on screen.
        selected: State with the ``Selected`` texts and instruction.
        active: State with the id of the tab in front.
        tabs: The row of tabs, to bring one to the front.
    """

    runtime: Runtime
    inputs: gr.State
    selected: gr.State
    active: gr.State
    tabs: gr.Tabs


Draw = Callable[..., Sequence[Any]]


def redraw(
    page: Page,
    tab_id: str,
    draw: Draw,
    *,
    options: Sequence[gr.components.Component],
    outputs: Sequence[gr.components.Component],
    follows_selection: Callable[..., bool] = lambda *_: False,
) -> None:
    """Keep a tab up to date: draw when it comes to the front, when the run changes and when an option does.

    ``draw(runtime, inputs, selected, *option values)`` returns one value per output; the first output is the note,
    which shows what went wrong if something does. Nothing is computed or sent for a tab that is not in front, nor for
    one that shows the same already. ``follows_selection(*option values)`` says whether the selection matters.
    """
    drawn = gr.State(None)
    nothing = [gr.skip()] * (len(outputs) + 1)

    def handler(active: str, inputs: Inputs, selected: Selected, before: object, *values: Any) -> list[Any]:
        selected = selected.within(inputs)
        key = (inputs, selected if follows_selection(*values) else None, values)
        if active != tab_id or key == before:
            return nothing
        try:
            return [*draw(page.runtime, inputs, selected, *values), key]
        except Exception as error:  # a boundary to the visitor: message_for words whatever went wrong
            return [note(message_for(error), error=True), *nothing[1:-1], None]

    gr.on(
        [
            page.inputs.change,
            page.active.change,
            page.selected.change,
            *(_changed_by_visitor(option) for option in options),
        ],
        handler,
        [page.active, page.inputs, page.selected, drawn, *options],
        [*outputs, drawn],
        show_progress="minimal",
        show_progress_on=[outputs[0]],
        trigger_mode="always_last",
        concurrency_limit=4,
        concurrency_id="draw",
        preprocess=False,  # a menu may still hold an instruction that the new run does not have; draw keeps it inside
        api_visibility="private",
    )


def _changed_by_visitor(option: Any) -> Any:
    """The event of a component that fires when a visitor changes it, not when the page does."""
    return option.release if isinstance(option, gr.Slider) else option.input


def instruction_choices(inputs: Inputs) -> list[tuple[str, int]]:
    """Return (label, index) of each instruction for a menu."""
    return [
        (f"{letter(k)} · {shorten(instruction.strip(), 60) or '(no instruction)'}", k)
        for k, instruction in enumerate(inputs.instructions)
    ]


def text_choices(inputs: Inputs) -> list[tuple[str, int]]:
    """Return (label, index) of each text for a menu."""
    return [(f"{i + 1} · {shorten(text, 70)}", i) for i, text in enumerate(inputs.texts)]


def menu(label: str, choices: list[tuple[str, int]], value: int) -> gr.Dropdown:
    """Return a menu of instructions or texts."""
    return gr.Dropdown(choices, value=value, label=label, min_width=140)


def follow_instructions(page: Page, *menus: gr.Dropdown) -> None:
    """Keep menus of instructions in step with the run."""

    def update(inputs: Inputs, *values: int) -> Any:
        choices = instruction_choices(inputs)
        updates = [gr.update(choices=choices, value=min(value or 0, len(choices) - 1)) for value in values]
        return updates if len(updates) > 1 else updates[0]  # a list for one output would be its value

    page.inputs.change(
        update,
        [page.inputs, *menus],
        list(menus),
        preprocess=False,  # the menus still hold instructions of the run before
        show_progress="hidden",
        api_visibility="private",
        trigger_mode="always_last",
    )
