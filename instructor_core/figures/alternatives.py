"""What the sentences that stand for figures have in common: the cell of a matrix that a reader would see first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def extreme_cell(matrix: NDArray[np.floating], *, lowest: bool = False) -> tuple[int, int, float] | None:
    """Return row, column and value of the largest (or lowest) cell off the diagonal; None where there is none.

    Args:
        matrix: (N, N) values; cells that are not finite are passed over, and of equal ones the first is taken.
        lowest: Look for the lowest value.
    """
    candidates = np.where(np.isfinite(matrix), matrix, np.nan).astype(np.float64)
    np.fill_diagonal(candidates, np.nan)
    if np.isnan(candidates).all():
        return None
    flat = int(np.nanargmin(candidates) if lowest else np.nanargmax(candidates))
    row, column = divmod(flat, candidates.shape[1])
    return row, column, float(candidates[row, column])
