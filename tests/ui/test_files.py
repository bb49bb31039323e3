"""Files from visitors: what is read is what is written there, and nothing hostile gets further than a message."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructor_core.errors import UserError
from instructor_core.ui.files import MAX_FILE_BYTES, read_table
from instructor_core.ui.inputs import MAX_CHARACTERS, MAX_INSTRUCTIONS, MAX_TEXTS, parse_texts
from instructor_core.ui.strings import one_line, well_formed
from instructor_core.ui.structured import has_pyarrow
from instructor_core.ui.tables import MAX_COLUMNS, MAX_ROWS, Table, guess_columns, instructions_of, sampled, to_lines
from instructor_core.ui.upload_menu import describe, preview, show, use

ANY_TEXT = st.text(st.characters(codec=None), max_size=40)  # lone surrogates and control characters included


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path, name: str, content: str | bytes, *, header: bool | None = None) -> Table:
    return read_table(written(folder, name, content), header=header)


def message(folder: Path, name: str, content: str | bytes) -> str:
    with pytest.raises(UserError) as caught:
        read(folder, name, content)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------ values and formats


@pytest.mark.parametrize("value", ["007", "1e5", "NA", "true", "null", "1.50", "-0", "NaN", "1_000", " padded "])
def test_a_value_stays_the_string_that_is_in_the_file(tmp_path: Path, value: str) -> None:
    assert read(tmp_path, "a.csv", f"text,label\nA sentence.,{value}\n").rows[0][1] == value
    assert read(tmp_path, "a.tsv", f"text\tlabel\nA sentence.\t{value}\n").rows[0][1] == value
    line = json.dumps({"text": "A sentence.", "label": value})
    assert read(tmp_path, "a.jsonl", line).rows[0][1] == value


@pytest.mark.parametrize("value", ["7", "1e5", "1.50", "-0.0", "NaN", "true", "9" * 5000])
def test_a_bare_json_value_keeps_its_spelling(tmp_path: Path, value: str) -> None:
    assert read(tmp_path, "a.json", f'[{{"text": "A sentence.", "label": {value}}}]').rows[0][1] == value


def test_null_is_an_empty_cell(tmp_path: Path) -> None:
    assert read(tmp_path, "a.json", '[{"text": "One.", "label": null}, {"text": "Two."}]').rows == (
        ("One.", ""),
        ("Two.", ""),
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_csv_file_is_found(tmp_path: Path, delimiter: str) -> None:
    rows = [["text", "label"], ["Good, or so; they say|think.", "a"], ["Bad.", "b"], ["One\nof two lines.", "c"]]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    table = read(tmp_path, "a.csv", out.getvalue())
    assert table.columns == ("text", "label")
    assert [list(row) for row in table.rows] == rows[1:]
    assert table.places == (2, 3, 4)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_encodings_are_read_without_a_note(tmp_path: Path, encoding: str) -> None:
    table = read(tmp_path, "a.csv", "text,label\nA café – good.,x\nAnother one.,y\n".encode(encoding))
    assert (table.columns, table.rows[0], table.note) == (("text", "label"), ("A café – good.", "x"), "")


@pytest.mark.parametrize(
    ("data", "word", "name"),
    [(b"caf\xe9 \x93quoted\x94", "café “quoted”", "Windows-1252"), (b"caf\xe9 \x81", "café \x81", "Latin-1")],
)
def test_a_guessed_encoding_is_said(tmp_path: Path, data: bytes, word: str, name: str) -> None:
    table = read(tmp_path, "a.txt", data)
    assert table.rows == ((word,),)
    assert name in table.note


def test_json_may_hold_strings_objects_arrays_or_columns(tmp_path: Path) -> None:
    assert read(tmp_path, "a.json", '["One.", "Two."]').columns == ("text",)
    assert read(tmp_path, "a.json", '[["One.", "x"]]').columns == ("column 1", "column 2")
    assert read(tmp_path, "a.json", '{"data": [{"t": "One.", "l": "x"}]}').rows == (("One.", "x"),)
    columns = read(tmp_path, "a.json", '{"t": ["One.", "Two."], "l": ["x", "y"]}')
    assert (columns.columns, columns.rows[1]) == (("t", "l"), ("Two.", "y"))


def test_blank_lines_and_carriage_returns_do_not_matter(tmp_path: Path) -> None:
    assert read(tmp_path, "a.csv", "text,label\r\n\r\nOne.,x\r\n,\r\n").rows == (("One.", "x"),)
    assert read(tmp_path, "a.txt", "One.\rTwo.\r").rows == (("One.",), ("Two.",))


def test_a_text_file_is_one_text_per_line_and_quotes_are_its_own(tmp_path: Path) -> None:
    table = read(tmp_path, "a.txt", '"Hello," she said, and left.\nOne, two, three.\n"Four."\n')
    assert table.rows == (('"Hello," she said, and left.',), ("One, two, three.",), ('"Four."',))


def test_a_csv_file_with_one_column_of_prose_is_not_torn_at_its_commas(tmp_path: Path) -> None:
    table = read(tmp_path, "a.csv", "text\nOne.\nTwo, three, four.\nFive, six.\n")
    assert (table.columns, table.rows[1]) == (("text",), ("Two, three, four.",))


@pytest.mark.parametrize(
    ("content", "has_header"),
    [
        ("text,label\nGood.,a\n", True),
        ("Sentence,Mark\nA long sentence about soup.,3\nAnother one about tea.,5\n", True),
        ("The soup was cold and the waiter never came.,bad\nAll was well with the tea.,good\n", False),
        ("good,The soup was cold and the waiter was slow.\ngood,All was well with the tea we had.\n", False),
        ("1,The soup was cold.\n2,All was well.\n", False),
    ],
)
def test_a_header_is_told_from_a_first_row(tmp_path: Path, content: str, has_header: bool) -> None:
    assert read(tmp_path, "a.csv", content).has_header is has_header


def test_the_visitor_overrules_the_guessed_header(tmp_path: Path) -> None:
    content = "text,label\nGood.,a\n"
    assert len(read(tmp_path, "a.csv", content, header=False).rows) == 2
    assert read(tmp_path, "a.csv", content, header=False).columns == ("column 1", "column 2")


def test_column_names_differ_and_are_never_empty(tmp_path: Path) -> None:
    table = read(tmp_path, "a.csv", "text,text,,a\tb\n1,2,3,4\n", header=True)
    assert table.columns == ("text", "text (2)", "column 3", "a b")


# --------------------------------------------------------------------------------------------------- columns and lines


@pytest.mark.parametrize(
    ("columns", "expected"),
    [(("id", "review", "sentiment"), (1, 2)), (("label", "id", "sentence"), (2, 0)), (("x", "y", "z"), (1, 2))],
)
def test_the_columns_of_texts_and_labels_are_guessed(
    columns: tuple[str, ...], expected: tuple[int, int | None]
) -> None:
    rows = tuple((str(i), f"Sentence number {i} is long.", "ab"[i % 2]) for i in range(8))
    order = [("id", "x"), ("review", "sentence", "y"), ("sentiment", "label", "z")]
    places = [next(k for k, names in enumerate(order) if column in names) for column in columns]
    table = Table(columns, tuple(tuple(row[k] for k in places) for row in rows), tuple(range(8)))
    assert guess_columns(table) == expected


def test_numbers_of_their_own_are_no_labels() -> None:
    table = Table(("a", "b"), tuple((f"Sentence {i}.", str(i)) for i in range(8)), tuple(range(8)))
    assert guess_columns(table) == (0, None)


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1, max_size=20))
def test_what_goes_into_the_text_field_is_what_is_read_from_it(cells: list[tuple[str, str]]) -> None:
    table = Table(("text", "label"), tuple(cells), tuple(range(len(cells))))
    wanted = [(one_line(text), one_line(label)) for text, label in cells if one_line(text)]
    for label in ([1], []):
        if not wanted:
            with pytest.raises(UserError):
                to_lines(table, 0, label)
            continue
        texts, columns = parse_texts(to_lines(table, 0, label)[0])
        assert list(texts) == [text for text, _ in wanted]
        names = tuple(name for _, name in wanted)
        assert columns == ((names,) if label and any(names) else ())


@given(ANY_TEXT)
def test_a_string_from_outside_becomes_one_line_of_valid_unicode(text: str) -> None:
    line = one_line(text)
    assert line.encode().decode() == line
    assert len(line.splitlines()) <= 1 and "\t" not in line
    assert well_formed(line) == line


def test_a_pair_of_surrogates_is_the_character_it_stands_for() -> None:
    assert well_formed("\ud83d\ude00") == "😀"


def test_a_bar_in_a_text_does_not_become_a_label() -> None:
    table = Table(("text",), (("left | right",), ("plain",)), (1, 2))
    assert parse_texts(to_lines(table, 0)[0]) == (("left | right", "plain"), ())


def test_several_columns_of_labels_are_kept_apart() -> None:
    table = Table(("text", "a", "b"), (("One.", "", "x"), ("Two.", "y", "")), (1, 2))
    assert parse_texts(to_lines(table, 0, [1, 2])[0]) == (("One.", "Two."), (("", "y"), ("x", "")))


@pytest.mark.parametrize("sample", ["first", "spread", "random"])
def test_a_sample_has_the_size_asked_for_keeps_the_order_and_repeats(sample: str) -> None:
    chosen = sampled(1000, 30, sample)  # type: ignore[arg-type]
    assert len(set(chosen)) == 30 and chosen == sorted(chosen) and chosen[0] >= 0 and chosen[-1] < 1000
    assert chosen == sampled(1000, 30, sample)  # type: ignore[arg-type]
    assert sampled(5, 30, sample) == [0, 1, 2, 3, 4]  # type: ignore[arg-type]


def test_more_texts_than_the_page_takes_are_sampled_with_a_note(tmp_path: Path) -> None:
    table = read(tmp_path, "a.txt", "\n".join(f"Sentence {i}." for i in range(MAX_TEXTS + 500)))
    lines, left_out = to_lines(table, 0, limit=10**9)
    assert lines.count("\n") == MAX_TEXTS - 1
    assert f"{MAX_TEXTS} of {MAX_TEXTS + 500} texts" in left_out


# --------------------------------------------------------------------------------------------------- limits and faults


def test_rows_past_the_limit_are_counted_and_said(tmp_path: Path) -> None:
    for name, content in (
        ("a.csv", "text,label\n" + "Good.,a\n" * (MAX_ROWS + 7)),
        ("a.jsonl", '{"text": "Good."}\n' * (MAX_ROWS + 7)),
    ):
        table = read(tmp_path, name, content)
        assert len(table.rows) == MAX_ROWS
        assert f"{MAX_ROWS + 7} rows" in table.note


def test_a_file_over_the_size_limit_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("it was read"))
    with pytest.raises(UserError, match="5 MB"):
        read_table(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "text,label\nOne.,x\nTwo, three.,y\nFour.,z\n", "Line 3 has 3 fields, the first line has 2"),
        ("a.csv", 'text,label\nOne.,x\n"Two.,y\nThree.,z\n', "opens in line 3 and is never closed"),
        ("a.csv", 'text,label\n"One" two,x\n', "Line 2"),
        ("a.csv", "text,label\n", "no rows below"),
        ("a.csv", "", "no line with text"),
        ("a.jsonl", '{"text": "One."}\n{"text": \n', "Line 2 is not valid JSON"),
        ("a.jsonl", '{"text": "One."}\n"Two."\n', "Line 2 is a text, the first is an object"),
        ("a.json", '[{"text": "One."},\n{"text" "Two."}]', "line 2, column 9"),
        ("a.json", '"One."', "got a text"),
        ("a.json", "[null]", "Item 1 is null"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", '[{"a": ' * 50_000, "nested too deeply"),
        ("a.exe", "text", "Files may end in"),
        ("a.csv", ",".join(f"c{i}" for i in range(MAX_COLUMNS + 1)) + "\n", "201"),
        ("a.jsonl", "\n".join(json.dumps({f"k{i}": "v"}) for i in range(MAX_COLUMNS + 1)), "line 201 brings more"),
        ("a.csv", "text,label\n" + "x" * 200_000 + ",a\n", "begins in line 2"),
        ("a.csv", b"\xff\xfea", "UTF-16"),
        ("a.csv", bytes(range(256)) * 40, "not text"),
        ("a.csv", gzip.compress(b"text", mtime=0), "gzip"),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path: Path, name: str, content: str | bytes, words: str) -> None:
    assert words in message(tmp_path, name, content)


def test_a_text_that_is_too_long_is_named_by_its_line(tmp_path: Path) -> None:
    table = read(tmp_path, "a.txt", "Short.\n\n" + "x" * 100_000 + "\n")
    with pytest.raises(UserError, match=f"{MAX_CHARACTERS} characters: line 3 has 100000"):
        to_lines(table, 0)
    assert "begins in line 3" in message(tmp_path, "a.txt", "Short.\n\n" + "x" * 1_000_000 + "\n")
    long = json.dumps({"text": "x" * 1_000_000})
    with pytest.raises(UserError, match=f"{MAX_CHARACTERS} characters: line 1 has 1000000"):
        to_lines(read(tmp_path, "a.jsonl", long), 0)


def zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"\0" * 50_000_000)
    return out.getvalue()


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.json", "a.txt"])
def test_a_zip_bomb_under_another_name_is_refused_at_once(tmp_path: Path, name: str) -> None:
    content = zip_bomb()
    start = time.monotonic()
    assert "Parquet" in message(tmp_path, name, content) or name != "a.parquet"
    assert time.monotonic() - start < 1


def test_parquet_without_pyarrow_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "Save the table as CSV" in message(tmp_path, "a.parquet", b"PAR1" + b"\0" * 40 + b"PAR1")


@pytest.mark.skipif(not has_pyarrow(), reason="pyarrow is not installed")
def test_a_parquet_file_is_read_and_a_damaged_one_refused(tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": ["One.", "Two."], "id": [7, 8], "seen": [True, None]}).to_parquet(path)
    assert read_table(path).rows == (("One.", "7", "true"), ("Two.", "8", ""))
    assert "damaged" in message(tmp_path, "b.parquet", b"PAR1" + b"\xff" * 400 + b"PAR1")
    pd.DataFrame({"text": ["x" * 4_000_000] * 20}).to_parquet(path)
    assert path.stat().st_size < MAX_FILE_BYTES
    with pytest.raises(UserError, match="characters"):
        read_table(path)


@settings(max_examples=150)
@given(
    st.sampled_from(["a.csv", "a.tsv", "a.txt", "a.json", "a.jsonl", "a.parquet"]),
    st.one_of(
        st.binary(max_size=400),
        st.text(max_size=200).map(str.encode),
        st.text('",;\t\n|ab[]{}:1\\', max_size=120).map(str.encode),
    ),
)
def test_any_bytes_are_a_table_or_a_message(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    try:
        table = read_table(path)
    except UserError as error:
        assert str(error).endswith((".", "columns"))
        return
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert len(table.places) == len(table.rows) > 0
    assert len(set(table.columns)) == len(table.columns)
    assert all(cell == well_formed(cell) for row in table.rows for cell in row)


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=2, max_size=4), min_size=2))
def test_a_written_csv_file_is_read_cell_by_cell(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    width = min(map(len, rows))
    wanted = [row[:width] for row in rows if any(cell.strip() for cell in row[:width])]
    if not wanted:
        return
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["text", "label", "c", "d"][:width], *wanted])
    path = tmp_path_factory.getbasetemp() / "round.csv"
    path.write_bytes(out.getvalue().encode())
    assert [list(row) for row in read_table(path).rows] == wanted


# ------------------------------------------------------------------------------------------------------------ the page


def test_the_preview_escapes_cells_and_column_names(tmp_path: Path) -> None:
    attack = "<img src=x onerror=alert(1)>"
    page = preview(read(tmp_path, "a.csv", f'text,"{attack}"\n{attack},${{alert(1)}}\n' * 1))
    assert "<img" not in page and "&lt;img" in page


def test_an_uploaded_file_offers_its_columns_and_fills_the_field(tmp_path: Path) -> None:
    path = str(written(tmp_path, "a.csv", "text,label\nOne.,x\nTwo.,y\nThree.,x\nFour.,y\n"))
    note, table, header, text, label, instruction, _, limit = show(path)
    assert (note, header["value"], text["value"], label["value"], limit) == ("", True, 0, [1], 4)
    assert "<td>Four.</td>" in table
    assert instruction["value"] == -1
    *fields, texts, _ = use(path, True, 0, [1, 0], -1, "first", 2, None)
    assert texts == "One.\tx\nTwo.\ty" and unchanged(fields)
    assert use(path, True, 0, [], None, "first", 2000, 7)[-2] == "One.\nTwo.\nThree.\nFour."
    drawn = [use(path, True, 0, [], -1, "random", 2, seed) for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1] and len({texts for *_, texts, _ in drawn}) > 1
    assert "2 of 4 texts were taken: drawn at random, seed 1." in drawn[0][-1]


@pytest.mark.parametrize("path", [None, "gone.csv"])
def test_an_error_leaves_every_field_as_it_is(path: str | None) -> None:
    *fields, note = use(path, True, 0, [1], 0, "first", 2, None)
    assert unchanged(fields)
    assert 'role="alert"' in note


def unchanged(fields: list[Any]) -> bool:
    return all(field == gr.skip() for field in fields)


INSTRUCTED = "instruction,text,topic\nTopic:,One.,x\nMood:,One.,x\n,Two.,y\nTopic:,,\n"


def test_a_column_of_instructions_fills_their_list_and_each_text_is_taken_once(tmp_path: Path) -> None:
    path = str(written(tmp_path, "a.csv", INSTRUCTED))
    note, _, _, text, label, instruction, _, _ = show(path)
    assert (text["value"], label["value"], instruction["value"]) == (1, [2], 0)
    assert "3 different instructions, which replace the list above. Each text appears under every one" in note
    count, *rows = use(path, True, 1, [2, 0], 0, "first", 10, None)
    fields, texts, message = rows[MAX_INSTRUCTIONS:-2], rows[-2], rows[-1]
    assert count == 3 and fields[:4] == ["Topic:", "Mood:", "", ""] and len(fields) == MAX_INSTRUCTIONS
    assert [row["visible"] for row in rows[:4]] == [True, True, True, False]
    assert texts == "One.\tx\nTwo.\ty"
    assert "repeat a text and its labels: 1." in message and "1 rows without a text" in message
    assert describe(path, True, 1, 0) == note and "instruction" not in describe(path, True, 1, -1)


def test_more_instructions_than_the_page_takes_are_cut_with_a_note(tmp_path: Path) -> None:
    table = read(tmp_path, "a.csv", "instruction,text\n" + "".join(f"Task {i}:,Text {i}.\n" for i in range(11)))
    kept, about = instructions_of(table, 0, 1)
    assert kept == tuple(f"Task {i}:" for i in range(MAX_INSTRUCTIONS))
    assert f"has 11 different instructions; the first {MAX_INSTRUCTIONS} replace" in about


@pytest.mark.parametrize(
    ("column", "words"), [(1, "a column of their own"), (5, "a column of their own"), (0, "line 3")]
)
def test_a_column_that_holds_no_instructions_changes_nothing(tmp_path: Path, column: int, words: str) -> None:
    path = str(written(tmp_path, "a.csv", f"instruction,text\nTask:,One.\n{'x' * 2001},Two.\n"))
    *fields, note = use(path, True, 1, [], column, "first", 10, None)
    assert unchanged(fields) and words in note and 'role="alert"' in note


def test_a_sample_is_drawn_from_all_rows_of_a_file_with_more_than_the_page_takes(tmp_path: Path) -> None:
    path = str(written(tmp_path, "a.txt", "".join(f"Text {i}.\n" for i in range(MAX_TEXTS + 5_000))))
    note, *_, limit = show(path, False)
    assert f"takes {MAX_TEXTS} of them: choose which below" in note and limit == MAX_TEXTS
    *_, texts, message = use(path, False, 0, [], -1, "random", MAX_TEXTS, 3)
    taken = texts.split("\n")
    assert len(set(taken)) == MAX_TEXTS and int(taken[-1][5:-1]) > MAX_TEXTS
    assert f"{MAX_TEXTS} of {MAX_TEXTS + 5_000} texts were taken: drawn at random, seed 3." in message
