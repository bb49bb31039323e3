"""Measures how time, memory and what is sent to the browser grow with the number of texts on the page.

    .venv/bin/python -m tests.benchmarks.scale                       100, 1,000 and 10,000 texts: some minutes
    .venv/bin/python -m tests.benchmarks.scale --texts 100 1000
    .venv/bin/python -m tests.benchmarks.scale --plot scale.html     the picture of README.md

Each size runs in a process of its own, so that its peak memory is its own. What is measured is what the page calls:
the run that embeds, the tabs, and the leaderboard of the Lab, on the bundled checkpoint, texts of 5 to 15 words with 8
labels. Peaks of memory: `rss` is that of the process since it started, `python` what Python and NumPy held at most
during the step. `sent` is the length of what goes to the browser. The load of the machine is reported with it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

STATUS = Path("/proc/self/status")
SIZES = (100, 1_000, 10_000)
INSTRUCTIONS = ("Represent the sentence for its topic: ", "Represent the sentence for its mood: ")
LABELS = ("food", "film", "hotel", "phone", "sport", "science", "travel", "music")
WORDS = (
    *("the", "a", "quiet", "late", "cold", "bright", "old", "new", "small", "never", "always", "often", "soup", "room"),
    *("match", "atom", "train", "song", "was", "is", "seems", "felt", "broke", "played", "left", "came", "about"),
    *("under", "after", "without", "with", "for", "and", "but"),
)
MATRICES = {"scale": "shared", "order": "given", "first": 0, "second": 1}


@dataclass(frozen=True)
class Step:
    """One thing that the page does."""

    name: str
    n_texts: int
    seconds: float
    cpu_seconds: float  # of all cores together: what counts on a machine that others use as well
    python_mb: float  # peak of Python and NumPy during the step, in a second call: embeddings come from the cache
    rss_mb: float  # peak of the process by then
    sent_bytes: int  # to the browser


def made_texts(n: int) -> tuple[list[str], list[str]]:
    """Return n texts and their labels, always the same ones."""
    rng = np.random.default_rng(0)
    texts = []
    for i in range(n):
        words = rng.choice(WORDS, int(rng.integers(5, 16)))
        texts.append(f"{LABELS[i % len(LABELS)]} {' '.join(words)} {i}")
    return texts, [LABELS[i % len(LABELS)] for i in range(n)]


@contextmanager
def traced() -> Iterator[Callable[[], float]]:
    """Give a function that returns the peak of what Python held since, in megabytes."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def rss_mb() -> float:
    """Return the peak of this process in megabytes."""
    if STATUS.exists():  # Linux, where `getrusage` begins with the peak of the process that started this one
        return int(re.findall(r"VmHWM:\s+(\d+) kB", STATUS.read_text())[0]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def size_of(sent: object) -> int:
    """Return the length of what is sent, as JSON in UTF-8."""
    return len((sent if isinstance(sent, str) else json.dumps(sent, default=str)).encode())


def measure(name: str, n: int, call: Callable[[], object]) -> Step:
    """Time one call, then watch the memory of another, because watching slows it down; a second one embeds nothing."""
    started, cpu = time.perf_counter(), time.process_time()
    sent = call()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    with traced() as peak:
        call()
        python_mb = peak()
    return Step(
        name, n, round(seconds, 3), round(cpu_seconds, 3), round(python_mb, 1), round(rss_mb(), 1), size_of(sent)
    )


def steps_of(n: int) -> Iterator[Step]:
    """Do what the page does with n texts, step by step."""
    from instructor_core.analysis.projection import warm_up
    from instructor_core.hub import CHECKPOINTS
    from instructor_core.ui.components import rows_json
    from instructor_core.ui.data.inputs import parse_inputs
    from instructor_core.ui.look.canvas import Context
    from instructor_core.ui.look.projection import place
    from instructor_core.ui.look.views import view_of
    from instructor_core.ui.page import Selected
    from instructor_core.ui.server.runtime import Runtime
    from instructor_core.ui.trial.boards import compare_instructions
    from instructor_core.ui.trial.comparison import Request, ScoreBook

    texts, labels = made_texts(n)
    typed = "\n".join(f"{text}\t{label}" for text, label in zip(texts, labels, strict=True))
    inputs = parse_inputs(CHECKPOINTS[0].id, INSTRUCTIONS, typed)
    runtime = Runtime(CHECKPOINTS[:1], device="cpu")
    runtime.encoder(CHECKPOINTS[0].id).encode([("", "warm")])
    warm_up()

    def encode() -> str:
        runtime.grid(inputs)
        return rows_json(inputs)

    def drawn(tab: str, selected: Selected, options: dict[str, object], view: str = "") -> str:
        named = {f"{tab}.{option}": value for option, value in options.items()}
        panels = view_of(tab, view).draw(Context(runtime, inputs, selected, named)).panels
        return "" if panels is None else panels.to_json()

    def mapped(**options: object) -> str:
        place.cache_clear()  # no map is there before
        return drawn("map", Selected(), view_of("map").defaults | options)

    def leaderboard() -> str:
        steps = compare_instructions(runtime, ScoreBook(), inputs, Request())
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return str(stop.value.panels.to_json())

    yield measure("encode", n, encode)
    for name, selected in (("similarity", Selected()), ("another text", Selected(5, 1, 0))):
        yield measure(name, n, lambda selected=selected: drawn("similarity", selected, MATRICES))
    yield measure("another option", n, lambda: drawn("similarity", Selected(), MATRICES, "difference"))
    yield measure("map", n, lambda: mapped(method="umap"))
    yield measure("another map option", n, lambda: mapped(method="pca", center=True))
    yield measure("leaderboard", n, leaderboard)


def as_markdown(steps: list[Step], machine: dict[str, object]) -> str:
    """Return the table, one row per step, one group of columns per size, and a line on the machine."""
    sizes = sorted({step.n_texts for step in steps})
    found = {(step.name, step.n_texts): step for step in steps}
    head = "| step | " + " | ".join(f"{n:,} texts: s · CPU s · MB Python · MB process · kB sent" for n in sizes) + " |"
    lines = [head, "|---|" + "---|" * len(sizes)]
    for name in dict.fromkeys(step.name for step in steps):
        cells = []
        for n in sizes:
            step = found.get((name, n))
            cells.append(
                f"{step.seconds:.2f} · {step.cpu_seconds:.2f} · {step.python_mb:.0f} · {step.rss_mb:.0f} · "
                f"{step.sent_bytes / 1e3:.0f}"
                if step
                else ""
            )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    facts = ", ".join(f"{name} {value}" for name, value in machine.items())
    return "\n".join([*lines, "", f"{len(INSTRUCTIONS)} instructions; {facts}", ""])


def plot(steps: list[Step], path: Path) -> None:
    """Write seconds, memory and bytes over the number of texts, on logarithmic axes, as one HTML file."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    from instructor_core.figures import theme

    columns = (("seconds", "seconds"), ("python_mb", "MB held by Python"), ("sent_bytes", "bytes sent"))
    figure = make_subplots(1, len(columns), subplot_titles=[title for _, title in columns])
    for rank, name in enumerate(dict.fromkeys(step.name for step in steps)):
        own = sorted((step for step in steps if step.name == name), key=lambda step: step.n_texts)
        for column, (attribute, _) in enumerate(columns, start=1):
            figure.add_trace(
                go.Scatter(
                    x=[step.n_texts for step in own],
                    y=[getattr(step, attribute) or None for step in own],
                    name=name,
                    legendgroup=name,
                    showlegend=column == 1,
                    line={"color": theme.label_color(rank)},
                    marker={"symbol": theme.label_symbol(rank), "size": theme.MARKER_SIZE},
                    mode="lines+markers",
                ),
                row=1,
                col=column,
            )
    figure.update_xaxes(type="log", dtick=1, title_text="texts")
    figure.update_yaxes(type="log", dtick=1)
    legend = {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"}
    figure.update_layout(template=theme.template(), height=420, legend=legend, margin={"t": 40, "b": 90})
    config = {"displaylogo": False, "showSendToCloud": False, "plotlyServerURL": ""}
    figure.write_html(path, include_plotlyjs=True, config=config)


def machine() -> dict[str, object]:
    """Return what the numbers depend on."""
    import torch

    return {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, nargs="+", default=list(SIZES), help="numbers of texts")
    parser.add_argument("--plot", type=Path, help="HTML file to write the plot to")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        for step in steps_of(options.child):
            print(json.dumps(asdict(step)), flush=True)
        return
    steps = []
    for n in options.texts:
        command = [sys.executable, "-m", "tests.benchmarks.scale", "--child", str(n)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        steps += [Step(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]
    print(as_markdown(steps, machine()))
    if options.plot is not None:
        plot(steps, options.plot)


if __name__ == "__main__":
    main()
