import numpy as np
import pytest

from instructor_core.analysis.grid import EmbeddingGrid, letter, unit_vectors
from instructor_core.errors import UserError


def grid(vectors: np.ndarray, labels: tuple[str, ...] | None = None) -> EmbeddingGrid:
    instructions = tuple(f"instruction {k}" for k in range(vectors.shape[0]))
    texts = tuple(f"text {i}" for i in range(vectors.shape[1]))
    return EmbeddingGrid(instructions, texts, labels, vectors)


def test_instructions_are_lettered_like_spreadsheet_columns() -> None:
    assert list(map(letter, (0, 25, 26, 701, 702))) == ["A", "Z", "AA", "ZZ", "AAA"]


def test_embeddings_have_unit_length_and_norms_are_those_of_the_vectors() -> None:
    built = grid(np.array([[[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]]]))
    np.testing.assert_allclose(built.embeddings, [[[0.6, 0.8], [0.0, 1.0], [0.0, 0.0]]], rtol=1e-6)
    np.testing.assert_allclose(built.norms, [[5.0, 2.0, 0.0]])
    assert built.vectors.dtype == built.embeddings.dtype == built.norms.dtype == np.float32
    assert (built.n_instructions, built.n_texts, built.dim) == (1, 3, 2)
    for scale in (1e-38, 1e30):
        np.testing.assert_allclose(unit_vectors(np.array([[3.0, 4.0]]) * scale), [[0.6, 0.8]], rtol=1e-6)


def test_arrays_are_read_only_and_what_does_not_fit_or_is_not_finite_is_named() -> None:
    vectors = np.ones((1, 2, 3), dtype=np.float32)
    built = grid(vectors)
    for array in (built.vectors, built.embeddings, built.norms):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    vectors[...] = 7
    assert (built.vectors == 1).all()
    for shape in ((2, 3), (2, 2, 4), (2, 3, 0)):
        with pytest.raises(ValueError, match="2 instructions and 3 texts") as raised:
            EmbeddingGrid(("a", "b"), ("1", "2", "3"), None, np.ones(shape, dtype=np.float32))
        assert str(shape) in str(raised.value)
    with pytest.raises(ValueError, match="got 1, not 3"):
        grid(np.ones((1, 3, 2)), labels=("x",))
    vectors = np.ones((2, 3, 4), dtype=np.float32)
    vectors[1, 2, 0] = np.nan
    with pytest.raises(UserError, match="text 3 under B"):
        grid(vectors)
