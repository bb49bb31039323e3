"""The checkpoints that the app knows: one bundled, three on the Hugging Face Hub, each pinned to a revision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint by name.

    Attributes:
        id: Short name, used in the menu, in links and as cache key.
        source: What ``InstructorModel`` takes: a bundled name, a hub name or a folder.
        revision: Commit of the hub repository; None for folders.
        n_parameters: Number of weights; 0 if not known.
        download_mb: Megabytes to download the first time; 0 if it is on disk already.
    """

    id: str
    source: str
    revision: str | None = None
    n_parameters: int = 0
    download_mb: int = 0

    @property
    def label(self) -> str:
        """Name with the size that a visitor should know before choosing it."""
        if self.download_mb == 0:
            return f"{self.id} (on this machine)"
        size = f"{self.download_mb / 1000:.1f} GB" if self.download_mb >= 1000 else f"{self.download_mb} MB"
        return f"{self.id} (download {size})"


BUNDLED = "instructor-mini"

# Sizes and revisions as the MTEB registry of models states them for the three published checkpoints.
CHECKPOINTS = (
    Checkpoint(BUNDLED, BUNDLED, None, 8_000_000, 0),
    Checkpoint(
        "instructor-base", "hkunlp/instructor-base", "0b2f22542d2bd6d60dbff22d22f12c15e6562736", 110_000_000, 440
    ),
    Checkpoint(
        "instructor-large", "hkunlp/instructor-large", "54e5ffb8d484de506e59443b07dc819fb15c7233", 335_000_000, 1340
    ),
    Checkpoint(
        "instructor-xl", "hkunlp/instructor-xl", "ce48b213095e647a6c3536364b9fa00daf57f436", 1_300_000_000, 4970
    ),
)


def local_checkpoint(path: str | Path) -> Checkpoint:
    """Return a registry entry for a folder given on the command line; its name is the folder's."""
    folder = Path(path).expanduser().resolve()
    return Checkpoint(folder.name, str(folder))
