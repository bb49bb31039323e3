"""The two commands of training, from files to a checkpoint with a model card."""

import json
from pathlib import Path

import pytest

from instructor_core import InstructorModel
from instructor_core.train.__main__ import main
from instructor_core.train.card import model_card
from instructor_core.train.mini import __main__ as mini
from instructor_core.train.records import read_records
from instructor_core.train.settings import TrainingSettings
from instructor_core.train.trainer import TrainingReport
from tests.checkpoints import make_checkpoint
from tests.train.planted import LetterTeacher, planted_records


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


@pytest.mark.parametrize("licences", ["all", "open"])
def test_one_command_makes_a_checkpoint_from_raw_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], licences: str
) -> None:
    monkeypatch.setattr(mini, "Teacher", lambda *_, **__: LetterTeacher())
    start = make_checkpoint(tmp_path / "random", d_model=32, d_ff=48, num_layers=1, num_heads=2)
    sources, out = tmp_path / "sources", tmp_path / "out"
    (sources / "lines").mkdir(parents=True)
    ends = ("was late.", "is good, I think.", "never starts!", "stood at the corner?")
    lines = [f"The {thing} {end} {i}" for i in range(40) for thing in ("soup", "train", "novel") for end in ends]
    (sources / "corpus.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (sources / "lines" / "wordnet.txt").write_text("\n".join(lines[:200]) + "\n", encoding="utf-8")  # an open source
    command = ["make", str(sources), "--teacher", "none", "--out", str(out), "--start", str(start), "--generated", "12"]
    command += ["--steps", "3", "--tokens", "300", "--licences", licences, "--batches", "2", "--processes", "2"]
    assert mini.main(command) == 0
    told = capsys.readouterr()
    assert "3/3" in told.err and "scores" in told.err and "480 of them in the corpus" in told.out
    assert InstructorModel(out / "checkpoint", device="cpu").encode([("", "text")]).shape == (1, 64)
    card = (out / "checkpoint" / "README.md").read_text(encoding="utf-8")
    assert f"texts with {licences} licences" in card and str(tmp_path) not in card
    log = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry["step"] for entry in log if "loss" in entry] == [1, 2, 3]
    assert mini.main(command) == 0  # what is made is not made again
    assert "resumed at step 3 of 3" in capsys.readouterr().err
    if licences == "open":
        (sources / "lines" / "wordnet.txt").unlink()
        assert mini.main(["build", str(sources), "--generated", "12"]) == 0
        assert mini.main(command) == 2
        assert "none has a known source" in capsys.readouterr().err
