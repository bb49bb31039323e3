"""Two checkpoints side by side: chosen in the menu, embedded in one run, drawn in pairs, decided apart."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.analysis.checkpoints import agreement
from instructor_core.analysis.numbers import share
from instructor_core.hub import Checkpoint, local_checkpoint
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.data.worksheet import Printer, scene_sheet
from instructor_core.ui.demo import build_demo
from instructor_core.ui.look.canvas import Context, Drawing, draw
from instructor_core.ui.look.views import VIEWS
from instructor_core.ui.page import Selected
from instructor_core.ui.scene import Scene
from instructor_core.ui.scene.selection import describe_nearest
from instructor_core.ui.server.progress import finish
from instructor_core.ui.server.run import RunStep, run
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial.boards import compare_instructions, show_confusions
from instructor_core.ui.trial.comparison import Request, ScoreBook
from tests.ui.inside import options_of

TEXTS = tuple(f"{word} number {i}" for i in range(6) for word in ("soup", "rain"))
LABELS = ("food", "weather") * 6
Draw = Callable[..., Drawing]


@pytest.fixture(scope="module")
def runtime(checkpoint_a: Path, checkpoint_b: Path) -> Runtime:
    """Two random checkpoints of unlike widths, and the first once more under another name."""
    both = (local_checkpoint(checkpoint_a), local_checkpoint(checkpoint_b))
    return Runtime((*both, Checkpoint("twin", str(checkpoint_a))), device="cpu", beside_id=both[1].id)


@pytest.fixture(scope="module")
def inputs(runtime: Runtime) -> Inputs:
    first, second, _ = (each.id for each in runtime.checkpoints)
    return Inputs(first, ("Topic: ", "Mood: "), TEXTS, LABELS, beside_id=second)


@pytest.fixture(scope="module")
def options(runtime: Runtime) -> dict[str, Any]:
    return {**options_of(build_demo(runtime)), "map.fitted": None, "explain.second_instruction": 1}


@pytest.fixture(scope="module")
def drawn(options: dict[str, Any]) -> Draw:
    def draw_it(runtime: Runtime, inputs: Inputs, tab: str, name: str = "") -> Drawing:
        view = next(view for view in VIEWS if view.tab == tab and name in ("", view.name))
        return draw(view, Context(runtime, inputs, Selected(), options))

    return draw_it


def started(runtime: Runtime, before: Inputs, choice: str, texts: str = "\n".join(TEXTS)) -> RunStep:
    *_, last = run(runtime, before, choice, "", texts, len(before.instructions), *before.instructions)
    return last


def test_the_menu_offers_each_checkpoint_and_each_two_of_the_registry(runtime: Runtime) -> None:
    a, b, twin = (each.id for each in runtime.checkpoints)
    assert [value for _, value in runtime.choices] == [a, b, twin, f"{a} + {b}", f"{a} + {twin}", f"{b} + {twin}"]
    assert runtime.choices[3][0] == f"{a} + {b}, side by side (on this machine)"
    assert runtime.choose(f"{a} + {b}") == (a, b) and runtime.choose(b) == (b, "")
    far = Runtime((Checkpoint("x", "o/x", "r", 0, 440), Checkpoint("y", "o/y", "r", 0, 1340)))
    assert far.choices[2] == ("x + y, side by side (download 1.8 GB)", "x + y")


def test_one_run_embeds_under_both_and_a_mistake_leaves_the_page_as_it_is(
    runtime: Runtime, inputs: Inputs, checkpoint_a: Path, checkpoint_b: Path
) -> None:
    alone = replace(inputs, beside_id="", labels=None)
    last = started(runtime, alone, inputs.choice)
    assert last.inputs == replace(inputs, labels=None)
    assert ">48 pairs · " in last.line  # 2 x 12 under each
    for one, folder in zip(last.inputs.runs, (checkpoint_a, checkpoint_b), strict=True):
        expected = InstructorModel(folder, device="cpu").encode(one.pairs)
        np.testing.assert_allclose(runtime.grid(one).embeddings.reshape(expected.shape), expected, atol=1e-5)
    assert runtime.grid(last.inputs) is runtime.grid(last.inputs.runs[0])
    for choice in (f"{inputs.checkpoint_id} + /etc", f"{inputs.choice} + twin"):
        refused = started(runtime, last.inputs, choice)
        assert "There is no checkpoint" in refused.line and refused.checkpoint == inputs.choice


@pytest.mark.parametrize("view", [view for view in VIEWS if view.of_two], ids=lambda view: f"{view.tab} {view.name}")
def test_views_of_two_show_the_figures_of_each_in_pairs(
    runtime: Runtime, inputs: Inputs, drawn: Draw, view: Any
) -> None:
    first, second = (drawn(runtime, one, view.tab, view.name).panels for one in inputs.runs)
    both = drawn(runtime, inputs, view.tab, view.name).panels
    assert [panel.title for panel in both.panels] == [panel.title for panel in first.panels for _ in (0, 1)]
    names = [panel.subtitle.split(" · ")[0] for panel in both.panels]
    assert names == [inputs.checkpoint_id, inputs.beside_id] * len(first.panels)
    for at, alone in enumerate((first, second)):
        for panel, expected in zip(both.panels[at::2], alone.panels, strict=True):
            traces, others = panel.figure.data, expected.figure.data
            name = "z" if traces[0].type == "heatmap" else "x"
            if (view.tab, at) != ("map", 1):  # which is turned
                np.testing.assert_array_equal(traces[0][name], others[0][name])
            if name == "z" and both.scale is not None:
                assert (traces[0].zmin, traces[0].zmax) == (both.scale.low, both.scale.high)
    assert set(both.items) == set(TEXTS) or not both.items
    json.loads(both.to_json())


def test_the_second_map_is_turned_onto_the_first_and_texts_have_one_order(
    runtime: Runtime, inputs: Inputs, drawn: Draw
) -> None:
    twins = replace(inputs, beside_id="twin")
    maps = drawn(runtime, twins, "map").panels
    for a, b in zip(maps.panels[::2], maps.panels[1::2], strict=True):
        np.testing.assert_allclose(a.figure.data[0].x, b.figure.data[0].x, atol=1e-4)
    without = replace(inputs, labels=None)
    matrices = drawn(runtime, without, "similarity", "matrices").panels
    assert len({tuple(panel.figure.data[0].meta["rows"]) for panel in matrices.panels}) == 1


def test_many_instructions_are_cut_and_other_views_are_of_the_first_and_both_say_so(
    runtime: Runtime, inputs: Inputs, drawn: Draw
) -> None:
    many = replace(inputs, instructions=tuple(f"Topic {k}: " for k in range(6)))
    drawing = drawn(runtime, many, "nearest")
    assert [panel.instruction for panel in drawing.panels.panels] == [k for k in range(4) for _ in "AB"]
    assert "Panels show instructions A to D of 6; the line below counts all." in drawing.note
    assert any("of weights" in sentence for sentence in drawing.note)
    for tab in ("tokens", "explain"):
        alone = drawn(runtime, inputs, tab)
        assert alone.note[0] == f"This view shows {inputs.checkpoint_id} alone."
        assert drawn(runtime, inputs.runs[0], tab).note == alone.note[1:]


def test_the_line_below_says_how_far_the_checkpoints_agree(runtime: Runtime, inputs: Inputs) -> None:
    results = [agreement(*pair) for pair in zip(*(runtime.grid(one).vectors for one in inputs.runs), strict=True)]
    line = describe_nearest(runtime, inputs)
    for name, one in zip("AB", results, strict=True):
        assert f"{name}: {share(one.overlap)}" in line and one.cka is not None and share(one.cka) in line
    same = describe_nearest(runtime, replace(inputs, beside_id="twin"))
    assert "A: 1.00 of the 5 nearest texts in common (.45 by chance), CKA 1.00, .00 of triplets flipped" in same
    assert "at least 3 texts" in describe_nearest(runtime, replace(inputs, texts=TEXTS[:2], labels=None))


def test_on_paper_both_are_named_and_compared(runtime: Runtime, inputs: Inputs, options: dict[str, Any]) -> None:
    sheet = scene_sheet(Printer(runtime, options, ""), Scene(inputs, "map"))
    assert f"Computed with {inputs.checkpoint_id} and {inputs.beside_id}." in sheet
    assert sheet.count("<svg") >= 4 and "of triplets flipped" in sheet


def test_test_decides_under_each_and_lists_the_rows_of_both(runtime: Runtime, inputs: Inputs) -> None:
    book = ScoreBook()
    both = finish(compare_instructions(runtime, book, inputs, Request()))
    alone = [finish(compare_instructions(runtime, book, one, Request())) for one in inputs.runs]
    names = (inputs.checkpoint_id, inputs.beside_id)
    assert [both.sentences[0], both.beside] == [
        f"{name}: {one.sentences[0]}" for name, one in zip(names, alone, strict=True)
    ]
    assert both.table == [
        [f"{row[0]} · {name}", *row[1:]] for name, one in zip(names, alone, strict=True) for row in one.table or []
    ]
    assert both.instruction == alone[0].instruction and both.snippet == alone[0].snippet
    assert len({panel.figure.layout.xaxis.range for panel in both.panels.panels}) == 1
    for name, one in zip(names, inputs.runs, strict=True):
        asked = finish(show_confusions(runtime, book, inputs, Request(row=f"A · {name}")))
        expected = finish(show_confusions(runtime, book, one, Request(row="A")))
        assert asked.panels.alt == expected.panels.alt and asked.sentences == (f"{name}: {expected.sentences[0]}",)
