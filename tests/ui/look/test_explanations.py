"""The views of Explain answer from the run on screen, encode nothing twice, and say what they do not show."""

import json
import re

import pytest

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


@pytest.mark.parametrize("view", [view.name for view in VIEWS])
def test_every_view_answers_in_words_and_figures_and_says_what_it_does_not_show(runtime: Runtime, view: str) -> None:
    answer = ask(runtime, view)
    assert answer.sentences and all(answer.sentences)
    assert re.search(r"\bnot\b", " ".join(answer.note))
    assert answer.panels is not None and answer.panels.panels
    json.loads(answer.panels.to_json())
    if answer.rows is not None:
        json.loads(answer.rows.to_json())


def test_the_same_instruction_twice_gives_one_ledger_and_opening_one_again_encodes_nothing(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = ask(runtime, "pair", 1, 1)
    assert pair.panels is not None and len(pair.panels.panels) == 1
    assert "nan" not in " ".join(ask(runtime, "movement", 1, 1).sentences).lower()
    ask(runtime, "pair")
    model = runtime.encoder(INPUTS.checkpoint_id).model

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the pair was encoded before")

    monkeypatch.setattr(model, "encode_tokens", refuse)
    ask(runtime, "pair", by="token")
    ask(runtime, "movement")
