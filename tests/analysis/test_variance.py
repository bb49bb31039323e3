import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_core.analysis.variance import variance_split
from instructor_core.errors import UserError


def random_vectors(k: int, n: int, dim: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(k, n, dim)).astype(np.float32)


@given(st.integers(1, 5), st.integers(2, 7), st.integers(1, 6), st.integers(0, 50))
def test_the_parts_add_to_the_total(k: int, n: int, dim: int, seed: int) -> None:
    split = variance_split(random_vectors(k, n, dim, seed))
    assert split.text + split.instruction + split.interaction == pytest.approx(split.total, rel=1e-6, abs=1e-9)
    assert min(split.text, split.instruction, split.interaction) >= 0


def test_one_instruction_or_copies_of_it_have_exactly_no_effect() -> None:
    for copies in (1, 3):
        split = variance_split(np.repeat(random_vectors(1, 6, 5, 0), copies, axis=0))
        assert (split.instruction, split.interaction) == (0, 0) and split.shares[0] == pytest.approx(1.0)
    assert variance_split(np.ones((2, 3, 4))).shares == pytest.approx((0, 0, 0))
    with pytest.raises(UserError, match="at least 1 instruction and 2 texts: got 3 and 1"):
        variance_split(random_vectors(3, 1, 4, 0))


def test_a_planted_grid_gives_back_its_parts() -> None:
    # Effects that sum to zero in every direction are orthogonal: sums of squares by hand.
    text = np.array([3.0, -1.0, -2.0])[None, :, None]
    instruction = np.array([2.0, -2.0])[:, None, None]
    interaction = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]])[:, :, None]
    split = variance_split(10.0 + text + instruction + interaction)
    assert split.text == pytest.approx(2 * (9 + 1 + 4))
    assert split.instruction == pytest.approx(3 * (4 + 4))
    assert split.interaction == pytest.approx(4)
    assert split.shares == pytest.approx((28 / 56, 24 / 56, 4 / 56))
