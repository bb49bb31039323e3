"""Checkpoints in the layout of ``hkunlp/instructor-*`` on the Hugging Face Hub, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from instructor_core.encoder import InstructorModel
from instructor_core.errors import UserError

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "spiece.model",
    "added_tokens.json",
)
_VERSIONS = "config_sentence_transformers.json"
_MODULES = {"": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense", "3_Normalize": "Normalize"}


def write_json(path: Path, content: object) -> None:
    """Write a value as indented JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def replace_file(path: Path, content: str) -> None:
    """Write a file under another name and rename it: whoever reads ``path`` finds the old content or the new."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    temporary.write_text(content, encoding="utf-8")
    os.replace(temporary, path)


def _store(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    stored = tensor.detach().to("cpu", dtype).contiguous()
    if not bool(torch.isfinite(stored).all()):
        raise UserError(f"The weights cannot be saved as {dtype}: some are not finite. Save them as float32.")
    return stored


def write_copy(model: InstructorModel, path: Path) -> None:
    """Write the weights alone, in float16, by the names that they have in a model loaded with ``trainable=True``."""
    save_file({name: _store(tensor, torch.float16) for name, tensor in model.named_parameters()}, path)


def _configuration(model: InstructorModel) -> dict[str, Any]:
    """The checkpoint's own config.json with float32 arithmetic; only the weights are stored smaller."""
    config: dict[str, Any] = json.loads((model.folder / "config.json").read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)
    return {**config, "torch_dtype": "float32", "dtype": "float32"}


def write_layout(folder: Path, *, width: int, dim: int, max_tokens: int) -> None:
    """Write what tells sentence-transformers how the network is used: modules, pooling, projection (width -> dim)."""
    files: dict[str, object] = {
        "sentence_bert_config.json": {"max_seq_length": max_tokens, "do_lower_case": False},
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(_MODULES.items())
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": width,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
            "include_prompt": False,  # the instruction's tokens stay out of the mean
        },
        "2_Dense/config.json": {
            "in_features": width,
            "out_features": dim,
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
    }
    for part in _MODULES:
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_json(folder / name, content)


def save_checkpoint(model: InstructorModel, folder: Path, *, card: str, dtype: str = "float16") -> None:
    """Save a model so that ``InstructorModel`` and sentence-transformers load it with equal embeddings.

    The folder appears complete or not at all; one that is there already is replaced if it is a checkpoint.

    Args:
        model: Loaded with ``trainable=True``; its tokenizer files are copied from where it came from.
        folder: Where to save.
        card: Text of README.md, the model card.
        dtype: ``"float16"``, ``"bfloat16"`` or ``"float32"``, of the stored weights; the arithmetic stays float32.

    Raises:
        UserError: If the dtype is none of the three or too narrow for a weight, or if ``folder`` holds something
            other than a checkpoint.
    """
    if dtype not in ("float16", "bfloat16", "float32"):
        raise UserError(f'Weights are stored as "float16", "bfloat16" or "float32", got {dtype!r}.')
    folder = Path(folder)
    if folder.exists() and not (folder / "modules.json").is_file() and any(folder.iterdir()):
        raise UserError(f"{folder} is there and is not a checkpoint. Choose another folder or empty it.")
    kind = getattr(torch, dtype)
    new = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        write_layout(new, width=model.dense.in_features, dim=model.dim, max_tokens=model.max_seq_length)
        # The token embeddings have two names; as Transformers does, they are stored once.
        weights = {
            name: _store(tensor, kind)
            for name, tensor in model.transformer.state_dict().items()
            if name != "encoder.embed_tokens.weight"
        }
        save_file(weights, new / "model.safetensors", metadata={"format": "pt"})
        dense = {"linear.weight": _store(model.dense.weight, kind)}
        save_file(dense, new / "2_Dense" / "model.safetensors", metadata={"format": "pt"})
        torch.save(dense, new / "2_Dense" / "pytorch_model.bin")  # older sentence-transformers look for this one
        write_json(new / "config.json", _configuration(model))
        for name in (*_TOKENIZER_FILES, _VERSIONS):
            if (model.folder / name).is_file():
                shutil.copyfile(model.folder / name, new / name)
        (new / "README.md").write_text(card, encoding="utf-8")
        old = folder.with_name(f"{new.name}.old")
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)
