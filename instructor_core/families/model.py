"""An instruction-tuned encoder that is told its task by a template, behind the interface of ``InstructorModel``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as Normalizers
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers import __version__ as transformers_version

from instructor_core.encoder import (
    EncoderError,
    Pairs,
    Segment,
    TokenEncoding,
    Vectors,
    find_checkpoint,
    read_pairs,
    well_formed,
)
from instructor_core.families.layout import Layout, load_dense, read_layout

_BATCH_TOKENS = {"cpu": 2048, "cuda": 16384}  # padding included
_WINDOW = 4096  # pairs tokenized and sorted together
_MOST_TOKENS = 512  # where nothing states a window
_FINAL_NORMS = ("norm", "final_norm", "final_layer_norm", "ln_f")  # of networks that norm what enters a block


@dataclass(frozen=True)
class Item:
    """A pair as the network sees it."""

    position: int
    prompt: str
    text: str
    ids: list[int]
    n_prompt: int  # tokens of the prompt by itself, with the marks before it
    pooled: slice


class TemplateModel(nn.Module):
    """Embeds a text for a task that an instruction describes, both joined by a template.

    What stands before the text, the prompt, takes part in the mean unless the checkpoint says otherwise. Special tokens
    typed inside a text are plain characters where the tokenizer can tell; a text is taken as given, spaces included.

    Args:
        name_or_path: Hub name or folder, in the layout of sentence-transformers.
        device: Where to compute; the first CUDA device if there is one, else the CPU.
        dtype: ``"float32"``, or ``"bfloat16"`` for speed; every returned value is float32.
        revision: Commit, tag or branch if the checkpoint comes from the hub.
        template: How instruction and text are joined, if not as the checkpoint or its family has it.

    Raises:
        EncoderError: If the files are not understood; from every method that takes pairs, if one is not two strings or
            its instruction leaves no room for a text.
    """

    trainable = False

    def __init__(
        self,
        name_or_path: str | Path,
        device: torch.device | str | None = None,
        dtype: str = "float32",
        *,
        revision: str | None = None,
        template: str | None = None,
    ) -> None:
        super().__init__()
        if dtype not in ("float32", "bfloat16"):
            raise EncoderError(f'dtype must be "float32" or "bfloat16", got {dtype!r}.')
        self.name, self.revision = str(name_or_path), revision
        self.folder = find_checkpoint(name_or_path, revision=revision)
        self.layout = read_layout(self.folder, self.name, template=template)
        self.template = self.layout.template
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dtype = getattr(torch, dtype)
        self.transformer, self.tokenizer = _load(self.layout, self.dtype)
        linears = [load_dense(path) for path in self.layout.dense]
        width = self._states_width()
        for linear in linears:
            if linear.in_features != width:
                raise EncoderError(
                    f"{self.name} cannot be opened: a linear layer of it takes {linear.in_features} "
                    f"values, and gets {width}."
                )
            width = linear.out_features
        self.dense, self.dim = nn.Sequential(*linears), width
        self.n_layers: int = self.transformer.config.num_hidden_layers
        self.max_seq_length = self._window()
        before, _, after = self._tokenize("a")
        self.n_marks = len(before) + len(after)  # special tokens of each sequence
        pads = (self.tokenizer.pad_token_id, self.transformer.config.pad_token_id, self.tokenizer.eos_token_id, 0)
        self.pad_id: int = next(pad for pad in pads if pad is not None)
        self.to(device=self.device).eval()

    def train(self, mode: bool = True) -> TemplateModel:
        """Refuse to train; as in every ``nn.Module`` but for that."""
        if mode:
            raise EncoderError(f"Only INSTRUCTOR can be trained here, {self.name} cannot.")
        return super().train(mode)

    def count_tokens(self, strings: Sequence[str]) -> list[int]:
        """Return the number of tokens of each string on its own, without special ones."""
        return [len(rows) for _, rows, _ in map(self._tokenize, map(well_formed, strings))]

    def prepare(self, pairs: Iterable[tuple[str, str]], start: int = 0) -> list[Item]:
        """Join, tokenize and truncate what ``read_pairs`` gave; ``start`` is the position of the first pair."""
        given = [(self.template.prompt(instruction), text) for instruction, text in pairs]
        lengths = {prompt: self._prompt_length(prompt) for prompt in dict.fromkeys(prompt for prompt, _ in given)}
        items = []
        for at, (prompt, text) in enumerate(given):
            before, rows, after = self._tokenize(prompt + text)
            room = self.max_seq_length - len(before) - len(after)
            ids = [row[0] for row in (*before, *rows[:room], *after)] or [self.pad_id]
            items.append(Item(start + at, prompt, text, ids, lengths[prompt], self._pooled(len(ids), lengths[prompt])))
        return items

    def forward(self, pairs: Pairs, normalize: bool = True) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Embed ``N`` pairs in one batch, whole and token by token.

        Returns:
            ``(N, D)`` float32 embeddings, and by pair the states of the tokens behind the prompt, ``(n_i, h)``, and
            those of the prompt, ``(m_i, h)``. All have unit length if ``normalize``.
        """
        items = self.prepare(read_pairs(pairs))
        if not items:
            return torch.zeros(0, self.dim, device=self.device), [], []
        with torch.inference_mode():
            states = [hidden[: len(item.ids)] for hidden, item in zip(self._run(items)[0], items, strict=True)]
            embeddings = self._embed(states, items, normalize=normalize)
            states = [F.normalize(rows, dim=-1) for rows in states] if normalize else states
            parts = [(rows[item.n_prompt :], rows[: item.n_prompt]) for rows, item in zip(states, items, strict=True)]
        return embeddings, [text for text, _ in parts], [prompt for _, prompt in parts]

    def encode(self, pairs: Pairs, *, normalize: bool = True, show_progress_bar: bool = False) -> Vectors:
        """Return ``(N, D)`` float32 embeddings of ``N`` pairs (instruction, text), in the order given."""
        checked = list(read_pairs(pairs))
        out = np.empty((len(checked), self.dim), dtype=np.float32)
        with tqdm(total=len(checked), unit="pair", disable=not show_progress_bar) as bar:
            for positions, embeddings in self.encode_batches(checked, normalize=normalize):
                out[positions] = embeddings
                bar.update(len(positions))
        return out

    def encode_batches(self, pairs: Pairs, *, normalize: bool = True) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """Yield ``(b,)`` positions in ``pairs`` and their ``(b, D)`` embeddings; of every few thousand, long first."""
        start, reader = 0, read_pairs(pairs)
        while items := self.prepare(islice(reader, _WINDOW), start):
            start += len(items)
            for batch in self._batches(items):
                with torch.inference_mode():
                    embeddings = self._embed(self._run(batch)[0], batch, normalize=normalize)
                yield np.asarray([item.position for item in batch], dtype=np.int64), np.asarray(embeddings.cpu())

    @torch.inference_mode()
    def encode_tokens(self, pairs: Pairs, *, layers: bool = False, attentions: bool = False) -> list[TokenEncoding]:
        """Return every token's place and vectors for each pair, in the order given.

        As of ``InstructorModel``, but: ``instruction`` is the whole prompt, special tokens before and behind the text
        are both of the segment END, and ``pooling_mask`` holds one token where a checkpoint pools one.
        """
        results: dict[int, TokenEncoding] = {}
        for batch in self._batches(self.prepare(read_pairs(pairs))):
            hidden, streams, weights = self._run(batch, layers=layers, attentions=attentions)
            projected = self.dense(hidden)
            for at, item in enumerate(batch):
                n = len(item.ids)
                joined, boundary = item.prompt + item.text, len(item.prompt)
                before, rows, after = self._tokenize(joined)
                room = n - len(before) - len(after)
                kept = [*before, *rows[:room], *after] or [(self.pad_id, "", (-1, -1))]
                token_ids, tokens, spans = zip(*kept, *rows[room:], strict=True)
                places = np.asarray(spans, dtype=np.int64)
                results[item.position] = TokenEncoding(
                    instruction=item.prompt,
                    text=item.text,
                    joined=joined,
                    token_ids=np.asarray(token_ids, dtype=np.int64),
                    tokens=tuple(tokens),
                    spans=places,
                    segments=tuple(_segment(start, end, boundary) for start, end in spans[:n])
                    + (Segment.CUT,) * (len(spans) - n),
                    pooling_mask=np.isin(np.arange(n), np.arange(n)[item.pooled]),
                    hidden=hidden[at, :n].cpu().numpy(),
                    projected=projected[at, :n].cpu().numpy(),
                    n_instruction_tokens=item.n_prompt - len(before) if item.prompt else 0,
                    max_seq_length=self.max_seq_length,
                    layers=torch.stack([states[at, :n].float() for states in streams]).cpu().numpy()
                    if layers
                    else None,
                    attentions=torch.stack([part[at, :, :n, :n].float() for part in weights]).cpu().numpy()
                    if attentions
                    else None,
                )
        return [results[position] for position in range(len(results))]

    def read_out(self, states: Vectors) -> Vectors:
        """Apply the final norm, if there is one, and the linear layers to states ``(..., h)`` of any block."""
        with torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(states)).to(self.device, self.dtype)
            return np.asarray(self.dense(self._after_blocks(tensor).float()).cpu())

    def _states_width(self) -> int:
        for name in ("embedding_projection",):  # EmbeddingGemma 2 projects its tokens itself
            if hasattr(self.transformer, name):
                return int(getattr(self.transformer, name).out_features)
        return int(self.transformer.config.hidden_size)

    def _window(self) -> int:
        """As sentence-transformers: what the checkpoint states, else the lower of tokenizer's and network's."""
        if self.layout.window:
            return int(self.layout.window)
        most = getattr(self.transformer.config, "max_position_embeddings", None) or _MOST_TOKENS
        return int(min(self.tokenizer.model_max_length, most))

    def _tokenize(self, string: str) -> tuple[list[Row], list[Row], list[Row]]:
        """Tokenize to (id, piece, characters): the special tokens before it, the string, the special ones behind."""
        backend = self.tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True  # what is typed is plain characters
        found = backend.encode(string)
        n, added = len(found.ids), found.special_tokens_mask
        first = next((i for i in range(n) if not added[i]), n)
        last = next((i + 1 for i in reversed(range(first, n)) if not added[i]), first)
        rows = [
            (token_id, *_piece(piece, start, end, string))
            for token_id, piece, (start, end) in zip(found.ids, found.tokens, found.offsets, strict=True)
        ]
        marks = [(token_id, piece, (-1, -1)) for token_id, piece in zip(found.ids, found.tokens, strict=True)]
        if first == n:  # nothing but marks: they end the sequence, but for those that begin it
            first = last = next((i for i, mark in enumerate(found.ids) if mark == self.tokenizer.eos_token_id), n)
        return marks[:first], rows[first:last], marks[last:]

    def _prompt_length(self, prompt: str) -> int:
        """Return how many tokens the references take for the prompt's: all of it alone but for one mark at its end."""
        if not prompt:
            return 0
        before, rows, after = self._tokenize(prompt)
        length = len(before) + len(rows) + max(0, len(after) - 1)
        if length >= self.max_seq_length - len(after):
            raise EncoderError(
                f"The instruction leaves no room for a text: with its template it has {length} tokens, and the window "
                f"is {self.max_seq_length}. Shorten {prompt[:40]!r}..."
            )
        return length

    def _pooled(self, n: int, n_prompt: int) -> slice:
        first = 0 if self.layout.pools_prompt else min(n_prompt, n - 1)
        return {"mean": slice(first, n), "cls": slice(first, first + 1), "lasttoken": slice(n - 1, n)}[
            self.layout.pooling
        ]

    def _batches(self, items: Sequence[Item]) -> Iterator[list[Item]]:
        """Yield batches of items of about one length, the longest first."""
        budget = _BATCH_TOKENS.get(self.device.type, _BATCH_TOKENS["cpu"])
        rest = sorted(items, key=lambda item: -len(item.ids))
        while rest:
            size = max(1, budget // len(rest[0].ids))
            yield rest[:size]
            rest = rest[size:]

    def _run(
        self, items: Sequence[Item], *, layers: bool = False, attentions: bool = False
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Return ``(b, n, h)`` float32 last states; on request the states before each block and after the last one too.

        And on request the weights of attention of each block, ``(b, heads, n, n)``.
        """
        width = max(len(item.ids) for item in items)
        ids = torch.tensor([item.ids + [self.pad_id] * (width - len(item.ids)) for item in items], device=self.device)
        mask = torch.tensor([[1] * len(item.ids) + [0] * (width - len(item.ids)) for item in items], device=self.device)
        norm, streams, seen = self._final_norm(), list[Tensor](), list[Tensor]()
        hook = norm.register_forward_pre_hook(lambda _, given: seen.append(given[0])) if layers and norm else None
        if attentions:
            self.transformer.set_attn_implementation("eager")  # the others make no weights
        try:
            out = self.transformer(
                input_ids=ids,
                attention_mask=mask,
                output_hidden_states=layers,
                output_attentions=attentions,
                return_dict=True,
            )
        finally:
            if hook:
                hook.remove()
            if attentions:
                self.transformer.set_attn_implementation("sdpa")
        if layers:
            streams = [*out.hidden_states[: self.n_layers], seen[-1] if seen else out.last_hidden_state]
            self._check_layers(streams[-1], out.last_hidden_state)
        return out.last_hidden_state.float(), streams, list(out.attentions) if attentions else []

    def _embed(self, hidden: Sequence[Tensor] | Tensor, items: Sequence[Item], *, normalize: bool) -> Tensor:
        means = torch.stack([rows[item.pooled].mean(dim=0) for rows, item in zip(hidden, items, strict=True)])
        embeddings: Tensor = self.dense(means)
        return F.normalize(embeddings, dim=-1) if normalize else embeddings

    def _final_norm(self) -> nn.Module | None:
        return next((part for name in _FINAL_NORMS if (part := getattr(self.transformer, name, None))), None)

    def _after_blocks(self, states: Tensor) -> Tensor:
        norm = self._final_norm()
        states = norm(states) if norm else states
        projection = getattr(self.transformer, "embedding_projection", None)
        return projection(states) if projection else states

    def _check_layers(self, states: Tensor, last: Tensor) -> None:
        """Refuse where the parts after the blocks are others than those known here: no layer could be read out."""
        if not torch.allclose(self._after_blocks(states).float(), last.float(), atol=1e-3, rtol=1e-3):
            raise EncoderError(
                f"The layers of {self.name} cannot be read: a {self.layout.model_type} does more after its blocks than "
                "a norm."
            )


Row = tuple[int, str, tuple[int, int]]


def _load(layout: Layout, dtype: torch.dtype) -> tuple[Any, Any]:
    """Return transformer and tokenizer, both by transformers' own classes: no code of the checkpoint is run."""
    folder, local = layout.folder, {"local_files_only": True, "trust_remote_code": False}
    load: Any = AutoModel.from_pretrained
    try:
        config = AutoConfig.from_pretrained(folder, **local, **layout.config)
        config.use_cache = False
        model, info = load(folder, config=config, dtype=dtype, output_loading_info=True, **local)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, **local, **layout.tokenizer)
    except Exception as error:  # damaged files raise whatever the libraries that read them raise
        said = " ".join(str(error).split())
        remote = "trust_remote_code" in said
        raise EncoderError(
            f"{folder.name} cannot be opened: "
            + (
                f"its network, {layout.model_type}, is code of the checkpoint's own, which is never run here"
                if remote
                else f"transformers {transformers_version} says: {said[:200]}"
            )
            + "."
        ) from error
    if missing := sorted(key for key in info["missing_keys"] if not key.startswith("pooler.")):
        raise EncoderError(f"The weights in {folder} do not fit its configuration: missing {missing[:3]}.")
    if not tokenizer.is_fast:
        raise EncoderError(f"{folder.name} cannot be opened: its tokenizer has no tokenizer.json.")
    if tokenizer.truncation_side != "right":
        raise EncoderError(f"{folder.name} cannot be opened: it cuts long texts off at their beginning.")
    if layout.lower_case:
        backend = tokenizer.backend_tokenizer
        backend.normalizer = Normalizers([Lowercase(), *([backend.normalizer] if backend.normalizer else [])])
    return model, tokenizer


def _stacked(parts: Sequence[Tensor]) -> Vectors:
    return torch.stack(list(parts)).float().cpu().numpy()


def _segment(start: int, end: int, boundary: int) -> Segment:
    if start < 0:
        return Segment.END
    if start >= boundary:
        return Segment.TEXT
    return Segment.STRADDLING if end > boundary else Segment.INSTRUCTION


def _piece(piece: str, start: int, end: int, string: str) -> tuple[str, tuple[int, int]]:
    """Return a token as people read it, "▁" for the start of a word, and the characters that it covers."""
    characters = string[start:end]
    covered = end - len(characters.lstrip())
    place = (covered if covered < end else start, end)  # of spaces alone the spaces
    if "▁" in piece or not characters:
        return piece, place
    if characters.isspace():
        return characters.replace("\n", "⏎").replace(" ", "▁"), place
    begins = start == 0 or characters[0].isspace() or string[start - 1].isspace()
    return ("▁" if begins else "") + characters.strip(), place
