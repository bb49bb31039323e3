"""Strings from outside (files, links, other programs), made fit to be tokenized, listed and stored."""

from __future__ import annotations

import re

# Everything at which `str.splitlines` ends a line, and the tab, which parts a text from its label.
_BREAKS = re.compile("[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


def well_formed(text: str) -> str:
    r"""Return `text` with each lone surrogate, as the encoder does, and each NUL replaced by U+FFFD.

    >>> well_formed("caf\ud800e") == "caf\ufffde"
    True
    """
    if not text.isascii():
        from instructor_core.encoder import well_formed as encodable  # brings PyTorch: not before it is needed

        text = encodable(text)
    return text.replace("\0", "\ufffd")


def one_line(text: str) -> str:
    r"""Return `text` well formed, on one line, without tabs and without outer spaces.

    >>> one_line(" two\r\nlines\t")
    'two lines'
    """
    return _BREAKS.sub(" ", well_formed(text)).strip()
