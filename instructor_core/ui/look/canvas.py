"""The canvas: draws one view of the run, and sends only what came out otherwise than it stands on the page."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import gradio as gr

from instructor_core.analysis.grid import EmbeddingGrid, letter
from instructor_core.cache import CachedEncoder
from instructor_core.figures.checkpoints import HOW_TO_READ, MAX_INSTRUCTIONS, side_by_side
from instructor_core.figures.panels import PanelSet
from instructor_core.figures.token_rows import TokenRows
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.feedback import boundary, note, sentence_list
from instructor_core.ui.page import KEEP, Listener, Page, Selected, listen, visitor_event
from instructor_core.ui.server.runtime import Runtime

MAX_SHARED = 8_000_000  # characters of the latest drawings of a tab


@dataclass(frozen=True, eq=False)
class Context:
    """What a view draws from: the run, what is selected, and the values of the options by their names."""

    runtime: Runtime
    inputs: Inputs
    selected: Selected
    options: Mapping[str, Any]
    lead: Inputs | None = None  # of the first of two checkpoints, for what is drawn of the second

    @property
    def leading(self) -> EmbeddingGrid:
        """The embeddings that say how texts are ordered and maps are turned, in all panels alike."""
        return self.grid if self.lead is None else self.runtime.grid(self.lead)

    @property
    def grid(self) -> EmbeddingGrid:
        """The embeddings of the run; asked for again, they are there."""
        return self.runtime.grid(self.inputs)

    @property
    def encoder(self) -> CachedEncoder:
        """The encoder of the run."""
        return self.runtime.encoder(self.inputs.checkpoint_id)

    def instruction(self, name: str) -> int:
        """Return the instruction that an option names, inside the run: its menu may lag behind."""
        return min(self.options[name] or 0, len(self.inputs.instructions) - 1)


@dataclass(frozen=True, eq=False)
class Drawing:
    """What a view shows: sentences on how to read it, findings, chips and figures."""

    note: tuple[str, ...]
    panels: PanelSet | None
    sentences: tuple[str, ...] = ()
    rows: TokenRows | None = None


@dataclass(frozen=True, eq=False)
class View:
    """One way to see a run; the one record that page, links and lessons read about it."""

    name: str  # value of the option that chooses it; the same in every version
    title: str  # in the menu
    tab: str  # id of the tab in which it stands
    draw: Callable[[Context], Drawing]
    uses: tuple[str, ...] = ()  # names of the controls that it reads; the others are not shown with it
    follows_selection: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)  # of its options, named without the tab
    of_two: bool = False  # whether it shows two checkpoints side by side


@dataclass(frozen=True)
class Canvas:
    """The components on which views are drawn; a tab without findings or chips leaves those out."""

    note: gr.HTML
    plots: gr.HTML
    sentences: gr.HTML | None = None
    rows: gr.HTML | None = None

    @property
    def outputs(self) -> list[gr.HTML]:
        """The components that there are, the note first."""
        return [part for part in (self.note, self.sentences, self.rows, self.plots) if part is not None]

    def values(self, drawing: Drawing) -> list[str | None]:
        """Return a drawing as one value per output."""
        values: list[str | None] = [note(*drawing.note)]
        if self.sentences is not None:
            values.append(sentence_list(drawing.sentences) if drawing.sentences else "")
        if self.rows is not None:
            values.append(None if drawing.rows is None else drawing.rows.to_json())
        return [*values, None if drawing.panels is None else drawing.panels.to_json()]


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a tab shows: what it was drawn for, and a digest of every output."""

    key: object
    digests: tuple[bytes, ...]


class Gallery:
    """The latest drawings of a tab: a class that opens the same link is shown one that was made once.

    Who asks for a drawing while it is being made waits for it. What goes wrong is told to all who wait, and not kept.
    """

    def __init__(self, most: int = MAX_SHARED) -> None:
        self.most = most
        self._lock = Lock()
        self._drawings: OrderedDict[Hashable, Future[list[str | None]]] = OrderedDict()
        self._size = 0  # characters of those that are made

    def get(self, key: Hashable, make: Callable[[], list[str | None]]) -> list[str | None]:
        """Return what was made for a key, or make it."""
        with self._lock:
            found = self._drawings.get(key)
            if found is not None:
                self._drawings.move_to_end(key)
            else:
                mine = self._drawings[key] = Future()
        if found is not None:
            return found.result()
        try:
            made = make()
        except BaseException as error:
            with self._lock:
                self._drawings.pop(key, None)
            mine.set_exception(error)
            raise
        with self._lock:
            mine.set_result(made)
            self._size += _size(mine)
            if self._size > self.most:
                oldest = iter([old for old, drawing in self._drawings.items() if drawing.done()])  # asked for, first
                while self._size > self.most:
                    self._size -= _size(self._drawings.pop(next(oldest)))
        return made


def frozen(value: Any) -> Hashable:
    """Return values of options as a key: some are lists, or hold settings by name."""
    if isinstance(value, Mapping):
        return frozenset((name, frozen(one)) for name, one in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    return value if isinstance(value, Hashable) else repr(value)


def _size(drawing: Future[list[str | None]]) -> int:
    """Characters of a drawing."""
    return sum(len(part or "") for part in drawing.result())


def draw(view: View, context: Context) -> Drawing:
    """Return what a view shows of a run; of two checkpoints it shows both, or says that it is the first alone."""
    first, *others = context.inputs.runs
    drawing = view.draw(replace(context, inputs=first))
    if not others:
        return drawing
    if not view.of_two or drawing.panels is None:
        return replace(drawing, note=(f"This view shows {first.checkpoint} alone.", *drawing.note))
    (second,) = others
    beside = view.draw(replace(context, inputs=second, lead=first))
    assert beside.panels is not None
    names = (first.checkpoint, second.checkpoint)
    cut = ""
    if any((panel.instruction or 0) >= MAX_INSTRUCTIONS for panel in drawing.panels.panels):
        n, last = len(first.instructions), letter(MAX_INSTRUCTIONS - 1)
        cut = f"Panels show instructions A to {last} of {n}; the line below counts all."
    told = (HOW_TO_READ, f"Fingerprints and the card of two texts are of {names[0]}.", context.runtime.memory_of(names))
    notes = (cut, *dict.fromkeys((*drawing.note, *beside.note)), *told)
    return replace(drawing, note=notes, panels=side_by_side(drawing.panels, beside.panels, names))


def keep_unchanged(outputs: Sequence[Any], key: object, before: Drawn | None) -> list[Any]:
    """Return the outputs, ``KEEP`` in place of each that is on the page already, and what is shown then."""
    digests = tuple(hashlib.sha256(repr(output).encode("utf-8", "replace")).digest() for output in outputs)
    known = (None,) * len(digests) if before is None else before.digests
    fresh = [KEEP if digest == old else output for output, digest, old in zip(outputs, digests, known, strict=True)]
    return [*fresh, Drawn(key, digests)]


def choices(views: Sequence[View]) -> list[tuple[str, str]]:
    """Return (title, name) of each view for a menu."""
    return [(view.title, view.name) for view in views]


def redraw(
    page: Page,
    views: Sequence[View],
    canvas: Canvas,
    options: Mapping[str, gr.components.Component],
    *,
    menus: Mapping[str, gr.components.Component] | None = None,
) -> None:
    """Keep the canvas of a tab up to date: when it comes to the front, when the run or an option changes.

    Nothing is computed or sent for a tab that is not in front, nor for one that shows the same already. Which controls
    are seen follows from `View.uses` of the view that the option "<tab>.view" chooses. `options` are the controls whose
    values a view reads, by name; `menus` set the selection, and come and go like them.
    """
    tab, names = views[0].tab, list(options)
    chooser = f"{tab}.view"
    by_name = {view.name: view for view in views}
    drawn, gallery = gr.State(None), Gallery()
    nothing = [KEEP] * (len(canvas.outputs) + 1)

    def chosen(values: Mapping[str, Any]) -> View:
        return by_name[values[chooser]] if chooser in values else views[0]

    @boundary(lambda words: [note(words, error=True), *nothing[1:-1], None])
    def handler(active: str, inputs: Inputs, selected: Selected, before: Drawn | None, *values: Any) -> list[Any]:
        if active != tab:
            return nothing
        context = Context(page.runtime, inputs, selected.within(inputs), dict(zip(names, values, strict=True)))
        view = chosen(context.options)
        key = (inputs, context.selected if view.follows_selection else None, values)
        if before is not None and key == before.key:
            return nothing
        alike = (view.name, inputs, context.selected, frozen(values))
        return keep_unchanged(gallery.get(alike, lambda: canvas.values(draw(view, context))), key, before)

    if chooser in options:
        controls = {name: control for name, control in {**options, **(menus or {})}.items() if name != chooser}
        page.show_controls_for(
            options[chooser],
            lambda name: [gr.update(visible=control in by_name[name].uses) for control in controls],
            list(controls.values()),
        )
    drawing = Listener(
        handler, [page.active, page.inputs, page.selected, drawn, *options.values()], [*canvas.outputs, drawn]
    )
    page.drawings.append(drawing)
    listen(
        [visitor_event(option) for option in options.values()],
        [drawing],
        show_progress="minimal",
        show_progress_on=[canvas.note],
        concurrency_limit=8,
        concurrency_id="draw",
    )
