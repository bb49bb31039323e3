"""The training loop: what it does in a step, what it leaves on disk, and that a killed run goes on exactly."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from instructor_core import InstructorModel
from instructor_core.errors import UserError
from instructor_core.train.records import Record
from instructor_core.train.source import RecordSource
from instructor_core.train.trainer import LOG_FILE, STATE_FILE, TrainingReport, TrainingSettings, Workers, train
from tests.checkpoints import make_checkpoint

ROOT = Path(__file__).parents[2]
WORDS = ("river", "window", "letter", "garden", "engine", "winter", "violin", "market", "shadow", "copper")
RECORDS = [
    Record(("ask: ", f"where is the {word}"), (("", f"the {word} is here"),), (), "places", None) for word in WORDS
]
SETTINGS: dict[str, Any] = {"learning_rate": 1e-3, "chunk_tokens": 64, "log_every": 5, "warmup_steps": 3}

KILLED = """
import os, signal, sys
from pathlib import Path
from instructor_core import InstructorModel
from tests.train.test_trainer import RECORDS, SETTINGS
from instructor_core.train import RecordSource, TrainingSettings, train

class Deadly(RecordSource):
    def batch(self, step):
        if step == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().batch(step)

train(InstructorModel(sys.argv[1], trainable=True, device="cpu"), Deadly(RECORDS, batch_size=4),
      TrainingSettings(n_steps=12, save_every=6, **SETTINGS), Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("train") / "tiny", d_model=32, d_ff=48, num_heads=2)


def run(checkpoint: Path, folder: Path, *, n_steps: int = 12, **settings: Any) -> TrainingReport:
    model = InstructorModel(checkpoint, trainable=True, device="cpu")
    source = RecordSource(RECORDS, batch_size=4)
    return train(model, source, TrainingSettings(n_steps=n_steps, **{**SETTINGS, **settings}), folder)


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / LOG_FILE).read_text(encoding="utf-8").splitlines()]


def test_a_killed_run_goes_on_with_the_losses_it_would_have_had(checkpoint: Path, tmp_path: Path) -> None:
    whole = run(checkpoint, tmp_path / "whole")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(checkpoint), str(tmp_path / "killed")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(torch.get_num_threads())},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    resumed = run(checkpoint, tmp_path / "killed", save_every=6)
    assert len(whole.losses) == 12
    assert resumed.losses == pytest.approx(whole.losses[6:], rel=1e-6)
    assert resumed.tokens == whole.tokens
    assert resumed.means == pytest.approx(whole.means, rel=1e-6)


def test_every_kind_of_step_learns_the_same(checkpoint: Path, tmp_path: Path) -> None:
    plain = run(checkpoint, tmp_path / "plain", bfloat16=False, workers=1)
    cached = run(checkpoint, tmp_path / "cached", bfloat16=False, workers=1, gradient_cache=True)
    shared = run(checkpoint, tmp_path / "shared", bfloat16=False, workers=3)
    half = run(checkpoint, tmp_path / "half", workers=1)
    assert cached.losses == pytest.approx(plain.losses, rel=1e-4)
    assert shared.losses == pytest.approx(plain.losses, rel=1e-4)
    assert half.losses == pytest.approx(plain.losses, rel=0.05)
    assert sum(plain.losses[-3:]) < 0.8 * sum(plain.losses[:3])


def test_a_finished_run_is_left_as_it_is_until_it_is_given_more_steps(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(checkpoint, tmp_path)
    weights = torch.load(tmp_path / STATE_FILE, weights_only=True)["weights"]
    capsys.readouterr()
    model = InstructorModel(checkpoint, trainable=True, device="cpu")
    report = train(model, RecordSource(RECORDS, batch_size=4), TrainingSettings(n_steps=12, **SETTINGS), tmp_path)
    assert report.losses == []
    assert report.steps == 12
    assert "resumed at step 12 of 12" in capsys.readouterr().err
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    run(checkpoint, tmp_path, n_steps=13, learning_rate=0.5)
    told = capsys.readouterr().err
    assert "n_steps from 12 to 13" in told and "learning_rate from 0.001 to 0.5" in told
    with pytest.raises(UserError, match="another shape"):
        run(make_checkpoint(tmp_path / "other", d_model=16, d_ff=48, num_heads=2), tmp_path)


def test_progress_tells_step_rate_remaining_time_and_means(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[int] = []

    def evaluate(model: InstructorModel) -> dict[str, float]:
        assert not model.training
        seen.append(len(logged(tmp_path)))
        return {"score": 0.25}

    model = InstructorModel(checkpoint, trainable=True, device="cpu")
    settings = TrainingSettings(n_steps=12, evaluate_every=6, **SETTINGS)
    report = train(model, RecordSource(RECORDS, batch_size=4), settings, tmp_path, evaluate=evaluate)
    lines = capsys.readouterr().err.splitlines()
    progress = [line for line in lines if "tokens/s" in line]
    assert [line.split()[2] for line in progress] == ["5/12", "10/12", "12/12"]
    assert all("left" in line and "loss" in line and "contrastive" in line for line in progress)
    assert seen == [6, 13]  # after six steps, and after the twelfth: the first evaluation is in the log, too
    assert report.evaluation == {"score": 0.25}
    assert sum("evaluation" in line and "score 0.2500" in line for line in lines) == 2
    assert {"batch", "loss", "step", "tokens"} == logged(tmp_path)[0].keys()


def test_a_loss_that_is_not_finite_ends_the_run(checkpoint: Path, tmp_path: Path) -> None:
    class Broken(RecordSource):
        def batch(self, step: int) -> Any:
            batch = super().batch(step)
            return type(batch)(batch.pairs, lambda embeddings: (embeddings.sum() * math.inf, {}), "broken")

    model = InstructorModel(checkpoint, trainable=True, device="cpu")
    with pytest.raises(UserError, match=r"step 0 \(broken\)"):
        train(model, Broken(RECORDS), TrainingSettings(n_steps=2), tmp_path)
    assert not (tmp_path / STATE_FILE).exists()


def test_workers_divide_jobs_evenly_and_pass_errors_on() -> None:
    workers = Workers(2)
    assert workers.share([5, 9, 4, 1, 1]) == [[1, 3], [0, 2, 4]]
    with pytest.raises(ZeroDivisionError):
        workers.run(lambda worker: 1 // worker)
    workers.close()


def test_the_rate_rises_stays_and_falls() -> None:
    settings = TrainingSettings(n_steps=100, warmup_steps=10, decay=0.5, min_scale=0.1)
    assert settings.scale(0) == pytest.approx(0.1)
    assert settings.scale(9) == settings.scale(49) == 1.0
    assert settings.scale(75) == pytest.approx(0.5)
    assert settings.scale(99) == 0.1
    with pytest.raises(UserError, match="decay"):
        TrainingSettings(n_steps=1, decay=1.5)
