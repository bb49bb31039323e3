"""The handlers of the left column, called with plain values: what a run yields, what the buttons do to the fields."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Semaphore
from typing import Any

import gradio as gr
import numpy as np
import pytest
from numpy.typing import NDArray

from instructor_core import InstructorModel
from instructor_core.analysis.suggest import load_builder
from instructor_core.hub import Checkpoint, local_checkpoint
from instructor_core.queueing import ModelQueue
from instructor_core.ui.data.inputs import MAX_INSTRUCTIONS, Inputs, parse_inputs
from instructor_core.ui.data.sidebar import (
    CHIPS,
    add_instruction,
    build_instruction,
    edit_texts,
    fill,
    recall,
    remove_instruction,
    show_rows,
    try_chip,
)
from instructor_core.ui.page import Selected, choose_text
from instructor_core.ui.server import run as run_module
from instructor_core.ui.server.run import run, summary_of
from instructor_core.ui.server.runtime import Runtime
from tests.ui.inside import event

SKIP = gr.skip()


class Counted:
    """Pairs that were really encoded, in order; with `permits`, each waits for one."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.fail = False
        self.permits: Semaphore | None = None


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """One pair at a time, each written down."""
    counted, original = Counted(), InstructorModel.encode_batches

    def encode(
        model: InstructorModel, pairs: Iterable[tuple[str, str]], *, normalize: bool
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        given = list(pairs)
        for positions, vectors in original(model, given, normalize=normalize):
            assert counted.permits is None or counted.permits.acquire(timeout=30)
            if counted.fail:
                raise ZeroDivisionError("secret detail")
            counted.pairs += [given[int(i)] for i in positions]
            yield positions, vectors

    monkeypatch.setattr(InstructorModel, "encode_batches", encode)
    return counted


@pytest.fixture
def runtime(checkpoint_a: Path, tmp_path: Path) -> Runtime:
    """One checkpoint that loads and one that does not."""
    checkpoints = (local_checkpoint(checkpoint_a), Checkpoint("broken", str(tmp_path)))
    return Runtime(checkpoints, device="cpu", queue=ModelQueue(slice_cost=1))


@pytest.fixture
def before(runtime: Runtime) -> Inputs:
    return parse_inputs(runtime.checkpoints[0].id, ["Represent the text:", ""], "one\ntwo\tB\nthree")


def start(runtime: Runtime, before: Inputs, texts: str, *instructions: str, checkpoint: str = "") -> Any:
    fields = [*instructions, *[""] * (MAX_INSTRUCTIONS - len(instructions))]
    return run(runtime, before, checkpoint or before.checkpoint_id, "", texts, len(instructions), *fields)


def nothing_but_status(step: list[Any]) -> bool:
    inputs, _, summary, texts, checkpoint, *_ = step
    return [inputs, summary, texts, checkpoint] == [SKIP] * 4


def test_a_run_says_how_far_it_is_and_changes_the_page_once_at_its_end(
    runtime: Runtime, before: Inputs, encoded: Counted
):
    *progress, last = start(runtime, before, "one\ntwo\tB\nfour\tC", "Represent the text:", "")
    assert all(map(nothing_but_status, progress))
    assert f"loading {before.checkpoint_id}" in progress[0][1]
    told = [step[1].split(" pairs")[0].split(">")[1] for step in progress[1:]]
    assert told[0] == "0 of 6" and told == sorted(told) and set(told) <= {f"{i} of 6" for i in range(6)}
    inputs, status, summary, texts, checkpoint = last
    assert inputs == replace(before, texts=("one", "two", "four"), labels=("", "B", "C"))
    assert "6 pairs · 6 new · " in status
    assert "3 texts · 2 labels" in summary
    assert '"texts":["one","two","four"]' in texts
    assert checkpoint == SKIP and "ic-busy" not in status
    assert all("ic-busy" in step[1] for step in progress)  # what runs can be stopped


def test_what_takes_long_waits_for_a_click_when_typing_led_to_it(
    runtime: Runtime, before: Inputs, encoded: Counted, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_module, "OPERATIONS_PER_SECOND", 1.0)
    typed = (before, before.checkpoint_id, "", "one\ntwo\nthree more", 1, "Represent the text:")
    *_, last = run(runtime, *typed, ask=True)
    assert "3 pairs to embed, about " in last[1] and "ic-waits" in last[1]
    assert last[0] == gr.skip() and encoded.pairs == []
    *_, asked_for = run(runtime, *typed)
    assert asked_for[0].texts == ("one", "two", "three more") and len(encoded.pairs) == 3


def test_a_chip_takes_the_place_of_the_second_instruction_and_keeps_the_kind_of_text():
    assert try_chip(["Represent the customer message for retrieval:", "old"], {"chip": 0}) == [
        "Represent the customer message for retrieval:",
        "Represent the message for classifying the emotion:",
    ]
    assert try_chip(["A:"], {"chip": len(CHIPS) - 1}) == ["A:", ""]  # "no instruction", beside the only one
    assert recall(["A:", "old", "C:"], {"instruction": "Earlier:"}) == ["A:", "Earlier:", "C:"]
    assert try_chip(["A:"], {"chip": "x"}) == try_chip(["A:"], {"chip": 0})


def test_every_chip_is_a_task_that_the_bundled_checkpoint_was_tested_for():
    tested = {entry.objective for entry in load_builder().objectives if entry.mini}
    assert {objective for _, objective in CHIPS if objective} <= tested


def test_only_what_is_new_is_encoded_a_text_that_occurs_twice_once_and_unchanged_inputs_not_at_all(
    runtime: Runtime, before: Inputs, encoded: Counted
):
    (step,) = start(runtime, before, "one\n\n two | B\nthree", " Represent  the text: ", "")
    assert nothing_but_status(step)
    assert "6 pairs · 0 new" in step[1]  # stands in the place of an error that was there
    assert encoded.pairs == []
    *_, last = start(runtime, before, "one\none\ntwo", "Represent the text:")
    assert len(encoded.pairs) == 2
    assert "3 pairs · 2 new · 0 cached (" in last[1]
    for texts, instructions, new, words in (
        ("one\ntwo edited", ["Represent the text:"], [("Represent the text: ", "two edited")], "2 pairs · 1 new · 1"),
        ("one\ntwo", ["Represent the text:", ""], [("", "one"), ("", "two")], "4 pairs · 2 new · 2"),
    ):
        encoded.pairs.clear()
        *_, last = start(runtime, last[0], texts, *instructions)
        assert sorted(encoded.pairs) == new
        assert f"{words} cached (" in last[1]


def test_a_mistake_leaves_the_page_as_it_is_and_says_what_to_do(runtime: Runtime, before: Inputs):
    for texts, name, words in (
        (" \n", "", "Write or paste one text per line"),
        ("one", "broken", "has no modules.json"),
        ("one", "someone/else", "There is no checkpoint"),
    ):
        *_, last = start(runtime, before, texts, "Represent the text:", checkpoint=name)
        assert [last[0], *last[2:5]] == [SKIP] * 3 + [before.checkpoint_id]
        assert 'role="alert"' in last[1] and words in last[1]


def test_a_bug_is_shown_by_number_without_its_details(
    runtime: Runtime, before: Inputs, encoded: Counted, caplog: pytest.LogCaptureFixture
):
    encoded.fail = True
    *_, last = start(runtime, before, "four", "Represent the text:")
    assert "Something went wrong here (incident " in last[1]
    assert "secret detail" not in last[1]
    assert "secret detail" in caplog.text
    encoded.fail = False
    assert list(start(runtime, before, "four", "Represent the text:"))[-1][0] != SKIP


def test_a_stopped_run_encodes_nothing_more_and_keeps_what_it_has(runtime: Runtime, before: Inputs, encoded: Counted):
    encoded.permits = Semaphore(3)
    steps = start(runtime, before, "\n".join(map(str, range(20))), "Represent the text:")
    while len(encoded.pairs) < 3:
        next(steps)
    steps.close()
    encoded.permits.release(100)  # the pair that was being encoded is the last
    list(runtime.queue.work("another request", {"x": 1}, lambda items: items))
    assert len(encoded.pairs) <= 4
    list(start(runtime, before, "\n".join(map(str, range(20))), "Represent the text:"))
    assert len(encoded.pairs) == 20


def test_instructions_are_added_at_the_end_up_to_eight_and_removed_in_order_but_for_the_last():
    assert add_instruction(["one", "two"], "three") == ["one", "two", "three"]
    assert add_instruction("abcdefgh", "nine") == list("abcdefgh")
    assert remove_instruction(["one", "two", "three"], 1) == ["one", "three"]
    assert remove_instruction(["one"], 0) == ["one"]
    count, *rest = show_rows(["one ", "two"])
    assert count == 2 and [row["visible"] for row in rest[:MAX_INSTRUCTIONS]] == [True] * 2 + [False] * 6
    assert rest[MAX_INSTRUCTIONS:] == ["one", "two", *[""] * 6]


def test_the_builder_writes_the_template_with_what_is_chosen():
    for *chosen, expected in (
        ("movie", "review", "clustering by topic", "Represent the movie review for clustering by topic:"),
        (None, None, None, "Represent the text:"),
        ("  legal ", "document", "", "Represent the legal document:"),
        ("{0}", "{text_type}", "%s", "Represent the {0} {text_type} for %s:"),
    ):
        assert build_instruction(*chosen) == expected


def test_filled_fields_read_back_as_the_inputs_they_came_from_and_the_summary_counts_them(before: Inputs):
    count, *rest = fill(before)
    fields, texts = rest[MAX_INSTRUCTIONS:-1], rest[-1]
    assert parse_inputs(before.checkpoint_id, fields[:count], texts) == before
    assert [row["visible"] for row in rest[:MAX_INSTRUCTIONS]] == [True] * 2 + [False] * 6
    assert "3 texts · 1 label<" in summary_of(before)
    assert "3 texts<" in summary_of(replace(before, labels=None))


@pytest.mark.parametrize(
    ("clicked", "expected"),
    [
        ({"item": 4}, Selected(4, 2, 1)),  # in the list, which knows of no instruction
        ({"item": 4, "instruction": 0, "kind": "points"}, Selected(4, 2, 0)),
        ({"item": 2, "instruction": 0}, Selected(2, 5, 1)),
        ({}, Selected(2, 5, 1)),
    ],
)
def test_a_text_that_is_clicked_takes_the_row_and_the_former_row_the_column(
    clicked: dict[str, Any], expected: Selected
):
    assert choose_text(event(**clicked), Selected(2, 5, 1)) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"item": 1, "before": "Two", "text": "Zwei | drei"}, "One\tx\nZwei | drei\ty\nThree\tx"),
        ({"item": 1, "before": "Two", "text": " a\tb\n"}, "One\tx\na b\ty\nThree\tx"),
        ({"item": 1, "before": "Was there before", "text": "Zwei"}, None),
        ({"item": 1, "before": "Two", "text": " "}, None),
        ({"item": 7, "before": "Two", "text": "Zwei"}, None),
        ({}, None),
    ],
)
def test_an_edited_row_replaces_its_line_and_keeps_its_label(change: dict[str, Any], expected: str | None):
    field, mark = edit_texts(event(**change), "One\tx\n\nTwo\ty\nThree | x")
    assert mark
    assert field == (SKIP if expected is None else expected)
    if expected is not None:
        assert parse_inputs("mini", [""], field).labels == ("x", "y", "x")
