"""Any range of rows of any format is the same slice of the same table, and reading it holds little in memory."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from instructor_core.embed import source as source_module
from instructor_core.embed.source import RowReader, Source
from instructor_core.errors import UserError
from tests.embed.conftest import make_table

TABLE = make_table(500)


def write_parquet(folder: Path) -> Path:
    pq.write_table(TABLE, folder / "in.parquet", row_group_size=130)
    return folder / "in.parquet"


def write_folder(folder: Path) -> Path:
    (folder / "in").mkdir()
    for number, start in enumerate((0, 90, 340)):
        stop = (90, 340, 500)[number]
        pq.write_table(TABLE.slice(start, stop - start), folder / "in" / f"{number}.parquet", row_group_size=100)
    (folder / "in" / "_notes.parquet").write_text("not one of them")
    return folder / "in"


def write_csv(folder: Path) -> Path:
    pa.csv.write_csv(TABLE, folder / "in.csv")
    return folder / "in.csv"


def write_json_lines(folder: Path) -> Path:
    (folder / "in.jsonl").write_text("\n".join(map(json.dumps, TABLE.to_pylist())), encoding="utf-8")
    return folder / "in.jsonl"


@pytest.mark.parametrize("write", [write_parquet, write_folder, write_csv, write_json_lines])
def test_ranges_in_any_order_are_slices_of_the_table(
    write: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "BATCH_ROWS", 37)
    reader = RowReader(Source(write(tmp_path), "text", None))
    ranges = [(0, 40), (40, 41), (41, 300), (299, 301), (5, 5), (480, 500), (0, 500), (135, 260)]
    typed = write in (write_parquet, write_folder)
    expected = TABLE if typed else TABLE.set_column(0, "id", TABLE["id"].cast(pa.string()))  # cells as written
    for start, stop in ranges:
        found = reader.read(start, stop).select(TABLE.column_names).to_pylist()
        assert found == expected.slice(start, stop - start).to_pylist()


def test_reading_begins_at_a_row_group_and_goes_on_from_the_last_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    original = Source.batches

    def batches(source: Source, start: int = 0, **options: bool) -> object:
        begun.append(start)
        return original(source, start, **options)

    monkeypatch.setattr(Source, "batches", batches)
    reader = RowReader(Source(write_parquet(tmp_path), "text"))
    for start, stop in [(10, 20), (20, 140), (150, 160), (400, 410), (0, 1)]:
        reader.read(start, stop)
    assert begun == [0, 390, 0]


def test_a_wrong_column_is_refused_with_those_there_are_and_a_name_that_stands_twice_is_numbered(
    tmp_path: Path,
) -> None:
    for column, keep, message in (
        ("body", (), r"no column 'body'.*'text', 'label'"),
        ("id", (), r"'id' of in.parquet holds int64, not texts.*'text', 'label'"),
        ("text", ("id", "title"), r"no column 'title' to keep.*'id', 'text', 'label'"),
    ):
        with pytest.raises(UserError, match=message):
            Source(write_parquet(tmp_path), column, keep)
    pq.write_table(pa.table([["One."], [1], [2]], names=["text", "label", "label"]), tmp_path / "in.parquet")
    table = RowReader(Source(tmp_path / "in.parquet", "text", None)).read(0, 1)
    assert table.to_pylist() == [{"text": "One.", "label": 1, "label (2)": 2}]


def test_what_is_no_table_or_changed_or_was_damaged_is_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path)
    with pytest.raises(UserError, match="ends at row 500"):
        RowReader(Source(path, "text")).read(490, 501)
    content = bytearray(path.read_bytes())
    content[200:1200] = bytes(1000)
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read"):
        RowReader(Source(path, "text")).read(0, 500)
    folder = write_folder(tmp_path)
    pq.write_table(TABLE.drop_columns("label"), folder / "1.parquet")
    with pytest.raises(UserError, match=r"1\.parquet differs from 0\.parquet"):
        Source(folder, "text")
    (tmp_path / "in.parquet").write_text("no Parquet")
    (tmp_path / "in.xlsx").write_text("no table")
    (tmp_path / "empty").mkdir()
    for name, message in {
        "in.parquet": "cannot be read",
        "in.xlsx": "must end in one of",
        "empty": r"no \.parquet files",
        "gone.parquet": "There is no file",
    }.items():
        with pytest.raises(UserError, match=message):
            Source(tmp_path / name, "text")
