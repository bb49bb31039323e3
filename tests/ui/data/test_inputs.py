"""What is typed or pasted becomes texts, labels and instructions, and comes back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_core.errors import UserError
from instructor_core.table import is_blank
from instructor_core.ui.data.inputs import (
    MAX_ALL_CHARACTERS,
    MAX_CHARACTERS,
    MAX_INSTRUCTIONS,
    MAX_TEXTS,
    Inputs,
    format_texts,
    join_ready,
    parse_inputs,
    parse_texts,
    well_formed,
)

LINE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30).map(str.strip)
TEXT = LINE.filter(lambda text: not is_blank(text) and " | " not in f" {text} ")


@st.composite
def requests(draw: st.DrawFn) -> Inputs:
    """Texts with up to three columns of labels, none of them empty throughout."""
    texts = draw(st.lists(TEXT, min_size=1, max_size=12))
    column = st.lists(st.one_of(st.just(""), TEXT), min_size=len(texts), max_size=len(texts)).map(tuple)
    columns = draw(st.lists(column.filter(any), max_size=3))
    return Inputs("mini", ("",), tuple(texts), columns[0] if columns else None, tuple(columns[1:]))


@given(requests())
def test_texts_and_labels_survive_being_written_into_the_field_and_read_again(inputs: Inputs):
    assert parse_inputs("mini", [""], format_texts(inputs)) == inputs


@given(st.text())
def test_no_input_breaks_the_parser(typed: str):
    try:
        texts, columns = parse_texts(typed)
    except UserError as error:
        assert str(error)
        return
    assert all(text == text.strip() != "" for text in texts)
    assert all(len(column) == len(texts) and any(column) for column in columns)


@pytest.mark.parametrize(
    ("typed", "texts", "columns"),
    [
        ("one\tA\ntwo | B", ("one", "two"), (("A", "B"),)),
        ("a|b\nc||d", ("a|b", "c||d"), ()),
        ("p(x | y) is small\tmaths", ("p(x | y) is small",), (("maths",),)),  # a tab wins over a bar
        ("one\tA\tx\ntwo\tB", ("one", "two"), (("A", "B"), ("x", ""))),
        ("one\ntwo\tB", ("one", "two"), (("", "B"),)),
        ("\n  one  \n\n \t \n one\r\ntwo\rthree", ("one", "one", "two", "three"), ()),
    ],
)
def test_a_line_is_a_text_and_its_labels_after_a_tab_or_a_bar_between_spaces(
    typed: str, texts: tuple[str, ...], columns: tuple[tuple[str, ...], ...]
):
    assert parse_texts(typed) == (texts, columns)


def test_a_line_without_a_text_is_refused_and_so_is_one_more_than_allowed_with_both_numbers():
    for typed in ("", " \t \n"):
        with pytest.raises(UserError, match="one text per line"):
            parse_texts(typed)
    with pytest.raises(UserError, match=r'Line 2 has a label and no text: got "lonely"'):
        parse_texts("one\tA\n\tlonely")
    full = [chr(97 + i % 26) * MAX_CHARACTERS for i in range(MAX_ALL_CHARACTERS // MAX_CHARACTERS)]
    for lines, more, words in (
        (list(map(str, range(MAX_TEXTS))), "x", f"{MAX_TEXTS} texts: got {MAX_TEXTS + 1}"),
        (["short"], "x" * (MAX_CHARACTERS + 1), f"{MAX_CHARACTERS} characters: line 2 has {MAX_CHARACTERS + 1}"),
        (full, "x", f"may have {MAX_ALL_CHARACTERS} characters: these have {MAX_ALL_CHARACTERS + 1}"),
    ):
        assert parse_texts("\n".join(lines))[0] == tuple(lines)
        with pytest.raises(UserError, match=words):
            parse_texts("\n".join([*lines, more]))
    for count in (0, MAX_INSTRUCTIONS + 1):
        with pytest.raises(UserError, match=f"1 to {MAX_INSTRUCTIONS} instructions: got {count}"):
            parse_inputs("mini", ["x"] * count, "one")


@given(st.text())
def test_an_instruction_is_empty_or_ends_with_exactly_one_space(typed: str):
    ready = join_ready(typed)
    assert ready == "" or (ready.endswith(" ") and not ready.endswith("  "))
    assert ready.split() == well_formed(typed).split()
    assert join_ready(ready) == ready


def test_pairs_go_instruction_by_instruction():
    inputs = parse_inputs("mini", ["  Represent\nthe text:", ""], "one\ntwo")
    assert inputs.instructions == ("Represent the text: ", "")
    assert inputs.pairs == [
        ("Represent the text: ", "one"),
        ("Represent the text: ", "two"),
        ("", "one"),
        ("", "two"),
    ]
