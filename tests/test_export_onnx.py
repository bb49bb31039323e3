"""The exported graph is the encoder: any number and length of texts, any instruction, without PyTorch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer

from instructor_core import InstructorModel
from instructor_core.encoder import read_pairs
from instructor_core.errors import UserError
from instructor_core.export_onnx import main, onnx_inputs

PAIRS = [
    ("Represent the review: ", "The soup was excellent."),
    ("", "No instruction at all"),
    ("Represent the news article for classifying the topic: ", ""),  # only </s> is averaged
    ("Ends without a space", "  stripped\n"),
    ("", ""),
    ("Represent the text: ", "line\nbreaks, \ud800 half a surrogate, 漢字, 🙂 and </s> typed <pad>"),
    ("Represent the document: ", "far apart " * 120),  # beyond the distances that T5 tells apart, 128
    ("Represent the document: ", "cut off " * 600),
]


@pytest.fixture(scope="module", params=["checkpoint_a", "checkpoint_b"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    checkpoint: Path = request.getfixturevalue(request.param)
    out = tmp_path_factory.mktemp("onnx") / "made" / "for it"
    assert main([str(checkpoint), str(out)]) == 0
    return checkpoint, out


def test_the_graph_gives_the_embeddings_of_the_encoder(exported: tuple[Path, Path]) -> None:
    checkpoint, out = exported
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    assert session.get_modelmeta().custom_metadata_map["max_seq_length"] == "512"
    model = InstructorModel(checkpoint, device="cpu")
    for pairs in (PAIRS, PAIRS[:1], PAIRS[4:5], PAIRS[-1:], PAIRS * 3):  # batches of 1 to 24, lengths of 1 to 512
        (embeddings,) = session.run(None, onnx_inputs(tokenizer, pairs))
        np.testing.assert_allclose(embeddings, model.encode(pairs), rtol=0, atol=1e-5)


def test_the_inputs_are_those_of_the_encoder_token_by_token(
    mini: InstructorModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = Tokenizer.from_file(str(mini.folder / "tokenizer.json"))
    for window in (512, 24):
        monkeypatch.setattr(mini, "max_seq_length", window)
        inputs = onnx_inputs(tokenizer, PAIRS, window)
        assert {array.shape for array in inputs.values()} == {(len(PAIRS), window)}
        prepared = mini.prepare(read_pairs(PAIRS))
        for row, (start, length) in enumerate(zip(prepared.starts, prepared.lengths, strict=True)):
            n = inputs["attention_mask"][row].sum()
            assert inputs["input_ids"][row, :n].tolist() == prepared.ids[start : start + length].tolist()
            assert np.flatnonzero(inputs["pooling_mask"][row]).tolist() == list(range(prepared.edges[row], n))
    with pytest.raises(UserError, match="no room for a text: it has 600 tokens, and the window is 512"):
        onnx_inputs(tokenizer, [("a " * 600, "text")])


@pytest.mark.parametrize("exported", ["checkpoint_b"], indirect=True)
def test_an_exported_checkpoint_runs_without_pytorch(exported: tuple[Path, Path]) -> None:
    code = """
import json, sys, onnxruntime, tokenizers
from instructor_core.export_onnx import onnx_inputs
tokenizer = tokenizers.Tokenizer.from_file(sys.argv[1] + "/tokenizer.json")
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx")
(embeddings,) = session.run(None, onnx_inputs(tokenizer, [("Represent the review: ", "The soup was cold.")]))
print(json.dumps([list(embeddings.shape), sorted({"torch", "transformers"} & set(sys.modules))]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(exported[1])],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [[1, 48], []]


def test_what_cannot_be_exported_is_said_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for checkpoint, out, said in (
        (tmp_path / "empty", tmp_path / "out", "no modules.json"),
        ("instructor-mini", tmp_path / "file", "file"),
    ):
        assert main([str(checkpoint), str(out)]) == 2
        printed = capsys.readouterr()
        assert printed.err.startswith("export_onnx: ") and said in printed.err and "Traceback" not in printed.err
        assert printed.out == ""
