"""Test: which instruction is good for labelled texts or for a search, and what instructions do to the texts."""

TAB = "lab"
