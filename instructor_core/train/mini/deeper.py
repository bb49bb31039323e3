"""More layers for a trained checkpoint, whose embeddings do not change by them until it is trained on.

Each new block copies the block below it, as growth in depth does (bert2BERT, Chen et al. 2021, arXiv 2110.07143), but
for the two matrices that write into the residual stream: they are zero, so that it starts as the identity (Net2Net,
Chen et al. 2015, arXiv 1511.05641).
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from instructor_core.errors import UserError
from instructor_core.train.saving import write_json

_BLOCK = re.compile(r"encoder\.block\.(\d+)\.(.*)")
_WRITERS = ("SelfAttention.o.weight", "DenseReluDense.wo.weight")
_SHARED = "relative_attention_bias"  # the first block has it for all


def deepen(start: Path, out: Path, n_layers: int) -> None:
    """Write the checkpoint in ``start`` to ``out`` with blocks added, spread evenly, up to ``n_layers``."""
    config = json.loads((start / "config.json").read_text(encoding="utf-8"))
    places = spread(config["num_layers"], n_layers)
    shutil.copytree(start, out, dirs_exist_ok=True)
    weights: dict[str, torch.Tensor] = {}
    for name, tensor in load_file(start / "model.safetensors").items():
        match = _BLOCK.fullmatch(name)
        if match is None:
            weights[name] = tensor
            continue
        for at, (block, is_new) in enumerate(places):
            if block == int(match[1]) and not (is_new and _SHARED in name):
                writes = is_new and match[2].endswith(_WRITERS)
                weights[f"encoder.block.{at}.{match[2]}"] = torch.zeros_like(tensor) if writes else tensor.clone()
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    write_json(out / "config.json", {**config, "num_layers": n_layers})


def spread(n_old: int, n_new: int) -> list[tuple[int, bool]]:
    """Return, for each block of the deeper network, the old block it is or copies, and whether it is new."""
    if not n_old <= n_new <= 2 * n_old:
        raise UserError(f"A checkpoint of {n_old} layers can grow to {n_old} to {2 * n_old}: got {n_new}.")
    added = n_new - n_old
    places = []
    for block in range(n_old):
        places.append((block, False))
        if (block + 1) * added // n_old > block * added // n_old:
            places.append((block, True))
    return places
