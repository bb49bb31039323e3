"""Similarity, Map and Tokens from plain values: the figures hold the encoder's numbers, the notes say the rest."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr
import numpy as np
import pytest
from numpy.typing import NDArray

from instructor_core import InstructorModel
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.hub import local_checkpoint
from instructor_core.ui.data.inputs import Inputs, parse_inputs
from instructor_core.ui.feedback import note
from instructor_core.ui.look import similarity, tokens
from instructor_core.ui.look.canvas import Drawing, Gallery, frozen
from instructor_core.ui.look.projection import settings_of
from instructor_core.ui.look.views import VIEWS, view_of
from instructor_core.ui.page import Selected
from instructor_core.ui.scene.selection import describe_nearest, describe_selection, describe_why
from instructor_core.ui.server.runtime import MAX_GRIDS, Runtime
from tests.ui.inside import event
from tests.ui.stages import draw, holding

TEXTS = ("Cold soup.", "Fine soup.", "A slow film.", "A fine film.", "The phone broke.", "A fine phone.")
LABELS = ("bad", "good", "bad", "good", "bad", "good")


@pytest.fixture(scope="module")
def runtime(small_runtime: Runtime) -> Runtime:
    return small_runtime


@pytest.fixture(scope="module")
def inputs(runtime: Runtime) -> Inputs:
    typed = "\n".join(f"{text}\t{label}" for text, label in zip(TEXTS, LABELS, strict=True))
    return parse_inputs(runtime.checkpoints[0].id, ["Represent the text for its topic:", "Mood:", ""], typed)


@pytest.fixture(scope="module")
def unit(checkpoint_a: Path, inputs: Inputs) -> NDArray[np.float32]:
    """(3, 6, D) unit vectors, computed without the app."""
    vectors = InstructorModel(checkpoint_a, device="cpu").encode(inputs.pairs)
    return vectors.reshape(3, len(TEXTS), -1)


def matrices(payload: str) -> dict[str, NDArray[np.float64]]:
    panels = json.loads(payload)["panels"]
    return {panel["key"]: np.array(panel["figure"]["data"][0]["z"]) for panel in panels}


def shown(drawing: Drawing) -> tuple[str, str]:
    """The note and the payload of a drawing."""
    return note(*drawing.note), drawing.panels.to_json()


def similar(runtime: Runtime, inputs: Inputs, view: str = "matrices", **options: Any) -> tuple[str, str]:
    chosen = {"scale": "shared", "order": "given", "first": 0, "second": 1} | options
    return shown(draw(runtime, inputs, Selected(), "similarity", view, chosen))


def tokens_of(
    runtime: Runtime, inputs: Inputs, row: int, view: str, order: str, n_dimensions: int
) -> tuple[str, str, str]:
    options = {"order": order, "n_dimensions": n_dimensions}
    drawing = draw(runtime, inputs, Selected(row, 0, 0), "tokens", view, options)
    words, payload = shown(drawing)
    return words, drawing.rows.to_json(), payload


def test_two_instructions_are_subtracted_crossed_or_compared_on_the_same_texts(
    runtime: Runtime, inputs: Inputs, unit: NDArray[np.float32]
):
    drawn = matrices(similar(runtime, inputs, view="difference", first=2, second=0)[1])
    assert list(drawn) == ["C-A"]
    np.testing.assert_allclose(drawn["C-A"], unit[2] @ unit[2].T - unit[0] @ unit[0].T, atol=1e-3)
    removed = similar(runtime, inputs, view="difference", first=7, second=0)[1]  # the last one takes its place
    assert list(matrices(removed)) == ["C-A"]
    crossed = matrices(similar(runtime, inputs, view="cross", first=1, second=2)[1])
    np.testing.assert_allclose(crossed["BxC"], unit[1] @ unit[2].T, atol=1e-3)
    compared = matrices(similar(runtime, inputs, view="instructions")[1])
    expected = np.einsum("ind,jnd->ij", unit, unit) / len(TEXTS)
    np.testing.assert_allclose(compared["mean"], expected, atol=1e-3)
    np.testing.assert_allclose(compared["text"], unit[:, 0] @ unit[:, 0].T, atol=1e-3)


def test_a_long_list_is_drawn_in_part_and_the_note_says_so():
    rng = np.random.default_rng(0)
    many = tuple(f"text {i}" for i in range(similarity.MAX_SHOWN + 5))
    grid = EmbeddingGrid(("",), many, None, rng.normal(size=(1, len(many), 8)).astype(np.float32))
    words, payload = similar(holding(grid), Inputs("mini", ("",), many, None), order="clustered")
    assert matrices(payload)["A"].shape == (similarity.MAX_SHOWN, similarity.MAX_SHOWN)
    assert f"first {similarity.MAX_SHOWN} of {len(many)} texts" in words


def test_one_text_under_one_instruction_is_drawn_everywhere(runtime: Runtime, inputs: Inputs):
    alone = parse_inputs(inputs.checkpoint_id, [""], "Only this.")
    for view in similarity.VIEWS:
        assert json.loads(similar(runtime, alone, view=view.name)[1])["panels"]
    assert json.loads(mapped(runtime, alone)[1])["panels"]
    assert json.loads(tokens_of(runtime, alone, 0, "dimensions", "seriation", 8)[2])["panels"]


def test_the_selected_texts_stand_beside_the_figure_with_their_labels_and_inside_a_shorter_run(inputs: Inputs):
    line = describe_selection(inputs, Selected(2, 5, 0))
    assert line.index("<b>3</b>") < line.index("A slow film.") < line.index("<i>bad</i>") < line.index("<b>6</b>")
    assert line.index("<b>6</b>") < line.index("A fine phone.") < line.index("<i>good</i>")
    shorter = parse_inputs(inputs.checkpoint_id, [""], "one\ntwo")
    assert Selected(5, 4, 2).within(shorter) == Selected(1, 1, 0)
    assert Selected(1, 0, 0).within(shorter) == Selected(1, 0, 0)


def test_the_card_says_why_two_texts_are_alike_under_each_instruction(
    runtime: Runtime, inputs: Inputs, unit: NDArray[np.float32]
):
    card = describe_why(runtime, inputs, Selected(0, 1))
    told = re.findall(r"<li><span[^>]*>([ABC])</span> <b>(-?\d\.\d{3})</b> [^<]*percentile\)<br>[^<]* × ", card)
    cosines = [float(one[0] @ one[1]) for one in unit]
    assert [letter for letter, _ in told] == ["A", "B", "C"]
    assert [float(value) for _, value in told] == pytest.approx(cosines, abs=6e-4)
    assert f"are {max(cosines) - min(cosines):.2f} apart" in card
    assert "Click another text" in describe_why(runtime, inputs, Selected(1, 1))


def test_the_line_of_the_nearest_texts_counts_what_an_instruction_changes(
    runtime: Runtime, inputs: Inputs, unit: NDArray[np.float32]
):
    nearest = [(one @ one.T - 2 * np.eye(len(TEXTS))).argmax(axis=1) for one in unit]
    line = describe_nearest(runtime, inputs)
    for k, name in ((1, "B"), (2, "C")):
        n = int((nearest[k] != nearest[0]).sum())
        assert (f"{n} of 6 texts ha" in line) == (n > 0) and f"nearest text under {name}" in line
    shares = [np.mean([LABELS[i] == LABELS[j] for i, j in enumerate(row)]) for row in nearest]
    told = re.findall(r"[ABC] (\d?\.\d\d)", line)
    assert [float(share) for share in told] == pytest.approx(shares, abs=0.006)
    assert describe_nearest(runtime, parse_inputs(inputs.checkpoint_id, ["", "x"], "alone")) == ""


def test_a_click_on_a_cell_selects_both_texts_and_the_instruction(inputs: Inputs):
    cell = event(instruction=2, kind="matrix", row=4, column=2, value=0.5)
    assert similarity.select(cell, inputs, Selected(0, 1, 0), "matrices") == Selected(4, 2, 2)
    assert similarity.select(cell, inputs, Selected(0, 1, 1), "difference") == Selected(4, 2, 1)
    assert similarity.select(cell, inputs, Selected(0, 1, 1), "instructions") == Selected(0, 1, 1)


MAP = {**view_of("map").defaults, "method": "pca"}


def mapped(runtime: Runtime, inputs: Inputs, **options: Any) -> tuple[str, str]:
    return shown(draw(runtime, inputs, Selected(), "map", "map", MAP | options))


def test_the_map_says_when_it_takes_pca_instead_of_umap_and_why(runtime: Runtime, inputs: Inputs):
    words, payload = mapped(runtime, inputs, method="umap")
    assert "PCA is used: UMAP needs" in words
    assert "mean nothing" in words
    assert "% of variance" in json.loads(payload)["panels"][0]["subtitle"]
    assert '"scatter3d"' in mapped(runtime, inputs, n_components=3)[1]
    for name, value in {"n_neighbors": 30, "min_dist": 0.8, "random_state": 7}.items():  # which PCA does not read
        assert settings_of(MAP | {name: value}) == settings_of(MAP)
        for method in ("umap", "auto"):
            assert settings_of(MAP | {"method": method, name: value}) != settings_of(MAP | {"method": method})


def test_umap_follows_pca_only_where_it_was_fitted_to_what_is_shown(runtime: Runtime):
    typed = "\n".join(f"Text {i} of {'soup' if i % 2 else 'films'}." for i in range(60))
    many, others = (parse_inputs(runtime.checkpoints[0].id, [text], typed) for text in ("Topic:", "Mood:"))
    settings = tuple(settings_of(MAP | {"method": "auto"}).values())
    promise = "The points travel to UMAP"
    for fitted in (None, ((others,), settings), ((many,), (*settings[:-1], 7))):
        words, payload = mapped(runtime, many, method="auto", fitted=fitted)
        assert promise in words
        assert json.loads(payload)["panels"][0]["subtitle"].startswith("PCA")
    words, payload = mapped(runtime, many, method="auto", fitted=((many,), settings))
    assert promise not in words
    assert json.loads(payload)["panels"][0]["subtitle"].startswith("UMAP")
    few = parse_inputs(runtime.checkpoints[0].id, ["Topic:"], "One text.\nAnother text.\nA third.")
    assert promise not in mapped(runtime, few, method="auto")[0]


def test_tokens_are_those_of_the_selected_text_with_their_counts(checkpoint_a: Path, runtime: Runtime, inputs: Inputs):
    words, rows, payload = tokens_of(runtime, inputs, 4, "dimensions", "index", 16)
    encodings = InstructorModel(checkpoint_a, device="cpu").encode_tokens(
        [(instruction, TEXTS[4]) for instruction in inputs.instructions]
    )
    for row, encoding in zip(json.loads(rows)["rows"], encodings, strict=True):
        assert [token["t"] for token in row["tokens"]] == list(encoding.tokens)
        assert [token["s"] for token in row["tokens"]] == [segment.value for segment in encoding.segments]
        n_text = encoding.n_encoded - 1 - encoding.n_instruction_tokens
        assert row["note"] == f"instruction {encoding.n_instruction_tokens} + text {n_text} + 1 of 512"
        unit = encoding.embedding / np.linalg.norm(encoding.embedding)
        cosines = encoding.projected @ unit / np.linalg.norm(encoding.projected, axis=1)
        weights = [token["w"] for token in row["tokens"]]
        assert [weight is not None for weight in weights] == encoding.pooling_mask.tolist()
        shown = [weight for weight in weights if weight is not None]
        assert shown == pytest.approx(cosines[encoding.pooling_mask].tolist(), abs=1e-4)
    assert [z.shape[1] for z in matrices(payload).values()] == [16, 16, 16]
    assert "never counted" in words


def test_a_text_beyond_the_window_shows_what_is_cut_and_how_much_is_drawn(runtime: Runtime, inputs: Inputs):
    long = parse_inputs(inputs.checkpoint_id, ["Mood:"], "soup " * 700)
    words, rows, payload = tokens_of(runtime, long, 0, "dimensions", "seriation", 8)
    (row,) = json.loads(rows)["rows"]
    cut = sum(token["s"] == "cut" for token in row["tokens"])
    assert cut > 100
    assert row["note"].endswith(f"/ 512: {cut} cut off")
    assert f"first {tokens.MAX_TOKENS} of 512 tokens" in words
    assert matrices(payload)["A"].shape[0] == tokens.MAX_TOKENS


def test_the_latest_runs_keep_their_grids_and_look_nothing_up_again(checkpoint_a: Path, inputs: Inputs):
    runtime = Runtime((local_checkpoint(checkpoint_a),), device="cpu")
    first = runtime.grid(inputs)
    assert runtime.grid(Inputs(**vars(inputs))) is first
    for k in range(MAX_GRIDS):
        runtime.grid(parse_inputs(inputs.checkpoint_id, [f"topic {k}:"], "one\ntwo"))
    again = runtime.grid(inputs)
    assert again is not first
    np.testing.assert_array_equal(again.vectors, first.vectors)
    poor = Runtime((local_checkpoint(checkpoint_a),), device="cpu", cache_mb=0)
    assert poor.grid(inputs) is not poor.grid(inputs)  # larger than its cache


def test_every_view_has_a_name_of_its_own_within_its_tab() -> None:
    names = [(view.tab, view.name) for view in VIEWS]
    assert len(set(names)) == len(names)
    assert all(use.startswith(f"{view.tab}.") for view in VIEWS for use in view.uses)


def test_what_many_look_at_is_drawn_once_under_a_key_of_its_own_and_errors_are_not_kept() -> None:
    gallery, began, go, made = Gallery(), Event(), Event(), []

    def make() -> list[str | None]:
        began.set()
        go.wait(10)
        made.append("drawn")
        return ["note", None, "figure"]

    with ThreadPoolExecutor(8) as threads:
        looking = [threads.submit(gallery.get, "lesson", make) for _ in range(8)]
        began.wait(10)
        go.set()
        assert [one.result() for one in looking] == [["note", None, "figure"]] * 8
    assert made == ["drawn"]
    with pytest.raises(ZeroDivisionError):
        gallery.get("other", lambda: [str(1 // 0)])
    assert gallery.get("other", lambda: ["mended"]) == ["mended"]
    values = [
        1,
        "1",
        None,
        [1, 2],
        [2, 1],
        [[1], 2],
        {"a": [1]},
        {"a": [2]},
        ("pca", {"k": 1}),
        np.arange(2),
        gr.skip(),
    ]
    assert len({frozen(value) for value in values}) == len(values)
    assert frozen([1, {"a": [2]}]) == frozen((1, {"a": (2,)}))


def test_drawings_go_that_nobody_asked_for_lately() -> None:
    gallery, made = Gallery(most=10), []

    def asked(key: str) -> None:
        gallery.get(key, lambda: made.append(key) or ["four", "!"])

    for key in ["a", "b", "a", "c", "a", "b"]:
        asked(key)
    assert made == ["a", "b", "c", "b"]  # b was the one asked for longest ago when c came
    gallery.get("large", lambda: ["more than it holds"])
    asked("b")
    assert made.count("b") == 3
