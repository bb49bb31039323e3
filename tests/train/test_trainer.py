"""The training loop: what it does in a step, what it leaves on disk, and that a killed run goes on exactly."""

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
from safetensors.torch import load_file

from instructor_core import InstructorModel
from instructor_core.errors import UserError
from instructor_core.train import trainer as trainer_module
from instructor_core.train.batch import Batch
from instructor_core.train.chunked import Workers
from instructor_core.train.records import Record
from instructor_core.train.settings import TrainingSettings
from instructor_core.train.source import RecordSource
from instructor_core.train.trainer import LOG_FILE, STATE_FILE, TrainingReport, train
from instructor_core.train.watch import Watch, score_limit
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
      TrainingSettings(n_steps=12, save_every=6, average=0.9, **SETTINGS), Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("train") / "tiny", d_model=32, d_ff=48, num_heads=2)


def run(
    checkpoint: Path, folder: Path, *, source: Any = None, model: Any = None, evaluate: Any = None, **settings: Any
) -> TrainingReport:
    model = model or InstructorModel(checkpoint, trainable=True, device="cpu")
    source = source or RecordSource(RECORDS, batch_size=4)
    settings = {"n_steps": 12, **SETTINGS, **settings}
    return train(model, source, TrainingSettings(**settings), folder, evaluate=evaluate)


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / LOG_FILE).read_text(encoding="utf-8").splitlines()]


def test_a_killed_run_goes_on_with_the_losses_it_would_have_had(checkpoint: Path, tmp_path: Path) -> None:
    whole = run(checkpoint, tmp_path / "whole", average=0.9)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(checkpoint), str(tmp_path / "killed")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(torch.get_num_threads())},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    resumed = run(checkpoint, tmp_path / "killed", save_every=6, average=0.9)
    states = [torch.load(tmp_path / name / STATE_FILE, weights_only=True) for name in ("whole", "killed")]
    for mine, other in zip(*(state["average"] for state in states), strict=True):
        torch.testing.assert_close(mine, other)
    assert len(whole.losses) == 12
    assert resumed.losses == pytest.approx(whole.losses[6:], rel=1e-6)
    assert resumed.tokens == whole.tokens
    assert resumed.means == pytest.approx(whole.means, rel=1e-6)


def test_every_kind_of_step_learns_the_same(checkpoint: Path, tmp_path: Path) -> None:
    plain = run(checkpoint, tmp_path / "plain", bfloat16=False, workers=1)
    cached = run(checkpoint, tmp_path / "cached", bfloat16=False, workers=1, gradient_cache=True)
    shared = run(checkpoint, tmp_path / "shared", bfloat16=False, workers=3)
    half = run(checkpoint, tmp_path / "half", workers=1)
    ahead = run(checkpoint, tmp_path / "ahead", bfloat16=False, workers=1, prepare_processes=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer_module, "is_packed", lambda *_: True)
        packed = run(checkpoint, tmp_path / "packed", bfloat16=False)
    assert ahead.losses == pytest.approx(plain.losses, rel=1e-6)
    assert packed.losses == pytest.approx(plain.losses, rel=1e-4)
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
    report = run(checkpoint, tmp_path, model=model)
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

    report = run(checkpoint, tmp_path, evaluate=evaluate, evaluate_every=6)
    lines = capsys.readouterr().err.splitlines()
    progress = [line for line in lines if "tokens/s" in line]
    assert [line.split()[2] for line in progress] == ["5/12", "10/12", "12/12"]
    assert all("left" in line and "loss" in line and "contrastive" in line for line in progress)
    assert seen == [6, 13]  # after six steps, and after the twelfth: the first evaluation is in the log, too
    assert report.evaluation == {"score": 0.25}
    assert sum("evaluation" in line and "score 0.2500" in line for line in lines) == 2
    assert all("scores" in line and "norm" in line for line in progress)
    assert {"batch", "loss", "step", "tokens"} == logged(tmp_path)[0].keys()


class Broken(RecordSource):
    """Losses are not finite in some batches; some batches cannot be made, and end the process that makes them."""

    bad: frozenset[int] = frozenset()
    impossible: frozenset[int] = frozenset()
    deadly: frozenset[int] = frozenset()

    def batch(self, step: int) -> Batch:
        if step in self.impossible:
            raise IndexError("no such letter")
        if step in self.deadly and os.getpid() != MAIN and not FLAG.exists():
            FLAG.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        batch = super().batch(step)
        if step in self.bad:
            return Batch(batch.pairs, not_finite, "broken")
        return batch


MAIN = os.getpid()
FLAG = Path()


def not_finite(embeddings: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
    return embeddings.sum() * math.inf, {}


def broken(**numbers: frozenset[int]) -> Broken:
    source = Broken(RECORDS, batch_size=4)
    vars(source).update(numbers)
    return source


def test_a_wild_step_is_left_out_and_changes_no_weight(checkpoint: Path, tmp_path: Path) -> None:
    report = run(checkpoint, tmp_path, source=broken(bad=frozenset({11})), save_every=11, keep_copies=9)
    state = torch.load(tmp_path / STATE_FILE, weights_only=True)
    model = InstructorModel(checkpoint, trainable=True, device="cpu")
    model.load_state_dict(load_file(tmp_path / "step-000011.safetensors"), strict=False)
    assert [math.isfinite(loss) for loss in report.losses] == [True] * 11 + [False]
    assert [entry.get("left out", False) for entry in logged(tmp_path)] == [False] * 11 + [True]
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, state["weights"][name].half().float())


def test_a_run_that_is_being_lost_goes_back_with_half_of_the_rate_and_ends_after_some_times(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run(checkpoint, tmp_path / "once", n_steps=40, save_every=5, source=broken(bad=frozenset(range(12, 18))))
    told = capsys.readouterr().err
    assert "step 15: 3 of the last 15 steps had no finite loss" not in told  # a fifth
    assert "6 of the last 20 steps had no finite loss or a gradient far beyond the usual. Back to" in told
    assert report.steps == 40 and math.isfinite(report.losses[-1])
    state = torch.load(tmp_path / "once" / STATE_FILE, weights_only=True)
    assert state["progress"]["rate"] == 0.5 and state["progress"]["returns"] == 1
    with pytest.raises(UserError, match="went wrong 7 times"):
        run(checkpoint, tmp_path / "always", n_steps=40, save_every=2, source=broken(bad=frozenset(range(40))))
    with pytest.raises(UserError, match="attention score of block"):
        run(checkpoint, tmp_path / "scores", n_steps=40, save_every=2, max_score=0.01)


def test_the_watch_knows_a_long_gradient_by_those_before_it() -> None:
    watch = Watch()
    assert [bool(watch.is_wild(torch.tensor(norm))) for norm in (1e9, math.inf, math.nan)] == [False, True, True]
    watch.add([2.0] * 20, 20, 1.0)
    assert (watch.usual, watch.limit) == (2.0, 60.0)
    assert [bool(watch.is_wild(torch.tensor(norm))) for norm in (59.0, 61.0)] == [False, True]
    assert watch.trouble([30.0], 200.0, 1.0) == ""
    watch.add([50.0] * 20, 40, 1.0)
    assert watch.trouble([30.0], 200.0, 1.0) == ""  # 25 times
    watch.add([70.0] * 20, 60, 1.0)
    assert "70.0, once it was 2.00" in watch.trouble([30.0], 200.0, 1.0)
    assert "block 1 is 300" in Watch().trouble([30.0, 300.0], 200.0, 1.0)
    assert "block 0" in Watch().trouble([math.nan], 200.0, 1.0)
    small = Watch()
    small.add([1e-6] * 20, 20, 1.0)
    assert not bool(small.is_wild(torch.tensor(20.0)))  # a run that knows its texts by heart meets another
    assert (score_limit([10.0, 90.0], None), score_limit([10.0], None), score_limit([9e9], 50.0)) == (360, 200, 50)


def test_processes_replace_what_cannot_be_made_and_a_killed_one(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "FLAG", tmp_path / "died")
    monkeypatch.setattr("instructor_core.train.preparing._PATIENCE", 0.1)
    source = broken(impossible=frozenset({3}), deadly=frozenset({5}))
    report = run(checkpoint, tmp_path / "a", source=source, prepare_processes=2, workers=1)
    assert report.steps == 12 and (tmp_path / "died").exists()
    assert "left out: batch 3: IndexError: no such letter" in capsys.readouterr().err
    again = run(checkpoint, tmp_path / "b", source=source, prepare_processes=2, workers=1)
    assert again.losses == pytest.approx(report.losses, rel=1e-6)
    with pytest.raises(UserError, match="Batch 1 could not be made"):
        every = frozenset({1 + 1_000_003 * i for i in range(5)})
        run(checkpoint, tmp_path / "c", source=broken(impossible=every), prepare_processes=2)
    with pytest.raises(IndexError):
        run(checkpoint, tmp_path / "d", source=broken(impossible=every))


def test_a_step_follows_the_mean_of_its_batches_and_a_source_is_told_how_far_the_run_is(
    checkpoint: Path, tmp_path: Path
) -> None:
    class Staged(RecordSource):
        def batch(self, step: int, progress: float = 0.0) -> Batch:
            asked.append((step, progress))
            return super().batch(step)

    asked: list[tuple[int, float]] = []
    source = Staged(RECORDS, batch_size=4)
    report = run(checkpoint, tmp_path / "two", source=source, n_steps=3, batches_per_step=2, learning_rate=0.0)
    assert asked[1:] == [(0, 0.0), (1, 0.0), (2, 0.33), (3, 0.33), (4, 0.66), (5, 0.66)]  # the first is watched
    single = run(checkpoint, tmp_path / "one", n_steps=6, learning_rate=0.0).losses
    assert report.losses == pytest.approx([sum(single[i : i + 2]) / 2 for i in (0, 2, 4)], rel=1e-5)


def test_queries_and_keys_move_by_their_own_rate(checkpoint: Path, tmp_path: Path) -> None:
    run(checkpoint, tmp_path, n_steps=1, query_key_scale=0.25, weight_decay=0.0, warmup_steps=0)
    weights = torch.load(tmp_path / STATE_FILE, weights_only=True)["weights"]
    before = InstructorModel(checkpoint, trainable=True, device="cpu").state_dict()
    name = "transformer.encoder.block.0.layer.0.SelfAttention.{}.weight"
    moved = {part: float((weights[name.format(part)] - before[name.format(part)]).abs().max()) for part in "qkvo"}
    assert moved["q"] == pytest.approx(2.5e-4, rel=1e-2) and moved["k"] == pytest.approx(2.5e-4, rel=1e-2)
    assert moved["v"] == pytest.approx(1e-3, rel=1e-2) and moved["o"] == pytest.approx(1e-3, rel=1e-2)


def test_averaged_weights_are_evaluated_kept_in_copies_and_left_in_the_model(checkpoint: Path, tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []

    def evaluate(model: InstructorModel) -> dict[str, float]:
        seen.append(model.dense.weight.detach().clone())
        return {}

    model = InstructorModel(checkpoint, trainable=True, device="cpu")
    start = model.dense.weight.detach().clone()
    often = {"save_every": 1, "evaluate_every": 1}
    run(checkpoint, tmp_path, model=model, evaluate=evaluate, n_steps=4, average=0.5, keep_copies=2, **often)
    raw = torch.load(tmp_path / STATE_FILE, weights_only=True)["weights"]["dense.weight"]
    # Decays are 1/11, 2/12, 3/13, 4/14: after one step the average is nearly the step's own weights.
    after_one = (seen[0] - start / 11) * 11 / 10
    assert torch.linalg.norm(seen[0] - after_one) < 0.15 * torch.linalg.norm(after_one - start)
    torch.testing.assert_close(seen[3], raw + (seen[2] - raw) * 4 / 14)
    assert torch.equal(model.dense.weight, seen[3])
    assert sorted(path.stem for path in tmp_path.glob("step-*")) == ["step-000003", "step-000004"]
    model.load_state_dict(load_file(tmp_path / "step-000003.safetensors"), strict=False)
    torch.testing.assert_close(model.dense.weight.detach(), seen[2].half().float())


def test_a_run_by_the_clock_ends_by_it_and_goes_on_where_its_time_stood(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    class Clock(RecordSource):
        def batch(self, step: int) -> Batch:
            now[0] += 1.0
            return super().batch(step)

    monkeypatch.setattr(trainer_module.time, "perf_counter", lambda: now[0])
    settings = {"seconds": 10.0, "n_steps": None, "source": Clock(RECORDS, batch_size=4)}
    assert run(checkpoint, tmp_path / "whole", **settings).steps == 10
    assert run(checkpoint, tmp_path / "part", **{**settings, "seconds": 4.0}).steps == 4
    assert run(checkpoint, tmp_path / "part", **settings).steps == 10


def test_the_rate_rises_stays_and_falls_and_workers_divide_jobs_evenly_and_pass_errors_on() -> None:
    settings = TrainingSettings(n_steps=100, warmup_steps=10, decay=0.5, min_scale=0.1)
    scales = {step: settings.scale(step, settings.done(step, 0)) for step in (0, 9, 49, 75, 99)}
    assert scales == pytest.approx({0: 0.1, 9: 1.0, 49: 1.0, 75: 0.5, 99: 0.1})
    clock = TrainingSettings(seconds=200, fall="cosine", warmup_steps=2)
    scales = {seconds: clock.scale(5, clock.done(5, seconds)) for seconds in (0, 50, 100, 200, 300)}
    assert scales == pytest.approx({0: 1.0, 50: (1 + math.sqrt(0.5)) / 2, 100: 0.5, 200: 0.0, 300: 0.0})
    for wrong, word in (({"decay": 1.5}, "decay"), ({"seconds": 9}, "by the clock"), ({"fall": "x"}, "cosine")):
        with pytest.raises(UserError, match=word):
            TrainingSettings(n_steps=1, **wrong)
    with pytest.raises(UserError, match="by the clock"):
        TrainingSettings()
    workers = Workers(2)
    assert workers.share([5, 9, 4, 1, 1]) == [[1, 3], [0, 2, 4]]
    with pytest.raises(ZeroDivisionError):
        workers.run(lambda worker: 1 // worker)
    workers.close()
