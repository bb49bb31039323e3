"""Where the lists are that come with the project."""

from __future__ import annotations

from pathlib import Path


def bundled(name: str) -> Path:
    """Return the path of a bundled file: inside the package when it was installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "assets" / name
    return inside if inside.is_file() else package.parent / "assets" / name
