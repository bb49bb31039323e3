"""What a batch of the recipe is judged by: the losses of the package, put together with the teacher's structure."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from instructor_core.train import losses
from instructor_core.train.batch import Loss


@dataclass(frozen=True, eq=False)
class Structure:
    """What the teacher says of a batch, to be kept beside a contrast: (N, E) unit embeddings where ``known`` (N,)."""

    embeddings: Tensor
    known: Tensor
    weight: float


def distillation(target: Tensor, *, name: str, temperature: float, cosine_weight: float) -> Loss:
    """Pull each embedding to its ``(N, D)`` unit-length target, and the neighbourhoods to the target's."""

    def loss(embeddings: Tensor) -> tuple[Tensor, dict[str, float]]:
        goal = target.to(embeddings.device)
        value = losses.distillation(embeddings, goal, temperature=temperature, scale=cosine_weight)
        cosine = float(torch.linalg.vecdot(embeddings.detach(), goal).mean())
        return value, {f"{name} cosine": cosine, f"{name} kl": float(value.detach()) - cosine_weight * (1 - cosine)}

    return loss


def supervised_contrast(
    labels: Tensor, *, temperature: float, structure: Structure | None = None, inside_classes: bool = True
) -> Loss:
    """Pull texts of one class together and push the others away, keeping the teacher's structure.

    The structure is kept among texts of one class only, or over the whole batch. The reported contrast is the loss
    above its minimum: 0 when all the probability lies, evenly, on the same class.
    """

    def loss(embeddings: Tensor) -> tuple[Tensor, dict[str, float]]:
        own = labels.to(embeddings.device)
        contrast = losses.supervised_contrastive(embeddings, own, temperature=temperature)
        same = own[:, None] == own[None, :]
        partners = same.sum(dim=1) - 1
        lowest = float(partners[partners > 0].float().log().mean()) if bool((partners > 0).any()) else 0.0
        values = {"contrast": float(contrast.detach()) - lowest}
        return _with_structure(contrast, values, embeddings, structure, same if inside_classes else None, temperature)

    return loss


def triplet_contrast(*, temperature: float, many_classes: bool, structure: Structure | None = None) -> Loss:
    """Contrast of triplets whose embeddings stand in three equal blocks: texts, positives, negatives.

    With many classes every other positive and negative of the batch counts as a negative; with few, where most of them
    would be of the right class, only the text's own does.
    """

    def loss(embeddings: Tensor) -> tuple[Tensor, dict[str, float]]:
        contrast = (losses.contrastive if many_classes else losses.triplet_softmax)(
            *embeddings.chunk(3), temperature=temperature
        )
        values = {"triplets, many" if many_classes else "triplets, few": float(contrast.detach())}
        return _with_structure(contrast, values, embeddings, structure, None, temperature)

    return loss


def pair_contrast(same: Tensor, *, temperature: float) -> Loss:
    """InfoNCE in both directions for pairs whose embeddings stand in two equal blocks: left, right.

    ``same`` (n, n) is True off the diagonal where two pairs share a text and must not repel each other.
    """

    def loss(embeddings: Tensor) -> tuple[Tensor, dict[str, float]]:
        left, right = embeddings.chunk(2)
        value = losses.contrastive(
            left, right, temperature=temperature, both_ways=True, false_negatives=same.to(embeddings.device)
        )
        return value, {"pairs": float(value.detach())}

    return loss


def _with_structure(
    contrast: Tensor,
    values: dict[str, float],
    embeddings: Tensor,
    structure: Structure | None,
    allowed: Tensor | None,
    temperature: float,
) -> tuple[Tensor, dict[str, float]]:
    if structure is None:
        return contrast, values
    known = structure.known.to(embeddings.device)
    mask = known[:, None] & known[None, :]
    mask = mask if allowed is None else mask & allowed
    goal = structure.embeddings.to(embeddings.device)
    divergence = losses.relational(embeddings, goal, mask, temperature=temperature)
    return contrast + structure.weight * divergence, {**values, "structure": float(divergence.detach())}
