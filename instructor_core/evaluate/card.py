"""Puts figures into a Markdown file, between two marker comments, so that a command can renew them."""

from __future__ import annotations

from pathlib import Path

from instructor_core.errors import UserError

START = "<!-- evaluation:start -->"
END = "<!-- evaluation:end -->"


def write_card(path: Path, table: str) -> bool:
    """Replace what stands between the markers of a file; return whether the file changed.

    Raises:
        UserError: if the file cannot be read, or does not hold each marker once, in order.
    """
    try:
        before = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({type(error).__name__}). Check the path.") from error
    start, end = before.find(START), before.find(END)
    if before.count(START) != 1 or before.count(END) != 1 or end < start:
        raise UserError(
            f"{path.name} needs one line {START} and, below it, one line {END}: got {before.count(START)} and "
            f"{before.count(END)}. Put them around the part to be replaced."
        )
    after = f"{before[: start + len(START)]}\n\n{table.strip()}\n\n{before[end:]}"
    if after != before:
        path.write_text(after, encoding="utf-8")
    return after != before
