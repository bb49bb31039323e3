"""What Test says of the candidates: the decision, their scores, and which labels they confuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from instructor_core.analysis.controls import Role, one_space
from instructor_core.analysis.decision import lead_needed
from instructor_core.analysis.label_task import Metric
from instructor_core.analysis.leaderboard import Leaderboard, conclusion, confusion
from instructor_core.analysis.numbers import counted
from instructor_core.analysis.suggest import word_tasks
from instructor_core.analysis.wordings import WordingSpread
from instructor_core.figures import leaderboard as board_figures
from instructor_core.figures.charts import one_line
from instructor_core.figures.checkpoints import on_one_axis, side_by_side
from instructor_core.figures.panels import PanelSet
from instructor_core.hub import BUNDLED
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial.comparison import (
    MAX_PAIRS,
    Comparison,
    Finding,
    Request,
    ScoreBook,
    Steps,
    compare,
    drop_empty,
)

if TYPE_CHECKING:
    from instructor_core.families.templates import Template

NEXT_CHECKPOINT = "instructor-base"  # tells finer labels apart than the bundled one
TABLE_HEADERS = (
    "row",
    "instruction",
    "decision",
    *(metric.value for metric in Metric),
    "against no instruction",
    "against the best",
)


def compare_instructions(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """Which instruction recovers the labels best: the decision, beside controls, under each checkpoint of the run."""
    first, *others = inputs.runs
    finding = yield from _decide(runtime, book, first, request)
    for second in others:
        beside = yield from _decide(runtime, book, second, request)
        names = (first.checkpoint, second.checkpoint)
        headlines = [f"{name}: {each.sentences[0]}" for name, each in zip(names, (finding, beside), strict=True)]
        finding = replace(
            finding,
            sentences=(headlines[0], *finding.sentences[1:]),
            beside=headlines[1],
            panels=on_one_axis(side_by_side(finding.panels, beside.panels, names)),
            table=[
                [_row_of(str(row[0]), name), *row[1:]]
                for name, each in zip(names, (finding, beside), strict=True)
                for row in each.table or []
            ],
        )
    return finding


def _row_of(name: str, checkpoint_id: str) -> str:
    """The name of a row of a leaderboard under one of two checkpoints."""
    return f"{name} · {checkpoint_id}"


def _decide(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """The decision under one checkpoint."""
    found = yield from compare(runtime, book, inputs, request)
    board, spread = found.board, found.choice.spread
    instruction = board.use.entry.instruction
    read = (board_figures.HOW_TO_READ, board_figures.NOT_SHOWN)
    panels = board_figures.leaderboard_panels(board, metrics=(request.metric,))
    if spread is not None:
        read = (board_figures.WORDINGS_HOW_TO_READ, board_figures.WORDINGS_NOT_SHOWN)
        panels = _wording_panels(found, spread)
    larger = larger_than(inputs.checkpoint_id)
    step = board.decision.next_step(larger)
    conclusions = [sentence for sentence in conclusion(board, larger=larger) if sentence != step]
    if not step:
        step = "Next: use it in Python, below."
        if spread is None:
            step = "Next: try more wordings. How a task is worded can matter as much as the task."
    return Finding(
        " ".join(read),
        (*conclusions, *(spread.sentences if spread is not None else ()), *found.left_out),
        panels,
        table=table_of(board),
        snippet=snippet_for(
            instruction, runtime.checkpoint(inputs.checkpoint_id).source, runtime.template(inputs.checkpoint_id)
        ),
        instruction=instruction,
        step=step,
        cost="" if request.many else _cost_of_many(found, runtime.pace(inputs.checkpoint_id), request.columns),
    )


def _cost_of_many(found: Comparison, pace: float, columns: Sequence[str]) -> str:
    """What trying many wordings would take, at so many pairs a second (0: not known), in one sentence."""
    task, own = found.board.task, drop_empty(found.own)
    tasks = word_tasks(own, [task.names[label] for label in task.index], columns)
    n = sum(len(each.wordings) for each in tasks)
    n_texts = min(len(task.index), MAX_PAIRS // n)
    time = f", about {counted(max(1, round(n * n_texts / pace)), 'second')} to embed" if pace else ""
    return (
        f"{counted(n, 'wording')} of {counted(len(tasks), 'task')}{time}; more tries ask for more texts: the best of "
        f"{n} must win at least {lead_needed(n)} of these {n_texts}, that of {len(own)} only {lead_needed(len(own))}."
    )


def _wording_panels(found: Comparison, spread: WordingSpread) -> PanelSet:
    """The figure of a comparison of many wordings."""
    board, decision = found.board, found.choice.decision
    values = {entry.role: float(value) for entry, value in zip(found.entries, found.choice.accuracies, strict=True)}
    return board_figures.wording_panels(
        spread,
        [[one_space(wording) for wording in task.wordings] for task in found.tasks],
        own={one_space(each): found.own.index(each) for each in drop_empty(found.own)},
        best=found.entries[decision.best].instruction,
        controls={role.value: values[role] for role in (Role.SHUFFLED, Role.UNRELATED) if role in values},
        none=decision.apparent_none,
        chance=float(board.task.chance(Metric.ACCURACY) or 0.0),
    )


def show_scores(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """Five scores of the listed instructions with their intervals."""
    board = (yield from compare(runtime, book, inputs, request)).board
    return Finding(
        f"{board_figures.HOW_TO_READ} {board_figures.NOT_SHOWN}",
        (board.decision.headline,),
        board_figures.leaderboard_panels(board),
    )


def show_confusions(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """Which labels the row that was asked about confuses, else the one that the decision names."""
    runs = inputs.runs
    run = next((each for each in runs if request.row.endswith(_row_of("", each.checkpoint))), runs[0])
    board = (yield from compare(runtime, book, run, request)).board
    name = request.row.removesuffix(_row_of("", run.checkpoint))
    row = next((row for row in board.rows if row.name == name), board.use)
    panels = board_figures.confusion_panels(confusion(row, board.task), row)
    return Finding(
        f"{board_figures.CONFUSION_HOW_TO_READ} {board_figures.CONFUSION_NOT_SHOWN}",
        (f"{run.checkpoint}: {panels.alt}" if inputs.beside_id else panels.alt,),
        panels,
        instruction=row.entry.instruction,
    )


def larger_than(checkpoint_id: str) -> str:
    """Return the checkpoint to try where the bundled one merges fine labels; "" for any other."""
    return NEXT_CHECKPOINT if checkpoint_id == BUNDLED else ""


def table_of(board: Leaderboard) -> list[list[str | float]]:
    """Return the rows of the leaderboard for a table, best first."""
    return [
        [
            row.name,
            one_line(row.entry.instruction),
            "use" if row is board.use else "",
            *(round(score.value, 3) for score in row.scores),
            row.verdict.value,
            row.standing.value,
        ]
        for row in sorted(board.rows, key=lambda row: row.rank)
    ]


def snippet_for(instruction: str, source: str, template: Template | None = None) -> str:
    """Return Python that embeds texts with an instruction."""
    opened = "open_checkpoint" if template else "InstructorModel"
    how = f", template={template.string!r}" if template else ""
    return (
        f"from instructor_core import {opened}\n\n"
        f"model = {opened}({source!r}{how})\n"
        f"instruction = {instruction!r}\n"
        'texts = ["..."]\n'
        "embeddings = model.encode([(instruction, text) for text in texts])  # (N, D), unit length\n"
    )
