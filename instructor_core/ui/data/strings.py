"""Strings from outside (files, links, other programs), made fit to be tokenized, listed and stored."""

from __future__ import annotations

import re

from instructor_core.table.cells import well_formed

# Everything at which `str.splitlines` ends a line, and the tab, which parts a text from its label.
_BREAKS = re.compile("[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


def one_line(text: str) -> str:
    r"""Return `text` well formed, on one line, without tabs and without outer spaces.

    >>> one_line(" two\r\nlines\t")
    'two lines'
    """
    return _BREAKS.sub(" ", well_formed(text)).strip()


__all__ = ["one_line", "well_formed"]
