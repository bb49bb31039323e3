"""Measures how fast the encoder is, beside sentence-transformers' own INSTRUCTOR support, in one run on the CPU.

    .venv/bin/python -m tests.benchmarks.encoder_speed             512 pairs on instructor-base's shape: some minutes
    .venv/bin/python -m tests.benchmarks.encoder_speed --quick     64 pairs: under a minute

Both encode the same (instruction, text) pairs with the same weights and threads, in turn within each repeat, so that
a change in the machine's load meets all of them. Ratios are taken within a repeat. The weights of the base shape are
random: speed does not depend on their values, and no download is needed.

With few pairs the reference has few texts of like length for a batch and pads more: --quick overstates the ratio.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from torch import nn
from torch.nn import functional as F

from instructor_core import InstructorModel, find_checkpoint
from tests.conftest import make_checkpoint

INSTRUCTIONS = (
    "Represent the sentence: ",
    "Represent the news article for retrieval: ",
    "Represent the Movie review for classifying the sentiment: ",
    "Represent the Wikipedia question for retrieving supporting documents: ",
)
SUBJECTS = "The ferry|A retired judge|Our neighbour|The second violin|Nobody|The parser|Every gardener|One of the twins"
VERBS = "painted|has misplaced|could not explain|sold|measured|never liked|translated|brought back|dreamt of"
OBJECTS = "the spare key|a map of the harbour|three unread letters|the winter timetable|an answer|the copper kettle"
ENDINGS = ".|, and that was that.| before the rain began.|; the others only laughed.| (see page 12).|!| twice a week."
WORDS = (33.5, 0.97)  # median and spread of the log-normal length of a text, in words
SHORTEST, LONGEST = 16, 272  # words
GEMM_ROWS = 1024
GEMM_SECONDS = 0.4
WARM_UP = 16  # pairs

Pair = tuple[str, str]
Encode = Callable[[Sequence[Pair]], NDArray[np.float32]]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Timing:
    """One engine over all repeats.

    Attributes:
        engine: Name.
        seconds: One duration per repeat.
        tokens_per_second: Tokens of the pairs, without padding, over the median duration.
        ratio: (smallest, median, largest) over the repeats of the reference's duration divided by this one.
        padding: Share of the computed token positions that are padding.
        max_difference: Largest absolute difference of any component of an embedding from the reference.
        min_cosine: Smallest cosine of an embedding with the reference's.
        gemm_share: Useful operations per second, at the median, over the measured fp32 GEMM rate.
    """

    engine: str
    seconds: tuple[float, ...]
    tokens_per_second: float
    ratio: tuple[float, float, float]
    padding: float
    max_difference: float
    min_cosine: float
    gemm_share: float


def make_pairs(n: int, seed: int = 0) -> list[Pair]:
    """Return n pairs over four instructions: made-up sentences, most texts short and a few very long."""
    rng = np.random.default_rng(seed)
    parts = [choices.split("|") for choices in (SUBJECTS, VERBS, OBJECTS, ENDINGS)]
    pairs = []
    for position in range(n):
        wanted = int(np.clip(rng.lognormal(np.log(WORDS[0]), WORDS[1]), SHORTEST, LONGEST))
        text = ""
        while len(text.split()) < wanted:
            subject, verb, thing, ending = (str(rng.choice(part)) for part in parts)
            text += f"{subject} {verb} {thing}{ending} "
        pairs.append((INSTRUCTIONS[position % len(INSTRUCTIONS)], " ".join(text.split()[:wanted])))
    return [pairs[i] for i in rng.permutation(n)]


def count_tokens(model: InstructorModel, pairs: Sequence[Pair]) -> NDArray[np.int64]:
    """Return (N,) numbers of tokens that the network sees, </s> included."""
    counts = model.count_tokens([instruction + text for instruction, text in pairs])
    return np.minimum(np.array(counts) + 1, model.max_seq_length)


def operations(model: InstructorModel, lengths: NDArray[np.int64]) -> float:
    """Return the multiplications and additions of the encoder on sequences of these lengths, padding left out."""
    config = model.transformer.config
    inner = config.num_heads * config.d_kv
    linear = 2 * (4 * config.d_model * inner + (3 if config.is_gated_act else 2) * config.d_model * config.d_ff)
    attention = 4 * inner * lengths  # per token: scores with every token, and their weighted sum
    return float(config.num_layers * (lengths * (linear + attention)).sum())


def gemm_rate(d_in: int, d_out: int) -> float:
    """Return the fp32 operations per second of one layer: the best of torch's own and oneDNN's packed product."""
    states, weight = torch.randn(GEMM_ROWS, d_in), torch.randn(d_out, d_in)
    products: list[Callable[[], object]] = [lambda: F.linear(states, weight)]
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight)
        products.append(lambda: torch.ops.mkldnn._linear_pointwise(states, packed, None, "none", [], ""))
    best = float("inf")
    with torch.inference_mode():
        for product in products:
            product()
            end = time.perf_counter() + GEMM_SECONDS
            while time.perf_counter() < end:
                best = min(best, timed(product)[0])
    return 2 * GEMM_ROWS * d_in * d_out / best


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Return the seconds that a call took, and its result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def has_native_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 without converting it first."""
    return any(present for name, present in torch.cpu.get_capabilities().items() if name.endswith("bf16"))


def reference(folder: Path) -> tuple[nn.Module, Encode]:
    """Return sentence-transformers' token embedding layer and a call that encodes pairs, one prompt at a time."""
    model = SentenceTransformer(str(folder), device="cpu")
    model.set_pooling_include_prompt(False)

    def encode(pairs: Sequence[Pair]) -> NDArray[np.float32]:
        out = np.empty((len(pairs), model.get_embedding_dimension() or 0), dtype=np.float32)
        for instruction in dict.fromkeys(instruction for instruction, _ in pairs):
            rows = [row for row, pair in enumerate(pairs) if pair[0] == instruction]
            out[rows] = model.encode([pairs[row][1] for row in rows], prompt=instruction, show_progress_bar=False)
        return out

    return model[0].auto_model.encoder.embed_tokens, encode


def count_positions(layer: nn.Module, counts: list[int]) -> None:
    """Append the number of token positions, padding included, of every later call of a token embedding layer."""
    layer.register_forward_pre_hook(lambda _, arguments: counts.append(arguments[0].numel()))


def measure(folder: Path, pairs: Sequence[Pair], repeats: int) -> tuple[list[Timing], NDArray[np.int64], float]:
    """Return one timing per engine (the reference first), the (N,) token counts and the fp32 GEMM rate."""
    exact = InstructorModel(folder, device="cpu")
    config = exact.transformer.config
    engines = {
        "sentence-transformers, fp32": reference(folder),
        "ours, fp32": (exact.transformer.encoder.embed_tokens, exact.encode),
    }
    if has_native_bfloat16():
        fast = InstructorModel(folder, device="cpu", dtype="bfloat16")
        engines["ours, bf16"] = (fast.transformer.encoder.embed_tokens, fast.encode)
    positions: dict[str, list[int]] = {name: [] for name in engines}
    for name, (layer, encode) in engines.items():
        encode(pairs[:WARM_UP])
        count_positions(layer, positions[name])

    seconds: dict[str, list[float]] = {name: [] for name in engines}
    embeddings: dict[str, NDArray[np.float32]] = {}
    rates = [gemm_rate(config.d_model, config.d_ff)]
    for _ in range(repeats):
        for name, (_, encode) in engines.items():
            duration, embeddings[name] = timed(partial(encode, pairs))
            seconds[name].append(duration)
        rates.append(gemm_rate(config.d_model, config.d_ff))

    lengths, rate = count_tokens(exact, pairs), max(rates)
    baseline, wanted = next(iter(seconds.values())), next(iter(embeddings.values()))
    timings = []
    for name, durations in seconds.items():
        ratios = [theirs / ours for theirs, ours in zip(baseline, durations, strict=True)]
        timings.append(
            Timing(
                engine=name,
                seconds=tuple(durations),
                tokens_per_second=float(lengths.sum()) / median(durations),
                ratio=(min(ratios), median(ratios), max(ratios)),
                padding=1 - repeats * float(lengths.sum()) / sum(positions[name]),
                max_difference=float(np.abs(embeddings[name] - wanted).max()),
                min_cosine=float((embeddings[name] * wanted).sum(axis=1).min()),
                gemm_share=operations(exact, lengths) / median(durations) / rate,
            )
        )
    return timings, lengths, rate


def report(timings: Sequence[Timing], lengths: NDArray[np.int64], rate: float, threads: int) -> str:
    """Return the results as text."""
    lines = [
        f"{len(lengths)} pairs, {lengths.sum()} tokens "
        f"(mean {lengths.mean():.0f}, {lengths.min()} to {lengths.max()}), "
        f"{len(timings[0].seconds)} repeats, {threads} threads, fp32 GEMM {rate / 1e9:.0f} GFLOP/s",
        "",
        f"{'engine':28} {'tokens/s':>9} {'ratio (min median max)':>24} {'padding':>8} {'of GEMM':>8} "
        f"{'max diff':>9} {'1 - min cos':>12}",
    ]
    for timing in timings:
        ratio = "  ".join(f"{value:.2f}" for value in timing.ratio)
        lines.append(
            f"{timing.engine:28} {timing.tokens_per_second:9.0f} {ratio:>24} {timing.padding:8.1%} "
            f"{timing.gemm_share:8.0%} {timing.max_difference:9.1e} {1 - timing.min_cosine:12.1e}"
        )
    return "\n".join(lines)


def main(values: Sequence[str] | None = None) -> None:
    """Run the benchmark as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, help="number of pairs (512; 64 with --quick)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--shape", choices=["base", "mini"], default="base", help="mini: the bundled checkpoint")
    parser.add_argument("--quick", action="store_true", help="64 pairs: less to wait for, a ratio that is too high")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    options = parser.parse_args(values)

    torch.set_num_threads(options.threads)
    pairs = make_pairs(options.pairs or (64 if options.quick else 512))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = find_checkpoint("instructor-mini") if options.shape == "mini" else make_base(Path(folder))
        timings, lengths, rate = measure(checkpoint, pairs, options.repeats)
    print(report(timings, lengths, rate, options.threads))
    if options.json:
        results = {
            "shape": options.shape,
            "threads": options.threads,
            "token_counts": lengths.tolist(),
            "gemm_gflops": rate / 1e9,
            "engines": [asdict(timing) for timing in timings],
        }
        options.json.write_text(json.dumps(results, indent=2), encoding="utf-8")


def make_base(folder: Path) -> Path:
    """Return a checkpoint in instructor-base's shape with random weights."""
    shape = {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12, "d_kv": 64, "out_features": 768}
    return make_checkpoint(folder / "random-base", **shape)


if __name__ == "__main__":
    main()
