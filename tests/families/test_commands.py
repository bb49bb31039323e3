"""The commands take any checkpoint that opens, and training says why it does not."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from instructor_core.embed.__main__ import main as embed
from instructor_core.evaluate.__main__ import main as evaluate
from instructor_core.families import open_checkpoint
from instructor_core.train.__main__ import main as train

TEXTS = [f"{thing} was {how}" for thing in ("The soup", "The bus") for how in ("cold", "late", "lovely", "bad")]


def test_files_are_embedded_by_a_template_of_ones_own(family_folders: dict[str, Path], tmp_path: Path) -> None:
    source, out = tmp_path / "texts.jsonl", tmp_path / "out.parquet"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    for given, template in ((), None), (("--template", r"About {instruction}\n{text}"), "About {instruction}\n{text}"):
        command = [str(source), str(out), "--instruction", "topic", "--checkpoint", str(family_folders["qwen"])]
        assert embed([*command, "--overwrite", "--device", "cpu", *given]) == 0
        found = np.stack(pq.read_table(out)["embedding"].to_numpy())
        model = open_checkpoint(family_folders["qwen"], "cpu", template=template)
        np.testing.assert_allclose(found, model.encode([("topic", text) for text in TEXTS]), atol=1e-5)


def test_a_checkpoint_of_another_family_is_evaluated(
    family_folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [{"topic": text.split()[1], "sentiment": text.split()[-1][:1]} for text in TEXTS]
    lines = [json.dumps({"text": text, "labels": own}) + "\n" for text, own in zip(TEXTS, labels, strict=True)]
    (tmp_path / "set.jsonl").write_text("".join(lines))
    assert (
        evaluate([str(family_folders["gemma"]), "--label-sets", str(tmp_path), "--free", "1", "--device", "cpu"]) == 0
    )
    assert "embeddinggemma-300m" in capsys.readouterr().out


def test_training_refuses_what_it_cannot_train(
    family_folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = tmp_path / "records.jsonl"
    record = {"query": ["Represent it: ", "one"], "pos": ["Represent it: ", "two"], "task_id": "t"}
    records.write_text(20 * f"{json.dumps(record)}\n")
    assert train([str(records), str(tmp_path / "out"), "--from", str(family_folders["e5"])]) == 2
    assert "Only INSTRUCTOR can be trained or exported here" in capsys.readouterr().err
    assert not (tmp_path / "out" / "checkpoint").exists()
