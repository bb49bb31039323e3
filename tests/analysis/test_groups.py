import json
from pathlib import Path

import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.groups import MAX_CLUSTERED, MAX_LABELS, NAME_LENGTH, grid_groups, name_groups

REVIEWS = json.loads((Path(__file__).parents[2] / "assets/examples/01_reviews.json").read_text(encoding="utf-8"))
WORDS = ("apple", "bridge", "candle", "desert", "engine", "forest", "guitar", "harbour", "island", "jacket", "kettle")


def planted(n: int, n_groups: int, spread: float = 0.1) -> np.ndarray:
    """Text i belongs to group i % n_groups."""
    rows = np.eye(n_groups, 12)[np.arange(n) % n_groups] + spread * np.random.default_rng(0).normal(size=(n, 12)) / 3
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def told(n: int, n_groups: int) -> list[str]:
    """Texts that share the word of their group."""
    return [f"the {WORDS[i % n_groups]} of {chr(97 + i % 7)}{chr(97 + i % 5)}" for i in range(n)]


def test_the_most_frequent_labels_are_the_groups_and_the_others_share_one() -> None:
    result = name_groups(list("abcde"), ["x", "y", "", "x", "y"], planted(5, 2))
    assert result.from_labels
    assert result.names == ("x", "y", "no label")
    assert result.index.tolist() == [0, 1, 2, 0, 1]
    labels = [str(i) for i in range(MAX_LABELS + 5)] * 2 + ["0"] * 4
    groups = name_groups(labels, labels, planted(len(labels), 2))
    assert len(groups.names) == MAX_LABELS + 1 and groups.names[-1] == "other labels"
    assert groups.counts.tolist() == [6] + [2] * (MAX_LABELS - 1) + [10]
    assert f"{MAX_LABELS} most frequent of {MAX_LABELS + 5}" in groups.rule


@pytest.mark.parametrize(("n", "n_groups"), [(16, 4), (48, 2), (500, 11), (MAX_CLUSTERED + 500, 5)])
def test_planted_groups_are_found_with_their_members_and_named_by_their_words(n: int, n_groups: int) -> None:
    result = name_groups(told(n, n_groups), None, planted(n, n_groups))
    assert f"{n_groups} k-means clusters under A" in result.rule
    assert result.index.tolist() == [i % n_groups for i in range(n)]
    assert [name.split(",")[0] for name in result.names] == list(WORDS[:n_groups])
    again = name_groups(told(n, n_groups), None, planted(n, n_groups))
    assert again.names == result.names
    np.testing.assert_array_equal(again.index, result.index)


def test_groups_follow_their_texts_into_another_order_and_a_grid_keeps_those_under_its_first_instruction() -> None:
    texts, rows = told(61, 5), planted(61, 5, spread=1.2)  # groups that touch
    shuffle = np.random.default_rng(1).permutation(61)
    one, other = (
        name_groups(texts, None, rows),
        name_groups([texts[i] for i in shuffle], None, rows[shuffle]),
    )
    assert len(one.names) > 1
    assert [one.names[one.index[i]] for i in shuffle] == [other.names[g] for g in other.index]
    vectors = np.stack([planted(24, 2), planted(24, 3)]).astype(np.float32)
    grid = EmbeddingGrid(("topic", "form"), tuple(told(24, 6)), None, vectors)
    assert grid_groups(grid) is grid_groups(grid) and len(grid_groups(grid).names) == 2


def test_a_text_far_from_all_others_is_no_group() -> None:
    rows = np.vstack([planted(60, 3), np.eye(12)[11:]])
    groups = name_groups([*told(60, 3), "far away"], None, rows)
    assert sorted(groups.counts.tolist()) == [20, 20, 21]
    alone = np.vstack([np.tile(np.eye(12)[0], (60, 1)), np.eye(12)[11:]])
    assert name_groups([*told(60, 1), "far away"], None, alone).names == ("all texts",)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (
            ["the soup wasn't hot", "a cold soup", "my soup please"],
            ["that film is long", "a film again"],
            ("soup", "film"),
        ),
        (["die Suppe war kalt", "unsere Suppe", "eine Suppe"], ["der Zug kam spät", "ein Zug"], ("Suppe", "Zug")),
        (["这家酒店很干净", "酒店的床坏了", "我们的酒店"], ["这部电影很好", "电影太长了"], ("酒店", "电影")),
    ],
)
def test_a_group_is_named_by_the_word_that_sets_it_apart(
    first: list[str], second: list[str], words: tuple[str, str]
) -> None:
    rows = np.eye(2)[[0] * len(first) + [1] * len(second)]
    assert name_groups([*first, *second], None, rows).names == words


def test_a_group_without_a_word_of_its_own_is_named_by_its_central_text() -> None:
    texts = ["12 34", "12 34 56", "99 " * 30, "98", "97"]
    names = name_groups(texts, None, planted(5, 2)).names
    assert len(set(names)) == 2 and all(6 < len(name) <= NAME_LENGTH + 8 for name in names)
    common = ["quick and good", "bad but quick", "good not bad", "bad good quick"]  # each word on both sides
    assert set(name_groups(common, None, np.eye(2)[[0, 0, 1, 1]]).names) <= {f'like "{text}"' for text in common}


def test_few_texts_and_equal_texts_are_one_group() -> None:
    for n in range(4):
        groups = name_groups([f"text {i}" for i in range(n)], None, planted(n, 2) if n else np.zeros((0, 3)))
        assert groups.index.tolist() == [0] * n and groups.names == ("all texts",) * bool(n)
    rows = np.ones((16, 3)) / 3**0.5 + 1e-7 * np.random.default_rng(0).normal(size=(16, 3))  # as batches differ
    result = name_groups(["the same"] * 16, None, rows)
    assert result.names == ("all texts",) and "fall into no groups" in result.rule
    same = name_groups(["one", "two"], ["x", ""], np.eye(2))
    assert same.rule.startswith("All labels are the same, and") and not same.from_labels
    two = name_groups(["the same"] * 8 + ["another"] * 8, None, np.eye(2)[[0] * 8 + [1] * 8])
    assert two.index.tolist() == [0] * 8 + [1] * 8


def test_reviews_without_labels_fall_into_topics_and_into_pleased_and_not(mini: InstructorModel) -> None:
    found = []
    for instruction in REVIEWS["instructions"]:
        vectors = mini.encode([(instruction, text) for text in REVIEWS["texts"]])
        rows = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        found.append(name_groups(REVIEWS["texts"], None, rows))
    by_topic, by_sentiment = found
    assert by_topic.index.tolist() == np.repeat(np.arange(4), 4).tolist()
    assert by_topic.names[2:] == ("hotel, staff", "phone, screen")
    assert by_sentiment.index.tolist() == [0, 0, 1, 1] * 4
