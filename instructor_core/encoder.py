"""INSTRUCTOR inference in one file: (instruction, text) pairs in, embeddings out.

The computation is that of Su et al. 2023, "One Embedder, Any Task" (arXiv 2212.09741): the instruction and the text
are tokenized as one string, a T5 encoder gives a state for every token, the states of the text tokens and of the
final ``</s>`` are averaged (instruction tokens weigh nothing), a linear layer without bias maps the mean to the output
space, and the result is scaled to unit length. Where published implementations disagree this file follows
InstructorEmbedding 1.0.1 and sentence-transformers; ``InstructorModel`` says where it deliberately does not.

The file needs PyTorch and Transformers (with what they bring) and nothing else: copied alone elsewhere it works.
"""

from __future__ import annotations

import json
import pickle
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import HfApi, get_session, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import AutoTokenizer, T5EncoderModel

Pair = Sequence[str]

_HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
_HUB_TIMEOUT_S = 4.0  # on a dead network the hub client itself retries for 23 s or more
_TOKENIZER_FILES = ("tokenizer.json", "spiece.model")
_BATCH_TOKENS = {"cpu": 1024, "cuda": 16384}  # per batch, padding included; small ones stay inside a CPU's cache
_CALL_TOKENS = {"cpu": 8, "cuda": 1024}  # padded tokens that cost as much as one more call of attention per layer
_WINDOW = 4096  # pairs tokenized and sorted together: bounds memory and lets the first results out early


class EncoderError(ValueError):
    """Something the caller can put right; the message says what was wrong, what was got and what to do."""


class Segment(StrEnum):
    """Where a token comes from, by its characters in the joined string."""

    INSTRUCTION = "instruction"
    STRADDLING = "straddling"  # one piece covers the end of the instruction and the start of the text
    TEXT = "text"
    END = "end"  # the final </s>, which takes part in the mean
    CUT = "cut"  # beyond max_seq_length: listed, never encoded


@dataclass(frozen=True, eq=False)
class TokenEncoding:
    """One encoded (instruction, text) pair, token by token.

    ``n`` tokens were encoded (the last is ``</s>``), ``c`` more were cut off by ``max_seq_length``; lists over
    ``n + c`` entries hold the encoded tokens first, in order, then the cut ones.

    Attributes:
        instruction: The instruction as given.
        text: The text as given.
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


@dataclass(frozen=True, eq=False)
class _Tokenized:
    """Ids of one pair as the network will see them, and what was cut."""

    ids: list[int]
    n_masked: int  # leading tokens that do not enter the mean
    cut_ids: list[int]


@dataclass(frozen=True, eq=False)
class _Run:
    """Sequences that go through attention together, and ``(count, width)`` True where there is padding, if any."""

    count: int
    width: int
    padding: Tensor | None


@dataclass(frozen=True, eq=False)
class _Layer:
    """What enters a block ``(R, h)``, and its attention weights per run ``(count, heads, width, width)``."""

    states: Tensor
    weights: list[Tensor]


class _PackedLinear(nn.Module):
    """A bias-free linear layer whose weight lies in oneDNN's blocked layout: inference on the CPU only.

    torch sends a float32 ``nn.Linear`` to MKL, which on processors not made by Intel runs at about a third of the
    rate that oneDNN reaches on a weight packed once.
    """

    def __init__(self, linear: nn.Linear, activation: str = "none") -> None:
        super().__init__()
        self.weight = None  # transformers looks at .weight.dtype only if there is a tensor
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self._activation = activation  # applied while the result is in the processor's cache

    def forward(self, states: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(states, self._packed, None, self._activation, [], "")
        return out


def _pack_linears(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and child.bias is None:
            setattr(module, name, _PackedLinear(child))
        else:
            _pack_linears(child)


def _merge_products(stack: Any) -> None:
    """Give each block's attention one linear layer for query, key and value: fewer and larger products."""
    for block in stack.block:
        attention = block.layer[0].SelfAttention
        weight = torch.cat([attention.q.weight, attention.k.weight, attention.v.weight]).detach()
        attention.qkv = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        attention.qkv.weight = nn.Parameter(weight)
        del attention.q, attention.k, attention.v


def _merge_activations(stack: Any) -> None:
    """Let a packed layer apply the ReLU that follows it."""
    for block in stack.block:
        dense = block.layer[1].DenseReluDense
        if hasattr(dense, "wi") and isinstance(dense.act, nn.ReLU):
            dense.wi, dense.act = _PackedLinear(dense.wi, "relu"), nn.Identity()


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


def _is_complete(folder: Path) -> bool:
    def has_weights(path: Path) -> bool:
        return any(path.glob("model*.safetensors")) or any(path.glob("pytorch_model*.bin"))

    return (
        (folder / "modules.json").is_file()
        and (folder / "config.json").is_file()
        and any((folder / name).is_file() for name in _TOKENIZER_FILES)
        and (folder / "1_Pooling" / "config.json").is_file()
        and (folder / "2_Dense" / "config.json").is_file()
        and has_weights(folder)
        and has_weights(folder / "2_Dense")
    )


def _wanted_files(names: Sequence[str]) -> list[str]:
    """Files of a hub repository that inference reads: one format of the weights, configuration, tokenizer."""
    safe = any(name.endswith(".safetensors") and "/" not in name for name in names)
    wanted = []
    for name in names:
        folder, _, file = name.rpartition("/")
        if folder not in ("", "1_Pooling", "2_Dense", "3_Normalize"):
            continue
        if file.endswith(".safetensors"):
            keep = True
        elif file.startswith("pytorch_model"):
            keep = not safe or (folder == "2_Dense" and f"{folder}/model.safetensors" not in names)
        else:
            keep = file.endswith(".json") or file == "spiece.model"
        if keep:
            wanted.append(name)
    return wanted


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
            know the name or does not answer within seconds.
    """
    name = str(name_or_path)
    if name and Path(name).is_dir():
        return Path(name)
    here = Path(__file__).resolve().parent
    for assets in (here / "assets", here.parent / "assets"):
        if re.fullmatch(r"[\w-]+", name) and (assets / name / "modules.json").is_file():
            return assets / name
    if not _HUB_NAME.match(name):
        raise EncoderError(
            f"No checkpoint {name!r}: there is no such folder, and a name on the Hugging Face Hub has the form "
            '"owner/name", for example "hkunlp/instructor-base". Check the spelling or the path.'
        )
    try:
        cached = Path(snapshot_download(name, revision=revision, local_files_only=True))
        if _is_complete(cached):
            return cached
    except LocalEntryNotFoundError:
        pass  # not in the cache yet
    except HFValidationError as error:
        raise EncoderError(f"{name!r} is not a name the Hugging Face Hub allows: {error}") from error
    try:
        info = HfApi().model_info(name, revision=revision, timeout=_HUB_TIMEOUT_S)
        files = _wanted_files([sibling.rfilename for sibling in info.siblings or []])
        # By the name of the revision, not by the commit it stands for: only then does the cache know the name later on.
        return Path(snapshot_download(name, revision=revision, allow_patterns=files or None, tqdm_class=tqdm_class))
    except RepositoryNotFoundError as error:
        raise EncoderError(f"The Hugging Face Hub has no public repository {name!r}. Check the spelling.") from error
    except (HfHubHTTPError, OSError, _transport_error()) as error:
        raise EncoderError(
            f"Could not download {name!r}: the Hugging Face Hub did not answer ({type(error).__name__}). Check the "
            "network, or pass the path of a folder that holds the checkpoint."
        ) from error


def _transport_error() -> type[Exception]:
    """Base class of the errors of the HTTP library under the hub client, which differs between its versions."""
    library = import_module(type(get_session()).__module__.partition(".")[0])
    base: type[Exception] = library.HTTPError
    return base


def _check_modules(folder: Path) -> nn.Linear:
    """Refuse a checkpoint that is not transformer, mean pooling and linear layer; return the linear layer."""
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
    dense = _read_json(folder / "2_Dense" / "config.json")
    activation = str(dense.get("activation_function")).rpartition(".")[2]
    if dense.get("bias", True) or activation != "Identity":
        raise EncoderError(
            f"{folder}/2_Dense: a linear layer without bias and with Identity activation is required (pooling and "
            f"projection must commute); got bias={dense.get('bias', True)} and activation {activation!r}."
        )
    layer = nn.Linear(int(dense["in_features"]), int(dense["out_features"]), bias=False)
    weight = _load_weights(folder / "2_Dense").get("linear.weight")
    if weight is None or weight.shape != layer.weight.shape:
        got = "no linear.weight" if weight is None else f"shape {tuple(weight.shape)}"
        raise EncoderError(f"{folder}/2_Dense: expected linear.weight of shape {tuple(layer.weight.shape)}, got {got}.")
    layer.weight.data = weight.float()
    return layer


class InstructorModel(nn.Module):
    """INSTRUCTOR: embeds a text for a task that an instruction describes.

    Deliberate differences from the reference implementations: special tokens typed inside a text (``</s>``, ``<pad>``,
    ``<extra_id_0>``) are plain characters here and never become special ids; an instruction that leaves no room for
    text is an error instead of a zero vector; text is stripped before it is joined, as InstructorEmbedding 1.0.1 does.

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
        folder = find_checkpoint(name_or_path, revision=revision)
        self.name = str(name_or_path)
        self.folder = folder
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dtype = getattr(torch, dtype)
        self.dense = _check_modules(folder)
        self.transformer = self._load_transformer(folder)
        self.tokenizer = self._load_tokenizer(folder)
        limits = _read_json(folder / "sentence_bert_config.json")
        self.max_seq_length = int(limits.get("max_seq_length") or 512)
        self.dim: int = self.dense.out_features
        self.n_layers = len(self.transformer.encoder.block)
        self.trainable = trainable
        self._bias = torch.empty(0)
        if not trainable:
            _merge_products(self.transformer.encoder)
        self.to(device=self.device)
        if self.device.type == "cpu" and not trainable and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
            _merge_activations(self.transformer.encoder)
            _pack_linears(self.transformer)
        self.eval()

    def train(self, mode: bool = True) -> InstructorModel:
        """Switch between training and inference, as in every ``nn.Module``.

        Raises:
            EncoderError: If the model was loaded for inference.
        """
        if mode and not self.trainable:
            raise EncoderError("This model was loaded for inference. Load it with trainable=True to train it.")
        super().train(mode)
        return self

    def _load_transformer(self, folder: Path) -> Any:
        try:
            loaded: Any = T5EncoderModel.from_pretrained(
                folder, dtype=self.dtype, local_files_only=True, output_loading_info=True
            )
            model, info = loaded
        except (OSError, ValueError, RuntimeError) as error:
            raise EncoderError(f"The T5 encoder in {folder} cannot be loaded: {error}") from error
        missing = sorted(set(info["missing_keys"]) - {"encoder.embed_tokens.weight", "shared.weight"})
        if missing or model.config.d_model != self.dense.in_features:
            raise EncoderError(
                f"The weights in {folder} do not fit its configuration: missing {missing[:3]}, hidden size "
                f"{model.config.d_model} against a projection of {self.dense.in_features} inputs."
            )
        return model

    def _load_tokenizer(self, folder: Path) -> Any:
        if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
            raise EncoderError(
                f"The checkpoint folder {folder} has no tokenizer.json (or spiece.model). Copy it there."
            )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._eos: int = tokenizer.eos_token_id
        if not tokenizer.is_fast or tokenizer("a")["input_ids"][-1] != self._eos:
            raise EncoderError(f"The tokenizer in {folder} does not end a sequence with </s>, as T5's does.")
        self._pad: int = tokenizer.pad_token_id or 0
        self._special = set(tokenizer.added_tokens_decoder) - {tokenizer.unk_token_id}
        tokenizer.backend_tokenizer.no_truncation()  # a tokenizer.json may ask for either
        tokenizer.backend_tokenizer.no_padding()
        return tokenizer

    # ---- tokenization -------------------------------------------------------------------------------------------

    def _tokenize(self, strings: Sequence[str]) -> list[tuple[list[int], list[str], list[tuple[int, int]]]]:
        """Tokenize strings to (ids, pieces, character spans), ``</s>`` last, nothing truncated."""
        batch = self.tokenizer(list(strings), split_special_tokens=True, verbose=False)
        out = []
        for string, encoding in zip(strings, batch.encodings, strict=True):
            ids, tokens = list(encoding.ids), list(encoding.tokens)
            # Some tokenizers count the space before a word to its first piece; a span covers written characters only.
            spans = [(end - len(string[start:end].lstrip()), end) for start, end in encoding.offsets]
            if self._special.intersection(ids[:-1]):
                ids, tokens, spans = self._spell_out(ids, tokens, spans)
            spans[-1] = (-1, -1)
            out.append((ids, tokens, spans))
        return out

    def _spell_out(
        self, ids: list[int], tokens: list[str], spans: list[tuple[int, int]]
    ) -> tuple[list[int], list[str], list[tuple[int, int]]]:
        """Replace special tokens that a text spells (all but the last) by one token for each of their characters."""
        rows: list[tuple[int, str, tuple[int, int]]] = []
        for position, (token_id, token, span) in enumerate(zip(ids, tokens, spans, strict=True)):
            if token_id not in self._special or position == len(ids) - 1:
                rows.append((token_id, token, span))
                continue
            start = span[1] - len(token)
            for offset, character in enumerate(token):
                char_id = self.tokenizer.convert_tokens_to_ids(character)
                if char_id == self.tokenizer.unk_token_id:  # a vocabulary with byte fallback has <0x3C> for "<"
                    byte = self.tokenizer.convert_tokens_to_ids(f"<0x{ord(character):02X}>")
                    char_id = char_id if byte is None else byte
                rows.append((char_id, character, (start + offset, start + offset + 1)))
        return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]

    def _token_ids(self, strings: Sequence[str]) -> list[list[int]]:
        """Tokenize strings to ids alone, as ``_tokenize`` does and faster."""
        backend = self.tokenizer.backend_tokenizer
        backend.encode_special_tokens = True  # of what is typed: </s> at the end is added all the same
        out = [encoding.ids for encoding in backend.encode_batch_fast(list(strings))]
        return [
            self._tokenize([string])[0][0] if self._special.intersection(ids[:-1]) else ids
            for string, ids in zip(strings, out, strict=True)
        ]

    def count_tokens(self, strings: Sequence[str]) -> list[int]:
        """Return the number of tokens of each string on its own, without ``</s>``."""
        return [len(ids) - 1 for ids in self._token_ids(strings)]

    def _prepare(self, pairs: Sequence[Pair]) -> list[_Tokenized]:
        """Check, join, tokenize and truncate pairs."""
        if isinstance(pairs, str):
            raise EncoderError(f"Pairs must be a list of (instruction, text), got the string {pairs[:40]!r}.")
        for position, pair in enumerate(pairs):
            if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
                raise EncoderError(
                    f"A pair must be two strings (instruction, text); pair {position} is {str(pair)[:80]!r}."
                )
        instructions = list(dict.fromkeys(instruction for instruction, _ in pairs))
        lengths = dict(zip(instructions, self.count_tokens([entry.strip() for entry in instructions]), strict=True))
        room = self.max_seq_length - 1
        for instruction, length in lengths.items():
            if length >= room:
                raise EncoderError(
                    f"The instruction leaves no room for a text: it has {length} tokens, and the window is "
                    f"{self.max_seq_length} with </s>. Shorten the instruction {instruction[:40]!r}..."
                )
        if not pairs:
            return []
        prepared = []
        joined = self._token_ids([instruction + text.strip() for instruction, text in pairs])
        for (instruction, _), ids in zip(pairs, joined, strict=True):
            kept = min(len(ids) - 1, room)
            # Never more masked than all but </s>: the references would divide by zero there.
            n_masked = min(lengths[instruction], kept)
            prepared.append(_Tokenized([*ids[:kept], ids[-1]], n_masked, ids[kept:-1]))
        return prepared

    def _batches(self, prepared: Sequence[_Tokenized], budget: int | None = None) -> Iterator[list[list[int]]]:
        """Yield batches of runs of positions, longest first.

        A run goes through attention as one block, padded to its longest; another begins where padding the rest would
        cost more than a call. The rest of the network sees a batch as one list of tokens and does not care.
        """
        budget = budget or _BATCH_TOKENS.get(self.device.type, _BATCH_TOKENS["cpu"])
        call = _CALL_TOKENS.get(self.device.type, _CALL_TOKENS["cpu"])
        order = sorted(range(len(prepared)), key=lambda i: -len(prepared[i].ids))
        lengths = [len(prepared[i].ids) for i in order]
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

    # ---- the network --------------------------------------------------------------------------------------------

    def _network(self, input_ids: Tensor, runs: Sequence[_Run], record: list[_Layer] | None = None) -> Tensor:
        """Run T5's encoder on the ``(R,)`` ids of all runs: last hidden states ``(R, h)`` float32.

        ``record`` collects, per block, what enters it and its attention weights; the last entry is what leaves the
        last block.
        """
        stack = self.transformer.encoder
        states = stack.dropout(stack.embed_tokens(input_ids))
        biases = [self._position_bias(run) for run in runs]
        sizes = [run.count * run.width for run in runs]
        for block in stack.block:
            attention, feed_forward = block.layer[0].SelfAttention, block.layer[1]
            dropout = attention.dropout if self.training else 0.0
            normed = block.layer[0].layer_norm(states)
            if self.trainable:
                merged = torch.cat([attention.q(normed), attention.k(normed), attention.v(normed)], dim=-1)
            else:
                merged = attention.qkv(normed)
            mixed, weights = [], []
            for run, bias, part in zip(runs, biases, torch.split(merged, sizes), strict=True):
                # Each (count, heads, width, d_kv).
                query, key, value = part.view(run.count, run.width, 3, attention.n_heads, -1).permute(2, 0, 3, 1, 4)
                if record is not None:
                    weights.append(torch.softmax((query @ key.transpose(2, 3) + bias).float(), dim=-1))
                # T5 does not scale its scores; its relative positions enter as an additive bias shared by all blocks.
                out = F.scaled_dot_product_attention(query, key, value, bias, dropout_p=dropout, scale=1.0)
                mixed.append(out.transpose(1, 2).reshape(len(part), -1))
            if record is not None:
                record.append(_Layer(states, weights))
            states = states + block.layer[0].dropout(attention.o(torch.cat(mixed)))
            states = feed_forward(states)
        if record is not None:
            record.append(_Layer(states, []))
        return stack.dropout(stack.final_layer_norm(states)).float()  # type: ignore[no-any-return]

    def _position_bias(self, run: _Run) -> Tensor:
        """Return what is added to the scores of a run: ``(1 or count, heads, width, width)``."""
        attention = self.transformer.encoder.block[0].layer[0].SelfAttention
        if self.trainable:
            bias: Tensor = attention.compute_bias(run.width, run.width, device=self.device)
        else:
            bias = self._bias
            if bias.ndim == 1 or bias.shape[-1] < run.width:
                self._bias = bias = attention.compute_bias(run.width, run.width, device=self.device)
            bias = bias[:, :, : run.width, : run.width]  # it depends on distances alone
        if run.padding is None:
            return bias
        return bias.masked_fill(run.padding.to(self.device)[:, None, None, :], torch.finfo(bias.dtype).min)

    def _states(
        self, batch: Sequence[Sequence[_Tokenized]], record: list[_Layer] | None = None
    ) -> tuple[Tensor, list[int]]:
        """Run a batch: last hidden states ``(R, h)`` float32, padding included, and the first row of each item."""
        ids: list[int] = []
        starts: list[int] = []
        runs = []
        for items in batch:
            width = len(items[0].ids)
            for item in items:
                starts.append(len(ids))
                ids += item.ids + [self._pad] * (width - len(item.ids))
            padding = None
            if len(items[-1].ids) < width:
                padding = torch.arange(width) >= torch.tensor([[len(item.ids)] for item in items])
            runs.append(_Run(len(items), width, padding))
        return self._network(torch.tensor(ids).to(self.device), runs, record), starts

    def _pool(self, hidden: Tensor, batch: Sequence[Sequence[_Tokenized]], starts: Sequence[int]) -> Tensor:
        """Mean over the unmasked tokens of each item, then the linear layer: ``(b, D)`` float32, not normalised."""
        items = [item for run in batch for item in run]
        pooled = [
            range(start + item.n_masked, start + len(item.ids)) for start, item in zip(starts, items, strict=True)
        ]
        rows = torch.tensor([row for span in pooled for row in span])
        firsts = torch.tensor([0, *accumulate(len(span) for span in pooled[:-1])])
        mean = F.embedding_bag(rows.to(self.device), hidden, firsts.to(self.device), mode="mean")
        projected: Tensor = self.dense(mean)
        return projected

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
            normed = self.transformer.encoder.final_layer_norm(tensor).float()
            return np.asarray(self.dense(normed).cpu())

    def forward(self, pairs: Sequence[Pair], normalize: bool = True) -> tuple[Tensor, list[Tensor], list[Tensor]]:
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
        prepared = self._prepare(pairs)
        if not prepared:
            return torch.zeros(0, self.dim, device=self.device), [], []
        (batch,) = self._batches(prepared, budget=sys.maxsize)
        runs = [[prepared[i] for i in run] for run in batch]
        order = [i for run in batch for i in run]
        with torch.inference_mode(not self.training):
            hidden, starts = self._states(runs)
            embeddings = self._pool(hidden, runs, starts)
            if normalize:
                embeddings, hidden = F.normalize(embeddings, dim=-1), F.normalize(hidden, dim=-1)
            first = dict(zip(order, starts, strict=True))
            states = [hidden[first[i] : first[i] + len(item.ids)] for i, item in enumerate(prepared)]
            text = [rows[item.n_masked :] for rows, item in zip(states, prepared, strict=True)]
            instruction = [rows[: item.n_masked] for rows, item in zip(states, prepared, strict=True)]
            embeddings = embeddings[torch.tensor(order).argsort().to(self.device)]
        return embeddings, text, instruction

    @torch.inference_mode()
    def _embed(self, batch: Sequence[Sequence[_Tokenized]], normalize: bool) -> NDArray[np.float32]:
        hidden, starts = self._states(batch)
        embeddings = self._pool(hidden, batch, starts)
        embeddings = F.normalize(embeddings, dim=-1) if normalize else embeddings
        return np.asarray(embeddings.cpu())

    def encode_batches(
        self, pairs: Sequence[Pair], *, normalize: bool = True
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Embed pairs batch by batch; stopping the iteration stops the work.

        Yields:
            ``(b,)`` int64 positions in ``pairs`` and their ``(b, D)`` float32 embeddings, in the order in which they
            are done (longest first within each few thousand pairs).

        Raises:
            EncoderError: As in ``forward``.
        """
        for start in range(0, len(pairs), _WINDOW):
            prepared = self._prepare(pairs[start : start + _WINDOW])
            for batch in self._batches(prepared):
                embeddings = self._embed([[prepared[i] for i in run] for run in batch], normalize)
                yield np.asarray([i for run in batch for i in run], dtype=np.int64) + start, embeddings

    def encode(
        self, pairs: Sequence[Pair], *, normalize: bool = True, show_progress_bar: bool = False
    ) -> NDArray[np.float32]:
        """Return ``(N, D)`` float32 embeddings of ``N`` pairs (instruction, text), in the order given.

        Args:
            pairs: Any number of pairs; an empty list gives shape ``(0, D)``.
            normalize: Unit length (the references always do), or the mean as it is.
            show_progress_bar: Show pairs done, rate and remaining time on standard error.

        Raises:
            EncoderError: As in ``forward``.
        """
        if isinstance(pairs, str):
            self._prepare(pairs)
        out = np.empty((len(pairs), self.dim), dtype=np.float32)
        with tqdm(total=len(pairs), unit="pair", disable=not show_progress_bar) as bar:
            for positions, embeddings in self.encode_batches(pairs, normalize=normalize):
                out[positions] = embeddings
                bar.update(len(positions))
        return out

    @torch.inference_mode()
    def encode_tokens(
        self, pairs: Sequence[Pair], *, layers: bool = False, attentions: bool = False
    ) -> list[TokenEncoding]:
        """Return every token's place and vectors for each pair, in the order given.

        Args:
            pairs: ``N`` pairs (instruction, text).
            layers: Also keep the residual stream after each block: ``(L + 1, n, h)`` floats per pair.
            attentions: Also keep the attention weights: ``(L, heads, n, n)`` floats per pair.

        Raises:
            EncoderError: As in ``forward``.
        """
        prepared = self._prepare(pairs)
        results: dict[int, TokenEncoding] = {}
        for batch in self._batches(prepared):
            record: list[_Layer] | None = [] if layers or attentions else None
            hidden, starts = self._states([[prepared[i] for i in run] for run in batch], record)
            projected = self.dense(hidden)
            places = [(number, row, i) for number, run in enumerate(batch) for row, i in enumerate(run)]
            for (number, row, i), start in zip(places, starts, strict=True):
                n = len(prepared[i].ids)
                rows = slice(start, start + n)
                streams = [layer.states[rows].float() for layer in record or []]
                weights = [layer.weights[number][row, :, :n, :n] for layer in (record or [])[:-1]]
                joined = pairs[i][0] + pairs[i][1].strip()
                _, tokens, spans = self._tokenize([joined])[0]
                results[i] = _describe(
                    pairs[i],
                    prepared[i],
                    self.max_seq_length,
                    joined=joined,
                    tokens=tokens,
                    spans=spans,
                    hidden=hidden[rows].cpu().numpy(),
                    projected=projected[rows].cpu().numpy(),
                    layers=torch.stack(streams).cpu().numpy() if layers else None,
                    attentions=torch.stack(weights).cpu().numpy() if attentions else None,
                )
        return [results[i] for i in range(len(prepared))]


def _describe(
    pair: Pair,
    item: _Tokenized,
    max_seq_length: int,
    *,
    joined: str,
    tokens: list[str],
    spans: list[tuple[int, int]],
    hidden: NDArray[np.float32],
    projected: NDArray[np.float32],
    layers: NDArray[np.float32] | None,
    attentions: NDArray[np.float32] | None,
) -> TokenEncoding:
    """Attach places and segments to the vectors of one pair; ``tokens`` and ``spans`` end with those of ``</s>``."""
    instruction, text = pair
    boundary = len(instruction)
    n = len(item.ids)
    order = [*range(n - 1), len(tokens) - 1, *range(n - 1, len(tokens) - 1)]  # what was cut comes last
    segments = []
    for position, (start, end) in enumerate(spans[i] for i in order):
        if position >= n:
            segments.append(Segment.CUT)
        elif position == n - 1:
            segments.append(Segment.END)
        elif start >= boundary:
            segments.append(Segment.TEXT)
        else:
            segments.append(Segment.INSTRUCTION if end <= boundary else Segment.STRADDLING)
    return TokenEncoding(
        instruction=instruction,
        text=text,
        joined=joined,
        token_ids=np.asarray(item.ids + item.cut_ids, dtype=np.int64),
        tokens=tuple(tokens[i] for i in order),
        spans=np.asarray([spans[i] for i in order], dtype=np.int64).reshape(-1, 2),
        segments=tuple(segments),
        pooling_mask=np.arange(n) >= item.n_masked,
        hidden=hidden,
        projected=projected,
        n_instruction_tokens=item.n_masked,
        max_seq_length=max_seq_length,
        layers=layers,
        attentions=attentions,
    )
