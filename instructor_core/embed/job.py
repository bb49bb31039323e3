"""What is to be done, the settings that decide the result and the parts into which rows are cut; and who does it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from instructor_core.embed.parts import Parts
from instructor_core.embed.source import RowReader, Source
from instructor_core.encoder import find_checkpoint
from instructor_core.errors import UserError
from instructor_core.families import open_checkpoint
from instructor_core.table import Reading

BYTES_PER_TOKEN = 4  # of English; only the size of the parts depends on it
WINDOW_TOKENS = 512  # a longer text is cut off and costs no more
_WEIGHTS = ("*.safetensors", "*.bin", "tokenizer.json", "*.model", "*.json", "*.txt")


@dataclass(frozen=True)
class Job:
    """Settings of a run; two runs with equal `identity` have equal results.

    The instruction is joined with each text as given. `keep` names columns to copy, None for all; with `allow_nulls` a
    missing text has a missing embedding. `part_tokens`, about, is what a kill costs at most.
    """

    source: Path
    text_column: str
    instruction: str
    checkpoint: str
    revision: str | None = None
    dtype: str = "float32"
    template: str | None = None  # how instruction and text are joined; None for what the checkpoint says
    normalize: bool = True
    keep: tuple[str, ...] | None = ()
    allow_nulls: bool = False
    part_tokens: int = 1 << 17
    reading: Reading = field(default_factory=Reading)

    def open_source(self) -> Source:
        """Open the input."""
        return Source(self.source, self.text_column, self.keep, self.reading)

    def identity(self) -> dict[str, str]:
        """Return what the result depends on, by its name in messages; contents stand for files."""
        source = self.open_source()
        return {
            "input": source.digest(),
            "text column": self.text_column,
            "kept columns": ", ".join(source.schema.names),
            "instruction": self.instruction,
            "checkpoint": _folder_digest(find_checkpoint(self.checkpoint, revision=self.revision)),
            "dtype": self.dtype,
            "unit length": str(self.normalize),
            "tokens per part": str(self.part_tokens),
            "reading": ", ".join(f"{name} {value}" for name, value in vars(self.reading).items() if value is not None),
            **({"template": self.template} if self.template else {}),
        }

    def plan(self, source: Source) -> NDArray[np.int64]:
        """Read all texts once and cut the rows into parts of about equal numbers of tokens: ``(P + 1,)`` int64.

        Part ``p`` holds the rows from entry ``p`` to entry ``p + 1`` (exclusive); an input without rows has one part
        without rows. The notes of the source are complete afterwards.
        """
        starts: list[NDArray[np.int64]] = []
        n_rows = n_tokens = 0
        last = -1  # part of the row before
        base = 2 + len(self.instruction.encode()) // BYTES_PER_TOKEN
        for batch in source.batches(texts_only=True):
            texts = batch.column(0)
            if texts.null_count and not self.allow_nulls:
                row = n_rows + int(np.flatnonzero(texts.is_null().to_numpy(zero_copy_only=False))[0])
                raise UserError(
                    f"Row {row} (from 0) of column {self.text_column!r} has no text. Fill it in, or pass --nulls keep "
                    "to give such rows no embedding."
                )
            sizes = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
            costs = np.minimum(base + sizes // BYTES_PER_TOKEN, WINDOW_TOKENS)
            part = (n_tokens + np.cumsum(costs, dtype=np.int64) - costs) // self.part_tokens
            starts.append(n_rows + np.flatnonzero(np.diff(part, prepend=last)))
            last = int(part[-1]) if len(part) else last
            n_rows += len(texts)
            n_tokens += int(costs.sum())
        found = np.concatenate([*starts, np.zeros(0, dtype=np.int64)])
        return np.concatenate([found if len(found) else [0], [n_rows]]).astype(np.int64)


class Worker:
    """Embeds parts: one model and one place in the input, for as many parts as there are to do."""

    def __init__(self, job: Job, destination: Path, *, device: str | None = None) -> None:
        self.job = job
        self.parts = Parts(destination)
        self.model = open_checkpoint(job.checkpoint, device, job.dtype, revision=job.revision, template=job.template)
        self._reader = RowReader(job.open_source())

    def embed_part(self, number: int, start: int, stop: int, advance: Callable[[int], object]) -> None:
        """Embed rows ``start`` to ``stop`` (exclusive), write them as a part, and tell the rows of every batch done."""
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


def _folder_digest(folder: Path) -> str:
    """Return the SHA-256 over names and contents of the files of a checkpoint."""
    whole = hashlib.sha256()
    for path in sorted({path for pattern in _WEIGHTS for path in folder.rglob(pattern)}):
        whole.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
