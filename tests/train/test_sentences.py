"""The generator of labelled sentences: labels, split, balance; and the rules that label real text."""

import random
import re
from collections import Counter

import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from instructor_core.train.mini.rules import label_by_rule
from instructor_core.train.mini.sentences import FRAMES, KINDS, frame, generate, held_out_words, inflect

HELD_TOPICS = {"gardening", "space", "art", "law"}
LABELS = {
    "sentiment": {"positive", "negative", "neutral"},
    "sentence_type": {"statement", "question", "command", "exclamation"},
    "emotion": {"joy", "anger", "sadness", "fear", "surprise", "disgust", "love", "neutral"},
    "question_type": {"person", "place", "time", "reason", "manner", "quantity", "yes/no", "thing"},
    "tense": {"past", "present", "future"},
    "person": {"first person", "second person", "third person"},
    "formality": {"formal", "informal"},
    "urgency": {"urgent", "not urgent"},
    "certainty": {"certain", "uncertain"},
    "subjectivity": {"subjective", "objective"},
}


@pytest.mark.parametrize("held_out", [False, True])
def test_every_label_of_an_axis_occurs(held_out: bool) -> None:
    seen: dict[str, set[str]] = {}
    for kind, axes in KINDS.items():
        for entry in generate(kind, 600, 0, held_out=held_out):
            assert set(entry.labels) <= {*axes, "negation"}
            for axis, label in entry.labels.items():
                seen.setdefault(axis, set()).add(label)
    for axis, labels in LABELS.items():
        assert seen[axis] == labels, axis
    for axis, at_least in {"intent": 21, "act": 14, "aspect": 7, "format": 9, "topic": 28}.items():
        assert len(seen[axis]) >= at_least, axis


@pytest.mark.parametrize("kind", KINDS)
def test_sentences_depend_on_the_seed_alone_and_no_slot_is_left_unfilled(kind: str) -> None:
    assert generate(kind, 40, 3) == generate(kind, 40, 3) != generate(kind, 40, 4)
    for held_out in (False, True):
        for entry in generate(kind, 1500, 5, held_out=held_out):
            assert not re.search(r"[{}]|  | [,.]", entry.text), entry.text
            assert 2 <= len(entry.text.split()) <= 40, entry.text


@pytest.mark.parametrize("kind", KINDS)
def test_topic_is_independent_of_the_other_labels(kind: str) -> None:
    """The chi-square statistic of a table with f degrees of freedom is about f, with deviation sqrt(2 f)."""
    table = pd.DataFrame(entry.labels for entry in generate(kind, 6000, 1))
    for axis in set(KINDS[kind]) - {"topic"}:
        found = chi2_contingency(pd.crosstab(table["topic"], table[axis]), correction=False)
        assert found.statistic <= found.dof + 5 * (2 * found.dof) ** 0.5, axis


def test_held_out_words_and_topics_never_occur_in_training() -> None:
    words = held_out_words()
    assert len(words) > 200
    assert {e.labels["topic"] for e in generate("intent", 1000, 0, held_out=True)} > HELD_TOPICS
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, words)) + r")\b", re.IGNORECASE)
    for kind in KINDS:
        entries = generate(kind, 1500, 2)
        for entry in entries:
            assert entry.labels["topic"] not in HELD_TOPICS
            assert not pattern.search(entry.text), entry.text
        held_out = {entry.text.lower() for entry in generate(kind, 500, 0, held_out=True)}
        assert not held_out & {entry.text.lower() for entry in entries}


def test_rules_agree_with_the_generator_say_nothing_where_they_do_not_know_and_activities_are_inflected() -> None:
    right, answered, asked = Counter[str](), Counter[str](), Counter[str]()
    for kind in KINDS:
        for entry in generate(kind, 1500, 7):
            found = label_by_rule(entry.text)
            for axis in found.keys() & entry.labels.keys():
                asked[axis] += 1
                answered[axis] += found[axis] is not None
                right[axis] += found[axis] == entry.labels[axis]
    for axis in ("sentence_type", "tense", "person", "negation"):
        assert answered[axis] >= 0.3 * asked[axis] and right[axis] >= 0.95 * answered[axis], axis
    assert label_by_rule("Are you going to sing tomorrow?")["tense"] == "future"
    assert label_by_rule("I would have come if it was free.")["tense"] is None
    assert label_by_rule("You and I agree.")["person"] is label_by_rule("Look out")["sentence_type"] is None
    for act, forms in {
        "carry the bags": ("carried the bags", "carrying the bags", "carries the bags"),
        "plan the trip": ("planned the trip", "planning the trip", "plans the trip"),
        "catch the bus": ("caught the bus", "catching the bus", "catches the bus"),
    }.items():
        assert tuple(inflect(act, form) for form in ("acted", "acting", "acts")) == forms


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_keeps_the_snippet_and_labels_the_clause(kind: str) -> None:
    rng = random.Random(0)
    entries = [frame(kind, "Two men are painting a boat", rng) for _ in range(300)]
    assert all("two men are painting a boat." in e.text.lower() for e in entries)
    assert all(set(e.labels) == {FRAMES[kind]} for e in entries)
    labels = {e.labels[FRAMES[kind]] for e in entries}
    assert labels == LABELS.get(FRAMES[kind], labels)
    assert len(labels) >= 2
