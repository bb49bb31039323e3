"""Loaded checkpoints, shared by all visitors: loaded when first asked for, at most a few at a time."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.cache import CachedEncoder
from instructor_core.checkpoints import Checkpoint
from instructor_core.errors import UserError
from instructor_core.ui.inputs import Inputs

logger = logging.getLogger(__name__)

MAX_LOADED = 2
POLL_S = 0.25


@dataclass
class Runtime:
    """The checkpoints a page may use and the encoders made from them.

    Attributes:
        checkpoints: What the menu offers; the first is the default. Nothing else can be loaded from the web.
        device: Device for new encoders; None lets the encoder choose.
        dtype: "float32" or "bfloat16".
    """

    checkpoints: Sequence[Checkpoint]
    device: str | None = None
    dtype: str = "float32"
    _encoders: OrderedDict[str, CachedEncoder] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def checkpoint(self, checkpoint_id: str) -> Checkpoint:
        """Return the registry entry of a checkpoint.

        Raises:
            UserError: If the registry has no such checkpoint.
        """
        for checkpoint in self.checkpoints:
            if checkpoint.id == checkpoint_id:
                return checkpoint
        known = ", ".join(checkpoint.id for checkpoint in self.checkpoints)
        raise UserError(f"There is no checkpoint {checkpoint_id!r}. Choose one of: {known}.")

    def encoder(self, checkpoint_id: str) -> CachedEncoder:
        """Return the encoder of a checkpoint, loading it first if need be.

        Raises:
            UserError: If the registry has no such checkpoint.
            EncoderError: If it cannot be found, downloaded or loaded.
        """
        from instructor_core.encoder import InstructorModel

        checkpoint = self.checkpoint(checkpoint_id)
        with self._lock:
            if checkpoint_id not in self._encoders:
                model = InstructorModel(
                    checkpoint.source, device=self.device, dtype=self.dtype, revision=checkpoint.revision
                )
                self._encoders[checkpoint_id] = CachedEncoder(model)
                while len(self._encoders) > MAX_LOADED:
                    self._encoders.popitem(last=False)
            self._encoders.move_to_end(checkpoint_id)
            return self._encoders[checkpoint_id]

    def is_loaded(self, checkpoint_id: str) -> bool:
        """Return whether the checkpoint is in memory."""
        return checkpoint_id in self._encoders

    def load_steps(self, checkpoint_id: str) -> Generator[str, None, CachedEncoder]:
        """Load a checkpoint, yielding a line of progress while it is downloaded; returns the encoder.

        Raises:
            UserError: If the registry has no such checkpoint.
            EncoderError: If it cannot be found, downloaded or loaded.
        """
        from instructor_core.encoder import find_checkpoint

        checkpoint = self.checkpoint(checkpoint_id)
        if not self.is_loaded(checkpoint_id):
            yield f"loading {checkpoint.id}"
            download = _Download()
            worker = Thread(
                target=download.run,
                args=(lambda bar: find_checkpoint(checkpoint.source, revision=checkpoint.revision, tqdm_class=bar),),
                daemon=True,
            )
            worker.start()
            while worker.is_alive():
                worker.join(POLL_S)
                if download.n_bytes:
                    yield f"downloading {checkpoint.id}: {download.n_bytes / 1e6:.0f} of {checkpoint.download_mb} MB"
            if download.error is not None:
                raise download.error
        return self.encoder(checkpoint_id)

    def grid(self, inputs: Inputs) -> EmbeddingGrid:
        """Return the embeddings of a request, from the cache where they are there."""
        return grid_of(inputs, self.encoder(inputs.checkpoint_id).encode(inputs.pairs))


def grid_of(inputs: Inputs, vectors: np.ndarray[Any, np.dtype[np.float32]]) -> EmbeddingGrid:
    """Return ``(K * N, D)`` vectors of ``inputs.pairs`` as a grid."""
    shape = (len(inputs.instructions), len(inputs.texts), vectors.shape[1])
    return EmbeddingGrid(inputs.instructions, inputs.texts, inputs.labels, vectors.reshape(shape))


class _Download:
    """Runs a download in a thread and counts its bytes through progress bars that draw nothing."""

    def __init__(self) -> None:
        self.n_bytes = 0  # of the bar that is furthest: the hub client counts the same bytes in several
        self.error: Exception | None = None

    def run(self, download: Callable[[type[tqdm[Any]]], object]) -> None:
        counter = self

        class Bar(tqdm):  # type: ignore[misc]  # tqdm ships no types
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                self._counts_bytes = kwargs.get("unit") == "B"
                self._bytes = 0
                super().__init__(*args, **kwargs | {"disable": True})

            def update(self, n: float | None = 1) -> None:
                if self._counts_bytes:
                    self._bytes += int(n or 0)
                    counter.n_bytes = max(counter.n_bytes, self._bytes)

        try:
            download(Bar)
        except Exception as error:  # handed to the thread that waits, which raises it
            self.error = error


def warm_up() -> None:
    """Compile UMAP's kernels in a background thread, so that the first map does not wait for it."""

    def compile_kernels() -> None:
        from instructor_core.analysis.projection import warm_up as warm_up_projection

        warm_up_projection()
        logger.info("UMAP is ready")

    Thread(target=compile_kernels, name="umap-warm-up", daemon=True).start()
