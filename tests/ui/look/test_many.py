"""Thousands of texts: what is sent stays small, what is computed stays bounded, and samples are seeded and said."""

import json
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.groups import grid_groups
from instructor_core.errors import UserError
from instructor_core.hub import local_checkpoint
from instructor_core.ui.components import rows_json
from instructor_core.ui.data.inputs import MAX_ALL_CHARACTERS, MAX_TEXTS, Inputs
from instructor_core.ui.data.samples import relink, sample
from instructor_core.ui.look import nearest, similarity
from instructor_core.ui.look.canvas import keep_unchanged
from instructor_core.ui.page import MAX_LISTED, Selected, text_choices
from instructor_core.ui.server.progress import finish
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial import comparison
from instructor_core.ui.trial.boards import compare_instructions
from instructor_core.ui.trial.comparison import Request, ScoreBook
from instructor_core.ui.trial.search import MAX_QUERIES, search
from tests.ui.inside import event
from tests.ui.look.test_tabs import similar
from tests.ui.stages import holding

LABELS = ("good", "bad", "rare")


def many(n: int, *, labels: bool = True, text: str = "text {}") -> Inputs:
    texts = tuple(text.format(i) for i in range(n))
    given = tuple("rare" if i in (3, n - 1) else LABELS[i % 2] for i in range(n)) if labels else None
    return Inputs("checkpoint_a", ("topic: ", ""), texts, given)


def grid_of_many(inputs: Inputs) -> EmbeddingGrid:
    vectors = np.random.default_rng(0).normal(size=(2, len(inputs.texts), 12)).astype(np.float32)
    return EmbeddingGrid(inputs.instructions, inputs.texts, inputs.labels, vectors)


def test_the_list_holds_every_text_with_its_label_and_colour_in_three_megabytes_at_most() -> None:
    rows = json.loads(rows_json(many(5000)))
    assert rows["texts"][4999] == "text 4999"
    assert [rows["names"][at] for at in rows["labels"][:4]] == ["good", "bad", "good", "rare"]
    assert len(rows["colors"]) == len(rows["names"]) == 3
    wide = "语" * (MAX_ALL_CHARACTERS // MAX_TEXTS - 6)
    value = rows_json(many(MAX_TEXTS, text=wide + "{}"))
    assert len(value.encode()) < 3_000_000
    assert json.loads(value)["texts"][7].endswith("…")


def test_menus_of_texts_list_the_first_ones_and_the_chosen_ones() -> None:
    choices = text_choices(many(5000), 4321, 7)
    assert [value for _, value in choices] == [*range(MAX_LISTED), 4321]
    assert choices[-1] == ("4322 · text 4321", 4321)
    assert len(text_choices(many(10), 20)) == 10


def test_more_texts_than_a_matrix_takes_are_drawn_and_compared_as_blocks_and_in_words() -> None:
    inputs = many(MAX_TEXTS)
    grid = grid_of_many(inputs)
    note, payload = similar(holding(grid), inputs)
    assert len(payload) < 200_000
    panels = json.loads(payload)["panels"]
    assert [panel["key"] for panel in panels] == ["A groups", "B groups"]
    assert np.shape(panels[1]["figure"]["data"][0]["z"]) == (3, 3)
    assert f"up to {similarity.MAX_COMPARED}; here are {MAX_TEXTS}" in note
    near = nearest.draw(grid, Selected(9, 0, 0))
    unit = grid.embeddings[1]
    order = np.argsort(-(unit @ unit[9]), kind="stable")
    assert list(near.panels[1].figure.data[0].customdata) == [int(i) for i in order if i != 9][:20]
    assert "Groups are the 3 labels" in note
    inputs = many(500, labels=False)
    grid = grid_of_many(inputs)
    n_groups = len(grid_groups(grid).names)
    for view, key in (("difference", "B-A"), ("cross", "BxA")):
        note, payload = similar(holding(grid), inputs, view=view, first=1, second=0)
        (panel,) = json.loads(payload)["panels"]
        assert panel["key"] == key and f"groups are {n_groups} k-means clusters under A" in note
        assert np.shape(panel["figure"]["data"][0]["z"]) == (n_groups, n_groups) and n_groups > 1


def test_a_click_on_a_near_text_compares_it_with_the_one_that_was_asked_about() -> None:
    inputs = many(500)
    point = event(instruction=1, kind="points", item=44)
    assert nearest.select(point, Selected(9, 1, 0)) == Selected(9, 44, 1)
    block = event(instruction=1, kind="matrix", row=1, column=2, value=0.5)
    assert similarity.select(block, inputs, Selected(9, 1, 0), "matrices") == Selected(9, 1, 0)


def test_a_sample_is_seeded_keeps_two_of_each_label_says_so_and_its_points_are_those_of_the_run() -> None:
    inputs = many(3000)
    chosen = sample(inputs, 50, each_label=True)
    assert chosen == sample(inputs, 50, each_label=True)
    assert len(chosen.rows) == 50 and list(chosen.rows) == sorted(set(chosen.rows))
    assert chosen.inputs.texts == tuple(f"text {row}" for row in chosen.rows)
    assert {3, 2999} <= set(chosen.rows)
    assert chosen.sentences == ("A sample of 50 of 3000 texts was taken (seed 42, 2 of each label among them).",)
    linked = relink(nearest.draw(grid_of_many(chosen.inputs), Selected()), chosen, inputs.texts)
    for panel in json.loads(linked.to_json())["panels"]:
        points = panel["figure"]["data"][0]["customdata"]
        assert [linked.items[i] for i in points] == [inputs.texts[i] for i in points] and len(points) == 20
    whole = sample(inputs, 3000)
    assert whole.inputs is inputs and whole.sentences == ()


@pytest.fixture(scope="module")
def runtime(checkpoint_a: Path) -> Runtime:
    entry = replace(local_checkpoint(checkpoint_a), id="checkpoint_a")
    return Runtime((entry,), device="cpu")


def test_of_many_texts_test_takes_a_sample_and_says_so_and_too_many_queries_are_refused(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "MAX_LABELLED", 30)
    finding = finish(compare_instructions(runtime, ScoreBook(), many(90), Request()))
    assert finding.sentences[-1].startswith("A sample of 30 of 90 texts was taken")
    queries = "\n".join(f"query {i}" for i in range(MAX_QUERIES + 1))
    with pytest.raises(UserError, match=r"At most 100 queries.*got 101"):
        next(search(runtime, ScoreBook(), many(10), Request(queries=queries)))


def test_an_output_that_came_out_as_it_was_is_not_sent_again() -> None:
    first = keep_unchanged(["note", "figure"], "a", None)
    assert first[:2] == ["note", "figure"]
    second = keep_unchanged(["another note", "figure"], "b", first[2])
    assert second[0] == "another note"
    assert second[1] == gr.skip()
    assert second[2].key == "b"
    assert keep_unchanged(["another note", None], "c", second[2])[1] is None


def test_display_options_make_no_model_call(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = many(8)
    _, shared = similar(runtime, inputs)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the model was called")

    model = runtime.encoder(inputs.checkpoint_id).model
    monkeypatch.setattr(model, "prepare", refuse)
    for change in ({"scale": "each"}, {"order": "label"}, {"view": "difference"}, {"view": "cross"}):
        similar(runtime, inputs, **change)
    assert similar(runtime, inputs, second=0)[1] == shared  # so it is not sent
