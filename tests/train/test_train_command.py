"""``python -m instructor_core.train`` from a file of records to a checkpoint with a model card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from instructor_core import InstructorModel
from instructor_core.train.__main__ import main
from instructor_core.train.card import model_card
from instructor_core.train.records import read_records
from instructor_core.train.settings import TrainingSettings
from instructor_core.train.trainer import TrainingReport
from tests.conftest import make_checkpoint
from tests.train.planted import planted_records


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "planted.jsonl"
    lines = [
        {"query": record.query, "pos": ["", f"some|thing {i}"], "task_id": "things | pairs"}
        if record.task == "thing"
        else {"query": record.query, "label": record.label, "task_id": record.task}
        for i, record in enumerate(planted_records(60))
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def test_the_command_trains_evaluates_and_saves(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = make_checkpoint(tmp_path / "random", d_model=32, d_ff=48, num_heads=2)
    out = tmp_path / "fruit"
    command = [str(data), str(out), "--from", str(start), "--device", "cpu", "--epochs", "2", "--batch-size", "16"]
    command += ["--held-out", "0.2", "--learning-rate", "1e-3", "--evaluate-every", "5", "--gradient-cache"]
    assert main(command) == 0
    told = capsys.readouterr().err
    assert "held out" in told
    assert told.count("evaluation (") >= 2
    assert "after training: " in told
    card = (out / "checkpoint" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: sentence-transformers\n")
    facts = ["# fruit\n", "fine-tuned from `random`", "`planted.jsonl`", "| things / pairs |", "| colour |"]
    facts += ["| learning_rate | 0.001 |", "| neighbours | ", "| found | "]
    assert [fact for fact in facts if fact not in card] == []
    assert str(tmp_path) not in card and "base_model" not in card  # a folder is no name on the hub
    trained, untrained = InstructorModel(out / "checkpoint", device="cpu"), InstructorModel(start, device="cpu")
    assert abs(trained.encode([("", "a cup")]) - untrained.encode([("", "a cup")])).max() > 1e-3

    # Started again it finds the run finished and writes the same card.
    assert main(command) == 0
    assert "resumed at step" in capsys.readouterr().err
    again = (out / "checkpoint" / "README.md").read_text(encoding="utf-8")
    assert again == card


def test_the_base_model_in_the_card_is_a_hub_name(data: Path) -> None:
    card = model_card(
        title="t",
        start="hkunlp/instructor-base",
        data=[data],
        records=read_records(data),
        settings=TrainingSettings(n_steps=3),
        batches={"batch_size": 4},
        own_negatives=["things | pairs"],
        report=TrainingReport(3, 100, 60.0, [1.0], {"labels": 0.5}, {}),
        before={},
    )
    assert "| things / pairs | 60 | own negatives |" in card
    assert "| colour | 60 | labels |" in card
    assert "base_model: hkunlp/instructor-base\n" in card
    assert "supervised contrastive loss (Khosla et al. 2020): last running mean 0.5000" in card
    assert "no records were held out" in card


def test_a_mistake_ends_with_a_sentence_and_no_traceback(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, message in (
        (["missing.jsonl", "out"], "missing.jsonl"),
        ([str(data), "out", "--from", "no/such/checkpoint/here"], "No checkpoint"),
        ([str(data), "out", "--steps", "0"], "n_steps"),
    ):
        assert main(arguments) == 2
        told = capsys.readouterr().err
        assert told.startswith("python -m instructor_core.train: ") and message in told
        assert not (tmp_path / "out").exists()
