"""A part is complete or absent, a folder holds one job, and the file at the end holds every row once."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from instructor_core.embed import parts as parts_module
from instructor_core.embed.parts import Parts
from instructor_core.errors import UserError

JOB = {"instruction": "Represent: ", "input": "12ab"}
STARTS = np.array([0, 2, 3, 6])
VECTORS = np.arange(24, dtype=np.float32).reshape(6, 4)


def write(parts: Parts, number: int) -> None:
    start, stop = STARTS[number], STARTS[number + 1]
    ids = pa.table({"id": np.arange(start, stop)})
    parts.write(number, ids, VECTORS[start:stop], np.zeros(stop - start, dtype=bool))


@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_parts_written_in_any_order_are_read_in_that_of_the_rows(tmp_path: Path, name: str) -> None:
    parts = Parts(tmp_path / name)
    assert not parts.begin(JOB)
    for number in (2, 0, 1):
        write(parts, number)
    assert parts.done() == {0, 1, 2}
    parts.finish(STARTS, JOB)
    table = pq.read_table(tmp_path / name)
    assert table["id"].to_pylist() == list(range(6))
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 4)
    np.testing.assert_array_equal(np.array(table["embedding"].to_pylist()), VECTORS)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    one = Parts(tmp_path / f"one {name}")
    one.begin(JOB)
    one.write(0, pa.table({}), VECTORS[:3], np.array([False, True, False]))
    one.finish(np.array([0, 3]), JOB)  # a row without a text has a null in place of an embedding
    vectors = pq.read_table(tmp_path / f"one {name}")["embedding"].to_pylist()
    assert vectors == [VECTORS[0].tolist(), None, VECTORS[2].tolist()]


def test_a_part_that_was_being_written_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(tmp_path / "out")
    parts.begin(JOB)

    def break_off(path: Path, target: Path) -> None:
        raise InterruptedError

    with monkeypatch.context() as patched, pytest.raises(InterruptedError):
        patched.setattr(Path, "replace", break_off)
        write(parts, 0)
    assert parts.done() == set()
    assert len(list((tmp_path / "out").glob(".*.tmp"))) == 1
    assert not parts.begin(JOB)
    for number in range(3):
        write(parts, number)
    parts.finish(STARTS, JOB)
    assert sorted(path.name[:5] for path in (tmp_path / "out").iterdir()) == ["_job.", "part-", "part-", "part-"]


def test_a_missing_part_or_one_of_another_size_is_noticed_at_the_end(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "out.parquet")
    parts.begin(JOB)
    for number in (0, 1):
        write(parts, number)
    with pytest.raises(UserError, match=r"part-00000002.*3 rows and has gone"):
        parts.finish(STARTS, JOB)
    write(parts, 2)
    with pytest.raises(UserError, match=r"part-00000001.*2 rows and has 1"):
        parts.finish(np.array([0, 2, 4, 7]), JOB)
    assert not (tmp_path / "out.parquet").exists()


def test_a_complete_file_is_known_by_its_settings_and_what_lies_beside_it_goes(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "out.parquet")
    parts.begin(JOB)
    write(parts, 0)
    leftover = [path.read_bytes() for path in parts.folder.iterdir()]
    parts.finish(STARTS[:2], JOB)
    parts.folder.mkdir()  # as if killed after the file was there and before the parts were removed
    (parts.folder / "_job.json").write_bytes(leftover[0])
    assert parts.begin(JOB)
    assert not parts.folder.exists()
    with pytest.raises(UserError, match="not the result of these settings"):
        parts.begin(JOB | {"instruction": "Represent the text: "})


def test_overwriting_discards_the_file_and_the_parts_of_this_program_only(tmp_path: Path) -> None:
    (tmp_path / "out.parquet").write_text("anything")
    parts = Parts(tmp_path / "out.parquet")
    with pytest.raises(UserError, match="--overwrite"):
        parts.begin(JOB)
    assert not parts.begin(JOB, overwrite=True)
    write(parts, 0)
    assert not parts.begin(JOB | {"instruction": "Embed: "}, overwrite=True)
    assert parts.done() == set()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("picture")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="not left by this program"):
            Parts(tmp_path / "photos").begin(JOB, overwrite=overwrite)
    assert (tmp_path / "photos" / "one.jpg").exists()


def test_a_second_run_is_told_who_has_the_destination_and_a_killed_one_does_not_stand_in_the_way(
    tmp_path: Path,
) -> None:
    code = (
        "import sys; from pathlib import Path; from instructor_core.embed.parts import Parts\n"
        "parts = Parts(Path(sys.argv[1])); parts.hold(); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout is not None and first.stdout.readline()
    parts = Parts(tmp_path / "out")
    with pytest.raises(UserError, match=rf"process {first.pid} on .* since 2"):
        parts.hold()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    parts.hold()
    with pytest.raises(UserError, match=f"process {os.getpid()} on "):
        Parts(tmp_path / "out").hold()
    del parts
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match="no folder"):
        Parts(tmp_path / "gone" / "out").hold()


def test_where_there_is_no_fcntl_the_lock_is_that_of_msvcrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked: set[tuple[int, int]] = set()

    def locking(descriptor: int, mode: int, size: int) -> None:
        byte = (os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR))
        assert (mode, size) == (2, 1)
        if byte in locked:
            raise PermissionError(13, "Permission denied")  # what Windows raises
        locked.add(byte)

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=locking))
    monkeypatch.setattr(parts_module, "sys", SimpleNamespace(platform="win32"))
    first = Parts(tmp_path / "out")
    first.hold()
    with pytest.raises(UserError, match=f"process {os.getpid()} on "):
        Parts(tmp_path / "out").hold()
    ((_, place),) = locked
    assert place > (tmp_path / ".out.lock").stat().st_size  # who has it can be read: Windows lets nobody read that byte
