"""The same job on a Ray cluster: Ray Data hands the parts to actors, each of which loads the checkpoint once.

Every node must have this package and see input, output and checkpoint (if it is a folder) under the same paths. A part
holds about as many tokens as any other, and an actor takes the next one when it is done: fast nodes do more of them.
Whose node dies loses the part at hand, which Ray gives to another actor.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from instructor_core.embed.job import Job, Worker
from instructor_core.encoder import EncoderError
from instructor_core.errors import UserError

MAX_CPUS_PER_ACTOR = 4


class _Actor:
    """One worker; Ray calls it with a part at a time.

    An error that is meant for the user comes back as a value: Ray would wrap it in the stack of another machine.
    """

    def __init__(self, job: Job, destination: Path, device: str | None) -> None:
        self._make = partial(Worker, job, destination, device=device)
        self._worker: Worker | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        number, start, stop = (int(batch[name][0]) for name in ("part", "start", "stop"))
        try:
            self._worker = self._worker or self._make()
            # A part whose node died after writing it may be asked for once more.
            if not self._worker.parts.path(number).exists():
                self._worker.embed_part(number, start, stop, lambda _: None)
        except (UserError, EncoderError) as error:
            return {"rows": [0], "error": [str(error)]}
        return {"rows": [stop - start], "error": [""]}


def embed_on_cluster(
    job: Job,
    destination: Path,
    todo: list[tuple[int, int, int]],
    advance: Callable[[int], object],
    *,
    device: str | None = None,
    cpus_per_actor: int | None = None,
) -> None:
    """Embed parts (number, first row, row after the last) on the cluster at ``RAY_ADDRESS`` or that of this machine.

    The paths of the job must be absolute. Without a device, an actor has one GPU if the cluster has any.
    """
    try:
        import ray
    except ImportError as error:
        raise UserError("--engine ray needs Ray: pip install 'ray[data]'.") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported unless the user asks for it
    address = os.environ.get("RAY_ADDRESS", "auto")
    try:
        ray.init(address, log_to_driver=False, logging_level="WARNING")
    except ConnectionError as error:
        raise UserError(
            f"No Ray cluster answers at {address!r}. Start one (ray start --head), or set RAY_ADDRESS to its address."
        ) from error
    try:
        resources, n_actors = _actors(ray.nodes(), device, cpus_per_actor)
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # it would print the stack of an error raised below
        items = [{"part": number, "start": start, "stop": stop} for number, start, stop in todo]
        results = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            _Actor,
            fn_constructor_args=(job, destination, device),
            batch_size=1,
            # It begins with as many actors as fit, and grows and shrinks with the cluster.
            compute=ray.data.ActorPoolStrategy(
                min_size=1,
                initial_size=min(n_actors, len(items)),
                max_size=len(items),
                max_tasks_in_flight_per_actor=2,
            ),
            **resources,
        )
        for row in results.iter_rows():
            if row["error"]:
                raise UserError(row["error"])
            advance(int(row["rows"]))
    except ray.exceptions.RayError as error:
        raise UserError(
            f"The run on the Ray cluster broke off: {_cause(error)} What is done is kept: "
            "give the command again to go on."
        ) from error
    finally:
        ray.shutdown()


def _cause(error: BaseException) -> str:
    """What the worker itself raised, in one line; Ray wraps it and adds the stack and help of its own."""
    while (inner := getattr(error, "cause", None) or error.__cause__) is not None:
        error = inner
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    own = [line for line in lines if line.partition(":")[0].endswith(("Error", "Exception"))]
    said = (own[-1:] or lines[:1] or [""])[0]
    name = type(error).__name__
    sentence = said if own or not said else f"{name}: {said}"
    return (sentence or name).rstrip(".") + "."


def _actors(nodes: list[dict[str, Any]], device: str | None, cpus: int | None) -> tuple[dict[str, int], int]:
    """Return what an actor asks Ray for, and how many of them the nodes have room for (at least 1)."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    cores = [int(node.get("CPU", 0)) for node in alive]
    wanted = cpus or max(1, min([MAX_CPUS_PER_ACTOR, *(n for n in cores if n)]))
    if 0 < max(cores, default=0) < wanted:  # without any, a cluster that grows on demand is assumed
        raise UserError(
            f"No node of the Ray cluster has the {wanted} cores that an actor asks for: the largest has {max(cores)}. "
            "Pass a smaller --cpus-per-actor."
        )
    if device != "cpu" and any(node.get("GPU", 0) >= 1 for node in alive):
        fit = sum(min(n // wanted, int(node.get("GPU", 0))) for n, node in zip(cores, alive, strict=True))
        return {"num_cpus": wanted, "num_gpus": 1}, max(1, fit)
    return {"num_cpus": wanted}, max(1, sum(n // wanted for n in cores))
