"""A checkpoint that has grown gives the embeddings it gave before, and can learn in its new blocks."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from instructor_core import InstructorModel
from instructor_core.encoder import find_checkpoint
from instructor_core.errors import UserError
from instructor_core.train.mini.deeper import deepen, spread
from instructor_core.train.mini.mixing import mix_checkpoints

_PAIRS = [("Represent the review for classifying its sentiment: ", "The soup was cold."), ("", "Where is the station?")]


def test_new_blocks_change_no_embedding(tmp_path: Path) -> None:
    start = find_checkpoint("instructor-mini")
    old = InstructorModel(start, device="cpu")
    deepen(start, tmp_path, old.n_layers + 2)
    new = InstructorModel(tmp_path, device="cpu")
    assert new.n_layers == old.n_layers + 2
    np.testing.assert_allclose(new.encode(_PAIRS), old.encode(_PAIRS), atol=1e-6)


def test_a_new_block_receives_gradients_where_it_writes(mini: InstructorModel, tmp_path: Path) -> None:
    deepen(find_checkpoint("instructor-mini"), tmp_path, mini.n_layers + 1)
    model = InstructorModel(tmp_path, device="cpu", trainable=True).train()
    torch.linalg.vecdot(model(_PAIRS)[0][0], torch.arange(384.0)).backward()
    grown = model.transformer.encoder.block[-1]  # spread puts the one new block at the end
    assert not grown.layer[0].SelfAttention.o.weight.any()
    assert bool(grown.layer[0].SelfAttention.o.weight.grad.any())
    assert bool(grown.layer[1].DenseReluDense.wo.weight.grad.any())


def test_new_blocks_stand_evenly_between_the_old_ones() -> None:
    assert spread(6, 8) == [
        (0, False), (1, False), (2, False), (2, True), (3, False), (4, False), (5, False), (5, True),
    ]  # fmt: skip
    with pytest.raises(UserError, match="of 6 layers can grow to 6 to 12: got 13"):
        spread(6, 13)


def test_a_mixture_is_the_mean_of_the_weights_by_their_shares_of_one_shape_and_whole(tmp_path: Path) -> None:
    start = find_checkpoint("instructor-mini")
    other = tmp_path / "other"
    shutil.copytree(start, other)
    doubled = {name: tensor * 2 for name, tensor in load_file(other / "model.safetensors").items()}
    save_file(doubled, other / "model.safetensors")
    mix_checkpoints([(0.75, start), (0.25, other)], tmp_path / "mixed")
    old, mixed = load_file(start / "model.safetensors"), load_file(tmp_path / "mixed" / "model.safetensors")
    name = "encoder.block.1.layer.1.DenseReluDense.wi.weight"
    torch.testing.assert_close(mixed[name].float(), 1.25 * old[name].float(), rtol=1e-3, atol=1e-4)
    assert InstructorModel(tmp_path / "mixed", device="cpu").encode(_PAIRS).shape == (2, 384)
    start = find_checkpoint("instructor-mini")
    grown = tmp_path / "grown"
    deepen(start, grown, InstructorModel(start, device="cpu").n_layers + 1)
    with pytest.raises(UserError, match="the same layers"):
        mix_checkpoints([(0.5, start), (0.5, grown)], tmp_path / "out")
    with pytest.raises(UserError, match=r"add up to 1: got 0\.7"):
        mix_checkpoints([(0.5, start), (0.2, start)], tmp_path / "out")
