"""Batches of records: one task each, everything once an epoch, decided by step and seed alone."""

from collections import Counter

import pytest
import torch
from torch.nn import functional as F

from instructor_core.errors import UserError
from instructor_core.train.losses import contrastive, supervised_contrastive, triplet_softmax
from instructor_core.train.records import Record
from instructor_core.train.source import RecordSource


def paired(task: str, n: int, *, negatives: bool = True) -> list[Record]:
    return [
        Record(
            (f"{task}: ", f"query {i}"),
            ((f"{task}: ", f"positive {i}"),),
            ((f"{task}: ", f"negative {i}"),) if negatives else (),
            task,
            None,
        )
        for i in range(n)
    ]


def labelled(task: str, n: int, n_labels: int) -> list[Record]:
    return [Record((f"{task}: ", f"text {i}"), (), (), task, f"label {i % n_labels}") for i in range(n)]


def unit(n: int) -> torch.Tensor:
    return F.normalize(torch.randn(n, 6, generator=torch.Generator().manual_seed(0)), dim=-1)


RECORDS = [*paired("a", 21), *labelled("b", 40, 5), *paired("c", 3, negatives=False)]


def test_a_batch_is_of_one_task_decided_by_step_and_seed_and_an_epoch_holds_every_record_once() -> None:
    source = RecordSource(RECORDS, batch_size=8)
    assert source.n_batches == 3 + 5 + 1
    for epoch in range(3):
        seen: Counter[tuple[str, ...]] = Counter()
        for step in range(9):
            batch = source.batch(epoch * 9 + step)
            assert {instruction for instruction, _ in batch.pairs} == {f"{batch.name}: "}
            seen.update(tuple(pair) for pair in batch.pairs if pair[1].startswith(("query", "text")))
        assert set(seen) == {tuple(record.query) for record in RECORDS}
        assert set(seen.values()) == {1}
    one, other = RecordSource(RECORDS, batch_size=8), RecordSource(RECORDS, batch_size=8)
    forward = [one.batch(step).pairs for step in range(20)]
    backward = [other.batch(step).pairs for step in reversed(range(20))]
    assert forward == backward[::-1]
    assert forward[:9] != forward[9:18]
    assert [RecordSource(RECORDS, batch_size=8, seed=1).batch(step).pairs for step in range(20)] != forward


def test_pairs_are_judged_against_the_batch_and_all_negatives_or_against_their_own() -> None:
    batch = RecordSource(paired("a", 5), batch_size=8, temperature=0.1, both_ways=True).batch(0)
    e = unit(15)
    loss, values = batch.loss(e)
    assert [text.split()[0] for _, text in batch.pairs] == ["query"] * 5 + ["positive"] * 5 + ["negative"] * 5
    assert [text.split()[1] for _, text in batch.pairs[:5]] == [text.split()[1] for _, text in batch.pairs[5:10]]
    assert loss == contrastive(e[:5], e[5:10], e[10:], temperature=0.1, both_ways=True)
    assert values == {"contrastive": loss.item()}
    loss, values = RecordSource(paired("a", 5), own_negatives=["a"]).batch(0).loss(e)
    assert loss == triplet_softmax(e[:5], e[5:10], e[10:], temperature=0.05)
    assert values == {"own negatives": loss.item()}


def test_the_same_text_elsewhere_in_the_batch_is_no_negative() -> None:
    records = [
        Record(("", "one"), (("", "same"),), (), "t", None),
        Record(("", "two"), (("", "same "),), (), "t", None),
        Record(("", "three"), (("", "one"),), (("", "three"),), "t", None),
    ]
    batch = RecordSource(records).batch(0)
    texts = [text.strip() for _, text in batch.pairs]
    left_out = torch.tensor([[texts[3 + j] in (texts[i], texts[3 + i]) for j in range(4)] for i in range(3)])
    assert left_out.sum() == 7  # three positives, "same" twice, "one" for the first, "three" for the third
    e = unit(7)
    expected = contrastive(e[:3], e[3:6], e[6:], temperature=0.05, false_negatives=left_out)
    assert batch.loss(e)[0] == expected


def test_labels_are_judged_by_supervised_contrast_and_a_negative_counts_for_its_record_only() -> None:
    records = labelled("b", 8, 2)
    records[3] = Record(records[3].query, (("b: ", "positive"),), (("b: ", "negative"),), "b", records[3].label)
    batch = RecordSource(records).batch(0)
    texts = [text for _, text in batch.pairs]
    own = texts.index("text 3")
    assert texts[own : own + 3] == ["text 3", "positive", "negative"]
    labels = torch.tensor([int(text.split()[1]) % 2 if text.startswith("text") else 1 for text in (
        text.replace("positive", "text 3").replace("negative", "text 3") for text in texts)])  # fmt: skip
    labels[own + 2] = -1
    mask = torch.ones(10, 10, dtype=torch.bool)
    mask[:, own + 2] = False
    mask[own : own + 2, own + 2] = True
    e = unit(10)
    loss, values = batch.loss(e)
    # The negative has no text of its label: its row has no term, whatever the mask says.
    torch.testing.assert_close(loss, supervised_contrastive(e, labels, mask, temperature=0.05))
    assert values == {"labels": loss.item()}


def test_a_labelled_batch_holds_several_texts_of_a_label() -> None:
    source = RecordSource(labelled("b", 600, 100), batch_size=24)
    alone = 0
    for step in range(source.n_batches):
        numbers = Counter(int(text.split()[1]) % 100 for _, text in source.batch(step).pairs)
        alone += sum(count == 1 for count in numbers.values())
    assert alone < 600 * 0.1


def test_what_makes_no_batch_is_refused() -> None:
    for records, settings, words in (
        (RECORDS, {"own_negatives": ["c"]}, "c"),
        ([], {}, "at least"),
        (RECORDS, {"batch_size": 1}, "at least"),
        (RECORDS, {"temperature": 0.0}, "temperature"),
    ):
        with pytest.raises(UserError, match=words):
            RecordSource(records, **settings)
