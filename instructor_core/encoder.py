"""INSTRUCTOR inference in one file: (instruction, text) pairs in, embeddings out.

Su et al. 2023, "One Embedder, Any Task" (arXiv 2212.09741), is five steps, and the file has them in this order::

    ids  = tokenize(instruction + text.strip())[:511] + [</s>]     strings to ids
    h    = T5 encoder(ids)                                         ids to states: one row per token
    mean = h[m:].mean(0)                                           states to embedding: text tokens and </s> alone;
    e    = W mean                                                  m = number of tokens of the instruction by itself
    e / |e|

Callers use ``InstructorModel``, at the end. Where published implementations disagree this follows InstructorEmbedding
1.0.1 and sentence-transformers, but for what it says there. Copied alone elsewhere the file works, with PyTorch and
Transformers, and gives the same embeddings, but without ``hub.py`` (the bundled checkpoint by name, a dead hub reported
within seconds) and what makes it fast: ``words.py`` (strings to ids), ``products.py`` (a CPU), ``cuda.py`` (a GPU).
"""

from __future__ import annotations

import json
import logging
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from reprlib import repr as shortened
from typing import Any, Never

import numpy as np
import torch
import transformers
from huggingface_hub import snapshot_download
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import AutoTokenizer, T5EncoderModel

try:
    from . import hub, products, words
except ImportError:  # in a copy of this file alone
    hub = products = words = None  # type: ignore[assignment]

Pair = Sequence[str]
Pairs = Iterable[Pair]
Vectors = NDArray[np.float32]
Integers = NDArray[np.int64]


class EncoderError(ValueError):
    """Something the caller can put right; the message says what was wrong, what was got and what to do."""


# ---- a checkpoint folder ---------------------------------------------------------------------------------------------


def find_checkpoint(name_or_path: str | Path, *, revision: str | None = None, tqdm_class: Any = None) -> Path:
    """Return the folder of a checkpoint: on disk, bundled with this package, or the hub's (downloaded if need be)."""
    name = str(name_or_path)
    if name and Path(name).is_dir():
        return Path(name)
    try:
        download = hub.download if hub else snapshot_download
        return Path(download(name, revision=revision, tqdm_class=tqdm_class))
    except (OSError, ValueError) as error:
        said = str(error)
        raise EncoderError(said if repr(name) in said else f"No checkpoint {name!r}: {said}") from error


def _read(path: Path, read: Callable[[Path], Any] = lambda path: json.loads(path.read_bytes())) -> Any:
    """Return what ``read`` makes of a file of a checkpoint, by itself JSON; say which one is missing or damaged."""
    try:
        return read(path)
    except Exception as error:  # damaged files raise whatever the libraries that read them raise
        lack = f"no valid {path.name} ({error})" if path.is_file() else f"no {path.name}"
        raise EncoderError(f"The checkpoint folder {path.parent} has {lack}. Copy the file there again.") from error


def _load_dense(folder: Path) -> nn.Linear:
    """Return the linear layer; refuse a checkpoint that is not transformer, mean pooling and linear layer."""
    modules = [str(module["type"]).rpartition(".")[2] for module in _read(folder / "modules.json")]
    pooling, dense = (_read(folder / part / "config.json") for part in ("1_Pooling", "2_Dense"))
    modes = [key.removeprefix("pooling_mode_") for key, on in pooling.items() if key.startswith("pooling_mode_") and on]
    modes += [pooling["pooling_mode"]] if isinstance(pooling.get("pooling_mode"), str) else []
    safe, old = (folder / "2_Dense" / name for name in ("model.safetensors", "pytorch_model.bin"))
    load = partial(torch.load, map_location="cpu", weights_only=True)  # runs no code that a pickle may hold
    weight = (_read(safe, load_file) if safe.is_file() else _read(old, load)).get("linear.weight", torch.empty(0))
    for what, got, expected in (
        ("modules", modules, ["Transformer", "Pooling", "Dense", "Normalize"][: max(3, len(modules))]),
        ("pooling", [mode.removesuffix("_tokens") for mode in modes], ["mean"]),  # commutes with a linear layer
        ("bias", dense.get("bias", True), False),
        ("activation", str(dense.get("activation_function")).rpartition(".")[2], "Identity"),
        ("shape of 2_Dense's linear.weight", list(weight.shape), [dense["out_features"], dense["in_features"]]),
    ):
        if got != expected:
            raise EncoderError(f"{folder} is not an INSTRUCTOR checkpoint: {what}={got!r}, expected {expected!r}.")
    linear = nn.Linear(dense["in_features"], dense["out_features"], bias=False)
    linear.load_state_dict({"weight": weight.float()})
    return linear


# ---- strings to ids --------------------------------------------------------------------------------------------------


def well_formed(text: str) -> str:
    """Return the text with each lone surrogate, which no encoding of Unicode can hold, replaced by U+FFFD."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _refusal(what: str, got: Any) -> EncoderError:
    return EncoderError(
        f"Pairs must be an ordered list of two strings each, [(instruction, text), ...]: {what} {type(got).__name__} "
        f'{shortened(got)}. Write ("", text) for a text without instruction, zip(instructions, texts) for two lists, '
        'df[["instruction", "text"]].values for a table.'
    )


def _members(thing: Any, what: str) -> Iterator[Any]:
    """Iterate over a list; refuse what would give its characters, keys or columns instead, or has no order."""
    is_list = not isinstance(thing, (str, bytes, bytearray, Mapping, set, frozenset))
    with suppress(TypeError):
        if is_list and "instruction" not in getattr(thing, "keys", list)():
            return iter(thing)
    raise _refusal(what, thing)


def read_pairs(pairs: Any) -> Iterator[tuple[str, str]]:
    """Yield (instruction, text) from any ordered iterable of pairs, by name where a pair has these names."""
    for position, entry in enumerate(_members(pairs, "got")):
        if type(entry) is tuple and len(entry) == 2 and type(entry[0]) is type(entry[1]) is str:  # as nearly always
            yield well_formed(entry[0]), well_formed(entry[1])
            continue
        named = hasattr(entry, "instruction") and hasattr(entry, "text")
        members = (entry.instruction, entry.text) if named else _members(entry, f"pair {position} is")
        pair = tuple(islice(members, 3))
        if len(pair) != 2 or not (isinstance(pair[0], str) and isinstance(pair[1], str)):
            raise _refusal(f"pair {position} is", entry)
        # Of subclasses (NumPy's, enumerations) the characters, whatever their str() says.
        yield well_formed(str.__str__(pair[0])), well_formed(str.__str__(pair[1]))


@dataclass(frozen=True, eq=False)
class Prepared:
    """N pairs as the network sees them, and which of their tokens enter the mean."""

    pairs: list[tuple[str, str]]
    ids: NDArray[np.int32]  # of all pairs one behind the other, and between them those that the window cuts off
    starts: Integers  # (N,) place of the first id of each
    lengths: Integers  # (N,) numbers of ids, </s> included
    edges: Integers  # (N,) number of leading ones that stay out of the mean, those of the instruction


class _Tokenizer:
    """A checkpoint's tokenizer, for which special tokens that a text spells are plain characters."""

    def __init__(self, folder: Path) -> None:
        if not any((folder / name).is_file() for name in ("tokenizer.json", "spiece.model")):
            raise EncoderError(f"The checkpoint folder {folder} has no tokenizer.json (spiece.model). Copy it there.")
        self.full: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        if not self.full.is_fast or self.full("a")["input_ids"][-1] != self.full.eos_token_id:
            raise EncoderError(f"The tokenizer in {folder} does not end a sequence with </s>, as T5's does.")
        self._special = set(self.full.added_tokens_decoder) - {self.full.unk_token_id}
        self._end = array("i", [self.full.eos_token_id]).tobytes()
        self.full.backend_tokenizer.no_truncation()  # a tokenizer.json may ask for either
        self.full.backend_tokenizer.no_padding()
        self._fast = words.by_word(self._tokenize, self.full) if words else self._tokenize

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
        return [*rows, (encoding.ids[-1], encoding.tokens[-1], (-1, -1))]

    def _tokenize(self, strings: Sequence[str]) -> list[bytes]:
        """Tokenize to the bytes of the ids alone, without ``</s>``: as ``rows``, and faster."""
        self.full.backend_tokenizer.encode_special_tokens = True
        found = [encoding.ids[:-1] for encoding in self.full.backend_tokenizer.encode_batch_fast(list(strings))]
        for at, ids in enumerate(found):
            if not self._special.isdisjoint(ids):
                found[at] = [row[0] for row in self.rows(strings[at])[:-1]]
        return [array("i", ids).tobytes() for ids in found]

    def ids(self, strings: Sequence[str]) -> tuple[NDArray[np.int32], Integers]:
        """Return the ids of all strings one behind the other, ``</s>`` after each, and how many each string has."""
        rows = self._fast(strings)
        lengths = np.fromiter(map(len, rows), np.int64, len(rows)) // 4 + 1
        return np.frombuffer(bytearray(b"".join([row + self._end for row in rows])), np.int32), lengths


# ---- ids to states ---------------------------------------------------------------------------------------------------

# Tokens per batch, padding included, and how many cost as much as one more call of attention per layer: on a CPU, whose
# cache holds small batches; on a GPU; and there without padding, by ``cuda.py``, with one call for all.
_BATCH_TOKENS = {"cpu": (1024, 8), "cuda": (16384, 1024), "packed": (65536, 0)}
_WINDOW = 4096  # pairs tokenized and sorted together: bounds memory and lets the first results out early
_FIRST = {"cuda": 1024}  # of them in the first window on a GPU, which waits meanwhile

Batch = list[Integers]  # runs of pairs that go through attention together, padded to the first, its longest
Record = tuple[list[Tensor], list[list[Tensor]]]  # residual stream, attention weights by block and sequence


class T5:
    """Transformers' T5 encoder, the one place that knows its names (5.0 to 5.23); another would have its ``run``."""

    def __init__(self, folder: Path, dtype: torch.dtype, width: int, merge_on: torch.device | None = None) -> None:
        load: Any = T5EncoderModel.from_pretrained
        try:
            self.model, info = load(folder, dtype=dtype, local_files_only=True, output_loading_info=True)
            missing = sorted(set(info["missing_keys"]) - {"encoder.embed_tokens.weight", "shared.weight"})
            if missing or self.model.config.d_model != width:
                sizes = f"hidden size {self.model.config.d_model}, a projection of {width} inputs"
                raise ValueError(f"its weights do not fit its configuration: missing {missing[:3]}, {sizes}")
            self._stack, self.config, self.blocks = self.model.encoder, self.model.config, self.model.encoder.block
            self.embed, self.final_norm = self._stack.embed_tokens, self._stack.final_layer_norm
            self._first = self.blocks[0].layer[0].SelfAttention
            self.position_table, self.n_heads = self._first.relative_attention_bias, self._first.n_heads
            _ = self.weights(0), self.position_buckets(1, torch.device("cpu"))
            self._is_merged, self._attend, self._bias = False, None, torch.empty(0, 0)
            if merge_on and products:
                self._merge(partial(products.Product, device=merge_on))
                self._is_merged, self._attend = True, products.choose_attention(merge_on, dtype)
        except (OSError, ValueError, RuntimeError, AttributeError, IndexError, TypeError) as error:
            raise EncoderError(
                f"The T5 encoder in {folder} cannot be loaded by transformers {transformers.__version__}: {error}. "
                "If its files are whole, install a version whose parts of T5 are known here, 5.0 to 5.23."
            ) from error

    def parts(self, layer: int) -> tuple[Any, Any, Any, Any]:
        """Return attention and feed-forward of a block, and the norms before them."""
        first, second = self.blocks[layer].layer
        return first.SelfAttention, second.DenseReluDense, first.layer_norm, second.layer_norm

    def _merge(self, product: Callable[..., nn.Module]) -> None:
        """Compute linear layers by products: one for query, key and value, and the ReLU in its own."""
        for layer in range(len(self.blocks)):
            attention, feed, *_ = self.parts(layer)
            qkv = torch.cat([attention.q.weight, attention.k.weight, attention.v.weight])
            attention.qkv, attention.o = product(qkv), product(attention.o.weight)
            del attention.q, attention.k, attention.v
            for name in ("wi", "wi_0", "wi_1", "wo"):
                if hasattr(feed, name):
                    fused = name == "wi" and isinstance(feed.act, nn.ReLU)
                    setattr(feed, name, product(getattr(feed, name).weight, relu=fused))
                    feed.act = nn.Identity() if fused else feed.act

    def run(self, ids: Tensor, runs: Sequence[Sequence[int]], record: Record | None = None) -> Tensor:
        """Return the last hidden states ``(R, h)`` float32 of the ``(R,)`` ids of runs of sequences of these lengths.

        Norms and linear layers take one token at a time; attention alone has to know where a sequence ends, and is
        called per run. ``record`` collects what enters each block and leaves the last, and per block the attention
        weights ``(heads, width, width)`` of each sequence.
        """
        states = self._stack.dropout(self.embed(ids))
        biases = [self._position_bias(lengths, ids.device) for lengths in runs]
        sizes = [len(lengths) * lengths[0] for lengths in runs]
        dropout = self._first.dropout if self.model.training else 0.0
        attend = self._attend or partial(F.scaled_dot_product_attention, dropout_p=dropout, scale=1.0)
        for block in self.blocks:
            qkv, write = self.attention(block, states)
            mixed, weights = list[Tensor](), list[Tensor]()
            for lengths, bias, part in zip(runs, biases, torch.split(qkv, sizes), strict=True):
                # Each (n, heads, width, d_kv).
                query, key, value = part.view(len(lengths), lengths[0], 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
                # T5 does not scale its scores; its relative positions enter as an additive bias shared by all blocks.
                if record is not None:
                    weights += torch.softmax((query @ key.transpose(2, 3) + bias).float(), dim=-1)
                mixed.append(attend(query, key, value, bias).transpose(1, 2).reshape(len(part), -1))
            if record is not None:
                record[0].append(states)
                record[1].append(weights)
            states = block.layer[1](states + block.layer[0].dropout(write(torch.cat(mixed))))
        if record is not None:
            record[0].append(states)
        return self._stack.dropout(self.final_norm(states)).float()  # type: ignore[no-any-return]

    def attention(self, block: Any, states: Tensor) -> tuple[Tensor, Any]:
        """Return query, key and value of states ``(R, h)``, side by side, and the product that writes what was read."""
        attention, normed = block.layer[0].SelfAttention, block.layer[0].layer_norm(states)
        if self._is_merged:
            return attention.qkv(normed), attention.o
        return torch.cat([attention.q(normed), attention.k(normed), attention.v(normed)], dim=-1), attention.o

    def _position_bias(self, lengths: Sequence[int], device: torch.device) -> Tensor:
        """Return what is added to the scores of a run: ``(1 or n, heads, width, width)``."""
        bias, width = self._bias, lengths[0]
        if bias.shape[-1] < width:
            bias = self.position_table(self.position_buckets(width, device)).permute(2, 0, 1)[None]
            bias = bias.float() if self._attend else bias
            self._bias = bias if self._is_merged else self._bias  # training changes the table
        bias = bias[..., :width, :width]  # it depends on distances alone
        if lengths[-1] == width:
            return bias
        padding = (torch.arange(width) >= torch.tensor(lengths)[:, None]).to(device)
        # The lowest finite number, not -inf: a row of nothing but padding would be NaN.
        return bias.masked_fill(padding[:, None, None, :], torch.finfo(bias.dtype).min)

    def position_buckets(self, n: int, device: torch.device) -> Tensor:
        """Row of ``position_table`` for every (query, key) pair of positions: ``(n, n)`` int64."""
        at, first = torch.arange(n, device=device), self._first
        sizes = first.relative_attention_num_buckets, first.relative_attention_max_distance
        return first._relative_position_bucket(at[None, :] - at[:, None], True, *sizes)  # type: ignore[no-any-return]

    def weights(self, layer: int) -> tuple[list[Tensor], Tensor, list[Tensor], Tensor, Tensor, Tensor]:
        """Parameters of a block that is not merged: [q, k, v], o, [wi] or [wi_0, wi_1], wo and its two norms."""
        attention, feed, before, between = self.parts(layer)
        wide = [feed.wi_0.weight, feed.wi_1.weight] if self.config.is_gated_act else [feed.wi.weight]
        qkv = [attention.q.weight, attention.k.weight, attention.v.weight]
        return qkv, attention.o.weight, wide, feed.wo.weight, before.weight, between.weight


# ---- states to embedding, and what callers use -----------------------------------------------------------------------


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
        instruction, text: As given, but for lone surrogates.
        joined: What was tokenized: the instruction followed by the stripped text.
        token_ids: ``(n + c,)`` int64 vocabulary ids.
        tokens: ``n + c`` vocabulary strings; ``▁`` marks a word start.
        spans: ``(n + c, 2)`` int64 character ranges in ``joined``; ``(-1, -1)`` for ``</s>``.
        segments: ``n + c`` segments.
        pooling_mask: ``(n,)`` bool, True for the tokens that enter the mean.
        hidden: ``(n, h)`` float32 last hidden states.
        projected: ``(n, D)`` float32 hidden states through the linear layer; ``embedding`` is the mean of those pooled.
        n_instruction_tokens: Length of the instruction tokenized alone, without ``</s>``: the count boundary.
        max_seq_length: Window of the checkpoint in tokens.
        layers: ``(L + 1, n, h)`` float32: the token embeddings, then the residual stream after each block; or None.
        attentions: ``(L, heads, n, n)`` float32 attention weights, rows sum to 1; or None.
    """

    instruction: str
    text: str
    joined: str
    token_ids: NDArray[np.int64]
    tokens: tuple[str, ...]
    spans: NDArray[np.int64]
    segments: tuple[Segment, ...]
    pooling_mask: NDArray[np.bool_]
    hidden: Vectors
    projected: Vectors
    n_instruction_tokens: int
    max_seq_length: int
    layers: Vectors | None = None
    attentions: Vectors | None = None

    @property
    def n_encoded(self) -> int:
        """Number of tokens the network saw, ``</s>`` included."""
        return len(self.pooling_mask)

    @property
    def n_cut(self) -> int:
        """Number of tokens beyond the window."""
        return len(self.token_ids) - self.n_encoded

    @property
    def embedding(self) -> Vectors:
        """``(D,)`` float32 embedding before normalising."""
        return self.projected[self.pooling_mask].mean(axis=0)  # type: ignore[no-any-return]


class InstructorModel(nn.Module):
    """INSTRUCTOR: embeds a text for a task that an instruction describes.

    Pairs are any ordered iterable of two strings each, or of entries with members ``instruction`` and ``text``. Unlike
    in the references, special tokens typed inside a text (``</s>``) are plain characters, a lone surrogate counts as
    U+FFFD, text is always stripped before it is joined, and an instruction that leaves no room for text is an error.

    Args:
        name_or_path: Hub name (``hkunlp/instructor-large``), folder in its layout, or ``instructor-mini``, bundled.
        device: Where to compute; the first CUDA device if there is one, else the CPU.
        dtype: ``"float32"``, or ``"bfloat16"`` for speed; every returned value is float32 in both cases.
        revision: Commit, tag or branch if the checkpoint comes from the hub.
        trainable: Keep the parameters as the checkpoint has them, unmerged; needed for ``train()``.

    Raises:
        EncoderError: If this is no INSTRUCTOR checkpoint or cannot be downloaded; from every method that takes pairs,
            if one is not two strings or its instruction leaves no room for text.
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
        self.backbone = T5(folder, self.dtype, self.dense.in_features, None if trainable else self.device)
        self.transformer, self.n_layers = self.backbone.model, self.backbone.config.num_layers
        self._tokenizer = _Tokenizer(folder)
        self.tokenizer, self.pad_id = self._tokenizer.full, self._tokenizer.full.pad_token_id or 0
        self.max_seq_length = int(_read(folder / "sentence_bert_config.json").get("max_seq_length") or 512)
        self.to(device=self.device).eval()

    def train(self, mode: bool = True) -> InstructorModel:
        """Switch between training and inference, as in every ``nn.Module``, if loaded with ``trainable=True``."""
        if mode and not self.trainable:
            raise EncoderError("This model was loaded for inference. Load it with trainable=True to train it.")
        return super().train(mode)

    def count_tokens(self, strings: Sequence[str]) -> list[int]:
        """Return the number of tokens of each string on its own, without ``</s>``."""
        return (self._tokenizer.ids([well_formed(string) for string in strings])[1] - 1).tolist()  # type: ignore[no-any-return]

    def prepare(self, pairs: Iterable[tuple[str, str]]) -> Prepared:
        """Join, tokenize and truncate what ``read_pairs`` gave."""
        pairs = list(pairs)
        instructions = list(dict.fromkeys([instruction for instruction, _ in pairs]))
        counts = dict(zip(instructions, self.count_tokens([entry.strip() for entry in instructions]), strict=True))
        room = self.max_seq_length - 1
        for instruction, count in counts.items():
            if count >= room:
                raise EncoderError(
                    f"The instruction leaves no room for a text: it has {count} tokens, and the window is "
                    f"{self.max_seq_length} with </s>. Shorten the instruction {instruction[:40]!r}..."
                )
        ids, whole = self._tokenizer.ids([instruction + text.strip() for instruction, text in pairs])
        starts, lengths = np.cumsum(whole) - whole, np.minimum(whole, room + 1)
        ids[starts + lengths - 1] = ids[starts + whole - 1]
        # The mean begins behind the instruction, and has </s> in any case: the references would divide by zero there.
        edges = np.minimum(np.array([counts[instruction] for instruction, _ in pairs], dtype=np.int64), whole - 1)
        return Prepared(pairs, ids, starts, lengths, edges)

    @cached_property
    def _packed(self) -> Any:
        """What runs the encoder on a GPU without padding, where it can be had and gives what ``T5`` gives; or None."""
        if self.device.type != "cuda" or self.trainable:
            return None
        try:
            from .cuda import Packed

            return Packed.checked(self.backbone)
        except Exception as error:  # compilers and drivers raise anything
            logging.getLogger(__name__).warning("Encoding on %s with padding, which is slower: %r", self.device, error)
            return None

    def _split(self, lengths: Integers, budget: int = 0) -> Iterator[Batch]:
        """Yield batches, longest runs first; another run begins where padding the rest would cost more than a call."""
        usual, call = _BATCH_TOKENS.get("packed" if self._packed else self.device.type, _BATCH_TOKENS["cpu"])
        order, budget = np.argsort(-lengths, kind="stable"), budget or usual
        widths = lengths[order].tolist()
        batch: Batch = []
        start = used = 0
        while start < len(widths):
            width = widths[start]
            if batch and used + width > budget:
                yield batch
                batch, used = [], 0
            end = min(len(widths), start + max(1, (budget - used) // width))
            stop = start + 1
            while stop < end and (end - stop) * (width - widths[stop]) <= call:
                stop += 1
            batch.append(order[start:stop])
            used += width * (stop - start)
            start = stop
        if batch:
            yield batch

    def _run(self, prepared: Prepared, batch: Batch, record: Record | None = None) -> tuple[Tensor, Tensor, list[int]]:
        """Run a batch: ``(b, D)`` embeddings, not normalised; ``(R, h)`` last hidden states; first row of each pair."""
        runs = [prepared.lengths[rows] for rows in batch]
        rows, lengths = np.concatenate(batch), np.concatenate(runs)
        widths = np.repeat([run[0] for run in runs], [len(run) for run in runs])
        firsts = np.cumsum(widths) - widths
        places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        ids = np.full(widths.sum(), self.pad_id, dtype=np.int32)
        ids[np.repeat(firsts, lengths) + places] = prepared.ids[np.repeat(prepared.starts[rows], lengths) + places]
        # Three means of each: instruction, text and end, padding.
        edges = np.stack([firsts, firsts + prepared.edges[rows], firsts + lengths], axis=1).ravel()
        numbers, on_gpu = torch.from_numpy(np.concatenate([ids, edges], dtype=np.int32)), self.device.type == "cuda"
        numbers = numbers.pin_memory() if on_gpu else numbers  # one copy, which does not wait for a GPU that is busy
        sent, bags = torch.split(numbers.to(self.device, non_blocking=on_gpu), [len(ids), len(edges)])
        hidden = (self._packed or self.backbone).run(sent, [run.tolist() for run in runs], record)
        # The instruction has done its work inside attention; its own tokens stay out of the mean, or texts under one
        # instruction would be alike merely by sharing it.
        every = torch.arange(len(ids), dtype=bags.dtype, device=self.device)
        means = F.embedding_bag(every, hidden, bags, mode="mean")[1::3]
        return self.dense(means), hidden, firsts.tolist()

    def forward(self, pairs: Pairs, normalize: bool = True) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Embed ``N`` pairs in one batch, whole and token by token; gradients are recorded in ``train()`` mode alone.

        Returns:
            ``(N, D)`` float32 embeddings, and by pair the states of the tokens that are averaged, ``(n_i, h)``: the
            text's and, last, ``</s>``; and those of the instruction's tokens, ``(m_i, h)``. All have unit length if
            ``normalize``; else an embedding is the linear layer applied to the mean of its averaged states.
        """
        prepared = self.prepare(read_pairs(pairs))
        if not (n := len(prepared.pairs)):
            return torch.zeros(0, self.dim, device=self.device), [], []
        (batch,) = self._split(prepared.lengths, budget=n * self.max_seq_length)
        with torch.inference_mode(not self.training):
            embeddings, hidden, firsts = self._run(prepared, batch)
            if normalize:
                embeddings, hidden = F.normalize(embeddings, dim=-1), F.normalize(hidden, dim=-1)
            order = np.argsort(np.concatenate(batch))
            rows = zip((firsts[at] for at in order), prepared.lengths.tolist(), prepared.edges.tolist(), strict=True)
            parts = [torch.tensor_split(hidden[first : first + length], [edge]) for first, length, edge in rows]
            return embeddings[order], [text for _, text in parts], [instruction for instruction, _ in parts]

    def encode(
        self, pairs: Pairs, *, normalize: bool = True, show_progress_bar: bool = False, **of_reference: Never
    ) -> Vectors:
        """Return ``(N, D)`` float32 embeddings of ``N`` pairs (instruction, text), in the order given.

        Args:
            pairs: Any number of pairs; an empty list gives shape ``(0, D)``. All are checked before any is encoded.
            normalize: Unit length (the references always do), or the mean as it is.
            show_progress_bar: Show pairs done, rate and remaining time on standard error.
            **of_reference: None; who gives an argument of the reference is told what to write here.
        """
        for name in of_reference:
            raise TypeError(
                f"encode() has no argument {name!r}: a device is for InstructorModel(), batches are made by length, "
                "normalize= scales, encode_tokens gives vectors of tokens, and a prompt is the instruction of a pair."
            )
        checked = list(read_pairs(pairs))
        out = np.empty((len(checked), self.dim), dtype=np.float32)
        with tqdm(total=len(checked), unit="pair", disable=not show_progress_bar) as bar:
            for positions, embeddings in self.encode_batches(checked, normalize=normalize):
                out[positions] = embeddings
                bar.update(len(positions))
        return out

    def encode_batches(self, pairs: Pairs, *, normalize: bool = True) -> Iterator[tuple[Integers, Vectors]]:
        """Yield ``(b,)`` int64 positions in ``pairs`` and their ``(b, D)`` float32 embeddings, batch by batch.

        Of every few thousand pairs the longest come first. Stopping the iteration stops the work.
        """
        batches = self._embed(read_pairs(pairs), normalize)
        if self._packed:
            return self._packed.bring_back(batches)  # type: ignore[no-any-return]
        return ((positions, embeddings.cpu().numpy()) for positions, embeddings in batches)

    def _embed(self, reader: Iterator[tuple[str, str]], normalize: bool) -> Iterator[tuple[Integers, Tensor]]:
        start, first = 0, _FIRST.get(self.device.type, _WINDOW)
        while pairs := list(islice(reader, min(_WINDOW, first + start))):
            prepared = self.prepare(pairs)
            for batch in self._split(prepared.lengths):
                with torch.inference_mode():
                    embeddings = self._run(prepared, batch)[0]
                    embeddings = F.normalize(embeddings, dim=-1) if normalize else embeddings
                yield np.concatenate(batch) + start, embeddings
            start += len(pairs)

    @torch.inference_mode()
    def encode_tokens(self, pairs: Pairs, *, layers: bool = False, attentions: bool = False) -> list[TokenEncoding]:
        """Return every token's place and vectors for each pair, in the order given; on request those inside as well."""
        results: dict[int, TokenEncoding] = {}
        prepared = self.prepare(read_pairs(pairs))
        for batch in self._split(prepared.lengths):
            streams, maps = list[Tensor](), list[list[Tensor]]()
            _, hidden, firsts = self._run(prepared, batch, (streams, maps) if layers or attentions else None)
            projected = self.dense(hidden)
            for i, position in enumerate(np.concatenate(batch).tolist()):
                (instruction, text), n = prepared.pairs[position], int(prepared.lengths[position])
                rows, n_instruction = slice(firsts[i], firsts[i] + n), int(prepared.edges[position])
                joined, edge = instruction + text.strip(), len(instruction)
                *pieces, end = self._tokenizer.rows(joined)
                token_ids, tokens, spans = zip(*pieces[: n - 1], end, *pieces[n - 1 :], strict=True)  # cut ones last
                segments = [
                    Segment.TEXT if start >= edge else Segment.INSTRUCTION if stop <= edge else Segment.STRADDLING
                    for start, stop in spans[: n - 1]
                ]
                results[position] = TokenEncoding(
                    instruction=instruction,
                    text=text,
                    joined=joined,
                    token_ids=np.asarray(token_ids, dtype=np.int64),
                    tokens=tokens,
                    spans=np.asarray(spans, dtype=np.int64),
                    segments=(*segments, Segment.END, *[Segment.CUT] * (len(spans) - n)),
                    pooling_mask=np.arange(n) >= n_instruction,
                    hidden=hidden[rows].cpu().numpy(),
                    projected=projected[rows].cpu().numpy(),
                    n_instruction_tokens=n_instruction,
                    max_seq_length=self.max_seq_length,
                    layers=torch.stack([part[rows].float() for part in streams]).cpu().numpy() if layers else None,
                    attentions=torch.stack([part[i][:, :n, :n] for part in maps]).cpu().numpy() if attentions else None,
                )
        return [results[position] for position in range(len(results))]

    def read_out(self, states: Vectors) -> Vectors:
        """Apply final norm and linear layer to residual states ``(..., h)`` of any block: ``(..., D)`` float32."""
        with torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(states)).to(self.device, self.dtype)
            return np.asarray(self.dense(self.backbone.final_norm(tensor).float()).cpu())
