"""Lessons and views on paper: one HTML page with figures, questions and answers, which needs nothing else to open."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit

import segno

from instructor_core.analysis.grid import letter
from instructor_core.errors import UserError
from instructor_core.figures import paper
from instructor_core.figures.charts import one_line
from instructor_core.figures.panels import Panel
from instructor_core.figures.theme import shorten
from instructor_core.ui.components import FILE_POLICY
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.learn.lessons import Lesson, Look, Step, judge, judge_change
from instructor_core.ui.look.canvas import Context, Drawing, draw
from instructor_core.ui.look.projection import UMAP_FOLLOWS
from instructor_core.ui.look.views import view_of
from instructor_core.ui.scene import TABS, VIEW_OPTIONS, Scene
from instructor_core.ui.scene.keeping import PARAMETER
from instructor_core.ui.scene.link import encode_scene
from instructor_core.ui.scene.selection import describe_two
from instructor_core.ui.server.progress import finish
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial import TAB
from instructor_core.ui.trial.closer import DECISION, EXPERIMENTS, QUESTIONS
from instructor_core.ui.trial.comparison import ScoreBook, request_of

STYLE = """
@page { size: A4; margin: 14mm; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #111; background: #fff;
  font: 10.5pt/1.4 system-ui, sans-serif; }
@media print { body { max-width: none; margin: 0; padding: 0; } .screen { display: none; } }
.screen { padding: 6px 12px; border: 1px solid #555; border-radius: 4px; background: #fff; color: #111; font: inherit; }
input.screen { margin: 0 .4em 1.5em 0; } label.screen { margin-right: 1em; padding: 0; border: 0; }
h1 { margin: 0; font-size: 16pt; } h2 { margin: 1.2em 0 0; font-size: 12pt; } p { margin: .5em 0; }
.who, .names { color: #555; font-size: 9pt; } .texts { margin: .5em 0; font-size: 9pt; }
.texts.many { columns: 2; column-gap: 3em; font-size: 8.5pt; }
.texts li { overflow-wrap: anywhere; break-inside: avoid; }
.ask { font-weight: 600; } .choices { list-style: "\\2610\\00a0\\00a0"; }
.line { height: 2em; border-bottom: 1px solid #999; } section { overflow: hidden; break-inside: avoid; }
section.long { break-inside: auto; }
.code { float: right; max-width: 60mm; margin: 1em 0 .5em 1em; color: #555; font-size: 7pt; text-align: right;
  overflow-wrap: anywhere; }
.code svg { display: block; min-width: 20mm; margin: 0 0 1mm auto; } a { color: inherit; }
.figures { clear: right; } .answers { break-before: page; }
#answers:not(:checked) ~ .answers { display: none; }
#answers:not(:checked) ~ .predict td span { visibility: hidden; }
"""
# A step takes one page at most: what is longer is printed smaller. In px, of the height between the margins.
FIT = """<script>
for (const step of document.querySelectorAll("section:not(.long, .answers)"))
  step.style.zoom = Math.min(1, 990 / step.offsetHeight);
</script>"""
MANY = 8  # texts from which a list takes two columns, and only the matrix that a step looks at is printed
MAX_ROWS = 4  # of tokens in a step
MAX_LISTED = 120  # texts of a view
MAX_TEXT = 240  # characters of each
MAX_CODE = 1400  # characters of an address that a telephone still reads from paper
MAX_ADDRESS = 500  # characters of the address of the page
MODULE = 0.35  # mm, of the squares of a code
LINES = 4  # to write on
ASK = "What does the figure say? Write down the texts, by their numbers, that show it."


@dataclass(frozen=True)
class Printer:
    """What a sheet is made with: the models, values of the options that a scene leaves as they are, and the address.

    The address is that at which the visitor has the page, see `page_address`; "" for none.
    """

    runtime: Runtime
    defaults: Mapping[str, Any]
    address: str = ""


def page_address(value: object) -> str:
    """Return the address of the page as a browser sends it, without what follows its path; "" if it is none."""
    try:
        parts = urlsplit(value if isinstance(value, str) and len(value) <= MAX_ADDRESS else "")
    except ValueError:
        return ""
    named = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    return f"{parts.scheme}://{parts.netloc}{parts.path or '/'}" if named else ""


def lesson_sheet(printer: Printer, lesson: Lesson, checkpoint_id: str, *, answers: bool = False) -> str:
    """Return the page: every step with the figure that it asks about, and the answers on a page of their own."""
    head = (
        f"<h1>{escape(lesson.title)}</h1><p>{escape(lesson.goal)}</p>"
        f'<p class="who">Computed with {escape(checkpoint_id)}.<br>Name: ____________________ Date: ____________</p>'
    )
    parts, given = [], []
    before: Inputs | None = None
    for number, step in enumerate(lesson.steps, start=1):
        code = _code(printer.address, {"lesson": lesson.id, "step": number}, f"Step {number} on the live page")
        intro = f"{code}<h2>{number}</h2><p>{escape(step.say)}</p>{_texts(step.inputs, before)}"
        _, drawing = _drawn(printer, step.scene(checkpoint_id))
        figures = _figures(drawing, step.look, len(step.inputs.texts))
        kind = ' class="predict"' if step.choices else ""
        parts.append(f"<section{kind}>{head if number == 1 else ''}{intro}{figures}{_question(step)}</section>")
        given.append(f"<li>{_answer(printer, step, checkpoint_id)}</li>")
        before = step.inputs
    parts.append(f'<section class="answers"><h2>Answers</h2><ol>{"".join(given)}</ol></section>')
    return _page(lesson.title, parts, ("With the answers", answers))


def scene_sheet(printer: Printer, scene: Scene) -> str:
    """Return the page of what is on screen: its figures, the texts by number, room to write, and a link to it."""
    inputs = scene.inputs
    title, drawing = _drawn(printer, scene)
    try:
        code = _code(printer.address, {PARAMETER: encode_scene(scene)}, "This view on the live page")
    except UserError:  # more than a link holds
        code = ""
    head = (
        f"{code}<h1>{escape(title)}</h1>"
        f'<p class="who">Computed with {escape(" and ".join(run.checkpoint for run in inputs.runs))}.<br>'
        f"Name: ____________________ Date: ____________</p>{_names(inputs)}"
    )
    notes = (re.sub(r" ?Click [^.]*\.", "", words) for words in drawing.note)  # nothing is clicked on paper
    read = "".join(f"<p>{escape(words)}</p>" for words in notes if words)
    figures = _figures(drawing)
    room = f'<p class="ask">{ASK}</p>{_LINE * LINES}'
    parts = [
        f'<section class="long">{head}{read}<div class="figures">{figures}</div></section>',
        f"<section>{room}</section>",
        f'<section class="long"><h2>The texts</h2>{_list(inputs)}</section>',
    ]
    if drawing.sentences:
        found = "".join(f"<li>{escape(sentence.replace('`', ''))}</li>" for sentence in drawing.sentences)
        parts.append(f'<section class="answers"><h2>What the page says of it</h2><ul>{found}</ul></section>')
    return _page(title, parts, ("With what the page says of it", False) if drawing.sentences else None)


_LINE = '<div class="line"></div>'


def _page(title: str, parts: Sequence[str], answers: tuple[str, bool] | None) -> str:
    """The page around its parts; the box that shows the answers is on the screen only, as is the button that prints."""
    words, checked = answers or ("", False)
    box = (
        f'<input type="checkbox" id="answers" class="screen"{" checked" if checked else ""}>'
        f'<label for="answers" class="screen">{words}</label>'
    )
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{FILE_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{STYLE}{paper.STYLE}</style>"
    )
    button = '<button type="button" class="screen" onclick="print()">Print</button>'
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>{box if answers else ""}{button}'
        f"\n{body}\n</main>{FIT}</body></html>\n"
    )


def _code(address: str, place: Mapping[str, object], words: str) -> str:
    """The link to a place of the page, as words, and as a code where it is short enough for one."""
    if not address:
        return ""
    url = f"{address}?{urlencode(place)}"
    drawn = ""
    if len(url) <= MAX_CODE:
        made = segno.make(url, error="l", micro=False)
        width = MODULE * made.symbol_size(border=2)[0]
        drawn = made.svg_inline(border=2, omitsize=True, title=words).replace("<svg", f'<svg width="{width:.0f}mm"', 1)
    printed = f"<br>{escape(url)}" if len(url) <= 120 else ""
    return f'<p class="code">{drawn}<a href="{escape(url)}">{escape(words)}</a>{printed}</p>'


def _question(step: Step) -> str:
    asked = f'<p class="ask">{escape(step.question)}</p>'
    if not step.choices:
        return asked + _LINE * 2
    choices = "".join(f"<li>{escape(choice)}</li>" for choice in step.choices)
    return f'{asked}<ul class="choices">{choices}</ul><p>Because</p>{_LINE}'


def _answer(printer: Printer, step: Step, checkpoint_id: str) -> str:
    """What the page says to the right choice, or to a change that does what is asked for."""
    encoder = printer.runtime.encoder(checkpoint_id)
    if step.solution is None:
        verdicts = [judge(encoder, step, checkpoint_id, choice) for choice in range(len(step.choices))]
        verdicts.insert(0, verdicts.pop(step.answer))
    else:
        scene = step.solved(checkpoint_id)
        verdicts = [judge_change(encoder, step, scene.inputs, scene.selected)]
    first, *others = verdicts
    if first.kind != "right":
        return escape(first.words)
    if step.solution is None:
        right = step.choices[step.answer]
    else:
        before = (*step.inputs.instructions, *step.inputs.texts)
        made = [new for new in (*step.solution.instructions, *step.solution.texts) if new not in before]
        right = f"For example: {' · '.join(made)}" if made else "For example"
    answers = [f"<b>{escape(right)}</b>: {escape(first.words.partition('. ')[2])}"]
    answers += [f"{escape(step.choices[each.choice or 0])}: {escape(each.words.partition('. ')[2])}" for each in others]
    return "<br>".join(answers)


def _texts(inputs: Inputs, before: Inputs | None) -> str:
    """The instructions and the texts of a step; what stood in the step before is not repeated."""
    names = before is None or inputs.instructions != before.instructions
    texts = before is None or (inputs.texts, inputs.labels) != (before.texts, before.labels)
    return (_names(inputs) if names else "") + (_list(inputs) if texts else "")


def _names(inputs: Inputs) -> str:
    named = (f"{letter(k)} · {one_line(each)}" for k, each in enumerate(inputs.instructions))
    return f'<p class="names">{"<br>".join(map(escape, named))}</p>'


def _list(inputs: Inputs) -> str:
    """The numbered texts with their labels."""
    labels = inputs.labels or ("",) * len(inputs.texts)
    items = "".join(
        f"<li>{escape(shorten(text, MAX_TEXT))}{f' <b>{escape(shorten(label, 40))}</b>' if label else ''}</li>"
        for text, label in zip(inputs.texts[:MAX_LISTED], labels, strict=False)
    )
    more = len(inputs.texts) - MAX_LISTED
    left = f'<p class="who">And {more} more.</p>' if more > 0 else ""
    return f'<ol class="texts{" many" if len(inputs.texts) > MANY else ""}">{items}</ol>{left}'


def _figures(drawing: Drawing, look: Look | None = None, n_texts: int = 0) -> str:
    """Tokens and figures, or of both what a step looks at; of many texts the figure of one instruction."""
    tokens, at_rows = "", look is not None and look.at.endswith("-rows")
    if drawing.rows is not None and (look is None or at_rows):
        scale = drawing.rows.scale
        rows = drawing.rows.rows if look is None else drawing.rows.rows[:MAX_ROWS]
        drawn = "".join(paper.token_row_html(row, scale) for row in rows)
        tokens = f'{drawn}{paper.scale_html(scale)}<p class="who">{escape(paper.TOKEN_KEY)}</p>'
    if drawing.panels is None or (tokens and at_rows):
        return tokens
    panels: Sequence[Panel] = drawing.panels.panels
    if look is not None and n_texts > MANY:
        panels = [each for each in panels if each.instruction is not None and letter(each.instruction) == look.panel]
    drawn = "".join(paper.panel_html(each, drawing.panels.items) for each in panels or drawing.panels.panels)
    return tokens + paper.scale_html(drawing.panels.scale) + drawn


def _drawn(printer: Printer, scene: Scene) -> tuple[str, Drawing]:
    """A title, and what a scene shows; of Test the figure that its verdict rests on."""
    inputs, options = scene.inputs, {**printer.defaults, **(scene.options or {})}
    name = str(options.get(VIEW_OPTIONS.get(scene.place, ""), ""))
    if scene.place == TAB:
        asked = next(question.words for question in QUESTIONS if question.name == name)
        title = "Which instruction is better?" if name == DECISION else asked
        request = request_of(inputs, scene.selected, scene.label_name, options)
        finding = finish(EXPERIMENTS[name](printer.runtime, ScoreBook(), inputs, request))
        panels = replace(finding.panels, panels=finding.panels.panels[:1])
        return title, Drawing((finding.how_to_read,), panels, finding.sentences, finding.rows)
    view = view_of(scene.place, name)
    options["map.n_components"] = 2  # as paper has
    if options["map.method"] == "auto":
        options["map.method"] = "umap" if len(inputs.texts) in UMAP_FOLLOWS else "pca"
    drawing = draw(view, Context(printer.runtime, inputs, scene.selected.within(inputs), options))
    title = TABS[scene.place] if view.title == TABS[scene.place] else f"{TABS[scene.place]}: {view.title}"
    last_line = (describe_two(printer.runtime, inputs),) if inputs.beside_id else ()
    return title, replace(drawing, note=(*drawing.note, *last_line))
