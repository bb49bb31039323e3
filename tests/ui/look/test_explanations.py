"""The views of Explain answer from the run on screen, encode nothing twice, and say what they do not show."""

import json
import re

import pytest

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


def test_the_same_instruction_twice_gives_one_ledger_and_opening_one_again_encodes_nothing(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = Question(4, 9, 1, 1)
    pair = explanations.explain_pair(runtime, INPUTS, same)
    assert pair.panels is not None and len(pair.panels.panels) == 1
    assert "nan" not in " ".join(explanations.explain_movement(runtime, INPUTS, same).sentences).lower()
    explanations.explain_pair(runtime, INPUTS, ASKED)
    model = runtime.encoder(INPUTS.checkpoint_id).model

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the pair was encoded before")

    monkeypatch.setattr(model, "encode_tokens", refuse)
    explanations.explain_pair(runtime, INPUTS, Question(4, 9, 0, 1, by="token"))
    explanations.explain_movement(runtime, INPUTS, ASKED)
