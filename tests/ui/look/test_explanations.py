"""The views of Explain answer from the run on screen, encode nothing twice, and say what they do not show."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.analysis.pooling import RECIPE_NAMES
from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.data.examples import load_examples
from instructor_core.ui.look.canvas import Drawing
from instructor_core.ui.look.explain import TAB, VIEWS
from instructor_core.ui.page import Selected
from instructor_core.ui.server.runtime import Runtime
from tests.ui.stages import draw

INPUTS = load_examples()[0].inputs(CHECKPOINTS[0].id)


def ask(runtime: Runtime, view: str, a: int = 0, b: int = 1, by: str = "word") -> Drawing:
    """What a view says of texts 5 and 10 under two instructions."""
    options = {"second_instruction": b, "by": by, "layer": 0}
    return draw(runtime, INPUTS, Selected(4, 9, a), TAB, view, options)


def cosine(model: InstructorModel, k: int, i: int, j: int) -> float:
    first, second = model.encode([(INPUTS.instructions[k], INPUTS.texts[at]) for at in (i, j)])
    return float(first @ second)


@pytest.mark.parametrize("view", [view.name for view in VIEWS])
def test_every_view_answers_in_words_and_figures_and_says_what_it_does_not_show(runtime: Runtime, view: str) -> None:
    answer = ask(runtime, view)
    assert answer.sentences and all(answer.sentences)
    assert re.search(r"\bnot\b", " ".join(answer.note))
    assert answer.panels is not None and answer.panels.panels
    json.loads(answer.panels.to_json())
    if answer.rows is not None:
        json.loads(answer.rows.to_json())


@pytest.mark.parametrize("by", ["token", "word"])
def test_the_ledger_adds_up_to_the_cosine_of_the_matrix(runtime: Runtime, mini: InstructorModel, by: str) -> None:
    answer = ask(runtime, "pair", 1, 0, by)
    assert re.fullmatch(
        r"`.+` × `.+` (ties them|keeps them apart) most: .+ of " + f"{cosine(mini, 1, 4, 9):.3f}\\.",
        answer.sentences[0],
    )
    assert "</s>" not in " ".join(answer.sentences[:-1])
    assert f"add up to {cosine(mini, 1, 4, 9):.3f}" in answer.sentences[-1]
    assert answer.panels is not None
    terms = next(trace for trace in answer.panels.panels[0].figure.data if trace.type == "heatmap").z
    assert np.asarray(terms).sum() == pytest.approx(cosine(mini, 1, 4, 9), abs=1e-5)


def test_the_same_instruction_twice_gives_one_ledger_and_no_move(runtime: Runtime) -> None:
    pair = ask(runtime, "pair", 1, 1)
    assert pair.panels is not None and len(pair.panels.panels) == 1
    assert "nan" not in " ".join(ask(runtime, "movement", 1, 1).sentences).lower()


def test_opening_a_ledger_again_encodes_nothing(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(runtime, "pair")
    model = runtime.encoder(INPUTS.checkpoint_id).model

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the pair was encoded before")

    monkeypatch.setattr(model, "encode_tokens", refuse)
    ask(runtime, "pair", by="token")
    ask(runtime, "movement")


def test_every_recipe_is_named_beside_its_cosine(runtime: Runtime) -> None:
    sentences = ask(runtime, "boundary").sentences
    for name in list(RECIPE_NAMES.values())[1:]:
        assert any(sentence.startswith(f"{name}: ") for sentence in sentences)
