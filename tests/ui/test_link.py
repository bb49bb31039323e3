"""Links and state files: what is on the page comes back, and a stranger's link is data at most."""

from __future__ import annotations

import base64
import inspect
import json
import string
import time
import zlib
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from instructor_core.errors import UserError
from instructor_core.hub import CHECKPOINTS, local_checkpoint
from instructor_core.ui import link
from instructor_core.ui.demo import build_demo
from instructor_core.ui.examples import load_examples
from instructor_core.ui.inputs import MAX_TEXTS, Inputs, join_ready
from instructor_core.ui.link import (
    MAX_FILE_BYTES,
    MAX_LINK,
    MAX_LINK_BYTES,
    State,
    decode_state,
    encode_state,
    read_state_file,
    state_file,
)
from instructor_core.ui.link_menu import Target, build_link, restore, space_id, state_of
from instructor_core.ui.options import MAX_TYPED, TabOption, takes
from instructor_core.ui.page import Page, Selected
from instructor_core.ui.runtime import Runtime
from instructor_core.ui.sidebar import build_sidebar
from instructor_core.ui.strings import one_line

KNOWN: dict[str, Any] = {"checkpoints": ("instructor-mini", "instructor-base"), "tabs": ("similarity", "map", "tokens")}
INPUTS = Inputs("instructor-mini", ("Represent the text: ", ""), ("One.", "Two."), ("a", ""), (("x", "y"),))
STATE = State(INPUTS, "map", Selected(1, 0, 1), (("map.method", "pca"), ("map.center", True), ("n", 3)))
FIELDS: dict[str, Any] = {
    "v": 1,
    "checkpoint": "instructor-mini",
    "instructions": ["Represent the text:"],
    "texts": ["One.", "Two."],
}

WORDS = st.text(st.characters(codec=None), max_size=30).map(one_line)
TEXTS = WORDS.filter(bool)


@st.composite
def states(draw: st.DrawFn) -> State:
    texts = draw(st.lists(TEXTS, min_size=1, max_size=12))
    column = st.lists(WORDS, min_size=len(texts), max_size=len(texts)).filter(any).map(tuple)
    columns = draw(st.lists(column, max_size=3))
    inputs = Inputs(
        draw(st.sampled_from(KNOWN["checkpoints"])),
        tuple(map(join_ready, draw(st.lists(WORDS, min_size=1, max_size=8)))),
        tuple(texts),
        columns[0] if columns else None,
        tuple(columns[1:]),
    )
    value = st.one_of(st.none(), st.booleans(), st.integers(-1000, 1000), st.floats(-9, 9), st.text(string.printable))
    options = draw(st.dictionaries(st.text(string.printable, max_size=20), value, max_size=5))
    selected = Selected(*draw(st.tuples(*[st.integers(0, 30)] * 3))).within(inputs)
    return State(inputs, draw(st.sampled_from(KNOWN["tabs"])), selected, tuple(options.items()))


def packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(content, 9)).decode().rstrip("=")


def link_to(**fields: object) -> str:
    return packed(json.dumps({**FIELDS, **fields}).encode())


def refusal(text: str) -> str:
    with pytest.raises(UserError) as caught:
        decode_state(text, **KNOWN)
    return str(caught.value)


# ----------------------------------------------------------------------------------------------------- there and back


@given(states())
def test_a_state_comes_back_from_its_link_and_its_file(state: State) -> None:
    text = encode_state(state)
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")
    assert decode_state(text, **KNOWN) == state
    assert read_state_file(state_file(state), **KNOWN) == state


def test_the_texts_of_all_examples_together_fit_a_link() -> None:
    texts = tuple(dict.fromkeys(text for entry in load_examples() for text in entry.texts))
    assert len(texts) > 100
    assert len(encode_state(State(Inputs("instructor-mini", ("",), texts, None), "map"))) < MAX_LINK


def test_a_state_past_the_size_of_a_link_fits_a_file_and_the_message_says_so() -> None:
    texts = tuple(base64.b64encode(bytes((i * j) % 251 for j in range(60))).decode() for i in range(400))
    state = State(Inputs("instructor-mini", ("",), texts, None), "similarity")
    with pytest.raises(UserError, match=r"A link may have 7000 characters: .* as a file"):
        encode_state(state)
    assert read_state_file(state_file(state), **KNOWN) == state


def test_a_state_past_the_size_of_a_file_is_refused() -> None:
    state = State(Inputs("instructor-mini", ("",), ("x" * 20_000,) * 300, None), "similarity")
    with pytest.raises(UserError, match="5 MB"):
        state_file(state)
    with pytest.raises(UserError, match="5 MB"):
        read_state_file(b" " * (MAX_FILE_BYTES + 1), **KNOWN)


# ------------------------------------------------------------------------------------------------------------ hostile


@settings(max_examples=200)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(packed), st.from_regex(r"[\w-]{0,80}")))
@example("")
@example("e" * 100_000)
@example("eJw=é")
def test_any_string_is_a_state_or_a_message(text: str) -> None:
    refusal(text)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.sampled_from(["checkpoint", "instructions", "texts", "labels", "tab", "selected", "options", "v"]), JSON)
def test_any_json_in_any_field_is_a_state_or_a_message(name: str, value: object) -> None:
    try:
        state = decode_state(link_to(**{name: value}), **KNOWN)
    except UserError as error:
        assert str(error)
        return
    assert state.inputs.checkpoint_id in KNOWN["checkpoints"] and state.tab in KNOWN["tabs"]
    assert all(isinstance(text, str) and text for text in state.inputs.texts)
    assert state.selected == state.selected.within(state.inputs)
    assert min(state.selected.row, state.selected.column, state.selected.instruction) >= 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"v": 2}, "version 1"),
        ({"v": True}, "version 1"),
        ({"checkpoint": "../../etc/passwd"}, "not offered here"),
        ({"checkpoint": "http://example.org/model"}, "not offered here"),
        ({"checkpoint": ["instructor-mini"]}, "not offered here"),
        ({"instructions": [""] * 3000}, "3000 instructions"),
        ({"instructions": ["x" * 2001]}, "more than 2000 characters"),
        ({"texts": []}, "0 texts"),
        ({"texts": ["One."] * (MAX_TEXTS + 1)}, f"{MAX_TEXTS + 1} texts"),
        ({"texts": ["x" * 20_001]}, "more than 20000 characters"),
        ({"texts": [" \t\u2028 "]}, "empty"),
        ({"texts": ["One.", 2]}, "not a list of strings"),
        ({"texts": {"0": "One."}}, "not a list of strings"),
        ({"labels": [["a"]]}, "1 labels, and 2 to 2"),
        ({"labels": [["a", "b"]] * 11}, "at most 10 columns"),
    ],
)
def test_what_the_page_does_not_take_is_refused_with_the_reason(fields: dict[str, object], words: str) -> None:
    assert words in refusal(link_to(**fields))


@pytest.mark.parametrize("content", [b"NaN", b'{"v": NaN}', b"[" * 100_000, b"9" * 10_000, b"\xff", b"null", b""])
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    assert "does not hold a state" in refusal(packed(content))
    with pytest.raises(UserError):
        read_state_file(content, **KNOWN)


def test_a_link_that_unpacks_to_gigabytes_is_stopped_at_the_bound() -> None:
    bomb = packed(b" " * 4_000_000)
    assert len(bomb) < MAX_LINK
    start = time.monotonic()
    assert f"more than {MAX_LINK_BYTES / 1e6:.0f} MB" in refusal(bomb)
    assert time.monotonic() - start < 0.5


def test_a_link_that_is_cut_off_is_refused() -> None:
    text = encode_state(STATE)
    for end in range(0, len(text) - 1, 7):
        refusal(text[:end])


def test_unknown_and_prototype_keys_are_left_aside() -> None:
    hostile = {"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}, "onload": "alert(1)"}
    plain = decode_state(link_to(), **KNOWN)
    assert decode_state(link_to(**hostile, options=hostile), **KNOWN).inputs == plain.inputs
    kept = dict(decode_state(link_to(options=hostile), **KNOWN).options)
    assert decode_state(link_to(options=hostile), **KNOWN).n_ignored == 2
    assert kept == {"onload": "alert(1)"}  # plain values are kept, and used only where the page has such an option


@pytest.mark.parametrize(
    "selected", [None, [0], [0, 1, 2, 3], [-1, 0, 0], [True, 0, 0], ["0", 1, 0], [1.5, 0, 0], {"0": 1}, [10**30, 0, 0]]
)
def test_a_selection_is_always_inside_the_run(selected: object) -> None:
    chosen = decode_state(link_to(selected=selected), **KNOWN).selected
    assert chosen in (Selected(), Selected(1, 0, 0))
    assert chosen == chosen.within(decode_state(link_to(), **KNOWN).inputs)


def test_an_unknown_tab_gives_the_first_one() -> None:
    assert decode_state(link_to(tab="<script>"), **KNOWN).tab == "similarity"


def test_line_breaks_tabs_and_lone_surrogates_do_not_reach_the_text_field() -> None:
    state = decode_state(link_to(texts=["a\nb\tc", "d\ud800\u2028e"], instructions=["x\r\ny"]), **KNOWN)
    assert state.inputs.texts == ("a b c", "d\ufffd e")
    assert state.inputs.instructions == ("x y ",)


def test_options_are_bounded() -> None:
    bad = {"x" * 300: 1, "long": "x" * (link.MAX_OPTION_VALUE + 1), "list": [1]}
    many = decode_state(link_to(options={f"option {i}": i for i in range(1000)} | bad), **KNOWN)
    assert len(many.options) == link.MAX_OPTIONS and many.n_ignored == 903
    none = decode_state(link_to(options=bad), **KNOWN)
    assert none.options == () and none.n_ignored == 3
    assert decode_state(link_to(options=[1]), **KNOWN).n_ignored == 1


# ----------------------------------------------------------------------------------------------------------- the page


@pytest.mark.parametrize(
    ("component", "good", "bad"),
    [
        (lambda: gr.Radio([("UMAP", "umap"), ("PCA", "pca")]), ["umap", "pca"], ["UMAP", "", None, 1, True]),
        (lambda: gr.Dropdown([("A", 0), ("B", 1)]), [0, 1], [2, "0", False, None]),
        (lambda: gr.Slider(2, 50), [2, 50, 7.5], [1, 51, 10**400, float("nan"), True, "7", None]),
        (lambda: gr.Number(minimum=0), [0, 10**9], [-1, "1", None]),
        (gr.Checkbox, [True, False], [0, 1, "true", None]),
        (gr.Textbox, ["", "One.\nTwo."], [1, None, "x" * (MAX_TYPED + 1)]),
        (gr.HTML, [], ["<b>", 1]),
    ],
)
def test_an_option_is_restored_only_to_a_value_that_it_offers(component: Any, good: list[Any], bad: list[Any]) -> None:
    made = component()
    assert all(takes(made, value) for value in good)
    assert not any(takes(made, value) for value in bad)


@pytest.fixture(scope="module")
def built() -> tuple[gr.Blocks, Target]:
    with gr.Blocks() as demo:
        tabs, menu, point = gr.Tabs(), gr.Dropdown(), gr.HTML()
        page = Page(Runtime(CHECKPOINTS), gr.State(INPUTS), gr.State(Selected()), gr.State("similarity"), tabs)
        sidebar = build_sidebar(INPUTS)
        options = {"map.method": TabOption(gr.Radio(["umap", "pca"])), "map.center": TabOption(gr.Checkbox())}
        build_link(demo, page, sidebar, menu, point, tabs=KNOWN["tabs"], options=options)
    return demo, Target(menu, sidebar, point, page, options)


def handler(demo: gr.Blocks, name: str) -> Any:
    return next(function.fn for function in demo.fns.values() if function.name == name)


class FakeRequest:
    def __init__(self, **parameters: str) -> None:
        self.query_params = parameters


def test_a_link_restores_the_page_in_the_order_of_its_outputs(built: tuple[gr.Blocks, Target]) -> None:
    demo, target = built
    values = handler(demo, "from_address")(FakeRequest(s=encode_state(STATE)))
    assert len(values) == len(target.components)
    by_component = dict(zip(target.components, values, strict=True))
    assert by_component[target.menu] == "instructor-mini"
    assert by_component[target.sidebar.count] == 2
    assert by_component[target.sidebar.fields[0]] == "Represent the text:"
    assert by_component[target.sidebar.texts] == "One.\ta\tx\nTwo.\t\ty"
    assert by_component[target.page.active] == "map"
    assert by_component[target.page.restored]  # what embeds the restored fields
    assert by_component[target.page.selected] == Selected(1, 0, 1)
    assert by_component[target.options["map.method"].component] == "pca"
    assert by_component[target.options["map.center"].component] is True


def test_options_that_the_page_does_not_offer_are_left_aside_with_one_note(
    built: tuple[gr.Blocks, Target],
) -> None:
    demo, target = built
    options = {"map.method": "<img src=x onerror=alert(1)>", "__proto__": 1, "map.center": True, "list": [1]}
    values = handler(demo, "from_address")(FakeRequest(s=link_to(options=options)))
    by_component = dict(zip(target.components, values, strict=True))
    assert by_component[target.options["map.method"].component] == gr.skip()
    assert by_component[target.options["map.center"].component] is True
    message = by_component[target.point]
    assert "3 options in it were left aside" in message and "img" not in message
    assert by_component[target.sidebar.texts] == "One.\nTwo."


@given(JSON, st.integers(0, 10**400))
def test_any_value_of_any_option_is_taken_or_left_aside(value: Any, number: int) -> None:
    options = [TabOption(component) for component in COMPONENTS]
    options += [TabOption(COMPONENTS[0], most=9), TabOption(gr.Dropdown([("A", 0)]), names_instruction=True)]
    for option in options:
        for entry in (value, number, -number):
            update = option.restored(entry, INPUTS)
            assert update is None or entry in (update, update["value"] if isinstance(update, dict) else update)


def test_a_menu_of_instructions_takes_those_of_the_restored_run() -> None:
    option = TabOption(gr.Dropdown([("A", 0)]), names_instruction=True)
    update = option.restored(1, INPUTS)
    assert update is not None and update["value"] == 1 and len(update["choices"]) == 2
    assert all(option.restored(value, INPUTS) is None for value in (2, -1, True, "1", None, 1.0))


def test_a_slider_whose_end_comes_with_the_checkpoint_takes_more_than_it_shows_now() -> None:
    option = TabOption(gr.Slider(0, 6), most=48)
    assert option.restored(24, INPUTS) == gr.update(maximum=24, value=24)
    assert option.restored(3, INPUTS) == gr.update(maximum=6, value=3)
    assert option.restored(49, INPUTS) is None


COMPONENTS = (gr.Slider(0, 6), gr.Number(), gr.Radio(["a"]), gr.Dropdown([("A", 0)]), gr.Checkbox(), gr.Textbox())

# What a visitor set, by the name of the option: none of it is what the page begins with.
SET: dict[str, Any] = {
    "similarity.view": "difference",
    "similarity.scale": "each",
    "similarity.order": "clustered",
    "similarity.first": 1,
    "similarity.second": 0,
    "map.method": "pca",
    "map.n_components": 3,
    "map.layout": "joint",
    "map.center": True,
    "map.n_neighbors": 7,
    "map.min_dist": 0.25,
    "map.metric": "euclidean",
    "map.random_state": 7,
    "tokens.view": "similarity",
    "tokens.order": "variance",
    "tokens.n_dimensions": 16,
    "explain.view": "read-out",
    "explain.second_instruction": 0,
    "explain.by": "token",
    "explain.layer": 1,
    "lab.question": "retrieve",
    "lab.candidates": "Represent the review for its mood:\nMood:",
    "lab.queries": "A question?\tfood",
    "lab.metric": "AUC",
    "lab.first": 1,
    "lab.second": 0,
    "lab.row": "no instruction",
}


def components_of(demo: gr.Blocks, name: str, *, inputs: bool) -> list[Any]:
    function = next(function for function in demo.fns.values() if function.name == name)
    return list(function.inputs if inputs else function.outputs)


def test_the_options_of_every_tab_come_back_on_another_server(checkpoint_a: Path) -> None:
    """Two pages, built one after the other, share nothing but the link."""
    first, second = (build_demo(Runtime((local_checkpoint(checkpoint_a),), device="cpu")) for _ in range(2))
    names = list(page_options(first))
    assert set(names) == set(SET)
    inputs = Inputs(checkpoint_a.name, ("Represent the text: ", ""), ("One.", "Two."), ("a", "b"))
    text, message = handler(first, "link")(inputs, Selected(1, 0, 1), "lab", *(SET[name] for name in names))
    assert message == ""
    outputs = components_of(second, "from_address", inputs=False)
    restored = dict(zip(outputs, handler(second, "from_address")(FakeRequest(s=text)), strict=True))
    for name, component in page_options(second).items():
        value = restored[component]
        value = value["value"] if isinstance(value, dict) else value
        assert value == SET[name], name
        assert value != component.value, f"{name} is what the page begins with: the test has to set another"
    note = next(value for value in restored.values() if "Restored" in str(value))
    assert "left aside" not in note


def page_options(demo: gr.Blocks) -> dict[str, Any]:
    """The options of a page in the order of the link, by name."""
    function = handler(demo, "link")
    names = inspect.getclosurevars(function).nonlocals["names"]
    return dict(zip(names, components_of(demo, "link", inputs=True)[3:], strict=True))


def test_a_page_without_a_link_stays_as_it_is(built: tuple[gr.Blocks, Target]) -> None:
    demo, target = built
    assert handler(demo, "from_address")(FakeRequest()) == [gr.skip()] * len(target.components)


def test_a_broken_link_changes_nothing_but_the_message(built: tuple[gr.Blocks, Target]) -> None:
    demo, target = built
    values = handler(demo, "from_address")(FakeRequest(s="<img src=x onerror=alert(1)>"))
    assert sum(value != gr.skip() for value in values) == 1
    message = values[target.components.index(target.point)]
    assert 'role="alert"' in message and "<img" not in message


def test_a_failure_that_is_nobodys_fault_shows_no_detail(built: tuple[gr.Blocks, Target]) -> None:
    def fail() -> State:
        raise RuntimeError("secret path")

    _, target = built
    assert "secret" not in str(restore(target, fail))


def test_link_and_file_of_the_page_are_those_of_its_state(built: tuple[gr.Blocks, Target], tmp_path: Path) -> None:
    demo, target = built
    now = (INPUTS, Selected(9, 9, 9), "map", "pca", True)
    text, message = handler(demo, "link")(*now)
    expected = State(INPUTS, "map", Selected(1, 1, 1), (("map.method", "pca"), ("map.center", True)))
    assert message == "" and decode_state(text, **KNOWN) == expected
    path, _ = handler(demo, "write")(*now)
    assert read_state_file(Path(path).read_bytes(), **KNOWN) == expected
    values = handler(demo, "from_file")(path)
    assert dict(zip(target.components, values, strict=True))[target.page.active] == "map"


def test_options_that_are_no_plain_values_are_left_out() -> None:
    state = state_of(["a", "b", "c", "d"], INPUTS, Selected(), "map", [1], float("nan"), "x", None)
    assert state.options == (("c", "x"),)


def test_events_of_the_menu_are_private(built: tuple[gr.Blocks, Target]) -> None:
    endpoints = built[0].get_api_info()["named_endpoints"]
    assert not {name for name in endpoints if "link" in name or "from" in name or "write" in name}


@pytest.mark.parametrize(
    ("name", "wanted"), [("someone/a-space.1", "someone/a-space.1"), ('x/"+alert(1)+"', ""), ("../x/y", ""), ("", "")]
)
def test_only_a_well_formed_space_name_reaches_the_script(
    monkeypatch: pytest.MonkeyPatch, name: str, wanted: str
) -> None:
    monkeypatch.setenv("SPACE_ID", name)
    assert space_id() == wanted
