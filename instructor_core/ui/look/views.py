"""All views of the page, one record each: adding one takes an analysis, a figure and a record in its tab."""

from __future__ import annotations

from instructor_core.ui.look import explain, nearest, projection, similarity, tokens
from instructor_core.ui.look.canvas import View

VIEW_TABS = (projection, similarity, nearest, tokens, explain)
VIEWS: tuple[View, ...] = tuple(view for tab in VIEW_TABS for view in tab.VIEWS)


def view_of(tab: str, name: str = "") -> View:
    """Return the view of a tab with a name; without a name the first one."""
    return next(view for view in VIEWS if view.tab == tab and name in ("", view.name))
