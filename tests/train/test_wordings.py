import json
import random
import re

import pytest

from instructor_core.errors import UserError
from instructor_core.train.mini.grammar import normalise
from instructor_core.train.mini.wordings import DATA, TrainingWordings

LARGE = ["topic", "sentiment", "sentence_type", "intent", "emotion", "question_type", "tense", "formality"]
LARGE += ["urgency", "aspect", "person", "domain"]
HELD_OUT_AXES = re.compile(
    r"\b(certain|certainty|sure|unsure|confiden\w+|doubt\w*|negation|negated|hedg\w+|speakers?)\b"
)


@pytest.fixture(scope="module")
def wordings() -> TrainingWordings:
    return TrainingWordings()


@pytest.fixture(scope="module")
def grammar_only(tmp_path_factory: pytest.TempPathFactory) -> TrainingWordings:
    folder = tmp_path_factory.mktemp("grammar")
    (folder / "grammar.json").write_text((DATA / "grammar.json").read_text(encoding="utf-8"), encoding="utf-8")
    return TrainingWordings(folder)


def draws(source: TrainingWordings, axis: str, n: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [source.draw(axis, rng) for _ in range(n)]


def test_half_of_six_thousand_draws_for_a_large_axis_are_distinct(wordings: TrainingWordings) -> None:
    for axis in ("topic", "person", "domain"):
        assert len(set(draws(wordings, axis, 6000))) >= 3000, axis


def test_every_axis_can_be_drawn_in_every_form_and_ends_with_one_space(wordings: TrainingWordings) -> None:
    rng = random.Random(1)
    for axis in wordings.axes:
        made = draws(wordings, axis, 300) + [wordings.plain(axis, rng) for _ in range(100)] + wordings.held_out(axis)
        for text in [*made, *(wordings.neutral(rng) for _ in range(100))]:
            assert text.endswith(" ") and not text.endswith("  ") and text.strip(), repr(text)
            assert "{" not in text


def test_a_third_of_the_draws_has_the_form_of_the_paper(wordings: TrainingWordings) -> None:
    share = sum(text.lower().startswith("represent ") for text in draws(wordings, "sentiment", 3000)) / 3000
    assert 0.3 < share < 0.45
    plain = [wordings.plain("sentiment", random.Random(i), text_type="film review") for i in range(200)]
    assert all(re.match(r"represent (a|an|the|this|each) .+ for ", text.lower()) for text in plain)
    assert sum("film review" in text for text in plain) > 80


@pytest.mark.parametrize("axis", LARGE)
def test_held_out_entries_and_frames_are_never_drawn(
    grammar_only: TrainingWordings, wordings: TrainingWordings, axis: str
) -> None:
    drawn = "\n".join(map(normalise, draws(grammar_only, axis, 2000) + draws(wordings, axis, 1000)))
    entries = wordings.held_out_entries(axis)
    assert len(entries) >= 5
    assert [entry for entry in entries if normalise(entry) in drawn] == []
    made = wordings.held_out(axis)
    assert len(made) == len(set(made)) >= 20
    assert [text for text in made if normalise(text) in drawn] == []
    opening = re.compile(r" (pick a side|the boxes read|one drawer per|nothing interests me except|imagine a table) ")
    assert opening.search(drawn) is None
    assert sum(any(normalise(entry) in normalise(text) for entry in entries) for text in made) >= 6


def test_classes_of_the_batch_appear_as_words_in_any_order(wordings: TrainingWordings) -> None:
    rng = random.Random(3)
    made = [wordings.draw("intent", rng, classes=["lost_card", "TopUp", "card_arrival"]) for _ in range(1500)]
    lowered = [text.lower() for text in made]
    named = [text for text in lowered if "lost card" in text or "top up" in text or "card arrival" in text]
    assert len(named) > 100
    assert any(text.index("lost card") < text.index("top up") for text in named if {"lost card", "top up"} <= _in(text))
    assert any(text.index("lost card") > text.index("top up") for text in named if {"lost card", "top up"} <= _in(text))
    assert any("card arrival" not in text and {"lost card", "top up"} <= _in(text) for text in named)
    words = " ".join(wordings.draw("event", rng, classes=["flood_2013", "derailment"]) for _ in range(300)).lower()
    assert "flood 2013" in words and "derailment" in words  # an axis without classes of its own


def _in(text: str) -> set[str]:
    return {words for words in ("lost card", "top up", "card arrival") if words in text}


def test_neutral_wordings_name_no_trained_axis(wordings: TrainingWordings) -> None:
    grammar = json.loads((DATA / "grammar.json").read_text(encoding="utf-8"))
    names = {normalise(name) for axis in grammar["axes"].values() for name in axis["names"]}
    rng = random.Random(5)
    made = [wordings.neutral(rng) for _ in range(5000)]
    assert len(set(made)) > 3000
    searched = "".join(f"{normalise(text)}\n" for text in made)
    assert [name for name in names if name in searched] == []


def test_axes_kept_for_evaluation_have_no_wordings(grammar_only: TrainingWordings) -> None:
    assert not {"certainty", "negation", "speaker"} & set(grammar_only.axes)
    rng = random.Random(6)
    made = [grammar_only.draw(axis, rng) for axis in grammar_only.axes for _ in range(500)]
    made += [grammar_only.neutral(rng) for _ in range(3000)]
    assert [text for text in made if HELD_OUT_AXES.search(text.lower())] == []
    with pytest.raises(UserError, match="trained axis: got 'certainty'"):
        grammar_only.draw("certainty", rng)
