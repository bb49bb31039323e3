"""Real checkpoints, encoded once, for the analyses of tokens."""

import pytest

from instructor_core import InstructorModel


@pytest.fixture(scope="session", params=["checkpoint_a", "checkpoint_b", "mini"])
def model(request: pytest.FixtureRequest) -> InstructorModel:
    """Two checkpoints with random weights (of other shapes) and the trained one."""
    given = request.getfixturevalue(request.param)
    return given if isinstance(given, InstructorModel) else InstructorModel(given)
