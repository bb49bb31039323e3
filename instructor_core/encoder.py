"""INSTRUCTOR inference in one file: (instruction, text) pairs in, embeddings out.

Su et al. 2023, "One Embedder, Any Task" (arXiv 2212.09741), is five steps, and the file has them in this order::

    ids  = tokenize(instruction + text.strip())[:511] + [</s>]     strings to ids
    h    = T5 encoder(ids)                                         ids to states: one row per token
    mean = h[m:].mean(0)                                           states to embedding: text tokens and </s> alone;
    e    = W mean                                                  m = number of tokens of the instruction by itself
    e / |e|

Before them stand the files of a checkpoint, after them what callers use: ``InstructorModel``. Where published
implementations disagree this follows InstructorEmbedding 1.0.1 and sentence-transformers, but for what it says there.

The file needs PyTorch and Transformers (with what they bring) and nothing else: copied alone elsewhere it works. Such a
copy downloads as the hub's own client does, without what ``hub.py`` beside it adds: the bundled checkpoint by its name,
a dead hub reported within seconds, unneeded files left out, and a download that broke off taken up again.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial, wraps
from itertools import accumulate, chain, islice
from pathlib import Path
from timeit import repeat
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import transformers
from huggingface_hub import snapshot_download
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import AutoTokenizer, T5EncoderModel

Pair = Sequence[str]
Method = TypeVar("Method", bound=Callable[..., Any])


class EncoderError(ValueError):
    """Something the caller can put right; the message says what was wrong, what was got and what to do."""


# ---- a checkpoint folder ---------------------------------------------------------------------------------------------


def find_checkpoint(
    name_or_path: str | Path, *, revision: str | None = None, tqdm_class: type[tqdm[Any]] | None = None
) -> Path:
    """Return the folder of a checkpoint: on disk, bundled with this package, or the hub's (downloaded if need be)."""
    name = str(name_or_path)
    if name and Path(name).is_dir():
        return Path(name)
    download: Callable[..., str | Path] = snapshot_download
    with suppress(ImportError):  # in a copy of this file alone
        from .hub import download
    try:
        return Path(download(name, revision=revision, tqdm_class=tqdm_class))
    except (OSError, ValueError) as error:
        said = str(error)
        raise EncoderError(said if repr(name) in said else f"No checkpoint {name!r}: {said}") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        lack = f"no valid {path.name} ({error})" if path.is_file() else f"no {path.name}"
        raise EncoderError(
            f"The checkpoint folder {path.parent} has {lack}. Copy the file from where the checkpoint came from."
        ) from error


def _load_dense(folder: Path) -> nn.Linear:
    """Return the linear layer; refuse a checkpoint that is not transformer, mean pooling and linear layer."""
    modules = [str(module["type"]).rpartition(".")[2] for module in _read_json(folder / "modules.json")]
    pooling, dense = (_read_json(folder / part / "config.json") for part in ("1_Pooling", "2_Dense"))
    modes = [key.removeprefix("pooling_mode_") for key, on in pooling.items() if key.startswith("pooling_mode_") and on]
    modes += [pooling["pooling_mode"]] if isinstance(pooling.get("pooling_mode"), str) else []
    for what, got, expected in (
        ("modules", modules[:-1] if modules[-1:] == ["Normalize"] else modules, ["Transformer", "Pooling", "Dense"]),
        ("pooling", [mode.removesuffix("_tokens") for mode in modes], ["mean"]),  # commutes with a linear layer
        ("bias", dense.get("bias", True), False),
        ("activation", str(dense.get("activation_function")).rpartition(".")[2], "Identity"),
    ):
        if got != expected:
            raise EncoderError(f"{folder} is not an INSTRUCTOR checkpoint: {what}={got!r}, expected {expected!r}.")
    linear = nn.Linear(int(dense["in_features"]), int(dense["out_features"]), bias=False)
    safe, old = (folder / "2_Dense" / name for name in ("model.safetensors", "pytorch_model.bin"))
    try:  # without running any code that a pickle may hold
        state = load_file(safe) if safe.is_file() else torch.load(old, "cpu", weights_only=True)
        linear.load_state_dict({"weight": state["linear.weight"].float()})
    except (OSError, KeyError, pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError) as error:
        raise EncoderError(
            f"{folder}/2_Dense needs {safe.name} or {old.name} with linear.weight of shape "
            f"{tuple(linear.weight.shape)}: {error}. Copy the weights again."
        ) from error
    return linear


def _load_transformer(folder: Path, dtype: torch.dtype, width: int) -> Any:
    """Return Transformers' T5 encoder, whose states must be as wide as the linear layer expects."""
    try:
        load: Any = T5EncoderModel.from_pretrained
        model, info = load(folder, dtype=dtype, local_files_only=True, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise EncoderError(f"The T5 encoder in {folder} cannot be loaded: {error}") from error
    missing = sorted(set(info["missing_keys"]) - {"encoder.embed_tokens.weight", "shared.weight"})
    if missing or model.config.d_model != width:
        sizes = f"hidden size {model.config.d_model} against a projection of {width} inputs"
        raise EncoderError(f"The weights in {folder} do not fit its configuration: missing {missing[:3]}, {sizes}.")
    return model


# ---- strings to ids --------------------------------------------------------------------------------------------------


def well_formed(text: str) -> str:
    """Return the text with each lone surrogate, which no encoding of Unicode can hold, replaced by U+FFFD."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


_NO_LIST: dict[Any, str] = {  # what iterating over a kind would silently make of it, and what to write instead
    (str, bytes, bytearray): 'Write one pair as [(instruction, text)], and a text without instruction as ("", text).',
    Mapping: 'It gives its keys alone: write zip(instructions, texts), or (entry["instruction"], entry["text"]).',
    (set, frozenset): "It has no order, so nobody could tell which embedding is whose.",
}


def _refusal(where: str, got: Any, advice: str) -> EncoderError:
    form = "Pairs must be a list of two strings each, [(instruction, text), ...]"
    return EncoderError(f"{form}: {where} {type(got).__name__} {str(got)[:40]!r}. {advice}")


def _check_list(thing: Any, where: str) -> None:
    """Refuse what has no members, no order, or gives other members than one would think."""
    advice = next((advice for kinds, advice in _NO_LIST.items() if isinstance(thing, kinds)), "")
    if hasattr(thing, "columns"):
        advice = 'It gives the names of its columns: write df[["instruction", "text"]].values.'
    elif not advice:
        with suppress(TypeError):
            iter(thing)
            if "instruction" not in getattr(thing, "keys", list)():  # a row of a database, perhaps in another order
                return
    raise _refusal(where, thing, advice or "Write a tuple for each pair.")


def read_pairs(pairs: Any) -> Iterator[tuple[str, str]]:
    """Yield (instruction, text) from any ordered iterable of pairs, by name where a pair has these names."""
    _check_list(pairs, "got")
    for position, entry in enumerate(pairs):
        parts = entry
        if hasattr(entry, "instruction") and hasattr(entry, "text"):
            parts = entry.instruction, entry.text
        elif type(entry) is not tuple:
            _check_list(entry, f"pair {position} is")
            parts = tuple(islice(entry, 3))
        if len(parts) != 2:
            n = len(parts) if len(parts) < 3 else "more than two"
            raise _refusal(f"pair {position} is", entry, f"It has {n} members: keep an instruction and a text.")
        for name, part in zip(("instruction", "text"), parts, strict=True):
            if not isinstance(part, str):
                raise _refusal(f"the {name} of pair {position} is", part, "Fill in or leave out what is missing.")
        # Of subclasses (NumPy's, enumerations) the characters, whatever their str() says.
        yield well_formed(str.__str__(parts[0])), well_formed(str.__str__(parts[1]))


class _Item(NamedTuple):
    """A pair as the network sees it: its ids, of which the first ``n_masked`` stay out of the mean."""

    position: int
    instruction: str
    text: str
    ids: list[int]
    n_masked: int


class _Tokenizer:
    """A checkpoint's tokenizer, for which special tokens that a text spells are plain characters."""

    def __init__(self, folder: Path) -> None:
        if not any((folder / name).is_file() for name in ("tokenizer.json", "spiece.model")):
            raise EncoderError(f"The checkpoint folder {folder} has no tokenizer.json (spiece.model). Copy it there.")
        self.full: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.eos: int = self.full.eos_token_id
        self.pad: int = self.full.pad_token_id or 0
        if not self.full.is_fast or self.full("a")["input_ids"][-1] != self.eos:
            raise EncoderError(f"The tokenizer in {folder} does not end a sequence with </s>, as T5's does.")
        self._special = set(self.full.added_tokens_decoder) - {self.full.unk_token_id}
        self.full.backend_tokenizer.no_truncation()  # a tokenizer.json may ask for either
        self.full.backend_tokenizer.no_padding()

    def rows(self, string: str) -> list[tuple[int, str, tuple[int, int]]]:
        """Tokenize to (id, piece, character span), ``</s>`` last, nothing truncated."""
        backend, rows = self.full.backend_tokenizer, []
        backend.encode_special_tokens = True  # of what is typed: </s> at the end is added all the same
        encoding = backend.encode(string)
        for token_id, piece, (start, end) in zip(encoding.ids[:-1], encoding.tokens, encoding.offsets, strict=False):
            if token_id not in self._special:
                # Some tokenizers count the space before a word to its first piece; a span covers characters only.
                rows.append((token_id, piece, (end - len(string[start:end].lstrip()), end)))
                continue
            for place, char in enumerate(piece, start=end - len(piece)):
                char_id = self.full.convert_tokens_to_ids(char)
                if char_id == self.full.unk_token_id:  # a vocabulary with byte fallback has <0x3C> for "<"
                    byte = self.full.convert_tokens_to_ids(f"<0x{ord(char):02X}>")
                    char_id = char_id if byte is None else byte
                rows.append((char_id, char, (place, place + 1)))
        return [*rows, (self.eos, encoding.tokens[-1], (-1, -1))]

    def ids(self, strings: Sequence[str]) -> list[list[int]]:
        """Tokenize to ids alone, as ``rows`` does and faster."""
        backend = self.full.backend_tokenizer
        backend.encode_special_tokens = True
        out = [encoding.ids for encoding in backend.encode_batch_fast(list(strings))]
        return [
            [row[0] for row in self.rows(string)] if self._special.intersection(ids[:-1]) else ids
            for string, ids in zip(strings, out, strict=True)
        ]


# ---- ids to states ---------------------------------------------------------------------------------------------------

_BATCH_TOKENS = {"cpu": 1024, "cuda": 16384}  # per batch, padding included; small ones stay inside a CPU's cache
_CALL_TOKENS = {"cpu": 8, "cuda": 1024}  # padded tokens that cost as much as one more call of attention per layer
_WINDOW = 4096  # pairs tokenized and sorted together: bounds memory and lets the first results out early

Run = tuple[int, int, Tensor | None]  # n sequences of one width that share a call of attention; (n, width) bool padding
Record = list[tuple[Tensor, list[Tensor]]]  # per block: what enters it, its attention weights run by run


def _batches(items: Sequence[_Item], device: torch.device, budget: int | None = None) -> Iterator[list[list[_Item]]]:
    """Yield batches of runs, longest first.

    A run goes through attention as one block, padded to its longest; another begins where padding the rest would cost
    more than a call. The rest of the network sees a batch as one list of tokens and does not care.
    """
    budget = budget or _BATCH_TOKENS.get(device.type, _BATCH_TOKENS["cpu"])
    call = _CALL_TOKENS.get(device.type, _CALL_TOKENS["cpu"])
    items = sorted(items, key=lambda item: -len(item.ids))
    batch: list[list[_Item]] = []
    start = used = 0
    while start < len(items):
        width = len(items[start].ids)
        if batch and used + width > budget:
            yield batch
            batch, used = [], 0
        end = min(len(items), start + max(1, (budget - used) // width))
        stop = start + 1
        while stop < end and (end - stop) * (width - len(items[stop].ids)) <= call:
            stop += 1
        batch.append(items[start:stop])
        used += width * (stop - start)
        start = stop
    if batch:
        yield batch


class T5:
    """Transformers' T5 encoder taken apart: the one place that knows its names, as they are in 5.0 to 5.23.

    Another encoder would be another class with ``run`` and ``final_norm``; the rest is for training.
    """

    def __init__(self, model: Any, merge_on: torch.device | None = None) -> None:
        self._is_merged, self._bias = merge_on is not None, torch.empty(0, 0)
        try:
            self._stack, config = model.encoder, model.config
            self.activation, self.is_gated = config.dense_act_fn, config.is_gated_act
            self.epsilon: float = config.layer_norm_epsilon
            self.n_layers = len(self._stack.block)
            self.embed, self.final_norm = self._stack.embed_tokens, self._stack.final_layer_norm
            self._first = self._stack.block[0].layer[0].SelfAttention
            self.position_table, self.n_heads = self._first.relative_attention_bias, self._first.n_heads
            _ = self.weights(0), self.position_buckets(1, torch.device("cpu"))
            if merge_on is not None:
                for block in self._stack.block:
                    _merge(block, merge_on)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise EncoderError(
                f"transformers {transformers.__version__} has parts of T5 not known here ({error}). "
                "This file is right for transformers 5.0 to 5.23: install one of these."
            ) from error

    def run(self, ids: Tensor, runs: Sequence[Run], record: Record | None = None) -> Tensor:
        """Return the last hidden states ``(R, h)`` float32 of the ``(R,)`` ids of all runs.

        Only attention needs to know where a sequence ends; norms and linear layers take one token at a time. So a batch
        is one list of tokens, and attention alone is called per run of sequences of like length. ``record`` collects,
        per block, its input and its attention weights ``(n, heads, width, width)``; last, what leaves the last block.
        """
        states = self._stack.dropout(self.embed(ids))
        biases = [self._position_bias(width, padding, ids.device) for _, width, padding in runs]
        sizes = [n * width for n, width, _ in runs]
        for block in self._stack.block:
            first, feed_forward = block.layer
            attention, normed = first.SelfAttention, first.layer_norm(states)
            if self._is_merged:
                products = attention.qkv(normed)
            else:
                products = torch.cat([attention.q(normed), attention.k(normed), attention.v(normed)], dim=-1)
            dropout = attention.dropout if attention.training else 0.0
            mixed, weights = [], []
            for (n, width, _), bias, part in zip(runs, biases, torch.split(products, sizes), strict=True):
                # Each (n, heads, width, d_kv).
                query, key, value = part.view(n, width, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
                if record is not None:
                    weights.append(torch.softmax((query @ key.transpose(2, 3) + bias).float(), dim=-1))
                # T5 does not scale its scores; its relative positions enter as an additive bias shared by all blocks.
                out = F.scaled_dot_product_attention(query, key, value, bias, dropout_p=dropout, scale=1.0)
                mixed.append(out.transpose(1, 2).reshape(len(part), -1))
            if record is not None:
                record.append((states, weights))
            states = feed_forward(states + first.dropout(attention.o(torch.cat(mixed))))
        if record is not None:
            record.append((states, []))
        return self._stack.dropout(self.final_norm(states)).float()  # type: ignore[no-any-return]

    def _position_bias(self, width: int, padding: Tensor | None, device: torch.device) -> Tensor:
        """Return what is added to the scores of a run: ``(1 or n, heads, width, width)``."""
        bias = self._bias
        if bias.shape[-1] < width:
            bias = self.position_table(self.position_buckets(width, device)).permute(2, 0, 1)[None]
            self._bias = bias if self._is_merged else self._bias  # training changes the table
        bias = bias[..., :width, :width]  # it depends on distances alone
        if padding is None:
            return bias
        # The lowest finite number, not -inf: a row of nothing but padding would be NaN.
        return bias.masked_fill(padding.to(device)[:, None, None, :], torch.finfo(bias.dtype).min)

    def position_buckets(self, n: int, device: torch.device) -> Tensor:
        """Row of ``position_table`` for every (query, key) pair of positions: ``(n, n)`` int64."""
        positions, first = torch.arange(n, device=device), self._first
        return first._relative_position_bucket(  # type: ignore[no-any-return]
            positions[None, :] - positions[:, None],
            bidirectional=True,
            num_buckets=first.relative_attention_num_buckets,
            max_distance=first.relative_attention_max_distance,
        )

    def weights(self, layer: int) -> tuple[list[Tensor], Tensor, list[Tensor], Tensor, Tensor, Tensor]:
        """Parameters of a block that is not merged: [q, k, v], o, [wi] or [wi_0, wi_1], wo and its two norms."""
        first, second = self._stack.block[layer].layer
        attention, feed = first.SelfAttention, second.DenseReluDense
        wide = [feed.wi_0.weight, feed.wi_1.weight] if self.is_gated else [feed.wi.weight]
        qkv = [attention.q.weight, attention.k.weight, attention.v.weight]
        return qkv, attention.o.weight, wide, feed.wo.weight, first.layer_norm.weight, second.layer_norm.weight


def _merge(block: Any, device: torch.device) -> None:
    """Take a block's weights over for inference: one product for query, key and value, and the ReLU in its own."""
    attention, feed = block.layer[0].SelfAttention, block.layer[1].DenseReluDense
    attention.qkv = _Product(torch.cat([attention.q.weight, attention.k.weight, attention.v.weight]), device)
    del attention.q, attention.k, attention.v
    attention.o = _Product(attention.o.weight, device)
    for name in ("wi", "wi_0", "wi_1", "wo"):
        if hasattr(feed, name):
            fused = name == "wi" and isinstance(feed.act, nn.ReLU)
            setattr(feed, name, _Product(getattr(feed, name).weight, device, relu=fused))
            feed.act = nn.Identity() if fused else feed.act


class _Product(nn.Module):
    """Multiplies rows by a transposed weight (and applies a ReLU); on a CPU in oneDNN's blocked layout where that pays.

    torch sends float32 to MKL, which on processors not made by Intel reaches about half of oneDNN's rate or less; with
    bfloat16 nothing is reordered at each call. The two operators are private to PyTorch (2.6 to 2.13).
    """

    def __init__(self, weight: Tensor, device: torch.device, *, relu: bool = False, pack: bool | None = None) -> None:
        super().__init__()
        weight = weight.detach().to(device)
        self.relu = relu
        self.is_packed = device.type == "cpu" and (_packing_pays(weight.dtype) if pack is None else pack)
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight) if self.is_packed else weight

    def forward(self, states: Tensor) -> Tensor:
        """``(R, in)`` -> ``(R, out)``."""
        if self.is_packed:
            after = "relu" if self.relu else "none"
            return torch.ops.mkldnn._linear_pointwise(states, self.weight, None, after, [], "")  # type: ignore[no-any-return]
        out = F.linear(states, self.weight)
        return torch.relu_(out) if self.relu else out

    def __reduce__(self) -> tuple[Any, ...]:  # blocked layouts cannot be pickled, and differ between machines
        weight = self.weight.to_dense() if self.is_packed else self.weight
        return partial(_Product, relu=self.relu), (weight, weight.device)


@cache
def _packing_pays(dtype: torch.dtype) -> bool:
    """Try a packed weight: False if it fails, is wrong, or is not clearly faster (takes milliseconds, once)."""
    generator, cpu = torch.Generator().manual_seed(0), torch.device("cpu")
    weight = (torch.randn(1024, 512, generator=generator) / 512**0.5).to(dtype)
    states = torch.randn(32, 512, generator=generator).to(dtype)
    try:
        with torch.inference_mode():
            plain, packed = (_Product(weight, cpu, relu=True, pack=pack) for pack in (False, True))
            atol = 1e-5 if dtype == torch.float32 else 1e-2
            torch.testing.assert_close(packed(states), plain(states), atol=atol, rtol=1e-2)
            seconds = [min(repeat(partial(product, states), number=1, repeat=5)) for product in (plain, packed)]
    except Exception:  # private operators may do anything in another version: then PyTorch's public ones serve
        return False
    return seconds[1] * 1.1 < seconds[0]


# ---- states to embedding, and what callers use -----------------------------------------------------------------------


def _pool(states: Tensor, rows: Sequence[range]) -> Tensor:
    """Mean of the rows of each item: ``(R, h)`` -> ``(b, h)``.

    They are those of its text and of ``</s>``. The instruction has done its work inside attention; its own tokens stay
    out of the mean, so that texts under one instruction are not alike merely by sharing it.
    """
    indices = torch.tensor(list(chain.from_iterable(rows))).to(states.device)
    firsts = torch.tensor([0, *accumulate(map(len, rows[:-1]))]).to(states.device)
    return F.embedding_bag(indices, states, firsts, mode="mean")


class Segment(StrEnum):
    """Where a token comes from, by its characters in the joined string."""

    INSTRUCTION = "instruction"
    STRADDLING = "straddling"  # one piece covers the end of the instruction and the start of the text
    TEXT = "text"
    END = "end"  # the final </s>, which takes part in the mean
    CUT = "cut"  # beyond max_seq_length: listed, never encoded


@dataclass(frozen=True, eq=False)
class TokenEncoding:
    """One pair, token by token: ``n`` encoded tokens (the last is ``</s>``), then ``c`` that the window cut off.

    Attributes:
        instruction: The instruction as given, but for lone surrogates.
        text: The text as given, but for lone surrogates.
        joined: What was tokenized: the instruction followed by the stripped text.
        token_ids: ``(n + c,)`` int64 vocabulary ids.
        tokens: ``n + c`` vocabulary strings; ``▁`` marks a word start.
        spans: ``(n + c, 2)`` int64 character ranges in ``joined``; ``(-1, -1)`` for ``</s>``.
        segments: ``n + c`` segments.
        pooling_mask: ``(n,)`` bool, True for the tokens that enter the mean.
        hidden: ``(n, h)`` float32 last hidden states.
        projected: ``(n, D)`` float32, each hidden state through the linear layer; the mean of the rows selected by
            ``pooling_mask`` is the embedding before normalising.
        n_instruction_tokens: Length of the instruction tokenized alone, without ``</s>``: the count boundary.
        max_seq_length: Window of the checkpoint in tokens.
        layers: ``(L + 1, n, h)`` float32 residual stream, row 0 the token embedding, row ``l`` after block ``l``,
            all before the final norm; None unless asked for.
        attentions: ``(L, heads, n, n)`` float32 attention weights, rows sum to 1; None unless asked for.
    """

    instruction: str
    text: str
    joined: str
    token_ids: NDArray[np.int64]
    tokens: tuple[str, ...]
    spans: NDArray[np.int64]
    segments: tuple[Segment, ...]
    pooling_mask: NDArray[np.bool_]
    hidden: NDArray[np.float32]
    projected: NDArray[np.float32]
    n_instruction_tokens: int
    max_seq_length: int
    layers: NDArray[np.float32] | None = None
    attentions: NDArray[np.float32] | None = None

    @property
    def n_encoded(self) -> int:
        """Number of tokens the network saw, ``</s>`` included."""
        return len(self.pooling_mask)

    @property
    def n_cut(self) -> int:
        """Number of tokens beyond the window."""
        return len(self.token_ids) - self.n_encoded

    @property
    def embedding(self) -> NDArray[np.float32]:
        """``(D,)`` float32 embedding before normalising."""
        mean: NDArray[np.float32] = self.projected[self.pooling_mask].mean(axis=0)
        return mean


_NAMED_ELSEWHERE = {  # arguments of the reference
    "sentences": "give the pairs as the first argument",
    "batch_size": "leave it out: batches are made by length",
    "normalize_embeddings": "write normalize=",
    "device": "choose it once, InstructorModel(..., device=...)",
    "output_value": "use encode_tokens for the vectors of the tokens",
    **dict.fromkeys(("prompt", "prompt_name"), "put the instruction into each pair, (instruction, text)"),
    **dict.fromkeys(("convert_to_tensor", "convert_to_numpy"), "leave it out: torch.from_numpy makes a tensor"),
}


class _ArgumentError(EncoderError, TypeError): ...


def _explain_names(method: Method) -> Method:
    """Tell who calls a method with the argument names of the reference what to write here."""

    @wraps(method)
    def explained(*args: Any, **kwargs: Any) -> Any:
        for name in _NAMED_ELSEWHERE.keys() & kwargs:
            raise _ArgumentError(f"{method.__name__}() has no argument {name!r}: {_NAMED_ELSEWHERE[name]}.")
        return method(*args, **kwargs)

    return explained  # type: ignore[return-value]


class InstructorModel(nn.Module):
    """INSTRUCTOR: embeds a text for a task that an instruction describes.

    Deliberate differences from the reference implementations: special tokens typed inside a text (``</s>``, ``<pad>``,
    ``<extra_id_0>``) are plain characters; an instruction that leaves no room for text is an error, not a zero vector;
    text is stripped before it is joined, as InstructorEmbedding 1.0.1 does; a lone surrogate counts as U+FFFD.

    Pairs are any ordered iterable of two strings each: lists, tuples, rows of an array or data frame, zip, generators.
    An entry that has members named ``instruction`` and ``text`` is read by these names. All else is an error.

    A model can be pickled, copied and sent to other processes; it takes its weights along.

    Example:
        >>> model = InstructorModel("instructor-mini")
        >>> model.encode([("Represent the review for classifying its sentiment: ", "A joy to read.")]).shape
        (1, 384)

    Args:
        name_or_path: Hub name (``hkunlp/instructor-base``, ``-large``, ``-xl``), a folder in the hub's layout, or
            ``instructor-mini``, the small checkpoint bundled with the package.
        device: Where to compute; the first CUDA device if there is one, else the CPU.
        dtype: ``"float32"``, or ``"bfloat16"`` for speed where the hardware does it natively. Pooling, projection and
            every returned value are float32 in both cases.
        revision: Commit, tag or branch if the checkpoint comes from the hub.
        trainable: Keep the parameters as the checkpoint has them, unmerged; needed for ``train()``.

    Raises:
        EncoderError: If the checkpoint cannot be found, downloaded or is not an INSTRUCTOR checkpoint; from every
            method that takes pairs, if one is not two strings or its instruction leaves no room for text.
    """

    def __init__(
        self,
        name_or_path: str | Path,
        device: torch.device | str | None = None,
        dtype: str = "float32",
        *,
        revision: str | None = None,
        trainable: bool = False,
    ) -> None:
        super().__init__()
        if dtype not in ("float32", "bfloat16"):
            raise EncoderError(f'dtype must be "float32" or "bfloat16", got {dtype!r}.')
        self.name, self.revision, self.trainable = str(name_or_path), revision, trainable
        self.folder = folder = find_checkpoint(name_or_path, revision=revision)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dtype = getattr(torch, dtype)
        self.dense = _load_dense(folder)
        self.dim: int = self.dense.out_features
        self.transformer = _load_transformer(folder, self.dtype, self.dense.in_features)
        self._tokenizer = _Tokenizer(folder)
        self.tokenizer, self.pad_id = self._tokenizer.full, self._tokenizer.pad
        self.max_seq_length = int(_read_json(folder / "sentence_bert_config.json").get("max_seq_length") or 512)
        self.backbone = T5(self.transformer, None if trainable else self.device)
        self.n_layers = self.backbone.n_layers
        self.to(device=self.device).eval()

    def train(self, mode: bool = True) -> InstructorModel:
        """Switch between training and inference, as in every ``nn.Module``, if loaded with ``trainable=True``."""
        if mode and not self.trainable:
            raise EncoderError("This model was loaded for inference. Load it with trainable=True to train it.")
        return super().train(mode)

    def count_tokens(self, strings: Sequence[str]) -> list[int]:
        """Return the number of tokens of each string on its own, without ``</s>``."""
        return [len(ids) - 1 for ids in self._tokenizer.ids([well_formed(string) for string in strings])]

    def _prepare(self, pairs: Iterable[tuple[str, str]], start: int = 0) -> list[_Item]:
        """Join, tokenize and truncate what ``read_pairs`` gave; ``start`` is the position of the first pair."""
        pairs = list(pairs)
        instructions = list(dict.fromkeys(instruction for instruction, _ in pairs))
        lengths = dict(zip(instructions, self.count_tokens([entry.strip() for entry in instructions]), strict=True))
        room = self.max_seq_length - 1
        for instruction, length in lengths.items():
            if length >= room:
                raise EncoderError(
                    f"The instruction leaves no room for a text: it has {length} tokens, and the window is "
                    f"{self.max_seq_length} with </s>. Shorten the instruction {instruction[:40]!r}..."
                )
        joined = self._tokenizer.ids([instruction + text.strip() for instruction, text in pairs])
        return [
            # Never more masked than all but </s>: the references would divide by zero there.
            _Item(start + at, *pair, [*ids[:-1][:room], ids[-1]], min(lengths[pair[0]], len(ids) - 1))
            for at, (pair, ids) in enumerate(zip(pairs, joined, strict=True))
        ]

    def _states(self, batch: Sequence[Sequence[_Item]], record: Record | None = None) -> tuple[Tensor, list[range]]:
        """Run a batch: last hidden states ``(R, h)`` float32, padding included, and the rows of each item."""
        ids: list[int] = []
        rows: list[range] = []
        runs: list[Run] = []
        for items in batch:
            width = len(items[0].ids)
            for item in items:
                rows.append(range(len(ids), len(ids) + len(item.ids)))
                ids += item.ids + [self.pad_id] * (width - len(item.ids))
            padding = None
            if len(items[-1].ids) < width:
                padding = torch.arange(width) >= torch.tensor([[len(item.ids)] for item in items])
            runs.append((len(items), width, padding))
        return self.backbone.run(torch.tensor(ids).to(self.device), runs, record), rows

    def _embed(self, batch: Sequence[Sequence[_Item]]) -> tuple[Tensor, list[_Item], Tensor, list[range]]:
        """Run a batch: ``(b, D)`` embeddings, not normalised, their items, and what ``_states`` gives."""
        items = list(chain.from_iterable(batch))
        hidden, rows = self._states(batch)
        pooled = [of_item[item.n_masked :] for item, of_item in zip(items, rows, strict=True)]
        return self.dense(_pool(hidden, pooled)), items, hidden, rows

    def forward(self, pairs: Iterable[Pair], normalize: bool = True) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Embed pairs, whole and token by token, in one batch.

        Args:
            pairs: ``N`` pairs (instruction, text).
            normalize: Scale every returned vector to unit length.

        Returns:
            ``(N, D)`` float32 embeddings; a list of ``(n_i, h)`` states of the pooled tokens: the text's tokens and,
            last, ``</s>``; a list of ``(m_i, h)`` states of the instruction's tokens. Padding never appears. With
            ``normalize=False`` an embedding is the linear layer applied to the mean of its ``(n_i, h)`` states.
            In ``eval()`` mode (the default) no gradient is recorded; in ``train()`` mode it is.
        """
        if not (prepared := self._prepare(read_pairs(pairs))):
            return torch.zeros(0, self.dim, device=self.device), [], []
        (batch,) = _batches(prepared, self.device, budget=sys.maxsize)
        with torch.inference_mode(not self.training):
            embeddings, items, hidden, rows = self._embed(batch)
            if normalize:
                embeddings, hidden = F.normalize(embeddings, dim=-1), F.normalize(hidden, dim=-1)
            order = sorted(range(len(items)), key=lambda i: items[i].position)
            parts = [torch.tensor_split(hidden[rows[i].start : rows[i].stop], [items[i].n_masked]) for i in order]
            return embeddings[order], [text for _, text in parts], [instruction for instruction, _ in parts]

    @_explain_names
    def encode(
        self, pairs: Iterable[Pair], *, normalize: bool = True, show_progress_bar: bool = False
    ) -> NDArray[np.float32]:
        """Return ``(N, D)`` float32 embeddings of ``N`` pairs (instruction, text), in the order given.

        Args:
            pairs: Any number of pairs; an empty list gives shape ``(0, D)``. All are checked before any is encoded.
            normalize: Unit length (the references always do), or the mean as it is.
            show_progress_bar: Show pairs done, rate and remaining time on standard error.
        """
        checked = list(read_pairs(pairs))
        out = np.empty((len(checked), self.dim), dtype=np.float32)
        with tqdm(total=len(checked), unit="pair", disable=not show_progress_bar) as bar:
            for positions, embeddings in self.encode_batches(checked, normalize=normalize):
                out[positions] = embeddings
                bar.update(len(positions))
        return out

    @_explain_names
    def encode_batches(
        self, pairs: Iterable[Pair], *, normalize: bool = True
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Embed pairs batch by batch; stopping the iteration stops the work. Some thousand pairs are read at a time.

        Returns:
            Of each batch ``(b,)`` int64 positions in ``pairs`` and their ``(b, D)`` float32 embeddings, in the order in
            which they are done (longest first within each few thousand pairs).
        """
        start, reader = 0, read_pairs(pairs)
        while prepared := self._prepare(islice(reader, _WINDOW), start):
            start += len(prepared)
            for batch in _batches(prepared, self.device):
                with torch.inference_mode():
                    embeddings, items, *_ = self._embed(batch)
                    embeddings = F.normalize(embeddings, dim=-1) if normalize else embeddings
                yield np.asarray([item.position for item in items], dtype=np.int64), np.asarray(embeddings.cpu())

    @_explain_names
    @torch.inference_mode()
    def encode_tokens(
        self, pairs: Iterable[Pair], *, layers: bool = False, attentions: bool = False
    ) -> list[TokenEncoding]:
        """Return every token's place and vectors for each pair, in the order given.

        Args:
            pairs: ``N`` pairs (instruction, text).
            layers: Also keep the residual stream after each block: ``(L + 1, n, h)`` floats per pair.
            attentions: Also keep the attention weights: ``(L, heads, n, n)`` floats per pair.
        """
        results: dict[int, TokenEncoding] = {}
        for batch in _batches(self._prepare(read_pairs(pairs)), self.device):
            record: Record | None = [] if layers or attentions else None
            hidden, rows = self._states(batch, record)
            projected = self.dense(hidden)
            places = [(run, row, item) for run, items in enumerate(batch) for row, item in enumerate(items)]
            for (run, row, item), at in zip(places, rows, strict=True):
                own, n = slice(at.start, at.stop), len(at)
                streams = [states[own].float() for states, _ in record or []]
                weights = [of_runs[run][row, :, :n, :n] for _, of_runs in (record or [])[:-1]]
                results[item.position] = TokenEncoding(
                    **self._places(item),
                    hidden=hidden[own].cpu().numpy(),
                    projected=projected[own].cpu().numpy(),
                    layers=torch.stack(streams).cpu().numpy() if layers else None,
                    attentions=torch.stack(weights).cpu().numpy() if attentions else None,
                )
        return [results[position] for position in range(len(results))]

    def _places(self, item: _Item) -> dict[str, Any]:
        """Where the tokens of a pair stand: the fields of ``TokenEncoding`` that are no vectors."""
        n, boundary = len(item.ids), len(item.instruction)
        joined = item.instruction + item.text.strip()
        *rows, end = self._tokenizer.rows(joined)
        listed = [*rows[: n - 1], end, *rows[n - 1 :]]  # what was cut comes last
        token_ids, tokens, spans = zip(*listed, strict=True)
        segments = [
            Segment.TEXT if start >= boundary else Segment.STRADDLING if stop > boundary else Segment.INSTRUCTION
            for start, stop in spans[: n - 1]
        ]
        return {
            "instruction": item.instruction,
            "text": item.text,
            "joined": joined,
            "token_ids": np.asarray(token_ids, dtype=np.int64),
            "tokens": tokens,
            "spans": np.asarray(spans, dtype=np.int64),
            "segments": (*segments, Segment.END, *[Segment.CUT] * (len(listed) - n)),
            "pooling_mask": np.arange(n) >= item.n_masked,
            "n_instruction_tokens": item.n_masked,
            "max_seq_length": self.max_seq_length,
        }

    def read_out(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Apply the final norm and the linear layer to residual states of any block.

        Args:
            states: ``(..., h)`` float32, for example one entry of ``TokenEncoding.layers``.

        Returns:
            ``(..., D)`` float32. For the last block this is ``TokenEncoding.projected``; for earlier ones it is a
            read-out that the network was not trained for.
        """
        with torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(states)).to(self.device, self.dtype)
            return np.asarray(self.dense(self.backbone.final_norm(tensor).float()).cpu())
