"""Every curated example shows on the bundled checkpoint what its text says it shows."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from instructor_core import InstructorModel
from instructor_core.analysis.metrics import nearest_agreement as agreement
from instructor_core.analysis.suggest import Objective, load_builder
from instructor_core.cache import CachedEncoder
from instructor_core.hub import BUNDLED
from instructor_core.ui.data.examples import Example, load_examples
from instructor_core.ui.data.fingerprints import fingerprints
from instructor_core.ui.data.inputs import MAX_INSTRUCTIONS

Vectors = NDArray[np.float32]  # (N, D), unit length
EXAMPLES = {example.id: example for example in load_examples()}
BUILDER = load_builder()


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


def gap(vectors: Vectors, labels: Sequence[object]) -> float:
    """Mean cosine of pairs with the same label minus that of pairs with different labels."""
    cosines = vectors @ vectors.T
    together = same(labels)
    return float(cosines[together & ~np.eye(len(cosines), dtype=bool)].mean() - cosines[~together].mean())


def separation(vectors: Vectors, labels: Sequence[object]) -> float:
    """How often a pair with the same label is closer than a pair with different labels; 0.5 is chance."""
    return float(roc_auc_score(same(labels)[np.triu_indices(len(vectors), k=1)], pair_cosines(vectors)))


def pair_cosines(vectors: Vectors) -> Vectors:
    """(N (N - 1) / 2,): the cosine of every pair once."""
    return (vectors @ vectors.T)[np.triu_indices(len(vectors), k=1)]


def labels_of(example: Example) -> tuple[str, ...]:
    return example.labels


# What each example is there to show


GROUPED = [
    ("reviews", ("stories", "labels")),
    ("questions", ("stories", "labels")),
    ("assistant", ("stories", "labels")),
    ("emotion", ("stories", "labels")),
    ("person", ("stories", "stories", "labels")),
]


@pytest.mark.parametrize(("name", "wanted"), GROUPED, ids=[name for name, _ in GROUPED])
def test_texts_group_by_what_the_instruction_asks_for_and_by_nothing_else_and_its_line_says_that_it_moves_them(
    mini: InstructorModel, encoder: CachedEncoder, name: str, wanted: tuple[str, ...]
) -> None:
    example = EXAMPLES[name]
    groupings: dict[str, Sequence[object]] = {
        "stories": runs_of(3 if name == "person" else 4, len(example.texts)),
        "labels": labels_of(example),
        "questions": [text.endswith("?") for text in example.texts],
    }
    for vectors, grouping in zip(vectors_of(mini, example), wanted, strict=True):
        assert agreement(vectors, groupings[grouping]) >= 0.85 and gap(vectors, groupings[grouping]) > 0.2
        for other in set(wanted) - {grouping}:
            assert gap(vectors, groupings[other]) < 0.05
    inputs = example.inputs(BUNDLED)
    found = zip(inputs.instructions, fingerprints(encoder.encode, inputs), strict=True)
    assert all(result is not None and result.verdict == "moves" for instruction, result in found if instruction)


def test_no_nearest_text_by_speaker_is_of_the_same_event_and_none_asked_for_groups_no_reviews_by_sentiment(
    mini: InstructorModel,
) -> None:
    example, reviews = EXAMPLES["person"], EXAMPLES["reviews"]
    assert agreement(vectors_of(mini, example)[2], runs_of(3, len(example.texts))) == 0
    assert agreement(encode(mini, "", reviews.texts), labels_of(reviews)) < 0.7


def test_times_and_numbers_stay_neighbours_among_the_kinds_of_answer(mini: InstructorModel) -> None:
    example = EXAMPLES["questions"]
    kind = np.array(labels_of(example))
    vectors = vectors_of(mini, example)[1]
    centre = {name: vectors[kind == name].mean(axis=0) for name in set(kind)}
    others = [centre["when"] @ centre["who"], centre["when"] @ centre["why"]]
    assert centre["when"] @ centre["how many"] > max(others) + 0.15


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
    assert (with_objective * plain).sum(axis=1).mean() < 0.88


def hits(rows: Vectors, columns: Vectors, n_queries: int) -> int:
    """How many queries find the document of their own place first."""
    found = (rows[:n_queries] @ columns[n_queries:].T).argmax(axis=1)
    return int((found == np.arange(n_queries)).sum())


def test_questions_find_their_documents_unless_compared_by_kind_of_question(mini: InstructorModel) -> None:
    example = EXAMPLES["retrieval"]
    assert labels_of(example)[:8] == labels_of(example)[8:]
    as_query, as_document, by_kind = vectors_of(mini, example)
    plain = encode(mini, "", example.texts)
    assert hits(as_query, as_document, 8) >= 7
    assert hits(plain, plain, 8) >= 7  # nearly all of both, and so about as many
    assert hits(by_kind, by_kind, 8) <= 5


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
    assert plain[loan] < plain[music].max()


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


# What the instruction builder says about the bundled checkpoint

# Texts and the label of each, by axis: small sets of their own, and the examples.
PROBES: dict[str, list[tuple[object, str]]] = {
    **json.loads(Path(__file__).with_name("probes.json").read_text(encoding="utf-8")),
    "topic": list(zip(runs_of(4, 16), EXAMPLES["emotion"].texts, strict=True)),
    "domain": list(zip(runs_of(4, 16), EXAMPLES["assistant"].texts, strict=True)),
    "sentence type": [(text.endswith("?"), text) for text in EXAMPLES["reviews"].texts],
    **{
        axis: list(zip(labels_of(EXAMPLES[name]), EXAMPLES[name].texts, strict=True))
        for axis, name in (
            ("sentiment", "reviews"),
            ("question type", "questions"),
            ("intent", "assistant"),
            ("emotion", "emotion"),
            ("grammatical person", "person"),
        )
    },
}


@pytest.mark.parametrize(
    "entry", [entry for entry in BUILDER.objectives if entry.mini or entry.axis in PROBES], ids=lambda e: e.objective
)
def test_an_objective_is_marked_as_working_where_it_clearly_beats_no_instruction(
    mini: InstructorModel, entry: Objective
) -> None:
    labels, texts = zip(*PROBES[entry.axis], strict=True)
    with_it, without = encode(mini, f"Represent the text for {entry.objective}: ", texts), encode(mini, "", texts)
    found, before = agreement(with_it, labels), agreement(without, labels)
    apart, left = separation(with_it, labels), 1 - separation(without, labels)  # what is left to gain
    if entry.mini:
        assert found >= 0.65 and found > before + 0.1 and apart > max(0.7, 1 - 0.6 * left)
    else:
        assert found < 0.8 or found < before + 0.2 or apart < max(0.7, 1 - 0.4 * left)


def test_the_examples_are_sound_and_short_enough_to_read_in_a_matrix() -> None:
    assert len(EXAMPLES) >= 7 and next(iter(EXAMPLES)) == "reviews", "it is shown first"
    for example in EXAMPLES.values():
        assert 2 <= len(example.instructions) <= MAX_INSTRUCTIONS and 8 <= len(example.texts) <= 24
        assert all(len(text) <= 90 and text.isascii() for text in example.texts), example.id
        assert len(example.title) <= 60 and len(example.point) <= 360, example.id
        assert len(labels_of(example)) == len(example.texts) > len(set(labels_of(example))), example.id
