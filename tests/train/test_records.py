"""Records in the MEDI format: every shape that is allowed, and a helpful word about every other."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from instructor_core.errors import UserError
from instructor_core.train.records import Record, read_records, set_aside

GOOD: dict[str, Any] = {"query": ["a: ", "one"], "pos": ["b: ", "two"], "neg": ["c: ", "three"], "task_id": 7}
RECORD = Record(("a: ", "one"), (("b: ", "two"),), (("c: ", "three"),), "7", None)


def write(path: Path, *entries: object) -> Path:
    path.write_text("\n".join(json.dumps(entry) for entry in entries), encoding="utf-8")
    return path


def test_a_json_list_and_lines_and_gz_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("\n " + json.dumps([GOOD, GOOD], indent=1))
    lines = write(tmp_path / "lines.jsonl", GOOD, GOOD)
    (tmp_path / "lines.jsonl.gz").write_bytes(gzip.compress(b"\n" + lines.read_bytes()))
    (tmp_path / "list.json.gz").write_bytes(gzip.compress((tmp_path / "list.json").read_bytes()))
    for path in sorted(tmp_path.iterdir()):
        assert read_records(path) == [RECORD, RECORD], path
    assert read_records(lines, tmp_path / "list.json") == [RECORD] * 4


def test_positives_and_negatives_may_be_one_pair_several_or_none(tmp_path: Path) -> None:
    several = {**GOOD, "pos": [["b: ", "two"], ["", "2"]], "neg": []}
    labelled = {"query": ["a: ", "one", 0], "label": 3, "task_name": "other"}
    found = read_records(write(tmp_path / "x.jsonl", several, labelled))
    assert found == [
        Record(("a: ", "one"), (("b: ", "two"), ("", "2")), (), "7", None),
        Record(("a: ", "one"), (), (), "other", "3"),
    ]


def test_a_wrong_record_is_named_by_its_place(tmp_path: Path) -> None:
    for entry, message in (
        ("text", 'must be an object with "query"'),
        ({**GOOD, "query": "one"}, '"query" must be'),
        ({**GOOD, "query": ["a: ", "  "]}, "empty"),
        ({**GOOD, "neg": [["a: ", "b"], ["c"]]}, '"neg" must be'),
        ({"query": ["a: ", "one"]}, '"pos" or "label"'),
        ({**GOOD, "label": 1.5}, '"label" must be'),
    ):
        with pytest.raises(UserError, match=message) as caught:
            read_records(write(tmp_path / "x.jsonl", GOOD, entry))
        assert "x.jsonl, line 2" in str(caught.value)
    (tmp_path / "x.json").write_text(json.dumps([GOOD, GOOD, "text"]))
    with pytest.raises(UserError, match="item 3"):
        read_records(tmp_path / "x.json")


def test_a_file_that_is_no_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text(json.dumps(GOOD) + '\n\n{"query": ')
    with pytest.raises(UserError, match="line 3"):
        read_records(tmp_path / "broken.jsonl")
    assert read_records(tmp_path / "broken.jsonl", bad_rows="leave out") == [RECORD]
    with pytest.raises(UserError, match="readable"):
        read_records(tmp_path / "missing.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(UserError, match="has none"):
        read_records(tmp_path / "empty.jsonl")
    with pytest.raises(UserError, match="record 2 of task '7'"):  # all of a task have a label, or none
        read_records(write(tmp_path / "x.jsonl", {**GOOD, "label": "a"}, GOOD))


def test_a_table_holds_records(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("instruction,text,label\na: ,one,x\n,two,y\n")
    assert read_records(tmp_path / "labels.csv") == [
        Record(("a: ", "one"), (), (), "", "x"),
        Record(("", "two"), (), (), "", "y"),
    ]
    rows = "query_instruction,query,pos_instruction,pos,neg_instruction,neg\na: ,one,b: ,two,c: ,three\n"
    (tmp_path / "pairs.csv").write_text(rows)
    (found,) = read_records(tmp_path / "pairs.csv")
    assert (found.query, found.positives, found.negatives) == (RECORD.query, RECORD.positives, RECORD.negatives)


def test_held_out_texts_are_never_trained_on() -> None:
    records = [
        Record((instruction, f"text {i}"), (), (), instruction, "x")
        for i in range(400)
        for instruction in ("a: ", "b: ")
    ]
    kept, held_out = set_aside(records, 0.1)
    assert len(kept) + len(held_out) == 800
    assert 40 < len(held_out) < 120
    assert {record.query[1] for record in kept}.isdisjoint(record.query[1] for record in held_out)
    assert set_aside(records[::-1], 0.1)[1] == held_out[::-1]
    assert set_aside(records, 0.1, seed=1)[1] != held_out
    assert set_aside(records, 0.0) == (records, [])
    for share in (-0.1, 1.0):
        with pytest.raises(UserError, match="share"):
            set_aside(records, share)
