"""INSTRUCTOR inference in one file: (instruction, text) pairs in, embeddings out.

Su et al. 2023, "One Embedder, Any Task" (arXiv 2212.09741), is five steps, and the file has them in this order::

    ids  = tokenize(instruction + text.strip())[:511] + [</s>]     strings to ids
    h    = T5 encoder(ids)                                         ids to states: one row per token
    mean = h[m:].mean(0)                                           states to embedding: text tokens and </s> alone;
    e    = W mean                                                  m = number of tokens of the instruction by itself
    e / |e|

Where published implementations disagree this follows InstructorEmbedding 1.0.1 and sentence-transformers;
``InstructorModel`` says where it deliberately does not.

The file needs PyTorch and Transformers (with what they bring) and nothing else: copied alone elsewhere it works. Such a
copy downloads as the hub's own client does. What it goes without is ``hub.py``, which lies beside it here: a dead hub
reported within seconds, unneeded files left out, and a download that broke off taken up again.
"""

from __future__ import annotations

import json
import pickle
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial, wraps
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

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
Linear = Callable[[Tensor], Tensor]
P = ParamSpec("P")
R = TypeVar("R")

_BATCH_TOKENS = {"cpu": 1024, "cuda": 16384}  # per batch, padding included; small ones stay inside a CPU's cache
_CALL_TOKENS = {"cpu": 8, "cuda": 1024}  # padded tokens that cost as much as one more call of attention per layer
_WINDOW = 4096  # pairs tokenized and sorted together: bounds memory and lets the first results out early


class EncoderError(ValueError):
    """Something the caller can put right; the message says what was wrong, what was got and what to do."""


# ---- a checkpoint folder ---------------------------------------------------------------------------------------------

_HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")


def find_checkpoint(
    name_or_path: str | Path, *, revision: str | None = None, tqdm_class: type[tqdm[Any]] | None = None
) -> Path:
    """Return the local folder of a checkpoint, downloading it from the Hugging Face Hub if it has to.

    A folder on disk comes first, then a checkpoint bundled with this package (``"instructor-mini"``), then a hub name
    such as ``"hkunlp/instructor-base"``: from the hub's cache if it is complete there, else by download.

    Args:
        name_or_path: Folder, bundled name or hub name.
        revision: Commit, tag or branch of the hub repository; the default branch if None.
        tqdm_class: Progress bar for the download; the hub client's own on standard error if None.

    Raises:
        EncoderError: If there is no such folder, if the name is not one of the hub's form, or if the hub does not
            know the name or does not answer.
    """
    name, here = str(name_or_path), Path(__file__).resolve().parent
    if name and Path(name).is_dir():
        return Path(name)
    for assets in (here / "assets", here.parent / "assets"):
        if re.fullmatch(r"[\w-]+", name) and (assets / name / "modules.json").is_file():
            return assets / name
    if not _HUB_NAME.match(name):
        raise EncoderError(
            f"No checkpoint {name!r}: there is no such folder, and a name on the Hugging Face Hub has the form "
            '"owner/name", for example "hkunlp/instructor-base". Check the spelling or the path.'
        )
    download: Callable[..., str | Path] = snapshot_download
    with suppress(ImportError):  # in a copy of this file alone
        from .hub import download
    try:
        return Path(download(name, revision=revision, tqdm_class=tqdm_class))
    except (OSError, ValueError) as error:
        said = str(error)
        raise EncoderError(said if name in said else f"Could not download {name!r}: {said}") from error


def _read_json(path: Path) -> Any:
    if not path.is_file():
        raise EncoderError(
            f"The checkpoint folder {path.parent} has no {path.name}. A checkpoint needs modules.json, config.json, "
            "sentence_bert_config.json, weights, tokenizer files, 1_Pooling/config.json and 2_Dense/; "
            "copy the missing file from where the checkpoint came from."
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EncoderError(f"{path} is not valid JSON ({error}). Copy the file again.") from error


def _load_weights(folder: Path) -> dict[str, Tensor]:
    """Read ``model.safetensors``, or ``pytorch_model.bin`` without running any code that a pickle may hold."""
    try:
        if (folder / "model.safetensors").is_file():
            return load_file(folder / "model.safetensors")
        if (folder / "pytorch_model.bin").is_file():
            state: dict[str, Tensor] = torch.load(folder / "pytorch_model.bin", "cpu", weights_only=True)
            return state
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError) as error:
        raise EncoderError(f"The weights in {folder} cannot be read: {error}. Copy them again.") from error
    raise EncoderError(f"{folder} has neither model.safetensors nor pytorch_model.bin. Copy the weights into it.")


def _load_dense(folder: Path) -> nn.Linear:
    """Return the linear layer; refuse a checkpoint that is not transformer, mean pooling and linear layer."""
    kinds = [str(module["type"]).rpartition(".")[2] for module in _read_json(folder / "modules.json")]
    if kinds not in (["Transformer", "Pooling", "Dense"], ["Transformer", "Pooling", "Dense", "Normalize"]):
        raise EncoderError(
            f"{folder} is not an INSTRUCTOR checkpoint: its modules are {kinds}, "
            "expected ['Transformer', 'Pooling', 'Dense', 'Normalize']."
        )
    pooling = _read_json(folder / "1_Pooling" / "config.json")
    modes = [key.removeprefix("pooling_mode_") for key, on in pooling.items() if key.startswith("pooling_mode_") and on]
    modes += [pooling["pooling_mode"]] if isinstance(pooling.get("pooling_mode"), str) else []
    if modes not in (["mean_tokens"], ["mean"]):
        raise EncoderError(
            f"{folder}: INSTRUCTOR pools by the mean of the text tokens; this checkpoint asks for {modes}."
        )
    config = _read_json(folder / "2_Dense" / "config.json")
    bias, activation = config.get("bias", True), str(config.get("activation_function")).rpartition(".")[2]
    if bias or activation != "Identity":
        raise EncoderError(
            f"{folder}/2_Dense: a linear layer without bias and with Identity activation is required (pooling and "
            f"projection must commute); got bias={bias} and activation {activation!r}."
        )
    dense = nn.Linear(int(config["in_features"]), int(config["out_features"]), bias=False)
    weight = _load_weights(folder / "2_Dense").get("linear.weight")
    if weight is None or weight.shape != dense.weight.shape:
        got = "no linear.weight" if weight is None else f"shape {tuple(weight.shape)}"
        raise EncoderError(f"{folder}/2_Dense: expected linear.weight of shape {tuple(dense.weight.shape)}, got {got}.")
    dense.weight.data = weight.float()
    return dense


def _load_transformer(folder: Path, dtype: torch.dtype, width: int) -> Any:
    """Return Transformers' T5 encoder, whose states must be as wide as the linear layer expects."""
    try:
        loaded: Any = T5EncoderModel.from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise EncoderError(f"The T5 encoder in {folder} cannot be loaded: {error}") from error
    model, info = loaded
    missing = sorted(set(info["missing_keys"]) - {"encoder.embed_tokens.weight", "shared.weight"})
    if missing or model.config.d_model != width:
        raise EncoderError(
            f"The weights in {folder} do not fit its configuration: missing {missing[:3]}, hidden size "
            f"{model.config.d_model} against a projection of {width} inputs."
        )
    return model


# ---- strings to ids --------------------------------------------------------------------------------------------------


def well_formed(text: str) -> str:
    r"""Return the text with each lone surrogate, which no encoding of Unicode can hold, replaced by U+FFFD.

    >>> well_formed("caf\ud800e") == "caf\ufffde"
    True
    """
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def read_pairs(pairs: Any) -> Iterator[tuple[str, str]]:
    """Yield (instruction, text) from any ordered iterable of pairs; refuse what would silently mean something else."""
    kind, how = type(pairs).__name__, "Pass pairs as a list, [(instruction, text), ...]"
    if hasattr(pairs, "columns"):
        raise EncoderError(f'{how}: a {kind} gives the names of its columns. Write df[["instruction", "text"]].values.')
    if isinstance(pairs, Mapping):
        raise EncoderError(f"{how}: a {kind} gives its keys alone. Write zip(instructions, texts).")
    if isinstance(pairs, Set) and not isinstance(pairs, MappingView):
        raise EncoderError(f"{how}: a {kind} has no order, so nobody could tell which embedding is whose.")
    try:
        if isinstance(pairs, str | bytes | bytearray):
            raise TypeError("characters are no pairs")
        entries = iter(pairs)
    except TypeError as error:
        raise EncoderError(f"{how}: got {kind} {str(pairs)[:40]!r}.") from error
    for position, entry in enumerate(entries):
        instruction, text = entry if type(entry) is tuple and len(entry) == 2 else _parts_of(entry, position)
        if not isinstance(instruction, str) or not isinstance(text, str):
            name, got = ("text", text) if isinstance(instruction, str) else ("instruction", instruction)
            raise EncoderError(
                f"A pair must be two strings (instruction, text): the {name} of pair {position} is "
                f"{type(got).__name__} {str(got)[:40]!r}. Fill in or leave out what is missing."
            )
        # Of subclasses (NumPy's, enumerations) the characters, whatever their str() says.
        yield well_formed(str.__str__(instruction)), well_formed(str.__str__(text))


def _parts_of(entry: Any, position: int) -> Sequence[Any]:
    """Return the two members of an entry: by name if it has the names, else in its order."""
    what = f"A pair must be two strings (instruction, text): pair {position} is"
    if isinstance(entry, str | bytes | bytearray):
        raise EncoderError(
            f"{what} {type(entry).__name__} {str(entry)[:40]!r}. Write one pair as [(instruction, text)], and a text "
            'without an instruction as ("", text).'
        )
    if hasattr(entry, "instruction") and hasattr(entry, "text"):
        return entry.instruction, entry.text
    if isinstance(entry, Set) or not isinstance(entry, Iterable):
        why = "which has no order" if isinstance(entry, Set) else "which has no members"
        raise EncoderError(f"{what} {type(entry).__name__} {str(entry)[:40]!r}, {why}. Write a tuple.")
    parts = list(islice(entry, 3))
    keys = list(entry.keys()) if hasattr(entry, "keys") else []
    if keys and (parts == keys[:3] or {"instruction", "text"} <= set(keys)):
        raise EncoderError(f'{what} a {type(entry).__name__}. Write (entry["instruction"], entry["text"]).')
    if len(parts) != 2:
        raise EncoderError(
            f"{what} a {type(entry).__name__} of {'more than two' if len(parts) == 3 else len(parts)}, "
            f"{str(entry)[:60]!r}. Give each pair an instruction and a text and nothing else."
        )
    return parts


class _Item(NamedTuple):
    """A pair as the network sees it: its ids, which of them enter the mean, and what the window cut off."""

    instruction: str
    text: str
    ids: list[int]
    pooled: range
    cut_ids: list[int]


class _Tokenizer:
    """A checkpoint's tokenizer, for which special tokens that a text spells are plain characters."""

    def __init__(self, folder: Path) -> None:
        if not any((folder / name).is_file() for name in ("tokenizer.json", "spiece.model")):
            raise EncoderError(
                f"The checkpoint folder {folder} has no tokenizer.json (or spiece.model). Copy it there."
            )
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


class T5Block:
    """The parts of one block: ``layers`` are its linear layers, in the order in which a state meets them.

    ``wide`` is one layer, or two with a gate, of which the first goes through the activation.
    """

    def __init__(self, block: Any) -> None:
        first, second = block.layer
        inner, dense = first.SelfAttention, second.DenseReluDense
        self.attention, self.n_heads = inner, inner.n_heads
        self.attention_norm, self.attention_dropout = first.layer_norm, first.dropout
        self.qkv: list[Any] = [inner.q, inner.k, inner.v]
        self.out: Any = inner.o
        self.feed_norm, self.feed_dropout = second.layer_norm, second.dropout
        self.wide: list[Any] = [dense.wi] if hasattr(dense, "wi") else [dense.wi_0, dense.wi_1]
        self.activation: Any = dense.act
        self.wide_dropout, self.narrow = dense.dropout, dense.wo

    def merge(self, device: torch.device) -> None:
        """Take the weights over for inference: one product for query, key and value, and the ReLU in its own."""
        query, key, value, out, narrow, *wide = (
            _take_weight(linear) for linear in [*self.qkv, self.out, self.narrow, *self.wide]
        )
        relu = len(wide) == 1 and isinstance(self.activation, nn.ReLU)
        self.qkv, self.out = (
            [_inference_linear(torch.cat([query, key, value]).to(device))],
            _inference_linear(out.to(device)),
        )
        self.wide, self.narrow = (
            [_inference_linear(weight.to(device), relu) for weight in wide],
            _inference_linear(narrow.to(device)),
        )
        self.activation = nn.Identity() if relu else self.activation


def _take_weight(linear: Any) -> Tensor:
    weight: Tensor = linear.weight.detach()
    linear.weight = None
    return weight


def _inference_linear(weight: Tensor, relu: bool = False) -> Linear:
    """Return what multiplies rows by the transposed weight (and applies a ReLU), as fast as this machine can."""
    if weight.device.type == "cpu" and _packing_pays(*weight.shape, weight.dtype, torch.get_num_threads()):
        return _PackedLinear(weight, relu)
    return partial(_plain_linear, weight, relu)


def _plain_linear(weight: Tensor, relu: bool, states: Tensor) -> Tensor:
    out = F.linear(states, weight)
    return torch.relu_(out) if relu else out


class _PackedLinear:
    """A weight in oneDNN's blocked layout, brought there once. The two operators are private to PyTorch (2.6 to 2.13).

    torch sends a float32 ``nn.Linear`` to MKL, which on processors not made by Intel reaches about half of oneDNN's
    rate or less; with bfloat16 the gain is that nothing is reordered at each call.
    """

    def __init__(self, weight: Tensor, relu: bool = False) -> None:
        self._relu = relu
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight)

    def __call__(self, states: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(
            states, self._packed, None, "relu" if self._relu else "none", [], ""
        )
        return out

    def __reduce__(self) -> tuple[Any, ...]:  # blocked layouts cannot be pickled, and differ between machines
        return _inference_linear, (self._packed.to_dense(), self._relu)


@cache
def _packing_pays(n_out: int, n_in: int, dtype: torch.dtype, n_threads: int) -> bool:
    """Try a packed weight of this shape: False if it fails, is wrong, or is not clearly faster (takes milliseconds)."""
    generator = torch.Generator().manual_seed(0)
    weight = (torch.randn(n_out, n_in, generator=generator) / n_in**0.5).to(dtype)
    states = torch.randn(32, n_in, generator=generator).to(dtype)
    try:
        with torch.inference_mode():
            plain, packed = partial(_plain_linear, weight, True), _PackedLinear(weight, True)
            torch.testing.assert_close(
                packed(states), plain(states), atol=1e-5 if dtype == torch.float32 else 1e-2, rtol=1e-2
            )
            times = [(_seconds(plain, states), _seconds(packed, states)) for _ in range(5)]
    except Exception:  # private operators may do anything in another version: then PyTorch's public ones serve
        return False
    return min(packed for _, packed in times) * 1.1 < min(plain for plain, _ in times)


def _seconds(linear: Linear, states: Tensor) -> float:
    start = time.perf_counter()
    linear(states)
    return time.perf_counter() - start


class T5:
    """Transformers' T5 encoder taken apart: the one place that knows its names, right for transformers 5.0 to 5.23.

    Training reads its weights here too (``train/network.py``).

    Raises:
        EncoderError: If this version of transformers has other names.
    """

    def __init__(self, model: Any) -> None:
        try:
            stack, config = model.encoder, model.config
            self.embed, self.dropout, self.final_norm = stack.embed_tokens, stack.dropout, stack.final_layer_norm
            self.blocks = [T5Block(block) for block in stack.block]
            self._first = self.blocks[0].attention
            self.position_table = self._first.relative_attention_bias
            _ = self._first.compute_bias, self._first._relative_position_bucket
            self.activation, self.is_gated = config.dense_act_fn, config.is_gated_act
            self.epsilon: float = config.layer_norm_epsilon
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise EncoderError(
                f"transformers {transformers.__version__} names the parts of T5 in a way not known here ({error}). "
                "It is right for transformers 5.0 to 5.23: install one of these."
            ) from error

    def position_bias(self, n: int, device: torch.device) -> Tensor:
        """What relative positions add to the scores of ``n`` tokens: ``(1, heads, n, n)``."""
        bias: Tensor = self._first.compute_bias(n, n, device=device)
        return bias

    def position_buckets(self, n: int, device: torch.device) -> Tensor:
        """Row of ``position_table`` for every (query, key) pair of positions: ``(n, n)`` int64."""
        positions = torch.arange(n, device=device)
        buckets: Tensor = self._first._relative_position_bucket(
            positions[None, :] - positions[:, None],
            bidirectional=True,
            num_buckets=self._first.relative_attention_num_buckets,
            max_distance=self._first.relative_attention_max_distance,
        )
        return buckets


class _Run(NamedTuple):
    """Sequences that go through attention together; ``padding`` is ``(n, width)``, None if there is none."""

    n: int
    width: int
    padding: Tensor | None


Record = list[tuple[Tensor, list[Tensor]]]


class _T5Backbone:
    """Ids to states. Another encoder would be another class with ``run``, ``norm`` and ``n_layers``."""

    def __init__(self, transformer: Any, device: torch.device, *, trainable: bool) -> None:
        self.t5 = T5(transformer)
        self.trainable = trainable
        self.n_layers = len(self.t5.blocks)
        self._bias = torch.empty(0, 0)
        if not trainable:
            for block in self.t5.blocks:
                block.merge(device)

    def run(self, ids: Tensor, runs: Sequence[_Run], record: Record | None = None) -> Tensor:
        """Return the last hidden states ``(R, h)`` float32 of the ``(R,)`` ids of all runs.

        Only attention needs to know where a sequence ends; norms and linear layers take one token at a time. So a batch
        is one list of tokens without padding, and attention alone is called per run of sequences of like length.

        ``record`` collects, per block, what enters it and its attention weights ``(count, heads, width, width)`` per
        run; last, what leaves the last block.
        """
        t5 = self.t5
        states = t5.dropout(t5.embed(ids))
        biases = [self._position_bias(run, ids.device) for run in runs]
        sizes = [run.n * run.width for run in runs]
        for block in t5.blocks:
            normed = block.attention_norm(states)
            products = [linear(normed) for linear in block.qkv]
            merged = products[0] if len(products) == 1 else torch.cat(products, dim=-1)
            dropout = block.attention.dropout if block.attention.training else 0.0
            mixed, weights = [], []
            for run, bias, part in zip(runs, biases, torch.split(merged, sizes), strict=True):
                # Each (count, heads, width, d_kv).
                query, key, value = part.view(run.n, run.width, 3, block.n_heads, -1).permute(2, 0, 3, 1, 4)
                if record is not None:
                    weights.append(torch.softmax((query @ key.transpose(2, 3) + bias).float(), dim=-1))
                # T5 does not scale its scores; its relative positions enter as an additive bias shared by all blocks.
                out = F.scaled_dot_product_attention(query, key, value, bias, dropout_p=dropout, scale=1.0)
                mixed.append(out.transpose(1, 2).reshape(len(part), -1))
            if record is not None:
                record.append((states, weights))
            states = states + block.attention_dropout(block.out(torch.cat(mixed)))
            normed = block.feed_norm(states)
            wide = block.activation(block.wide[0](normed))
            if len(block.wide) == 2:
                wide = wide * block.wide[1](normed)
            states = states + block.feed_dropout(block.narrow(block.wide_dropout(wide)))
        if record is not None:
            record.append((states, []))
        return t5.dropout(t5.final_norm(states)).float()  # type: ignore[no-any-return]

    def norm(self, states: Tensor) -> Tensor:
        """Apply the norm behind the last block: float32."""
        return self.t5.final_norm(states).float()  # type: ignore[no-any-return]

    def _position_bias(self, run: _Run, device: torch.device) -> Tensor:
        """Return what is added to the scores of a run: ``(1 or count, heads, width, width)``."""
        bias = self._bias
        if self.trainable:
            bias = self.t5.position_bias(run.width, device)
        elif bias.shape[-1] < run.width:
            self._bias = bias = self.t5.position_bias(run.width, device)
        bias = bias[..., : run.width, : run.width]  # it depends on distances alone
        if run.padding is None:
            return bias
        # The lowest finite number, not -inf: a row of nothing but padding would be NaN.
        return bias.masked_fill(run.padding.to(device)[:, None, None, :], torch.finfo(bias.dtype).min)


# ---- states to embedding ---------------------------------------------------------------------------------------------


def _mean_pool(hidden: Tensor, items: Sequence[_Item], starts: Sequence[int]) -> Tensor:
    """Mean over the pooled tokens of each item, whose rows in ``hidden`` begin at ``starts``: ``(b, h)``.

    The instruction has done its work inside attention; its own tokens stay out of the mean, so that texts under one
    instruction are not alike merely by sharing it.
    """
    spans = [range(at + item.pooled.start, at + item.pooled.stop) for at, item in zip(starts, items, strict=True)]
    rows = torch.tensor([row for span in spans for row in span])
    firsts = torch.tensor([0, *accumulate(len(span) for span in spans[:-1])])
    return F.embedding_bag(rows.to(hidden.device), hidden, firsts.to(hidden.device), mode="mean")


# ---- what callers use ------------------------------------------------------------------------------------------------


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


_NAMED_ELSEWHERE = {
    "sentences": "give the pairs as the first argument",
    "batch_size": "leave it out: batches are made by length",
    "convert_to_tensor": "leave it out: the result is a NumPy array, and torch.from_numpy makes a tensor of it",
    "convert_to_numpy": "leave it out: the result is a NumPy array",
    "normalize_embeddings": "write normalize=",
    "device": "choose it once, InstructorModel(..., device=...)",
    "output_value": "use encode_tokens for the vectors of the tokens",
    "prompt": "put the instruction into each pair, (instruction, text)",
    "prompt_name": "put the instruction into each pair, (instruction, text)",
}


class _ArgumentError(EncoderError, TypeError):
    """A name that another library has for an argument."""


def _explain_names(method: Callable[P, R]) -> Callable[P, R]:
    """Tell who calls a method with the argument names of the reference what to write here."""

    @wraps(method)
    def explained(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name in _NAMED_ELSEWHERE:
                raise _ArgumentError(f"{method.__name__}() has no argument {name!r}: {_NAMED_ELSEWHERE[name]}.")
        return method(*args, **kwargs)

    return explained


class InstructorModel(nn.Module):
    """INSTRUCTOR: embeds a text for a task that an instruction describes.

    Deliberate differences from the reference implementations: special tokens typed inside a text (``</s>``, ``<pad>``,
    ``<extra_id_0>``) are plain characters here and never become special ids; an instruction that leaves no room for
    text is an error instead of a zero vector; text is stripped before it is joined, as InstructorEmbedding 1.0.1 does;
    half a surrogate pair, which no file can hold, counts as U+FFFD.

    Pairs are any ordered iterable of two strings each: lists, tuples, rows of an array or data frame, zip, generators.
    An entry that has members named ``instruction`` and ``text`` is read by these names. All else is an error.

    A model can be pickled, copied and sent to other processes. While its weights are those of its folder, the folder is
    loaded again on arrival, and must be there, unchanged; a trainable or changed model takes its weights along.

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
        trainable: Keep the parameters as the checkpoint has them instead of merging and packing them for inference;
            needed for ``train()``.

    Raises:
        EncoderError: If the checkpoint cannot be found, downloaded or is not an INSTRUCTOR checkpoint.
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
        self.name, self.revision = str(name_or_path), revision
        self.folder = folder = find_checkpoint(name_or_path, revision=revision)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dtype = getattr(torch, dtype)
        self.trainable = trainable
        self.dense = _load_dense(folder)
        self.dim: int = self.dense.out_features
        self.transformer = _load_transformer(folder, self.dtype, self.dense.in_features)
        self._tokenizer = _Tokenizer(folder)
        self.tokenizer, self.pad_id = self._tokenizer.full, self._tokenizer.pad
        self.max_seq_length = int(_read_json(folder / "sentence_bert_config.json").get("max_seq_length") or 512)
        self.backbone = _T5Backbone(self.transformer, self.device, trainable=trainable)
        self.to(device=self.device)
        self.n_layers = self.backbone.n_layers
        self.eval()
        self._loaded = self._fingerprint()

    def train(self, mode: bool = True) -> InstructorModel:
        """Switch between training and inference, as in every ``nn.Module``.

        Raises:
            EncoderError: If the model was loaded for inference.
        """
        if mode and not self.trainable:
            raise EncoderError("This model was loaded for inference. Load it with trainable=True to train it.")
        super().train(mode)
        return self

    def count_tokens(self, strings: Sequence[str]) -> list[int]:
        """Return the number of tokens of each string on its own, without ``</s>``."""
        return [len(ids) - 1 for ids in self._tokenizer.ids([well_formed(string) for string in strings])]

    def _prepare(self, pairs: Any) -> list[_Item]:
        """Check, join, tokenize and truncate pairs."""
        checked = list(read_pairs(pairs))
        instructions = list(dict.fromkeys(instruction for instruction, _ in checked))
        lengths = dict(zip(instructions, self.count_tokens([entry.strip() for entry in instructions]), strict=True))
        room = self.max_seq_length - 1
        for instruction, length in lengths.items():
            if length >= room:
                raise EncoderError(
                    f"The instruction leaves no room for a text: it has {length} tokens, and the window is "
                    f"{self.max_seq_length} with </s>. Shorten the instruction {instruction[:40]!r}..."
                )
        items = []
        joined = self._tokenizer.ids([instruction + text.strip() for instruction, text in checked]) if checked else []
        for (instruction, text), ids in zip(checked, joined, strict=True):
            kept = min(len(ids) - 1, room)
            # Never more left out than all but </s>: the references would divide by zero there.
            pooled = range(min(lengths[instruction], kept), kept + 1)
            items.append(_Item(instruction, text, [*ids[:kept], ids[-1]], pooled, ids[kept:-1]))
        return items

    def _batches(self, items: Sequence[_Item], budget: int | None = None) -> Iterator[list[list[int]]]:
        """Yield batches of runs of positions, longest first.

        A run goes through attention as one block, padded to its longest; another begins where padding the rest would
        cost more than a call. The rest of the network sees a batch as one list of tokens and does not care.
        """
        budget = budget or _BATCH_TOKENS.get(self.device.type, _BATCH_TOKENS["cpu"])
        call = _CALL_TOKENS.get(self.device.type, _CALL_TOKENS["cpu"])
        order = sorted(range(len(items)), key=lambda i: -len(items[i].ids))
        lengths = [len(items[i].ids) for i in order]
        batch: list[list[int]] = []
        start = used = 0
        while start < len(order):
            width = lengths[start]
            if batch and used + width > budget:
                yield batch
                batch, used = [], 0
            end = min(len(order), start + max(1, (budget - used) // width))
            stop = start + 1
            while stop < end and (end - stop) * (width - lengths[stop]) <= call:
                stop += 1
            batch.append(order[start:stop])
            used += width * (stop - start)
            start = stop
        if batch:
            yield batch

    def _states(self, batch: Sequence[Sequence[_Item]], record: Record | None = None) -> tuple[Tensor, list[int]]:
        """Run a batch: last hidden states ``(R, h)`` float32, padding included, and the first row of each item."""
        ids: list[int] = []
        starts, runs = [], []
        for items in batch:
            width = len(items[0].ids)
            for item in items:
                starts.append(len(ids))
                ids += item.ids + [self.pad_id] * (width - len(item.ids))
            padding = None
            if len(items[-1].ids) < width:
                padding = torch.arange(width) >= torch.tensor([[len(item.ids)] for item in items])
            runs.append(_Run(len(items), width, padding))
        return self.backbone.run(torch.tensor(ids).to(self.device), runs, record), starts

    def _pool(self, hidden: Tensor, batch: Sequence[Sequence[_Item]], starts: Sequence[int]) -> Tensor:
        """Mean, then linear layer: ``(b, D)`` float32, not normalised."""
        embeddings: Tensor = self.dense(_mean_pool(hidden, [item for run in batch for item in run], starts))
        return embeddings

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

        Raises:
            EncoderError: If a pair is not two strings or an instruction leaves no room for text.
        """
        items = self._prepare(pairs)
        if not items:
            return torch.zeros(0, self.dim, device=self.device), [], []
        (batch,) = self._batches(items, budget=sys.maxsize)
        runs = [[items[i] for i in run] for run in batch]
        order = [i for run in batch for i in run]
        with torch.inference_mode(not self.training):
            hidden, starts = self._states(runs)
            embeddings = self._pool(hidden, runs, starts)
            if normalize:
                embeddings, hidden = F.normalize(embeddings, dim=-1), F.normalize(hidden, dim=-1)
            first = dict(zip(order, starts, strict=True))
            states = [hidden[first[i] : first[i] + len(item.ids)] for i, item in enumerate(items)]
            text = [rows[item.pooled.start :] for rows, item in zip(states, items, strict=True)]
            instruction = [rows[: item.pooled.start] for rows, item in zip(states, items, strict=True)]
            embeddings = embeddings[torch.tensor(order).argsort().to(self.device)]
        return embeddings, text, instruction

    @torch.inference_mode()
    def _embed(self, batch: Sequence[Sequence[_Item]], normalize: bool) -> NDArray[np.float32]:
        hidden, starts = self._states(batch)
        embeddings = self._pool(hidden, batch, starts)
        embeddings = F.normalize(embeddings, dim=-1) if normalize else embeddings
        return np.asarray(embeddings.cpu())

    @_explain_names
    def encode_batches(
        self, pairs: Iterable[Pair], *, normalize: bool = True
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Embed pairs batch by batch; stopping the iteration stops the work. Some thousand pairs are read at a time.

        Yields:
            ``(b,)`` int64 positions in ``pairs`` and their ``(b, D)`` float32 embeddings, in the order in which they
            are done (longest first within each few thousand pairs).

        Raises:
            EncoderError: As in ``forward``.
        """
        source, start = read_pairs(pairs), 0
        while items := self._prepare(islice(source, _WINDOW)):
            for batch in self._batches(items):
                embeddings = self._embed([[items[i] for i in run] for run in batch], normalize)
                yield np.asarray([i for run in batch for i in run], dtype=np.int64) + start, embeddings
            start += len(items)

    @_explain_names
    def encode(
        self, pairs: Iterable[Pair], *, normalize: bool = True, show_progress_bar: bool = False
    ) -> NDArray[np.float32]:
        """Return ``(N, D)`` float32 embeddings of ``N`` pairs (instruction, text), in the order given.

        Args:
            pairs: Any number of pairs; an empty list gives shape ``(0, D)``. All are checked before any is encoded.
            normalize: Unit length (the references always do), or the mean as it is.
            show_progress_bar: Show pairs done, rate and remaining time on standard error.

        Raises:
            EncoderError: As in ``forward``.
        """
        checked = list(read_pairs(pairs))
        out = np.empty((len(checked), self.dim), dtype=np.float32)
        with tqdm(total=len(checked), unit="pair", disable=not show_progress_bar) as bar:
            for positions, embeddings in self.encode_batches(checked, normalize=normalize):
                out[positions] = embeddings
                bar.update(len(positions))
        return out

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

        Raises:
            EncoderError: As in ``forward``.
        """
        items = self._prepare(pairs)
        results: dict[int, TokenEncoding] = {}
        for batch in self._batches(items):
            record: Record | None = [] if layers or attentions else None
            hidden, starts = self._states([[items[i] for i in run] for run in batch], record)
            projected = self.dense(hidden)
            places = [(number, row, i) for number, run in enumerate(batch) for row, i in enumerate(run)]
            for (number, row, i), start in zip(places, starts, strict=True):
                n = len(items[i].ids)
                rows = slice(start, start + n)
                streams = [states[rows].float() for states, _ in record or []]
                weights = [of_runs[number][row, :, :n, :n] for _, of_runs in (record or [])[:-1]]
                results[i] = TokenEncoding(
                    **self._places(items[i]),
                    hidden=hidden[rows].cpu().numpy(),
                    projected=projected[rows].cpu().numpy(),
                    layers=torch.stack(streams).cpu().numpy() if layers else None,
                    attentions=torch.stack(weights).cpu().numpy() if attentions else None,
                )
        return [results[i] for i in range(len(items))]

    def _places(self, item: _Item) -> dict[str, Any]:
        """Where the tokens of a pair stand: the fields of ``TokenEncoding`` that are no vectors."""
        n, boundary = len(item.ids), len(item.instruction)
        joined = item.instruction + item.text.strip()
        *rows, end = self._tokenizer.rows(joined)
        encoded, cut = rows[: n - 1], rows[n - 1 :]
        listed = [*encoded, end, *cut]  # what was cut comes last

        def segment(start: int, stop: int) -> Segment:
            if start >= boundary:
                return Segment.TEXT
            return Segment.INSTRUCTION if stop <= boundary else Segment.STRADDLING

        mask = np.zeros(n, dtype=np.bool_)
        mask[item.pooled] = True
        return {
            "instruction": item.instruction,
            "text": item.text,
            "joined": joined,
            "token_ids": np.asarray([row[0] for row in listed], dtype=np.int64),
            "tokens": tuple(row[1] for row in listed),
            "spans": np.asarray([row[2] for row in listed], dtype=np.int64).reshape(-1, 2),
            "segments": (*(segment(*row[2]) for row in encoded), Segment.END, *[Segment.CUT] * len(cut)),
            "pooling_mask": mask,
            "n_instruction_tokens": item.pooled.start,
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
            return np.asarray(self.dense(self.backbone.norm(tensor)).cpu())

    # ---- copies and other processes ---------------------------------------------------------------------------------

    def _fingerprint(self) -> list[tuple[str, int, float]]:
        """Name, number of writes and, on a CPU, sum of every weight that can be changed."""
        return [
            (
                name,
                0 if weight.is_inference() else weight._version,
                weight.detach().sum().item() if weight.device.type == "cpu" else 0.0,
            )
            for name, weight in self.named_parameters()
        ]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the way to the weights, or the weights if the folder does not have them as they are now."""
        if self.trainable or not self.folder.is_dir() or self._fingerprint() != self._loaded:
            return super().__reduce_ex__(protocol)
        dtype = str(self.dtype).removeprefix("torch.")
        settings = (self.name, self.folder, self.revision, str(self.device), dtype, self.max_seq_length)
        return _load_again, (*settings, self.encode([_PROBE]))


_PROBE = ("Represent the sentence: ", "The ferry left at nine; nobody had told us.")


def _load_again(
    name: str, folder: Path, revision: str | None, device: str, dtype: str, window: int, probe: NDArray[np.float32]
) -> InstructorModel:
    """Load a pickled model from its folder, or from its name where the folder is not; the weights must be the same."""
    model = InstructorModel(folder if folder.is_dir() else name, device, dtype, revision=revision)
    model.name, model.max_seq_length = name, window
    if not np.allclose(model.encode([_PROBE]), probe, atol=1e-5 if dtype == "float32" else 2e-2):
        raise EncoderError(
            f"The checkpoint in {model.folder} has changed since the model was pickled: its embeddings are others. "
            "Load the model that you want by name, and pickle it again."
        )
    return model
