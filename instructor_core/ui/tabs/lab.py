"""Test: which instruction is good for my data. The decision comes first, what it rests on stands beneath."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from instructor_core.analysis.label_task import Metric
from instructor_core.analysis.labels import Merge, label_issues, merged
from instructor_core.analysis.leaderboard import Standing, Verdict
from instructor_core.analysis.numbers import counted, number
from instructor_core.analysis.suggest import load_builder, suggest
from instructor_core.errors import UserError
from instructor_core.ui.components import plot_view, token_view
from instructor_core.ui.downloads import fetch_script, new_path
from instructor_core.ui.experiments import (
    TABLE_HEADERS,
    Experiment,
    Finding,
    Request,
    ScoreBook,
    Steps,
    compare_instructions,
    compare_label_columns,
    find_flips,
    follow_neighbors,
    morph_map,
    search,
    show_confusions,
    show_scores,
    split_variance,
    take_apart,
)
from instructor_core.ui.exports import write_table_csv
from instructor_core.ui.feedback import message_for, note, sentence_list, status
from instructor_core.ui.gradio_patches import cache_folder, event_data
from instructor_core.ui.inputs import Inputs, format_texts, join_ready
from instructor_core.ui.options import TabOption
from instructor_core.ui.page import (
    Page,
    Selected,
    connect_stop,
    follow_instructions,
    instruction_choices,
    menu,
    show_controls_for,
)
from instructor_core.ui.runtime import Runtime
from instructor_core.ui.scene.stage import Words
from instructor_core.ui.sidebar import Sidebar, add_instruction, shown_rows
from instructor_core.ui.tabs.similarity import TAB as SIMILARITY

TAB = "lab"
DECISION = "leaderboard"  # stands over every other question
QUESTIONS = [
    ("choose a question", DECISION),
    ("How sure are the scores, and what do other scores say?", "scores"),
    ("Which labels are confused?", "confusions"),
    ("Does each instruction serve the labels it names?", "columns"),
    ("Which words of an instruction matter?", "words"),
    ("How much of the embeddings is text, how much instruction?", "variance"),
    ("Which texts change sides between two instructions?", "flips"),
    ("How do the neighbours of the selected text move?", "neighbors"),
    ("How does the map move from one instruction to another?", "morph"),
    ("Does a search find the right texts?", "retrieve"),
]
EXPERIMENTS: dict[str, Experiment] = {
    DECISION: compare_instructions,
    "scores": show_scores,
    "confusions": show_confusions,
    "columns": compare_label_columns,
    "words": take_apart,
    "variance": split_variance,
    "flips": find_flips,
    "neighbors": follow_neighbors,
    "morph": morph_map,
    "retrieve": search,
}
USES_FIRST = ("columns", "words", "flips", "morph", "retrieve")
USES_SECOND = ("columns", "flips", "morph", "retrieve")
METRICS = [(metric.value, metric.name) for metric in Metric]
FIRST_NUMBER = 3  # column of the table
SHORT = {  # of a verdict, which the caption explains once
    Verdict.BETTER.value: "better",
    Verdict.WORSE.value: "worse",
    Standing.BEST.value: "the best",
    Standing.BETTER.value: "better",
    Standing.WORSE.value: "worse",
}
CAPTION = (
    "Best first; press a row for the labels that it confuses. An empty verdict: cannot be told apart on these texts."
)
Tried = tuple[str, tuple[str, ...], tuple[str, ...] | None]
Parts = list[Any]


def subject(inputs: Inputs) -> Tried:
    """Return what many wordings are tried for: they are not tried on other texts by themselves."""
    return (inputs.checkpoint_id, inputs.texts, inputs.labels)


def answered(steps: Steps) -> Generator[str, None, Finding]:
    """Yield what an experiment reports, and return what it found, however it ends."""
    with closing(steps):
        return (yield from steps)


def decide(
    page: Page,
    book: ScoreBook,
    active: str,
    inputs: Inputs,
    before: object,
    tried: Tried | None,
    words: Words | None,
    candidates: str | None,
    metric: str,
) -> Generator[Parts, None, None]:
    """Compare the instructions, yielding what `DecisionView` shows and what it was made for."""
    keep = gr.skip()
    typed = candidates or ""  # a field that was never shown sends None
    many = tried == subject(inputs)
    key = (inputs, many, typed, metric)
    if active != TAB or key == before:
        yield [keep] * 12
        return
    shown, hidden = gr.update(visible=True), gr.update(visible=False)
    merges = merge_buttons(label_issues(inputs.labels or ()).merges)
    columns = (words.label_name,) if words and words.label_name and words.texts == inputs.texts else ()
    try:
        if inputs.labels is None:
            yield [status(""), hidden, *unlabelled(), merges, key]
            return
        request = Request(candidates=typed, metric=Metric[metric], many=many, columns=columns)
        steps = answered(compare_instructions(page.runtime, book, inputs, request))
        while True:
            try:
                said = next(steps)
            except StopIteration as stop:
                finding: Finding = stop.value
                break
            yield [status(said), shown, *[keep] * 10]
        yield [status(""), hidden, *decision_parts(finding), merges, key]
    except Exception as error:  # a boundary to the visitor: message_for words whatever went wrong
        yield [status(""), hidden, *nothing_decided(note(message_for(error), error=True)), merges, None]


def decision_parts(finding: Finding) -> Parts:
    """Return decision, figure, note, reasons, table, snippet, rows of the table and instruction."""
    headline, *reasons = finding.sentences
    rows = finding.table or []
    return [
        sentence_list([headline, finding.step]),
        finding.panels.to_json(),
        note(finding.how_to_read),
        list_of(reasons),
        table_html(rows),
        gr.update(value=finding.snippet, visible=True),
        rows,
        finding.instruction,
    ]


def nothing_decided(said: str) -> Parts:
    """Return the same parts where there is nothing but words."""
    return [said, None, "", "", "", gr.update(value="", visible=False), [], ""]


def unlabelled() -> Parts:
    """Return the same parts for texts without labels."""
    return nothing_decided(
        sentence_list(
            [
                "No decision without labels: nothing says which texts belong together.",
                "Next: write a label after each text, parted by a tab, or ask below whether a search finds the "
                "right texts.",
            ]
        )
    )


def list_of(sentences: Sequence[str]) -> str:
    """Return sentences as a quiet list, escaped."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<div class="ic-findings"><ul>{items}</ul></div>' if items else ""


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


def look_closer(
    page: Page,
    book: ScoreBook,
    active: str,
    inputs: Inputs,
    selected: Selected,
    before: object,
    tried: Tried | None,
    question: str,
    candidates: str | None,
    queries: str | None,
    metric: str,
    a: int | None,
    b: int | None,
    row: str,
) -> Generator[Parts, None, None]:
    """Answer a question, yielding (status, Stop, sentences, chips, figures, note, key)."""
    keep, shown, hidden = gr.skip(), gr.update(visible=True), gr.update(visible=False)
    try:
        last = len(inputs.instructions) - 1
        chosen = selected.within(inputs)
        typed, asked = candidates or "", queries or ""
        if question == DECISION and row:  # of an older link
            question = "confusions"
        many = tried == subject(inputs) and question in ("scores", "confusions")
        request = Request(min(a or 0, last), min(b or 0, last), chosen.row, typed, asked, Metric[metric], row, many)
        if question not in ("neighbors", "retrieve"):
            request = replace(request, text=0)
        key = (inputs, question, request)
        if active != TAB or key == before:
            yield [keep] * 7
            return
        if question == DECISION:
            yield [status(""), hidden, "", None, None, "", key]
            return
        steps = answered(EXPERIMENTS[question](page.runtime, book, inputs, request))
        while True:
            try:
                said = next(steps)
            except StopIteration as stop:
                finding: Finding = stop.value
                break
            yield [status(said), shown, *[keep] * 5]
        rows = None if finding.rows is None else finding.rows.to_json()
        words, figures = sentence_list(finding.sentences), finding.panels.to_json()
        yield [status(""), hidden, words, rows, figures, note(finding.how_to_read), key]
    except Exception as error:  # as in `decide`
        yield [status(""), hidden, note(message_for(error), error=True), None, None, "", None]


def show_controls(question: str) -> list[Any]:
    """Return whether a question uses queries, the first and the second instruction."""
    used = [question == "retrieve", question in USES_FIRST, question in USES_SECOND]
    return [gr.update(visible=visible) for visible in used]


def suggested(typed: str, domains: list[str], text_types: list[str], objectives: list[str]) -> tuple[str, str]:
    """Return the candidates with all combinations of the chosen slots added, and a note."""
    try:
        new = suggest(domains=domains or [""], text_types=text_types, objectives=objectives)
    except UserError as error:
        return typed, note(str(error), error=True)
    lines = dict.fromkeys([*(line.strip() for line in typed.splitlines()), *(entry.strip() for entry in new)])
    return "\n".join(line for line in lines if line), note(f"{counted(len(new), 'candidate')} added to the list.")


def open_instruction(instruction: str, count: int, *typed: str) -> list[Any]:
    """Return the matrix, brought to the front, and the fields of instructions with the instruction among them."""
    known = {join_ready(entry) for entry in typed[:count]}
    fields = [count, *shown_rows(count), *typed]
    if instruction and instruction not in known:
        fields = add_instruction(instruction.strip(), count, *typed)
    return [gr.Tabs(selected=SIMILARITY), SIMILARITY, *fields]


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
        return gr.skip(), status("No two labels are written alike.")
    chosen = merges if at is None else merges[at : at + 1]
    done = ", ".join(f'"{merge.label}" into "{merge.into}"' for merge in chosen)
    return format_texts(replace(inputs, labels=merged(inputs.labels, chosen))), status(f"Merged {done}.")


def clicked(event: gr.EventData) -> int:
    """Return the number of the button of a row of buttons that was pressed, −1 for none."""
    chip = event_data(event).get("chip")
    return chip if isinstance(chip, int) and not isinstance(chip, bool) else -1


def save_rows(runtime: Runtime, folder: Path, inputs: Inputs, rows: list[list[str | float]]) -> tuple[str | None, str]:
    """Return the path of the rows on screen as a CSV file (None if there are none) and a status."""
    if not rows:
        return None, status("There are no rows yet. Wait for the comparison to end, or label the texts.", error=True)
    try:
        path = new_path(folder, "leaderboard.csv")
        write_table_csv(TABLE_HEADERS, rows, runtime.checkpoint(inputs.checkpoint_id), path)
    except Exception as error:  # as in `decide`
        return None, status(message_for(error), error=True)
    return str(path), status(f"{path.name}: {counted(len(rows), 'row')}")


@dataclass(frozen=True)
class DecisionView:
    """The decision and what stands with it, top to bottom, and the states behind it."""

    line: gr.HTML
    stop: gr.Button
    findings: gr.HTML
    plots: gr.HTML
    note: gr.HTML
    reasons: gr.HTML
    table: gr.HTML
    snippet: gr.Code
    rows: gr.State
    instruction: gr.State
    merges: gr.HTML
    key: gr.State

    @property
    def outputs(self) -> list[Any]:
        """The components in the order in which `decide` yields."""
        return list(vars(self).values())


def build(page: Page, start: Inputs, sidebar: Sidebar, words: gr.State) -> dict[str, TabOption]:
    """Lay out the place and connect it; returns its options, by names that stay the same between versions."""
    findings = gr.HTML(padding=False, elem_id="lab-findings", elem_classes=["ic-decision"])
    with gr.Row(elem_classes=["ic-status-row"]):
        more = gr.Button("Try more wordings", variant="primary", size="sm", min_width=130, elem_id="try-wordings")
        stop = gr.Button("Stop", size="sm", min_width=60, elem_id="lab-stop", visible=False)
        line = gr.HTML(status(""), elem_id="lab-status", padding=False)
    merges = _buttons("lab-merges", ["ic-chips"])
    plots = plot_view(elem_id="lab-plots", label="Accuracy of the instructions", empty="")
    explanation = gr.HTML(padding=False, elem_id="lab-note")
    reasons = gr.HTML(padding=False, elem_id="lab-reasons")
    snippet = gr.Code(
        language="python",
        label="Use it in Python",
        visible=False,
        wrap_lines=True,
        show_line_numbers=False,
        elem_id="lab-snippet",
    )
    with gr.Accordion("all rows", open=False, elem_classes=["ic-fold"], elem_id="lab-table-fold"):
        table = _buttons("lab-table", ["ic-table"])
        with gr.Row(elem_classes=["ic-status-row"]):
            use = gr.Button("Open the decision's matrix and map", size="sm", elem_id="open-instruction")
            save = gr.Button("Rows as CSV", size="sm", elem_id="save-rows")
            file = gr.DownloadButton(visible="hidden", elem_id="lab-file")
    with gr.Accordion("add candidates", open=False, elem_classes=["ic-fold"], elem_id="lab-candidates"):
        candidates = gr.Textbox(
            label="More candidates, one per line (the instructions above take part)", lines=2, max_lines=8
        )
        suggested_now = _suggestions(candidates)
        metric = gr.Dropdown(METRICS, value=Metric.ACCURACY.name, label="Rank by", min_width=200)
    view = DecisionView(
        *(line, stop, findings, plots, explanation, reasons, table, snippet),
        *(gr.State([]), gr.State(""), merges, gr.State(None)),
    )
    closer = _Closer.build(start)
    tried, book = gr.State(None), ScoreBook()

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last"}
    one_by_one = {**quiet, "trigger_mode": "multiple"}  # keeps the event data of each click
    job = {
        **quiet,
        "concurrency_limit": 4,
        "concurrency_id": "lab",
        "preprocess": False,  # a menu may still hold an instruction that the new run does not have
    }
    deciding: dict[str, Any] = {
        "fn": partial(decide, page, book),
        "inputs": [page.active, page.inputs, view.key, tried, words, candidates, metric],
        "outputs": view.outputs,
        **job,
    }
    looking: dict[str, Any] = {
        "fn": partial(look_closer, page, book),
        "inputs": [
            *(page.active, page.inputs, page.selected, closer.key, tried),
            *(closer.question, candidates, closer.queries, metric, closer.a, closer.b, closer.row),
        ],
        "outputs": closer.outputs,
        **job,
    }
    show_controls_for(page, closer.question, show_controls, [closer.queries, closer.a, closer.b])
    closer.question.input(lambda: "", None, closer.row, **one_by_one)  # another question: of no row
    shared = [page.active.change, page.inputs.change, page.restored.change]
    decisions = [
        gr.on([*shared, candidates.blur, candidates.submit, metric.input], **deciding),
        suggested_now.then(**deciding),
        more.click(subject, page.inputs, tried, **quiet).then(**deciding),
    ]
    asked = [page.selected.change, closer.row.change, closer.question.input, closer.a.input, closer.b.input]
    asked.append(view.key.change)  # what the decision was made for, which scores and label columns follow
    looks = [gr.on([*shared, *asked, closer.queries.blur, closer.queries.submit], **looking)]
    connect_stop(stop, decisions, line)
    connect_stop(closer.stop, looks, closer.line)
    stop.click(lambda: (gr.update(visible=False), None), None, [stop, tried], **quiet)
    closer.stop.click(lambda: gr.update(visible=False), None, closer.stop, **quiet)

    def open_row(event: gr.EventData, rows: list[list[str | float]]) -> tuple[Any, Any]:
        at = clicked(event)
        return ("confusions", str(rows[at][0])) if 0 <= at < len(rows) else (gr.skip(), gr.skip())

    def merge(event: gr.EventData, inputs: Inputs) -> list[Any]:
        return [*merge_labels(inputs, clicked(event)), secrets.token_hex(8)]

    table.pick(open_row, view.rows, [closer.question, closer.row], **one_by_one)
    merges.pick(merge, page.inputs, [sidebar.texts, line, page.restored], **one_by_one)
    saved = save.click(
        partial(save_rows, page.runtime, cache_folder()), [page.inputs, view.rows], [file, line], **quiet
    )
    saved.then(None, file, js=fetch_script("lab-file"), **quiet)
    follow_instructions(page, closer.a, closer.b)
    use.click(
        lambda *typed: [*open_instruction(*typed), secrets.token_hex(8)],
        [view.instruction, sidebar.count, *sidebar.fields],
        [page.tabs, page.active, sidebar.count, *sidebar.rows, *sidebar.fields, page.restored],
        **quiet,
    )
    return {
        "lab.question": TabOption(closer.question),
        "lab.candidates": TabOption(candidates),
        "lab.queries": TabOption(closer.queries),
        "lab.metric": TabOption(metric),
        "lab.first": TabOption(closer.a, names_instruction=True),
        "lab.second": TabOption(closer.b, names_instruction=True),
        "lab.row": TabOption(closer.row),
    }


@dataclass(frozen=True)
class _Closer:
    """The menu of questions, what they need, and where they are answered."""

    question: gr.Dropdown
    queries: gr.Textbox
    a: gr.Dropdown
    b: gr.Dropdown
    row: gr.State
    line: gr.HTML
    stop: gr.Button
    findings: gr.HTML
    chips: gr.HTML
    plots: gr.HTML
    note: gr.HTML
    key: gr.State

    @property
    def outputs(self) -> list[Any]:
        """The components in the order in which `look_closer` yields."""
        return [self.line, self.stop, self.findings, self.chips, self.plots, self.note, self.key]

    @classmethod
    def build(cls, start: Inputs) -> _Closer:
        """Lay it out."""
        instructions = instruction_choices(start)
        with gr.Row(elem_classes=["ic-options", "ic-closer"]):
            question = gr.Dropdown(
                QUESTIONS, value=DECISION, label="Look closer", elem_id="lab-question", min_width=320, filterable=False
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
            line = gr.HTML(status(""), elem_id="closer-status", padding=False)
        return cls(
            *(question, queries, a, b, gr.State(""), line, stop),
            gr.HTML(padding=False, elem_id="closer-findings"),
            token_view(elem_id="lab-rows", label="Words of the instruction", empty=""),
            plot_view(elem_id="closer-plots", label="Answer to the question", empty=""),
            gr.HTML(padding=False, elem_id="closer-note"),
            gr.State(None),
        )


def _buttons(elem_id: str, classes: list[str]) -> gr.HTML:
    """A part of the page whose buttons, `data-chip`, send their number by its event `pick`."""
    return gr.HTML(
        "",
        js_on_load="InstructorShell.chips(element, trigger, 'pick');",
        elem_id=elem_id,
        elem_classes=classes,
        padding=False,
        apply_default_css=False,
    )


def _suggestions(candidates: gr.Textbox) -> gr.events.Dependency:
    """The form that proposes candidates by domain, text type and objective; returns the event that added some."""
    lists = load_builder()
    with gr.Row(elem_classes=["ic-options"]):
        domains = gr.Dropdown(
            list(lists.domains), value=[], multiselect=True, label="domains (optional)", min_width=180
        )
        text_types = gr.Dropdown(
            list(lists.text_types), value=["review"], multiselect=True, label="text types", min_width=180
        )
        objectives = gr.Dropdown(
            [
                (f"{entry.objective} ·" if entry.mini else entry.objective, entry.objective)
                for entry in lists.objectives
            ],
            value=[lists.objectives[0].objective],
            multiselect=True,
            label="objectives (· works on instructor-mini)",
            min_width=260,
        )
    add = gr.Button("Add all combinations", size="sm", elem_id="suggest")
    said = gr.HTML(padding=False)
    added: gr.events.Dependency = add.click(
        suggested,
        [candidates, domains, text_types, objectives],
        [candidates, said],
        show_progress="hidden",
        api_visibility="private",
        trigger_mode="always_last",
    )
    return added
