"""Measures how much memory `embed` takes for a table of any size: it reads in batches and holds one part at a time.

    .venv/bin/python -m tests.benchmarks.embed_memory                    2,000 MB of CSV, planned and read: minutes
    .venv/bin/python -m tests.benchmarks.embed_memory --megabytes 150

The table is made in the temporary folder and removed. A process of its own cuts it into parts and then reads all of
them, as a run does; the network is left out, whose memory depends on the checkpoint and not on the table. `before` is
the process after its imports, `growth` what reading added to that at most.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SENTENCE = "the ferry was late again and nobody on board could say why it left the harbour without its light "
READ = r"""
import json, sys
from pathlib import Path
from instructor_core.embed.job import Job
from instructor_core.embed.source import RowReader
from tests.benchmarks.scale import rss_mb

before = rss_mb()
job = Job(Path(sys.argv[1]), "text", "Represent the sentence: ", "instructor-mini")
starts = job.plan(job.open_source())
reader = RowReader(job.open_source())
for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist()):
    assert len(reader.read(start, stop)) == stop - start
print(json.dumps({"rows": int(starts[-1]), "parts": len(starts) - 1, "before_mb": before, "peak_mb": rss_mb()}))
"""


@dataclass(frozen=True)
class Reading:
    """What reading a table took; memory in megabytes."""

    rows: int
    parts: int
    before_mb: float
    peak_mb: float

    @property
    def growth_mb(self) -> float:
        """What reading added."""
        return self.peak_mb - self.before_mb


def write_table(path: Path, megabytes: int) -> None:
    """Write a CSV of about so many megabytes; rows of 10 to 1,700 characters in quotation marks."""
    rows = [
        SENTENCE[i % 90 :] + (SENTENCE * (i % 17)).replace("harbour", 'harb""our\n', i % 2)  # one is of two lines
        for i in range(1000)
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("id,text\n")
        number = written = 0
        while written < megabytes * 1_000_000:
            block = "".join(f'{number + i},"{row}"\n' for i, row in enumerate(rows))
            number += len(rows)
            written += file.write(block)


def measure(megabytes: int) -> Reading:
    """Plan and read a table in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder, "in.csv"), megabytes)
        command = [sys.executable, "-c", READ, str(Path(folder, "in.csv"))]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Reading(**json.loads(done.stdout))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=2000, help="size of the table (2000)")
    megabytes = parser.parse_args().megabytes
    started = time.perf_counter()
    found = measure(megabytes)
    print(
        f"{megabytes} MB, {found.rows} rows in {found.parts} parts, {time.perf_counter() - started:.0f} s: "
        f"before {found.before_mb:.0f} MB, peak {found.peak_mb:.0f} MB, growth {found.growth_mb:.0f} MB"
    )


if __name__ == "__main__":
    main()
