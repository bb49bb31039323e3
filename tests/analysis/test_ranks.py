import itertools

import numpy as np
import pytest

from instructor_core.analysis.ranks import neighbor_ranks, noise_margin, rank_flips
from instructor_core.analysis.similarity import self_similarity
from instructor_core.errors import UserError


def matrix(n: int, seed: int) -> np.ndarray:
    return self_similarity(np.random.default_rng(seed).normal(size=(n, 6)))


def brute_force(a: np.ndarray, b: np.ndarray) -> dict[tuple[int, int, int], float]:
    found = {}
    for i in range(len(a)):
        for x, y in itertools.permutations([j for j in range(len(a)) if j != i], 2):
            lead_a, lead_b = float(a[i, x] - a[i, y]), float(b[i, y] - b[i, x])
            if lead_a > 1e-6 and lead_b > 1e-6:
                found[i, x, y] = min(lead_a, lead_b)
    return found


@pytest.mark.parametrize("seed", range(2))
def test_flips_are_those_of_a_loop_over_all_triplets_the_clearest_first(seed: int) -> None:
    a, b = matrix(9, seed), matrix(9, seed + 10)
    expected = brute_force(a, b)
    result = rank_flips(a, b, limit=10_000)
    assert {(f.anchor, f.near_a, f.near_b): pytest.approx(f.margin, abs=1e-6) for f in result.flips} == expected
    assert result.n_flips == len(expected)
    assert result.n_triplets == 9 * 8 * 7 // 2
    margins = [flip.margin for flip in result.flips]
    assert margins == sorted(margins, reverse=True)
    assert rank_flips(a, b, limit=5).flips == result.flips[:5]


def test_flips_under_the_noise_floor_are_marked_which_is_the_largest_of_a_meaningless_edit() -> None:
    a, b = matrix(9, 0), matrix(9, 1)
    everything = rank_flips(a, b, limit=10_000)
    floor = float(np.median([flip.margin for flip in everything.flips]))
    result = rank_flips(a, b, floor=floor, limit=10_000)
    assert [flip.above_floor for flip in result.flips] == [flip.margin > floor for flip in result.flips]
    assert result.n_above_floor == sum(flip.above_floor for flip in result.flips)
    assert 0 < result.n_above_floor < result.n_flips
    a, edits = matrix(9, 0), [matrix(9, 1), matrix(9, 2)]
    largest = max(max(brute_force(a, edit).values()) for edit in edits)
    assert noise_margin(a, edits) == pytest.approx(largest, abs=1e-6)
    assert noise_margin(a, [a]) == noise_margin(a, [a + np.float32(4e-7)]) == 0.0
    assert rank_flips(a, edits[0], floor=noise_margin(a, edits)).n_above_floor == 0


def test_ranks_of_neighbors_follow_the_cosines_under_every_instruction() -> None:
    matrices = np.stack([matrix(8, seed) for seed in range(3)])
    result = neighbor_ranks(matrices[:, 2], 2, top=2)
    for k in range(3):
        order = sorted((j for j in range(8) if j != 2), key=lambda j: -matrices[k, 2, j])
        for column, text in enumerate(result.shown):
            assert result.ranks[k, column] == order.index(text) + 1
            assert result.similarities[k, column] == pytest.approx(float(matrices[k, 2, text]))
        assert set(order[:2]) <= set(result.shown.tolist())
    assert 2 not in result.shown
    assert result.ranks.min() == 1
    with pytest.raises(UserError, match="at least 3 texts: got 2"):
        rank_flips(np.eye(2), np.eye(2))
    with pytest.raises(UserError, match="at least 2 texts: got 1"):
        neighbor_ranks(np.ones((1, 1)), 0)
