"""The teacher: a BERT-like sentence encoder (all-MiniLM-L6-v2) whose embeddings of a corpus are computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import AutoModel, AutoTokenizer

from instructor_core.errors import UserError

_BATCH_TOKENS = 8192
_BLOCK = 40_000  # texts embedded between two savings


class Teacher:
    """Embeds texts by the mean over their tokens, scaled to unit length; it knows no instructions."""

    def __init__(self, folder: Path, *, device: str = "cpu", max_tokens: int = 96) -> None:
        if not (folder / "config.json").is_file():
            raise UserError(f"The teacher needs a checkpoint folder with config.json: {folder} has none.")
        self.device = torch.device(device)
        self.max_tokens = max_tokens
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, dtype=torch.bfloat16, local_files_only=True)
        self.model = model.eval().to(self.device)
        self.dim = int(model.config.hidden_size)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """Return ``(N, D)`` float16 unit-length embeddings, in the order of the texts."""
        out = np.empty((len(texts), self.dim), dtype=np.float16)
        if not texts:
            return out
        token_ids = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"]
        for batch in _batches([len(ids) for ids in token_ids]):
            width = len(token_ids[batch[-1]])
            input_ids = torch.tensor([token_ids[i] + [0] * (width - len(token_ids[i])) for i in batch])
            mask = torch.arange(width) < torch.tensor([len(token_ids[i]) for i in batch])[:, None]
            input_ids, mask = input_ids.to(self.device), mask.to(self.device)
            hidden = self.model(input_ids=input_ids, attention_mask=mask.long()).last_hidden_state.float()
            mean = (hidden * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)  # (b, D)
            out[batch] = F.normalize(mean, dim=-1).cpu().numpy().astype(np.float16)
        return out


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield positions, shortest first, so that the padded tokens of a batch stay within the budget."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end - start + 1) * lengths[order[end]] <= _BATCH_TOKENS:
            end += 1
        yield order[start:end]
        start = end


def embeddings_path(corpus: Path) -> Path:
    """Return where the embeddings of a text file are kept: ``corpus.txt`` -> ``corpus.npy``."""
    return corpus.with_suffix(".npy")


def read_texts(path: Path) -> list[str]:
    """Return the lines of a text file, one text each."""
    if not path.is_file():
        raise UserError(f"The corpus is a text file with one text a line: there is no {path}. Put it there.")
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def embed_file(corpus: Path, teacher: Teacher) -> None:
    """Embed a text file line by line into an (N, D) float16 array beside it, going on where it was stopped.

    The number of finished rows is kept in ``<name>.rows``.
    """
    texts = read_texts(corpus)
    path = embeddings_path(corpus)
    progress = path.with_suffix(".rows")
    done = int(progress.read_text()) if progress.is_file() and path.is_file() else 0
    shape = (len(texts), teacher.dim)
    rows = np.lib.format.open_memmap(path, "r+" if done else "w+", np.float16, None if done else shape)
    if rows.shape != shape:
        raise UserError(f"{path.name} has shape {rows.shape}, the corpus and the teacher ask for {shape}. Delete it.")
    with tqdm(total=len(texts), initial=done, unit="text") as bar:
        for start in range(done, len(texts), _BLOCK):
            block = texts[start : start + _BLOCK]
            rows[start : start + len(block)] = teacher.encode(block)
            rows.flush()
            progress.write_text(str(start + len(block)))
            bar.update(len(block))


def read_embeddings(corpus: Path, n_texts: int) -> NDArray[np.float16]:
    """Open the embeddings of a text file without reading them: ``(N, D)`` float16, unit length."""
    path = embeddings_path(corpus)
    progress = path.with_suffix(".rows")
    done = int(progress.read_text()) if progress.is_file() and path.is_file() else 0
    if done != n_texts:
        raise UserError(f"{path.name} holds {done} of {n_texts} embeddings of {corpus.name}. Run `embed` first.")
    rows: NDArray[np.float16] = np.load(path, mmap_mode="r")
    if len(rows) != n_texts:
        raise UserError(f"{path.name} has {len(rows)} rows, {corpus.name} has {n_texts} lines. Delete it and `embed`.")
    return rows
