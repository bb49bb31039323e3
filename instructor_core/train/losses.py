"""Losses on embeddings of unit length (N, D): pure functions, each returning the mean over the rows that count.

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
    """InfoNCE: each query must find its positive (N, D) among those of the batch and the given negatives (K, D).

    Source: van den Oord et al. 2018 (arXiv 1807.03748); with the negatives given for each query, which serve all
    queries here, Karpukhin et al. 2020 (arXiv 2004.04906), and Su et al. 2023 (arXiv 2212.09741), who sum over both
    directions (here, `both_ways`: the mean of both). `false_negatives` (N, N + K), positives first, leave the softmax,
    for instance because they are the same text; its diagonal is ignored. Guessing is ``log(N + K)``.
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
    """Each query must prefer its positive to its own negatives, (N, D) or (N, K, D); the rest of the batch is left out.

    For tasks of few classes, where most of the batch would be false negatives. The softmax over one positive and its
    own negatives is that of Karpukhin et al. 2020 (arXiv 2004.04906) without the in-batch part. Guessing is
    ``log(1 + K)``.
    """
    negatives = negatives.unsqueeze(1) if negatives.ndim == 2 else negatives
    candidates = torch.cat([positives.unsqueeze(1), negatives], dim=1)  # (N, 1 + K, D)
    logits = (candidates @ queries.unsqueeze(-1)).squeeze(-1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(queries), dtype=torch.long, device=queries.device))


def supervised_contrastive(
    embeddings: Tensor, labels: Tensor, mask: Tensor | None = None, *, temperature: float
) -> Tensor:
    """Each text must find the texts of its label (N,) among all others, or those where the (N, N) mask holds.

    The mean, over the texts of the same label, of their log-probability in the softmax over all other texts:
    ``L_out`` of Khosla et al. 2020 (arXiv 2004.11362), equation 2. Texts alone with their label only repel. With ``m``
    texts of each label it cannot fall below ``log(m - 1)``.
    """
    others = _off_diagonal(len(embeddings), embeddings.device)
    others = others if mask is None else mask & others
    log_probabilities = _masked_log_softmax(embeddings @ embeddings.t() / temperature, others)
    same = (labels[:, None] == labels[None, :]) & others
    n_same = same.sum(dim=-1)
    found = torch.where(same, log_probabilities, 0.0).sum(dim=-1) / n_same.clamp(min=1)
    return -_rows_mean(found, n_same > 0)


def relational(embeddings: Tensor, targets: Tensor, mask: Tensor | None = None, *, temperature: float) -> Tensor:
    """Similarities inside the batch must be distributed as those of a teacher (N, E) are.

    Mean over the rows of ``KL(teacher || student)`` between the softmax of each text's similarities to the others, or
    to those where the (N, N) mask holds, as in SEED (Fang et al. 2021, arXiv 2101.04731) with the batch in place of its
    queue. Rows with fewer than two pairs have no distribution and do not count.
    """
    others = _off_diagonal(len(embeddings), embeddings.device)
    mask = others if mask is None else mask & others
    student = _masked_log_softmax(embeddings @ embeddings.t() / temperature, mask)
    teacher = _masked_log_softmax(targets @ targets.t() / temperature, mask)
    # 0 (log 0 - log 0) is 0 in a divergence and nan in floating point.
    differences = torch.where(mask, teacher - student, 0.0)
    return _rows_mean((teacher.exp() * differences).sum(dim=-1), mask.sum(dim=-1) >= 2)
