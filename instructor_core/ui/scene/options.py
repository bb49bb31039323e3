"""The controls of the tabs whose values belong to the state of the page, and what a stranger may set them to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.page import instruction_choices
from instructor_core.ui.scene import Option

MAX_TYPED = 20_000  # characters of a field such as the candidates of Test


@dataclass(frozen=True)
class TabOption:
    """A control of a tab."""

    component: Any
    names_instruction: bool = False  # a menu of the run's instructions, whose choices come with the run
    most: float | None = None  # highest value of a slider whose end comes with the checkpoint

    def default(self, inputs: Inputs) -> Any:
        """Return what sets the control to the value that the page begins with."""
        if self.names_instruction:
            last = len(inputs.instructions) - 1
            return gr.update(choices=instruction_choices(inputs), value=min(self.component.value, last))
        return "" if self.component.value is None else self.component.value

    def restored(self, value: Option, inputs: Inputs) -> Any | None:
        """Return what sets the control to a value of a link, or None if a visitor could not have chosen it."""
        if self.names_instruction:
            choices = instruction_choices(inputs)
            known = any(type(value) is int and value == k for _, k in choices)
            return gr.update(choices=choices, value=value) if known else None
        if not takes(self.component, value, most=self.most):
            return None
        if self.most is not None and isinstance(value, int | float):
            return gr.update(maximum=max(value, self.component.maximum), value=value)
        return value


Options = Mapping[str, TabOption]


def takes(component: Any, value: Option, *, most: float | None = None) -> bool:
    """Return whether a visitor could have chosen this value of a link; `most` replaces the component's own bound."""
    if isinstance(component, gr.Checkbox):
        return isinstance(value, bool)
    if isinstance(component, gr.Slider | gr.Number):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if isinstance(value, float) and not math.isfinite(value):
            return False
        low, high = component.minimum, component.maximum if most is None else most
        return (low is None or value >= low) and (high is None or value <= high)
    if isinstance(component, gr.Dropdown | gr.Radio):
        return any(type(offered) is type(value) and offered == value for _, offered in component.choices)
    if isinstance(component, gr.Textbox | gr.State):
        return isinstance(value, str) and len(value) <= MAX_TYPED
    return False
