"""The command: what it writes, what it refuses, and that a kill costs nothing but the part at hand."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from instructor_core import InstructorModel
from instructor_core.embed import job as job_module
from instructor_core.embed.__main__ import main
from instructor_core.embed.job import Job
from instructor_core.embed.parts import Parts
from tests.embed.conftest import INSTRUCTION, embeddings_of, make_table, make_texts, run

Arguments = Callable[..., list[str]]
KILLED = """
import os, signal, sys
from instructor_core.embed.__main__ import main
from instructor_core.embed.parts import Parts

def write(parts, number, *content, original=Parts.write):
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    original(parts, number, *content)

Parts.write = write
main(sys.argv[1:])
"""


@pytest.fixture
def table(tmp_path: Path) -> pa.Table:
    table = make_table(300)
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=70)
    return table


def test_the_embeddings_are_those_of_the_model_in_the_order_of_the_rows(
    table: pa.Table,
    arguments: Arguments,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(arguments("out.parquet"))
    expected = InstructorModel(tiny, device="cpu").encode([(INSTRUCTION, text) for text in table["text"].to_pylist()])
    np.testing.assert_allclose(embeddings_of(tmp_path / "out.parquet"), expected, atol=1e-5)
    assert pq.read_schema(tmp_path / "out.parquet").names == ["embedding"]
    printed = capsys.readouterr()
    assert printed.out.endswith("out.parquet: 300 rows\n")
    assert "300/300" in printed.err and "row/s" in printed.err
    monkeypatch.setattr(job_module, "open_checkpoint", None)
    run(arguments("out.parquet"))  # a finished run given again does nothing
    assert "is complete already" in capsys.readouterr().out


def test_a_process_killed_in_the_middle_is_resumed_without_doing_a_row_twice(
    table: pa.Table, arguments: Arguments, environment: dict[str, str], tmp_path: Path
) -> None:
    values = arguments("killed", "--keep", "id")
    killed = subprocess.run([sys.executable, "-c", KILLED, *values], env=environment, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").glob("part-*.parquet")}
    assert len(done) == 5
    run(values)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert len(list((tmp_path / "killed").glob("part-*.parquet"))) > len(done)
    run(arguments("whole.parquet", "--keep", "id", "--part-tokens", "20000"))
    resumed, whole = pq.read_table(tmp_path / "killed"), pq.read_table(tmp_path / "whole.parquet")
    assert resumed["id"].to_pylist() == whole["id"].to_pylist() == table["id"].to_pylist()
    np.testing.assert_allclose(embeddings_of(tmp_path / "killed"), embeddings_of(tmp_path / "whole.parquet"), atol=1e-6)


def test_a_second_run_is_refused_before_anything_is_read_or_loaded(
    table: pa.Table,
    arguments: Arguments,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = Parts(tmp_path / "out.parquet")
    first.hold()
    with monkeypatch.context() as patched:
        patched.setattr(Job, "identity", lambda job: pytest.fail("the input and the checkpoint were read"))
        assert main(arguments("out.parquet", "--overwrite")) == 2
    assert f"Another run writes to {tmp_path / 'out.parquet'}: process {os.getpid()} on" in capsys.readouterr().err
    del first
    run(arguments("out.parquet"))


def test_columns_that_are_kept_come_back_as_they_were_and_no_rows_as_no_rows(
    arguments: Arguments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = make_table(3).append_column("kind", pa.array(["one", "two", "one"]).dictionary_encode())
    for rows in (table, table.slice(3)):
        pq.write_table(rows, tmp_path / "in.parquet")
        for options, names in ((["--keep", "label", "--keep", "id"], ["label", "id"]), (["--keep-all"], None)):
            run(arguments("out.parquet", "--overwrite", *options))
            out = pq.read_table(tmp_path / "out.parquet")
            assert out.drop_columns("embedding").equals(rows.select(names or rows.column_names))
    pq.write_table(pa.table({"text": ["a"], "embedding": [1.0]}), tmp_path / "in.parquet")
    assert main(arguments("out.parquet", "--overwrite", "--keep-all")) == 2
    assert "'embedding' cannot be kept" in capsys.readouterr().err


def test_a_text_that_occurs_often_in_a_part_is_embedded_once(
    arguments: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [make_texts(5)[i % 5] for i in range(40)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "in.parquet")
    asked: list[tuple[str, str]] = []
    original = InstructorModel.encode_batches

    def encode_batches(model: InstructorModel, pairs: Sequence[tuple[str, str]], *, normalize: bool) -> object:
        asked.extend(pairs)
        return original(model, pairs, normalize=normalize)

    monkeypatch.setattr(InstructorModel, "encode_batches", encode_batches)
    run(arguments("out.parquet", "--part-tokens", "100000"))
    assert len(asked) == 5
    embeddings = embeddings_of(tmp_path / "out.parquet")
    np.testing.assert_array_equal(embeddings, np.tile(embeddings[:5], (8, 1)))


def test_missing_texts_are_refused_or_left_without_an_embedding(
    arguments: Arguments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(pa.table({"text": ["a", None, " \u200b", "b"]}), tmp_path / "in.parquet")
    assert main(arguments("out.parquet")) == 2
    assert "Row 1 (from 0) of column 'text' has no text" in capsys.readouterr().err
    run(arguments("out.parquet", "--nulls", "keep"))
    assert [vector is None for vector in pq.read_table(tmp_path / "out.parquet")["embedding"].to_pylist()] == [
        False,
        True,
        True,
        False,
    ]


def test_a_run_that_was_left_is_not_continued_with_other_settings(
    table: pa.Table,
    arguments: Arguments,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(job_module.Worker, "embed_part", stop)
        assert main(arguments("out.parquet")) == 130
    assert "give the same command again" in capsys.readouterr().err
    assert main(arguments("out.parquet", instruction="Represent: ")) == 2
    assert f"its instruction was {INSTRUCTION!r} and is 'Represent: ' now" in capsys.readouterr().err
    pq.write_table(table.slice(1), tmp_path / "in.parquet")
    assert main(arguments("out.parquet")) == 2
    assert "the input has changed since" in capsys.readouterr().err
    run(arguments("out.parquet", "--overwrite"))
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == 299


def test_what_cannot_be_done_is_said_in_one_message(
    table: pa.Table, arguments: Arguments, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, message in (
        (["--text-column", "body"], "has no column 'body'"),
        (["--part-tokens", "0"], "--part-tokens must be at least 1: got 0"),
        (["--checkpoint", "nowhere"], "No checkpoint 'nowhere'"),
        (["--instruction", "word " * 600], "leaves no room for a text"),
    ):
        assert main(arguments("out.parquet", *options)) == 2
        error = capsys.readouterr().err
        assert message in error and "Traceback" not in error
    monkeypatch.setattr("instructor_core.embed.__main__.has_pyarrow", lambda: False)
    assert main(arguments("out.parquet")) == 2
    assert "pip install pyarrow" in capsys.readouterr().err
