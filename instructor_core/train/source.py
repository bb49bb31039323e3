"""Batches of records: each of one task, every record once an epoch, all of it decided by the seed."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import partial

import torch
from torch import Tensor

from instructor_core.encoder import Pair
from instructor_core.errors import UserError
from instructor_core.train.batch import Batch
from instructor_core.train.losses import contrastive, supervised_contrastive, triplet_softmax
from instructor_core.train.records import Record

_PER_LABEL = 4  # records of a label that enter a batch together


class RecordSource:
    """Batches for a fixed list of records.

    Tasks with labels are judged by ``supervised_contrastive`` over queries and positives (a negative counts against
    its own record only), tasks named in ``own_negatives`` by ``triplet_softmax``, all others by ``contrastive`` with
    the positives and negatives of the whole batch.

    Args:
        records: At least one.
        batch_size: Records in a batch at most; a task's records are divided evenly.
        temperature: Divides the cosines in every loss.
        both_ways: Let positives find their queries, too.
        own_negatives: Tasks in which a positive suits the queries of many records, so that those of other records are
            no negatives: classes without labels.
        seed: Decides order and draws.

    Raises:
        UserError: If there are no records, or a task in ``own_negatives`` is not there, has labels or a record
            without a negative.
    """

    def __init__(
        self,
        records: Sequence[Record],
        *,
        batch_size: int = 64,
        temperature: float = 0.05,
        both_ways: bool = False,
        own_negatives: Collection[str] = (),
        seed: int = 0,
    ) -> None:
        if not records or batch_size < 2 or temperature <= 0:
            raise UserError(
                "Batches need at least 1 record, a batch size of at least 2 and a temperature above 0: got "
                f"{len(records)} records, {batch_size} and {temperature}. Change that."
            )
        self.tasks: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            self.tasks[record.task].append(record)
        for task in own_negatives:
            # A name that no record has is refused as well: most likely it is misspelt.
            if task not in self.tasks or any(
                not record.negatives or record.label is not None for record in self.tasks[task]
            ):
                raise UserError(
                    f"A task with own negatives needs a negative in each record and no labels: {task!r} is not such "
                    f"a task. The tasks are {sorted(self.tasks)[:20]}."
                )
        self._batch_size, self._temperature, self._both_ways = batch_size, temperature, both_ways
        self._own_negatives = frozenset(own_negatives)
        self._seed = seed
        self.n_batches = sum(self._n_batches(task) for task in self.tasks)
        """Batches of an epoch."""
        self._epoch = -1
        self._order: list[list[Record]] = []

    def _n_batches(self, task: str) -> int:
        return -(-len(self.tasks[task]) // self._batch_size)

    def _shuffle(self, task: str, rng: random.Random) -> list[Record]:
        """Records of a task in random order; with labels, a few of the same label always stand together."""
        records = rng.sample(self.tasks[task], len(self.tasks[task]))
        if records[0].label is None:
            return records
        groups: dict[str | None, list[Record]] = defaultdict(list)
        for record in records:
            groups[record.label].append(record)
        parts = [group[i : i + _PER_LABEL] for group in groups.values() for i in range(0, len(group), _PER_LABEL)]
        rng.shuffle(parts)
        return [record for part in parts for record in part]

    def _plan(self, epoch: int) -> list[list[Record]]:
        """Records of each batch of an epoch."""
        if epoch != self._epoch:
            rng = random.Random(f"{self._seed} order {epoch}")
            order = []
            for task in self.tasks:
                records, n = self._shuffle(task, rng), self._n_batches(task)
                order += [records[i * len(records) // n : (i + 1) * len(records) // n] for i in range(n)]
            rng.shuffle(order)
            self._epoch, self._order = epoch, order
        return self._order

    def batch(self, step: int) -> Batch:
        """Return the batch of a step: a function of the step, the records and the seed."""
        records = self._plan(step // self.n_batches)[step % self.n_batches]
        rng = random.Random(f"{self._seed} step {step}")
        task = records[0].task
        if records[0].label is not None:
            return self._order_labelled(records, rng, task)
        queries = [record.query for record in records]
        positives = [rng.choice(record.positives) for record in records]
        negatives = [rng.choice(record.negatives) for record in records if record.negatives]
        pairs = [*queries, *positives, *negatives]
        if task in self._own_negatives:
            return Batch(pairs, partial(_triplet_loss, temperature=self._temperature), task)
        loss = partial(
            _contrastive_loss,
            n=len(records),
            false_negatives=_false_negatives(queries, positives, [*positives, *negatives]),
            temperature=self._temperature,
            both_ways=self._both_ways,
        )
        return Batch(pairs, loss, task)

    def _order_labelled(self, records: Sequence[Record], rng: random.Random, task: str) -> Batch:
        numbers = {label: i for i, label in enumerate(sorted({str(record.label) for record in records}))}
        pairs: list[Pair] = []
        labels: list[int] = []
        owners: list[int] = []
        for owner, record in enumerate(records):
            own = [record.query, *([rng.choice(record.positives)] if record.positives else [])]
            against = [rng.choice(record.negatives)] if record.negatives else []
            pairs += [*own, *against]
            labels += [numbers[str(record.label)]] * len(own) + [-1 - owner] * len(against)
            owners += [owner] * (len(own) + len(against))
        label, owner_of = torch.tensor(labels), torch.tensor(owners)
        mask = (label >= 0)[None, :] | (owner_of[:, None] == owner_of[None, :])
        return Batch(pairs, partial(_label_loss, labels=label, mask=mask, temperature=self._temperature), task)


def _false_negatives(queries: Sequence[Pair], positives: Sequence[Pair], candidates: Sequence[Pair]) -> Tensor:
    """Candidates that say the same as a query or its positive: ``(N, N + K)`` bool."""
    texts = [text.strip() for _, text in candidates]
    known = [{query[1].strip(), positive[1].strip()} for query, positive in zip(queries, positives, strict=True)]
    return torch.tensor([[text in same for text in texts] for same in known])


def _contrastive_loss(
    embeddings: Tensor, *, n: int, false_negatives: Tensor, temperature: float, both_ways: bool
) -> tuple[Tensor, dict[str, float]]:
    loss = contrastive(
        embeddings[:n],
        embeddings[n : 2 * n],
        embeddings[2 * n :],
        temperature=temperature,
        both_ways=both_ways,
        false_negatives=false_negatives.to(embeddings.device),
    )
    return loss, {"contrastive": float(loss.detach())}


def _triplet_loss(embeddings: Tensor, *, temperature: float) -> tuple[Tensor, dict[str, float]]:
    loss = triplet_softmax(*embeddings.chunk(3), temperature=temperature)
    return loss, {"own negatives": float(loss.detach())}


def _label_loss(
    embeddings: Tensor, *, labels: Tensor, mask: Tensor, temperature: float
) -> tuple[Tensor, dict[str, float]]:
    labels, mask = labels.to(embeddings.device), mask.to(embeddings.device)
    loss = supervised_contrastive(embeddings, labels, mask, temperature=temperature)
    return loss, {"labels": float(loss.detach())}
