"""The place Test laid out and connected: which instruction is good for my data."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from instructor_core.analysis.label_task import Metric
from instructor_core.analysis.numbers import counted
from instructor_core.analysis.suggest import load_builder, suggest
from instructor_core.ui.components import code_view, component, plot_view, token_view
from instructor_core.ui.data.exports import SAVE_FILE
from instructor_core.ui.data.inputs import Inputs, join_ready
from instructor_core.ui.data.sidebar import Sidebar, add_instruction, objective_choices, show_rows
from instructor_core.ui.feedback import boundary, note, status
from instructor_core.ui.gradio_patches import cache_folder, event_data
from instructor_core.ui.look.similarity import TAB as SIMILARITY
from instructor_core.ui.page import (
    EACH,
    HIDDEN,
    IN_TURN,
    KEEP,
    LATEST,
    QUIET,
    Listener,
    Page,
    connect_stop,
    instruction_choices,
    listen,
    menu,
    news,
)
from instructor_core.ui.scene.stage import TabOption
from instructor_core.ui.trial.closer import DECISION, QUESTIONS, Answer, look_closer
from instructor_core.ui.trial.comparison import ScoreBook, subject
from instructor_core.ui.trial.decision import DecisionView, decide, merge_labels, save_rows

METRICS = [(metric.value, metric.name) for metric in Metric]


@boundary(lambda words: (KEEP, note(words, error=True)))
def suggest_candidates(typed: str, domains: list[str], text_types: list[str], objectives: list[str]) -> tuple[str, str]:
    """Return the candidates with all combinations of the chosen slots added, and a note."""
    new = suggest(domains=domains or [""], text_types=text_types, objectives=objectives)
    lines = dict.fromkeys([*(line.strip() for line in typed.splitlines()), *(entry.strip() for entry in new)])
    return "\n".join(line for line in lines if line), note(f"{counted(len(new), 'candidate')} added to the list.")


def open_instruction(instruction: str, count: int, *typed: str) -> list[Any]:
    """Return the matrix, brought to the front, and the fields of instructions with the instruction among them."""
    is_new = instruction and instruction not in map(join_ready, typed[:count])
    shown = add_instruction(typed[:count], instruction) if is_new else typed[:count]
    return [gr.Tabs(selected=SIMILARITY), SIMILARITY, *show_rows(shown)]


def read_button(event: gr.EventData) -> int:
    """Return the number of the button of a row of buttons that was pressed, −1 for none."""
    chip = event_data(event).get("chip")
    return chip if isinstance(chip, int) and not isinstance(chip, bool) else -1


def build(page: Page, start: Inputs, sidebar: Sidebar, words: gr.State) -> dict[str, TabOption]:
    """Lay out the place and connect it; returns its options, by names that stay the same between versions."""
    findings = gr.HTML(elem_id="lab-findings", elem_classes=["ic-decision"])
    plots = plot_view(elem_id="lab-plots", label="Accuracy of the instructions", empty="")
    with gr.Row(elem_classes=["ic-status-row"]):
        more = gr.Button("Try more wordings", variant="primary", size="sm", min_width=130, elem_id="try-wordings")
        stop = gr.Button("Stop", size="sm", min_width=60, elem_id="lab-stop", visible=False)
        line = gr.HTML(status(""), elem_id="lab-status")
    merges = _buttons("lab-merges", "ic-chips")
    explanation = gr.HTML(elem_id="lab-note")
    reasons = gr.HTML(elem_id="lab-reasons")
    snippet = code_view(label="Use it in Python", elem_id="lab-snippet", lines=8, visible=False)
    with gr.Accordion("all rows", open=False, elem_classes=["ic-fold"], elem_id="lab-table-fold"):
        table = _buttons("lab-table", "ic-table")
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
    rows, instruction, decided_for = gr.State([]), gr.State(""), gr.State(None)
    view = DecisionView(
        *(more, line, stop, findings, plots, explanation, reasons, table, snippet, rows, instruction, merges),
        key=decided_for,
    )
    instructions = instruction_choices(start)
    with gr.Row(elem_classes=["ic-options", "ic-closer"]):
        question = gr.Dropdown(
            [(entry.words, entry.name) for entry in QUESTIONS],
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
        closer_stop = gr.Button("Stop", size="sm", min_width=60, elem_id="closer-stop", visible=False)
        closer_line = gr.HTML(status(""), elem_id="closer-status")
    answer = Answer(
        line=closer_line,
        stop=closer_stop,
        findings=gr.HTML(elem_id="closer-findings"),
        rows=token_view(elem_id="lab-rows", label="Words of the instruction", empty=""),
        plots=plot_view(elem_id="closer-plots", label="Answer to the question", empty=""),
        note=gr.HTML(elem_id="closer-note"),
        key=gr.State(None),
    )
    row, tried = gr.State(""), gr.State("")
    options = {
        "lab.question": TabOption(question),
        "lab.candidates": TabOption(candidates),
        "lab.queries": TabOption(queries),
        "lab.metric": TabOption(metric),
        "lab.first": TabOption(a, names_instruction=True),
        "lab.second": TabOption(b, names_instruction=True),
        "lab.row": TabOption(row),
        "lab.many": TabOption(tried),
    }

    book, names = ScoreBook(), list(options)
    read = [page.active, page.inputs, page.selected, words, *(option.component for option in options.values())]
    deciding = Listener(partial(decide, page.runtime, book, names), [decided_for, *read], view)
    looking = Listener(partial(look_closer, page.runtime, book, names), [answer.key, *read], answer)
    uses = {entry.name: entry.uses for entry in QUESTIONS}
    seen = ("lab.queries", "lab.first", "lab.second")
    page.show_controls_for(
        question,
        lambda chosen: [gr.update(visible=name in uses[chosen]) for name in seen],
        [options[name].component for name in seen],
    )
    question.input(lambda: "", None, row, **EACH)  # another question: of no row
    again = gr.State("")  # news: the decision is asked for
    shared = [page.active.change, page.inputs.change, page.restored.change]
    job: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 4, "concurrency_id": "lab"}
    decision = listen([*shared, candidates.blur, candidates.submit, metric.input, again.change], [deciding], **job)
    more.click(lambda inputs: (subject(inputs), news()), page.inputs, [tried, again], **LATEST)
    suggested_now.then(news, None, again, **QUIET)
    asked = [page.selected.change, row.change, question.input, a.input, b.input, queries.blur, queries.submit]
    asked.append(decided_for.change)  # what the decision was made for, which scores and label columns follow
    looked = listen([*shared, *asked], [looking], **job)
    connect_stop(stop, [decision], line)
    connect_stop(closer_stop, [looked], closer_line)
    stop.click(lambda: (HIDDEN, ""), None, [stop, tried], **LATEST)
    closer_stop.click(lambda: HIDDEN, None, closer_stop, **LATEST)

    def open_row(event: gr.EventData, listed: list[list[str | float]]) -> dict[Any, Any]:
        at = read_button(event)
        if not 0 <= at < len(listed):
            return {row: KEEP}
        return {question: "confusions", row: str(listed[at][0])}

    def merge(event: gr.EventData, inputs: Inputs) -> list[Any]:
        return [*merge_labels(inputs, read_button(event)), news()]

    table.pick(open_row, rows, [question, row], **EACH)
    merges.pick(merge, page.inputs, [sidebar.texts, line, page.restored], **EACH)
    saved = save.click(partial(save_rows, page.runtime, cache_folder()), [page.inputs, rows], [file, line], **LATEST)
    saved.then(None, file, js=SAVE_FILE, **LATEST)
    page.follow_instructions(a, b)
    use.click(
        lambda *typed: [*open_instruction(*typed), news()],
        [instruction, sidebar.count, *sidebar.fields],
        [page.tabs, page.active, *sidebar.instructions, page.restored],
        **IN_TURN,
    )
    return options


def _buttons(elem_id: str, elem_class: str) -> gr.HTML:
    """A part of the page whose buttons, `data-chip`, send their number by its event `pick`."""
    script = "InstructorShell.chips(element, trigger, 'pick');"
    return component("${value}", script, "", elem_id=elem_id, elem_classes=[elem_class])


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
            objective_choices(),
            value=[lists.objectives[0].objective],
            multiselect=True,
            label="objectives (· works on instructor-mini)",
            min_width=260,
        )
    add = gr.Button("Add all combinations", size="sm", elem_id="suggest")
    message = gr.HTML()
    added: gr.events.Dependency = add.click(
        suggest_candidates,
        [candidates, domains, text_types, objectives],
        [candidates, message],
        **LATEST,
    )
    return added
