"""Files for visitors: where one is written, and the script that fetches it as soon as the page has its address."""

from __future__ import annotations

import secrets
from pathlib import Path


def new_path(folder: Path, name: str) -> Path:
    """Return a path below a folder, such as the temporary one of Gradio, in a new folder whose name nobody guesses."""
    path = folder / secrets.token_hex(16) / name
    path.parent.mkdir(parents=True)
    return path


def fetch_script(elem_id: str) -> str:
    """Return the script that clicks a hidden download button once it holds a file."""
    return (
        f'(file) => {{ if (file) setTimeout(() => document.querySelector("#{elem_id}, #{elem_id} button, '
        f'#{elem_id} a")?.click(), 150); }}'
    )
