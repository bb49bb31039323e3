"""Another encoder to compare with: mean pooling over any folder that transformers can load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from instructor_core.errors import UserError

_BATCH = 32
_MAX_TOKENS = 256


class ReferenceModel:
    """Mean of the last hidden states of all tokens. It reads no instruction.

    Args:
        folder: model and tokenizer, as ``AutoModel`` and ``AutoTokenizer`` read them; nothing is downloaded.
        device: to compute on.

    Raises:
        UserError: if the folder cannot be loaded.
    """

    def __init__(self, folder: Path, *, device: torch.device | str = "cpu") -> None:
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModel.from_pretrained(folder, local_files_only=True).to(device).eval()
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(
                f"The reference {folder.name!r} cannot be loaded: {str(error).splitlines()[0]} Give a folder that "
                "transformers' AutoModel loads."
            ) from error
        resolved = folder.resolve()
        self.name = resolved.parent.name if resolved.name == "model" else resolved.name
        self._device = device

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: (N, D) float32, not normalized."""
        order = sorted(range(len(texts)), key=lambda position: len(texts[position]))  # little padding in a batch
        rows: dict[int, NDArray[np.float32]] = {}
        for start in range(0, len(order), _BATCH):
            chunk = order[start : start + _BATCH]
            batch = self._tokenizer(
                [texts[position] for position in chunk],
                padding=True,
                truncation=True,
                max_length=_MAX_TOKENS,
                return_tensors="pt",
            ).to(self._device)
            states = self._model(**batch).last_hidden_state  # (b, n, D)
            mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)  # (b, n, 1)
            means = ((states * mask).sum(dim=1) / mask.sum(dim=1)).float().cpu().numpy()
            rows.update(zip(chunk, means, strict=True))
        return np.stack([rows[position] for position in range(len(texts))])
