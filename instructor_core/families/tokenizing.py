"""Strings to tokens: what the tokenizer adds is told from what stands in the string."""

from __future__ import annotations

from typing import Any

from instructor_core.encoder import Segment

Row = tuple[int, str, tuple[int, int]]  # id, piece, characters that it covers


def tokenize(tokenizer: Any, string: str) -> tuple[list[Row], list[Row], list[Row]]:
    """Return the special tokens before a string, its own tokens, and the special ones behind it."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True  # what is typed is plain characters
    found = backend.encode(string)
    n, added = len(found.ids), found.special_tokens_mask
    first = next((i for i in range(n) if not added[i]), n)
    last = next((i + 1 for i in reversed(range(first, n)) if not added[i]), first)
    if first == n:  # nothing but marks: the end mark and what follows it stand behind
        first = last = next((i for i, mark in enumerate(found.ids) if mark == tokenizer.eos_token_id), n)
    entries = list(zip(found.ids, found.tokens, found.offsets, strict=True))
    marks = [(token_id, piece, (-1, -1)) for token_id, piece, _ in entries]
    rows = [(token_id, *_piece(piece, start, end, string)) for token_id, piece, (start, end) in entries[first:last]]
    return marks[:first], rows, marks[last:]


def segment_of(start: int, end: int, boundary: int) -> Segment:
    """Return where a token stands, by its characters; a mark has none."""
    if start < 0:
        return Segment.END
    if start >= boundary:
        return Segment.TEXT
    return Segment.STRADDLING if end > boundary else Segment.INSTRUCTION


def _piece(piece: str, start: int, end: int, string: str) -> tuple[str, tuple[int, int]]:
    """Return a token as people read it, "▁" for the start of a word, and the characters that it covers."""
    characters = string[start:end]
    covered = end - len(characters.lstrip())
    place = (covered if covered < end else start, end)  # of spaces alone the spaces
    if "▁" in piece or not characters:
        return piece, place
    if characters.isspace():
        return characters.replace("\n", "⏎").replace(" ", "▁"), place
    begins = start == 0 or characters[0].isspace() or string[start - 1].isspace()
    return ("▁" if begins else "") + characters.strip(), place
