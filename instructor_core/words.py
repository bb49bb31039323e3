"""Ids of words are looked up once they have been seen, where a tokenizer cuts at spaces before anything else."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

Tokenize = Callable[[Sequence[str]], list[bytes]]  # strings to the bytes of their ids, without </s>

_KNOWN_CHARACTERS = 2_000_000  # of words whose ids are kept; then the memory of words begins anew
# Letters, digits and punctuation of Latin, Greek and Cyrillic, and CJK: no marks that combine with a space.
_PLAIN = re.compile("[\0-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u20a0-\u20bf\u4e00-\u9fff]*").fullmatch
_SPACES = ("", " ", "of the", " Of  the ", "a\tb \n c ,d", "\u00a0 no\u00a0 \u00a8 x\u00b4 ½ ", "e.g. <unk>x_y 1 2")


def by_word(tokenize: Tokenize, tokenizer: Any) -> Tokenize:
    """Return a function that gives the same, word by word; the same function if this tokenizer does not allow it."""
    cut = tokenizer.backend_tokenizer.pre_tokenizer
    if cut is None or [place for _, (place, _) in cut.pre_tokenize_str("of the")][1:] not in ([2], [3]):
        return tokenize  # a piece may hold a space
    if not all(token.special for token in tokenizer.added_tokens_decoder.values()):
        return tokenize  # and so may an added token
    words = [b"".join(tokenize(string.split(" "))) for string in _SPACES]
    return Words(tokenize) if words == tokenize(_SPACES) else tokenize


class Words:
    """Tokenizes words, and remembers their ids."""

    def __init__(self, tokenize: Tokenize) -> None:
        self._tokenize = tokenize
        self._known, self._n_characters = dict[str, bytes](), 0  # words with their ids, and their size

    def __call__(self, strings: Sequence[str]) -> list[bytes]:
        """Return the bytes of the ids of each string."""
        if self._n_characters > _KNOWN_CHARACTERS:
            self._known, self._n_characters = {}, 0
        known, rows, late = self._known, list[bytes](), list[int]()
        for at, string in enumerate(strings):
            try:
                rows.append(b"".join([known[word] for word in _words(string)]))
            except KeyError:
                rows.append(b"")
                late.append(at)
        new = list({word for at in late for word in _words(strings[at])}.difference(known))
        self._n_characters += sum(map(len, new))
        known.update(zip(new, self._tokenize(new), strict=True))
        for at in late:
            rows[at] = b"".join([known[word] for word in _words(strings[at])])
        return rows


def _words(string: str) -> list[str]:
    """Cut a string where that changes no id: no character may join the space before or behind it."""
    return string.split(" ") if string.isascii() or _PLAIN(string) else [string]
