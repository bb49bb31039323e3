"""A link, a file or an example sets up the whole page, with no option that the page does not offer."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.data.examples import load_examples
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.demo import build_demo
from instructor_core.ui.feedback import note
from instructor_core.ui.page import Selected
from instructor_core.ui.scene import Scene
from instructor_core.ui.scene.keeping import space_id
from instructor_core.ui.scene.link import decode_scene, encode_scene, read_scene_file
from instructor_core.ui.scene.stage import MAX_TYPED, Stage, TabOption, Updates, Words, takes, words_about
from instructor_core.ui.server.runtime import Runtime
from tests.ui.inside import handler, stage_of
from tests.ui.scene.test_link import KNOWN, SCENE, link_to
from tests.ui.stages import INPUTS, small_stage


def test_an_option_is_restored_only_to_a_value_that_it_or_its_run_offers() -> None:
    for made, good, bad in (
        (gr.Radio([("UMAP", "umap"), ("PCA", "pca")]), ["umap", "pca"], ["UMAP", "", None, 1, True]),
        (gr.Dropdown([("A", 0), ("B", 1)]), [0, 1], [2, "0", False, None]),
        (gr.Slider(2, 50), [2, 50, 7.5], [1, 51, 10**400, float("nan"), True, "7", None]),
        (gr.Number(minimum=0), [0, 10**9], [-1, "1", None]),
        (gr.Checkbox(), [True, False], [0, 1, "true", None]),
        (gr.Textbox(), ["", "One.\nTwo."], [1, None, "x" * (MAX_TYPED + 1)]),
        (gr.HTML(), [], ["<b>", 1]),
    ):
        assert all(takes(made, value) for value in good)
        assert not any(takes(made, value) for value in bad)
    menu = TabOption(gr.Dropdown([("A", 0)]), names_instruction=True)
    update = menu.restore(1, INPUTS)
    assert update is not None and update["value"] == 1 and len(update["choices"]) == 2
    assert all(menu.restore(value, INPUTS) is None for value in (2, -1, True, "1", None, 1.0))
    layers = TabOption(gr.Slider(0, 6), most=48)
    assert layers.restore(24, INPUTS) == gr.update(maximum=24, value=24)
    assert layers.restore(3, INPUTS) == gr.update(maximum=6, value=3)
    assert layers.restore(49, INPUTS) is None


@pytest.fixture(scope="module")
def built() -> tuple[gr.Blocks, Stage]:
    demo = gr.Blocks()
    return demo, small_stage(demo)


def test_a_link_sets_up_the_whole_page_and_runs_it(built: tuple[gr.Blocks, Stage]) -> None:
    demo, stage = built
    updates = opened(demo, s=encode_scene(SCENE))
    assert set(updates) <= set(stage.components)
    assert updates[stage.checkpoint] == "instructor-mini"
    assert updates[stage.sidebar.count] == 2
    assert updates[stage.sidebar.fields[0]] == "Represent the text:"
    assert updates[stage.sidebar.texts] == "One.\ta\tx\nTwo.\t\ty"
    assert updates[stage.page.active] == "map"
    assert updates[stage.page.restored]  # what embeds the restored fields
    assert updates[stage.page.selected] == Selected(1, 0, 1)
    assert updates[stage.options["map.method"].component] == "pca"
    assert updates[stage.options["map.center"].component] is True


def test_options_that_the_page_does_not_offer_are_left_aside_with_one_note(built: tuple[gr.Blocks, Stage]) -> None:
    demo, stage = built
    options = {"map.method": "<img src=x onerror=alert(1)>", "__proto__": 1, "map.center": True, "list": [1]}
    updates = opened(demo, s=link_to(options=options))
    assert updates[stage.options["map.method"].component] == "umap"
    assert updates[stage.options["map.center"].component] is True
    message = updates[stage.line]
    assert "3 options in it were left aside" in message and "img" not in message
    assert updates[stage.sidebar.texts] == "One.\nTwo."


def test_a_scene_inherits_no_option_unless_it_leaves_all_as_they_are(built: tuple[gr.Blocks, Stage]) -> None:
    _, stage = built
    method, center = (option.component for option in stage.options.values())
    updates = stage.show(Scene(INPUTS, "map", options={"map.center": True}))
    assert (updates[method], updates[center]) == ("umap", True)
    assert not {method, center} & set(stage.show(Scene(INPUTS, "map", options=None)))


def opened(demo: gr.Blocks, **query: str) -> Updates:
    """What the page does when it is opened with an address."""
    updates: Updates = handler(demo, "from_address")(SimpleNamespace(query_params=query))
    return updates


def another(component: Any) -> Any:
    """A value that a component takes and does not begin with."""
    if isinstance(component, gr.Checkbox):
        return not component.value
    if isinstance(component, gr.Textbox | gr.State):
        return "Typed.\nTwice."
    if isinstance(component, gr.Radio | gr.Dropdown):
        return next(value for _, value in component.choices if value != component.value)
    lowest = component.minimum or 0
    return lowest if component.value != lowest else lowest + 1


def test_the_options_of_every_tab_come_back_on_another_server(demo: gr.Blocks) -> None:
    """Two pages, built one after the other, share nothing but the link."""
    first, second = demo, build_demo(Runtime(CHECKPOINTS, device="cpu"))
    typed = {name: another(option.component) for name, option in stage_of(first).options.items()}
    inputs = Inputs(CHECKPOINTS[0].id, ("Represent the text: ", ""), ("One.", "Two."), ("a", "b"))
    text, message = handler(first, "link")(inputs, Selected(1, 0, 1), "lab", None, *typed.values())
    assert message == "" and len(typed) > 20
    restored = opened(second, s=text)
    for name, option in stage_of(second).options.items():
        value = restored[option.component]
        assert (value["value"] if isinstance(value, dict) else value) == typed[name], name
    note = next(value for value in restored.values() if isinstance(value, str) and "Restored" in value)
    assert "left aside" not in note


def test_without_a_link_or_with_a_broken_one_nothing_changes_but_the_message(built: tuple[gr.Blocks, Stage]) -> None:
    demo, stage = built
    assert opened(demo) == {stage.line: gr.skip()}
    updates = opened(demo, s="<img src=x onerror=alert(1)>")
    assert set(updates) == {stage.line}
    assert 'role="alert"' in updates[stage.line] and "<img" not in updates[stage.line]
    assert "secret" not in str(handler(demo, "from_file")("/secret/path"))  # nobody's fault, and no detail


def test_link_and_file_of_the_page_are_those_of_its_scene(built: tuple[gr.Blocks, Stage]) -> None:
    demo, stage = built
    now = (INPUTS, Selected(9, 9, 9), "map", Words(INPUTS.texts, label_name="mood"), "pca", True)
    text, message = handler(demo, "link")(*now)
    expected = Scene(INPUTS, "map", Selected(1, 1, 1), {"map.method": "pca", "map.center": True}, "mood")
    assert message == "" and decode_scene(text, **KNOWN) == (expected, 0)
    path, _ = handler(demo, "write")(*now)
    assert read_scene_file(Path(path).read_bytes(), **KNOWN) == (expected, 0)
    updates = handler(demo, "from_file")(path)
    assert updates[stage.page.active] == "map"
    assert (updates[stage.words].texts, updates[stage.words].label_name) == (INPUTS.texts, "mood")
    # The name is that of other texts' labels as soon as a text was edited.
    other = stage.scene(INPUTS, Selected(), "map", Words(("Mine.",), label_name="mood"), [1], float("nan"))
    assert (other.options, other.label_name) == ({}, "")


def test_only_a_well_formed_space_name_reaches_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, wanted in (("someone/a-space.1", "someone/a-space.1"), ('x/"+alert(1)+"', ""), ("../x/y", "")):
        monkeypatch.setenv("SPACE_ID", name)
        assert space_id() == wanted


def test_the_line_over_the_tabs_is_about_the_texts_on_screen() -> None:
    examples = load_examples()
    own = examples[0].inputs("instructor-mini")
    assert words_about(own, examples, None) == (note(examples[0].point), "reviews")
    reworded = words_about(replace(own, instructions=("Mood: ",)), examples, None)
    assert "under instructions of your own" in reworded[0] and reworded[1] == "reviews"
    edited = replace(own, texts=("Mine.", *own.texts[1:]))
    assert words_about(edited, examples, None) == (note("Your 16 texts, 2 labels."), None)
    named = words_about(edited, examples, Words(edited.texts, label_name="mood"))[0]
    assert named == note("Your 16 texts, 2 labels (mood).")
    assert words_about(INPUTS, examples, Words(INPUTS.texts, "Restored.")) == ("Restored.", None)
    assert words_about(edited, examples, Words(INPUTS.texts, "Restored."))[0] == note("Your 16 texts, 2 labels.")
