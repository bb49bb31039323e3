"""Whether the first row of a table names its columns, and what stands above it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from instructor_core.table.cells import is_blank

TEXT_NAMES = (
    *("text", "texts", "sentence", "sentences", "content", "review", "reviews", "document", "query", "question"),
    *("utterance", "message", "comment", "tweet", "body", "abstract", "title", "description", "passage", "feedback"),
)
LABEL_NAMES = (
    *("label", "labels", "class", "category", "topic", "sentiment", "intent", "target", "tag", "group", "type"),
)
INSTRUCTION_NAMES = ("instruction", "instructions")
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?%?", re.ASCII)
_SHORT = 60  # characters of a name


def words_of(name: str) -> list[str]:
    """Return the words of the name of a column: ``reviewText`` and ``review_text`` are review, text."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())


def looks_like_header(first: tuple[str, ...], body: Sequence[tuple[str, ...]]) -> bool:
    """Return whether the first row names the columns.

    It does if one cell is a usual name of a column. It also does if its cells differ, are no numbers and are not found
    below, and either a column below holds numbers alone, or labels of which the first row has none, or the longest
    cells below are much longer.
    """
    cells = [cell.strip() for cell in first]
    usual = {*TEXT_NAMES, *LABEL_NAMES, *INSTRUCTION_NAMES}
    if any(cell.casefold() in usual for cell in cells):
        return True
    named = [cell for cell in cells if not is_blank(cell)]
    if not body or not named or len(set(named)) < len(named) or any(NUMBER.fullmatch(cell) for cell in named):
        return False
    below = [[row[at].strip() for row in body if at < len(row) and not is_blank(row[at])] for at in range(len(cells))]
    if any(cell in values for cell, values in zip(cells, below, strict=True) if cell):
        return False
    pairs = [(cell, values) for cell, values in zip(cells, below, strict=True) if cell and values]
    if any(all(NUMBER.fullmatch(value) for value in values) for _, values in pairs):
        return True
    if any(_are_labels(values) and max(map(len, values)) <= 40 for _, values in pairs) and len(cells) > 1:
        return True
    short = all(len(cell) <= _SHORT and len(cell.split()) <= 4 for cell in named)
    longest = max((sum(map(len, values)) / len(values) for _, values in pairs), default=0)
    return short and longest > 3 * max(map(len, named)) and len(cells) > 1


def _are_labels(values: list[str]) -> bool:
    counts = Counter(values)
    return len(values) >= 8 and len(counts) <= len(values) / 3 and min(counts.values()) >= 2


def is_about_the_table(rows: Sequence[Sequence[str]], width: int) -> int:
    """Return how many of the first rows are titles and remarks above a table of `width` columns.

    They have fewer fields than the table, or one that is filled where the row after them has all.
    """
    n_above = 0
    for at, row in enumerate(rows[:-1]):
        filled = sum(not is_blank(cell) for cell in row)
        following = rows[at + 1]
        if len(row) == width - 1 == filled and width > 2 and len(following) == width:
            body = [tuple(other) for other in rows[at + 2 :]]
            if not looks_like_header(tuple(following), body):
                break  # a header whose first column has no name
        if width > 1 and (len(row) < width or (width > 2 and filled == 1 and len(row) == width)):
            n_above = at + 1
            continue
        break
    # Padded titles count only above a row that is full: else they are rows with little in them.
    if n_above and n_above < len(rows):
        head = rows[n_above]
        if len(head) < width or (width > 2 and sum(not is_blank(cell) for cell in head) < max(2, width - 1)):
            return 0
    return n_above
