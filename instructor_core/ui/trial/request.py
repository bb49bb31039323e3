"""What Test is asked and what it answers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from instructor_core.analysis.label_task import Metric
from instructor_core.figures.panels import PanelSet
from instructor_core.figures.token_rows import TokenRows


@dataclass(frozen=True)
class Request:
    """What Test was asked: instructions and a text by their index in the run, and what was typed or chosen."""

    a: int = 0
    b: int = 1
    text: int = 0
    candidates: str = ""  # further instructions to compare, one per line
    queries: str = ""  # one per line, each with a label or without
    metric: Metric = Metric.ACCURACY
    row: str = ""  # name of the leaderboard row whose confusion is shown; "" for that of the decision
    many: bool = False  # whether many wordings of each task are tried
    columns: tuple[str, ...] = ()  # names of the columns that the labels came from, as far as they are known


@dataclass(frozen=True, eq=False)
class Finding:
    """What Test shows: how to read it and what it does not show, the result in words, and figures."""

    how_to_read: str
    sentences: tuple[str, ...]
    panels: PanelSet
    rows: TokenRows | None = None
    table: list[list[str | float]] | None = None
    snippet: str = ""  # Python that follows the decision
    instruction: str = ""  # that the decision names, or that of the row that was asked about
    beside: str = ""  # the decision under a second checkpoint
    step: str = ""  # one thing to do next
    cost: str = ""  # what trying many wordings would take


Steps = Generator[str, None, Finding]  # lines of progress, and what was found
