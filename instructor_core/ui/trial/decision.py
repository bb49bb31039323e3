"""The decision of Test on the page, and what it rests on."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from instructor_core.analysis.label_task import Metric
from instructor_core.analysis.labels import Merge, label_issues, merge
from instructor_core.analysis.leaderboard import Standing, Verdict
from instructor_core.analysis.numbers import counted, number
from instructor_core.ui.data.exports import new_path, write_table_csv
from instructor_core.ui.data.inputs import Inputs, format_texts
from instructor_core.ui.feedback import boundary, note, sentence_list, status
from instructor_core.ui.page import HIDDEN, KEEP, SHOWN, Selected
from instructor_core.ui.scene.stage import Words, label_name
from instructor_core.ui.server.progress import describe
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial import TAB
from instructor_core.ui.trial.boards import TABLE_HEADERS, compare_instructions
from instructor_core.ui.trial.comparison import Finding, ScoreBook, request_of

UNLABELLED = (
    "No decision without labels: nothing says which texts belong together.",
    "Next: write a label after each text, parted by a tab, or ask below whether a search finds the right texts.",
)
CAPTION = (
    "Best first; press a row for the labels that it confuses. An empty verdict: cannot be told apart on these texts."
)
FIRST_NUMBER = 3  # column of the table
SHORT = {  # of a verdict, which the caption explains once
    Verdict.BETTER.value: "better",
    Verdict.WORSE.value: "worse",
    Standing.BEST.value: "the best",
    Standing.BETTER.value: "better",
    Standing.WORSE.value: "worse",
}


class DecisionView(NamedTuple):
    """The decision and what stands with it, top to bottom: the components, or what becomes of each."""

    more: Any = KEEP  # the button that tries many wordings, where there are labels to decide by
    line: Any = KEEP
    stop: Any = KEEP
    findings: Any = KEEP
    plots: Any = KEEP
    note: Any = KEEP
    reasons: Any = KEEP
    table: Any = KEEP
    snippet: Any = KEEP
    rows: Any = KEEP  # of the table
    instruction: Any = KEEP
    merges: Any = KEEP
    key: Any = KEEP  # what it was made for


EMPTY = DecisionView(
    line=status(""),
    stop=HIDDEN,
    findings="",
    plots=None,
    note="",
    reasons="",
    table="",
    snippet=HIDDEN,
    rows=[],
    instruction="",
    key=None,
)


@boundary(lambda message: EMPTY._replace(findings=note(message, error=True)))
def decide(
    runtime: Runtime,
    book: ScoreBook,
    names: Sequence[str],
    before: object,
    active: str,
    inputs: Inputs,
    selected: Selected,
    words: Words | None,
    *values: Any,
) -> Generator[DecisionView, None, None]:
    """Compare the instructions step by step, as the options with these names and values ask."""
    request = request_of(inputs, selected, label_name(words, inputs), dict(zip(names, values, strict=True)))
    key = (inputs, request.many, request.candidates, request.metric)
    if active != TAB or key == before:
        yield DecisionView()
        return
    if inputs.labels is None:
        yield EMPTY._replace(more=HIDDEN, findings=sentence_list(UNLABELLED), merges="", key=key)
        return
    yield DecisionView(more=SHOWN, merges=merge_buttons(label_issues(inputs.labels).merges))
    finding = yield from describe(
        compare_instructions(runtime, book, inputs, request),
        lambda line: DecisionView(line=status(line), stop=SHOWN),
    )
    yield show_decision(finding, key)


def show_decision(finding: Finding, key: object) -> DecisionView:
    """Return what shows a finding."""
    headline, *reasons = finding.sentences
    rows, items = finding.table or [], "".join(f"<li>{escape(sentence)}</li>" for sentence in reasons)
    return DecisionView(
        line=status(finding.cost),
        stop=HIDDEN,
        findings=sentence_list([headline, *filter(None, [finding.beside, finding.step])]),
        plots=finding.panels.to_json(),
        note=note(finding.how_to_read),
        reasons=f'<div class="ic-findings"><ul>{items}</ul></div>' if items else "",
        table=table_html(rows),
        snippet=gr.update(value=finding.snippet, visible=True),
        rows=rows,
        instruction=finding.instruction,
        key=key,
    )


def table_html(rows: Sequence[Sequence[str | float]]) -> str:
    """Return the rows of a leaderboard as HTML, escaped: numbers to the right, a verdict only where there is one."""
    numbers = range(FIRST_NUMBER, FIRST_NUMBER + len(Metric))

    def cell(at: int, value: str | float) -> str:
        if isinstance(value, float):
            return f'<td class="ic-number">{number(value, 2)}</td>'
        return f"<td>{escape(SHORT.get(value, '') if at > numbers[-1] else str(value))}</td>"

    heads = "".join(
        f"<th scope='col'{' class=ic-number' if at in numbers else ''}>{escape(head)}</th>"
        for at, head in enumerate(TABLE_HEADERS)
    )
    body = "".join(
        f"<tr><td><button type='button' data-chip='{k}'>{escape(str(row[0]))}</button></td>"
        + "".join(cell(at, value) for at, value in enumerate(row[1:], start=1))
        + "</tr>"
        for k, row in enumerate(rows)
    )
    return f"<table><caption>{CAPTION}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


@boundary(lambda message: (None, status(message, error=True)))
def save_rows(runtime: Runtime, folder: Path, inputs: Inputs, rows: list[list[str | float]]) -> tuple[str | None, str]:
    """Return the path of the rows on screen as a CSV file (None if there are none) and a status."""
    if not rows:
        return None, status("There are no rows yet. Wait for the comparison to end, or label the texts.", error=True)
    path = new_path(folder, "leaderboard.csv")
    write_table_csv(TABLE_HEADERS, rows, runtime.checkpoint(inputs.checkpoint_id), path)
    return str(path), status(f"{path.name}: {counted(len(rows), 'row')}")


def merge_buttons(merges: Sequence[Merge]) -> str:
    """Return a button for each pair of labels that are written alike, as HTML, escaped; "" without any."""
    return "".join(
        f"<button type='button' data-chip='{k}'>merge {escape(merge.label)} ({merge.n_texts}) into "
        f"{escape(merge.into)}</button>"
        for k, merge in enumerate(merges)
    )


def merge_labels(inputs: Inputs, at: int | None = None) -> tuple[Any, str]:
    """Return the texts with one label merged into the one it is probably meant for, or all of them, and a status."""
    merges = label_issues(inputs.labels or ()).merges
    if inputs.labels is None or not merges or (at is not None and not 0 <= at < len(merges)):
        return KEEP, status("No two labels are written alike.")
    chosen = merges if at is None else merges[at : at + 1]
    done = ", ".join(f'"{merge.label}" into "{merge.into}"' for merge in chosen)
    return format_texts(replace(inputs, labels=merge(inputs.labels, chosen))), status(f"Merged {done}.")
