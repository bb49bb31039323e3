"""Where the browser tests find a Chromium. As a script: prints its path, exits with 1 if there is none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def starts(executable: str) -> bool:
    """True if the file is a browser that runs here.

    A missing system library shows up already with `--version`, and so does Ubuntu's `chromium-browser`,
    which only says that one should install a snap.
    """
    try:
        done = subprocess.run([executable, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def find_chromium() -> str | None:
    """Path of a Chromium that starts: $CHROMIUM if set (and no other), the system's, Playwright's own."""
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        found = shutil.which(chosen)
        return found if found and starts(found) else None
    for name in NAMES:
        found = shutil.which(name)
        if found and starts(found):
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() and starts(own) else None


if __name__ == "__main__":
    path = find_chromium()
    if path is None:
        sys.exit(1)
    print(path)
