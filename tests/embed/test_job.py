"""The rows are cut into parts of about equal numbers of tokens, and what decides the result is written down."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from instructor_core import InstructorModel
from instructor_core.embed import source as source_module
from instructor_core.embed.job import Job
from instructor_core.errors import UserError
from tests.embed.conftest import INSTRUCTION, make_table


def job_for(path: Path, checkpoint: Path, texts: list[str | None], **settings: object) -> Job:
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), path)
    return replace(Job(path, "text", "", str(checkpoint), part_tokens=100), **settings)


def test_a_part_ends_where_its_tokens_are_used_up(tmp_path: Path, tiny: Path) -> None:
    texts = ["x" * (4 * n or 1) for n in (48, 48, 48, 98, 498, 9000, 0, 0)]  # 50 50 50 100 500 512 2 2 tokens
    job = job_for(tmp_path / "in.parquet", tiny, texts)
    assert job.plan(job.open_source()).tolist() == [0, 2, 4, 5, 6, 8]
    job = job_for(tmp_path / "in.parquet", tiny, ["x" * 32] * 4, instruction="y" * 160)  # 50 tokens a row
    assert job.plan(job.open_source()).tolist() == [0, 2, 4]


def test_the_plan_does_not_depend_on_how_the_file_is_read(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(make_table(700), tmp_path / "in.parquet", row_group_size=90)
    job = Job(tmp_path / "in.parquet", "text", INSTRUCTION, str(tiny), part_tokens=400)
    plan = job.plan(job.open_source())
    assert plan[0] == 0 and plan[-1] == 700 and (np.diff(plan) > 0).all()
    monkeypatch.setattr(source_module, "BATCH_ROWS", 7)
    np.testing.assert_array_equal(job.plan(job.open_source()), plan)


def test_parts_hold_like_numbers_of_tokens_though_not_of_rows(tmp_path: Path, mini: InstructorModel) -> None:
    texts = make_table(1500)["text"].to_pylist()
    texts.sort(key=len)
    job = job_for(tmp_path / "in.parquet", tmp_path, texts, instruction=INSTRUCTION, part_tokens=5000)
    starts = job.plan(job.open_source())
    counts = np.array(mini.count_tokens([INSTRUCTION + text for text in texts])) + 1
    tokens = np.add.reduceat(counts, starts[:-1])[:-1]  # the last part is what is left
    rows = np.diff(starts)[:-1]
    assert len(tokens) > 5
    assert rows.max() > 3 * rows.min()
    assert tokens.max() < 1.6 * tokens.min()


def test_a_missing_text_is_found_before_anything_is_embedded(tmp_path: Path, tiny: Path) -> None:
    job = job_for(tmp_path / "in.parquet", tiny, ["a"] * 3000 + [None, "b", None])
    with pytest.raises(UserError, match=r"Row 3000 .*'text'.*--nulls keep"):
        job.plan(job.open_source())
    assert replace(job, allow_nulls=True).plan(job.open_source())[-1] == 3003


def test_every_setting_that_changes_the_result_changes_the_identity(tmp_path: Path, tiny: Path) -> None:
    job = job_for(tmp_path / "in.parquet", tiny, ["a", "b"])
    other = shutil.copytree(tiny, tmp_path / "other")
    assert replace(job, checkpoint=str(other)).identity() == job.identity()  # the weights count, not where they are
    with (other / "2_Dense" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    pq.write_table(pa.table({"text": ["a", "c"]}), tmp_path / "changed.parquet")
    changes = {
        "input": replace(job, source=tmp_path / "changed.parquet"),
        "instruction": replace(job, instruction="Represent: "),
        "checkpoint": replace(job, checkpoint=str(other)),
        "dtype": replace(job, dtype="bfloat16"),
        "unit length": replace(job, normalize=False),
        "kept columns": replace(job, keep=None),
        "tokens per part": replace(job, part_tokens=7),
    }
    before = job.identity()
    for name, changed in changes.items():
        after = changed.identity()
        assert {key for key in before if before[key] != after[key]} == {name}
