"""Measures what "Try more wordings" of Test takes from nothing, stopped on its way, and looked at again.

    .venv/bin/python -m tests.benchmarks.wordings                    500 texts, 5 tasks, 10 wordings each
    .venv/bin/python -m tests.benchmarks.wordings --texts 100 --profile

On the bundled checkpoint, with texts of 5 to 15 words and 8 labels, by what the button calls. The load of the machine
is reported beside the seconds: on cores that others use as well they say little.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from instructor_core.analysis.suggest import WordedTask
from instructor_core.evaluate.data import read_wordings
from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial import comparison
from instructor_core.ui.trial.boards import compare_instructions
from instructor_core.ui.trial.comparison import Request, ScoreBook
from tests.benchmarks.scale import INSTRUCTIONS, made_texts


@dataclass(frozen=True)
class Timed:
    """Seconds of a run, of all cores together, of its parts by their lines of progress, and until it stopped."""

    seconds: float
    cpu_seconds: float
    parts: dict[str, float]
    n_lines: int
    stopped_in: float | None = None


def tasks_of(n_tasks: int, n_wordings: int) -> tuple[WordedTask, ...]:
    """The first axes of the bundled wordings, each with its plain and its first free instructions."""
    axes = list(read_wordings().axes.items())[:n_tasks]
    return tuple(WordedTask(name, (axis.plain, *axis.free)[:n_wordings]) for name, axis in axes)


def timed(runtime: Runtime, book: ScoreBook, inputs: Inputs, *, stop_after: float | None = None) -> Timed:
    """Run what the button runs, to its end or until it is stopped."""
    steps = compare_instructions(runtime, book, inputs, Request(many=True))
    started = last = time.perf_counter()
    cpu = time.process_time()
    parts: dict[str, float] = {}
    n_lines, part = 0, "start"
    for line in steps:
        now = time.perf_counter()
        parts[part] = parts.get(part, 0.0) + now - last
        last, n_lines = now, n_lines + 1
        part = "embedding" if "pairs" in line else line.split()[0]
        if stop_after is not None and now - started > stop_after:
            steps.close()
            stopped_in = round(time.perf_counter() - now, 3)
            return Timed(round(now - started, 2), _cpu_since(cpu), _rounded(parts), n_lines, stopped_in)
    parts[part] = parts.get(part, 0.0) + time.perf_counter() - last
    return Timed(round(time.perf_counter() - started, 2), _cpu_since(cpu), _rounded(parts), n_lines)


def _cpu_since(before: float) -> float:
    return round(time.process_time() - before, 2)


def _rounded(parts: dict[str, float]) -> dict[str, float]:
    return {name: round(seconds, 2) for name, seconds in parts.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one JSON line per run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--tasks", type=int, default=5)
    parser.add_argument("--wordings", type=int, default=10, help="of each task, at most 13")
    parser.add_argument("--profile", action="store_true", help="where the time of the first run goes")
    options = parser.parse_args(arguments)
    texts, labels = made_texts(options.texts)
    inputs = Inputs(CHECKPOINTS[0].id, INSTRUCTIONS, tuple(texts), tuple(labels))
    tasks = tasks_of(options.tasks, options.wordings)
    comparison.word_tasks = lambda *_: tasks  # type: ignore[assignment]
    runtime = Runtime(CHECKPOINTS[:1], device="cpu")
    runtime.encoder(inputs.checkpoint_id).encode([("", "warm")])
    profile = cProfile.Profile() if options.profile else None
    book = ScoreBook()
    for name in ("from nothing", "again"):
        with profile or nullcontext():
            result = timed(runtime, book, inputs)
        print(json.dumps({"run": name, "texts": len(texts), "load": os.getloadavg()[0], **vars(result)}), flush=True)
        if profile:
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
            profile = None
    runtime = Runtime(CHECKPOINTS[:1], device="cpu")
    runtime.encoder(inputs.checkpoint_id).encode([("", "warm")])
    print(json.dumps({"run": "stopped", **vars(timed(runtime, ScoreBook(), inputs, stop_after=3))}), flush=True)
    runtime.encoder(inputs.checkpoint_id).encode([("", "warm again")])  # the slice at hand ends before the process does


if __name__ == "__main__":
    main()
