"""A lesson on paper: one HTML page with its questions, figures and answers, which needs nothing else to open."""

from __future__ import annotations

from dataclasses import replace
from html import escape

import numpy as np

from instructor_core.analysis.grid import letter
from instructor_core.cache import CachedEncoder
from instructor_core.figures import theme
from instructor_core.ui.claims import unit_vectors
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.lessons import Lesson, Step

STYLE = """
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #111; background: #fff;
  font: 11pt/1.45 system-ui, sans-serif; }
h1 { font-size: 16pt; } h2 { margin-top: 1.8em; font-size: 12pt; } .who { color: #555; }
table { margin: .5em 0 1em; border-collapse: collapse; font-size: 8pt; font-variant-numeric: tabular-nums; }
.figures { display: flex; flex-wrap: wrap; gap: 0 2em; align-items: flex-end; }
caption { max-width: 16em; text-align: left; font-size: 9pt; }
th { padding: 1px 5px; font-weight: 400; text-align: right; }
td { min-width: 2.4em; padding: 2px 3px; text-align: center; print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
.texts { font-size: 9.5pt; } .ask { font-weight: 600; } .choices { list-style: "\\2610\\00a0\\00a0"; }
.line { height: 2em; border-bottom: 1px solid #999; } section { break-inside: avoid-page; }
.answers { break-before: page; }
"""


def worksheet(encoder: CachedEncoder, lesson: Lesson, checkpoint_id: str) -> str:
    """Return the page: every step with its texts, similarities and question, and the answers on a page of their own."""
    parts = [
        f"<h1>{escape(lesson.title)}</h1>",
        f"<p>{escape(lesson.goal)}</p>",
        f'<p class="who">Computed with {escape(checkpoint_id)}. Name: ____________________ Date: ____________</p>',
    ]
    answers = []
    before: Inputs | None = None
    for number, step in enumerate(lesson.steps, start=1):
        figures = "" if step.inputs == before else _figures(encoder, step.inputs)
        before = step.inputs
        said = f"<h2>{number}</h2><p>{escape(step.say)}</p>"
        parts.append(f"<section>{said}{figures}{_question(step)}</section>")
        answers.append(f"<li>{escape(_answer(encoder, step, checkpoint_id))}</li>")
    parts.append(f'<section class="answers"><h2>Answers</h2><ol>{"".join(answers)}</ol></section>')
    head = f'<meta charset="utf-8"><title>{escape(lesson.title)}</title>'
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n'
    )


def _question(step: Step) -> str:
    asked = f'<p class="ask">{escape(step.question)}</p>'
    if not step.choices:
        return f'{asked}<div class="line"></div>'
    return f'{asked}<ul class="choices">{"".join(f"<li>{escape(choice)}</li>" for choice in step.choices)}</ul>'


def _answer(encoder: CachedEncoder, step: Step, checkpoint_id: str) -> str:
    inputs = step.inputs if step.solution is None else step.solution
    measured = step.claim.measure(encoder, replace(inputs, checkpoint_id=checkpoint_id))
    if not measured.holds:
        listed = ", ".join(f"{slot.replace('_', ' ')} {words}" for slot, words in measured.numbers)
        return f"{checkpoint_id} does otherwise: {listed}."
    if step.solution is None:
        return f"{step.choices[step.answer].rstrip('.')}. {measured.fill(step.explain)}"
    changed = [text for text in step.solution.texts if text not in step.inputs.texts]
    return f"For example: {' '.join(changed)} {measured.fill(step.explain)}"


def _figures(encoder: CachedEncoder, inputs: Inputs) -> str:
    """The numbered texts, and one table of cosines per instruction, coloured on one scale."""
    texts = "".join(f"<li>{escape(text)}</li>" for text in inputs.texts)
    matrices = [unit_vectors(encoder, inputs, k) for k in range(len(inputs.instructions))]
    cosines = [vectors @ vectors.T for vectors in matrices]
    beside = ~np.eye(len(inputs.texts), dtype=bool)
    low = min((float(each[beside].min()) for each in cosines if beside.any()), default=0.0)
    tables = []
    for k, (instruction, matrix) in enumerate(zip(inputs.instructions, cosines, strict=True)):
        numbers = "".join(f"<th>{i + 1}</th>" for i in range(len(matrix)))
        rows = "".join(
            f"<tr><th>{i + 1}</th>{''.join(_cell(float(value), low) for value in row)}</tr>"
            for i, row in enumerate(matrix)
        )
        name = escape(instruction.strip() or "(no instruction)")
        tables.append(f"<table><caption>{letter(k)} · {name}</caption><tr><th></th>{numbers}</tr>{rows}</table>")
    return f'<ol class="texts">{texts}</ol><div class="figures">{"".join(tables)}</div>'


def _cell(value: float, low: float) -> str:
    """One coloured cell with its cosine in two decimals."""
    colors = [[int(color[at : at + 2], 16) for at in (1, 3, 5)] for color in theme.SEQUENTIAL]
    place = min(1.0, max(0.0, (value - low) / max(1e-6, 1.0 - low))) * (len(colors) - 1)
    below = min(int(place), len(colors) - 2)
    mixed = [
        round(start + (end - start) * (place - below))
        for start, end in zip(colors[below], colors[below + 1], strict=True)
    ]
    color = "#" + "".join(f"{c:02x}" for c in mixed)
    return f'<td style="background:{color};color:{theme.ink_on(color)}">{value:.2f}</td>'
