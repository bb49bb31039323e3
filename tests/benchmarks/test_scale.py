"""The benchmarks of the page measure what they say; nothing here asserts a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.benchmarks import first_paint, interaction, scale

ROOT = Path(__file__).parents[2]


def test_a_step_reports_the_memory_and_the_bytes_of_its_call() -> None:
    calls = []

    def act() -> str:
        calls.append(np.ones(1_000_000))  # 8 MB
        return "é" * 10

    step = scale.measure("act", 5, act)
    assert len(calls) == 2
    assert 7.9 < step.python_mb < 12
    assert step.sent_bytes == 20


def test_the_peak_is_that_of_the_process_and_not_of_the_one_that_started_it() -> None:
    ballast = np.ones(50_000_000)  # 400 MB
    command = [sys.executable, "-c", "from tests.benchmarks.scale import rss_mb; print(rss_mb())"]
    own = float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    assert ballast.nbytes < scale.rss_mb() * 1e6
    assert 5 < own < 200


def test_table_and_plot_hold_every_step(tmp_path: Path) -> None:
    steps = [scale.Step(name, n, 0.5, 0.4, 1.0, 2.0, 3000) for name in ("encode", "map") for n in (100, 1000)]
    table = scale.as_markdown(steps, {"load": "1.0"})
    assert "| encode | 0.50 · 0.40 · 1 · 2 · 3 | 0.50 · 0.40 · 1 · 2 · 3 |" in table
    scale.plot(steps, tmp_path / "scale.html")
    page = (tmp_path / "scale.html").read_text(encoding="utf-8")
    assert '"showSendToCloud": false' in page and "bytes sent" in page


def test_import_times_are_added_up_by_package() -> None:
    report = "import time: self [us] | cumulative | imported package\n" + "\n".join(
        f"import time: {own:9d} | {own:10d} | {module}"
        for own, module in ((1500, "torch._C"), (500_000, "torch"), (2000, "json.decoder"), (250_000, "  gradio"))
    )
    assert first_paint.by_package(report) == {"torch": 0.5015, "gradio": 0.25, "standard library": 0.002}


def test_an_edit_encodes_one_text_under_every_instruction_and_a_switch_encodes_nothing() -> None:
    meter = interaction.Meter()
    inputs, _ = interaction.edited(meter, None, "before")
    assert meter.n_pairs == interaction.N_TEXTS * len(interaction.INSTRUCTIONS)
    edit = meter.change("edit", 1, lambda _: interaction.edited(meter, inputs, "after")[1])
    assert edit.encoded_pairs == len(interaction.INSTRUCTIONS)
    draw, options = interaction.TABS["Similarity"]

    def act(_: int) -> list[object]:
        return list(draw(meter.runtime, inputs, interaction.Selected(), **options))

    switch = meter.change("draw", 1, act)
    assert switch.encoded_pairs == 0
    assert switch.sent_bytes == len("".join(str(value) for value in act(0)).encode())
    assert len(json.loads(str(act(0)[1]))["panels"]) == len(interaction.INSTRUCTIONS)
