"""Files from visitors: what is read is what is written there, and nothing hostile gets further than a message."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from instructor_core.errors import UserError
from instructor_core.table import is_blank
from instructor_core.ui.data.files import MAX_FILE_BYTES, MAX_ROWS, Table, read_table
from instructor_core.ui.data.inputs import MAX_CHARACTERS, MAX_INSTRUCTIONS, MAX_TEXTS, parse_texts
from instructor_core.ui.data.strings import one_line, well_formed
from instructor_core.ui.data.tables import choose_rows, guess_columns, instructions_of, to_lines
from instructor_core.ui.data.upload_menu import describe, preview, show, use
from instructor_core.ui.scene.stage import Words

ANY_TEXT = st.text(st.characters(codec=None), max_size=40)  # lone surrogates and control characters included


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path, name: str, content: str | bytes, *, header: bool | None = None) -> Table:
    return read_table(written(folder, name, content), header=header)


# --------------------------------------------------------------------------------------------------- columns and lines


def guessed(columns: str, cells: Callable[[int], tuple[str, ...]]) -> tuple[int, int | None]:
    return guess_columns(Table(tuple(columns.split(",")), tuple(map(cells, range(10))), tuple(range(10))))


def test_the_columns_of_texts_and_labels_are_guessed_and_the_column_of_texts_has_texts_in_it() -> None:
    for names in ("id,review,sentiment", "x,y,z"):
        assert guessed(names, lambda i: (str(i), f"Sentence number {i} is long.", "ab"[i % 2])) == (1, 2)
    assert guessed("label,id,sentence", lambda i: ("ab"[i % 2], str(i), f"Sentence number {i} is long.")) == (2, 0)
    assert guessed("a,b", lambda i: (f"Sentence {i}.", str(i))) == (0, None)  # numbers of their own are no labels

    def cells(i: int) -> tuple[str, str]:
        return "Lovely" if i % 2 else "", f"This blouse is soft and warm, number {i}."

    for names in ("Title,Review Text", "id,reviewText", "url,verified_reviews", "headline,text"):
        assert guessed(names, cells)[0] == 1
    assert guessed("text,note", lambda i: ("", cells(i)[1]))[0] == 1  # a column of texts without texts


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1, max_size=20))
@example([("0", ""), ("\x1b", "")])  # shows nothing, and so is no text
def test_what_goes_into_the_text_field_is_what_is_read_from_it(cells: list[tuple[str, str]]) -> None:
    table = Table(("text", "label"), tuple(cells), tuple(range(len(cells))))
    wanted = [(one_line(text), one_line(label)) for text, label in cells if not is_blank(text)]
    for label in ([1], []):
        if not wanted:
            with pytest.raises(UserError):
                to_lines(table, 0, label)
            continue
        texts, columns = parse_texts(to_lines(table, 0, label)[0])
        assert list(texts) == [text for text, _ in wanted]
        names = tuple(name for _, name in wanted)
        assert columns == ((names,) if label and any(names) else ())


def test_bars_and_several_columns_of_labels_are_kept_apart() -> None:
    table = Table(("text", "a", "b"), (("One | 1.", "", "x"), ("Two.", "y", "")), (1, 2))
    assert parse_texts(to_lines(table, 0, [1, 2])[0]) == (("One | 1.", "Two."), (("", "y"), ("x", "")))
    assert parse_texts(to_lines(table, 0)[0]) == (("One | 1.", "Two."), ())


@given(ANY_TEXT)
def test_a_string_from_outside_becomes_one_line_of_valid_unicode(text: str) -> None:
    line = one_line(text)
    assert line.encode().decode() == line
    assert len(line.splitlines()) <= 1 and "\t" not in line
    assert well_formed(line) == line and well_formed("\ud83d\ude00") == "😀"


def test_a_sample_has_the_size_asked_for_keeps_the_order_and_repeats() -> None:
    for sample in ("first", "spread", "random"):
        chosen = choose_rows(1000, 30, sample)
        assert len(set(chosen)) == 30 and chosen == sorted(chosen) and chosen[0] >= 0 and chosen[-1] < 1000
        assert chosen == choose_rows(1000, 30, sample)
        assert choose_rows(5, 30, sample) == [0, 1, 2, 3, 4]


# --------------------------------------------------------------------------------------------------- limits and faults


def test_rows_past_the_limit_are_counted_and_a_file_over_the_size_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in (
        ("a.csv", "text,label\n" + "Good.,a\n" * (MAX_ROWS + 7)),
        ("a.jsonl", '{"text": "Good."}\n' * (MAX_ROWS + 7)),
    ):
        table = read(tmp_path, name, content)
        assert len(table.rows) == MAX_ROWS
        assert f"{MAX_ROWS + 7} rows" in table.note
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("it was read"))
    with pytest.raises(UserError, match="5 MB"):
        read_table(tmp_path / "a.csv")


# ------------------------------------------------------------------------------------------------------------ the page


def test_an_uploaded_file_offers_its_columns_and_fills_the_field(tmp_path: Path) -> None:
    attack = "<img src=x onerror=alert(1)>"
    assert "<img" not in preview(read(tmp_path, "a.csv", f'text,"{attack}"\n{attack},${{alert(1)}}\n'))
    path = str(written(tmp_path, "a.csv", "text,label\nOne.,x\nTwo.,y\nThree.,x\nFour.,y\n"))
    note, table, header, text, label, instruction, _, limit, *_ = show(path)
    assert (note, header["value"], text["value"], label["value"], limit) == ("", True, 0, [1], 4)
    assert "<td>Four.</td>" in table
    assert instruction["value"] == -2  # proposed
    words, instructions, texts, _ = use(path, True, 0, [1, 0], -1, "first", 2, None)
    assert texts == "One.\tx\nTwo.\ty" and instructions is None
    assert words == Words(("One.", "Two."), label_name="label")
    assert use(path, True, 0, [], None, "first", 2000, 7)[-2] == "One.\nTwo.\nThree.\nFour."
    drawn = [use(path, True, 0, [], -1, "random", 2, seed) for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1] and len({texts for *_, texts, _ in drawn}) > 1
    assert "2 of 4 texts were taken: drawn at random, seed 1." in drawn[0][-1]


def test_an_error_leaves_every_field_as_it_is(tmp_path: Path) -> None:
    path = str(written(tmp_path, "a.csv", f"instruction,text\nTask:,One.\n{'x' * 2001},Two.\n"))
    for chosen, column, words in (
        (None, 0, ""),
        ("gone.csv", 0, ""),
        (path, 1, "a column of their own"),
        (path, 5, "a column of their own"),
        (path, 0, "line 3"),  # no instructions in it
    ):
        *fields, note = use(chosen, True, 1, [], column, "first", 10, None)
        assert fields == [None] * 3 and words in note and 'role="alert"' in note


INSTRUCTED = "instruction,text,topic\nTopic:,One.,x\nMood:,One.,x\n,Two.,y\nTopic:,,\n"


def test_a_column_of_instructions_fills_their_list_and_each_text_is_taken_once(tmp_path: Path) -> None:
    path = str(written(tmp_path, "a.csv", INSTRUCTED))
    note, _, _, text, label, instruction, *_ = show(path)
    assert (text["value"], label["value"], instruction["value"]) == (1, [2], 0)
    assert "3 different instructions, which replace the list above. Each text appears under every one" in note
    _, instructions, texts, message = use(path, True, 1, [2, 0], 0, "first", 10, None)
    assert instructions == ("Topic:", "Mood:", "")
    assert texts == "One.\tx\nTwo.\ty"
    assert "repeat a text and its labels: 1." in message and "1 row without a text: left out (line 5)" in message
    assert describe(path, True, 1, 0) == note and "instruction" not in describe(path, True, 1, -1)
    table = read(tmp_path, "b.csv", "instruction,text\n" + "".join(f"Task {i}:,Text {i}.\n" for i in range(11)))
    kept, about = instructions_of(table, 0, 1)
    assert kept == tuple(f"Task {i}:" for i in range(MAX_INSTRUCTIONS))
    assert f"has 11 different instructions; the first {MAX_INSTRUCTIONS} replace" in about


def test_a_sample_is_drawn_from_all_rows_of_a_file_with_more_than_the_page_takes(tmp_path: Path) -> None:
    path = str(written(tmp_path, "a.txt", "".join(f"Text {i}.\n" for i in range(MAX_TEXTS + 5_000))))
    note, *_, limit, _, _ = show(path, False)
    assert f"takes {MAX_TEXTS} of them: choose which below" in note and limit == MAX_TEXTS
    *_, texts, message = use(path, False, 0, [], -1, "random", MAX_TEXTS, 3)
    taken = texts.split("\n")
    assert len(set(taken)) == MAX_TEXTS and int(taken[-1][5:-1]) > MAX_TEXTS
    assert f"{MAX_TEXTS} of {MAX_TEXTS + 5_000} texts were taken: drawn at random, seed 3." in message


def test_what_is_too_long_or_has_too_many_fields_is_cut_or_left_out_by_choice(tmp_path: Path) -> None:
    path = str(written(tmp_path, "a.csv", f"text,label\nShort.,a\n{'x' * 100_000},b\nFine.,a\n"))
    *_, too_long, _ = show(path)
    assert too_long["visible"] and str(MAX_CHARACTERS) in too_long["label"]
    cut, left = (use(path, True, 0, [1], -1, "first", 10, None, choice) for choice in ("cut", "leave out"))
    assert parse_texts(cut[-2])[0] == ("Short.", "x" * MAX_CHARACTERS, "Fine.") and "cut there (line 3)" in cut[-1]
    assert parse_texts(left[-2])[0] == ("Short.", "Fine.") and "left out (line 3)" in left[-1]
    path = str(written(tmp_path, "b.csv", "text,label\nOne.,x\nTwo, three.,y\nFour.,z\n"))
    note, *_, cut_rows = show(path)
    assert cut_rows["visible"] and "left out (line 3)" in note
    assert use(path, True, 0, [1], -1, "first", 10, None)[-2] == "One.\tx\nFour.\tz"
    assert use(path, True, 0, [1], -1, "first", 10, None, "cut", True)[-2] == "One.\tx\nTwo\tthree.\nFour.\tz"
