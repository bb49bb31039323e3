"""How the listeners of the page wait for each other: nothing that a visitor does is lost, nothing goes on for ever."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest

from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.demo import build_demo
from instructor_core.ui.runtime import Runtime


@pytest.fixture(scope="module")
def demo() -> gr.Blocks:
    return build_demo(Runtime(CHECKPOINTS, device="cpu"))


def test_of_the_listeners_of_an_event_at_most_one_waits(demo: gr.Blocks) -> None:
    """Gradio repeats an event for all its listeners when one has waited: two that wait would repeat each other."""
    waiting = defaultdict(list)
    for function in demo.fns.values():
        for target in function.targets:
            # What follows another listener, or the change of a state, is dispatched to each listener apart.
            apart = target[0] is None or isinstance(demo.blocks.get(target[0]), gr.State)
            if function.trigger_mode == "always_last" and not apart:
                waiting[target].append(function.name)
    assert len(waiting) > 20
    assert {target: names for target, names in waiting.items() if len(names) > 1} == {}


def reads_event(handler: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(handler).parameters.values()
    except ValueError:  # a built-in type
        return False
    return any(parameter.annotation in ("gr.EventData", "gr.SelectData") for parameter in parameters)


def test_listeners_that_read_what_was_clicked_do_not_wait(demo: gr.Blocks) -> None:
    """What had to wait is repeated without the data of its event."""
    reading = [function for function in demo.fns.values() if function.fn is not None and reads_event(function.fn)]
    assert len(reading) >= 5
    assert [function.name for function in reading if function.trigger_mode == "always_last"] == []


def test_tabs_that_come_to_the_front_are_told_of_one_after_the_other(demo: gr.Blocks) -> None:
    """On a slow machine the opening tab would be told of after the one that was chosen, and stay the one drawn."""
    telling = [it for it in demo.fns.values() if any(isinstance(demo.blocks.get(at), gr.Tab) for at, _ in it.targets)]
    assert len(telling) >= 7
    assert {(it.concurrency_id, it.concurrency_limit) for it in telling} == {("tab in front", 1)}
