"""What whoever runs the app may set: environment variables, checked at the start, and the command line over them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from instructor_core.errors import UserError
from instructor_core.hub import CHECKPOINTS, Checkpoint, local_checkpoint

logger = logging.getLogger(__name__)

PREFIX = "INSTRUCTOR_"
DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class Settings:
    """How the app runs: the fields are described beside the variables that set them."""

    checkpoints: tuple[Checkpoint, ...] = CHECKPOINTS
    device: str | None = None  # None for the first CUDA device if there is one, else the CPU
    dtype: str = "float32"
    host: str | None = None  # None for Gradio's default, 127.0.0.1
    port: int | None = None  # None for the first free one from 7860
    queue_size: int = 64
    cache_mb: int = 256
    max_pairs: int = 30_000
    threads: int | None = None  # None for as many as PyTorch finds
    beside_id: str = ""  # checkpoint that the page opens beside the first; "" for none


# The variables that hold integers, and the fields that they set; the bounds stand at the end of their meanings.
_INTEGERS = {
    "INSTRUCTOR_QUEUE_SIZE": "queue_size",
    "INSTRUCTOR_CACHE_MB": "cache_mb",
    "INSTRUCTOR_MAX_PAIRS": "max_pairs",
    "INSTRUCTOR_THREADS": "threads",
    "GRADIO_SERVER_PORT": "port",
}
# Every variable of this app with what it means; README and `--help` list them in these words.
VARIABLES = {
    "INSTRUCTOR_CHECKPOINT": "checkpoint that is open at the start: a folder, or a name in the menu",
    "INSTRUCTOR_DEVICE": "cpu, cuda, cuda:1, ...",
    "INSTRUCTOR_DTYPE": "float32 or bfloat16",
    "INSTRUCTOR_QUEUE_SIZE": "requests that may wait for the model at once, 1 to 1000",
    "INSTRUCTOR_CACHE_MB": "megabytes kept of embeddings, of tokens and of layers, each, 1 to 65536",
    "INSTRUCTOR_MAX_PAIRS": "pairs of instruction and text that one request may encode, 1 to 1000000",
    "INSTRUCTOR_THREADS": "threads that compute, 1 to 512",
    "GRADIO_SERVER_NAME": "address to listen on, 0.0.0.0 for all",
    "GRADIO_SERVER_PORT": "port to listen on, 1 to 65535",
}


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that environment variables ask for; an empty variable counts as not set.

    A variable with the prefix of this app that it does not know is reported in the log.
    """
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    for name in sorted(given):
        if name.startswith(PREFIX) and name not in VARIABLES:
            logger.warning("%s is not known. Known are: %s.", name, ", ".join(VARIABLES))
    dtype = given.get("INSTRUCTOR_DTYPE", Settings.dtype)
    if dtype not in DTYPES:
        raise UserError(f"INSTRUCTOR_DTYPE is one of {', '.join(DTYPES)}: got {dtype!r}.")
    integers: dict[str, Any] = {
        field: _integer(name, given[name]) for name, field in _INTEGERS.items() if name in given
    }
    settings = Settings(
        device=given.get("INSTRUCTOR_DEVICE"),
        dtype=dtype,
        host=given.get("GRADIO_SERVER_NAME"),
        **{"threads": _cores_of_a_space(given)} | integers,
    )
    return with_checkpoint(settings, given.get("INSTRUCTOR_CHECKPOINT"))


def with_checkpoint(settings: Settings, wanted: str | None) -> Settings:
    """Return the settings with a checkpoint put first: one of the menu by its name, or a folder."""
    if wanted is None:
        return settings
    first = _entry(settings, wanted)
    return replace(settings, checkpoints=(first, *(each for each in settings.checkpoints if each.id != first.id)))


def with_comparison(settings: Settings, wanted: str | None) -> Settings:
    """Return the settings with a checkpoint put second, named as in `with_checkpoint`: the page opens on both."""
    if wanted is None:
        return settings
    first, second = settings.checkpoints[0], _entry(settings, wanted)
    if second == first:
        raise UserError(f"The page is open on {first.id} already: --compare takes another checkpoint.")
    if second.id == first.id:  # as the folders of two runs of training have it
        second = replace(second, id="/".join(Path(second.source).parts[-2:]))
    others = (each for each in settings.checkpoints[1:] if each.id != second.id)
    return replace(settings, checkpoints=(first, second, *others), beside_id=second.id)


def _entry(settings: Settings, wanted: str) -> Checkpoint:
    """The entry of the menu with this name, or one for the folder."""
    listed = settings.checkpoints
    named = [checkpoint for checkpoint in listed if checkpoint.id == wanted]
    if not named and not Path(wanted).expanduser().is_dir():
        names = ", ".join(checkpoint.id for checkpoint in listed)
        raise UserError(f"A checkpoint is a folder or one of {names}: got {wanted!r}. Check the spelling or the path.")
    return named[0] if named else local_checkpoint(wanted)


def _integer(name: str, value: str) -> int:
    low, high = map(int, VARIABLES[name].rpartition(", ")[2].split(" to "))
    if not (value.isascii() and value.isdigit() and low <= int(value[:9]) <= high):
        raise UserError(f"{name} is an integer from {low} to {high}: got {value[:40]!r}.")
    return int(value)


def _cores_of_a_space(given: Mapping[str, str]) -> int | None:
    """The cores that a Space was given: a container sees those of its whole machine, and too many threads are slow."""
    cores = given.get("CPU_CORES", "").partition(".")[0]
    return max(1, int(cores)) if given.get("SPACE_ID") and cores.isascii() and cores.isdigit() else None
