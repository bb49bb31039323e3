"""What all tabs share: the run on screen, the selection and the tab in front."""

from __future__ import annotations

import inspect
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import gradio as gr

from instructor_core.analysis.grid import letter
from instructor_core.figures.charts import one_line
from instructor_core.figures.theme import shorten
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.feedback import boundary, status
from instructor_core.ui.gradio_patches import event_data
from instructor_core.ui.server.runtime import Runtime

MAX_LISTED = 200  # texts in a menu
# Options of an event whose progress is not shown. LATEST: of many in a row the last one counts. EACH: every one counts,
# one after the other, for handlers that read what was clicked: Gradio repeats what had to wait without its event data.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
LATEST: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}
EACH: dict[str, Any] = {**QUIET, "trigger_mode": "multiple", "concurrency_limit": 1}
# Whatever says which tab is in front waits its turn: the tab that stands there at first is told of late on a slow
# machine, and must not come after the one that a visitor has chosen meanwhile.
IN_TURN: dict[str, Any] = {**LATEST, "concurrency_id": "tab in front", "concurrency_limit": 1}
# What a handler answers for a component that it leaves alone, or whether it is seen.
KEEP, SHOWN, HIDDEN = gr.skip(), gr.update(visible=True), gr.update(visible=False)


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


@dataclass(frozen=True, eq=False)
class Listener:
    """What follows the run: ``handler(*values of the inputs)`` returns, or yields, one value per output."""

    handler: Callable[..., Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]


@dataclass(frozen=True)
class Page:
    """Handles to the shared parts of the page."""

    runtime: Runtime
    inputs: gr.State  # with the `Inputs` of the run on screen
    selected: gr.State  # with the `Selected` texts and instruction
    active: gr.State  # with the id of the tab in front
    tabs: gr.Tabs
    # Changes when a scene has set the fields and the options.
    restored: gr.State = field(default_factory=lambda: gr.State(""))
    drawings: list[Listener] = field(default_factory=list)  # of the tab in front, by `canvas.redraw`
    followers: list[Listener] = field(default_factory=list)  # all others, by `follow`

    def follow(self, handler: Callable[..., Sequence[Any]], inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Keep outputs in step with run and selection, from the start on; the handler returns one value per output."""
        if list(inputs) == [self.inputs]:
            handler = lru_cache(maxsize=4)(handler)  # a selection is followed too, and changes nothing here
        for output, value in zip(outputs, handler(*(entry.value for entry in inputs)), strict=True):
            updates = value if isinstance(value, dict) else {"value": value}
            vars(output).update({name: new for name, new in updates.items() if name != "__type__"})
        self.followers.append(Listener(handler, inputs, outputs))

    def follow_instructions(self, *menus: gr.Dropdown) -> None:
        """Keep menus of instructions in step with the run."""

        def update(inputs: Inputs, *values: int) -> list[Any]:
            choices = instruction_choices(inputs)
            return [gr.update(choices=choices, value=min(value or 0, len(choices) - 1)) for value in values]

        self.follow(update, [self.inputs, *menus], menus)

    def connect_listeners(self) -> None:
        """Connect what `canvas.redraw` and `follow` collected to run, selection and tab, once the page is laid out.

        Two events for all of them: the browser walks over every component several times for each event. A run has drawn
        its figures already, and finds them in place; they are drawn here where the tab was changed meanwhile.
        """
        listen(
            [self.inputs.change, self.selected.change, self.active.change, self.restored.change],
            self.drawings,
            show_progress="hidden",
            concurrency_limit=8,
            concurrency_id="draw",
        )
        listen([self.inputs.change, self.selected.change], self.followers, show_progress="hidden")

    def bring_to_front(self, tab_id: str, button: gr.Button) -> None:
        """Let a button bring a tab to the front, in the browser: an answer of the server could undo a later click."""
        update = json.dumps({"selected": tab_id, "__type__": "update"})
        button.click(None, None, self.tabs, js=f"() => ({update})", **QUIET)

    def show_controls_for(self, option: Any, show: Callable[[Any], list[Any]], controls: Sequence[Any]) -> None:
        """Show the controls that the value of an option needs. Call it before whatever else follows the option.

        Gradio runs the listeners of an event one after the other, and for one that had to wait (`always_last`) it
        repeats the event for all of them: two that wait would repeat each other without end, so this one does not.
        """
        events = [visitor_event(option), self.restored.change]
        gr.on(events, show, option, list(controls), **(QUIET | {"trigger_mode": "multiple"}))


def join(listeners: Sequence[Listener]) -> Listener:
    """Return listeners as one, which asks for each input once.

    What goes wrong in one leaves its outputs as they are, and keeps no other back. One alone may report on its way.
    """

    def guard(listener: Listener) -> Callable[..., Any]:
        return boundary(lambda _: [KEEP] * len(listener.outputs))(listener.handler)

    inputs = list(dict.fromkeys(entry for listener in listeners for entry in listener.inputs))
    answers = [(guard(listener), [inputs.index(entry) for entry in listener.inputs]) for listener in listeners]

    def handler(*values: Any) -> Any:
        return [output for answer, places in answers for output in answer(*(values[place] for place in places))]

    first, *others = listeners
    alone = not others and inspect.isgeneratorfunction(first.handler)
    return Listener(
        answers[0][0] if alone else handler, inputs, [entry for listener in listeners for entry in listener.outputs]
    )


def listen(events: Sequence[Any], listeners: Sequence[Listener], **options: Any) -> Any:
    """Let one event run all listeners, and return it: whatever follows the run is connected here."""
    joined = join(listeners)

    def alone(*values: Any) -> Any:
        return joined.handler(*values)[0]  # a list for one output would be its value

    return gr.on(
        events,
        joined.handler if len(joined.outputs) > 1 or inspect.isgeneratorfunction(joined.handler) else alone,
        joined.inputs,
        joined.outputs,
        preprocess=False,  # a menu may still hold an instruction that the new run does not have; draw keeps it inside
        api_visibility="private",
        **({"trigger_mode": "always_last"} | options),
    )


def connect_stop(button: gr.Button, jobs: list[gr.events.Dependency], line: gr.HTML) -> None:
    """Let a button stop the jobs; the line says so once they have stopped.

    The words come from the browser, when the server has confirmed: an answer of the server could overtake the last
    report of the job, or be lost with the stream of messages that ends with it.
    """
    button.click(None, cancels=[*jobs], **QUIET)
    words = json.dumps(status("stopped; what was done is kept", run="waits"))
    for job in jobs:
        job.failure(None, None, line, js=f"() => {words}", **QUIET)


def news() -> str:
    """Return a value that no state has yet: those that follow the state act."""
    return secrets.token_hex(8)


def choose_text(event: gr.EventData, selected: Selected) -> Selected:
    """Return the selection after a click on a text or its point: it takes the row, the former row the column."""
    clicked = event_data(event)
    item, instruction = clicked.get("item"), clicked.get("instruction")
    if item is None or int(item) == selected.row:
        return selected
    return Selected(int(item), selected.row, selected.instruction if instruction is None else int(instruction))


def visitor_event(option: Any) -> Any:
    """The event of a component that fires when a visitor changes it, not when the page does; a state has no other."""
    if isinstance(option, gr.State):
        return option.change
    return option.release if isinstance(option, gr.Slider) else option.input


def instruction_choices(inputs: Inputs) -> list[tuple[str, int]]:
    """Return (label, index) of each instruction for a menu."""
    return [
        (f"{letter(k)} · {shorten(one_line(instruction), 60)}", k) for k, instruction in enumerate(inputs.instructions)
    ]


def text_choices(inputs: Inputs, *chosen: int) -> list[tuple[str, int]]:
    """Return (label, index) of each text for a menu: of the first ones and of those that are chosen, if they are many.

    A menu of thousands is sent whole at every change and finds nothing; the list of texts has a search for that.
    """
    listed = range(len(inputs.texts))
    offered = sorted({*listed[:MAX_LISTED], *(i for i in chosen if i in listed)})
    return [(f"{i + 1} · {shorten(inputs.texts[i], 70)}", i) for i in offered]


def options_menu() -> gr.Accordion:
    """Return the fold over a figure that holds what few visitors change."""
    return gr.Accordion("how it is drawn", open=False, elem_classes=["ic-fold", "ic-drawn"])


def menu(label: str, choices: list[tuple[str, int]], value: int) -> gr.Dropdown:
    """Return a menu of instructions or texts."""
    return gr.Dropdown(choices, value=value, label=label, min_width=140)
