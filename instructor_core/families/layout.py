"""What the files of a checkpoint in the layout of sentence-transformers say; what is not understood is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import nn

from instructor_core.encoder import EncoderError
from instructor_core.families.templates import Template, find_template

Pooling = Literal["mean", "cls", "lasttoken"]
_OLD_NAMES = {"mean_tokens": "mean", "cls_token": "cls"}  # pooling_mode_mean_tokens: true
_PART_OF_TEXT = {"forward", "last_hidden_state"}
_HARMLESS = {"torch_dtype", "dtype", "attn_implementation", "add_pooling_layer", "use_cache"}


@dataclass(frozen=True)
class Layout:
    """A transformer, a pooling that is a mean of token vectors (of all, or of one), and linear layers."""

    folder: Path
    model_type: str  # transformers' name of the architecture
    pooling: Pooling
    pools_prompt: bool  # whether the tokens of the prompt enter the mean
    dense: tuple[Path, ...]
    normalizes: bool
    window: int | None  # tokens; None leaves it to the tokenizer and the network
    lower_case: bool
    config: Mapping[str, Any]  # what the checkpoint wants of transformers' configuration besides config.json
    tokenizer: Mapping[str, Any]  # and of its tokenizer
    template: Template

    @property
    def words(self) -> str:
        """Architecture and pooling, for people."""
        mean = "mean with prompt" if self.pools_prompt else "mean without prompt"
        pooled = {"mean": mean, "cls": "first token", "lasttoken": "last token"}[self.pooling]
        return f"{self.model_type}, {pooled}"


def read_json(path: Path, *, missing: Any = None) -> Any:
    """Return a JSON file of a checkpoint, or ``missing`` if there is none and that is allowed."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        if missing is not None:
            return missing
        raise EncoderError(f"The checkpoint folder {path.parent} has no {path.name}. Copy the file there.") from None
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path.parent} has no valid {path.name} ({error}). Copy the file there again.") from error


def read_layout(folder: Path, name: str, *, template: str | None = None) -> Layout:
    """Read how a folder makes an embedding; an ``EncoderError`` names what of it is not understood."""

    def refuse(what: str) -> EncoderError:
        return EncoderError(f"{name} cannot be opened: {what}.")

    config = read_json(folder / "config.json")
    model_type = str(config.get("model_type"))
    if (folder / "adapter_config.json").is_file():
        raise refuse("it is an adapter (adapter_config.json), which needs another checkpoint below it; merge the two")
    if config.get("is_encoder_decoder"):
        raise refuse(f"{model_type} is an encoder with a decoder; of those only INSTRUCTOR's T5 is known here")
    if not (folder / "modules.json").is_file():
        raise refuse("it has no modules.json, so nothing says how its vectors are pooled")
    parts = [(str(part["type"]), folder / str(part["path"])) for part in read_json(folder / "modules.json")]
    kinds = [kind.rpartition(".")[2] if kind.startswith("sentence_transformers.") else kind for kind, _ in parts]
    n_dense = kinds.count("Dense")
    expected = ["Transformer", "Pooling", *["Dense"] * n_dense, *["Normalize"] * (kinds[-1:] == ["Normalize"])]
    if kinds != expected:
        raise refuse(
            f"its parts are {', '.join(kinds)}; known are Transformer, Pooling, any number of Dense, and Normalize, "
            "in this order, all of sentence-transformers' own"
        )
    pooling = read_json(parts[1][1] / "config.json")
    said = read_json(folder / "config_sentence_transformers.json", missing={}).get("prompts") or {}
    prompts = {name: prompt for name, prompt in said.items() if isinstance(prompt, str)}
    return Layout(
        folder,
        model_type,
        _pooling_mode(pooling, refuse),
        bool(pooling.get("include_prompt", True)),
        tuple(_check_dense(path, refuse) for _, path in parts[2 : 2 + n_dense]),
        kinds[-1] == "Normalize",
        **_of_transformer(parts[0][1], refuse),
        template=find_template(f"{name} {config.get('_name_or_path', '')}", prompts, template),
    )


def _pooling_mode(pooling: Mapping[str, Any], refuse: Any) -> Pooling:
    on = [key.removeprefix("pooling_mode_") for key, value in pooling.items() if value is True]
    stated = pooling.get("pooling_mode") or [_OLD_NAMES.get(key, key) for key in on if f"pooling_mode_{key}" in pooling]
    modes = [stated] if isinstance(stated, str) else list(stated)
    if modes not in (["mean"], ["cls"], ["lasttoken"]):
        raise refuse(
            f"it pools by {', '.join(modes) or 'nothing that is named'}; known are mean, cls and lasttoken, one at a "
            "time, because of these alone the embedding is a mean of token vectors"
        )
    return modes[0]  # type: ignore[no-any-return]


def _check_dense(path: Path, refuse: Any) -> Path:
    config = read_json(path / "config.json")
    activation = str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    if not activation.endswith(".Identity"):
        raise refuse(f"{path.name} applies {activation.rpartition('.')[2]}, so its embedding is no sum over tokens")
    if config.get("use_residual") or config.get("module_input_name", "sentence_embedding") != "sentence_embedding":
        raise refuse(f"{path.name} is more than a linear layer behind the pooling")
    return path


def _of_transformer(folder: Path, refuse: Any) -> dict[str, Any]:
    """Return what sentence_bert_config.json says; its two generations name things differently."""
    said = read_json(folder / "sentence_bert_config.json", missing={})
    ways = said.get("modality_config", {"text": {"method": "forward", "method_output_name": "last_hidden_state"}})
    if set(ways) - {"text"} or set(ways["text"].values()) - _PART_OF_TEXT:
        raise refuse(f"it reads {', '.join(ways)} in a way of its own (modality_config); plain text is known alone")
    model, config, tokenizer = (
        dict(said.get(f"{old}_args") or said.get(f"{new}_kwargs") or {})
        for old, new in (("model", "model"), ("config", "config"), ("tokenizer", "processor"))
    )
    if unknown := set(model) - _HARMLESS | set(said.get("processing_kwargs") or {}):
        raise refuse(f"sentence_bert_config.json asks for {', '.join(sorted(unknown))}, which is not known")
    config.pop("trust_remote_code", None)
    tokenizer.pop("trust_remote_code", None)
    window = said.get("max_seq_length") or tokenizer.pop("model_max_length", None)
    return {
        "window": window,
        "lower_case": bool(said.get("do_lower_case")),
        "config": config,
        "tokenizer": tokenizer,
    }


def load_dense(path: Path) -> nn.Linear:
    """Return a linear layer, with a bias where the file has one."""
    safe = path / "model.safetensors"
    try:
        # Of a pickle nothing is run but the making of tensors.
        load: Any = torch.load
        weights = load_file(safe) if safe.is_file() else load(path / "pytorch_model.bin", weights_only=True)
        width, n_inputs = weights["linear.weight"].shape
        linear = nn.Linear(n_inputs, width, bias="linear.bias" in weights)
        linear.load_state_dict({key.removeprefix("linear."): value.float() for key, value in weights.items()})
    except Exception as error:  # damaged files raise whatever the libraries that read them raise
        raise EncoderError(f"{path} has no whole weights of a linear layer ({error}). Copy the file again.") from error
    return linear
