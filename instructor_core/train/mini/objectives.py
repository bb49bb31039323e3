"""What a batch of the recipe is judged by: the losses of the package, put together.

An objective holds numpy arrays only, so that it can be made in another process, and never waits for the device: what is
computed depends on which parts it has, never on a value.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from instructor_core.train import losses

Array = NDArray[Any] | Tensor


@dataclass(frozen=True, eq=False)
class Objective:
    """Any of four terms over N embeddings; those are left out whose weight is 0.

    Pairs with one number in `texts` (N,) say the same under the same instruction and are nobody's negatives.

    - copy: pull each embedding to its target (N, D), and its neighbourhood in the batch to the target's;
    - contrast: texts of one label (N,), -1 for unknown, find each other among all, or among those of their group (N,);
    - structure: the neighbourhoods of the targets, among texts of one label only if `inside`;
    - anchors: among fixed vectors (A, D) of classes, each text finds that of its own class (N,), -1 for unknown.
    """

    name: str
    texts: Array
    targets: Array | None = None
    labels: Array | None = None
    groups: Array | None = None
    anchors: Array | None = None
    own_anchors: Array | None = None
    floor: float = 0.0
    """The lowest contrast there can be, which the reported one leaves out."""
    copy: float = 0.0
    contrast: float = 0.0
    structure: float = 0.0
    anchoring: float = 0.0
    inside: bool = True
    copy_temperature: float = 0.05
    temperature: float = 0.06
    cosine_weight: float = 5.0

    def to(self, device: torch.device) -> Objective:
        """Return the same objective with its arrays on a device: nothing is copied when it is called there."""
        moved: dict[str, Any] = {name: _to(array, device) for name, array in self._arrays().items()}
        return replace(self, **moved)

    def _arrays(self) -> dict[str, Array]:
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, (np.ndarray, Tensor))}

    def __call__(self, embeddings: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of ``(N, D)`` unit-length embeddings and what to report, none of it read."""
        given = {name: _to(array, embeddings.device) for name, array in self._arrays().items()}
        texts = given["texts"]
        apart = texts[:, None] != texts[None, :]  # no text is apart from itself
        targets = F.normalize(given["targets"].float(), dim=-1) if "targets" in given else embeddings
        values: dict[str, Tensor] = {}
        terms: list[Tensor] = []
        if self.copy:
            distance = 1 - torch.linalg.vecdot(embeddings, targets).mean()
            divergence = losses.relational(embeddings, targets, apart, temperature=self.copy_temperature)
            values |= {"cosine": 1 - distance, "kl": divergence}
            terms.append(self.copy * (self.cosine_weight * distance + divergence))
        same = None
        if self.contrast:
            labels = given["labels"]
            known = labels >= 0
            compared = apart & known[:, None] & known[None, :]
            if "groups" in given:
                compared &= given["groups"][:, None] == given["groups"][None, :]
            found = losses.supervised_contrastive(embeddings, labels, compared, temperature=self.temperature)
            same = labels[:, None] == labels[None, :]
            values["contrast"] = found - self.floor
            terms.append(self.contrast * found)
        if self.structure:
            inside = apart if same is None or not self.inside else apart & same
            divergence = losses.relational(embeddings, targets, inside, temperature=self.temperature)
            values["structure"] = divergence
            terms.append(self.structure * divergence)
        if self.anchoring:
            cosines = embeddings @ given["anchors"].float().T
            found = F.cross_entropy(cosines / self.temperature, given["own_anchors"].long(), ignore_index=-1)
            values["anchors"] = found
            terms.append(self.anchoring * found)
        return torch.stack(terms).sum(), {f"{self.name} {name}": value.detach() for name, value in values.items()}


def floor_of(labels: NDArray[np.int64]) -> float:
    """Return the contrast of a batch in which all probability lies evenly on the texts of one's label."""
    _, counts = np.unique(labels[labels >= 0], return_counts=True)
    counts = counts[counts > 1]
    return float((counts * np.log(counts - 1)).sum() / counts.sum()) if len(counts) else 0.0


def _to(array: Array, device: torch.device) -> Tensor:
    tensor = torch.from_numpy(array) if isinstance(array, np.ndarray) else array
    if tensor.device == device:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":  # a copy from other memory would wait for the device
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
