"""What a cell is: a string as written, well formed; blank ones are missing. And what is told about a file."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

_INK = re.compile(
    "[^\\s\x00-\x1f\x7f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff]"
)
_ESCAPED = re.compile("[\udc80-\udcff]")  # a byte that is not of the encoding, as `surrogateescape` keeps it
_N_NAMED = 5  # rows that a sentence names


def is_blank(text: str | None) -> bool:
    """Return whether a text has nothing to see: None, white space, or marks without width only."""
    return text is None or _INK.search(text) is None


def well_formed(text: str) -> str:
    """Return `text` with each lone surrogate, which UTF-8 cannot hold, and each NUL replaced by U+FFFD."""
    if text.isascii() and "\0" not in text:
        return text
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return paired.replace("\0", "\ufffd")


def cell_of(value: Any) -> str:
    """Return a value of JSON or Parquet as it is written there; "" for null and NaN."""
    if isinstance(value, str):
        return well_formed(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return well_formed(value.decode("utf-8", "replace"))
    try:
        return well_formed(json.dumps(value, ensure_ascii=False, default=str))
    except (RecursionError, ValueError):
        return "(nested too deeply)"


def column_names(names: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Return names on one line, none empty and none twice: ``label``, ``label (2)``; ``column 3`` for an empty one."""
    out: dict[str, None] = {}
    for number, raw in enumerate(names, start=1):
        base = " ".join(well_formed(raw).split()) if not is_blank(raw) else f"column {number}"
        name, copy = base, 2
        while name in out:
            name, copy = f"{base} ({copy})", copy + 1
        out[name] = None
    return tuple(out)


@dataclass
class Notes:
    """What was guessed, replaced or left out while a file was read: how often, and the first places.

    `unit` is what a place counts (line, item or row), `about` has sentences about the file as a whole, `found` maps
    (noun phrase, what was done) to number and places.
    """

    unit: str = "line"
    about: list[str] = field(default_factory=list)
    found: dict[tuple[str, str], tuple[int, list[int]]] = field(default_factory=dict)

    def count(self, what: str, done: str, place: int, n: int = 1) -> None:
        """Count one more of something at a place."""
        number, places = self.found.setdefault((what, done), (0, []))
        if len(places) < _N_NAMED and place not in places:
            places.append(place)
        self.found[what, done] = (number + n, places)

    def sentences(self) -> tuple[str, ...]:
        """Return all there is to say, in full sentences."""
        said = list(dict.fromkeys(self.about))
        for (what, done), (number, places) in self.found.items():
            noun, verb = what, "was"
            if number > 1:
                noun = what.replace("row ", "rows ", 1).replace("byte ", "bytes ", 1)
                noun, verb = noun.replace(" that has ", " that have ").replace(" that is ", " that are "), "were"
            where = f"{self.unit}{'s' * (len(places) > 1)} {', '.join(map(str, places))}"
            said.append(
                f"{number} {noun} {verb} {done} ({where}{', ...' if number > len(places) >= _N_NAMED else ''})."
            )
        return tuple(said)


def mend(text: str, place: int, notes: Notes) -> str:
    """Return a cell or line with bytes that are not of the encoding replaced by U+FFFD, and counted."""
    n = len(_ESCAPED.findall(text))
    if n:
        notes.count("byte that is not UTF-8", "replaced by \ufffd", place, n)
    return well_formed(text)
