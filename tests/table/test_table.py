"""Any table of strings, written by anybody in any dialect, comes back cell by cell; one bad row harms only itself."""

import csv
import gzip
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructor_core.errors import UserError
from instructor_core.table import Reading, TableFile, is_blank, read_values

Rows = list[tuple[str, ...]]
# Cells as people write them: quotation marks, delimiters, line ends of all kinds, other scripts; no lone surrogates.
LETTERS = st.sampled_from([*"ab Z0é漢😀\"'\\,;|\t", "\n", "\r\n", "\u2028", "\x85", ", ", '""', "NA", "007", "1e5"])
CELL = st.lists(LETTERS, max_size=8).map("".join)
TABLES = st.lists(st.tuples(CELL, CELL, st.sampled_from(["good", "bad"])), min_size=1, max_size=8)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path, name: str, content: str | bytes, **options: Any) -> tuple[TableFile, Rows]:
    table = TableFile(written(folder, name, content), Reading(**options))
    return table, [cells for _, cells in table.rows()]


def as_csv(rows: list[list[str]], **options: Any) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, **options).writerows(rows)
    return out.getvalue()


# ------------------------------------------------------------------------------------------------------- round trips


@settings(max_examples=250)
@given(
    TABLES,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_what_csv_writes_is_read_cell_by_cell(
    tmp_path_factory: pytest.TempPathFactory, cells: Rows, delimiter: str, line_end: str, quoting: Any
) -> None:
    rows = [["id", "text", "label"], *([str(i), f"x{text}y", label] for i, (text, _, label) in enumerate(cells))]
    content = as_csv(rows, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    table, found = read(tmp_path_factory.getbasetemp(), "a.csv", content, delimiter=delimiter, header=True)
    assert table.columns == ("id", "text", "label")
    assert [list(row) for row in found] == rows[1:]
    assert table.notes.sentences() == ()


@settings(max_examples=60)
@given(TABLES, st.sampled_from(["records", "columns", "split", "index", "values", "lines", "lists"]))
def test_json_of_every_orientation_is_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, cells: Rows, form: str
) -> None:
    frame = pd.DataFrame([(f"x{a}", b, c) for a, b, c in cells], columns=["text", "note", "label"])
    if form == "lines":
        content = frame.to_json(orient="records", lines=True)
    elif form == "lists":
        content = json.dumps(frame.to_dict(orient="list"))
    else:
        content = frame.to_json(orient=form)
    for name in ("a.json", "a.json.gz"):
        data = content.encode() if name == "a.json" else gzip.compress(content.encode())
        table, found = read(tmp_path_factory.getbasetemp(), name, data)
        assert found == [tuple(row) for row in frame.to_numpy().tolist()]
        assert form == "values" or table.columns == ("text", "note", "label")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_every_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    data = "text,label\nA café – “good”.,x\nNaïve.,y\n".encode(encoding)
    table, rows = read(tmp_path, "a.csv.gz", gzip.compress(data))
    assert (table.columns, rows) == (("text", "label"), [("A café – “good”.", "x"), ("Naïve.", "y")])
    assert ("Windows-1252" in " ".join(table.notes.sentences())) == (encoding == "cp1252")


def test_encoding_and_quotation_marks_may_be_told(tmp_path: Path) -> None:
    data = "text\nПривет, мир.\n".encode("cp1251")
    assert read(tmp_path, "a.csv", data, encoding="cp1251")[1] == [("Привет, мир.",)]
    with pytest.raises(UserError, match="--encoding"):
        read(tmp_path, "a.csv", data, encoding="klingon")
    content = 'text\tlabel\n"Hello" he said\tx\n"Whole"\ty\n'
    assert [row[0] for row in read(tmp_path, "a.tsv", content, quoting="none")[1]] == ['"Hello" he said', '"Whole"']
    assert read(tmp_path, "a.txt", '"Hello," she said.\n"Four."\n')[1] == [('"Hello," she said.',), ('"Four."',)]


@pytest.mark.parametrize("where", [3, 25, 46])
def test_a_stray_byte_harms_its_cell_only(tmp_path: Path, where: int) -> None:
    rows = [f"Café in München, note {i}" for i in range(50)]
    lines = [b"text;label", *(f"{row};a".encode() for row in rows)]
    lines[where] = b"caf\xe9 \xff;b"
    table, found = read(tmp_path, "a.csv", b"\n".join(lines))
    assert [text for text, _ in found if "note" in text] == [row for i, row in enumerate(rows) if i != where - 1]
    assert table.notes.sentences() == (f"2 bytes that are not UTF-8 were replaced by \ufffd (line {where + 1}).",)


def test_a_late_accent_of_an_old_encoding_is_read_in_it(tmp_path: Path) -> None:
    lines = [b"text,label", *[b"Plain words only.,a"] * 80_000, b"caf\xe9,b"]
    assert read(tmp_path, "a.csv", b"\n".join(lines))[1][-1] == ("café", "b")


# ------------------------------------------------------------------------------------------------------------- quotes


@pytest.mark.parametrize("kind", [("a.csv", ","), ("a.tsv", "\t"), ("a.csv", ";")])
@pytest.mark.parametrize(
    "cell", ['"Best soup ever', 'The 5" screen', 'Fine"', '"Not" so good', '"', 'a "b', '"He said "no" to me"']
)
def test_a_lone_quotation_mark_keeps_to_its_cell(tmp_path: Path, kind: tuple[str, str], cell: str) -> None:
    name, delimiter = kind
    rows = [["text", "label"], *([f"Row {i} is here.", "ab"[i % 2]] for i in range(10))]
    rows[4][0] = f"Quoted{delimiter} on{delimiter} purpose"
    for at in (1, 4, 8):
        quoted = as_csv(rows, delimiter=delimiter).splitlines()
        quoted[at] = f"{cell}{delimiter}label"
        _, found = read(tmp_path, name, "\n".join(quoted))
        text, label = found.pop(at - 1)
        assert found == [tuple(row) for i, row in enumerate(rows) if i not in (0, at)]
        assert (text.strip('"'), label) == (cell.strip('"'), "label")


def test_two_lone_marks_join_neither_rows_nor_cells_and_marks_escaped_by_backslashes_are_read(tmp_path: Path) -> None:
    content = 'text\tlabel\n"Best soup, they said\tgood\nFine.\tgood\nThe end"\tbad\n'
    assert len(read(tmp_path, "a.tsv", content)[1]) == 3
    assert len(read(tmp_path, "a.csv", content.replace("\t", ";"))[1]) == 3
    rows = [f"{i}\tA cat {i} sits.\tA cat {i} lies." for i in range(9)]
    for cells in ('"Oh no\tsaid she"', '"Oh no\t"Why" said she', 'He: "Oh\tno"', '"Oh\t"'):
        table, found = read(tmp_path, "a.tsv", "\n".join([*rows[:4], f"x\t{cells}", *rows[4:]]))
        assert len(found) == 10 and found[4] == ("x", *cells.split("\t"))
        assert all("fewer" not in sentence for sentence in table.notes.sentences())
    content = 'text,label\n"She said \\"no\\", and left.",a\n"A path C:\\\\x, here",b\nPlain.,c\n'
    assert [row[0] for row in read(tmp_path, "a.csv", content)[1]] == [
        'She said "no", and left.',
        "A path C:\\x, here",
        "Plain.",
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\x85", "\x0b"])
def test_line_ends_within_a_cell_stay(tmp_path: Path, end: str) -> None:
    text = f"One, dear{end}two{end}{end}three"
    rows = [["text", "label"], [text, "a"], ["Plain.", "b"]]
    assert read(tmp_path, "a.csv", as_csv(rows))[1] == [(text, "a"), ("Plain.", "b")]
    line = json.dumps({"text": text}, ensure_ascii=False)
    assert read(tmp_path, "a.jsonl", f"{line}\n{line}\n")[1] == [(text,)] * 2


# ------------------------------------------------------------------------------------------------- rows and headers


def test_a_row_with_too_many_fields_or_of_bad_json_is_left_out_and_named_and_surplus_columns_cost_none(
    tmp_path: Path,
) -> None:
    content = "text,label\nOne.,x\nTwo, three.,y\nFour.,z,,\nFive.\n"
    table, rows = read(tmp_path, "a.csv", content)
    assert rows == [("One.", "x"), ("Four.", "z"), ("Five.", "")]
    assert table.notes.sentences() == (
        "1 row that has more fields than there are columns was left out (line 3).",
        "1 row that has fewer fields than there are columns was filled with blanks (line 5).",
    )
    assert read(tmp_path, "a.csv", content, surplus="cut")[1][1] == ("Two", " three.")
    lines = [f"caps\t{i}\tA cat {i} sits.\tA cat {i} lies." + "\tcc\tby" * (i in (7, 9)) for i in range(30)]
    table, rows = read(tmp_path, "a.tsv", "\n".join(lines))
    assert len(rows) == 30 and rows[7] == ("caps", "7", "A cat 7 sits.", "A cat 7 lies.")
    assert "2 rows" in table.notes.sentences()[0] and "lines 8, 10" in table.notes.sentences()[0]
    lines = ['{"text": "One."}', '{"text": ', '"a string"', "", '{"text": "Two.", "label": 1e5}']
    table, rows = read(tmp_path, "a.jsonl", "\n".join(lines))
    assert rows == [("One.", ""), ("Two.", "1e5")]
    assert table.notes.sentences() == (
        "1 row that is not valid JSON was left out (line 2).",
        "1 row that is not like the others was left out (line 3).",
    )
    cut, rows = read(tmp_path, "a.json", '[{"text": "One."},\n{"text": "Two."}, {"text": "Thr')
    assert rows == [("One.",), ("Two.",)] and "cut off" in cut.notes.sentences()[0]


@pytest.mark.parametrize(
    ("content", "columns", "n_rows"),
    [
        ("sep=;\ntext;label\nGood, so.;a\n", ("text", "label"), 1),
        ('"sep=\t"\nid\ttext\tlabel\n1\tGood.\ta\n', ("id", "text", "label"), 1),
        (
            "Category: All categories\n\nDay,text,hits\n2026-01-01,Good.,3\n2026-01-02,Bad.,4\n",
            ("Day", "text", "hits"),
            2,
        ),
        ("Report of 2026,,\nMade by hand,,\nid,text,label\n1,Good.,a\n2,Bad.,b\n", ("id", "text", "label"), 2),
        ("text,text,,label,label\n1,2,3,4,5\n", ("text", "text (2)", "column 3", "label", "label (2)"), 1),
        (
            ",Clothing ID,Review Text\n0,700,A long text that goes on.\n1,701,Another long text.\n",
            ("column 1", "Clothing ID", "Review Text"),
            2,
        ),
        ("text,label\nr1,Good.,a\nr2,Bad.,b\nr3,Fine.,a\n", ("column 1", "text", "label"), 3),
        ("good,The soup was cold and slow.\ngood,All was well with the tea.\n", ("column 1", "column 2"), 2),
        ("text\nOne.\nTwo, three, four.\nFive, six.\n", ("text",), 3),
        ("The soup was cold, and bad.\nAll was well.\nNever again, I say, never.\n", ("text",), 3),
        ("text;score;label\nGood, so;3,5;a\nBad, alas;1,0;b\n", ("text", "score", "label"), 2),
        ('text,label\n"' + "A line.\n" * 3000 + '",a\nShort.,b\n', ("text", "label"), 2),
    ],
)
def test_header_and_what_stands_above_it_are_told_from_rows(
    tmp_path: Path, content: str, columns: tuple[str, ...], n_rows: int
) -> None:
    table, rows = read(tmp_path, "a.csv", content)
    assert (table.columns, len(rows)) == (columns, n_rows)


def test_a_header_may_be_named_or_denied(tmp_path: Path) -> None:
    content = "text,label\nGood.,a\n"
    assert read(tmp_path, "a.csv", content, header=False)[0].columns == ("column 1", "column 2")
    assert read(tmp_path, "b.csv", "Good.,a\nBad.,b\n", header=True)[0].columns == ("Good.", "a")


@pytest.mark.parametrize("value", ["007", "1e5", "NA", "true", "null", "1.50", "2026-01-02", " padded ", "1_000"])
def test_a_cell_is_what_is_written(tmp_path: Path, value: str) -> None:
    assert read(tmp_path, "a.csv", f"text,label\nA sentence.,{value}\n")[1][0][1] == value
    assert read(tmp_path, "a.jsonl", json.dumps({"text": "A.", "label": value}))[1][0][1] == value


def test_a_bare_json_value_keeps_its_spelling_and_blank_is_what_shows_nothing(tmp_path: Path) -> None:
    written = ["7", "1e5", "1.50", "true", "9" * 5000, "null", "NaN", '{"a": [1]}']
    rows = read(tmp_path, "a.json", "[" + ",".join(f'{{"text": "A.", "label": {value}}}' for value in written) + "]")[1]
    assert [label for _, label in rows] == [*written[:5], "", "", '{"a": ["1"]}']
    assert all(map(is_blank, ["", " \t\u00a0", "\u200b\ufeff", None]))
    assert not any(map(is_blank, ["NA", ".", "漢"]))


def test_parquet_of_any_types_is_a_table_of_strings(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [["One.", None], [7, 8], [True, None], [1.5, float("nan")], [b"a\xff", b""]]
    pq.write_table(pa.table(columns, names=["text", "id", "text", "x", "raw"]), tmp_path / "a.parquet")
    table = TableFile(tmp_path / "a.parquet")
    assert table.columns == ("text", "id", "text (2)", "x", "raw")
    assert [cells for _, cells in table.rows()] == [("One.", "7", "true", "1.5", "a\ufffd"), ("", "8", "", "", "")]
    pq.write_table(pa.table({"text": pa.array(["x" * 1_000_000] * 60).dictionary_encode()}), tmp_path / "bomb.parquet")
    with pytest.raises(UserError, match="unpack"):
        list(TableFile(tmp_path / "bomb.parquet", Reading(most=50_000_000)).rows())


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "text,label\n", "no rows below"),
        ("a.csv", "", "no line with text"),
        ("a.json", '[{"text": "One."},\n{"text" "Two."}]', "line 2, column 9"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", "", "no rows"),
        ("a.exe", "text", "must end in"),
        ("a.csv", ",".join(f"c{i}" for i in range(201)) + "\n", "201"),
        ("a.jsonl", "\n".join(json.dumps({f"k{i}": "v"}) for i in range(201)), "200 columns"),
        ("a.csv", bytes(range(256)) * 40, "not text"),
        ("a.csv", b"PK\x03\x04" + b"x" * 40, "Excel"),
        ("a.csv.gz", gzip.compress(b"text\nOne.\n" * 4000, mtime=0)[:-20], "damaged gzip"),
        ("a.csv", gzip.compress(b"\0" * 3_000_000, mtime=0), "2 MB"),
        ("a.parquet", b"PAR1" + b"\xff" * 400 + b"PAR1", "damaged"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        read(tmp_path, name, content, most=2_000_000, most_columns=200)


@settings(max_examples=200)
@given(
    st.sampled_from(["a.csv", "a.tsv", "a.txt", "a.json", "a.jsonl", "a.parquet", "a.csv.gz"]),
    st.one_of(
        st.binary(max_size=400),
        st.text(max_size=200).map(str.encode),
        st.text('",;\t\n\r|ab[]{}:1\\', max_size=120).map(str.encode),
    ),
)
def test_any_bytes_are_a_table_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    try:
        table, rows = read(tmp_path_factory.getbasetemp(), name, data)
    except UserError as error:
        assert str(error).rstrip(")").endswith((".", "columns"))
    else:
        assert all(len(row) == len(table.columns) and all(isinstance(cell, str) for cell in row) for row in rows)
        assert all(cell.encode() is not None for row in rows for cell in row)


# ------------------------------------------------------------------------------------------------------------- memory


def csv_lines(n: int) -> Iterator[str]:
    yield "id,text,label\n"
    yield from (f'{i},"The parcel, number {i}, came late and the box was crushed.",a\n' for i in range(n))


def json_lines(n: int) -> Iterator[str]:
    yield from (
        json.dumps({"id": i, "text": f"The parcel number {i} came late and was crushed."}) + "\n" for i in range(n)
    )


def json_array(n: int) -> Iterator[str]:
    yield "[" + next(json_lines(1))
    yield from ("," + line for line in islice(json_lines(n), 1, None))
    yield "]"


@pytest.mark.parametrize(("name", "lines"), [("a.csv", csv_lines), ("a.jsonl", json_lines), ("a.json", json_array)])
def test_memory_does_not_grow_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, lines: Callable[[int], Iterator[str]]
) -> None:
    for limit in ("decoding._CHUNK", "structured._CHUNK", "file._MAX_SAMPLED"):
        monkeypatch.setattr(f"instructor_core.table.{limit}", 1 << 16)  # so that a small file is a large one

    def peak(n: int) -> int:
        path = tmp_path / name
        with path.open("w") as file:
            file.writelines(lines(n))
        tracemalloc.start()
        assert sum(1 for _ in TableFile(path).rows()) == n
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    assert peak(16_000) < 1.3 * peak(4_000)


def test_values_of_json_stay_values_and_rows_of_a_table_become_objects(tmp_path: Path) -> None:
    bom = "\ufeff" + json.dumps({"text": "A.", "labels": {"n": 1}}) + "\n"
    assert [value for _, value in read_values(written(tmp_path, "a.jsonl", bom))] == [
        {"text": "A.", "labels": {"n": 1}}
    ]
    ((where, value),) = read_values(written(tmp_path, "a.csv", "text,label\nA.,\n"))
    assert value == {"text": "A."} and where.endswith("a.csv, line 2")
    bad = written(tmp_path, "b.jsonl", '{"a": 1}\n{"a": \n')
    with pytest.raises(UserError, match=r"b\.jsonl, line 2.*--bad-rows"):
        list(read_values(bad))
    assert len(list(read_values(bad, bad_rows="leave out"))) == 1
