"""What numba compiles is kept in a folder that nobody else can write to, or not at all; it is never an error."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from instructor_core.analysis.projection import warm_up
from instructor_core.analysis.reduction import own_folder

COMPILED = """
import sys
from pathlib import Path
from instructor_core.analysis.reduction import prepare_numba
prepare_numba()
sys.path.insert(0, sys.argv[1])
import module
assert (module.double(21), module.triple(14)) == (42, 42)
"""
MODULE = """
import numba
@numba.njit(cache=True)
def double(x):
    return 2 * x
@numba.vectorize(cache=True)
def triple(x):
    return 3 * x
"""


def run_compiled(folder: Path, **environment: str) -> None:
    (folder / "module.py").write_text(MODULE)
    taken = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    subprocess.run([sys.executable, "-c", COMPILED, str(folder)], env=taken | environment, check=True)


def test_what_is_compiled_lies_in_the_temporary_folder_and_nowhere_else(tmp_path: Path) -> None:
    code, temporary = tmp_path / "code", tmp_path / "temporary"
    code.mkdir()
    temporary.mkdir()
    run_compiled(code, TMPDIR=str(temporary), PYTHONDONTWRITEBYTECODE="1")
    assert [path.name for path in code.rglob("*")] == ["module.py"]
    kept = {path: path.stat().st_mtime_ns for path in temporary.rglob("module.*.nbc")}
    assert kept
    run_compiled(code, TMPDIR=str(temporary), PYTHONDONTWRITEBYTECODE="1")
    assert {path: path.stat().st_mtime_ns for path in temporary.rglob("module.*.nbc")} == kept


def test_without_a_folder_to_write_to_nothing_is_kept_and_nothing_fails(tmp_path: Path) -> None:
    run_compiled(tmp_path, NUMBA_CACHE_DIR=os.devnull, PYTHONDONTWRITEBYTECODE="1")
    assert [path.name for path in tmp_path.rglob("*")] == ["module.py"]


def test_a_folder_that_others_can_write_to_or_redirected_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = own_folder("kept")
    assert folder is not None and folder.stat().st_mode & 0o777 == 0o700
    assert own_folder("kept") == folder
    folder.chmod(0o770)
    assert own_folder("kept") is None
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    assert own_folder("kept") is None


def test_a_second_start_finds_all_that_umap_compiles() -> None:
    program = (
        "from instructor_core.analysis.projection import warm_up; warm_up(); from umap import layouts;"
        "print(sum(layouts._nb_optimize_layout_euclidean_single_epoch.stats.cache_hits.values()))"
    )
    warm_up()  # the first start: this process
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert int(done.stdout) == 1
