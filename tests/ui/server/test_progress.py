"""A line of progress says how far a request is, and with how many others it shares the model."""

import re

from instructor_core.cache import Progress
from instructor_core.ui.server.progress import rate_line


def test_others_are_mentioned_where_there_are_any() -> None:
    for n_others, ending in ((0, "s left"), (1, "shared with 1 other request"), (4, "shared with 4 other requests")):
        words = rate_line()(Progress(8, 48, 40, n_others))
        assert re.fullmatch(r"8 of 48 pairs · \d+ per s · \d+ s left( · .*)?", words)
        assert words.endswith(ending)
