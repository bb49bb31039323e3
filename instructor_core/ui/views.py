"""All views of the page, one record each: adding one takes an analysis, a figure and a record in its tab."""

from __future__ import annotations

from instructor_core.ui.canvas import View
from instructor_core.ui.tabs import explain, nearest, projection, similarity, tokens

VIEWS: tuple[View, ...] = (
    *projection.VIEWS,
    *similarity.VIEWS,
    *nearest.VIEWS,
    *tokens.VIEWS,
    *explain.VIEWS,
)


def view_of(tab: str, name: str = "") -> View:
    """Return the view of a tab with a name; without a name the first one."""
    return next(view for view in VIEWS if view.tab == tab and name in ("", view.name))
