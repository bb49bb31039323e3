"""Saved checkpoints: the hub's layout, equal embeddings here and in sentence-transformers, whole or not there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from instructor_core import InstructorModel
from instructor_core.errors import UserError
from instructor_core.train.saving import save_checkpoint
from tests.checkpoints import MINI

PAIRS = [
    ("Represent the review for its sentiment: ", "The soup was cold and the waiter rude."),
    ("Represent the review for its topic: ", "The soup was cold and the waiter rude."),
    ("", "Rain."),
]


@pytest.fixture(scope="module")
def trained(checkpoint_b: Path) -> InstructorModel:
    """A gated checkpoint whose weights are no longer those of its folder."""
    model = InstructorModel(checkpoint_b, trainable=True, device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator) * parameter.std())
    return model


def test_the_files_are_those_of_the_bundled_checkpoint(tmp_path: Path) -> None:
    model = InstructorModel("instructor-mini", trainable=True, device="cpu")
    save_checkpoint(model, tmp_path / "copy", card="# Copy\n")
    names, copied = (
        {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        for folder in (MINI, tmp_path / "copy")
    )
    assert copied == names
    for name in names:
        if name.endswith(".json"):
            assert json.loads((tmp_path / "copy" / name).read_text()) == json.loads((MINI / name).read_text()), name
    for name in ("model.safetensors", "2_Dense/model.safetensors"):
        saved, original = load_file(tmp_path / "copy" / name), load_file(MINI / name)
        assert saved.keys() == original.keys()
        assert all(torch.equal(saved[key], original[key]) and saved[key].dtype == torch.float16 for key in saved)
    assert (tmp_path / "copy" / "README.md").read_text() == "# Copy\n"


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float16", 2e-3), ("bfloat16", 2e-2)])
def test_a_saved_checkpoint_gives_the_same_embeddings_here_and_in_sentence_transformers(
    trained: InstructorModel, tmp_path: Path, dtype: str, tolerance: float
) -> None:
    save_checkpoint(trained, tmp_path / "saved", card="", dtype=dtype)
    loaded = InstructorModel(tmp_path / "saved", device="cpu")
    np.testing.assert_allclose(loaded.encode(PAIRS), trained.encode(PAIRS), atol=tolerance)
    assert loaded.max_seq_length == trained.max_seq_length
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["dtype"] == "float32"
    if dtype == "float32":
        reference = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
        embeddings = np.stack([reference.encode(text, prompt=instruction) for instruction, text in PAIRS])
        np.testing.assert_allclose(loaded.encode(PAIRS), embeddings, atol=1e-5)


def test_a_checkpoint_is_replaced_as_a_whole_nothing_else_is_and_no_weight_is_saved_as_infinite(
    trained: InstructorModel, checkpoint_a: Path, tmp_path: Path
) -> None:
    save_checkpoint(trained, tmp_path / "saved", card="first")
    (tmp_path / "saved" / "left over").write_text("x")
    save_checkpoint(trained, tmp_path / "saved", card="second")
    assert (tmp_path / "saved" / "README.md").read_text() == "second"
    assert not (tmp_path / "saved" / "left over").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("x")
    with pytest.raises(UserError, match="not a checkpoint"):
        save_checkpoint(trained, tmp_path / "thesis", card="")
    assert (tmp_path / "thesis" / "chapter.txt").exists()
    model = InstructorModel(checkpoint_a, trainable=True, device="cpu")
    with torch.no_grad():
        model.dense.weight[0, 0] = 1e6
    with pytest.raises(UserError, match="float32"):
        save_checkpoint(model, tmp_path / "large", card="")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["saved", "thesis"]
