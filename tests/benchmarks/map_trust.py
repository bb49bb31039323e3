"""Measures what UMAP's way for many points costs in trustworthiness and saves in time, beside umap-learn's own way.

    .venv/bin/python -m tests.benchmarks.map_trust                        made texts, some minutes
    .venv/bin/python -m tests.benchmarks.map_trust A.txt B.txt            files with a text on each line

Under two instructions on the bundled checkpoint; medians of processor seconds, means of trustworthiness.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from instructor_core import InstructorModel
from instructor_core.analysis.projection import warm_up
from instructor_core.analysis.reduction import (
    distinct_points,
    measure_trustworthiness,
    umap_positions,
    umap_positions_of_many,
)
from tests.benchmarks.scale import INSTRUCTIONS, made_texts

SIZES = (500, 1000, 1500, 2000)
WAYS = {"umap-learn's own": umap_positions, "of many points": umap_positions_of_many}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--texts", type=int, nargs="+", default=list(SIZES), help="numbers of texts")
    options = parser.parse_args()
    most = max(options.texts)
    sets = [path.read_text(encoding="utf-8").splitlines()[:most] for path in options.files] or [made_texts(most)[0]]
    model = InstructorModel("instructor-mini")
    encoded = [model.encode([(one, text) for text in texts]) for texts in sets for one in INSTRUCTIONS]
    warm_up()
    print("| texts | way | CPU s | trustworthiness |\n|--:|---|--:|--:|")
    for n in options.texts:
        for name, way in WAYS.items():
            seconds, trust = [], []
            for vectors in (some for some in encoded if len(some) >= n):
                rows = distinct_points(vectors[:n]).rows
                started = time.process_time()
                positions = way(rows, 2, 10, 0.1, "cosine", 42)
                seconds.append(time.process_time() - started)
                trust.append(measure_trustworthiness(rows, positions, "cosine")[0] or 0.0)
            print(f"| {n:,} | {name} | {np.median(seconds):.2f} | {np.mean(trust):.3f} |", flush=True)


if __name__ == "__main__":
    main()
