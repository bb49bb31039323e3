"""Fine-tuning from beginning to end: a random checkpoint learns to obey an instruction."""

from pathlib import Path

import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.analysis.metrics import nearest_agreement
from instructor_core.train import RecordSource, TrainingSettings, train
from instructor_core.train.held_out import HeldOutEvaluation
from instructor_core.train.records import Record, set_aside
from tests.checkpoints import make_checkpoint
from tests.train.planted import INSTRUCTIONS, planted_records


def agreement(model: InstructorModel, records: list[Record], instruction: str, axis: str) -> float:
    """Share of texts whose nearest other text has the same label on an axis, all under one instruction."""
    own = [record for record in records if record.task == axis]
    embeddings = model.encode([(instruction, record.query[1]) for record in own])
    return nearest_agreement(embeddings, np.asarray([record.label for record in own]))


def test_a_random_checkpoint_learns_to_obey_the_instruction(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "random", d_model=48, d_ff=96, num_heads=3)
    model = InstructorModel(checkpoint, trainable=True, device="cpu")
    kept, held_out = set_aside(planted_records(96), 0.4)

    def table() -> dict[tuple[str, str], float]:
        return {
            (named, axis): agreement(model, held_out, instruction, axis)
            for named, instruction in INSTRUCTIONS.items()
            for axis in INSTRUCTIONS
        }

    before = table()
    settings = TrainingSettings(n_steps=120, learning_rate=2e-3, warmup_steps=5, log_every=120)
    report = train(
        model, RecordSource(kept, batch_size=32), settings, tmp_path / "run", evaluate=HeldOutEvaluation(held_out)
    )
    after = table()
    for axis, other in (("colour", "thing"), ("thing", "colour")):
        # Before: the instruction changes nothing. Four labels: chance is 0.25.
        assert before[axis, axis] < 0.65, before
        assert abs(before[axis, axis] - before[other, axis]) < 0.25, before
        # After, on texts never trained on: the label that it names, and not the other.
        assert after[axis, axis] > 0.85, after
        assert after[axis, axis] > before[axis, axis] + 0.25, (before, after)
        assert after[axis, axis] > after[other, axis] + 0.3, after
    assert report.evaluation["neighbours"] == pytest.approx((after["colour", "colour"] + after["thing", "thing"]) / 2)


def test_held_out_scores_are_those_counted_by_hand(mini: InstructorModel) -> None:
    question, passage = "Represent the question for retrieval: ", "Represent the passage for retrieval: "
    texts = {
        "who wrote the novel Emma": "Emma is a novel by Jane Austen",
        "how tall is the Eiffel tower": "the Eiffel tower is 330 metres tall",
        "when did the war end": "bread is baked in an oven",  # cannot be found
    }
    records = [
        Record((question, query), ((passage, positive),), ((passage, "the war ended in spring"),), "t", None)
        for query, positive in texts.items()
    ]
    assert HeldOutEvaluation(records)(mini) == {"found": pytest.approx(2 / 3)}
    assert HeldOutEvaluation(records, own_negatives=["t"])(mini) == {"found": pytest.approx(2 / 3)}
    assert HeldOutEvaluation([])(mini) == {}
