"""Tasks: labels of several axes, crossing, labels worked out from triplets, licences."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import numpy as np
import torch

from instructor_core.train.mini.medi import name_classes, read_medi, read_sources, recover_labels
from instructor_core.train.mini.tasks import HELD_OUT_AXES, corpus_tasks, label_tasks
from instructor_core.train.mini.topics import find_topics, k_means


def _crossed(n: int = 240):
    labels = [
        {"topic": f"topic {i % 6}", "sentiment": ("good", "bad")[i // 6 % 2], "certainty": ("sure", "unsure")[i % 2]}
        for i in range(n)
    ]
    return label_tasks("toy", [f"text {i}" for i in range(n)], labels)


def test_every_axis_becomes_a_task_and_the_held_out_ones_do_not():
    tasks = {task.axis: task for task in _crossed()}
    assert set(tasks) == {"topic", "sentiment"}
    assert "certainty" in HELD_OUT_AXES
    assert tasks["sentiment"].classes == ("bad", "good")
    assert tasks["sentiment"].texts[6] == "text 6" and tasks["sentiment"].labels[6] == 0
    assert len(tasks["sentiment"].crossings) == 1


def test_a_sample_has_distinct_texts_and_equally_many_of_each_class():
    task = next(task for task in _crossed() if task.axis == "topic")
    for seed in range(20):
        chosen = task.sample(random.Random(seed), 60)
        assert len(set(chosen.tolist())) == len(chosen)
        counts = np.bincount(task.labels[chosen])
        assert counts.max() == 10 and counts.min() >= 8


def test_most_samples_come_from_few_values_of_the_other_axis():
    task = next(task for task in _crossed() if task.axis == "sentiment")
    seen = [len(np.unique(task.crossings[0][task.sample(random.Random(seed), 30)])) for seed in range(200)]
    assert 0.12 < np.mean([count == 2 for count in seen]) < 0.26  # a quarter of three quarters draw 2 of the 6 topics
    assert max(seen) == 6
    labels = [{"topic": "a", "tense": "past"}] * 10 + [{"topic": "b", "tense": "future"}] * 10
    task = next(t for t in label_tasks("toy", [str(i) for i in range(20)], labels) if t.axis == "tense")
    for seed in range(20):  # a class that the crossing leaves without texts is drawn from all of them
        assert set(task.labels[task.sample(random.Random(seed), 8)].tolist()) == {0, 1}


def test_real_text_is_labelled_by_rule_and_by_topic_and_each_crosses_the_other():
    corpus = [f"A question number {i}, long enough?" if i % 2 else f"A statement number {i}, long." for i in range(200)]
    topics = (np.arange(200) // 2 % 4).astype(np.int32)

    def by_rule(text: str):
        return {"sentence_type": "question" if text.endswith("?") else "statement", "negation": "affirmative"}

    tasks = {
        task.axis: task
        for task in corpus_tasks(
            corpus, topics, topics // 2, np.ones(200, dtype=np.float32), by_rule, n_texts=200, seed=0
        )
    }
    assert set(tasks) == {"sentence_type", "topic"}
    assert tasks["topic"].classes == ()  # clusters have no names
    for task in tasks.values():
        assert len(task.crossings) == 1
        assert [corpus[row] for row in task.rows] == list(task.texts)
    assert (np.unique(tasks["topic"].labels[tasks["topic"].rows // 2 % 4 == 1]).size) == 1


def test_labels_of_few_classes_follow_from_triplets_and_get_their_names_from_cue_words():
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


def test_no_label_is_worked_out_where_it_does_not_follow():
    # "c" is set apart from "a" alone: with three classes it may be of either of the two others.
    triplets = [("a", "a2", "b"), ("b", "b2", "d"), ("d", "d2", "a"), ("c", "c2", "a")]
    found = recover_labels(triplets, 3)
    assert {found["a"], found["b"], found["d"]} == {0, 1, 2}
    assert "c" not in found
    assert recover_labels(triplets[:1], 3) == {}


def _write_medi(path: Path) -> None:
    def record(task: str, text: str, positive: str, negative: str) -> dict[str, object]:
        parts = zip(("query", "pos", "neg"), (text, positive, negative), strict=True)
        return {"task_name": task, **{role: ["Do: ", part] for role, part in parts}}

    records = [record("clinc_intent:intent", f"q{i}", f"p{i}", f"n{i}") for i in range(30)]
    records += [record("mr_sentiment:sentiment", f"r{i}", f"r{i + 2}", f"r{i + 1}") for i in range(500)]
    records += [record("wordnet_syn", f"w{i}", f"s{i}", "") for i in range(30)]
    records += [record("syn_certainty_certainty:certainty", "a", "b", "c"), record("unheard of", "a", "b", "c")]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in records)


def test_medi_files_give_labels_triplets_or_pairs_of_the_licence_asked_for_and_no_held_out_axis(tmp_path: Path):
    _write_medi(tmp_path / "train.jsonl.gz")
    coarse = np.asarray([3, 5], dtype=np.int32)
    labelled, triplets, pairs = read_medi(
        tmp_path / "train.jsonl.gz", only_open=False, row_of={"r0": 0, "r1": 1}, coarse_topics=coarse
    )
    assert [task.name for task in labelled] == ["mr_sentiment:sentiment"]
    task = labelled[0]
    assert len({int(label) for text, label in zip(task.texts, task.labels, strict=True) if int(text[1:]) % 2}) == 1
    assert [int(task.crossings[0][task.texts.index(text)]) for text in ("r0", "r1", "r2")] == [3, 5, -1]
    assert [task.name for task in triplets] == ["clinc_intent:intent"]
    assert [task.name for task in pairs] == ["wordnet_syn"] and pairs[0].symmetric
    labelled, triplets, pairs = read_medi(
        tmp_path / "train.jsonl.gz", only_open=True, row_of={}, coarse_topics=coarse[:1]
    )
    assert not read_sources()["mr_sentiment:sentiment"].open_licence and labelled == []
    assert [task.name for task in (*triplets, *pairs)] == ["clinc_intent:intent", "wordnet_syn"]


def test_k_means_finds_planted_directions_and_repeats_itself():
    rng = np.random.default_rng(0)
    centres = np.eye(6, dtype=np.float32)[:4]
    truth = rng.integers(4, size=400)
    points = centres[truth] + 0.05 * rng.standard_normal((400, 6)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    topics = find_topics(points.astype(np.float16), n_fine=8, n_coarse=4, seed=1)
    # Eight centres may share a planted direction, but none may lie across two.
    assert all(len(set(truth[topics.fine == cluster].tolist())) == 1 for cluster in np.unique(topics.fine))
    assert topics.confidence.min() > 0.8
    again = find_topics(points.astype(np.float16), n_fine=8, n_coarse=4, seed=1)
    assert (again.fine == topics.fine).all() and (again.coarse == topics.coarse).all()
    same = torch.tensor([[1.0, 0.0]] * 5)
    assert bool(torch.isfinite(k_means(same, 3)).all())  # two centres have no points
