"""A run as files: embeddings and similarities as NPZ, CSV or Parquet, and the code that computes them again.

Files hold what was embedded and with which checkpoint. Nothing is pickled, and no cell that a visitor typed can be
taken for a formula by a spreadsheet.
"""

from __future__ import annotations

import csv
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import EmbeddingGrid, letter
from instructor_core.analysis.similarity import similarity
from instructor_core.errors import UserError
from instructor_core.hub import Checkpoint
from instructor_core.table.cells import well_formed

MAX_NUMBERS = 2_000_000  # in a CSV file, about 20 MB
MAX_TEXT_BYTES = 64_000_000  # texts of an NPZ file: each takes as much as the longest
MAX_SNIPPET = 30_000  # characters; past it the code reads texts from the NPZ file

# Given the value of a component for files, the browser saves the file.
SAVE_FILE = """(file) => {
  if (file) Object.assign(document.createElement("a"), { href: file.url, download: file.orig_name }).click();
}"""
_CHECKPOINT_NAMES = ("checkpoint", "revision")
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


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


@dataclass(frozen=True, eq=False)
class Export:
    """What is exported: a run, its checkpoint and precision, all ways to label its texts, and warnings."""

    grid: EmbeddingGrid
    checkpoint: Checkpoint
    dtype: str = "float32"
    label_columns: tuple[tuple[str, ...], ...] = ()
    warnings: tuple[str, ...] = ()  # on the texts

    @property
    def label_names(self) -> list[str]:
        """Names of the columns of labels."""
        return ["label" if c == 0 else f"label {c + 1}" for c in range(len(self.label_columns))]


@cache
def versions() -> dict[str, str]:
    """Return the versions of what the numbers depend on."""
    return {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")}


def cell(value: str) -> str:
    """Return a cell that a spreadsheet shows as text: one that would begin a formula gets an apostrophe before it.

    >>> cell("=1+1"), cell("plain")
    ("'=1+1", 'plain')
    """
    text = well_formed(value)
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def write_npz(export: Export, path: Path) -> None:
    """Write embeddings (K, N, D) and norms (K, N), float32, with instructions, texts, labels (C, N) and checkpoint."""
    grid = export.grid
    longest = max(len(text) for text in (*grid.texts, *grid.instructions))
    if 4 * longest * grid.n_texts > MAX_TEXT_BYTES:
        raise UserError(
            f"An NPZ file keeps {grid.n_texts} texts at the length of the longest, {longest} characters: more than "
            f"{MAX_TEXT_BYTES / 1e6:.0f} MB. Export CSV, or shorten that text."
        )
    np.savez_compressed(
        path,
        allow_pickle=False,
        embeddings=grid.embeddings,
        norms=grid.norms,
        instructions=_unicode(grid.instructions),
        texts=_unicode(grid.texts),
        labels=_unicode([label for column in export.label_columns for label in column]).reshape(-1, grid.n_texts),
        checkpoint=np.array(well_formed(export.checkpoint.id)),
        revision=np.array(export.checkpoint.revision or ""),
        dtype=np.array(export.dtype),
        versions=np.array(json.dumps(versions())),
    )


def _unicode(values: Sequence[str]) -> NDArray[np.str_]:
    return np.array([well_formed(value) for value in values], dtype=np.str_)


def write_embeddings_csv(export: Export, path: Path) -> None:
    """Write one row per pair: letter, instruction, number, text, labels, checkpoint, norm, unit embedding."""
    grid = export.grid
    _check_numbers(grid.vectors.size)
    names = ["norm", *(f"e{d}" for d in range(grid.dim))]
    _write_pairs(export, path, names, np.concatenate([grid.norms[..., None], grid.embeddings], axis=2))


def write_similarity_csv(export: Export, path: Path) -> None:
    """Write one matrix of cosines per instruction, one below the other: a row per text, a column per text."""
    grid = export.grid
    _check_numbers(grid.n_instructions * grid.n_texts**2)
    _write_pairs(export, path, [str(i + 1) for i in range(grid.n_texts)], similarity(grid).matrices)


def _write_pairs(export: Export, path: Path, names: Sequence[str], values: NDArray[np.float32]) -> None:
    """Write one row per pair with its values (K, N, any number)."""
    grid, checkpoint = export.grid, (export.checkpoint.id, export.checkpoint.revision)
    about = ("letter", "instruction", "number", "text", *export.label_names, *_CHECKPOINT_NAMES)
    rows = (
        [
            letter(k),
            instruction,
            i + 1,
            text,
            *(column[i] for column in export.label_columns),
            *checkpoint,
            *values[k, i],
        ]
        for k, instruction in enumerate(grid.instructions)
        for i, text in enumerate(grid.texts)
    )
    _write_csv(path, [*about, *names], rows)


def write_table_csv(names: Sequence[str], rows: Iterable[Sequence[Any]], checkpoint: Checkpoint, path: Path) -> None:
    """Write a table of the page, such as the leaderboard, with the checkpoint beside each row."""
    written = ([*row, checkpoint.id, checkpoint.revision] for row in rows)
    _write_csv(path, [*names, *_CHECKPOINT_NAMES], written)


def _write_csv(path: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write strings as cells, and numbers with the nine digits that give a float32 back exactly.

    Spreadsheets take a CSV file for UTF-8 only if it begins with a byte order mark.
    """
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        for row in chain([names], rows):
            writer.writerow(cell(each or "") if isinstance(each, str | None) else f"{each:.9g}" for each in row)


def _check_numbers(n: int) -> None:
    if n > MAX_NUMBERS:
        raise UserError(f"A CSV file may hold {MAX_NUMBERS} numbers: this run has {n}. Export NPZ, or fewer texts.")


def write_parquet(export: Export, path: Path) -> None:
    """Write one row per pair with its embedding as a list of float32; the checkpoint is in the file's metadata."""
    try:
        pa, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise UserError("This server cannot write Parquet files (it has no pyarrow). Export NPZ.") from error
    grid = export.grid
    k, i = (index.ravel() for index in np.indices((grid.n_instructions, grid.n_texts)))
    flat = pa.array(grid.embeddings.ravel())
    columns = {
        "instruction": pa.array([well_formed(grid.instructions[at]) for at in k]),
        "number": pa.array(i + 1),
        "text": pa.array([well_formed(grid.texts[at]) for at in i]),
        **{
            name: pa.array([well_formed(labels[at]) for at in i])
            for name, labels in zip(export.label_names, export.label_columns, strict=True)
        },
        "norm": pa.array(grid.norms.ravel()),
        "embedding": pa.FixedSizeListArray.from_arrays(flat, grid.dim),
    }
    facts = {"checkpoint": export.checkpoint.id, "revision": export.checkpoint.revision or "", "dtype": export.dtype}
    parquet.write_table(pa.table(columns).replace_schema_metadata(facts), path)


def snippet(
    checkpoint: Checkpoint,
    instructions: Sequence[str],
    texts: Sequence[str],
    *,
    dtype: str = "float32",
    template: str = "",
) -> str:
    """Return Python that computes the embeddings and cosines of the run again; long texts are read from the NPZ file.

    Everything typed by a visitor stands in it as a Python literal. A folder on the server is not named.
    """
    is_folder = Path(checkpoint.source).is_absolute()
    source = f"path/to/{checkpoint.id}" if is_folder else checkpoint.source
    arguments = [_literal(source)]
    arguments += [] if checkpoint.revision is None else [f"revision={_literal(checkpoint.revision)}"]
    arguments += [] if dtype == "float32" else [f"dtype={_literal(dtype)}"]
    arguments += [f"template={_literal(template)}"] if template else []
    opened = "open_checkpoint" if template else "InstructorModel"
    listed = _literals("texts", texts)
    if len(listed) > MAX_SNIPPET:
        listed = "texts = np.load('embeddings.npz')[\"texts\"].tolist()  # the NPZ file of this run\n"
    libraries = ", ".join(f"{name} {number}" for name, number in versions().items())
    return (
        f"# The embeddings of this run, computed with {libraries}.\n"
        + ("import numpy as np\n\n" if "np.load" in listed.splitlines()[0] else "")
        + f"from instructor_core import {opened}\n\n"
        + _literals("instructions", instructions)
        + listed
        + f"model = {opened}({', '.join(arguments)})\n"
        + "pairs = [(instruction, text) for instruction in instructions for text in texts]\n"
        + "embeddings = model.encode(pairs).reshape(len(instructions), len(texts), -1)  # unit length\n"
        + "similarity = embeddings @ embeddings.transpose(0, 2, 1)  # (instructions, texts, texts) cosines\n"
    )


def _literals(name: str, values: Iterable[str]) -> str:
    return f"{name} = [\n" + "".join(f"    {_literal(value)},\n" for value in values) + "]\n"


def _literal(value: str) -> str:
    """A Python literal; `repr` spells out whatever cannot be seen, marks that turn the direction of text included."""
    return repr(well_formed(value))
