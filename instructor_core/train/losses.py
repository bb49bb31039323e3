"""Losses on embeddings of unit length: pure functions, each returning the mean over the rows that count.

Cosines are divided by a temperature before the softmax; 0.01 is INSTRUCTOR's own (Su et al. 2023), 0.05 is usual for
small batches. A mask is True where a pair counts, unless its name says otherwise.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def _masked_log_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Log-softmax over the entries of each row where ``mask`` holds; -inf elsewhere, zero in rows without any."""
    logits = logits.masked_fill(~mask, float("-inf"))
    return torch.where(mask.any(dim=-1, keepdim=True), logits, 0.0).log_softmax(dim=-1)


def _off_diagonal(n: int, device: torch.device) -> Tensor:
    return ~torch.eye(n, dtype=torch.bool, device=device)


def _rows_mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of ``values`` (N,) over the rows where ``counted`` (N,) holds; zero, with a gradient, if there is none."""
    return torch.where(counted, values, 0.0).sum() / counted.sum().clamp(min=1)


def contrastive(
    queries: Tensor,
    positives: Tensor,
    negatives: Tensor | None = None,
    *,
    temperature: float,
    both_ways: bool = False,
    false_negatives: Tensor | None = None,
) -> Tensor:
    """InfoNCE: each query must find its positive among those of the batch and the given negatives.

    Source: van den Oord et al. 2018 (arXiv 1807.03748); with the negatives given for each query, which serve all
    queries here, Karpukhin et al. 2020 (arXiv 2004.04906), and Su et al. 2023 (arXiv 2212.09741), who sum over both
    directions.

    Args:
        queries: ``(N, D)``.
        positives: ``(N, D)``; row ``i`` belongs to query ``i``.
        negatives: ``(K, D)``, any number; None for the batch alone.
        temperature: Divides the cosines.
        both_ways: Also let each positive find its query among the queries; the two means are averaged.
        false_negatives: ``(N, N + K)`` bool, True where a candidate (positives first) is no negative for a query,
            for instance because it is the same text; such entries leave the softmax. The diagonal is ignored.

    Returns:
        Scalar; ``log(N + K)`` is guessing.
    """
    n = len(queries)
    candidates = positives if negatives is None else torch.cat([positives, negatives])
    logits = queries @ candidates.t() / temperature
    own = torch.arange(n, device=queries.device)
    if false_negatives is not None:
        left_out = false_negatives.clone()
        left_out[own, own] = False
        logits = logits.masked_fill(left_out, float("-inf"))
    loss = F.cross_entropy(logits, own)
    return (loss + F.cross_entropy(logits[:, :n].t(), own)) / 2 if both_ways else loss


def triplet_softmax(queries: Tensor, positives: Tensor, negatives: Tensor, *, temperature: float) -> Tensor:
    """Each query must prefer its positive to its own negatives; no other text of the batch takes part.

    For tasks of few classes, where most of the batch would be false negatives. The softmax over one positive and its
    own negatives is that of Karpukhin et al. 2020 (arXiv 2004.04906) without the in-batch part.

    Args:
        queries: ``(N, D)``.
        positives: ``(N, D)``.
        negatives: ``(N, D)``, or ``(N, K, D)`` for ``K`` negatives each.
        temperature: Divides the cosines.

    Returns:
        Scalar; ``log(1 + K)`` is guessing.
    """
    negatives = negatives.unsqueeze(1) if negatives.ndim == 2 else negatives
    candidates = torch.cat([positives.unsqueeze(1), negatives], dim=1)  # (N, 1 + K, D)
    logits = (candidates @ queries.unsqueeze(-1)).squeeze(-1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(queries), dtype=torch.long, device=queries.device))


def supervised_contrastive(
    embeddings: Tensor, labels: Tensor, mask: Tensor | None = None, *, temperature: float
) -> Tensor:
    """Each text must find the texts of its label among all others of the batch.

    The mean, over the texts of the same label, of their log-probability in the softmax over all other texts:
    ``L_out`` of Khosla et al. 2020 (arXiv 2004.11362), equation 2. Texts alone with their label only repel.

    Args:
        embeddings: ``(N, D)``.
        labels: ``(N,)`` integers.
        mask: ``(N, N)`` bool: the texts (columns) that each text (row) is compared with; all others if None. The
            diagonal is ignored.
        temperature: Divides the cosines.

    Returns:
        Scalar; with ``m`` texts of each label it cannot fall below ``log(m - 1)``.
    """
    others = _off_diagonal(len(embeddings), embeddings.device)
    others = others if mask is None else mask & others
    log_probabilities = _masked_log_softmax(embeddings @ embeddings.t() / temperature, others)
    same = (labels[:, None] == labels[None, :]) & others
    n_same = same.sum(dim=-1)
    found = torch.where(same, log_probabilities, 0.0).sum(dim=-1) / n_same.clamp(min=1)
    return -_rows_mean(found, n_same > 0)


def relational(embeddings: Tensor, targets: Tensor, mask: Tensor | None = None, *, temperature: float) -> Tensor:
    """Similarities inside the batch must be distributed as a teacher's are.

    Mean over the rows of ``KL(teacher || student)`` between the softmax of each text's similarities to the others, as
    in SEED (Fang et al. 2021, arXiv 2101.04731) with the batch in place of its queue.

    Args:
        embeddings: ``(N, D)``.
        targets: ``(N, E)`` the teacher's embeddings of the same texts, unit length.
        mask: ``(N, N)`` bool: pairs to compare, for instance those within a class; the diagonal is ignored. All
            others leave both softmaxes. Rows with fewer than two pairs have no distribution and do not count.
        temperature: Divides the cosines of both.

    Returns:
        Scalar, at least 0.
    """
    others = _off_diagonal(len(embeddings), embeddings.device)
    mask = others if mask is None else mask & others
    student = _masked_log_softmax(embeddings @ embeddings.t() / temperature, mask)
    teacher = _masked_log_softmax(targets @ targets.t() / temperature, mask)
    # 0 (log 0 - log 0) is 0 in a divergence and nan in floating point.
    differences = torch.where(mask, teacher - student, 0.0)
    return _rows_mean((teacher.exp() * differences).sum(dim=-1), mask.sum(dim=-1) >= 2)


def distillation(embeddings: Tensor, targets: Tensor, *, temperature: float, scale: float) -> Tensor:
    """Copy a teacher of the same width: ``scale * (1 - cosine)``, plus ``relational`` over the whole batch.

    The first term is that of Reimers and Gurevych 2020 (arXiv 2004.09813) with the cosine in place of the squared
    distance; the second is cited at ``relational``.

    Args:
        embeddings: ``(N, D)``.
        targets: ``(N, D)`` the teacher's embeddings, unit length.
        temperature: Of the second term.
        scale: Weight of the first term.

    Returns:
        Scalar, at least 0.
    """
    distance: Tensor = 1 - torch.linalg.vecdot(embeddings, targets).mean()
    return scale * distance + relational(embeddings, targets, temperature=temperature)
