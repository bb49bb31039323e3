import itertools
import json
import random
import re

import pytest

from instructor_core.errors import UserError
from instructor_core.train.mini.grammar import normalise
from instructor_core.train.mini.material import HELD_OUT_AXES, HELD_OUT_SLOTS
from instructor_core.train.mini.slips import finish, shuffle
from instructor_core.train.mini.wordings import DATA, TrainingWordings

LARGE = ["topic", "sentiment", "sentence_type", "intent", "emotion", "question_type", "tense", "formality"]
LARGE += ["urgency", "aspect", "person", "domain"]
KEPT_APART = re.compile(r"\b(speakers?|vehicles?|means of transport|flowers?)\b")


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


def test_draws_end_with_one_space_differ_by_thousands_and_a_quarter_has_the_form_of_the_paper(
    wordings: TrainingWordings,
) -> None:
    rng = random.Random(1)
    for axis in wordings.axes:
        made = draws(wordings, axis, 300) + [wordings.plain(axis, rng) for _ in range(100)] + wordings.held_out(axis)
        for text in [*made, *(wordings.neutral(rng) for _ in range(100))]:
            assert text.endswith(" ") and not text.endswith("  ") and text.strip(), repr(text)
            assert "{" not in text
    for axis in ("topic", "person", "domain"):
        assert len(set(draws(wordings, axis, 6000))) >= 3000, axis
    share = sum(text.lower().startswith("represent ") for text in draws(wordings, "sentiment", 3000)) / 3000
    assert 0.22 < share < 0.4
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


def test_classes_of_the_batch_appear_as_words_in_any_order_and_all_of_them_in_a_list(
    wordings: TrainingWordings,
) -> None:
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
    rng = random.Random(4)
    for n in (1, 2, 8):
        nouns = ["harbour", "opera", "soup", "algebra", "knitting", "chess", "harvest", "tunnel"][:n]
        made = [wordings.list_of(nouns, rng).lower() for _ in range(400)]
        assert sum(all(noun in text for noun in nouns) for text in made) > 340  # a slip may be inside a word
        assert len(set(made)) > 150
        assert not any("{" in text for text in made)


def _in(text: str) -> set[str]:
    return {words for words in ("lost card", "top up", "card arrival") if words in text}


def test_two_axes_are_named_in_both_orders_and_nothing_but_the_order_tells_which_is_wanted(
    wordings: TrainingWordings,
) -> None:
    def places(wanted: str, unwanted: str, seed: int) -> list[bool]:
        rng = random.Random(seed)
        made = [normalise(wordings.contrast(wanted, unwanted, rng)) for _ in range(1500)]
        first = [(text.find(" tense "), text.find(" person ")) for text in made]
        return [a < b for a, b in first if min(a, b) >= 0]

    one, other = places("tense", "person", 1), places("person", "tense", 2)
    assert min(len(one), len(other)) > 40
    assert 0.25 < sum(one) / len(one) < 0.75 and 0.25 < sum(other) / len(other) < 0.75

    same = [
        [
            normalise(wordings.contrast(*axes, random.Random(seed)))
            for axes in (("tense", "negation"), ("negation", "tense"))
        ]
        for seed in range(300)
    ]
    assert sum(sorted(a.split()) == sorted(b.split()) for a, b in same) > 250
    assert all(a != b for a, b in same)
    asked = normalise(wordings.contrast("opinion on the food", "opinion on the staff", random.Random(0)))
    assert " food " in asked and " staff " in asked


def test_words_are_exchanged_for_near_ones_and_only_when_they_are_given() -> None:
    near = {"sentiment": ["zubbel"], "good": ["zubbel"]}
    assert not any("zubbel" in text.lower() for text in draws(TrainingWordings(), "sentiment", 500))
    changed = sum("zubbel" in text.lower() for text in draws(TrainingWordings(near=near), "sentiment", 2000))
    assert 20 < changed < 600


@pytest.mark.parametrize("text", ["", "A", "?", "a b", "not by this but by that"])
def test_any_string_can_be_finished_and_shuffled(text: str) -> None:
    for seed in range(3000):
        rng = random.Random(seed)
        assert finish(text, ["please"], rng).endswith(" ")
        assert sorted(shuffle(text, rng).split()) == sorted(text.split())
    order = shuffle("one two three four five six", random.Random(1)).split()
    numbers = [["one", "two", "three", "four", "five", "six"].index(word) for word in order]
    assert all(after != before + 1 for before, after in itertools.pairwise(numbers))


def test_neutral_wordings_name_no_trained_axis_and_what_is_kept_for_evaluation_has_no_wordings(
    wordings: TrainingWordings,
) -> None:
    grammar = json.loads((DATA / "grammar.json").read_text(encoding="utf-8"))
    names = {normalise(name) for axis in grammar["axes"].values() for name in axis["names"]}
    rng = random.Random(5)
    made = [wordings.neutral(rng, shuffled=0) for _ in range(5000)]
    assert len(set(made)) > 3000
    searched = "".join(f"{normalise(text)}\n" for text in made)
    assert [name for name in names if name in searched] == []
    assert not (HELD_OUT_AXES | HELD_OUT_SLOTS) & set(wordings.axes)
    rng = random.Random(6)
    made = [wordings.draw(axis, rng) for axis in wordings.axes for _ in range(300)]
    made += [wordings.neutral(rng) for _ in range(3000)]
    assert [text for text in made if KEPT_APART.search(text.lower())] == []
    with pytest.raises(UserError, match="trained axis: got 'speaker'"):
        wordings.draw("speaker", rng)
