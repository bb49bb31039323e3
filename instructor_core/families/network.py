"""Strings to tokens, ids to states: what transformers' own classes load, none of a checkpoint's own code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as Normalizers
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers import __version__ as transformers_version

from instructor_core.encoder import EncoderError, Segment
from instructor_core.families.layout import Layout

_FINAL_NORMS = ("norm", "final_norm", "final_layer_norm", "ln_f")  # of networks that norm what enters a block
_MOST_TOKENS = 512  # where nothing states a window

Row = tuple[int, str, tuple[int, int]]  # id, piece, characters that it covers


class Network:
    """A transformer with what is known of the parts behind its blocks."""

    def __init__(self, transformer: Any, layout: Layout) -> None:
        self.transformer, self.name = transformer, layout.model_type
        self.n_layers: int = transformer.config.num_hidden_layers
        self._norm = next((part for name in _FINAL_NORMS if (part := getattr(transformer, name, None))), None)
        self._projection = getattr(transformer, "embedding_projection", None)  # of EmbeddingGemma 2, token by token

    @property
    def width(self) -> int:
        """Of the states of tokens."""
        return int(self._projection.out_features if self._projection else self.transformer.config.hidden_size)

    def run(
        self, rows: Sequence[list[int]], pad_id: int, device: torch.device, *, layers: bool, attentions: bool
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Return ``(b, n, h)`` float32 last states of rows of ids.

        On request also what enters each block and leaves the last one, and the weights of attention of each block.
        """
        width = max(map(len, rows))
        ids = torch.tensor([row + [pad_id] * (width - len(row)) for row in rows], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
        seen = list[Tensor]()  # what enters the final norm: transformers gives what leaves it
        hook = self._norm.register_forward_pre_hook(lambda _, given: seen.append(given[0])) if self._norm else None
        usual = self.transformer.config._attn_implementation
        if attentions:
            self.transformer.set_attn_implementation("eager")  # the others make no weights
        try:
            out = self.transformer(
                input_ids=ids, attention_mask=mask, output_hidden_states=layers, output_attentions=attentions
            )
        finally:
            if hook:
                hook.remove()
            if attentions:
                self.transformer.set_attn_implementation(usual)
        last, streams = out.last_hidden_state, list[Tensor]()
        if layers:
            streams = [*out.hidden_states[: self.n_layers], seen[-1] if seen else last]
            if not torch.allclose(self.read_out(streams[-1]).float(), last.float(), atol=1e-3, rtol=1e-3):
                raise EncoderError(
                    f"The layers of this checkpoint cannot be read: a {self.name} does more than norm its last block."
                )
        return last.float(), streams, list(out.attentions) if attentions else []

    def read_out(self, states: Tensor) -> Tensor:
        """Apply what follows the last block to states ``(..., h)``."""
        states = self._norm(states) if self._norm else states
        return self._projection(states) if self._projection else states

    def window(self, layout: Layout, tokenizer: Any) -> int:
        """As sentence-transformers: what the checkpoint states, else the lower of tokenizer's and network's."""
        most = getattr(self.transformer.config, "max_position_embeddings", None) or _MOST_TOKENS
        return int(layout.window or min(tokenizer.model_max_length, most))


def load(layout: Layout, dtype: torch.dtype) -> tuple[Network, Any]:
    """Return network and tokenizer."""
    folder, local = layout.folder, {"local_files_only": True, "trust_remote_code": False}
    read: Any = AutoModel.from_pretrained
    try:
        config = AutoConfig.from_pretrained(folder, **local, **layout.config)
        config.use_cache = False
        model, info = read(folder, config=config, dtype=dtype, output_loading_info=True, **local)
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
    return Network(model, layout), tokenizer


def tokenize(tokenizer: Any, string: str) -> tuple[list[Row], list[Row], list[Row]]:
    """Return the special tokens before a string, its own tokens, and the special ones behind it."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True  # what is typed is plain characters
    found = backend.encode(string)
    n, added = len(found.ids), found.special_tokens_mask
    first = next((i for i in range(n) if not added[i]), n)
    last = next((i + 1 for i in reversed(range(first, n)) if not added[i]), first)
    if first == n:  # nothing but marks: the end mark and what follows it stand behind
        first = last = next((i for i, mark in enumerate(found.ids) if mark == tokenizer.eos_token_id), n)
    entries = list(zip(found.ids, found.tokens, found.offsets, strict=True))
    marks = [(token_id, piece, (-1, -1)) for token_id, piece, _ in entries]
    rows = [(token_id, *_piece(piece, start, end, string)) for token_id, piece, (start, end) in entries[first:last]]
    return marks[:first], rows, marks[last:]


def segment_of(start: int, end: int, boundary: int) -> Segment:
    """Return where a token stands, by its characters; a mark has none."""
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
