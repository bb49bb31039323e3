"""Embeds parts: one model and one place in the input, for as many parts as there are to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instructor_core.embed.job import Job
from instructor_core.embed.parts import Parts
from instructor_core.embed.source import RowReader
from instructor_core.encoder import InstructorModel


class Worker:
    """Reads, embeds and writes parts of a job.

    Args:
        job: What to do.
        destination: Where the parts belong.
        device: Where to compute; None: a GPU if there is one.

    Raises:
        UserError: If the input cannot be used.
        EncoderError: If the checkpoint cannot be loaded.
    """

    def __init__(self, job: Job, destination: Path, *, device: str | None = None) -> None:
        self.job = job
        self.parts = Parts(destination)
        self.model = InstructorModel(job.checkpoint, device=device, dtype=job.dtype, revision=job.revision)
        self._reader = RowReader(job.open_source())

    def embed_part(self, number: int, start: int, stop: int, advance: Callable[[int], object]) -> None:
        """Embed rows ``start`` to ``stop`` (exclusive) and write them as part ``number``.

        Args:
            number: Number of the part.
            start: First row.
            stop: Row after the last one.
            advance: Called with the number of rows of every batch that is done.

        Raises:
            UserError: If the input changed meanwhile or is damaged.
            EncoderError: If the instruction leaves no room for a text.
        """
        table = self._reader.read(start, stop)
        texts = table.column(self.job.text_column).to_pylist()
        missing = np.array([text is None for text in texts], dtype=np.bool_)
        embeddings = self._embed([text or "" for text in texts], advance)
        kept = table.select(self._reader.source.schema.names).cast(self._reader.source.schema)
        self.parts.write(number, kept, embeddings, missing)

    def _embed(self, texts: list[str], advance: Callable[[int], object]) -> NDArray[np.float32]:
        """Return ``(r, D)`` float32 embeddings; a text that occurs twice is embedded once."""
        places: dict[str, int] = {}
        rows = np.array([places.setdefault(text, len(places)) for text in texts], dtype=np.int64)
        counts = np.bincount(rows, minlength=len(places))
        out = np.empty((len(places), self.model.dim), dtype=np.float32)
        pairs = [(self.job.instruction, text) for text in places]
        for positions, vectors in self.model.encode_batches(pairs, normalize=self.job.normalize):
            out[positions] = vectors
            advance(int(counts[positions].sum()))
        return out[rows]
