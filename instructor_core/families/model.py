"""An instruction-tuned encoder that is told its task by a template, behind the interface of ``InstructorModel``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

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
from instructor_core.families.layout import load_dense, read_layout
from instructor_core.families.network import Row, load, segment_of, tokenize

_BATCH_TOKENS = {"cpu": 2048, "cuda": 16384}  # padding included
_WINDOW = 4096  # pairs tokenized and sorted together


@dataclass(frozen=True)
class Item:
    """A pair as the network sees it."""

    position: int
    prompt: str
    text: str
    rows: list[Row]  # n that are encoded, then those that did not fit
    n: int
    n_before: int  # marks before the prompt
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
        self.network, self.tokenizer = load(self.layout, self.dtype)
        self.transformer: nn.Module = self.network.transformer
        linears, width = [load_dense(path) for path in self.layout.dense], self.network.width
        for linear in linears:
            if linear.in_features != width:
                raise EncoderError(
                    f"{self.name} cannot be opened: a linear layer of it takes {linear.in_features} "
                    f"values, and gets {width}."
                )
            width = linear.out_features
        self.dense, self.dim = nn.Sequential(*linears), width
        self.n_layers, self.max_seq_length = self.network.n_layers, self.network.window(self.layout, self.tokenizer)
        before, _, after = tokenize(self.tokenizer, "a")
        self.n_marks = len(before) + len(after)  # special tokens of each sequence
        config = self.network.transformer.config
        pads = (self.tokenizer.pad_token_id, config.pad_token_id, self.tokenizer.eos_token_id, 0)
        self.pad_id: int = next(pad for pad in pads if pad is not None)
        self.to(device=self.device).eval()

    def train(self, mode: bool = True) -> TemplateModel:
        """Refuse to train; as in every ``nn.Module`` but for that."""
        if mode:
            raise EncoderError("Only INSTRUCTOR can be trained here: this checkpoint is of another family.")
        return super().train(mode)

    def count_tokens(self, strings: Sequence[str]) -> list[int]:
        """Return the number of tokens of each string on its own, without special ones."""
        return [len(rows) for _, rows, _ in (tokenize(self.tokenizer, well_formed(string)) for string in strings)]

    def prepare(self, pairs: Iterable[tuple[str, str]], start: int = 0) -> list[Item]:
        """Join, tokenize and truncate what ``read_pairs`` gave; ``start`` is the position of the first pair."""
        given = [(self.template.prompt(instruction), text) for instruction, text in pairs]
        lengths = {prompt: self._prompt_length(prompt) for prompt in dict.fromkeys(prompt for prompt, _ in given)}
        items = []
        for at, (prompt, text) in enumerate(given):
            before, rows, after = tokenize(self.tokenizer, prompt + text)
            room = self.max_seq_length - len(before) - len(after)
            kept = [*before, *rows[:room], *after] or [(self.pad_id, "", (-1, -1))]
            n, n_prompt = len(kept), lengths[prompt]
            pooled = self._pool(n, n_prompt)
            items.append(Item(start + at, prompt, text, kept + rows[room:], n, len(before), n_prompt, pooled))
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
            states = [hidden[: item.n] for hidden, item in zip(self._run(items)[0], items, strict=True)]
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
                n, boundary = item.n, len(item.prompt)
                token_ids, tokens, spans = zip(*item.rows, strict=True)
                results[item.position] = TokenEncoding(
                    instruction=item.prompt,
                    text=item.text,
                    joined=item.prompt + item.text,
                    token_ids=np.asarray(token_ids, dtype=np.int64),
                    tokens=tuple(tokens),
                    spans=np.asarray(spans, dtype=np.int64),
                    segments=tuple(segment_of(start, end, boundary) for start, end in spans[:n])
                    + (Segment.CUT,) * (len(spans) - n),
                    pooling_mask=np.isin(np.arange(n), np.arange(n)[item.pooled]),
                    hidden=hidden[at, :n].cpu().numpy(),
                    projected=projected[at, :n].cpu().numpy(),
                    n_instruction_tokens=item.n_prompt - item.n_before if item.prompt else 0,
                    max_seq_length=self.max_seq_length,
                    layers=_stack([states[at, :n] for states in streams]) if layers else None,
                    attentions=_stack([part[at, :, :n, :n] for part in weights]) if attentions else None,
                )
        return [results[position] for position in range(len(results))]

    def read_out(self, states: Vectors) -> Vectors:
        """Apply the final norm, if there is one, and the linear layers to states ``(..., h)`` of any block."""
        with torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(states)).to(self.device, self.dtype)
            return np.asarray(self.dense(self.network.read_out(tensor).float()).cpu())

    def _prompt_length(self, prompt: str) -> int:
        """Return how many tokens the references take for the prompt's: all of it alone but for one mark at its end."""
        if not prompt:
            return 0
        before, rows, after = tokenize(self.tokenizer, prompt)
        length = len(before) + len(rows) + max(0, len(after) - 1)
        if length >= self.max_seq_length - len(after):
            raise EncoderError(
                f"The instruction leaves no room for a text: with its template it has {length} tokens, and the window "
                f"is {self.max_seq_length}. Shorten {prompt[:40]!r}..."
            )
        return length

    def _pool(self, n: int, n_prompt: int) -> slice:
        first = 0 if self.layout.pools_prompt else min(n_prompt, n - 1)
        return {"mean": slice(first, n), "cls": slice(first, first + 1), "lasttoken": slice(n - 1, n)}[
            self.layout.pooling
        ]

    def _batches(self, items: Sequence[Item]) -> Iterator[list[Item]]:
        """Yield batches of items of about one length, the longest first."""
        budget = _BATCH_TOKENS.get(self.device.type, _BATCH_TOKENS["cpu"])
        rest = sorted(items, key=lambda item: -item.n)
        while rest:
            size = max(1, budget // rest[0].n)
            yield rest[:size]
            rest = rest[size:]

    def _run(
        self, items: Sequence[Item], *, layers: bool = False, attentions: bool = False
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        rows = [[row[0] for row in item.rows[: item.n]] for item in items]
        return self.network.run(rows, self.pad_id, self.device, layers=layers, attentions=attentions)

    def _embed(self, hidden: Sequence[Tensor] | Tensor, items: Sequence[Item], *, normalize: bool) -> Tensor:
        means = torch.stack([rows[item.pooled].mean(dim=0) for rows, item in zip(hidden, items, strict=True)])
        embeddings: Tensor = self.dense(means)
        return F.normalize(embeddings, dim=-1) if normalize else embeddings


def _stack(parts: Sequence[Tensor]) -> Vectors:
    return torch.stack(list(parts)).float().cpu().numpy()
