"""Losses against loops that follow the formulas one term at a time."""

import math

import pytest
import torch
from torch.nn import functional as F

from instructor_core.train.losses import (
    contrastive,
    relational,
    supervised_contrastive,
    triplet_softmax,
)


def unit(n: int, seed: int, dim: int = 5) -> torch.Tensor:
    return F.normalize(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1)


def log_share(query: torch.Tensor, wanted: torch.Tensor, candidates: list[torch.Tensor], temperature: float) -> float:
    total = sum(math.exp(float(query @ candidate) / temperature) for candidate in candidates)
    return float(query @ wanted) / temperature - math.log(total)


def test_contrastive_is_the_mean_log_share_of_the_positive_which_no_mask_of_false_negatives_takes_out() -> None:
    q, p, k = unit(4, 0), unit(4, 1), unit(3, 2)
    expected = -sum(log_share(q[i], p[i], [*p, *k], 0.1) for i in range(4)) / 4
    assert float(contrastive(q, p, k, temperature=0.1)) == pytest.approx(expected)
    back = -sum(log_share(p[i], q[i], [*q], 0.1) for i in range(4)) / 4
    assert float(contrastive(q, p, k, temperature=0.1, both_ways=True)) == pytest.approx((expected + back) / 2)
    q, p, k = unit(3, 0), unit(3, 1), unit(2, 2)
    left_out = torch.zeros(3, 5, dtype=torch.bool)
    left_out[0, 2] = left_out[0, 4] = left_out[0, 0] = True
    expected = (
        -(log_share(q[0], p[0], [p[0], p[1], k[0]], 0.2) + sum(log_share(q[i], p[i], [*p, *k], 0.2) for i in (1, 2)))
        / 3
    )
    assert float(contrastive(q, p, k, temperature=0.2, false_negatives=left_out)) == pytest.approx(expected)
    assert left_out[0, 0]  # the caller's mask is as it was


def test_triplets_compare_a_query_with_its_own_negatives_only() -> None:
    q, p = unit(3, 0), unit(3, 1)
    negatives = unit(6, 2).view(3, 2, 5)
    expected = -sum(log_share(q[i], p[i], [p[i], *negatives[i]], 0.1) for i in range(3)) / 3
    assert float(triplet_softmax(q, p, negatives, temperature=0.1)) == pytest.approx(expected)
    single = -sum(log_share(q[i], p[i], [p[i], negatives[i, 0]], 0.1) for i in range(3)) / 3
    assert float(triplet_softmax(q, p, negatives[:, 0], temperature=0.1)) == pytest.approx(single)


def test_supervised_contrast_averages_over_the_texts_of_a_label_within_the_mask() -> None:
    e, labels = unit(6, 0), torch.tensor([0, 0, 0, 1, 1, 7])
    rows = []
    for i in range(5):  # the sixth is alone with its label and has no term
        others = [e[j] for j in range(6) if j != i]
        same = [j for j in range(6) if j != i and labels[j] == labels[i]]
        rows.append(-sum(log_share(e[i], e[j], others, 0.1) for j in same) / len(same))
    assert float(supervised_contrastive(e, labels, temperature=0.1)) == pytest.approx(sum(rows) / 5)
    e, labels = unit(5, 0), torch.tensor([0, 0, 1, 1, -1])
    mask = torch.ones(5, 5, dtype=torch.bool)
    mask[:, 4] = False
    assert float(supervised_contrastive(e, labels, mask, temperature=0.1)) == pytest.approx(
        float(supervised_contrastive(e[:4], labels[:4], temperature=0.1))
    )


def test_relations_are_compared_within_the_mask() -> None:
    e, t = unit(5, 0), unit(5, 1, dim=8)
    mask = torch.zeros(5, 5, dtype=torch.bool)
    mask[:3, :3] = True  # three texts compared with each other
    mask[3, 4] = True  # one pair is no distribution
    mask |= torch.eye(5, dtype=torch.bool)
    rows = []
    for i in range(3):
        others = [j for j in range(3) if j != i]
        teacher = torch.softmax(torch.stack([t[i] @ t[j] for j in others]) / 0.1, 0)
        student = torch.softmax(torch.stack([e[i] @ e[j] for j in others]) / 0.1, 0)
        rows.append(float((teacher * (teacher / student).log()).sum()))
    assert float(relational(e, t, mask, temperature=0.1)) == pytest.approx(sum(rows) / 3)


def test_rows_without_a_term_give_gradients_of_zero_and_not_nan() -> None:
    e = unit(4, 0).requires_grad_()
    nothing = torch.zeros(4, 4, dtype=torch.bool)
    for loss in (
        relational(e, unit(4, 1), nothing, temperature=0.05),
        supervised_contrastive(e, torch.arange(4), temperature=0.05),
        supervised_contrastive(e, torch.zeros(4), nothing, temperature=0.05),
    ):
        (gradient,) = torch.autograd.grad(loss, e)
        assert loss.item() == 0
        assert bool((gradient == 0).all())
