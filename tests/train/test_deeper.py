"""A checkpoint that has grown gives the embeddings it gave before, and can learn in its new blocks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from instructor_core import InstructorModel
from instructor_core.encoder import find_checkpoint
from instructor_core.errors import UserError
from instructor_core.train.mini.deeper import deepen, spread

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
