"""A checkpoint of each family, made once."""

from pathlib import Path

import pytest

from tests.families.checkpoints import RECIPES, make


@pytest.fixture(scope="session")
def family_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of all families."""
    folder = tmp_path_factory.mktemp("families")
    return {family: make(family, folder) for family in RECIPES}
