"""The teacher: a BERT-like sentence encoder (all-MiniLM-L6-v2) whose embeddings of all texts are computed once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import AutoConfig, AutoModel

from instructor_core.errors import UserError

_WEIGHTS = "model.safetensors"
_SCALE = ".scale"  # what the scales of a packed matrix are called behind its own name
# Steps of a packed weight on each side of zero. Words bear fewer than layers do: with these, which compress to 19 MB,
# cosines to the unpacked teacher's embeddings are .9986 at the lowest over 200 lines (.993 the other way round).
_WORD_STEPS, _LAYER_STEPS = 63, 127


class Teacher:
    """Embeds texts by the mean over their tokens, scaled to unit length; it knows no instructions."""

    def __init__(self, folder: Path, *, device: str = "cpu", max_tokens: int = 96) -> None:
        if not (folder / "config.json").is_file() or not (folder / _WEIGHTS).is_file():
            raise UserError(
                f"The teacher needs a checkpoint folder with config.json and {_WEIGHTS}: {folder} has none."
            )
        self.device = torch.device(device)
        on_gpu = self.device.type == "cuda"
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_tokens)
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
        missing, _ = model.load_state_dict(_unpack(load_file(folder / _WEIGHTS)), strict=False)
        if any(not name.startswith("pooler.") for name in missing):  # the pooler is not used
            raise UserError(f"{folder / _WEIGHTS} lacks weights of the teacher: {', '.join(missing[:3])}. Get it anew.")
        self.model = model.eval().to(self.device, torch.float16 if on_gpu else torch.bfloat16)
        self.dim = int(model.config.hidden_size)
        self.block = 250_000 if on_gpu else 40_000  # texts embedded between two savings
        self._batch_tokens = 65_536 if on_gpu else 2048

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """Return ``(N, D)`` float16 unit-length embeddings, in the order of the texts."""
        out = np.empty((len(texts), self.dim), dtype=np.float16)
        if not texts:
            return out
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(list(texts))]
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        flat = np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=int(lengths.sum()))
        starts = np.cumsum(lengths) - lengths
        for batch in _batches(lengths, self._batch_tokens):
            at = np.arange(lengths[batch[-1]])[None, :]
            inside = at < lengths[batch][:, None]  # (b, L)
            input_ids = np.where(inside, flat[np.minimum(starts[batch][:, None] + at, len(flat) - 1)], 0)
            mask = torch.from_numpy(inside).to(self.device)
            states = self.model(input_ids=torch.from_numpy(input_ids).to(self.device), attention_mask=mask.long())
            hidden = states.last_hidden_state.float()
            mean = (hidden * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)  # (b, D)
            out[batch] = F.normalize(mean, dim=-1).half().cpu().numpy()
        return out


def _batches(lengths: NDArray[np.int64], budget: int) -> Iterator[NDArray[np.int64]]:
    """Yield positions, shortest first, so that the padded tokens of a batch stay within the budget."""
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order]
    start = 0
    while start < len(order):
        padded = ordered[start : start + budget] * np.arange(1, len(ordered[start : start + budget]) + 1)
        count = max(1, int(np.searchsorted(padded, budget, side="right")))
        yield order[start : start + count]
        start += count


def _unpack(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give packed matrices back their scales; everything comes out in float32."""
    scales = {name: state.pop(name) for name in list(state) if name.endswith(_SCALE)}
    return {
        name: values.float() * scales[name + _SCALE].float()[:, None] if name + _SCALE in scales else values.float()
        for name, values in state.items()
        if not name.endswith("position_ids")
    }


def pack_teacher(folder: Path, out: Path) -> None:
    """Copy a teacher in a quarter of its size: matrices of integers with a scale per row, the rest in float16."""
    packed: dict[str, Tensor] = {}
    for name, values in load_file(folder / _WEIGHTS).items():
        if name.endswith("position_ids") or name.startswith("pooler."):
            continue
        if values.ndim == 2:
            steps = _WORD_STEPS if "word_embeddings" in name else _LAYER_STEPS
            scale = (values.abs().amax(dim=1) / steps).clamp(min=1e-6).half()
            packed[name] = torch.round(values / scale[:, None].float()).clamp(-127, 127).to(torch.int8)
            packed[name + _SCALE] = scale
        else:
            packed[name] = values.half()
    out.mkdir(parents=True, exist_ok=True)
    save_file(packed, out / _WEIGHTS)
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(folder / name, out / name)


def embed_texts(texts: Sequence[str], teacher: Teacher, path: Path) -> NDArray[np.float16]:
    """Embed texts into an ``(N, D)`` float16 array on disk, going on where it was stopped; return it unread.

    The number of finished rows is kept beside it, in ``<name>.rows``, with a check sum of the texts.
    """
    progress = path.with_suffix(".rows")
    own = 0
    for text in texts:
        own = crc32(text.encode(), own)
    done, known = map(int, progress.read_text().split()) if progress.is_file() and path.is_file() else (0, own)
    if known != own:
        raise UserError(f"{path} holds embeddings of other texts. Delete it, and {progress.name} beside it.")
    shape = (len(texts), teacher.dim)
    rows = np.lib.format.open_memmap(path, "r+" if done else "w+", np.float16, None if done else shape)
    if rows.shape != shape:
        raise UserError(f"{path} has shape {rows.shape}, texts and teacher ask for {shape}. Delete it.")
    with tqdm(total=len(texts), initial=done, unit="text") as bar:
        for start in range(done, len(texts), teacher.block):
            block = texts[start : start + teacher.block]
            rows[start : start + len(block)] = teacher.encode(block)
            rows.flush()
            progress.write_text(f"{start + len(block)} {own}")
            bar.update(len(block))
    return rows
