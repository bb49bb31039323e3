"""The way of a checkpoint to this machine: a download that visitors share, which says how far it is."""

from __future__ import annotations

import errno
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

from tqdm.auto import tqdm

from instructor_core.errors import UserError
from instructor_core.hub import Checkpoint
from instructor_core.ui.feedback import incident

logger = logging.getLogger(__name__)

POLL_S = 0.25
STALLED_S = 20.0  # without a new byte: the visitor is told
GIVEN_UP_S = 120.0  # without a new byte: the visitor gets an error
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Download(Thread):
    """A download that counts its bytes through progress bars which draw nothing."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(name=f"download-{checkpoint.id}", daemon=True)
        self.checkpoint = checkpoint
        self.n_bytes = 0  # of the bar that is furthest: the hub client counts the same bytes in several
        self.error: Exception | None = None
        self._heard_at = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since the last byte."""
        return time.monotonic() - self._heard_at

    def lines(self) -> Iterator[str]:
        """Wait for the end, yielding how far it is; a UserError if it fails. Closing this leaves it to itself."""
        while self.is_alive():
            self.join(POLL_S)
            if self.n_bytes or self.idle_s > STALLED_S:
                yield self.line()
            if self.idle_s > GIVEN_UP_S:
                raise UserError(
                    f"The Hugging Face Hub has sent nothing of {self.checkpoint.id} for {GIVEN_UP_S:.0f} s. "
                    "Use another checkpoint for now and choose it again later; what has arrived is kept."
                )
        if self.error is not None:
            logger.warning("checkpoint %s: %s", self.checkpoint.id, self.error)
            raise UserError(without_paths(str(self.error), self.checkpoint)) from None

    def line(self) -> str:
        """How far it is, for the status line."""
        words = f"downloading {self.checkpoint.id}: {self.n_bytes / 1e6:.0f} of {self.checkpoint.download_mb} MB"
        return f"{words}; nothing new for {self.idle_s:.0f} s" if self.idle_s > STALLED_S else words

    def run(self) -> None:
        """Find the checkpoint on this disk, or download it."""
        from instructor_core.encoder import EncoderError, find_checkpoint

        counter = self

        class Bar(tqdm):  # type: ignore[misc]  # tqdm ships no types
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                self._counts_bytes = kwargs.get("unit") == "B"
                self._bytes = 0
                super().__init__(*args, **kwargs | {"disable": True})

            def update(self, n: float | None = 1) -> None:
                if self._counts_bytes:
                    self._bytes += int(n or 0)
                    counter.count(self._bytes)

        try:
            find_checkpoint(self.checkpoint.source, revision=self.checkpoint.revision, tqdm_class=Bar)
        except EncoderError as error:
            self.error = _no_room(error, self.checkpoint) or error
        except Exception as error:  # a thread of its own: nobody else would hear of it
            number = incident(error)
            self.error = UserError(
                f"{self.checkpoint.id} could not be downloaded (incident {number}). Try again later."
            )

    def count(self, n_bytes: int) -> None:
        """Note how many bytes have arrived."""
        if n_bytes > self.n_bytes:
            self.n_bytes, self._heard_at = n_bytes, time.monotonic()


def _no_room(error: Exception, checkpoint: Checkpoint) -> UserError | None:
    """What to say if an error goes back to a full disk; None if it does not."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in NO_ROOM:
            return UserError(
                f"{checkpoint.id} could not be downloaded: the disk of the server has no room for its "
                f"{checkpoint.download_mb} MB. Use another checkpoint, or free some space there and choose it again."
            )
        cause = cause.__cause__ or cause.__context__
    return None


def without_paths(message: str, checkpoint: Checkpoint) -> str:
    """Return the message with the last part of every path alone: where files lie is nobody's business on the web."""
    from huggingface_hub.constants import HF_HUB_CACHE

    # Known places first: their names may have spaces, where the pattern ends.
    folder = Path(checkpoint.source).expanduser()
    if folder.is_absolute():
        message = message.replace(str(folder), checkpoint.id)
    message = message.replace(str(HF_HUB_CACHE), "")
    return re.sub(r"(?<![\w/.:])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\'\":;,]+[/\\])*([^\s/\\'\":;,]+)", r"\1", message)
