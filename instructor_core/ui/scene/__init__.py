"""A scene: everything that the page shows at one moment, as one value.

Links, state files, examples, the steps of lessons and the page that opens first are scenes. `stage.Stage.show` sets one
up, by a dictionary of updates; the change of `Page.restored` that comes with it is the one event that runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.page import Selected

Option = str | int | float | bool | None
# Id and title of the tabs, in their order. The id of a tab's element is "tab-" and this id.
TABS = {
    "map": "Map",
    "similarity": "Matrix",
    "nearest": "Nearest",
    "tokens": "Tokens",
    "explain": "Why",
    "lab": "Test",
    "learn": "Learn",
}
# The option of a place that says which of its views is shown; map and nearest have one view.
VIEW_OPTIONS = {
    "similarity": "similarity.view",
    "tokens": "tokens.view",
    "explain": "explain.view",
    "lab": "lab.question",
}


@dataclass(frozen=True)
class Scene:
    """What the page shows."""

    inputs: Inputs
    place: str  # id of the tab in front
    selected: Selected = field(default_factory=Selected)
    # By name; those not named have their defaults. None leaves all as they are.
    options: Mapping[str, Option] | None = field(default_factory=dict)
    label_name: str = ""  # of the column that the labels came from, which Test words tasks with; "" if it is not known
