"""Lab: which instruction is good for my data, with controls, intervals and noise floors."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from instructor_core.analysis.label_task import Metric
from instructor_core.analysis.labels import label_issues, merged
from instructor_core.analysis.numbers import counted
from instructor_core.analysis.suggest import load_builder, suggest
from instructor_core.errors import UserError
from instructor_core.ui.components import plot_view, token_view
from instructor_core.ui.downloads import fetch_script, new_path
from instructor_core.ui.experiments import (
    TABLE_HEADERS,
    Experiment,
    Request,
    ScoreBook,
    compare_instructions,
    compare_label_columns,
    find_flips,
    follow_neighbors,
    morph_map,
    search,
    split_variance,
    take_apart,
)
from instructor_core.ui.exports import write_table_csv
from instructor_core.ui.feedback import message_for, note, sentence_list, status
from instructor_core.ui.gradio_patches import cache_folder
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
from instructor_core.ui.sidebar import Sidebar, add_instruction, shown_rows
from instructor_core.ui.tabs.similarity import TAB as SIMILARITY

TAB = "lab"
QUESTIONS = [
    ("best instruction", "leaderboard"),
    ("label columns", "columns"),
    ("words", "words"),
    ("variance", "variance"),
    ("flips", "flips"),
    ("neighbours", "neighbors"),
    ("morph", "morph"),
    ("retrieve", "retrieve"),
]
EXPERIMENTS: dict[str, Experiment] = {
    "leaderboard": compare_instructions,
    "columns": compare_label_columns,
    "words": take_apart,
    "variance": split_variance,
    "flips": find_flips,
    "neighbors": follow_neighbors,
    "morph": morph_map,
    "retrieve": search,
}
COLUMN_WIDTHS = ("88px", "232px", "84px", "92px", "88px", "72px", "96px", "92px", "120px", "110px")  # no word is broken
USES_CANDIDATES = ("leaderboard", "columns")
USES_FIRST = ("words", "flips", "morph", "retrieve")
USES_SECOND = ("flips", "morph", "retrieve")
METRICS = [(metric.value, metric.name) for metric in Metric]


@dataclass(frozen=True)
class Controls:
    """Components whose values make a request, in the order in which handlers get them."""

    question: gr.Radio
    candidates: gr.Textbox
    queries: gr.Textbox
    metric: gr.Dropdown
    a: gr.Dropdown
    b: gr.Dropdown
    row: gr.State

    @property
    def all(self) -> list[Any]:
        """The components as a list."""
        return [self.question, self.candidates, self.queries, self.metric, self.a, self.b, self.row]


def experiment(
    page: Page,
    book: ScoreBook,
    active: str,
    inputs: Inputs,
    selected: Selected,
    before: object,
    question: str,
    candidates: str | None,
    queries: str | None,
    metric: str,
    a: int | None,
    b: int | None,
    row: str,
) -> Generator[list[Any], None, None]:
    """Answer a question, yielding (status, note, sentences, chips, figures, table, snippet, instruction, key)."""
    keep = gr.skip()
    try:
        last = len(inputs.instructions) - 1
        chosen = selected.within(inputs)
        typed, asked = candidates or "", queries or ""  # a field that was never shown sends None
        request = Request(min(a or 0, last), min(b or 0, last), chosen.row, typed, asked, Metric[metric], row)
        uses_text = question in ("neighbors", "retrieve")
        key = (inputs, question, request if uses_text else (request.a, request.b, typed, asked, metric, row))
        if active != TAB or key == before:
            yield [keep] * 9
            return
        steps = EXPERIMENTS[question](page.runtime, book, inputs, request)
        with closing(steps):
            while True:
                try:
                    words = next(steps)
                except StopIteration as stop:
                    finding = stop.value
                    break
                yield [status(words), *[keep] * 8]
        rows = None if finding.rows is None else finding.rows.to_json()
        table = gr.update(value=finding.table or [], visible=finding.table is not None)
        snippet = gr.update(value=finding.snippet, visible=bool(finding.snippet))
        yield [
            status("done"),
            note(finding.how_to_read),
            sentence_list(finding.sentences),
            rows,
            finding.panels.to_json(),
            table,
            snippet,
            finding.instruction,
            key,
        ]
    except Exception as error:  # a boundary to the visitor: message_for words whatever went wrong
        hidden = gr.update(visible=False)
        yield [status(""), note(message_for(error), error=True), "", None, None, hidden, hidden, "", None]


def show_controls(question: str) -> list[Any]:
    """Return what a question uses: candidates, queries, metric, two instructions, suggestions, and what rows need."""
    compares, ranks = question in USES_CANDIDATES, question == "leaderboard"
    used = [compares, question == "retrieve", compares, question in USES_FIRST, question in USES_SECOND]
    return [gr.update(visible=visible) for visible in [*used, compares, ranks, ranks, ranks, ranks]]


def suggested(typed: str, domains: list[str], text_types: list[str], objectives: list[str]) -> tuple[str, str]:
    """Return the candidates with all combinations of the chosen slots added, and a note."""
    try:
        new = suggest(domains=domains or [""], text_types=text_types, objectives=objectives)
    except UserError as error:
        return typed, note(str(error), error=True)
    lines = dict.fromkeys([*(line.strip() for line in typed.splitlines()), *(entry.strip() for entry in new)])
    return "\n".join(line for line in lines if line), note(f"{counted(len(new), 'candidate')} added to the list.")


def open_instruction(instruction: str, count: int, *typed: str) -> list[Any]:
    """Return the Similarity tab, brought to the front, and the fields on the left with the instruction among them."""
    known = {join_ready(entry) for entry in typed[:count]}
    fields = [count, *shown_rows(count), *typed]
    if instruction and instruction not in known:
        fields = add_instruction(instruction.strip(), count, *typed)
    return [gr.Tabs(selected=SIMILARITY), SIMILARITY, *fields]


def merge_labels(inputs: Inputs) -> tuple[Any, str]:
    """Return the texts with labels that are written alike merged, for the field on the left, and a status."""
    merges = label_issues(inputs.labels).merges if inputs.labels is not None else ()
    if not merges or inputs.labels is None:
        return gr.skip(), status("No two labels are written alike.")
    done = ", ".join(f'"{merge.label}" into "{merge.into}"' for merge in merges)
    return format_texts(replace(inputs, labels=merged(inputs.labels, merges))), status(f"Merged {done}.")


def clicked_row(event: gr.SelectData) -> str:
    """Return the name of the row of the leaderboard that was clicked."""
    return str(event.row_value[0])


def save_rows(runtime: Runtime, folder: Path, inputs: Inputs, rows: list[list[str | float]]) -> tuple[str | None, str]:
    """Return the path of the rows on screen as a CSV file (None if there are none) and a status."""
    if not rows:
        return None, status("There are no rows yet. Wait for the comparison to end, or label the texts.", error=True)
    try:
        path = new_path(folder, "leaderboard.csv")
        write_table_csv(TABLE_HEADERS, rows, runtime.checkpoint(inputs.checkpoint_id), path)
    except Exception as error:  # as in `experiment`
        return None, status(message_for(error), error=True)
    return str(path), status(f"{path.name}: {counted(len(rows), 'row')}")


def build(page: Page, start: Inputs, sidebar: Sidebar) -> dict[str, TabOption]:
    """Lay out the tab and connect it; returns its options, by names that stay the same between versions."""
    instructions = instruction_choices(start)
    question = gr.Radio(QUESTIONS, value="leaderboard", label="Question", elem_id="lab-question")
    with gr.Row(elem_classes=["ic-options"]):
        a = menu("First instruction", instructions, 0)
        b = menu("Second instruction", instructions, min(1, len(instructions) - 1))
        metric = gr.Dropdown(METRICS, value=Metric.ACCURACY.name, label="Rank by", min_width=200)
    a.visible = b.visible = False
    with gr.Row(elem_classes=["ic-lab-inputs"]):
        candidates = gr.Textbox(
            label="More candidates, one per line (the instructions on the left take part)", lines=2, max_lines=8
        )
        queries = gr.Textbox(
            label="Queries, one per line, a label after a tab marks relevant texts; the selected text if empty",
            lines=2,
            max_lines=8,
            visible=False,
        )
    row = gr.State("")
    controls = Controls(question, candidates, queries, metric, a, b, row)
    with gr.Accordion("suggest candidates from the paper's template", open=False, elem_classes=["ic-fold"]) as fold:
        suggested_now = _suggestions(candidates)
    with gr.Row(elem_classes=["ic-status-row"]):
        stop = gr.Button("Stop", size="sm", min_width=60, elem_id="lab-stop")
        line = gr.HTML(status(""), elem_id="lab-status", padding=False)
    findings = gr.HTML(padding=False, elem_id="lab-findings")
    with gr.Row(elem_classes=["ic-status-row"]):
        use = gr.Button("Open its matrix and map", size="sm", elem_id="open-instruction")
        overview = gr.Button("Back to all rows", size="sm", elem_id="all-rows")
        save = gr.Button("Rows as CSV", size="sm", elem_id="save-rows")
        merge = gr.Button("Merge labels written alike", size="sm", elem_id="merge-labels")
        file = gr.DownloadButton(visible="hidden", elem_id="lab-file")
    table = gr.Dataframe(
        headers=list(TABLE_HEADERS),
        type="array",
        interactive=False,
        visible=False,
        wrap=True,
        column_widths=list(COLUMN_WIDTHS),
        label="Rows; click one for the labels it confuses",
        elem_id="lab-table",
        max_height=420,
    )
    chips = token_view(elem_id="lab-rows", label="Words of the instruction", empty="")
    plots = plot_view(elem_id="lab-plots", label="Result of the experiment", empty="")
    explanation = gr.HTML(padding=False, elem_id="lab-note")
    snippet = gr.Code(
        language="python",
        label="Use it in Python",
        visible=False,
        wrap_lines=True,
        show_line_numbers=False,
        elem_id="lab-snippet",
    )
    instruction, answered = gr.State(""), gr.State(None)

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last"}
    job: dict[str, Any] = {
        "fn": partial(experiment, page, ScoreBook()),
        "inputs": [page.active, page.inputs, page.selected, answered, *controls.all],
        "outputs": [line, explanation, findings, chips, plots, table, snippet, instruction, answered],
        "trigger_mode": "always_last",
        "concurrency_limit": 4,
        "concurrency_id": "lab",
        "preprocess": False,  # a menu may still hold an instruction that the new run does not have
        **quiet,
    }
    show_controls_for(
        page, question, show_controls, [candidates, queries, metric, a, b, fold, use, overview, save, merge]
    )
    question.input(lambda: "", None, row, **{**quiet, "trigger_mode": "multiple"})  # another question: no row is open
    changed = [page.active.change, page.inputs.change, page.selected.change, page.restored.change, row.change]
    chosen = [entry.input for entry in (question, metric, a, b)]
    typed = [event for entry in (candidates, queries) for event in (entry.blur, entry.submit)]
    jobs = [gr.on([*changed, *chosen, *typed], **job), suggested_now.then(**job)]
    connect_stop(stop, jobs, line)
    table.select(clicked_row, None, row, **{**quiet, "trigger_mode": "multiple"})  # keeps the event data of each click
    overview.click(lambda: "", None, row, **quiet)
    saved = save.click(partial(save_rows, page.runtime, cache_folder()), [page.inputs, table], [file, line], **quiet)
    saved.then(None, file, js=fetch_script("lab-file"), **quiet)
    merge.click(
        lambda inputs: [*merge_labels(inputs), secrets.token_hex(8)],
        page.inputs,
        [sidebar.texts, line, page.restored],
        **quiet,
    )
    follow_instructions(page, a, b)
    use.click(
        lambda *typed: [*open_instruction(*typed), secrets.token_hex(8)],
        [instruction, sidebar.count, *sidebar.fields],
        [page.tabs, page.active, sidebar.count, *sidebar.rows, *sidebar.fields, page.restored],
        **quiet,
    )
    return {
        "lab.question": TabOption(question),
        "lab.candidates": TabOption(candidates),
        "lab.queries": TabOption(queries),
        "lab.metric": TabOption(metric),
        "lab.first": TabOption(a, names_instruction=True),
        "lab.second": TabOption(b, names_instruction=True),
        "lab.row": TabOption(row),
    }


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
