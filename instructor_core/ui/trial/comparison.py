"""What Test is asked and answers; and candidates beside controls on labelled texts, scored step by step."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.controls import Entry, Role, one_space, with_controls
from instructor_core.analysis.decision import Decision, decide_by_neighbors
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.label_task import LabelTask, Metric, label_task
from instructor_core.analysis.labels import label_issues, make_task
from instructor_core.analysis.leaderboard import Leaderboard, leaderboard
from instructor_core.analysis.metrics import vote
from instructor_core.analysis.scores import InstructionScores, nearest_texts, score_texts
from instructor_core.analysis.suggest import WordedTask, word_tasks
from instructor_core.analysis.wordings import WordingSpread, wording_spread
from instructor_core.cache import BoundedStore
from instructor_core.errors import UserError
from instructor_core.figures.panels import PanelSet
from instructor_core.figures.token_rows import TokenRows
from instructor_core.ui.data.inputs import Inputs, join_ready
from instructor_core.ui.data.samples import keep_only, sample
from instructor_core.ui.page import Selected
from instructor_core.ui.server.progress import encode_grid
from instructor_core.ui.server.runtime import Runtime

MAX_CANDIDATES = 24
MAX_LABELLED = 1000  # texts that a leaderboard compares; more are a matter of minutes, not of insight
MAX_PAIRS = 30_000  # of texts and instructions of a leaderboard: about a minute of the bundled checkpoint on two cores


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


def subject(inputs: Inputs) -> str:
    """Return what many wordings are tried for: they are not tried on other texts by themselves."""
    return hashlib.sha256(repr((inputs.checkpoint_id, inputs.texts, inputs.labels)).encode()).hexdigest()[:16]


def request_of(inputs: Inputs, selected: Selected, label_name: str, options: Mapping[str, Any]) -> Request:
    """Return what the options of Test ask: a menu may lag behind the run, and a field that was never shown has None."""
    last = len(inputs.instructions) - 1
    return Request(
        min(options["lab.first"] or 0, last),
        min(options["lab.second"] or 0, last),
        selected.within(inputs).row,
        options["lab.candidates"] or "",
        options["lab.queries"] or "",
        Metric[options["lab.metric"]],
        options["lab.row"],
        options["lab.many"] == subject(inputs),
        (label_name,) if label_name else (),
    )


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


@dataclass(frozen=True, eq=False)
class Choice:
    """The decision among all that was tried, and how much wordings matter where many were tried."""

    decision: Decision
    accuracies: NDArray[np.float64]  # (E,) of all entries
    spread: WordingSpread | None

    @property
    def n_bytes(self) -> int:
        """Memory of the arrays, about."""
        return 4096 + self.accuracies.nbytes


@dataclass
class ScoreBook:
    """Scores and decisions by content, so that adding a candidate scores that candidate only."""

    store: BoundedStore[InstructionScores] = field(default_factory=lambda: BoundedStore(64 << 20))
    choices: BoundedStore[Choice] = field(default_factory=lambda: BoundedStore(4 << 20))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Candidates beside controls on the texts that can be used."""

    board: Leaderboard
    choice: Choice
    entries: tuple[Entry, ...]
    tasks: tuple[WordedTask, ...]
    own: tuple[str, ...]
    left_out: tuple[str, ...]  # sentences on texts


def candidates_of(inputs: Inputs, typed: str) -> tuple[str, ...]:
    """Return the instructions of the run, whose places give them their letters, and the other typed ones."""
    own, lines = inputs.instructions, dict.fromkeys(join_ready(line) for line in typed.splitlines())
    candidates = (*own, *(line for line in lines if line and line not in own))
    if not any(candidates):
        raise UserError("A leaderboard needs at least 1 instruction: got none. Write one above or suggest some.")
    if len(candidates) > MAX_CANDIDATES:
        raise UserError(f"At most {MAX_CANDIDATES} candidates are compared: got {len(candidates)}. Remove some.")
    return candidates


def drop_empty(candidates: Sequence[str]) -> tuple[str, ...]:
    """Return the candidates that have words, each once."""
    return tuple(dict.fromkeys(filter(None, candidates)))


def compare(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Generator[str, None, Comparison]:
    """Embed and score the candidates, and decide.

    What grows is bounded: texts times instructions by `MAX_PAIRS` and texts by `MAX_LABELLED`. The decision reads the
    nearest texts of every instruction; the five scores, which are slow, are those of the candidates that the page
    lists and of the best wording alone.
    """
    all_labels = inputs.labels or ("",) * len(inputs.texts)
    issues = label_issues(all_labels, inputs.texts)
    make_task(all_labels, issues, n_resamples=1)  # too few is said before anything is embedded
    own = candidates_of(inputs, request.candidates)
    tasks = (
        word_tasks(drop_empty(own), [all_labels[row] for row in issues.rows], request.columns) if request.many else ()
    )
    entries = with_controls([*own, *(wording for each in tasks for wording in each.wordings)])
    limit = min(MAX_LABELLED, MAX_PAIRS // len(entries))
    chosen_texts = sample(keep_only(inputs, issues.rows.tolist()), limit, each_label=True)
    inputs = keep_only(chosen_texts.inputs, label_issues(chosen_texts.inputs.labels or ()).rows.tolist())
    task, texts = label_task(inputs.labels), inputs.texts
    grid = yield from encode_grid(
        runtime.encoder(inputs.checkpoint_id), [entry.instruction for entry in entries], texts
    )
    digest = hashlib.sha256(repr((inputs.checkpoint_id, texts, inputs.labels)).encode()).hexdigest()
    key = (digest, "\n".join(entry.instruction for entry in entries))
    choice = book.choices.get(key)
    if choice is None:
        choice = yield from _choose(grid, entries, tasks, task)
        book.choices.put(key, choice, choice.n_bytes)
    best = entries[choice.decision.best].instruction
    listed = [
        k for k, entry in enumerate(entries) if entry.role is not Role.CANDIDATE or entry.instruction in (*own, best)
    ]
    scores = []
    for at, k in enumerate(listed):
        content = (digest, entries[k].instruction)
        found = book.store.get(content)
        if found is None:
            yield f"scoring {at + 1} of {len(listed)} instructions"
            found = score_texts(grid.embeddings[k], task)
            book.store.put(content, found, found.n_bytes)
        scores.append(found)
    row_of = {k: at for at, k in enumerate(listed)}
    chosen = choice.decision.chosen
    decision = replace(
        choice.decision, best=row_of[choice.decision.best], chosen=None if chosen is None else row_of[chosen]
    )
    # A wording that nobody wrote has the letter after those of the visitor's own.
    rows = [replace(entries[k], at=min(entries[k].at, len(own))) for k in listed]
    board = leaderboard(rows, scores, task, metric=request.metric, decision=decision)
    return Comparison(board, choice, entries, tasks, own, (*issues.sentences, *chosen_texts.sentences))


def _choose(
    grid: EmbeddingGrid, entries: Sequence[Entry], tasks: Sequence[WordedTask], task: LabelTask
) -> Generator[str, None, Choice]:
    """The decision among the entries of a grid, and the spread of the wordings of each task."""
    nearest = []
    for at, embeddings in enumerate(grid.embeddings):
        yield f"comparing {at + 1} of {len(entries)} instructions"
        nearest.append(nearest_texts(embeddings, task))
    yield "deciding"
    roles = [entry.role for entry in entries]
    candidates = [k for k, role in enumerate(roles) if role is Role.CANDIDATE]
    instructions = [entry.instruction for entry in entries]
    decision = decide_by_neighbors(nearest, task, candidates, roles.index(Role.EMPTY), instructions)
    right = [vote(each[:, : task.k], task.index, len(task.names)) == task.index for each in nearest]
    spread = None
    if tasks:
        pairs = [(t, instructions.index(one_space(words))) for t, each in enumerate(tasks) for words in each.wordings]
        spread = wording_spread(
            [each.name for each in tasks], [t for t, _ in pairs], [nearest[k] for _, k in pairs], task
        )
    return Choice(decision, np.stack(right).mean(axis=1), spread)
