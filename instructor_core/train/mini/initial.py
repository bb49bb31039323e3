"""A checkpoint that is good before any training: a static model made from the teacher, inside a T5 encoder.

Each token starts as the teacher's embedding of its own text, turned into the leading directions of the corpus and
scaled by the weight that smooth inverse frequency (Arora et al. 2017) gives it; the layers start small, so that the
mean over the tokens is close to that of the static vectors, and the projection maps back to the teacher's space.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import T5Config, T5EncoderModel

from instructor_core.train.mini.teacher import Teacher
from instructor_core.train.saving import write_json, write_layout

_SPECIAL = ("<pad>", "</s>", "<unk>")
_CHARACTERS = (
    "abcdefghijklmnopqrstuvwxyz0123456789▁.,;:!?'\"()[]{}<>@#$%^&*-_=+/\\|~`àâäåæçèéêëìíîïñòóôöøùúûüßœ€£°–—…“”‘’•"
)
_SIF = 1e-3  # tokens much commoner than this weigh little
_COMMON_WORDS = 0.62  # share of the vocabulary given to whole words


@dataclass(frozen=True)
class Shape:
    """Sizes of the network; the defaults give 8 million parameters, 16 MB in float16."""

    vocabulary: int = 12_224
    width: int = 256
    feed_forward: int = 1024
    heads: int = 4
    layers: int = 6
    directions: int = 248  # leading directions of the teacher's space; the rest of the width keeps the norm constant
    max_tokens: int = 512


def make_checkpoint(
    texts: Sequence[str],
    embeddings: NDArray[np.float16],
    teacher: Teacher,
    out: Path,
    *,
    shape: Shape | None = None,
    seed: int = 0,
) -> None:
    """Write a checkpoint in the hub's layout, made from texts, their (N, D) embeddings and the teacher."""
    shape = shape or Shape()
    # Texts of one origin stand side by side: a sample of them all is needed, not the first.
    order = np.random.default_rng(seed).permutation(len(texts))[:400_000]
    sample = [texts[row] for row in order.tolist()]
    tokenizer = train_tokenizer(sample, shape.vocabulary)
    ids = tokenizer.get_vocab()
    names = sorted(ids, key=ids.__getitem__)
    vectors = teacher.encode([name.replace("▁", "") or "." for name in names]).astype(np.float32)
    counts = np.bincount(
        np.concatenate([np.asarray(entry.ids) for entry in tokenizer.encode_batch(sample[:200_000])]),
        minlength=len(names),
    )
    tokens, projection = static_vectors(
        vectors,
        counts,
        embeddings[np.sort(order[:60_000])].astype(np.float32),
        width=shape.width,
        directions=shape.directions,
    )
    torch.manual_seed(seed)
    network = T5EncoderModel(_config(shape, len(names)))
    _start_small(network, shape)
    network.shared.weight.data = torch.from_numpy(tokens)
    out.mkdir(parents=True, exist_ok=True)
    network.save_pretrained(out)
    _write_rest(out, tokenizer, torch.from_numpy(projection), shape.max_tokens)


def static_vectors(
    token_vectors: NDArray[np.float32],
    counts: NDArray[np.int64],
    sample: NDArray[np.float32],
    *,
    width: int,
    directions: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the static model: (V, h) float32 token embeddings of root mean square 1, and the (D, h) projection.

    T5's final norm divides a token's state by its root mean square, which would undo any weighting. The columns behind
    the leading directions, those of the (N, D) sample of texts, take what a token's weight leaves of a constant length,
    so that the weighting survives. Token vectors are (V, D), counts (V,).
    """
    _, _, leading = np.linalg.svd(sample.T @ sample)
    leading = leading[:directions]  # (d, D)
    frequency = (counts + 1) / (counts + 1).sum()
    weight = np.clip(_SIF / (_SIF + frequency), 0.03, 0.97)
    weight[: len(_SPECIAL)] = 0.02
    turned = token_vectors @ leading.T
    turned /= np.linalg.norm(turned, axis=1, keepdims=True) + 1e-6
    rest = 1 + 0.1 * np.random.default_rng(0).standard_normal((len(turned), width - len(leading)))
    rest /= np.linalg.norm(rest, axis=1, keepdims=True)
    tokens = np.concatenate([turned * weight[:, None], rest * np.sqrt(1 - weight**2)[:, None]], axis=1) * np.sqrt(width)
    projection = np.zeros((token_vectors.shape[1], width))
    projection[:, : len(leading)] = leading.T
    return tokens.astype(np.float32), projection.astype(np.float32)


def train_tokenizer(texts: list[str], n_tokens: int) -> Tokenizer:
    """Return a lower-casing Unigram tokenizer whose commonest words are whole tokens and whose bytes fall back.

    The plain trainer splits many common words; the model is too shallow to put them together again.
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always"),
            pre_tokenizers.Split(Regex(r"[^\w▁]|\d|_"), "isolated"),
        ]
    )
    tokenizer.train_from_iterator(
        texts,
        trainers.UnigramTrainer(
            vocab_size=n_tokens,
            special_tokens=list(_SPECIAL),
            unk_token="<unk>",
            max_piece_length=18,
            show_progress=False,
        ),
    )
    state = json.loads(tokenizer.to_str())
    state["model"] = {
        "type": "Unigram",
        "unk_id": _SPECIAL.index("<unk>"),
        "vocab": _vocabulary(state["model"]["vocab"], texts, n_tokens),
        "byte_fallback": True,
    }
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", _SPECIAL.index("</s>"))]
    )
    return tokenizer


def _vocabulary(trained: list[list[Any]], texts: list[str], n_tokens: int) -> list[tuple[str, float]]:
    """Special tokens, characters, common words, the best of the trained pieces, bytes: ``n_tokens`` at most."""
    scores = {piece: float(score) for piece, score in trained}
    lowest = min(scores.values())
    characters = [(piece, scores.get(piece, lowest - 2)) for piece in _CHARACTERS]
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(re.findall(r"(?<!\S)[a-z]{1,18}(?![a-z])", text.lower()))
    total = 1.5 * max(1, sum(counts.values()))  # words are about two thirds of what is to be covered
    room = n_tokens - len(_SPECIAL) - len(characters) - 256
    words = [(f"▁{word}", float(np.log((n + 5) / total))) for word, n in counts.most_common(int(_COMMON_WORDS * room))]
    taken = {piece for piece, _ in (*characters, *words)} | set(_SPECIAL)
    rest = sorted(((piece, score) for piece, score in scores.items() if piece not in taken), key=lambda item: -item[1])
    # A byte scores far below everything else: it stands for characters that no piece has.
    byte_pieces = [(f"<0x{value:02X}>", lowest - 10) for value in range(256)]
    special = [(piece, 0.0) for piece in _SPECIAL]
    return [*special, *characters, *words, *rest[: room - len(words)], *byte_pieces]


def _config(shape: Shape, n_tokens: int) -> T5Config:
    return T5Config(
        vocab_size=n_tokens,
        d_model=shape.width,
        d_kv=shape.width // shape.heads,
        d_ff=shape.feed_forward,
        num_layers=shape.layers,
        num_heads=shape.heads,
        dropout_rate=0.0,
        feed_forward_proj="relu",
        pad_token_id=0,
        eos_token_id=1,
        is_encoder_decoder=False,
        use_cache=False,
    )


@torch.no_grad()
def _start_small(network: nn.Module, shape: Shape) -> None:
    """Set the layers to T5's scales, the two that write into the residual stream to 0.3 of them."""
    width, inner = shape.width, shape.width // shape.heads
    scales = {
        "SelfAttention.q": (width * inner) ** -0.5,
        "SelfAttention.k": width**-0.5,
        "SelfAttention.v": width**-0.5,
        "SelfAttention.o": 0.3 * width**-0.5,
        "DenseReluDense.wi": width**-0.5,
        "DenseReluDense.wo": 0.3 * shape.feed_forward**-0.5,
        "relative_attention_bias": 0.05,
    }
    for name, parameter in network.named_parameters():
        for part, scale in scales.items():
            if name.endswith(f"{part}.weight"):
                nn.init.normal_(parameter, std=scale)


def _write_rest(out: Path, tokenizer: Tokenizer, projection: torch.Tensor, max_tokens: int) -> None:
    """Write what stands beside the encoder: tokenizer, pooling, projection (D, h), list of modules."""
    write_layout(out, width=projection.shape[1], dim=projection.shape[0], max_tokens=max_tokens)
    tokenizer.save(str(out / "tokenizer.json"))
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    # Not T5's class, which would rebuild the normaliser from the vocabulary alone and lose the lower-casing.
    write_json(out / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **special})
    write_json(out / "special_tokens_map.json", special)
    save_file({"linear.weight": projection.contiguous()}, out / "2_Dense" / "model.safetensors")
