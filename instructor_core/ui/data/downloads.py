"""Files for visitors: where one is written, and the script that fetches it as soon as the page has its address."""

from __future__ import annotations

import secrets
from pathlib import Path

# Given the value of a component for files, the browser saves the file.
SAVE_FILE = """(file) => {
  if (file) Object.assign(document.createElement("a"), { href: file.url, download: file.orig_name }).click();
}"""


def size_of(n_bytes: int) -> str:
    """Return a size in kB or MB.

    >>> size_of(1_234), size_of(5_678_901)
    ('1 kB', '5.7 MB')
    """
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{max(1, round(n_bytes / 1000))} kB"


def new_path(folder: Path, name: str) -> Path:
    """Return a path below a folder, such as the temporary one of Gradio, in a new folder whose name nobody guesses."""
    path = folder / secrets.token_hex(16) / name
    path.parent.mkdir(parents=True)
    return path
