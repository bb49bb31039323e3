"""The benchmark measures what it says: the workload's shape, padding by hand, and agreement of the engines."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from instructor_core import InstructorModel
from tests.benchmarks import encoder_speed


def test_the_workload_is_repeatable_and_mixes_lengths_and_instructions(mini: InstructorModel) -> None:
    pairs = encoder_speed.make_pairs(512)
    assert pairs == encoder_speed.make_pairs(512)
    assert Counter(instruction for instruction, _ in pairs) == dict.fromkeys(encoder_speed.INSTRUCTIONS, 128)
    lengths = encoder_speed.count_tokens(mini, pairs)
    assert lengths.tolist() == [encoding.n_encoded for encoding in mini.encode_tokens(pairs[:8])] + lengths[8:].tolist()
    assert 79 < lengths.mean() < 89
    assert 18 <= lengths.min() <= 24
    assert 380 < lengths.max() < 420


def test_operations_are_two_per_weight_and_token_plus_attention(checkpoint_a: Path) -> None:
    model = InstructorModel(checkpoint_a, device="cpu")
    weights = 2 * (4 * 64 * 64 + 2 * 64 * 128)  # two layers: q, k, v, o of 64 by 64 and two of 64 by 128
    attention = 2 * 2 * 2 * 64  # two layers: scores and weighted sum, two operations for each of 64 columns
    assert encoder_speed.operations(model, np.array([3, 5])) == 2 * weights * 8 + attention * (9 + 25)


@pytest.fixture(scope="module")
def loaded(
    checkpoint_a: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[InstructorModel, list[encoder_speed.Engine]]:
    """All engines on one checkpoint, which is exported for them."""
    return encoder_speed.load_engines(checkpoint_a, "cpu", tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def timings(loaded: tuple[InstructorModel, list[encoder_speed.Engine]]) -> dict[str, encoder_speed.Timing]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder_speed, "GEMM_SECONDS", 0.01)
        patch.setattr(encoder_speed, "SECONDS", 0.05)
        measured = encoder_speed.measure(*loaded, "a", "mixed", 12, repeats=2)
    assert all(timing.gemm_share > 0 or timing.dtype == "int8" for timing in measured)
    assert all(len(timing.seconds) == 2 for timing in measured)
    return {f"{timing.engine}, {timing.dtype}": timing for timing in measured}


def test_engines_agree_and_ratios_are_relative_to_the_reference(timings: dict[str, encoder_speed.Timing]) -> None:
    theirs, ours = timings["sentence-transformers, float32"], timings["ours, float32"]
    assert theirs.ratio == (1.0, 1.0, 1.0)
    assert ours.max_difference < 1e-5
    assert ours.min_cosine > 0.99999
    assert timings["onnxruntime, float32"].max_difference < 1e-5
    assert 0.99 < timings["onnxruntime, int8"].min_cosine < 0.99999
    ratios = [a / b for a, b in zip(theirs.seconds, ours.seconds, strict=True)]
    assert ours.ratio == pytest.approx((min(ratios), np.median(ratios), max(ratios)))
    if half := timings.get("sentence-transformers, bfloat16"):
        assert half.ratio_bfloat16 == 1
        ratios = [a / b for a, b in zip(half.seconds, ours.seconds, strict=True)]
        assert ours.ratio_bfloat16 == pytest.approx(np.median(ratios))


def test_the_padding_is_what_the_batches_hold(timings: dict[str, encoder_speed.Timing], mini: InstructorModel) -> None:
    pairs = encoder_speed.make_pairs(12)
    lengths = encoder_speed.count_tokens(mini, pairs)  # the checkpoints of the tests have the same tokenizer
    by_instruction = [
        [length for length, pair in zip(lengths, pairs, strict=True) if pair[0] == instruction]
        for instruction in encoder_speed.INSTRUCTIONS
    ]
    positions = sum(max(group) * len(group) for group in by_instruction)
    assert timings["sentence-transformers, float32"].padding == pytest.approx(1 - lengths.sum() / positions)
    longest = sorted(lengths, reverse=True)
    assert timings["onnxruntime, float32"].padding == pytest.approx(
        1 - lengths.sum() / (8 * longest[0] + 4 * longest[8])
    )


def test_of_many_pairs_slower_engines_encode_a_part_and_rates_are_compared(
    checkpoint_a: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_speed, "GEMM_SECONDS", 0.01)
    monkeypatch.setattr(encoder_speed, "WINDOW", 16)
    model, engine = encoder_speed.ours(checkpoint_a, "cpu", "float32")
    engines = [encoder_speed.reference(checkpoint_a, "cpu", "float32"), engine]
    theirs, ours = encoder_speed.measure(model, engines, "a", "short", 32, repeats=1)
    assert (theirs.n_pairs, ours.n_pairs) == (2, 4)  # a sixteenth, an eighth
    lengths = encoder_speed.count_tokens(model, encoder_speed.make_pairs(32, "short"))
    assert (theirs.n_tokens, ours.n_tokens) == (lengths[:2].sum(), lengths[:4].sum())
    assert ours.ratio[1] == pytest.approx(ours.tokens_per_second / theirs.tokens_per_second)
    assert theirs.ratio == (1, 1, 1) and 0 < ours.prepared < 1 and np.isnan(theirs.prepared)
    assert ours.max_difference < 1e-5


def test_options_choose_a_part_and_every_engine_has_a_row(
    loaded: tuple[InstructorModel, list[encoder_speed.Engine]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(encoder_speed, "GEMM_SECONDS", 0.01)
    monkeypatch.setattr(encoder_speed, "SECONDS", 0.0)
    monkeypatch.setattr(encoder_speed, "load_engines", lambda *_: loaded)
    threads = str(torch.get_num_threads())
    encoder_speed.main(["--quick", "--shape", "mini", "--texts", "short", "--pairs", "1", "2", "--threads", threads])
    printed = capsys.readouterr().out
    for n_pairs in (1, 2):
        for engine in ("ours, float32", "sentence-transformers, float32", "onnxruntime, int8"):
            assert len(re.findall(rf"^\| mini \| short \| {n_pairs} \| \d+ \| {engine} \|", printed, re.M)) == 1
