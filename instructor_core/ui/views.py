"""All views of the page, one record each: adding one takes an analysis, a figure and a record in its tab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from instructor_core.ui.canvas import Context, Drawing, View
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.page import Selected
from instructor_core.ui.runtime import Runtime
from instructor_core.ui.tabs import explain, nearest, projection, similarity, tokens

VIEWS: tuple[View, ...] = (
    *projection.VIEWS,
    *similarity.VIEWS,
    *nearest.VIEWS,
    *tokens.VIEWS,
    *explain.VIEWS,
)


def view_of(tab: str, name: str = "") -> View:
    """Return the view of a tab with a name; without a name the first one.

    Raises:
        KeyError: If there is none.
    """
    for view in VIEWS:
        if view.tab == tab and name in ("", view.name):
            return view
    raise KeyError(f"{tab}: {name}")


def draw(
    runtime: Runtime, inputs: Inputs, selected: Selected, tab: str, name: str, options: Mapping[str, Any]
) -> Drawing:
    """Draw a view without a page, as tests and benchmarks do; options are named without their tab."""
    named = {f"{tab}.{option}": value for option, value in options.items()}
    return view_of(tab, name).draw(Context(runtime, inputs, selected, named))
