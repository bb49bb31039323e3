"""The command line: `python -m instructor_core.embed IN.parquet OUT.parquet --instruction "..." --text-column text`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from instructor_core.encoder import EncoderError
from instructor_core.errors import UserError
from instructor_core.families.templates import COMMAND_LINE_HELP, from_command_line
from instructor_core.hub import BUNDLED
from instructor_core.table import FILE_TYPES, Reading, has_pyarrow

DESCRIPTION = """\
Embed every row of a file: of any size, in memory that does not grow with it.

The output has one row per row of the input, in the same order: the columns to keep, and "embedding", a list of float32.
A run that was stopped or killed goes on where it was when the same command is given again."""
EPILOG = """\
The whole input is read once before the first row is embedded: missing texts are found then, and a later run notices
if the input has changed. A part is what is written at a time; a kill costs the part at hand and no more."""


def parse(values: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="python -m instructor_core.embed",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("input", type=Path, metavar="IN", help=f"{', '.join(FILE_TYPES)}, or .gz of these; or a folder of .parquet")
    add("output", type=Path, metavar="OUT", help="NAME.parquet: one file; any other name: a folder of Parquet files")
    add("--instruction", required=True, help="joined with each text as given: let it end with a space")
    add("--text-column", default="text", metavar="NAME", help="column of the texts (text)")
    table = parser.add_argument_group("how a file that is no Parquet is read", "found out where it is not said")
    table.add_argument("--delimiter", metavar="D", help="what parts the cells: a character, or tab")
    table.add_argument("--encoding", metavar="NAME", help="utf-8, cp1252, utf-16, ...")
    table.add_argument(
        "--quoting", choices=["doubled", "backslash", "none"], help="a quotation mark in a quoted cell; none: no marks"
    )
    table.add_argument("--header", choices=["yes", "no"], help="whether the first row names the columns")
    table.add_argument(
        "--bad-rows", choices=["leave-out", "cut"], help="rows with more fields than columns: left out, or cut to them"
    )
    add("--checkpoint", default=BUNDLED, metavar="NAME", help=f"folder or hub name ({BUNDLED})")
    add("--revision", help="commit, tag or branch of a checkpoint on the hub")
    add("--template", type=from_command_line, help=COMMAND_LINE_HELP)
    add("--device", help="cpu, cuda, cuda:1, ...; a GPU if there is one")
    add("--dtype", choices=["float32", "bfloat16"], default="float32")
    add("--no-normalize", action="store_true", help="leave the embeddings at their own length")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--keep", action="append", default=[], metavar="COLUMN", help="copy this column (repeatable)")
    kept.add_argument("--keep-all", action="store_true", help="copy all columns")
    add("--nulls", choices=["refuse", "keep"], default="refuse", help="keep: a missing text has no embedding")
    add("--part-tokens", type=int, default=1 << 17, metavar="N", help="tokens per part, about (%(default)s)")
    add("--engine", choices=["local", "ray"], default="local", help="ray: the cluster at RAY_ADDRESS")
    add("--cpus-per-actor", type=int, metavar="N", help="with --engine ray (up to 4)")
    add("--overwrite", action="store_true", help="discard OUT and what an interrupted run left")
    return parser.parse_args(values)


def reading(options: argparse.Namespace) -> Reading:
    """Return how the file is to be read."""
    delimiter = {"tab": "\t", "\\t": "\t"}.get(options.delimiter, options.delimiter)
    if delimiter is not None and len(delimiter) != 1:
        raise UserError(f"--delimiter must be one character, or tab: got {options.delimiter!r}.")
    return Reading(
        delimiter=delimiter,
        encoding=options.encoding,
        quoting=options.quoting,
        header=None if options.header is None else options.header == "yes",
        surplus=options.bad_rows and options.bad_rows.replace("-", " "),
    )


def run(options: argparse.Namespace) -> str:
    """Do what the command line says; return the last line to print."""
    if not has_pyarrow():
        raise UserError("Reading and writing Parquet needs pyarrow: pip install pyarrow.")
    from instructor_core.embed.cluster import embed_on_cluster
    from instructor_core.embed.job import Job, Worker
    from instructor_core.embed.parts import EMBEDDING, Parts

    for name in ("part_tokens", "cpus_per_actor"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise UserError(f"--{name.replace('_', '-')} must be at least 1: got {value}.")
    folder = Path(options.checkpoint).expanduser()
    job = Job(
        source=options.input.resolve(),
        text_column=options.text_column,
        instruction=options.instruction,
        checkpoint=str(folder.resolve()) if folder.is_dir() else options.checkpoint,
        revision=options.revision,
        dtype=options.dtype,
        template=options.template,
        normalize=not options.no_normalize,
        keep=None if options.keep_all else tuple(options.keep),
        allow_nulls=options.nulls == "keep",
        part_tokens=options.part_tokens,
        reading=reading(options),
    )
    source = job.open_source()
    if EMBEDDING in source.schema.names:
        raise UserError(f"The column {EMBEDDING!r} cannot be kept: the output has one of that name. Rename it.")
    parts = Parts(options.output.resolve())
    parts.hold()
    identity = job.identity()
    if parts.begin(identity, overwrite=options.overwrite):
        return f"{options.output} is complete already"
    starts = job.plan(source)
    for sentence in source.notes():
        print(sentence, file=sys.stderr)
    done = parts.done()
    todo = [(i, int(starts[i]), int(starts[i + 1])) for i in range(len(starts) - 1) if i not in done]
    n_rows, n_left = int(starts[-1]), sum(stop - start for _, start, stop in todo)
    interval = 0.2 if sys.stderr.isatty() else 30.0  # a log wants few lines
    bar = partial(tqdm, total=n_rows, initial=n_rows - n_left, unit="row", mininterval=interval, maxinterval=interval)
    if todo and options.engine == "ray":
        with bar() as shown:
            cores = options.cpus_per_actor
            embed_on_cluster(job, parts.destination, todo, shown.update, device=options.device, cpus_per_actor=cores)
    elif todo:
        worker = Worker(job, parts.destination, device=options.device)
        with bar() as shown:
            for number, start, stop in todo:
                worker.embed_part(number, start, stop, shown.update)
    parts.finish(starts, identity)
    return f"{options.output}: {n_rows} rows" + (f", {n_rows - n_left} of them done before" if done else "")


def main(values: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    try:
        print(run(parse(values)))
    except (UserError, EncoderError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; give the same command again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
