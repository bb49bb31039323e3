from __future__ import annotations

import numpy as np
import pytest

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.label_columns import LabelColumn, label_matrix
from instructor_core.analysis.label_task import Metric, label_task
from instructor_core.analysis.scores import score_texts
from instructor_core.errors import UserError


def planted() -> tuple[EmbeddingGrid, tuple[LabelColumn, ...]]:
    """Instruction 0 brings out the first column, instruction 1 the second."""
    rng = np.random.default_rng(0)
    codes = [np.arange(40) % 2, np.arange(40) // 2 % 2]
    vectors = np.stack([np.eye(6)[code] * 4 + rng.normal(size=(40, 6)) for code in codes])
    columns = tuple(LabelColumn(f"column {c}", tuple(f"{i}" for i in code)) for c, code in enumerate(codes))
    return EmbeddingGrid(("first", "second"), tuple(f"text {i}" for i in range(40)), None, vectors), columns


@pytest.mark.parametrize("metric", list(Metric))
def test_the_matrix_is_diagonal_where_instructions_do_what_they_say(metric: Metric) -> None:
    grid, columns = planted()
    result = label_matrix(grid, columns, metric=metric)
    assert result.best.tolist() == [0, 1]
    assert (np.diag(result.values) > result.values[::-1].diagonal() + 0.1).all()
    one = score_texts(grid.embeddings[1], label_task(columns[0].labels, n_resamples=1))
    assert result.values[1, 0] == pytest.approx(one.values[list(Metric).index(metric)])


def test_what_is_wrong_with_a_column_is_said_with_its_name() -> None:
    grid, columns = planted()
    flat = LabelColumn("flat", ("same",) * 40)
    with pytest.raises(UserError, match=r"Label column 'flat': .*2 different labels: got 1"):
        label_matrix(grid, [*columns, flat])


def test_no_columns_and_columns_of_one_name_are_refused() -> None:
    grid, columns = planted()
    with pytest.raises(UserError, match="got 0 columns"):
        label_matrix(grid, [])
    with pytest.raises(UserError, match="got 2 columns with 1 names"):
        label_matrix(grid, [columns[0], columns[0]])


def test_a_text_that_a_column_cannot_use_is_left_out_of_that_column() -> None:
    grid, (column, _) = planted()
    holed = LabelColumn("holed", ("", "alone", *column.labels[2:]))
    assert [len(task.index) for task in label_matrix(grid, [column, holed]).tasks] == [40, 38]
