"""Look closer: questions on labelled texts and on instructions, each answered where it is asked."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from instructor_core.analysis.label_task import Metric
from instructor_core.ui.components import plot_view, token_view
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.feedback import boundary, note, sentence_list, status
from instructor_core.ui.page import HIDDEN, KEEP, SHOWN, Page, Selected, instruction_choices, menu
from instructor_core.ui.server.progress import described
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial import TAB
from instructor_core.ui.trial.boards import compare_instructions, show_confusions, show_scores
from instructor_core.ui.trial.comparison import Request, ScoreBook, Steps
from instructor_core.ui.trial.decision import subject
from instructor_core.ui.trial.effects import (
    compare_label_columns,
    find_flips,
    follow_neighbors,
    morph_map,
    split_variance,
    take_apart,
)
from instructor_core.ui.trial.search import search

Experiment = Callable[[Runtime, ScoreBook, Inputs, Request], Steps]
DECISION = "leaderboard"  # stands over every other question
QUESTIONS: tuple[tuple[str, str, Experiment], ...] = (
    (DECISION, "choose a question", compare_instructions),
    ("scores", "How sure are the scores, and what do other scores say?", show_scores),
    ("confusions", "Which labels are confused?", show_confusions),
    ("columns", "Does each instruction serve the labels it names?", compare_label_columns),
    ("words", "Which words of an instruction matter?", take_apart),
    ("variance", "How much of the embeddings is text, how much instruction?", split_variance),
    ("flips", "Which texts change sides between two instructions?", find_flips),
    ("neighbors", "How do the neighbours of the selected text move?", follow_neighbors),
    ("morph", "How does the map move from one instruction to another?", morph_map),
    ("retrieve", "Does a search find the right texts?", search),
)
EXPERIMENTS = {name: experiment for name, _, experiment in QUESTIONS}
USES_SECOND = ("columns", "flips", "morph", "retrieve")
USES_FIRST = ("words", *USES_SECOND)


class Answer(NamedTuple):
    """Where a question is answered, top to bottom: the components, or what becomes of each."""

    line: Any = KEEP
    stop: Any = KEEP
    findings: Any = KEEP
    rows: Any = KEEP
    plots: Any = KEEP
    note: Any = KEEP
    key: Any = KEEP  # what was asked


@dataclass(frozen=True)
class Closer:
    """The menu of questions, what they need, and where they are answered."""

    question: gr.Dropdown
    queries: gr.Textbox
    a: gr.Dropdown
    b: gr.Dropdown
    row: gr.State
    answer: Answer

    @classmethod
    def build(cls, start: Inputs) -> Closer:
        """Lay it out."""
        instructions = instruction_choices(start)
        with gr.Row(elem_classes=["ic-options", "ic-closer"]):
            question = gr.Dropdown(
                [(words, name) for name, words, _ in QUESTIONS],
                value=DECISION,
                label="Look closer",
                elem_id="lab-question",
                min_width=320,
                filterable=False,
            )
            a = menu("First instruction", instructions, 0)
            b = menu("Second instruction", instructions, min(1, len(instructions) - 1))
            a.visible = b.visible = False
        queries = gr.Textbox(
            label="Queries, one per line; labels after tabs mark the texts that answer; the selected text if empty",
            lines=2,
            max_lines=8,
            visible=False,
            elem_classes=["ic-lab-inputs"],
        )
        with gr.Row(elem_classes=["ic-status-row"]):
            stop = gr.Button("Stop", size="sm", min_width=60, elem_id="closer-stop", visible=False)
            line = gr.HTML(status(""), elem_id="closer-status")
        answer = Answer(
            line=line,
            stop=stop,
            findings=gr.HTML(elem_id="closer-findings"),
            rows=token_view(elem_id="lab-rows", label="Words of the instruction", empty=""),
            plots=plot_view(elem_id="closer-plots", label="Answer to the question", empty=""),
            note=gr.HTML(elem_id="closer-note"),
            key=gr.State(None),
        )
        return cls(question, queries, a, b, gr.State(""), answer)


def _only(words: str, key: object = None) -> Answer:
    """What shows nothing but words."""
    return Answer(status(""), HIDDEN, words, rows=None, plots=None, note="", key=key)


@boundary(lambda message: _only(note(message, error=True)))
def look_closer(
    page: Page,
    book: ScoreBook,
    active: str,
    inputs: Inputs,
    selected: Selected,
    before: object,
    tried: str,
    question: str,
    candidates: str | None,
    queries: str | None,
    metric: str,
    a: int | None,
    b: int | None,
    row: str,
) -> Generator[Answer, None, None]:
    """Answer a question step by step."""
    last = len(inputs.instructions) - 1
    if question == DECISION and row:  # of an older link
        question = "confusions"
    many = tried == subject(inputs) and question in ("scores", "confusions")
    text = selected.within(inputs).row if question in ("neighbors", "retrieve") else 0
    request = Request(
        min(a or 0, last), min(b or 0, last), text, candidates or "", queries or "", Metric[metric], row, many
    )
    key = (inputs, question, request)
    if active != TAB or key == before:
        yield Answer()
        return
    if question == DECISION:
        yield _only("", key)
        return
    finding = yield from described(
        EXPERIMENTS[question](page.runtime, book, inputs, request),
        lambda line: Answer(line=status(line), stop=SHOWN),
    )
    rows = None if finding.rows is None else finding.rows.to_json()
    alone = (f"This is about {inputs.checkpoint} alone.",) if inputs.beside_id and question != "confusions" else ()
    words, figures = sentence_list((*finding.sentences, *alone)), finding.panels.to_json()
    yield Answer(status(""), HIDDEN, words, rows, figures, note(finding.how_to_read), key)


def show_controls(question: str) -> list[Any]:
    """Return whether a question uses queries, the first and the second instruction."""
    used = [question == "retrieve", question in USES_FIRST, question in USES_SECOND]
    return [gr.update(visible=visible) for visible in used]
