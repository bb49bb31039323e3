from __future__ import annotations

import numpy as np
import pytest

from instructor_core.analysis.groups import MAX_CLUSTERED, NAME_LENGTH, find_groups, named_groups


def planted(n: int, n_groups: int, spread: float = 0.1) -> np.ndarray:
    """Text i belongs to group i % n_groups."""
    rows = np.eye(n_groups, 12)[np.arange(n) % n_groups] + spread * np.random.default_rng(0).normal(size=(n, 12)) / 3
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_labels_are_the_groups_and_texts_stand_group_by_group() -> None:
    result = named_groups(list("abcde"), ["x", "y", "", "x", "y"], planted(5, 2))
    assert result.from_labels and result.silhouette is None
    assert result.groups.names == ("x", "y", "no label")
    assert result.order.tolist() == [0, 3, 1, 4, 2]


@pytest.mark.parametrize("n_groups", [2, 3, 5, 8])
def test_the_planted_number_of_groups_is_found_and_said(n_groups: int) -> None:
    result = named_groups([f"text {i}" for i in range(48)], None, planted(48, n_groups))
    assert len(result.groups.names) == n_groups and f"{n_groups} clusters under A" in result.groups.rule
    assert all(len(set(np.flatnonzero(result.groups.index == g) % n_groups)) == 1 for g in range(n_groups))
    again = named_groups([f"text {i}" for i in range(48)], None, planted(48, n_groups))
    np.testing.assert_array_equal(again.groups.index, result.groups.index)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (
            ["the soup was hot", "a cold soup", "my soup please"],
            ["that film is long", "a film again"],
            ("soup", "film"),
        ),
        (["die Suppe war kalt", "unsere Suppe", "eine Suppe"], ["der Zug kam spät", "ein Zug"], ("suppe", "zug")),
        (["这家酒店很干净", "酒店的床坏了", "我们的酒店"], ["这部电影很好", "电影太长了"], ("酒店", "电影")),
    ],
)
def test_a_group_is_named_by_the_word_that_sets_it_apart(first: list[str], second: list[str], words: str) -> None:
    embeddings = np.array([[1.0, 0.01 * i, 0] for i in range(3)] + [[0, 0.01 * i, 1.0] for i in range(2)])
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    names = named_groups([*first, *second], None, embeddings).groups.names
    assert [name.split(",")[0] for name in names] == list(words)


def test_a_group_without_a_word_of_its_own_is_named_by_its_central_text() -> None:
    texts = ["12 34", "12 34 56", "99 " * 30, "98", "97"]
    names = named_groups(texts, None, planted(5, 2)).groups.names
    assert len(set(names)) == 2 and all(0 < len(name) <= NAME_LENGTH + 1 for name in names)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_texts_are_one_group(n: int) -> None:
    result = named_groups([f"text {i}" for i in range(n)], None, planted(n, 2) if n else np.zeros((0, 3)))
    assert result.groups.index.shape == (n,) and len(result.groups.names) <= 2 and all(result.groups.names)


def test_equal_texts_are_one_group_that_has_a_name() -> None:
    result = named_groups(["the same"] * 6, None, np.ones((6, 3)) / 3**0.5)
    assert result.groups.names == ("the same",) and "fall into no groups" in result.groups.rule


def test_groups_of_many_texts_are_found_on_a_sample_that_the_others_join() -> None:
    index, silhouette = find_groups(planted(MAX_CLUSTERED + 500, 4))
    assert silhouette is not None and silhouette > 0.5
    assert all(len(set(np.flatnonzero(index == g) % 4)) == 1 for g in range(4))
