"""Tiny checkpoints with random weights of each architecture, in the layout of their hub repositories."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    EmbeddingGemma2TextConfig,
    EmbeddingGemma2TextModel,
    Gemma3TextConfig,
    Gemma3TextModel,
    NomicBertConfig,
    NomicBertModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
    XLMRobertaConfig,
    XLMRobertaModel,
)

CORPUS = (
    "Instruct: Represent the review for classifying its sentiment\nQuery: The soup was cold and the waiter rude.",
    "task: search result | query: what is the capital of France",
    "search_query: who wrote this? clustering: three men in a boat",
    "Represent this sentence for searching relevant passages: how to cook rice",
    "The quick brown fox jumps over the lazy dog. A wonderful evening with lovely food!",
    "word number 1 2 3 4 5 6 7 8 9 0 def f(x): return x**2",
)
SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "initializer_range": 0.3,  # attention far from uniform: a token more or less is seen in the embedding
}


def _unigram() -> PreTrainedTokenizerFast:
    """As of XLM-RoBERTa: ``<s> ... </s>``."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        CORPUS, trainers.UnigramTrainer(vocab_size=180, special_tokens=special, unk_token="<unk>")
    )
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


def _wordpiece() -> PreTrainedTokenizerFast:
    """As of BERT, lower case: ``[CLS] ... [SEP]``."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=180, special_tokens=special))
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]"
    )


def _bytes() -> PreTrainedTokenizerFast:
    """As of Qwen3-Embedding: ``... <|endoftext|>``, padded on the left."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=letters)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing("$A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>", padding_side="left"
    )


def _spaces() -> PreTrainedTokenizerFast:
    """As of Gemma: ``<bos> ... <eos>``, spaces kept, unknown characters as bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    letters = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=[*special, *letters])
    tokenizer.train_from_iterator(CORPUS, trainer)
    ends = [("<eos>", 1), ("<bos>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing("<bos> $A <eos>", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    )


@dataclass(frozen=True)
class Recipe:
    """What makes a family's checkpoint."""

    name: str  # of the folder, as on the hub
    network: Callable[[int], Any]  # from the size of the vocabulary
    tokenizer: Callable[[], PreTrainedTokenizerFast]
    pooling: dict[str, Any]
    dense: tuple[int, ...] = ()  # widths
    normalize: bool = True
    bert: dict[str, Any] = field(default_factory=lambda: {"max_seq_length": 80, "do_lower_case": False})
    prompts: dict[str, str] = field(default_factory=dict)


def _qwen(vocabulary: int) -> Qwen3Model:
    size = {**SMALL, "num_key_value_heads": 2, "head_dim": 8}
    return Qwen3Model(Qwen3Config(vocab_size=vocabulary, max_position_embeddings=512, **size))


def _gemma(vocabulary: int) -> Gemma3TextModel:
    own = {"num_key_value_heads": 1, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 8}
    config = Gemma3TextConfig(
        vocab_size=vocabulary, max_position_embeddings=512, use_bidirectional_attention=True, **SMALL, **own
    )
    return Gemma3TextModel(config)


def _gemma_2(vocabulary: int) -> EmbeddingGemma2TextModel:
    own = {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8, "hidden_size_per_layer_input": 8}
    layers = {"layer_types": ["sliding_attention", "sliding_attention", "full_attention"]}
    config = EmbeddingGemma2TextConfig(
        vocab_size=vocabulary, max_position_embeddings=512, embedding_dim=24, **SMALL, **own, **layers
    )
    return EmbeddingGemma2TextModel(config)


def _mode(name: str) -> dict[str, Any]:
    """The pooling of a checkpoint of before sentence-transformers 5.3, which names every mode."""
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    return {
        "word_embedding_dimension": SMALL["hidden_size"],
        **{f"pooling_mode_{mode}": mode == name for mode in modes},
        "include_prompt": True,
    }


RECIPES = {
    "e5": Recipe(
        "multilingual-e5-large-instruct",
        lambda n: XLMRobertaModel(
            XLMRobertaConfig(vocab_size=n, max_position_embeddings=98, pad_token_id=1, type_vocab_size=1, **SMALL)
        ),
        _unigram,
        {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True},
    ),
    "gemma": Recipe(
        "embeddinggemma-300m",
        _gemma,
        _spaces,
        _mode("mean_tokens"),
        dense=(64, 24),
        prompts={
            "query": "task: search result | query: ",
            "document": "title: none | text: ",
            "Clustering": "task: clustering | query: ",
        },
    ),
    # Its tokens come projected out of the network.
    "gemma-2": Recipe("embeddinggemma-2", _gemma_2, _spaces, {"embedding_dimension": 24, "pooling_mode": "mean"}),
    "nomic": Recipe(
        "nomic-embed-text-v1.5",
        lambda n: NomicBertModel(NomicBertConfig(vocab_size=n, max_position_embeddings=96, **SMALL)),
        _wordpiece,
        _mode("mean_tokens"),
        normalize=False,
    ),
    "bge": Recipe(
        "bge-small-en-v1.5",
        lambda n: BertModel(BertConfig(vocab_size=n, max_position_embeddings=96, **SMALL)),
        _wordpiece,
        _mode("cls_token"),
        bert={"max_seq_length": 80, "do_lower_case": True},
    ),
    "qwen": Recipe(
        "Qwen3-Embedding-0.6B",
        _qwen,
        _bytes,
        _mode("lasttoken"),
        prompts={
            "query": "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
            "document": "",
        },
    ),
    # As sentence-transformers 6 writes it, the instruction out of the mean, and two layers of which one has a bias.
    "new": Recipe(
        "of-today",
        lambda n: BertModel(BertConfig(vocab_size=n, max_position_embeddings=96, **SMALL)),
        _wordpiece,
        {"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": False},
        dense=(40,),
        bert={"processor_kwargs": {"model_max_length": 72}},
    ),
}


def make(family: str, folder: Path, *, seed: int = 0) -> Path:
    """Write a checkpoint of a family to a new folder in ``folder`` and return its path."""
    recipe = RECIPES[family]
    path = folder / recipe.name
    torch.manual_seed(seed)
    tokenizer = recipe.tokenizer()
    network = recipe.network(len(tokenizer))
    for name, parameter in network.named_parameters():
        if "norm" in name.lower() and name.endswith("weight"):
            parameter.data += 0.2 * torch.randn(parameter.shape)
    network.save_pretrained(path)
    tokenizer.save_pretrained(path)
    parts = [("", "Transformer"), ("1_Pooling", "Pooling")]
    parts += [(f"{at}_Dense", "Dense") for at in range(2, 2 + len(recipe.dense))]
    parts += [(f"{len(parts)}_Normalize", "Normalize")] if recipe.normalize else []
    write(
        path / "modules.json",
        [
            {"idx": at, "name": str(at), "path": folder, "type": f"sentence_transformers.models.{kind}"}
            for at, (folder, kind) in enumerate(parts)
        ],
    )
    write(path / "1_Pooling" / "config.json", recipe.pooling)
    write(path / "sentence_bert_config.json", recipe.bert)
    write(path / "config_sentence_transformers.json", {"prompts": recipe.prompts, "default_prompt_name": None})
    width = SMALL["hidden_size"]
    for at, wider in enumerate(recipe.dense, start=2):
        bias = family == "new"
        weights = {"linear.weight": torch.randn(wider, width) * width**-0.5}
        weights |= {"linear.bias": torch.randn(wider)} if bias else {}
        identity = "torch.nn.modules.linear.Identity"
        config = {"in_features": width, "out_features": wider, "bias": bias, "activation_function": identity}
        write(path / f"{at}_Dense" / "config.json", config)
        save_file(weights, path / f"{at}_Dense" / "model.safetensors")
        width = wider
    return path


def write(path: Path, content: object) -> None:
    """Write JSON, in a folder that is made if need be."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
