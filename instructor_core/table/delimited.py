"""Lines to rows: delimiter found, quoted cells joined over line ends, a lone quotation mark harms only its cell.

`csv` reads on from a lone quotation mark to the next one, however many rows lie between, or refuses the file; so the
records are parted here, by the rules of RFC 4180 where a cell follows them.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

Quoting = Literal["doubled", "backslash", "none"]

ONE_COLUMN = "\ud800"  # stands for "no delimiter": no text that was decoded contains it
DELIMITERS = (",", "\t", ";", "|")
N_SAMPLED = 400  # records from which a dialect is told
_MAX_QUOTED = 8_000_000  # characters of a cell that goes over line ends


@dataclass(frozen=True)
class Dialect:
    """How a file parts its cells; `width` is the usual number of fields, 0 for unknown."""

    delimiter: str
    quoting: Quoting = "doubled"
    width: int = 0


class DelimitedRows:
    """Rows of lines with their ends, blank ones passed over, from number `first`: iterate for (line, cells)."""

    def __init__(self, lines: Iterable[str], dialect: Dialect, first: int = 1) -> None:
        self._lines = iter(lines)
        self._ahead: deque[str] = deque()  # read in search of the end of a cell, and given back
        self._dialect = dialect
        self._number = first - 1
        self.n_lone_quotes = 0
        mark, delimiter = re.escape('"'), re.escape(dialect.delimiter)
        inner = r'(?:[^"\\]|\\.|"")*' if dialect.quoting == "backslash" else r'[^"]*(?:""[^"]*)*'
        end = rf"[ \t]*(?={delimiter}|\Z)" if dialect.delimiter != "\t" else rf" *(?={delimiter}|\Z)"
        self._opening = re.compile(rf" *{mark}")
        self._quoted = re.compile(rf" *{mark}({inner}){mark}{end}", re.DOTALL)
        # A delimiter within a sentence is followed by a space, one between cells hardly ever.
        self._structural = re.compile(rf"{delimiter}(?! )")
        self._same_line = re.compile(rf" *{mark}((?:(?!{delimiter}(?! )).)*?){mark}{end}", re.DOTALL)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        while (line := self._next()) is not None:
            place = self._number
            bare = line.rstrip("\r\n")
            if not bare.strip(" \ufeff"):
                continue
            if '"' not in bare or self._dialect.quoting == "none":
                yield place, bare.split(self._dialect.delimiter)
                continue
            cells = self._cells(line)
            if len(cells) < self._dialect.width and self._number == place:
                plain = bare.split(self._dialect.delimiter)
                if len(plain) == self._dialect.width:  # two lone marks joined cells that are whole without them
                    cells = plain
                    self.n_lone_quotes += 1
            yield place, cells

    def _next(self) -> str | None:
        line = self._ahead.popleft() if self._ahead else next(self._lines, None)
        self._number += line is not None
        return line

    def _cells(self, line: str) -> list[str]:
        """Cells of the record that begins with this line; takes more lines if a quoted cell goes over their ends."""
        cells: list[str] = []
        text, at = line.rstrip("\r\n"), 0
        while True:
            if self._opening.match(text, at):
                match = self._quoted.match(text, at)
                if match is None and (longer := self._extend(line, at)) is not None:
                    line, text = longer, longer.rstrip("\r\n")
                    match = self._quoted.match(text, at)
                if match is None and (match := self._same_line.match(text, at)) is None:
                    self.n_lone_quotes += 1
            else:
                match = None
            if match is not None:
                cells.append(self._unquote(match[1]))
                at = match.end()
            else:
                stop = text.find(self._dialect.delimiter, at)
                stop = len(text) if stop < 0 else stop
                cells.append(text[at:stop])
                at = stop
            if at >= len(text):
                return cells
            at += len(self._dialect.delimiter)

    def _unquote(self, inner: str) -> str:
        if self._dialect.quoting == "backslash":
            return re.sub(r'\\(["\\])', r"\1", inner).replace('""', '"')
        return inner.replace('""', '"')

    def _extend(self, line: str, at: int) -> str | None:
        """The line with those after it up to the one that ends the cell at `at`; None if that quotation mark is lone.

        A line with an even number of marks neither ends a cell nor leaves one open, so the first with an odd number
        decides: it closes the cell, or the mark that opened it is a character like any other.
        """
        taken: list[str] = []
        size = len(line)
        while size <= _MAX_QUOTED and (following := self._next()) is not None:
            taken.append(following)
            size += len(following)
            marks = re.sub(r"\\.", "", following) if self._dialect.quoting == "backslash" else following
            if marks.count('"') % 2:
                whole = line + "".join(taken)
                match = self._quoted.match(whole.rstrip("\r\n"), at)
                if match is not None and not self._are_rows(line, taken, match.end()):
                    return whole
                break
        self._ahead.extendleft(reversed(taken))
        self._number -= len(taken)
        return None

    def _are_rows(self, line: str, taken: list[str], end: int) -> bool:
        """Whether every line of a would-be cell is a whole row by itself: then its quotation marks are lone ones."""
        width = self._dialect.width
        if width < 2:
            return False
        return all(len(self._structural.findall(each)) == width - 1 for each in (line, *taken))


def find_dialect(lines: list[str], kind: str, delimiter: str | None, quoting: Quoting | None) -> Dialect:
    """Return how the first lines of a file are parted; what was asked for is not guessed.

    The delimiter is the one that parts nearly all records into the same number of fields, at least two.
    """
    quoted = quoting or ("none" if kind == ".txt" else _quoting(lines))
    if delimiter is None and kind == ".txt":
        return _of_plain_text(lines, quoted)
    candidates = (delimiter,) if delimiter else DELIMITERS if kind == ".csv" else ("\t", *DELIMITERS)
    best, found = (False, 0.0, 0), ONE_COLUMN
    for candidate in dict.fromkeys(candidates):
        share, width, titles = _shape(lines, Dialect(candidate, quoted))
        fits = delimiter or share > (0.5 if kind == ".tsv" and candidate == "\t" else 0.8)
        # Commas within the cells of a table that is parted by semicolons are not in its header.
        if width > 1 and fits and (not titles, share, width) > best and not (kind == ".tsv" and found == "\t"):
            best, found = (not titles, share, width), candidate
    if found == ONE_COLUMN and delimiter is None:  # rows of all lengths: a delimiter as between cells, not in sentences
        filled = [line.rstrip("\r\n") for line in lines if line.strip()]
        between = {c: re.compile(rf"{re.escape(c)}(?! )") for c in candidates}
        n_with = {c: sum(bool(mark.search(line)) for line in filled) for c, mark in between.items()}
        first = filled[0] if filled else ""
        usual = max((c for c in candidates if between[c].search(first)), key=lambda c: n_with[c], default="")
        found = usual if usual and n_with[usual] >= 0.5 * len(filled) else ONE_COLUMN
    dialect = Dialect(delimiter or found, quoted)
    return Dialect(dialect.delimiter, quoted, _shape(lines, dialect)[1])


def _of_plain_text(lines: list[str], quoting: Quoting) -> Dialect:
    """A text file is one text per line, unless every line has as many tabs (or bars, or semicolons)."""
    filled = [line.rstrip("\r\n") for line in lines if line.strip()]
    for delimiter in ("\t", "|", ";"):
        counts = {line.count(delimiter) for line in filled}
        if len(counts) == 1 and counts != {0} and (delimiter == "\t" or len(filled) > 1):
            return Dialect(delimiter, quoting, max(counts) + 1)
    return Dialect(ONE_COLUMN, quoting, 1)


def _shape(lines: list[str], dialect: Dialect) -> tuple[float, int, int]:
    """Share of the records that have the commonest number of fields, that number, and how many lines stand above."""
    widths = [len(cells) for _, cells in islice(DelimitedRows(lines, dialect), N_SAMPLED)]
    if not widths:
        return 0.0, 0, 0
    width = max(Counter(widths).items(), key=lambda item: (item[1], item[0]))[0]
    times = widths.count(width)
    titles = widths.index(width) if times > 2 else 0  # lines above the table do not count
    return times / (len(widths) - titles), width, titles


def _quoting(lines: list[str]) -> Quoting:
    """Backslashes escape quotation marks if some stand before one within a cell and no mark is doubled there."""
    text = "".join(lines)
    escaped = len(re.findall(r'[^\s,;|\\]?\\"(?![,;|\t]|\s*$)', text, re.MULTILINE))
    doubled = len(re.findall(r'[^,;|\t\n]""[^,;|\t\n]', text))
    return "backslash" if escaped > doubled else "doubled"
