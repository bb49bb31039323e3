"""What whoever runs the app may set: environment variables, checked at the start, and the command line over them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from instructor_core.errors import UserError
from instructor_core.hub import CHECKPOINTS, Checkpoint, local_checkpoint

logger = logging.getLogger(__name__)

PREFIX = "INSTRUCTOR_"
DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class Settings:
    """How the app runs.

    Attributes:
        checkpoints: What the menu offers; the first is open at the start.
        device: Where to compute; None for the first CUDA device if there is one, else the CPU.
        dtype: "float32" or "bfloat16".
        host: Address to listen on; None for Gradio's default, 127.0.0.1.
        port: Port to listen on; None for the first free one from 7860.
        queue_size: Requests that may wait for the model at once.
        cache_mb: Megabytes of embeddings, of token encodings and of layers that each loaded checkpoint keeps.
        max_pairs: Pairs of instruction and text that one request may encode.
        threads: Threads that compute; None for as many as PyTorch finds.
    """

    checkpoints: tuple[Checkpoint, ...] = CHECKPOINTS
    device: str | None = None
    dtype: str = "float32"
    host: str | None = None
    port: int | None = None
    queue_size: int = 64
    cache_mb: int = 256
    max_pairs: int = 30_000
    threads: int | None = None


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

    Raises:
        UserError: If a value is not what the variable takes.
    """
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    for name in sorted(given):
        if name.startswith(PREFIX) and name not in VARIABLES:
            logger.warning("%s is not known. Known are: %s.", name, ", ".join(VARIABLES))
    settings = Settings(
        device=given.get("INSTRUCTOR_DEVICE"),
        host=given.get("GRADIO_SERVER_NAME"),
        port=_integer(given, "GRADIO_SERVER_PORT", 1, 65_535),
        queue_size=_integer(given, "INSTRUCTOR_QUEUE_SIZE", 1, 1000) or Settings.queue_size,
        cache_mb=_integer(given, "INSTRUCTOR_CACHE_MB", 1, 65_536) or Settings.cache_mb,
        max_pairs=_integer(given, "INSTRUCTOR_MAX_PAIRS", 1, 1_000_000) or Settings.max_pairs,
        threads=_integer(given, "INSTRUCTOR_THREADS", 1, 512) or _cores_of_a_space(given),
    )
    dtype = given.get("INSTRUCTOR_DTYPE", settings.dtype)
    if dtype not in DTYPES:
        raise UserError(f"INSTRUCTOR_DTYPE is one of {', '.join(DTYPES)}: got {dtype!r}.")
    return with_checkpoint(replace(settings, dtype=dtype), given.get("INSTRUCTOR_CHECKPOINT"))


def with_checkpoint(settings: Settings, wanted: str | None) -> Settings:
    """Return the settings with a checkpoint put first: one of the menu by its name, or a folder.

    Raises:
        UserError: If there is neither.
    """
    if wanted is None:
        return settings
    listed = settings.checkpoints
    named = [checkpoint for checkpoint in listed if checkpoint.id == wanted]
    if not named and not Path(wanted).expanduser().is_dir():
        names = ", ".join(checkpoint.id for checkpoint in listed)
        raise UserError(f"A checkpoint is a folder or one of {names}: got {wanted!r}. Check the spelling or the path.")
    (first,) = named or [local_checkpoint(wanted)]
    return replace(settings, checkpoints=(first, *(checkpoint for checkpoint in listed if checkpoint.id != first.id)))


def _integer(given: Mapping[str, str], name: str, low: int, high: int) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and low <= int(value[:9]) <= high):
        raise UserError(f"{name} is an integer from {low} to {high}: got {value[:40]!r}.")
    return int(value)


def _cores_of_a_space(given: Mapping[str, str]) -> int | None:
    """The cores that a Space was given: a container sees those of its whole machine, and too many threads are slow."""
    cores = given.get("CPU_CORES", "").partition(".")[0]
    return max(1, int(cores)) if given.get("SPACE_ID") and cores.isascii() and cores.isdigit() else None
