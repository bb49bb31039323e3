"""A lesson on paper: one HTML page with its questions, figures and answers, which needs nothing else to open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from html import escape
from typing import Any

from instructor_core.analysis.grid import letter
from instructor_core.cache import CachedEncoder
from instructor_core.figures import paper
from instructor_core.figures.charts import one_line
from instructor_core.figures.panels import PanelSet
from instructor_core.figures.token_rows import TokenRows
from instructor_core.ui.canvas import Context
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.lessons import Lesson, Step
from instructor_core.ui.progress import finished
from instructor_core.ui.runtime import Runtime
from instructor_core.ui.scene import VIEW_OPTIONS
from instructor_core.ui.trial import TAB
from instructor_core.ui.trial.closer import EXPERIMENTS
from instructor_core.ui.trial.comparison import ScoreBook
from instructor_core.ui.trial.request import Request
from instructor_core.ui.views import view_of

STYLE = """
@page { size: A4; margin: 14mm; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #111; background: #fff;
  font: 10.5pt/1.4 system-ui, sans-serif; }
@media print { body { max-width: none; margin: 0; padding: 0; } }
h1 { margin-top: 0; font-size: 16pt; } h2 { margin: 1.2em 0 0; font-size: 12pt; } p { margin: .5em 0; }
.who, .names { color: #555; font-size: 9pt; } .texts { margin: .5em 0; font-size: 9pt; }
.texts.many { columns: 2; font-size: 8.5pt; } .ask { font-weight: 600; } .choices { list-style: "\\2610\\00a0\\00a0"; }
.line { height: 2em; border-bottom: 1px solid #999; } section { break-inside: avoid; }
.answers { break-before: page; }
"""
MANY = 8  # texts from which a list takes two columns, and only the matrix that a step looks at is printed


def worksheet(runtime: Runtime, lesson: Lesson, checkpoint_id: str, defaults: Mapping[str, Any]) -> str:
    """Return the page: every step with the figure that it asks about, and the answers on a page of their own.

    `defaults` are the values of the options that a step leaves as they are.
    """
    encoder = runtime.encoder(checkpoint_id)
    title = (
        f"<h1>{escape(lesson.title)}</h1><p>{escape(lesson.goal)}</p>"
        f'<p class="who">Computed with {escape(checkpoint_id)}. Live: open the page with ?lesson={escape(lesson.id)} '
        "after its address.<br>Name: ____________________ Date: ____________</p>"
    )
    parts, answers = [], []
    before: Inputs | None = None
    for number, step in enumerate(lesson.steps, start=1):
        said = f"<h2>{number}</h2><p>{escape(step.say)}</p>{_texts(step.inputs, before)}"
        figures = _figures(runtime, step, checkpoint_id, defaults)
        parts.append(f"<section>{title if number == 1 else ''}{said}{figures}{_question(step)}</section>")
        answers.append(f"<li>{_answer(encoder, step, checkpoint_id)}</li>")
        before = step.inputs
    parts.append(f'<section class="answers"><h2>Answers</h2><ol>{"".join(answers)}</ol></section>')
    head = f'<meta charset="utf-8"><title>{escape(lesson.title)}</title><style>{STYLE}{paper.STYLE}</style>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _question(step: Step) -> str:
    asked = f'<p class="ask">{escape(step.question)}</p>'
    if not step.choices:
        return f'{asked}<div class="line"></div>'
    return f'{asked}<ul class="choices">{"".join(f"<li>{escape(choice)}</li>" for choice in step.choices)}</ul>'


def _answer(encoder: CachedEncoder, step: Step, checkpoint_id: str) -> str:
    measured = step.measure(encoder, checkpoint_id)
    if not measured.holds:
        return escape(measured.otherwise(checkpoint_id))
    if step.solution is None:
        right = step.choices[step.answer]
    else:
        right = "For example: " + " ".join(text for text in step.solution.texts if text not in step.inputs.texts)
    return f"<b>{escape(right)}</b><br>{escape(measured.fill(step.explain))}"


def _texts(inputs: Inputs, before: Inputs | None) -> str:
    """The instructions, and the numbered texts with their labels; what stood in the step before is not repeated."""
    parts = []
    if before is None or inputs.instructions != before.instructions:
        named = (f"{letter(k)} · {one_line(each)}" for k, each in enumerate(inputs.instructions))
        parts.append(f'<p class="names">{"<br>".join(map(escape, named))}</p>')
    if before is None or (inputs.texts, inputs.labels) != (before.texts, before.labels):
        labels = inputs.labels or ("",) * len(inputs.texts)
        items = (
            f"<li>{escape(text)}{f' <b>{escape(label)}</b>' if label else ''}</li>"
            for text, label in zip(inputs.texts, labels, strict=True)
        )
        parts.append(f'<ol class="texts{" many" if len(inputs.texts) > MANY else ""}">{"".join(items)}</ol>')
    return "".join(parts)


def _figures(runtime: Runtime, step: Step, checkpoint_id: str, defaults: Mapping[str, Any]) -> str:
    """The tokens or the figures that a step looks at."""
    panels, rows = _drawn(runtime, step, checkpoint_id, defaults)
    if step.look.at.endswith("-rows") and rows is not None:
        return "".join(map(paper.token_row_html, rows.rows)) + f'<p class="who">{escape(paper.TOKEN_KEY)}</p>'
    if panels is None:
        return ""
    looked_at = [each for each in panels.panels if each.instruction is not None]
    looked_at = [each for each in looked_at if letter(each.instruction or 0) == step.look.panel]
    shown = looked_at if looked_at and len(step.inputs.texts) > MANY else panels.panels
    return "".join(paper.panel_html(panel, panels.items) for panel in shown)


def _drawn(
    runtime: Runtime, step: Step, checkpoint_id: str, defaults: Mapping[str, Any]
) -> tuple[PanelSet | None, TokenRows | None]:
    """What the view of a step shows; of an experiment the figure that its verdict rests on."""
    inputs, options = step.scene(checkpoint_id).inputs, {**defaults, **step.options}
    name = str(options.get(VIEW_OPTIONS.get(step.tab, ""), ""))
    if step.tab == TAB:
        finding = finished(EXPERIMENTS[name](runtime, ScoreBook(), inputs, Request()))
        return replace(finding.panels, panels=finding.panels.panels[:1]), finding.rows
    drawing = view_of(step.tab, name).draw(Context(runtime, inputs, step.selected, options))
    return drawing.panels, drawing.rows
