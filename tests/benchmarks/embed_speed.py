"""Measures rows a second, memory and cost of `embed` on generated reviews: one core, two, and Ray with two workers.

    .venv/bin/python -m tests.benchmarks.embed_speed                     1,000,000 rows three times: hours
    .venv/bin/python -m tests.benchmarks.embed_speed --rows 40000

Each engine runs the command line in processes of its own, with the bundled checkpoint, on the same Parquet file in the
temporary folder. Seconds are those of the whole command, from its imports to the renamed result; memory is the highest
sum over its processes, read every half second; core-hours are the processor time of all of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
ENGINES = {
    "one core": (1, []),
    "two cores": (2, []),
    "Ray, two workers": (1, ["--engine", "ray", "--cpus-per-actor", "1"]),
}
PARTS = {
    "subject": (
        "the room",
        "breakfast",
        "the screen",
        "delivery",
        "the battery",
        "our waiter",
        "the ending",
        "this tent",
    ),
    "verdict": (
        "was better than expected",
        "broke within a week",
        "took far too long",
        "is worth every penny",
        "was cold",
    ),
    "detail": (
        "and nobody seemed to care",
        "although the price was fair",
        "so we shall come back",
        "and I want a refund",
    ),
}


@dataclass(frozen=True)
class Cost:
    """What a run took."""

    seconds: float
    peak_mb: float
    core_hours: float


def write_reviews(path: Path, n_rows: int) -> None:
    """Write n reviews of one to six sentences, each with a number of its own, as Parquet."""
    rng = np.random.default_rng(0)
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())])) as writer:
        for start in range(0, n_rows, 50_000):
            texts = []
            for number in range(start, min(n_rows, start + 50_000)):
                sentences = [
                    " ".join(str(rng.choice(words)) for words in PARTS.values()) for _ in range(int(rng.integers(1, 7)))
                ]
                texts.append(f"Order {number}: {'. '.join(sentences)}.")
            writer.write_table(pa.table({"text": texts}))


def run(source: Path, out: Path, threads: int, options: list[str]) -> Cost:
    """Embed the file in processes of its own."""
    command = [sys.executable, "-m", "instructor_core.embed", source, out, "--instruction", "Represent the review: "]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "RAY_ADDRESS": "local"}
    started = time.perf_counter()
    process = psutil.Popen([*map(str, command), *options], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    peak, spent = 0.0, dict[int, float]()
    while process.poll() is None:
        memory = 0.0
        for each in (process, *process.children(recursive=True)):
            try:
                with each.oneshot():
                    memory += each.memory_info().rss / 1e6
                    spent[each.pid] = sum(each.cpu_times()[:2])
            except psutil.Error:
                continue  # it has just ended
        peak = max(peak, memory)
        time.sleep(0.5)
    if process.returncode:
        raise RuntimeError(f"embed ended with status {process.returncode}")
    return Cost(time.perf_counter() - started, peak, sum(spent.values()) / 3600)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="reviews to embed (1,000,000)")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), help="which of them (all)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in.parquet")
        write_reviews(source, options.rows)
        print(f"{options.rows} rows, {source.stat().st_size / 1e6:.0f} MB", flush=True)
        for name in options.engines:
            cost = run(source, Path(folder, f"{name.replace(' ', '-')}.parquet"), *ENGINES[name])
            print(
                f"{name}: {options.rows / cost.seconds:.0f} rows a second, {cost.seconds:.0f} s, at most "
                f"{cost.peak_mb:.0f} MB, {cost.core_hours * 1e6 / options.rows:.2f} core-hours per million rows",
                flush=True,
            )


if __name__ == "__main__":
    main()
