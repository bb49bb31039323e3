"""Every curated example shows on the bundled checkpoint what its text says it shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from instructor_core.ui.examples import (
    EXAMPLES_FOLDER,
    MAX_TEXTS,
    Example,
    load_examples,
)
from instructor_core.ui.inputs import MAX_INSTRUCTIONS

if TYPE_CHECKING:
    from instructor_core import InstructorModel

Vectors = NDArray[np.float32]  # (N, D), unit length
EXAMPLES = {example.id: example for example in load_examples()}
BUILDER = json.loads((EXAMPLES_FOLDER.parent / "instruction_builder.json").read_text(encoding="utf-8"))


def vectors_of(mini: InstructorModel, example: Example) -> list[Vectors]:
    """One (N, D) array per instruction."""
    return [mini.encode([(instruction, text) for text in example.texts]) for instruction in example.instructions]


def encode(mini: InstructorModel, instruction: str, texts: Sequence[str]) -> Vectors:
    return mini.encode([(instruction, text) for text in texts])


def runs_of(length: int, n: int) -> list[int]:
    """Labels of texts that are listed in groups of `length`: [0, 0, 0, 1, 1, 1, ...]."""
    return [i // length for i in range(n)]


def same(labels: Sequence[object]) -> NDArray[np.bool_]:
    """(N, N): True where two texts share a label."""
    values = np.array(labels)
    return np.asarray(values[:, None] == values[None, :])


def agreement(vectors: Vectors, labels: Sequence[object]) -> float:
    """Share of texts whose nearest other text has their label."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    return float(same(labels)[np.arange(len(cosines)), cosines.argmax(axis=1)].mean())


def gap(vectors: Vectors, labels: Sequence[object]) -> float:
    """Mean cosine of pairs with the same label minus that of pairs with different labels."""
    cosines = vectors @ vectors.T
    together = same(labels)
    return float(cosines[together & ~np.eye(len(cosines), dtype=bool)].mean() - cosines[~together].mean())


def separation(vectors: Vectors, labels: Sequence[object]) -> float:
    """How often a pair with the same label is closer than a pair with different labels; 0.5 is chance."""
    cosines, together = pair_cosines(vectors), same(labels)[np.triu_indices(len(vectors), k=1)]
    return float((cosines[together][:, None] > cosines[~together][None, :]).mean())


def pair_cosines(vectors: Vectors) -> Vectors:
    """(N (N - 1) / 2,): the cosine of every pair once."""
    return (vectors @ vectors.T)[np.triu_indices(len(vectors), k=1)]


def labels_of(example: Example) -> tuple[str, ...]:
    assert example.labels is not None
    return example.labels


# What each example is there to show


def test_reviews_group_by_topic_by_sentiment_or_by_form_as_the_instruction_asks(
    mini: InstructorModel,
) -> None:
    example = EXAMPLES["reviews"]
    sentiment, topic = labels_of(example), runs_of(4, 16)
    form = [text.endswith("?") for text in example.texts]
    assert sum(form) == 8
    under_topic, under_sentiment, under_form = vectors_of(mini, example)
    assert agreement(under_topic, topic) == 1.0
    assert agreement(under_sentiment, sentiment) == 1.0
    assert agreement(under_form, form) == 1.0
    assert gap(under_topic, topic) > 0.2 > 0.05 > gap(under_topic, sentiment)
    assert gap(under_sentiment, sentiment) > 0.15 > 0.05 > gap(under_sentiment, topic)
    assert gap(under_form, form) > 0.15 > 0.05 > max(gap(under_form, topic), gap(under_form, sentiment))
    assert agreement(encode(mini, "", example.texts), sentiment) < 0.7


def test_questions_group_by_topic_or_by_the_kind_of_answer(mini: InstructorModel) -> None:
    example = EXAMPLES["questions"]
    kind, topic = labels_of(example), runs_of(4, 16)
    under_topic, under_kind = vectors_of(mini, example)
    assert agreement(under_topic, topic) >= 0.9 and agreement(under_topic, kind) <= 0.1
    assert agreement(under_kind, kind) >= 0.9 and agreement(under_kind, topic) <= 0.1
    assert gap(under_topic, topic) > 0.2 and gap(under_kind, kind) > 0.2


def test_times_and_numbers_stay_neighbours_among_the_kinds_of_answer(mini: InstructorModel) -> None:
    example = EXAMPLES["questions"]
    kind = np.array(labels_of(example))
    vectors = vectors_of(mini, example)[1]
    centre = {name: vectors[kind == name].mean(axis=0) for name in set(kind)}
    others = [centre["when"] @ centre["who"], centre["when"] @ centre["why"]]
    assert centre["when"] @ centre["how many"] > max(others) + 0.15


def test_assistant_requests_group_by_service_or_by_intent(mini: InstructorModel) -> None:
    example = EXAMPLES["assistant"]
    intent, service = labels_of(example), runs_of(4, 16)
    under_service, under_intent = vectors_of(mini, example)
    assert agreement(under_service, service) >= 0.8 and agreement(under_service, intent) <= 0.2
    assert agreement(under_intent, intent) >= 0.75 and agreement(under_intent, service) <= 0.25
    assert gap(under_service, service) > 0.1 and gap(under_intent, intent) > 0.12


def test_published_instructions_keep_the_four_fields_and_hardly_move_the_picture(
    mini: InstructorModel,
) -> None:
    example = EXAMPLES["published"]
    assert example.instructions[0] == ""
    plain, *published = vectors_of(mini, example)
    assert agreement(plain, labels_of(example)) >= 0.9
    for vectors in published:
        assert agreement(vectors, labels_of(example)) >= 0.85
        assert (vectors * plain).sum(axis=1).mean() > 0.92
        assert np.corrcoef(pair_cosines(vectors), pair_cosines(plain))[0, 1] > 0.8
    with_objective = encode(mini, "Represent the Science title for classifying the sentence type: ", example.texts)
    assert (with_objective * plain).sum(axis=1).mean() < 0.8


def ranks_of_the_right_document(rows: Vectors, columns: Vectors, n_queries: int) -> list[int]:
    """1 where the document of the query's own name comes first among the documents."""
    cosines = rows[:n_queries] @ columns[n_queries:].T
    return [int((row > row[i]).sum()) + 1 for i, row in enumerate(cosines)]


def test_questions_find_their_documents_unless_compared_by_kind_of_question(mini: InstructorModel) -> None:
    example = EXAMPLES["retrieval"]
    assert labels_of(example)[:8] == labels_of(example)[8:]
    as_query, as_document, by_kind = vectors_of(mini, example)
    plain = encode(mini, "", example.texts)
    assert ranks_of_the_right_document(as_query, as_document, 8).count(1) >= 7
    assert ranks_of_the_right_document(plain, plain, 8).count(1) >= 7
    assert ranks_of_the_right_document(by_kind, by_kind, 8).count(1) <= 5


def test_a_shared_field_outweighs_a_shared_word_under_the_topic_instruction(mini: InstructorModel) -> None:
    example = EXAMPLES["senses"]
    words = [next(w for w in ("pitch", "match", "note", "bank") if w in text) for text in example.texts]
    assert words == [w for w in ("pitch", "match", "note", "bank") for _ in range(4)]
    same_word, same_field = same(words), same(labels_of(example))

    def lead_of_the_field(vectors: Vectors) -> float:
        cosines = vectors @ vectors.T
        return float(cosines[same_field & ~same_word].mean() - cosines[same_word & ~same_field].mean())

    plain, by_topic = vectors_of(mini, example)
    assert abs(lead_of_the_field(plain)) < 0.06
    assert lead_of_the_field(by_topic) > 0.08
    assert lead_of_the_field(by_topic) > lead_of_the_field(plain) + 0.04
    assert agreement(by_topic, labels_of(example)) >= 0.9


def test_the_cashier_leaves_the_musical_note_for_the_bank(mini: InstructorModel) -> None:
    example = EXAMPLES["senses"]
    (cashier,) = (i for i, text in enumerate(example.texts) if "cashier" in text)
    (loan,) = (i for i, text in enumerate(example.texts) if "loan" in text)
    music = [i for i, text in enumerate(example.texts) if "note" in text and labels_of(example)[i] == "music"]
    assert len(music) == 2
    plain, by_topic = (vectors @ vectors[cashier] for vectors in vectors_of(mini, example))
    assert by_topic[loan] > by_topic[music].max() + 0.1
    assert plain[loan] < plain[music].max() - 0.03


def test_the_speaker_replaces_the_event_under_the_person_instruction(mini: InstructorModel) -> None:
    example = EXAMPLES["person"]
    speaker, event = labels_of(example), runs_of(3, 12)
    plain, by_topic, by_person = vectors_of(mini, example)
    for vectors in (plain, by_topic):
        assert agreement(vectors, event) == 1.0 and agreement(vectors, speaker) == 0.0
    assert agreement(by_person, speaker) == 1.0 and agreement(by_person, event) == 0.0
    assert gap(by_person, speaker) > 0.2


def test_edits_of_marks_and_word_order_stay_below_the_effect_of_the_instruction(
    mini: InstructorModel,
) -> None:
    example = EXAMPLES["control"]
    right, other_mark, no_mark, shuffled, greeting, empty = vectors_of(mini, example)
    assert sorted(example.instructions[3].lower().replace(":", "").split()) == sorted(
        example.instructions[0].lower().replace(":", "").split()
    )
    assert agreement(right, labels_of(example)) == 1.0
    for edited in (other_mark, no_mark, shuffled):
        assert np.abs(pair_cosines(edited) - pair_cosines(right)).mean() < 0.03
        assert agreement(edited, labels_of(example)) >= 0.9
    for unrelated in (greeting, empty):
        assert np.abs(pair_cosines(unrelated) - pair_cosines(right)).mean() > 0.1
        assert agreement(unrelated, labels_of(example)) <= 0.7


def test_messages_group_by_story_or_by_feeling(mini: InstructorModel) -> None:
    example = EXAMPLES["emotion"]
    feeling, story = labels_of(example), runs_of(4, 16)
    under_topic, under_feeling = vectors_of(mini, example)
    assert agreement(under_topic, story) >= 0.9 and agreement(under_topic, feeling) <= 0.15
    assert agreement(under_feeling, feeling) >= 0.85 and agreement(under_feeling, story) <= 0.2
    assert gap(under_topic, story) > 0.15 and gap(under_feeling, feeling) > 0.15


# What the instruction builder says about the bundled checkpoint

TENSES = [
    f"{who} {verb}."
    for who, *verbs in (
        (
            "The train",
            "left the station on time",
            "is leaving the station now",
            "will leave the station at noon",
        ),
        (
            "We",
            "watched an old film last night",
            "are watching an old film",
            "will watch an old film tomorrow",
        ),
        ("The doctor", "examined my knee", "is examining my knee", "will examine my knee next week"),
    )
    for verb in verbs
]
# Texts that are not in an example, and the label of each, by axis.
PROBES: dict[str, tuple[list[str], list[str]]] = {
    "tense": (TENSES, ["past", "present", "future"] * 3),
    "urgency": (
        [
            "Water is pouring through the ceiling, come at once!",
            "The server is down and customers cannot pay, fix it now.",
            "I need the signed contract within the hour.",
            "Our heating failed and it is freezing, please hurry.",
            "Please repaint the ceiling whenever you have time.",
            "We might replace the server some day, no rush.",
            "You can send the contract next month.",
            "Have a look at the heating when it suits you.",
        ],
        ["urgent"] * 4 + ["can wait"] * 4,
    ),
    "certainty": (
        [
            "I am absolutely sure the shop opens at nine.",
            "There is no doubt that the bridge is safe.",
            "It is certain that she won the race.",
            "He definitely sold the car.",
            "Perhaps the shop opens at nine.",
            "I'm not sure the bridge is safe.",
            "Maybe she won the race.",
            "He might have sold the car, who knows.",
        ],
        ["sure"] * 4 + ["unsure"] * 4,
    ),
    "aspect": (
        [
            "The jacket is far too expensive.",
            "What a bargain these boots were.",
            "For that price I expected more from the tent.",
            "The shop assistant was very helpful with the jacket.",
            "Customer support never answered about my boots.",
            "The staff were rude when I returned the tent.",
            "The jacket looks gorgeous.",
            "I find the boots rather ugly.",
            "The tent comes in a lovely green design.",
        ],
        ["price"] * 3 + ["service"] * 3 + ["look"] * 3,
    ),
    "text format": (
        [
            "Dear Ms Brown, please find the invoice attached. Best wishes, Tom",
            "Hi team, the meeting moves to Friday. Kind regards, Ana",
            "Dear Sir, I am writing about the flat you advertise. Yours faithfully, J. Bell",
            "Mix flour and butter, add two eggs and bake for 30 minutes.",
            "Chop the onions, fry them gently and stir in the rice.",
            "Peel the apples, sprinkle with sugar and bake until golden.",
            "Mayor opens new bridge after two years of works",
            "Storm leaves thousands without power on the coast",
            "Breaking: oil price falls for third day",
        ],
        ["letter"] * 3 + ["recipe"] * 3 + ["headline"] * 3,
    ),
    "formality": (
        [
            "I would be grateful if you could send me the invoice.",
            "We regret to inform you that the concert has been postponed.",
            "We cordially invite you to a dinner in honour of our guests.",
            "Kindly refrain from using your telephone in the library.",
            "hey, can u shoot me that invoice?",
            "bummer, the gig got pushed back",
            "wanna grab dinner with us tonight?",
            "dude, put your phone away in the library",
        ],
        ["formal"] * 4 + ["casual"] * 4,
    ),
    "subjectivity": (
        [
            "The film opened in June in forty cinemas.",
            "It tells the story of two brothers in Naples.",
            "The museum has three floors and a cafe.",
            "The novel was published in 1954.",
            "The film is a tender little masterpiece.",
            "I find the story of the brothers touching.",
            "The museum is a charming place for a rainy day.",
            "The novel is overrated, if you ask me.",
        ],
        ["fact"] * 4 + ["opinion"] * 4,
    ),
    "negation": (
        [
            "The shop is open today.",
            "She likes the new neighbours.",
            "The key fits the lock.",
            "We found the cat in the garden.",
            "The shop is not open today.",
            "She doesn't like the new neighbours.",
            "The key never fits the lock.",
            "We found no cat in the garden.",
        ],
        ["affirmed"] * 4 + ["negated"] * 4,
    ),
    "irony": (
        [
            "Oh great, another Monday, just what I needed.",
            "Sure, because rain at a wedding is so romantic.",
            "Wow, what a genius idea to park on the rails.",
            "Mondays are hard for many people.",
            "It rained at the wedding.",
            "He parked on the rails by mistake.",
        ],
        ["ironic"] * 3 + ["plain"] * 3,
    ),
    "topic": (list(EXAMPLES["emotion"].texts), [str(story) for story in runs_of(4, 16)]),
    "sentiment": (list(EXAMPLES["reviews"].texts), list(labels_of(EXAMPLES["reviews"]))),
    "sentence type": (
        list(EXAMPLES["reviews"].texts),
        ["?" if text.endswith("?") else "." for text in EXAMPLES["reviews"].texts],
    ),
    "question type": (list(EXAMPLES["questions"].texts), list(labels_of(EXAMPLES["questions"]))),
    "intent": (list(EXAMPLES["assistant"].texts), list(labels_of(EXAMPLES["assistant"]))),
    "domain": (list(EXAMPLES["assistant"].texts), [str(service) for service in runs_of(4, 16)]),
    "emotion": (list(EXAMPLES["emotion"].texts), list(labels_of(EXAMPLES["emotion"]))),
    "grammatical person": (list(EXAMPLES["person"].texts), list(labels_of(EXAMPLES["person"]))),
}


def objectives(*, mini: bool) -> list[tuple[str, str]]:
    """The (axis, objective) pairs with this mark whose axis has a probe."""
    entries = [(entry["axis"], entry["objective"]) for entry in BUILDER["objectives"] if entry["mini"] is mini]
    return [(axis, objective) for axis, objective in entries if axis in PROBES or mini]


def works(mini: InstructorModel, axis: str, objective: str) -> bool:
    """Whether the objective brings texts of one label together, clearly better than no instruction."""
    texts, labels = PROBES[axis]
    instruction = f"Represent the text for {objective}: "
    with_it, without = encode(mini, instruction, texts), encode(mini, "", texts)
    neighbors = agreement(with_it, labels) - agreement(without, labels)
    return neighbors > 0.2 and separation(with_it, labels) > max(0.7, separation(without, labels) + 0.1)


@pytest.mark.parametrize(("axis", "objective"), objectives(mini=True))
def test_an_objective_marked_as_working_beats_no_instruction(mini: InstructorModel, axis: str, objective: str) -> None:
    assert works(mini, axis, objective)


@pytest.mark.parametrize(("axis", "objective"), objectives(mini=False))
def test_an_objective_with_a_probe_is_not_marked_down_without_reason(
    mini: InstructorModel, axis: str, objective: str
) -> None:
    assert not works(mini, axis, objective)


def test_the_builder_lists_are_distinct_words_in_the_form_the_template_needs() -> None:
    assert BUILDER["template"] == "Represent the {domain} {text_type} for {objective}: "
    assert set(BUILDER) == {"template", "domains", "text_types", "mini_means", "objectives"}
    objectives = [entry["objective"] for entry in BUILDER["objectives"]]
    for words in (BUILDER["domains"], BUILDER["text_types"], objectives):
        assert len(set(words)) == len(words) > 5
        assert all(word == word.strip() and word for word in words)
    assert {type(entry["mini"]) for entry in BUILDER["objectives"]} == {bool}


# The format


def test_the_first_example_is_the_one_about_reviews() -> None:
    assert len(EXAMPLES) >= 7
    assert next(iter(EXAMPLES)) == "reviews"


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_is_short_enough_to_read_in_a_matrix(example: Example) -> None:
    assert 2 <= len(example.instructions) <= MAX_INSTRUCTIONS
    assert 8 <= len(example.texts) <= MAX_TEXTS
    assert all(len(text) <= 90 and text.isascii() for text in example.texts)
    assert len(example.title) <= 60 and len(example.point) <= 360
    assert example.labels is not None and len(set(example.labels)) < len(example.labels)
