import numpy as np

from instructor_core.analysis.neighbors import describe_agreement, describe_change, nearest_change, nearest_of_all


def circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_the_nearest_text_is_the_one_of_the_matrix_also_across_blocks() -> None:
    rows = np.random.default_rng(0).normal(size=(1100, 5))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    matrix = rows @ rows.T
    np.fill_diagonal(matrix, -2)
    np.testing.assert_array_equal(nearest_of_all(rows), matrix.argmax(axis=1))
    assert nearest_of_all(rows[:1]).tolist() == [-1]


def test_what_changed_is_counted_and_said() -> None:
    a, b = circle(0, 10, 100, 115), circle(0, 90, 10, 95)
    labels = ("x", "x", "y", "")
    result = nearest_change(np.stack([a, b, a]), labels)
    assert result.nearest.tolist() == [[1, 0, 3, 2], [2, 3, 0, 1], [1, 0, 3, 2]]
    assert result.changed.tolist() == [0, 4, 0]
    np.testing.assert_allclose(result.agreement, [2 / 3, 0, 2 / 3])  # the nearest text of the third has no label
    assert describe_change(result) == "4 of 4 texts have another nearest text under B than under A."
    assert describe_change(result, 2) == "Every text has the same nearest text under C as under A."
    assert describe_agreement(np.array([0.4375, 1.0]), ["A", "none"]) == "A .44   none 1.00"
    result = nearest_change(np.stack([circle(0), circle(5)]), ("x",))
    assert result.agreement is None and describe_change(result) == "A nearest text needs 2 texts."
