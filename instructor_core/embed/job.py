"""What is to be done: the settings that decide the result, and the parts into which the rows are cut."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from instructor_core.embed.source import Source
from instructor_core.encoder import find_checkpoint
from instructor_core.errors import UserError
from instructor_core.table import Reading

BYTES_PER_TOKEN = 4  # of English; only the size of the parts depends on it
WINDOW_TOKENS = 512  # a longer text is cut off and costs no more
_WEIGHTS = ("*.safetensors", "*.bin", "tokenizer.json", "spiece.model", "*.json")


@dataclass(frozen=True)
class Job:
    """Settings of a run; two runs with equal ``identity`` have equal results.

    Attributes:
        source: Input file or folder.
        text_column: Column of the texts.
        instruction: Joined with each text as given.
        checkpoint: Folder, bundled name or hub name.
        revision: Commit, tag or branch of a hub repository.
        dtype: ``"float32"`` or ``"bfloat16"``, what the network computes in.
        normalize: Unit length, or the mean as it is.
        keep: Columns to copy; None for all.
        allow_nulls: Whether a missing text gives a missing embedding instead of an error.
        part_tokens: Tokens per part, about: what a kill costs at most.
        reading: How a file that is no Parquet is read.
    """

    source: Path
    text_column: str
    instruction: str
    checkpoint: str
    revision: str | None = None
    dtype: str = "float32"
    normalize: bool = True
    keep: tuple[str, ...] | None = ()
    allow_nulls: bool = False
    part_tokens: int = 1 << 17
    reading: Reading = field(default_factory=Reading)

    def open_source(self) -> Source:
        """Open the input.

        Raises:
            UserError: If it cannot be used.
        """
        return Source(self.source, self.text_column, self.keep, self.reading)

    def identity(self) -> dict[str, str]:
        """Return what the result depends on, by its name in messages; contents stand for files.

        Raises:
            UserError: If the input cannot be used.
            EncoderError: If the checkpoint cannot be found.
        """
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
        }

    def plan(self, source: Source | None = None) -> NDArray[np.int64]:
        """Read all texts once and cut the rows into parts of about equal numbers of tokens.

        Args:
            source: The input, if it is open already; its notes are complete afterwards.

        Returns:
            ``(P + 1,)`` int64: part ``p`` holds the rows from entry ``p`` to entry ``p + 1`` (exclusive). An input
            without rows has one part without rows.

        Raises:
            UserError: If a text is missing and that is not allowed, or if the input is damaged.
        """
        starts: list[NDArray[np.int64]] = []
        n_rows = n_tokens = 0
        last = -1  # part of the row before
        base = 2 + len(self.instruction.encode()) // BYTES_PER_TOKEN
        for batch in (source or self.open_source()).batches(texts_only=True):
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


def _folder_digest(folder: Path) -> str:
    """Return the SHA-256 over names and contents of the files of a checkpoint."""
    whole = hashlib.sha256()
    for path in sorted({path for pattern in _WEIGHTS for path in folder.rglob(pattern)}):
        whole.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
