"""Strings from outside (files, links, other programs), made fit to be tokenized, listed and stored."""

from __future__ import annotations

import re

# Everything at which `str.splitlines` ends a line, and the tab, which parts a text from its label.
_BREAKS = re.compile("[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


def well_formed(text: str) -> str:
    r"""Return `text` with each lone surrogate and each NUL replaced by U+FFFD; UTF-8 cannot hold the former.

    >>> well_formed("caf\ud800e") == "caf\ufffde"
    True
    """
    if text.isascii() and "\0" not in text:
        return text
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return paired.replace("\0", "\ufffd")


def one_line(text: str) -> str:
    r"""Return `text` well formed, on one line, without tabs and without outer spaces.

    >>> one_line(" two\r\nlines\t")
    'two lines'
    """
    return _BREAKS.sub(" ", well_formed(text)).strip()
