"""Help for every control and figure: one or two sentences each, as data, put at its place by `assets/help.js`."""

from __future__ import annotations

import json

from instructor_core.figures.panels import inert_json
from instructor_core.ui.components import ASSETS

PAGE = "page"  # controls outside the tabs


def help_words() -> dict[str, dict[str, str]]:
    """Return the words by tab (`PAGE` outside of them), then by label, `## heading` or `#id` of a figure."""
    words: dict[str, dict[str, str]] = json.loads((ASSETS / "help.json").read_text(encoding="utf-8"))
    return words


def help_head() -> str:
    """Return the script that puts the words at their places, for the head of the page."""
    script = (ASSETS / "help.js").read_text(encoding="utf-8")
    return f"<script>window.InstructorHelpWords = {inert_json(help_words())};</script>\n<script>{script}</script>"
