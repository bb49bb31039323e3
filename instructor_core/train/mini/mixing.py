"""The weighted mean of checkpoints of one shape: what a run wins and what its start could do, in one checkpoint.

A mean of fine-tuned weights and those they started from keeps much of both (WiSE-FT, Wortsman et al. 2021,
arXiv 2109.01903); of several runs, it is a model soup (Wortsman et al. 2022, arXiv 2203.05482).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from instructor_core.errors import UserError

_WEIGHTS = ("model.safetensors", "2_Dense/model.safetensors")


def mix_checkpoints(parts: Sequence[tuple[float, Path]], out: Path) -> None:
    """Write the mean of checkpoint folders by their shares, which add up to 1; all else is taken from the first."""
    total = sum(share for share, _ in parts)
    if abs(total - 1) > 1e-6:
        raise UserError(f"The shares of a mixture add up to 1: got {total:g}.")
    states = {name: [load_file(folder / name) for _, folder in parts] for name in _WEIGHTS}
    for several in states.values():
        shapes = [{key: tensor.shape for key, tensor in state.items()} for state in several]
        if any(each != shapes[0] for each in shapes):
            raise UserError("Checkpoints that are mixed have the same layers: let the smaller one grow first.")
    shutil.copytree(parts[0][1], out, dirs_exist_ok=True)
    for name, several in states.items():
        mixed = {
            key: sum(
                (share * state[key].float() for (share, _), state in zip(parts, several, strict=True)), torch.zeros(1)
            )
            for key in several[0]
        }
        stored = {key: tensor.to(several[0][key].dtype) for key, tensor in mixed.items()}
        save_file(stored, out / name, metadata={"format": "pt"})
        if "linear.weight" in stored:  # older sentence-transformers look for this one
            torch.save(stored, (out / name).with_name("pytorch_model.bin"))
