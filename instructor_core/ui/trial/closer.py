"""Look closer: questions on labelled texts and on instructions, each answered where it is asked."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.feedback import boundary, note, sentence_list, status
from instructor_core.ui.page import HIDDEN, KEEP, SHOWN, Selected
from instructor_core.ui.scene.stage import Words, label_name
from instructor_core.ui.server.progress import describe
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial import TAB, effects
from instructor_core.ui.trial.boards import compare_instructions, show_confusions, show_scores
from instructor_core.ui.trial.comparison import Request, ScoreBook, Steps, request_of
from instructor_core.ui.trial.search import search

Experiment = Callable[[Runtime, ScoreBook, Inputs, Request], Steps]


class Question(NamedTuple):
    """One entry of the menu."""

    name: str  # the same in every version
    words: str
    answer: Experiment
    uses: tuple[str, ...] = ()  # controls that are shown with it


DECISION = "leaderboard"  # stands over every other question
QUESTIONS = (
    Question(DECISION, "choose a question", compare_instructions),
    Question("scores", "How sure are the scores, and what do other scores say?", show_scores),
    Question("confusions", "Which labels are confused?", show_confusions),
    Question(
        "columns",
        "Does each instruction serve the labels it names?",
        effects.compare_label_columns,
        ("lab.first", "lab.second"),
    ),
    Question("words", "Which words of an instruction matter?", effects.take_apart, ("lab.first",)),
    Question("variance", "How much of the embeddings is text, how much instruction?", effects.split_variance),
    Question(
        "flips", "Which texts change sides between two instructions?", effects.find_flips, ("lab.first", "lab.second")
    ),
    Question("neighbors", "How do the neighbours of the selected text move?", effects.follow_neighbors),
    Question(
        "morph",
        "How does the map move from one instruction to another?",
        effects.morph_map,
        ("lab.first", "lab.second"),
    ),
    Question("retrieve", "Does a search find the right texts?", search, ("lab.queries", "lab.first", "lab.second")),
)
EXPERIMENTS = {question.name: question.answer for question in QUESTIONS}


class Answer(NamedTuple):
    """Where a question is answered, top to bottom: the components, or what becomes of each."""

    line: Any = KEEP
    stop: Any = KEEP
    findings: Any = KEEP
    rows: Any = KEEP
    plots: Any = KEEP
    note: Any = KEEP
    key: Any = KEEP  # what was asked


EMPTY = Answer(status(""), HIDDEN, findings="", rows=None, plots=None, note="", key=None)


@boundary(lambda message: EMPTY._replace(findings=note(message, error=True)))
def look_closer(
    runtime: Runtime,
    book: ScoreBook,
    names: Sequence[str],
    before: object,
    active: str,
    inputs: Inputs,
    selected: Selected,
    words: Words | None,
    *values: Any,
) -> Generator[Answer, None, None]:
    """Answer a question step by step, as the options with these names and values ask."""
    options = dict(zip(names, values, strict=True))
    question, request = options["lab.question"], request_of(inputs, selected, label_name(words, inputs), options)
    if question == DECISION and request.row:  # of an older link
        question = "confusions"
    request = replace(
        request,
        text=request.text if question in ("neighbors", "retrieve") else 0,
        many=request.many and question in ("scores", "confusions"),
    )
    key = (inputs, question, request)
    if active != TAB or key == before:
        yield Answer()
        return
    if question == DECISION:
        yield EMPTY._replace(key=key)
        return
    finding = yield from describe(
        EXPERIMENTS[question](runtime, book, inputs, request), lambda line: Answer(line=status(line), stop=SHOWN)
    )
    rows = None if finding.rows is None else finding.rows.to_json()
    alone = (f"This is about {inputs.checkpoint} alone.",) if inputs.beside_id and question != "confusions" else ()
    said, figures = sentence_list((*finding.sentences, *alone)), finding.panels.to_json()
    yield Answer(status(""), HIDDEN, said, rows, figures, note(finding.how_to_read), key)
