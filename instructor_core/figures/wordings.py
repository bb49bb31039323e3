"""Many wordings of each task as dots, one row per task, beside the controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from instructor_core.analysis.numbers import number
from instructor_core.analysis.wordings import WordingSpread
from instructor_core.figures import theme
from instructor_core.figures.charts import NEUTRAL, dots, mark_value, one_line, rows_chart
from instructor_core.figures.panels import Panel, PanelSet

HOW_TO_READ = (
    "Each row is a task, each dot a wording of it, the tick their mean; a ring marks the wording that the decision "
    "rests on. Coloured dots are your own instructions, hollow diamonds controls. The dashed line is no instruction, "
    "the dotted one a guess."
)
NOT_SHOWN = "The dot furthest to the right is the luckiest one too: the first sentence says what it is worth."
_LABEL_LENGTH = 30
_MEAN = {"symbol": "line-ns-open", "size": 16, "color": NEUTRAL, "line": {"width": 2}}
_CONTROL = {"symbol": "diamond-open", "size": theme.MARKER_SIZE, "color": NEUTRAL, "line": {"width": 2}}


def wording_panels(
    spread: WordingSpread,
    wordings: Sequence[Sequence[str]],
    *,
    own: Mapping[str, int],
    best: str,
    controls: Mapping[str, float],
    none: float,
    chance: float,
) -> PanelSet:
    """A row per task, best mean first, then the controls.

    Wordings stand in the order of their task's values, the visitor's own with their place among all instructions; the
    decision is about the best. The others are accuracies: of controls, without an instruction, and by chance.
    """
    figure = go.Figure()
    for place, task in enumerate(spread.order):
        found = zip(spread.values[task].tolist(), wordings[task], strict=True)
        values, words = zip(*sorted(found, key=lambda each: each[1] in own), strict=True)  # own ones lie on top
        look = {
            "size": [theme.MARKER_SIZE + 5 if each == best else theme.MARKER_SIZE for each in words],
            "color": [theme.accent(own[each]) if each in own else NEUTRAL for each in words],
            "symbol": ["circle-dot" if each == best else "circle" for each in words],
            "opacity": 0.8,
        }
        tips = [f"{one_line(each)}\n{number(value)}" for each, value in zip(words, values, strict=True)]
        figure.add_trace(dots(values, [place] * len(values), tips, marker=look))
        figure.add_trace(dots([float(spread.means[task])], [place], [spread.about(task)], marker=_MEAN))
    for place, (name, value) in enumerate(controls.items(), start=len(spread.names)):
        figure.add_trace(dots([value], [place], [f"{name}: {number(value)}"], marker=_CONTROL))
    mark_value(figure, none, dash="dash")
    mark_value(figure, chance, dash="dot")
    names = [spread.names[task] for task in spread.order]
    rows_chart(figure, [theme.shorten(name, _LABEL_LENGTH) for name in [*names, *controls]], title="kNN accuracy")
    n_wordings = sum(map(len, wordings))
    title = f"{n_wordings} wordings of {len(names)} tasks"
    alt = f"kNN accuracy of {title}. {spread.about(spread.order[0])}"
    subtitle = "a dot per wording, a tick at the mean; dashed: no instruction; dotted: the most frequent label"
    return PanelSet((Panel("wordings", title, figure, subtitle),), alt=alt)
