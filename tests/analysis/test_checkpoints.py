"""Two checkpoints on the same texts: 1, 1, 0 for the same vectors however turned, chance for unrelated ones."""

import numpy as np
import pytest
from scipy.stats import kendalltau, ortho_group

from instructor_core.analysis.checkpoints import MAX_FLIPPED, agreement, cka, describe
from instructor_core.errors import UserError


def vectors(n: int, dim: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def slow_cka(a: np.ndarray, b: np.ndarray) -> float:
    """By the U-centred matrices of cosines (Székely and Rizzo, Annals of Statistics 42, 2014)."""
    n, centred = len(a), []
    for rows in (a.astype(np.float64), b.astype(np.float64)):
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        matrix = unit @ unit.T
        np.fill_diagonal(matrix, 0.0)
        sums = matrix.sum(axis=0)
        matrix = matrix - (sums[:, None] + sums[None]) / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(matrix, 0.0)
        centred.append(matrix)
    x, y = centred
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


@pytest.mark.parametrize("n", [4, 30, 700])
def test_the_same_vectors_agree_whole_also_rotated_scaled_and_wider(n: int) -> None:
    a = vectors(n, 24, n)
    a[1] = a[0]  # two texts that are the same
    turned = a @ ortho_group.rvs(24, random_state=1).astype(np.float32) * np.float32(3.0)
    wider = np.pad(turned, ((0, 0), (5, 3)))
    for b in (a, turned, wider):
        result = agreement(a, b)
        assert (result.overlap, result.cka, result.flipped) == (pytest.approx(1), pytest.approx(1, abs=1e-5), 0)


def test_the_three_numbers_are_those_of_the_arithmetic() -> None:
    # On a circle: 0, 10, 30 and 70 degrees, then the third moved past the first, to 360 - 15 = -15.
    angles = np.deg2rad([[0, 10, 30, 70], [0, 10, -15, 70]])
    a, b = (np.stack([np.cos(row), np.sin(row)], axis=1) for row in angles)
    result = agreement(a, b)
    assert (result.k, result.chance) == (1, pytest.approx(1 / 3))
    # Nearest: 1 0 1 2 under a; under b 1 0 0 1. The first two texts have the same.
    assert result.overlap == pytest.approx(2 / 4)
    # Distances under a: 0: 10 30 70; 1: 10 20 60; 2: 30 20 40; 3: 70 60 40; under b: 10 15 70; 10 25 60; 15 25 85;
    # 70 60 85. Turned round: of 2, 0 against 1; of 3, 0 and 1 against 2.
    assert (result.flips.n_flips, result.flips.n_triplets) == (3, 12)
    assert result.cka == pytest.approx(slow_cka(a, b))


@pytest.mark.parametrize("n", [5, 40])
def test_cka_and_flips_are_those_of_slow_references(n: int) -> None:
    a, b = vectors(n, 7, 1), vectors(n, 5, 2)
    b[:, :3] += 2 * a[:, :3] + 1
    result = agreement(a, b)
    assert result.cka == pytest.approx(slow_cka(a, b), abs=1e-6)
    cosines = [rows @ rows.T for rows in (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))]
    taus = [kendalltau(*(np.delete(matrix[i], i) for matrix in cosines)).statistic for i in range(n)]
    assert 1 - 2 * result.flipped == pytest.approx(np.mean(taus), abs=1e-6)


def test_unrelated_vectors_agree_as_chance_has_it_and_half_of_them_half() -> None:
    n = 600
    a, b = vectors(n, 800, 3), vectors(n, 900, 4)
    result = agreement(a, b)
    assert result.overlap == pytest.approx(result.chance, abs=0.005)
    assert result.cka == pytest.approx(0, abs=0.01)  # the plain estimate is above .5
    assert result.flipped == pytest.approx(0.5, abs=0.01)
    # Two halves far from each other, of which one is the same for both checkpoints.
    apart = np.repeat([[30.0, 0.0], [0.0, 30.0]], n // 2, axis=0)
    same = vectors(n, 40, 5)
    mixed = np.concatenate([same[: n // 2], vectors(n // 2, 40, 6)])
    half = agreement(np.hstack([apart, same]), np.hstack([apart, mixed]))
    assert half.overlap == pytest.approx((1 + 10 / (n // 2 - 1)) / 2, abs=0.01)


def test_texts_alike_share_a_place_whatever_their_order() -> None:
    a = vectors(9, 6, 7)
    level = np.ones((9, 3), dtype=np.float32)
    result = agreement(a, level)
    assert result.overlap == pytest.approx(result.chance)
    assert (result.cka, agreement(level, level).overlap, result.flips.n_flips) == (None, pytest.approx(1), 0)
    assert "CKA undefined" in describe([result], ["A"])
    b = a + vectors(9, 6, 8)
    b[3] = b[4] = a[4] = a[5]
    order = np.random.default_rng(0).permutation(9)
    assert agreement(a[order], b[order]).overlap == pytest.approx(agreement(a, b).overlap)


def test_few_texts_and_many_are_said_for_what_they_are() -> None:
    assert cka(vectors(3, 4, 0), vectors(3, 4, 1)) is None
    with pytest.raises(UserError, match="at least 3 texts: got 2"):
        agreement(vectors(2, 4, 0), vectors(2, 4, 0))
    many = agreement(vectors(1200, 8, 0), vectors(1200, 8, 0))
    assert many.flips.n_triplets == MAX_FLIPPED * (MAX_FLIPPED - 1) * (MAX_FLIPPED - 2) // 2
    assert describe([many, many], ["A", "B"]) == (
        "A: 1.00 of the 10 nearest texts in common (.01 by chance), CKA 1.00, .00 of triplets flipped · "
        "B: 1.00, CKA 1.00, .00"
    )
