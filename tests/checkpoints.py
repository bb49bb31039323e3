"""Checkpoints with random weights, laid out like those on the hub: for tests, and for benchmarks without pytest."""

import json
import shutil
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file
from transformers import T5Config, T5EncoderModel

MINI = Path(__file__).parents[1] / "assets" / "instructor-mini"


def make_checkpoint(
    path: Path,
    *,
    d_model: int = 64,
    d_ff: int = 128,
    num_layers: int = 2,
    num_heads: int = 4,
    d_kv: int = 16,
    out_features: int = 64,
    weights: Literal["bin", "safetensors"] = "safetensors",
    seed: int = 0,
    gated: bool = False,
) -> Path:
    """A folder laid out like `hkunlp/instructor-*`: random weights, the tokenizer of the bundled checkpoint.

    The weights are drawn large enough that attention is far from uniform: one token more or less in the
    mean moves the (unit length) embedding by more than 0.01.
    """
    own = ("*.safetensors", "*.bin", "README.md", "config_sentence_transformers.json")
    shutil.copytree(MINI, path, ignore=shutil.ignore_patterns(*own))
    mini_config = json.loads((MINI / "config.json").read_text(encoding="utf-8"))
    config = T5Config(
        vocab_size=mini_config["vocab_size"],
        d_model=d_model,
        d_ff=d_ff,
        d_kv=d_kv,
        num_layers=num_layers,
        num_heads=num_heads,
        feed_forward_proj="gated-gelu" if gated else "relu",
        dropout_rate=0.1,  # as on the hub: an encoder left in training mode would not repeat itself
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        architectures=["T5EncoderModel"],
    )
    generator = torch.Generator().manual_seed(seed)
    transformer = T5EncoderModel(config).state_dict()
    for name, tensor in transformer.items():
        if name.endswith("layer_norm.weight"):
            tensor.copy_(1 + 0.2 * torch.randn(tensor.shape, generator=generator))
        elif "shared" in name or "embed_tokens" in name or "relative_attention_bias" in name:
            tensor.normal_(generator=generator)
        elif name.endswith((".q.weight", ".k.weight")):
            # T5 does not divide the scores by sqrt(d_kv); this keeps their standard deviation near 1.5.
            tensor.normal_(std=1.2 * d_model**-0.5 * d_kv**-0.25, generator=generator)
        else:
            tensor.normal_(std=tensor.shape[1] ** -0.5, generator=generator)
    transformer["encoder.embed_tokens.weight"] = transformer["shared.weight"]
    dense = {"linear.weight": torch.randn(out_features, d_model, generator=generator) * d_model**-0.5}

    config.save_pretrained(path)
    _save_weights(path / "pytorch_model.bin", transformer, weights)
    _write_json(
        path / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": d_model,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    dense_config = json.loads((MINI / "2_Dense" / "config.json").read_text(encoding="utf-8"))
    _write_json(path / "2_Dense" / "config.json", dense_config | {"in_features": d_model, "out_features": out_features})
    _save_weights(path / "2_Dense" / "pytorch_model.bin", dense, weights)
    return path


def _save_weights(bin_path: Path, state: dict[str, torch.Tensor], weights: str) -> None:
    if weights == "bin":
        torch.save(state, bin_path)
    else:
        # This format knows no tied tensors: as Transformers does, the shared table is stored once.
        once = {name: tensor for name, tensor in state.items() if name != "encoder.embed_tokens.weight"}
        save_file(once, bin_path.with_name("model.safetensors"), metadata={"format": "pt"})


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
