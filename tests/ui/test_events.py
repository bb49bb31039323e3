"""How the listeners of the page wait for each other: nothing that a visitor does is lost, nothing goes on for ever."""

import inspect
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest

from instructor_core.ui.page import KEEP, Listener, join


def test_of_the_listeners_of_an_event_at_most_one_waits_and_none_that_reads_what_was_clicked(demo: gr.Blocks) -> None:
    """Gradio repeats an event for all its listeners when one has waited, without its data."""
    waiting = defaultdict(list)
    for function in demo.fns.values():
        for target in function.targets:
            # What follows another listener, or the change of a state, is dispatched to each listener apart.
            apart = target[0] is None or isinstance(demo.blocks.get(target[0]), gr.State)
            if function.trigger_mode == "always_last" and not apart:
                waiting[target].append(function.name)
    assert len(waiting) > 20
    assert {target: names for target, names in waiting.items() if len(names) > 1} == {}
    reading = [function for function in demo.fns.values() if function.fn is not None and reads_event(function.fn)]
    assert len(reading) >= 5
    assert [function.name for function in reading if function.trigger_mode == "always_last"] == []


def reads_event(handler: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(handler).parameters.values()
    except ValueError:  # a built-in type
        return False
    return any(parameter.annotation in ("gr.EventData", "gr.SelectData") for parameter in parameters)


def test_tabs_that_come_to_the_front_are_told_of_one_after_the_other(demo: gr.Blocks) -> None:
    """On a slow machine the opening tab would be told of after the one that was chosen, and stay the one drawn."""
    telling = [it for it in demo.fns.values() if any(isinstance(demo.blocks.get(at), gr.Tab) for at, _ in it.targets)]
    assert len(telling) >= 7
    assert {(it.concurrency_id, it.concurrency_limit) for it in telling} == {("tab in front", 1)}


def test_listeners_together_ask_once_for_what_they_share_and_fail_alone() -> None:
    with gr.Blocks(analytics_enabled=False):
        a, b, c = gr.State("a"), gr.State("b"), gr.State("c")
    joined = join(
        [
            Listener(lambda x, y: [x + y], [a, b], [c]),
            Listener(lambda x: [1 / 0], [b], [a]),
            Listener(lambda y, x: [y, x], [b, a], [b, c]),
        ]
    )
    assert joined.inputs == [a, b] and joined.outputs == [c, a, b, c]
    assert joined.handler("1", "2") == ["12", KEEP, "2", "1"]


@pytest.mark.parametrize("tab", ["map", "similarity", "nearest", "tokens", "explain"])
def test_a_run_answers_with_the_figures_of_the_tab_in_front(demo: gr.Blocks, tab: str) -> None:
    """One round trip: an event of their own would double what a visitor waits for after a key."""
    name = {"tokens": "token-plots"}.get(tab, f"{tab}-plots")
    plots = next(block for block in demo.blocks.values() if getattr(block, "elem_id", None) == name)
    runs = [function for function in demo.fns.values() if function.concurrency_id == "run"]
    assert len(runs) == 4 and all(plots in function.outputs for function in runs)
    texts = "Good food.\nBad food.\nA film.\nA phone."
    entered = ["instructor-mini", "", texts, 2, "Represent the topic:", *[""] * 7]
    values = {block: block.value for block in runs[0].inputs if hasattr(block, "value")}
    given = [tab if values[block] == "map" else values[block] for block in runs[0].inputs]
    given[1 : len(entered) + 1] = entered
    *_, drawn, last = runs[0].fn(*given)
    figure = drawn[runs[0].outputs.index(plots)]
    assert '"panels"' in figure and drawn[0] == KEEP
    assert last[0].texts[0] == "Good food." and set(map(str, last[1:])) == {str(KEEP)}  # after the figures
    *_, again = runs[0].fn(last[0], *given[1:])
    assert again[runs[0].outputs.index(plots)] == KEEP
