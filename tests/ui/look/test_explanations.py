"""The views of Explain answer from the run on screen, encode nothing twice, and say what they do not show."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.analysis.pooling import Recipe
from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.data.examples import load_examples
from instructor_core.ui.look import explanations
from instructor_core.ui.look.explain import TAB, VIEWS
from instructor_core.ui.look.explanations import Question
from instructor_core.ui.page import Selected
from instructor_core.ui.server.runtime import Runtime
from tests.ui.stages import draw

INPUTS = load_examples()[0].inputs(CHECKPOINTS[0].id)
ASKED = Question(first=4, second=9, a=0, b=1)


def cosine(model: InstructorModel, k: int, i: int, j: int) -> float:
    first, second = model.encode([(INPUTS.instructions[k], INPUTS.texts[at]) for at in (i, j)])
    return float(first @ second)


@pytest.mark.parametrize("view", [view.name for view in VIEWS])
def test_every_view_answers_in_words_and_figures_and_says_what_it_does_not_show(runtime: Runtime, view: str) -> None:
    options = {"second_instruction": ASKED.b, "by": "word", "layer": 0}
    answer = draw(runtime, INPUTS, Selected(ASKED.first, ASKED.second, ASKED.a), TAB, view, options)
    assert answer.sentences and all(answer.sentences)
    assert re.search(r"\bnot\b", " ".join(answer.note))
    assert answer.panels is not None and answer.panels.panels
    json.loads(answer.panels.to_json())
    if answer.rows is not None:
        json.loads(answer.rows.to_json())


@pytest.mark.parametrize("by", ["token", "word"])
def test_the_ledger_adds_up_to_the_cosine_of_the_matrix(runtime: Runtime, mini: InstructorModel, by: str) -> None:
    answer = explanations.explain_pair(runtime, INPUTS, Question(4, 9, 1, 0, by=by))  # type: ignore[arg-type]
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
    same = Question(4, 9, 1, 1)
    pair = explanations.explain_pair(runtime, INPUTS, same)
    assert pair.panels is not None and len(pair.panels.panels) == 1
    assert "nan" not in " ".join(explanations.explain_movement(runtime, INPUTS, same).sentences).lower()


def test_opening_a_ledger_again_encodes_nothing(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    explanations.explain_pair(runtime, INPUTS, ASKED)
    model = runtime.encoder(INPUTS.checkpoint_id).model

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the pair was encoded before")

    monkeypatch.setattr(model, "encode_tokens", refuse)
    explanations.explain_pair(runtime, INPUTS, Question(4, 9, 0, 1, by="token"))
    explanations.explain_movement(runtime, INPUTS, ASKED)


def test_every_recipe_is_named_beside_its_cosine(runtime: Runtime) -> None:
    sentences = explanations.explain_boundary(runtime, INPUTS, ASKED).sentences
    for name in list(Recipe)[1:]:
        assert any(sentence.startswith(f"{name}: ") for sentence in sentences)
