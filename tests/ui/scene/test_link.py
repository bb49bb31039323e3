"""Links and state files: what is on the page comes back, and a stranger's link is data at most."""

import base64
import json
import string
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from instructor_core.errors import UserError
from instructor_core.ui.data.inputs import MAX_TEXTS, Inputs, join_ready
from instructor_core.ui.data.strings import one_line
from instructor_core.ui.page import Selected
from instructor_core.ui.scene import Scene
from instructor_core.ui.scene.link import (
    MAX_FILE_BYTES,
    MAX_LINK,
    MAX_LINK_BYTES,
    MAX_OPTION_VALUE,
    MAX_OPTIONS,
    decode_scene,
    encode_scene,
    read_scene_file,
    scene_file,
)
from tests.ui.inside import JSON
from tests.ui.stages import INPUTS, PLACES

KNOWN: dict[str, Any] = {"checkpoints": ("instructor-mini", "instructor-base"), "places": PLACES}
SCENE = Scene(INPUTS, "map", Selected(1, 0, 1), {"map.method": "pca", "map.center": True, "n": 3})
FIELDS: dict[str, Any] = {
    "v": 1,
    "checkpoint": "instructor-mini",
    "instructions": ["Represent the text:"],
    "texts": ["One.", "Two."],
}

WORDS = st.text(st.characters(codec=None), max_size=30).map(one_line)
TEXTS = WORDS.filter(bool)


@st.composite
def states(draw: st.DrawFn) -> Scene:
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
    if inputs.checkpoint_id == KNOWN["checkpoints"][0]:
        inputs = replace(inputs, beside_id=draw(st.sampled_from(("", KNOWN["checkpoints"][1]))))
    value = st.one_of(st.none(), st.booleans(), st.integers(-1000, 1000), st.floats(-9, 9), st.text(string.printable))
    options = draw(st.dictionaries(st.text(string.printable, max_size=20), value, max_size=5))
    selected = Selected(*draw(st.tuples(*[st.integers(0, 30)] * 3))).within(inputs)
    label_name = draw(WORDS) if columns else ""
    return Scene(inputs, draw(st.sampled_from(KNOWN["places"])), selected, options, label_name)


def packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(content, 9)).decode().rstrip("=")


def link_to(**fields: object) -> str:
    return packed(json.dumps({**FIELDS, **fields}).encode())


def refusal(text: str) -> str:
    with pytest.raises(UserError) as caught:
        decode_scene(text, **KNOWN)
    return str(caught.value)


# ----------------------------------------------------------------------------------------------------- there and back


@given(states())
def test_a_state_comes_back_from_its_link_and_its_file(scene: Scene) -> None:
    text = encode_scene(scene)
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")
    assert decode_scene(text, **KNOWN) == (scene, 0)
    assert read_scene_file(scene_file(scene), **KNOWN) == (scene, 0)


def test_two_checkpoints_come_in_the_order_of_the_menu_and_older_links_know_one() -> None:
    for fields, expected in (
        ({"v": 3, "checkpoint": "instructor-base", "beside": "instructor-mini"}, "instructor-mini + instructor-base"),
        ({"v": 3, "beside": "instructor-mini"}, "instructor-mini"),  # the same twice is one
        ({"v": 2, "place": "map"}, "instructor-mini"),
    ):
        scene, _ = decode_scene(link_to(**fields), **KNOWN)
        assert scene.inputs.choice == expected
    for beside in ("/srv/checkpoint", "instructor-xl", 1):
        assert "not offered here" in refusal(link_to(v=3, beside=beside))


def test_a_state_past_the_size_of_a_link_fits_a_file_and_the_message_says_so() -> None:
    texts = tuple(base64.b64encode(bytes((i * j) % 251 for j in range(60))).decode() for i in range(400))
    scene = Scene(Inputs("instructor-mini", ("",), texts, None), "similarity")
    with pytest.raises(UserError, match=r"A link may have 7000 characters: .* as a file"):
        encode_scene(scene)
    assert read_scene_file(scene_file(scene), **KNOWN) == (scene, 0)
    with pytest.raises(UserError, match="5 MB"):
        scene_file(Scene(Inputs("instructor-mini", ("",), ("x" * 20_000,) * 300, None), "similarity"))
    with pytest.raises(UserError, match="5 MB"):
        read_scene_file(b" " * (MAX_FILE_BYTES + 1), **KNOWN)


# ------------------------------------------------------------------------------------------------------------ hostile


@settings(max_examples=200)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(packed), st.from_regex(r"[\w-]{0,80}")))
@example("")
@example("e" * 100_000)
@example("eJw=é")
def test_any_string_is_a_state_or_a_message(text: str) -> None:
    refusal(text)


@settings(max_examples=200)
@given(
    st.sampled_from(["checkpoint", "beside", "instructions", "texts", "labels", "tab", "selected", "options", "v"]),
    JSON,
)
@example("selected", [-1, 0, 0])
@example("selected", [10**30, True, 1.5])
@example("tab", "<script>")
def test_any_json_in_any_field_is_a_state_or_a_message(name: str, value: object) -> None:
    try:
        scene, _ = decode_scene(link_to(**{name: value}), **KNOWN)
    except UserError as error:
        assert str(error)
        return
    assert scene.inputs.checkpoint_id in KNOWN["checkpoints"] and scene.place in KNOWN["places"]
    assert all(isinstance(text, str) and text for text in scene.inputs.texts)
    assert scene.selected == scene.selected.within(scene.inputs)
    assert min(scene.selected.row, scene.selected.column, scene.selected.instruction) >= 0


def test_what_the_page_does_not_take_is_refused_with_the_reason() -> None:
    for name, value, words in (
        ("v", 4, "version 1 to 3"),
        ("checkpoint", "../../etc/passwd", "not offered here"),
        ("instructions", [""] * 3000, "3000 instructions"),
        ("instructions", ["x" * 2001], "more than 2000 characters"),
        ("texts", [], "0 texts"),
        ("texts", ["One."] * (MAX_TEXTS + 1), f"{MAX_TEXTS + 1} texts"),
        ("texts", ["x" * 20_001], "more than 20000 characters"),
        ("texts", [" \t\u2028 "], "empty"),
        ("texts", ["One.", 2], "not a list of strings"),
        ("labels", [["a"]], "1 labels, and 2 to 2"),
        ("labels", [["a", "b"]] * 11, "at most 10 columns"),
    ):
        assert words in refusal(link_to(**{name: value}))


def test_what_is_cut_off_or_no_json_object_is_refused() -> None:
    for content in (b'{"v": NaN}', b"[" * 100_000, b"9" * 10_000, b"\xff", b"null", b""):
        assert "does not hold a state" in refusal(packed(content))
        with pytest.raises(UserError):
            read_scene_file(content, **KNOWN)
    refusal(encode_scene(SCENE)[:-7])


def test_a_link_that_unpacks_to_many_megabytes_is_stopped_at_the_bound() -> None:
    bomb = packed(b" " * 4 * MAX_LINK_BYTES)
    assert len(bomb) < MAX_LINK
    tracemalloc.start()
    assert f"more than {MAX_LINK_BYTES / 1e6:.0f} MB" in refusal(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * MAX_LINK_BYTES


def test_unknown_and_prototype_keys_are_left_aside_options_bounded_and_texts_one_line_of_valid_unicode() -> None:
    hostile = {"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}, "onload": "alert(1)"}
    plain, _ = decode_scene(link_to(), **KNOWN)
    scene, n_ignored = decode_scene(link_to(**hostile, options=hostile), **KNOWN)
    assert scene.inputs == plain.inputs and n_ignored == 2
    assert scene.options == {"onload": "alert(1)"}  # kept; the page may know it
    bad = {"x" * 300: 1, "long": "x" * (MAX_OPTION_VALUE + 1), "list": [1]}
    many, n_many = decode_scene(link_to(options={f"option {i}": i for i in range(1000)} | bad), **KNOWN)
    assert len(many.options or {}) == MAX_OPTIONS and n_many == 903
    assert decode_scene(link_to(options=[1]), **KNOWN)[1] == 1
    scene, _ = decode_scene(link_to(texts=["a\nb\tc", "d\ud800\u2028e"], instructions=["x\r\ny"]), **KNOWN)
    assert scene.inputs.texts == ("a b c", "d\ufffd e")
    assert scene.inputs.instructions == ("x y ",)


def test_a_link_of_the_first_version_still_opens() -> None:
    places = ("similarity", "map", "tokens", "explain", "lab", "learn")
    for kept in json.loads(Path(__file__).with_name("links_v1.json").read_text(encoding="utf-8")):
        scene, n_ignored = decode_scene(kept["link"], checkpoints=("instructor-mini",), places=places)
        assert n_ignored == 0 and scene.place == kept["place"] and scene.options == kept["options"]
        assert list(scene.inputs.instructions) == kept["instructions"] and list(scene.inputs.texts) == kept["texts"]
        assert list(map(list, scene.inputs.label_columns)) == kept["labels"]
        assert scene.selected == Selected(*kept["selected"])
