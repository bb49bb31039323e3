"""The page: header, inputs and tabs, put together and connected."""

from __future__ import annotations

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read once, when Gradio is imported
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")  # it makes a table of them after every event
# PyTorch compiles its CPU kernels for each shape of a batch and keeps 1024 of them, 600 MB, in two caches.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
os.environ.setdefault("LRU_CACHE_CAPACITY", "64")

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from instructor_core.queueing import ModelQueue
from instructor_core.ui import trial
from instructor_core.ui.components import HELP_SWITCH, mark_json, selection_mark
from instructor_core.ui.data.examples import Example, load_examples
from instructor_core.ui.data.export_menu import build_export
from instructor_core.ui.data.fingerprints import follow_fingerprints
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.data.sidebar import build_sidebar
from instructor_core.ui.data.text_warnings import follow_warnings
from instructor_core.ui.data.upload_menu import build_upload
from instructor_core.ui.feedback import note, status
from instructor_core.ui.gradio_patches import report_no_progress
from instructor_core.ui.learn import place as learn
from instructor_core.ui.look.views import VIEW_TABS, VIEWS
from instructor_core.ui.page import EACH, IN_TURN, KEEP, LATEST, QUIET, Page, choose_text, connect_stop, join, news
from instructor_core.ui.scene import TABS
from instructor_core.ui.scene.keeping import build_draft, build_link
from instructor_core.ui.scene.selection import build_bottom, build_selection
from instructor_core.ui.scene.stage import Stage, TabOption, Updates, follow_words
from instructor_core.ui.server.api import register_api
from instructor_core.ui.server.run import RunStep, run
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.server.settings import Settings
from instructor_core.ui.trial import place as lab
from instructor_core.ui.trial.decision import merge_labels

TITLE = "Instruction Lens"
TAGLINE = "what an instruction does to INSTRUCTOR text embeddings"
SKIP = '<a class="ic-skip" href="#figures">Skip to the figures</a>'
PLACES = {"Look": VIEWS[0].tab, "Test": trial.TAB, "Learn": learn.TAB}


def facts(runtime: Runtime, inputs: Inputs) -> str:
    """Return the line about the checkpoints of a run, in the order of the menu: width, precision, device."""
    words = []
    for one in inputs.runs:
        model = runtime.encoder(one.checkpoint_id).model
        precision = {"float32": "fp32", "bfloat16": "bf16"}[str(model.dtype).removeprefix("torch.")]
        layout = getattr(model, "layout", None)
        made = f" · {layout.words}" if layout else ""
        words.append(f"{model.dim}-d · {precision} · {runtime.place(one.checkpoint_id)}{made}")
    return status(" | ".join(words))


def template_field(runtime: Runtime, inputs: Inputs) -> list[Any]:
    """Return the field of the template in step with the run; it is seen with checkpoints that have one."""
    template = runtime.template(inputs.checkpoint_id)
    if template is None:
        return [gr.update(value="", visible=False)]  # INSTRUCTOR
    return [gr.update(value=template.string, visible=True, label=f"Template ({template.source})")]


def build_runtime(settings: Settings) -> Runtime:
    """Return what holds the models, as the settings say; nothing is loaded yet."""
    names = ("device", "dtype", "cache_mb", "max_pairs", "threads", "beside_id")
    queue = ModelQueue(max_requests=settings.queue_size)
    return Runtime(settings.checkpoints, queue=queue, **{name: getattr(settings, name) for name in names})


def build_demo(runtime: Runtime) -> gr.Blocks:
    """Return the page on the checkpoints of a runtime; the first of them is loaded."""
    examples = load_examples()
    scene = examples[0].scene(runtime.checkpoints[0].id)
    start = replace(scene.inputs, beside_id=runtime.beside_id)
    demo: gr.Blocks = gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600))
    with demo:
        inputs, selected, active = gr.State(start), gr.State(scene.selected), gr.State(scene.place)
        words = gr.State(None)
        restored = gr.State("")  # made here: within the row of tabs a state would take the place of one
        places, example, checkpoint = _header(runtime, start, examples)
        with gr.Column(elem_id="panel-texts", elem_classes=["ic-over"]):
            upload = gr.Column()
        with gr.Column(elem_id="panel-share", elem_classes=["ic-over"]):
            share = gr.Column()
        entered = gr.Column(elem_classes=["ic-inputs"])
        with gr.Row(elem_classes=["ic-page"]):
            canvas = gr.Column(elem_classes=["ic-main"], elem_id="figures")
            drawer = gr.Column(elem_classes=["ic-drawer"])
        with entered:
            sidebar = build_sidebar(start, drawer)
        with upload:
            build_upload(sidebar, restored, words)
        with canvas:
            point = gr.HTML(elem_id="example-point")
            bar = learn.lesson_bar()
            with gr.Tabs(selected=scene.place) as tabs:
                page = Page(runtime, inputs, selected, active, tabs, restored)
                build: dict[str, Callable[[], dict[str, TabOption]]] = {
                    **{module.TAB: partial(module.build, page, start) for module in VIEW_TABS},
                    trial.TAB: partial(lab.build, page, start, sidebar, words),
                }
                options: dict[str, TabOption] = {}
                for tab_id, title in TABS.items():
                    later = tab_id != scene.place
                    with gr.Tab(title, id=tab_id, elem_id=f"tab-{tab_id}", render_children=later) as tab:
                        if tab_id in build:
                            options |= build[tab_id]()
                        else:
                            learn_tab = gr.Column()  # filled once everything is there that lessons set up
                    tab.select(partial(str, tab_id), None, active, **IN_TURN)
        with drawer:
            build_selection(page, options["explain.view"].component)
        with gr.Row(elem_classes=["ic-bottom"]):
            build_bottom(page)
        stage = Stage(page, sidebar, checkpoint, point, example, options, words)
        with learn_tab:
            lessons = learn.build(stage, bar)
        with share:
            build_link(demo, stage)
            build_export(stage, lessons)
            build_draft(stage)
        register_api(runtime)
        for place, button in places.items():
            page.bring_to_front(place, button)
        _connect(stage, examples)
        page.connect_listeners()
        follow_fingerprints(page, demo, sidebar.fingerprints)
        report_no_progress(demo)
    return demo


def _header(
    runtime: Runtime, start: Inputs, examples: Sequence[Example]
) -> tuple[dict[str, gr.Button], gr.Dropdown, gr.Dropdown]:
    """The line at the top: name and places, whose buttons it returns, menus of examples and checkpoints, panels."""
    with gr.Row(elem_classes=["ic-header"]):
        gr.HTML(f"{SKIP}<h1>{TITLE}</h1><p>{TAGLINE}</p>")
        with gr.Row(elem_classes=["ic-places"]):
            places = {
                tab_id: gr.Button(words, size="sm", min_width=50, elem_id=f"place-{words.lower()}")
                for words, tab_id in PLACES.items()
            }
        with gr.Row(elem_classes=["ic-menus"]):
            example = gr.Dropdown(
                [(entry.title, entry.id) for entry in examples],
                value=examples[0].id,
                label="Example",
                elem_id="example",
                min_width=160,
                interactive=True,  # Gradio would take a menu that no handler reads for one that only shows
            )
            for words, panel in (("Your texts", "texts"), ("Share", "share")):
                button = gr.Button(words, size="sm", min_width=60, elem_id=f"open-{panel}")
                button.click(None, js=f"() => InstructorShell.panel('{panel}')", api_visibility="private")
            menu = gr.Dropdown(
                runtime.choices, value=start.choice, label="Checkpoint", elem_id="checkpoint", min_width=160
            )
            gr.HTML(HELP_SWITCH)
    return places, example, menu


def _connect(stage: Stage, examples: Sequence[Example]) -> None:
    """Connect inputs, run, examples and selection."""
    page, sidebar, menu = stage.page, stage.sidebar, stage.checkpoint
    mark = selection_mark(elem_id="selection-mark")
    entered = [page.inputs, menu, sidebar.template, sidebar.texts, sidebar.count, *sidebar.fields]
    drawing = join(page.drawings)

    def embed(*values: Any, ask: bool = False, afresh: bool = False) -> Generator[list[Any], None, None]:
        """A run that brings the figures of the tab in front along: an event of their own comes as late again."""
        typed, now = list(values[: len(entered)]), values[len(entered) :]
        if afresh:  # another checkpoint: what stands in the field is the template of the one before
            typed[entered.index(sidebar.template)] = ""
        same = [KEEP] * len(drawing.outputs)
        for step in run(page.runtime, *typed, ask=ask):
            figures = same
            if step.inputs is not KEEP:
                after = (
                    step.inputs if it is page.inputs else value for it, value in zip(drawing.inputs, now, strict=True)
                )
                figures = drawing.handler(*after)
            yield [*step._replace(inputs=KEEP), *figures]
            if step.inputs is not KEEP:  # what follows the run is asked for once the figures are on the page
                yield [*RunStep(step.inputs), *same]

    job: dict[str, Any] = {
        "inputs": [*entered, *drawing.inputs],
        "outputs": [page.inputs, sidebar.status, sidebar.summary, sidebar.preview, menu, *drawing.outputs],
        "preprocess": False,  # as in `listen`
        "concurrency_limit": -(-page.runtime.queue.max_requests * 3 // 8),  # the queue of the model is never full
        "concurrency_id": "run",
        **LATEST,
    }
    # What is asked for runs; what typing leads to runs by itself if it is short.
    template, by_typing = sidebar.template, partial(embed, ask=True)
    asked = [sidebar.update.click, page.restored.change, template.submit, template.blur]
    starts: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
        (partial(gr.on, asked), embed),
        (menu.input, partial(embed, afresh=True)),
        (sidebar.edited.change, by_typing),
        (sidebar.live.paused, by_typing),
    ]
    runs = []
    for k, (event, handler) in enumerate(starts):
        runs.append(event(handler, **job, js=f"(...values) => InstructorShell.begins({k}, ...values)"))
        runs[k].then(None, js=f"() => InstructorShell.ran({k})", **QUIET)

    def load(event: gr.SelectData, choice: str) -> Updates:
        entry = next(entry for entry in examples if entry.id == event.value)
        checkpoint_id, beside_id = page.runtime.choose(choice)
        scene = entry.scene(checkpoint_id)
        return stage.show(replace(scene, inputs=replace(scene.inputs, beside_id=beside_id)), note(entry.point))

    # Not `input`: that comes whenever the menu loses the focus, and would undo what was typed.
    stage.example.select(load, menu, stage.components, preprocess=False, **EACH)
    connect_stop(sidebar.stop, runs, sidebar.status)
    follow_words(stage, examples)
    page.follow(partial(template_field, page.runtime), [page.inputs], [sidebar.template])
    page.follow(lambda inputs: [facts(page.runtime, inputs)], [page.inputs], [sidebar.facts])
    follow_warnings(page, sidebar.warnings)
    sidebar.warnings.merge(
        lambda inputs: [merge_labels(inputs)[0], news()], page.inputs, [sidebar.texts, sidebar.edited], **LATEST
    )
    sidebar.preview.item_click(choose_text, page.selected, page.selected, **EACH)
    page.follow(lambda chosen: [mark_json(chosen.row, chosen.column)], [page.selected], [mark])
