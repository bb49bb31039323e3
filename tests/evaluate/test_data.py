"""Files are read as they are meant, and a file that is not usable is named."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest

from instructor_core.analysis.suggest import bundled
from instructor_core.errors import UserError
from instructor_core.evaluate.data import LabelSet, read_data, read_wordings
from instructor_core.table import Notes


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def test_a_folder_may_hold_label_sets_and_pairs(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", [{"text": "x", "labels": {"topic": "t"}}, {"text": "y", "labels": {"mood": "m"}}])
    write(tmp_path / "a.jsonl", [{"a": "x", "b": "y", "score": 3, "set": "part"}])
    (tmp_path / "notes.json").write_text("{}", encoding="utf-8")
    (labels,), (pairs,) = read_data([tmp_path])
    assert labels == LabelSet("b", ("x", "y"), {"topic": ("t", ""), "mood": ("", "m")}, 2)
    assert (pairs.name, pairs.first, pairs.second, pairs.scores, pairs.n_in_file) == ("a", ("x",), ("y",), (3.0,), 1)


def test_a_sample_is_repeatable_keeps_the_order_and_says_so(tmp_path: Path) -> None:
    file = write(tmp_path / "many.jsonl", [{"text": f"{i:03}", "labels": {"topic": "t"}} for i in range(100)])
    ((one,), _), ((two,), _) = (read_data([file], max_texts=20, seed=3) for _ in range(2))
    assert one == two
    assert len(one.texts) == 20
    assert one.n_in_file == 100
    assert list(one.texts) == sorted(one.texts)
    ((other,), _) = read_data([file], max_texts=20, seed=4)
    assert other.texts != one.texts


def test_a_table_is_a_label_set_or_scored_pairs(tmp_path: Path) -> None:
    rows = "".join(f"{i},Text {i}.,{'ab'[i % 2]},{'xy'[i // 2 % 2]}\n" for i in range(8))
    (tmp_path / "s.csv").write_text("\ufeffid,text,topic,mood\n" + rows)
    (tmp_path / "p.tsv").write_text("a\tb\tscore\nOne.\tTwo.\t3.5\nOne.\tThree.\t1\n")
    ((labels,), (pairs,)) = read_data([tmp_path])
    assert labels.texts[0] == "Text 0." and set(labels.columns) == {"topic", "mood"}
    assert labels.columns["mood"] == tuple("xxyyxxyy") and pairs.scores == (3.5, 1.0)


def test_what_leads_nowhere_or_has_another_form_is_refused_and_a_broken_row_left_out_by_choice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no \.jsonl file"):
        read_data([tmp_path])
    with pytest.raises(UserError, match="no readable file"):
        read_data([tmp_path / "missing.jsonl"])
    with pytest.raises(UserError, match="cannot be read"):
        read_wordings(tmp_path / "missing.json")
    (tmp_path / "w.json").write_text('{"axes": {"topic": {"plain": "x"}}}', encoding="utf-8")
    with pytest.raises(UserError, match="KeyError: 'free'"):
        read_wordings(tmp_path / "w.json")
    for content, message in (
        ("", "empty"),
        ("{", r"s\.jsonl, line 1 is not"),
        ('{"text": "x", "labels": {}}\n[1]', "line 2: expected a JSON object"),
        ('{"text": "x"}', "'labels' is None"),
        ('{"labels": {"topic": "t"}}', "'text' is None"),
        ('{"a": "x", "b": "y", "score": "high"}', "'score' is 'high'"),
    ):
        (tmp_path / "s.jsonl").write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match=message):
            read_data([tmp_path])
    (tmp_path / "s.jsonl").write_text('{"text": "x", "labels": {"t": "a"}}\n{"text": \n', encoding="utf-8")
    notes = Notes()
    ((labels,), _) = read_data([tmp_path], bad_rows="leave out", notes=notes)
    assert labels.texts == ("x",)
    assert notes.sentences() == ("1 row that is not valid JSON was left out (line 2).",)


def test_the_bundled_sets_cross_their_labels_evenly_and_every_label_has_an_axis_with_wordings() -> None:
    sets, _ = read_data([bundled("label_sets")])
    wordings = read_wordings()
    for label_set in sets:
        combinations = Counter(zip(*label_set.columns.values(), strict=True))
        assert len(combinations) == math.prod(len(set(labels)) for labels in label_set.columns.values())
        assert len(set(combinations.values())) == 1, label_set.name
        assert [column for column in label_set.columns if wordings.axis_of(column) != column] == []
    assert {len(entry.free) for entry in wordings.axes.values()} == {12}
