"""The components that a scene is written to, what a stranger may set them to, and the words over the tabs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from instructor_core.analysis.numbers import counted
from instructor_core.ui.data.examples import Example
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.data.sidebar import Sidebar, fill
from instructor_core.ui.feedback import note
from instructor_core.ui.page import Page, instruction_choices, news
from instructor_core.ui.scene import Option, Scene

Updates = dict[Any, Any]
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

    def restore(self, value: Option, inputs: Inputs) -> Any | None:
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


@dataclass(frozen=True)
class Words:
    """What is known of the texts on screen, for as long as they are those that it was said about."""

    texts: tuple[str, ...]  # what it was said about
    html: str = ""  # over the tabs; "" for the number of texts
    label_name: str = ""  # of the column that their labels came from; "" where it is not known


@dataclass(frozen=True)
class Stage:
    """What a scene is written to."""

    page: Page
    sidebar: Sidebar
    checkpoint: gr.Dropdown
    line: gr.HTML  # over the tabs
    example: gr.Dropdown
    options: Mapping[str, TabOption]  # by name; each is set only to a value that it offers
    words: gr.State  # with the `Words` of a scene that was restored, or None

    @property
    def components(self) -> list[Any]:
        """Outputs of an event that shows a scene."""
        page, options = self.page, [option.component for option in self.options.values()]
        shared = [self.checkpoint, self.line, self.words, page.tabs, page.active, page.selected, page.restored]
        return [*shared, self.sidebar.template, *self.sidebar.entries, *options]

    @property
    def now(self) -> list[Any]:
        """Inputs of an event that reads the scene on screen with `scene`."""
        page = self.page
        return [
            page.inputs,
            page.selected,
            page.active,
            self.words,
            *(option.component for option in self.options.values()),
        ]

    def scene(self, inputs: Inputs, selected: Any, place: str, words: Words | None, *values: Any) -> Scene:
        """Return what is on screen; an option that was never shown is left out, as is what is no plain value."""
        pairs = zip(self.options, values, strict=True)
        plain = {name: value for name, value in pairs if isinstance(value, str | int | float) and value == value}
        return Scene(inputs, place, selected.within(inputs), plain, label_name(words, inputs))

    def show(self, scene: Scene, words: str | None = None) -> Updates:
        """Return the updates that set up a scene and run it; with words, these stand over the tabs."""
        inputs = scene.inputs
        updates: Updates = {
            self.checkpoint: inputs.choice,
            self.sidebar.template: inputs.template,
            self.words: Words(inputs.texts, words or "", scene.label_name),
            self.page.tabs: gr.Tabs(selected=scene.place),
            self.page.active: scene.place,
            self.page.selected: scene.selected,
            self.page.restored: news(),
            **dict(zip(self.sidebar.entries, fill(inputs), strict=True)),
        }
        if words is not None:
            updates[self.line] = words
        if scene.options is None:
            return updates
        for name, option in self.options.items():
            value = option.restore(scene.options[name], inputs) if name in scene.options else None
            updates[option.component] = option.default(inputs) if value is None else value
        return updates

    def possible(self, scene: Scene) -> Scene:
        """Return a scene with those of its options that the page knows and offers the value of."""
        given = {
            name: value
            for name, value in (scene.options or {}).items()
            if name in self.options and self.options[name].restore(value, scene.inputs) is not None
        }
        return replace(scene, options=given)


def label_name(words: Words | None, inputs: Inputs) -> str:
    """Return the name of the column that the labels of these inputs came from; "" where it is not known."""
    return words.label_name if words is not None and words.texts == inputs.texts else ""


def words_about(inputs: Inputs, examples: Sequence[Example], words: Words | None) -> tuple[str, str | None]:
    """Return the line over the tabs as HTML, and the id of the example that the texts are, or None."""
    example = next((entry for entry in examples if (entry.texts, entry.labels) == (inputs.texts, inputs.labels)), None)
    example_id = None if example is None else example.id
    known = words if words is not None and words.texts == inputs.texts else Words(inputs.texts)
    if known.html:
        return known.html, example_id
    size = counted(len(inputs.texts), "text")
    n_labels = len({label for label in inputs.labels or () if label})
    named = f" ({known.label_name})" if known.label_name else ""
    size += f", {counted(n_labels, 'label')}{named}" if n_labels else ""
    if example is None:
        return note(f"Your {size}."), None
    if example.inputs(inputs.checkpoint_id).instructions == inputs.instructions:
        return note(example.point), example_id
    return note(f"{example.title}: {size}, under instructions of your own."), example_id


def follow_words(stage: Stage, examples: Sequence[Example]) -> None:
    """Keep the line over the tabs and the menu of examples true of the texts on screen."""
    stage.page.follow(
        lambda inputs, words: list(words_about(inputs, examples, words)),
        [stage.page.inputs, stage.words],
        [stage.line, stage.example],
    )
