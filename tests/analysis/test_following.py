from itertools import product

import numpy as np
import pytest

from instructor_core.analysis.following import following
from instructor_core.errors import UserError

TOPICS = ("food", "film") * 6
MOODS = ("glad", "glad", "cross") * 4


def one_hot(labels: tuple[str, ...], strength: float, seed: int) -> np.ndarray:
    groups = np.eye(5)[[sorted(set(labels)).index(label) for label in labels]]
    return strength * groups + np.random.default_rng(seed).normal(size=groups.shape) * 0.5


def test_embeddings_that_take_no_notice_of_the_instruction_follow_nothing_and_those_that_obey_always() -> None:
    blind = one_hot(TOPICS, 3, 0)
    found = following(blind, blind, TOPICS, MOODS)
    assert found.both == 0
    assert found.first + found.second == pytest.approx(1)
    assert found.harmonic == pytest.approx(2 * found.first * found.second)
    found = following(one_hot(TOPICS, 20, 0), one_hot(MOODS, 20, 1), TOPICS, MOODS)
    assert (found.first, found.second, found.both, found.harmonic) == (1, 1, 1, 1)
    other_way_round = following(one_hot(MOODS, 20, 1), one_hot(TOPICS, 20, 0), TOPICS, MOODS)
    assert (other_way_round.both, other_way_round.harmonic) == (0, 0)


def test_every_triplet_is_counted_once_unlabelled_texts_take_no_part_and_equal_columns_make_none() -> None:
    first, second = one_hot(TOPICS, 1, 2), one_hot(MOODS, 1, 3)
    moods = ("", *MOODS[1:])
    units = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (first, second)]
    right = []
    for i, j, k in product(range(1, 12), repeat=3):
        if (TOPICS[j] == TOPICS[i] != TOPICS[k]) and (moods[k] == moods[i] != moods[j]):
            towards = [unit[i] @ unit[j] - unit[i] @ unit[k] for unit in units]
            right.append((towards[0] > 0, towards[1] < 0))
    found = following(first, second, TOPICS, moods)
    assert found.n_triplets == len(right) > 50
    assert found.first == pytest.approx(np.mean([a for a, _ in right]))
    assert found.second == pytest.approx(np.mean([b for _, b in right]))
    assert found.both == pytest.approx(np.mean([a and b for a, b in right]))
    vectors = one_hot(TOPICS, 1, 0)
    with pytest.raises(UserError, match="got none among 12 texts"):
        following(vectors, vectors, TOPICS, TOPICS)
    with pytest.raises(UserError, match="got none among 0 texts"):
        following(vectors, vectors, ("",) * 12, TOPICS)
