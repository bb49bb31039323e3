"""The output: numbered parts in a folder, each complete or absent, and at the end one file if one was asked for."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from instructor_core.errors import UserError

EMBEDDING = "embedding"
_KEY = b"instructor_core.embed"  # of the settings in the file's metadata
_LOCKED_BYTE = 1 << 20
_JOB = "_job.json"  # readers of Parquet folders leave out names that begin with "_" or "."


class Parts:
    """The parts of one destination.

    A name that ends in ``.parquet`` becomes one file, made at the end from the parts, which lie in
    ``NAME.parquet.parts`` until then. Any other name is a folder, and the parts stay there.
    """

    def __init__(self, destination: Path) -> None:
        self.destination = destination
        self.is_file = destination.suffix.lower() == ".parquet"
        self.folder = destination.with_name(destination.name + ".parts") if self.is_file else destination

    def hold(self) -> None:
        """Keep other runs, also on machines that share the disk, away from the destination while this object lives."""
        path = self.destination.with_name(f".{self.destination.name}.lock")
        while True:
            try:
                file = path.open("a+", encoding="utf-8")
            except FileNotFoundError as error:
                raise UserError(f"There is no folder {path.parent} to write to. Make it, or check the path.") from error
            if not _lock(file):
                with file:
                    file.seek(0)
                    holder = file.read() or "it has just begun"
                raise UserError(
                    f"Another run writes to {self.destination}: {holder}. "
                    "Wait for it or stop it, or choose another name for the output."
                )
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                break
            file.close()  # of a run that ended meanwhile
        file.truncate(0)
        now = datetime.now().astimezone().isoformat(" ", "seconds")
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {now}")
        file.flush()
        weakref.finalize(self, _release, file, path)

    def begin(self, identity: Mapping[str, str], *, overwrite: bool = False) -> bool:
        """Take up what an interrupted run with the same settings left, or begin; return whether all was done before."""
        if overwrite:
            self._discard()
        if self.is_file and self.destination.exists():
            if self.destination.is_file() and self._settings_of_file() == identity:
                shutil.rmtree(self.folder, ignore_errors=True)
                return True
            raise UserError(
                f"{self.destination} exists and is not the result of these settings. Choose another name, or pass "
                "--overwrite to replace it."
            )
        job = self.folder / _JOB
        if job.is_file():
            self._compare(json.loads(job.read_text(encoding="utf-8")), identity)
        elif self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise UserError(
                f"{self.folder} exists and was not left by this program. Choose another name for the output, or "
                "remove it."
            )
        else:
            self.folder.mkdir(exist_ok=True)
            self._write_whole(job, lambda path: path.write_text(json.dumps(identity, indent=1), encoding="utf-8"))
        return False

    def path(self, number: int) -> Path:
        """Return the file of a part."""
        return self.folder / f"part-{number:08d}.parquet"

    def done(self) -> set[int]:
        """Return the numbers of the parts that are complete."""
        return {int(path.stem.removeprefix("part-")) for path in self.folder.glob("part-*.parquet")}

    def write(self, number: int, kept: Any, embeddings: NDArray[np.float32], missing: NDArray[np.bool_]) -> None:
        """Write a part: ``r`` rows of the columns to keep, (r, D) embeddings, and which of them, (r,), are missing."""
        vectors = pa.FixedSizeListArray.from_arrays(
            pa.array(embeddings.reshape(-1)), embeddings.shape[1], mask=pa.array(missing) if missing.any() else None
        )
        # Not append_column: a table without columns has no rows either.
        schema = pa.schema([*kept.schema, pa.field(EMBEDDING, vectors.type)])
        table = pa.Table.from_arrays([*kept.columns, vectors], schema=schema)
        self._write_whole(self.path(number), lambda path: pq.write_table(table, path, **_options(schema)))

    def finish(self, starts: NDArray[np.int64], identity: Mapping[str, str]) -> None:
        """Check that every row is there once and, for a single file, put the parts together and remove them."""
        sizes = np.diff(starts)
        for number, size in enumerate(sizes):
            path = self.path(number)
            found = pq.read_metadata(path).num_rows if path.is_file() else None
            if found != size:
                raise UserError(
                    f"{path} should have {size} rows and has {'gone' if found is None else found}. Delete it if it is "
                    "there, and run the command again."
                )
        for leftover in self.folder.glob(".*.tmp"):
            leftover.unlink()
        if self.is_file:
            self._write_whole(self.destination, lambda path: self._combine(path, len(sizes), identity))
            shutil.rmtree(self.folder)

    def _combine(self, path: Path, n_parts: int, identity: Mapping[str, str]) -> None:
        schema = pq.read_schema(self.path(0)).with_metadata({_KEY: json.dumps(identity)})
        with pq.ParquetWriter(path, schema, **_options(schema)) as writer:
            for number in range(n_parts):
                writer.write_table(pq.read_table(self.path(number)).cast(schema))

    @staticmethod
    def _write_whole(path: Path, write: Any) -> None:
        """Write under another name, wait until it is on the disk, and rename: whoever sees the file sees all of it."""
        unfinished = path.with_name(f".{path.name}-{uuid4().hex}.tmp")
        write(unfinished)
        with unfinished.open("r+b") as file:  # Windows waits for no file that is open for reading only
            os.fsync(file.fileno())
        unfinished.replace(path)

    def _settings_of_file(self) -> dict[str, str] | None:
        try:
            metadata = pq.read_schema(self.destination).metadata or {}
        except (pa.ArrowException, OSError):
            return None
        return json.loads(metadata[_KEY]) if _KEY in metadata else None

    def _compare(self, before: Mapping[str, str], now: Mapping[str, str]) -> None:
        for name, value in now.items():
            if before.get(name) != value:
                what = (
                    f"the {name} has changed since"
                    if name in ("input", "checkpoint")
                    else f"its {name} was {before.get(name)!r} and is {value!r} now"
                )
                raise UserError(
                    f"{self.folder} holds an interrupted run, and {what}. Run it as it was, choose another name for "
                    "the output, or pass --overwrite to start again."
                )

    def _discard(self) -> None:
        for path in (self.destination, self.folder):
            if path.is_dir():
                if not (path / _JOB).is_file() and any(path.iterdir()):
                    raise UserError(f"{path} was not left by this program and is not overwritten. Remove it yourself.")
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()


def _lock(file: IO[str]) -> bool:
    """Take the lock of a file, which ends with the process; return whether nobody had it."""
    try:
        if sys.platform == "win32":  # tested with a stand-in for msvcrt, not on Windows itself
            import msvcrt

            os.lseek(file.fileno(), _LOCKED_BYTE, os.SEEK_SET)  # a locked byte cannot be read, so none with content
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _release(file: IO[str], path: Path) -> None:
    with suppress(PermissionError):  # Windows removes no open file: there it stays, for the next run
        path.unlink(missing_ok=True)
    file.close()


def _options(schema: Any) -> dict[str, Any]:
    """Settings of the Parquet writer: no dictionary of floats, which hardly repeat."""
    return {"compression": "zstd", "use_dictionary": [name for name in schema.names if name != EMBEDDING]}
