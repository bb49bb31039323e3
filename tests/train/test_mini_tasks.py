"""The material: texts with their sources, labelled sets of several axes, twins, and a part that is open."""

import gzip
import json
import random
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from instructor_core.errors import UserError
from instructor_core.train.mini.building import Sizes, build_material
from instructor_core.train.mini.material import (
    HELD_OUT_AXES,
    HELD_OUT_SLOTS,
    LabelledSet,
    Material,
    open_part,
    read_material,
    summary,
    trained_axes,
    write_material,
)
from instructor_core.train.mini.medi import name_classes, recover_labels
from instructor_core.train.mini.sources import licences, read_public_sets, read_sources, read_tasks
from instructor_core.train.mini.topics import find_topics, k_means
from instructor_core.train.mini.twins import claim, negate
from instructor_core.train.mini.wordings import TrainingWordings

APART = "The lighthouse keeper painted his door green last week."
SHARED = "how much money is on my card"
"""Stands in the corpus, in an open published set and in a closed task."""


def _corpus() -> list[str]:
    rng = random.Random(0)
    people = ("The mechanic", "My aunt", "A tall girl", "The goalkeeper", "Our landlord")
    acts = (
        "is cleaning the window",
        "was late for the match",
        "will open the shop",
        "bought a lamp",
        "can see the harbour",
    )
    places = (" near the station.", " on Monday.", " with a friend.", " after lunch!", " again.")
    made = [f"{rng.choice(people)} {rng.choice(acts)}{rng.choice(places)} Number {i}." for i in range(300)]
    return [f"{text.split(' Number')[0][:-1]} {i}{text.split(' Number')[0][-1]}" for i, text in enumerate(made)]


def _write_medi(path: Path, corpus: list[str]) -> None:
    def record(task: str, text: str, positive: str, negative: str) -> dict[str, object]:
        parts = zip(("query", "pos", "neg"), (text, positive, negative), strict=True)
        return {"task_name": task, **{role: ["Do: ", part] for role, part in parts}}

    records = [record("clinc_intent:intent", f"query {i}", f"positive {i}", f"negative {i}") for i in range(30)]
    records += [record("mr_sentiment:sentiment", f"film {i}", f"film {i + 2}", f"film {i + 1}") for i in range(500)]
    records += [record("mr_sentiment:sentiment", SHARED, "film 0", "film 1")]
    records += [record("wordnet_syn", f"word {i}", f"synonym {i}", "") for i in range(30)]
    records += [record("wordnet_syn", corpus[7], APART.upper(), "")]
    records += [record("agnews_title_desc", corpus[8], corpus[9], "")]
    records += [record("sgd_speaker:speaker", "a user", "another", "a system"), record("unheard of", "xx", "yy", "zz")]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in records)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    corpus = _corpus()
    (folder / "corpus.txt").write_text("\n".join([*corpus, APART, SHARED]) + "\n", encoding="utf-8")
    _write_medi(folder / "train.jsonl.gz", corpus)
    public = folder / "public"
    public.mkdir()
    goemotions = "".join(f"That made my day number {i}\t{(17, 2, 27)[i % 3]}\tid{i}\n" for i in range(30))
    (public / "goemotions.tsv").write_text(goemotions + "Two of them at once\t3,4\tx\n", encoding="utf-8")
    train = [[f"question {i} of the bank", "card_lost"] for i in range(6)] + [[SHARED, "balance"]] * 6
    (public / "clinc.json").write_text(json.dumps({"train": train}), encoding="utf-8")
    (public / "clinc_domains.json").write_text(json.dumps({"credit_cards": ["card_lost"], "banking": ["balance"]}))
    reviews = "".join(
        f'<text>Fish &amp; chips {i}</text> <aspectCategories><aspectCategory category="food" polarity="positive"/>'
        f'<aspectCategory category="staff" polarity="{("negative", "neutral")[i % 2]}"/></aspectCategories>\n'
        for i in range(12)
    ).replace('category="food" polarity="positive"', 'category="food" polarity="negative"', 6)
    (public / "mams.xml").write_text(reviews, encoding="utf-8")
    (public / "sms.txt").write_text("Label\tSMS\n" + "ham\tsee you at 5\nspam\twin a car now\n" * 1, encoding="utf-8")
    lines = folder / "lines"
    lines.mkdir()
    (lines / "wiki-split.txt").write_text("\n".join(text.upper() for text in corpus[20:60]), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def material(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Material:
    apart = tmp_path_factory.mktemp("apart")
    (apart / "toy.jsonl").write_text(json.dumps({"text": "the lighthouse keeper painted his door green, last week"}))
    return build_material(folder, Sizes(generated=60), seed=1, apart=[apart])


def _set(material: Material, name: str) -> LabelledSet:
    return next(one for one in material.labelled if one.name == name)


def test_every_line_keeps_its_source_and_lines_of_no_known_set_are_unknown(material: Material) -> None:
    source_of = {
        text: material.source_names[n] for text, n in zip(material.texts, material.sources.tolist(), strict=True)
    }
    corpus = _corpus()
    assert source_of[corpus[0]] == "unknown"
    assert source_of[corpus[7]] == "wordnet" and source_of[corpus[8]] == "ag"  # by their tasks
    assert source_of[corpus[25]] == "wiki-split"  # by letters and digits
    assert source_of[SHARED] == "clinc"  # open there, closed in another set
    assert len(set(material.texts)) == len(material.texts)
    assert material.texts[: material.n_corpus] == [*corpus, SHARED]
    for one in material.labelled:
        if one.source == "line":
            pairs = zip(one.rows.tolist(), one.topic_rows.tolist(), strict=True)
            assert all(material.sources[row] == material.sources[line] for row, line in pairs), one.name


def test_sets_have_the_labels_of_their_texts(material: Material) -> None:
    one = _set(material, "mr_sentiment:sentiment")
    label_of = dict(zip((material.texts[row] for row in one.rows), one.columns["sentiment"].tolist(), strict=True))
    assert len({label_of[f"film {i}"] for i in range(0, 500, 2)}) == 1 and label_of["film 0"] != label_of["film 1"]
    assert label_of[SHARED] == label_of["film 0"]
    assert one.classes == {"sentiment": ()}  # no cue words, no names
    food = _set(material, "mams")
    assert material.texts[food.rows[0]] == "Fish & chips 0"
    assert food.classes["opinion on the staff"] == ("negative", "neutral")
    emotions = _set(material, "goemotions")
    assert emotions.classes["emotion"] == ("anger", "joy", "neutral") and len(emotions.rows) == 30
    assert _set(material, "clinc").classes["domain"] == ("banking", "credit cards")
    scenes = _set(material, "scenes")
    for axis in ("relative", "room"):
        for row, label in zip(scenes.rows.tolist(), scenes.columns[axis].tolist(), strict=True):
            assert label < 0 or scenes.classes[axis][label].lower() in material.texts[row].lower()
    by_rule = _set(material, "corpus by rule")
    assert set(by_rule.topic_rows.tolist()) <= set(range(material.n_corpus))
    assert "sms" not in {one.name for one in material.labelled}  # classes of one text say nothing


def test_twins_stand_side_by_side_and_differ_in_their_label(material: Material) -> None:
    for axis in ("negation", "certainty"):
        one = _set(material, f"twins of {axis}")
        assert one.twins is not None and len(one.rows) > 30
        for number in np.unique(one.twins):
            both = np.flatnonzero(one.twins == number)
            assert len(both) == 2 and set(one.columns[axis][both].tolist()) == {0, 1}
            assert len(set(one.topic_rows[both].tolist())) == 1


def test_no_held_out_axis_nor_text_of_the_evaluation_is_trained_and_every_trained_axis_has_wordings(
    material: Material,
) -> None:
    assert not (HELD_OUT_AXES | HELD_OUT_SLOTS) & trained_axes(material)
    assert {"certainty", "negation", "product", "opinion on the food", "fine emotion", "room"} <= trained_axes(material)
    assert trained_axes(material) <= set(TrainingWordings().axes)
    assert not any("lighthouse keeper painted" in text.lower() for text in material.texts)
    pairs = next(pairs for pairs in material.pairs if pairs.name == "wordnet_syn")
    assert pairs.rows.shape == (2, 30) and len(pairs.instructions) == 30 and pairs.symmetric


def test_an_open_part_holds_open_sources_only_and_means_the_same(material: Material) -> None:
    part, sources = open_part(material), read_sources()
    assert all(sources[part.source_names[number]].is_open for number in np.unique(part.sources))
    assert part.texts == [material.texts[line] for line in part.lines]
    assert part.texts[: part.n_corpus] == [_corpus()[7], *_corpus()[20:60], SHARED]
    names = {one.name for one in part.labelled}
    assert "mr_sentiment:sentiment" not in names and {"mams", "clinc", "written", "twins of negation"} <= names
    assert [pairs.name for pairs in part.pairs] == ["wordnet_syn"]
    for one in part.labelled:
        whole = _set(material, one.name)
        labels = {material.texts[row]: i for i, row in enumerate(whole.rows.tolist())}
        for axis, column in one.columns.items():
            for row, label in zip(one.rows.tolist(), column.tolist(), strict=True):
                assert whole.columns[axis][labels[part.texts[row]]] == label
    framed = _set(part, "framed review")
    assert 0 < len(framed.rows) < len(_set(material, "framed review").rows)
    assert all(
        part.texts[line][:-1].lower() in part.texts[row].lower()
        for row, line in zip(framed.rows, framed.topic_rows, strict=True)
    )


def test_material_is_read_as_it_was_written(material: Material, tmp_path: Path) -> None:
    write_material(material, tmp_path)
    again = read_material(tmp_path)
    assert again.texts == material.texts and again.n_corpus == material.n_corpus
    assert (again.sources == material.sources).all() and again.source_names == material.source_names
    for kind in ("labelled", "triplets", "pairs"):
        for one, other in zip(getattr(material, kind), getattr(again, kind), strict=True):
            for field in fields(one):
                left, right = getattr(one, field.name), getattr(other, field.name)
                if field.name == "columns":
                    assert left.keys() == right.keys()
                    assert all((left[axis] == right[axis]).all() and right[axis].dtype == np.int32 for axis in left)
                elif isinstance(left, np.ndarray):
                    assert (left == right).all() and left.dtype == right.dtype
                else:
                    assert left == right, field.name
    assert open_part(material).texts == read_material(tmp_path, only_open=True).texts
    with pytest.raises(UserError, match="build SOURCES"):
        read_material(tmp_path / "nowhere")


def test_the_same_files_and_seed_give_the_same_material(folder: Path) -> None:
    one, again, other = (build_material(folder, Sizes(40, 20), seed, apart=()) for seed in (3, 3, 4))
    assert one.texts == again.texts != other.texts
    assert summary(one) == summary(again)
    assert one.n_corpus == 40


def test_a_published_file_of_another_form_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("\n".join(_corpus()), encoding="utf-8")
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "goemotions.tsv").write_text("one column\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"goemotions \(goemotions.tsv\)"):
        build_material(tmp_path, Sizes(generated=10))


def test_all_that_is_made_has_a_source_with_terms() -> None:
    sources, table = read_sources(), licences()
    assert {task.source for task in read_tasks().values()} <= set(sources)
    for one in read_public_sets():
        assert sources[one.source].is_open and one.origin.startswith("github.com/") and one.origin in table
        assert len(one.files) == len(one.paths)
    assert not sources["unknown"].is_open


def test_a_sentence_is_negated_by_one_small_change_and_made_certain_or_doubtful_with_its_capitals() -> None:
    for text, *changed in (
        ("The shop is open today.", ("is", "is not"), ("is", "isn't"), ("is", "is never")),
        ("She bought two tickets.", ("bought", "did not buy"), ("bought", "didn't buy")),
        ("The letter was found there.", ("was", "was not"), ("was", "wasn't"), ("was", "was never")),
        ("He likes cold soup.", ("likes", "does not like"), ("likes", "doesn't like"), ("likes", "never likes")),
        ("Someone closed the gate.", ("Someone", "Nobody"), ("closed", "did not close"), ("closed", "didn't close")),
        ("She never saw the sea.",),
        ("Where was the letter found?",),
    ):
        negations = {text.replace(old, new, 1) for old, new in changed} or {None}
        assert {negate(text, random.Random(seed)) for seed in range(200)} == negations
    made = {claim("Vienna is full of cafes.", random.Random(seed), certain=False) for seed in range(200)}
    assert len(made) > 15 and all(text is not None and "Vienna" in text and text.endswith(".") for text in made)
    sure = {claim("The door is shut.", random.Random(seed), certain=True) for seed in range(200)}
    assert "The door is definitely shut." in sure and not sure & {
        claim("The door is shut.", random.Random(seed), certain=False) for seed in range(200)
    }
    for text in ("Close the door.", "Perhaps it rains.", "A red door.", '"It is late," he said.', "Is it late?"):
        assert claim(text, random.Random(0), certain=True) is None, text


def test_labels_of_few_classes_follow_from_triplets_or_not_at_all_and_get_their_names_from_cue_words():
    truth = {f"{name}{i}": name for name in "abc" for i in range(30)}
    rng = random.Random(0)
    triplets = []
    for text, name in truth.items():
        for _ in range(6):
            same = rng.choice([other for other in truth if truth[other] == name and other != text])
            apart = rng.choice([other for other in truth if truth[other] != name])
            triplets.append((text, same, apart))
    found = recover_labels(triplets, 3)
    assert set(found) == set(truth)
    assert len({(truth[text], label) for text, label in found.items()}) == 3
    cues = {"positive": ["great"], "negative": ["bad"]}
    assert name_classes({"a bad day": 0, "a great day": 1, "a day": 1}, 2, cues) == ("negative", "positive")
    assert name_classes({"a day": 0, "great": 1}, 2, {}) == ()
    # "c" is set apart from "a" alone: with three classes it may be of either of the two others.
    triplets = [("a", "a2", "b"), ("b", "b2", "d"), ("d", "d2", "a"), ("c", "c2", "a")]
    found = recover_labels(triplets, 3)
    assert {found["a"], found["b"], found["d"]} == {0, 1, 2}
    assert "c" not in found
    assert recover_labels(triplets[:1], 3) == {}


def test_k_means_finds_planted_directions_and_repeats_itself():
    rng = np.random.default_rng(0)
    centres = np.eye(6, dtype=np.float32)[:4]
    truth = rng.integers(4, size=400)
    points = centres[truth] + 0.05 * rng.standard_normal((400, 6)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    topics = find_topics(points.astype(np.float16), 400, n_fine=8, n_coarse=4, device=torch.device("cpu"), seed=1)
    # Eight centres may share a planted direction, but none may lie across two.
    assert all(len(set(truth[topics.fine == cluster].tolist())) == 1 for cluster in np.unique(topics.fine))
    assert topics.confidence.min() > 0.8
    again = find_topics(points.astype(np.float16), 400, n_fine=8, n_coarse=4, device=torch.device("cpu"), seed=1)
    assert (again.fine == topics.fine).all() and (again.coarse == topics.coarse).all()
    same = torch.tensor([[1.0, 0.0]] * 5)
    assert bool(torch.isfinite(k_means(same, 3)).all())  # two centres have no points
