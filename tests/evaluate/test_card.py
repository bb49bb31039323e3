"""The table in a Markdown file is renewed between its markers, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from instructor_core.errors import UserError
from instructor_core.evaluate.card import END, START, write_card

CARD = f"# Title\n\nBefore.\n\n{START}\nold\n{END}\n\nAfter.\n"


def test_only_the_part_between_the_markers_is_replaced(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(CARD, encoding="utf-8")
    assert write_card(card, "| new |\n\n") is True
    assert card.read_text(encoding="utf-8") == f"# Title\n\nBefore.\n\n{START}\n\n| new |\n\n{END}\n\nAfter.\n"


def test_writing_the_same_table_twice_changes_nothing(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(CARD, encoding="utf-8")
    write_card(card, "| new |")
    once = card.read_text(encoding="utf-8")
    assert write_card(card, "| new |\n") is False
    assert card.read_text(encoding="utf-8") == once


@pytest.mark.parametrize(
    "content", ["no markers", f"{START}\n", f"{END}\n{START}\n", f"{START}\n{END}\n{START}\n{END}\n"]
)
def test_a_file_without_one_pair_of_markers_is_left_alone(tmp_path: Path, content: str) -> None:
    card = tmp_path / "README.md"
    card.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"README\.md needs one line"):
        write_card(card, "| new |")
    assert card.read_text(encoding="utf-8") == content


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        write_card(tmp_path / "absent.md", "x")
