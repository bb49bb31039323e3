"""Measures how fast the encoder is beside sentence-transformers' own INSTRUCTOR support: same weights, texts, threads.

    .venv/bin/python -m tests.benchmarks.encoder_speed                  everything: about an hour on four cores
    .venv/bin/python -m tests.benchmarks.encoder_speed --quick          one workload, two sizes: some minutes
    .venv/bin/python -m tests.benchmarks.encoder_speed --shape mini --texts short long --pairs 1 8
    .venv/bin/python -m tests.benchmarks.encoder_speed --device cuda    base and large: about a minute on an H100

A workload is a shape of checkpoint, a kind of texts and a number of pairs. Within each repeat the engines encode it in
turn, so that a change in the machine's load meets all of them, and ratios are taken within a repeat. What takes
milliseconds is done as often as fills a fifth of a second. Both engines are measured in float32 and, where the hardware
has it, in bfloat16; ratios are to sentence-transformers in each. The weights of base and large are random: speed does
not depend on their values, and no download is needed.

Of thousands of pairs, as on a GPU, slower engines encode the first part alone, and rates are compared.
"Prepared" is what reading and tokenizing take by themselves, as a share of encoding; a GPU works meanwhile.
The texts have few different words, whose ids are looked up; of new words it would be more.

On a processor there are rows for what a user would pick instead, as far as it is installed (`pip install onnxruntime
onnx onnxscript openvino`): onnxruntime and OpenVINO on our own export, texts sorted by length, in batches of 8.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from statistics import NormalDist, median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional as F

from instructor_core import InstructorModel, find_checkpoint
from instructor_core.encoder import _WINDOW as WINDOW
from instructor_core.encoder import read_pairs
from instructor_core.export_onnx import export_onnx, onnx_inputs
from tests.checkpoints import make_checkpoint

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
# Words per text: log-normal by median and spread, cut off at a shortest and a longest.
LENGTHS = {"short": (9.0, 0.4, 3, 24), "mixed": (33.5, 0.97, 16, 272), "long": (330.0, 0.25, 180, 480)}
SHAPES = {
    "base": {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12, "d_kv": 64, "out_features": 768},
    "large": {"d_model": 1024, "d_ff": 4096, "num_layers": 24, "num_heads": 16, "d_kv": 64, "out_features": 768},
    "mini": {},  # the bundled checkpoint
}
DEFAULTS = {
    "cpu": {"shape": ["base", "mini"], "texts": list(LENGTHS), "pairs": [1, 8, 64, 512]},
    "cuda": {"shape": ["base", "large"], "texts": ["mixed", "short"], "pairs": [16384]},
}
# Of thousands of pairs, the part that an engine encodes on a GPU so that all take about as long.
PARTS = {
    ("sentence-transformers", "float32"): 1 / 16,
    ("sentence-transformers", "bfloat16"): 1 / 8,
    ("ours", "float32"): 1 / 8,
}
SECONDS = 0.2  # per engine and repeat, at least
BATCH = 8  # of the engines that run the exported graph
GEMM_ROWS = {"cpu": 1024, "cuda": 16384}
GEMM_SECONDS = 0.4

Pair = tuple[str, str]
Encode = Callable[[Sequence[Pair]], NDArray[np.float32]]


@dataclass(frozen=True)
class Timing:
    """One engine on one workload over all repeats."""

    shape: str
    texts: str
    n_pairs: int
    n_tokens: int  # of what this engine encoded, without padding
    engine: str
    dtype: str
    seconds: tuple[float, ...]  # of encoding the pairs once, per repeat
    tokens_per_second: float  # at the median
    ratio: tuple[float, float, float]  # of tokens per second to the reference's: smallest, median, largest
    ratio_bfloat16: float  # to the reference's in bfloat16, median, or nan
    prepared: float  # of the time of encoding, at the median: reading and tokenizing by themselves, or nan
    padding: float  # share of the computed token positions
    gemm_share: (
        float  # useful operations per second, at the median, over the measured GEMM rate in the same dtype, or nan
    )
    max_difference: float  # of any component of an embedding from the reference
    min_cosine: float  # of an embedding with the reference's


@dataclass(eq=False)
class Engine:
    """Something that encodes pairs, with the number of token positions of every call of its network."""

    name: str
    dtype: str
    encode: Encode
    positions: list[int] = field(default_factory=list)
    prepare: Callable[[Sequence[Pair]], object] | None = None

    def watch(self, layer: nn.Module) -> None:
        """Count the token positions, padding included, that go through a token embedding layer."""
        layer.register_forward_pre_hook(lambda _, arguments: self.positions.append(arguments[0].numel()))


def make_pairs(n: int, texts: str = "mixed", seed: int = 0) -> list[Pair]:
    """Return n pairs over four instructions: made-up sentences whose lengths are the quantiles of a distribution."""
    middle, spread, shortest, longest = LENGTHS[texts]
    rng = np.random.default_rng(seed)
    parts = [choices.split("|") for choices in (SUBJECTS, VERBS, OBJECTS, ENDINGS)]
    pairs = []
    for position in range(n):
        quantile = NormalDist().inv_cdf((position + 0.5) / n)
        wanted = int(np.clip(middle * math.exp(spread * quantile), shortest, longest))
        words: list[str] = []
        while len(words) < wanted:
            subject, verb, thing, ending = (part[rng.integers(len(part))] for part in parts)
            words += f"{subject} {verb} {thing}{ending}".split()
        pairs.append((INSTRUCTIONS[position % len(INSTRUCTIONS)], " ".join(words[:wanted])))
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


def seconds_of(call: Callable[[], object], device: str, times: int = 1) -> float:
    """Return the seconds that a call takes, on average over a number of times; a GPU has finished by then."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(times):
        call()
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / times


def gemm_rate(d_in: int, d_out: int, device: str, dtype: str) -> float:
    """Return the operations per second of one linear layer: the best of torch's own and oneDNN's packed product."""
    kind, rows = getattr(torch, dtype), GEMM_ROWS[device]
    states = torch.randn(rows, d_in, device=device, dtype=kind)
    weight = torch.randn(d_out, d_in, device=device, dtype=kind)
    products: list[Callable[[], object]] = [lambda: F.linear(states, weight)]
    if device == "cpu" and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight)
        products.append(lambda: torch.ops.mkldnn._linear_pointwise(states, packed, None, "none", [], ""))
    best = math.inf
    with torch.inference_mode():
        for product in products:
            product()
            end = time.perf_counter() + GEMM_SECONDS
            while time.perf_counter() < end:
                best = min(best, seconds_of(product, device))
    return 2 * rows * d_in * d_out / best


def has_native_bfloat16(device: str) -> bool:
    """Return whether the hardware multiplies bfloat16 without converting it first."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return any(present for name, present in torch.cpu.get_capabilities().items() if name.endswith("bf16"))


def reference(folder: Path, device: str, dtype: str) -> Engine:
    """Return sentence-transformers, which encodes the texts of one prompt at a time."""
    model = SentenceTransformer(str(folder), device=device, model_kwargs={"dtype": getattr(torch, dtype)})
    model.set_pooling_include_prompt(False)

    def encode(pairs: Sequence[Pair]) -> NDArray[np.float32]:
        out = np.empty((len(pairs), model.get_embedding_dimension() or 0), dtype=np.float32)
        for instruction in dict.fromkeys(instruction for instruction, _ in pairs):
            rows = [row for row, pair in enumerate(pairs) if pair[0] == instruction]
            out[rows] = model.encode([pairs[row][1] for row in rows], prompt=instruction, show_progress_bar=False)
        return out

    engine = Engine("sentence-transformers", dtype, encode)
    engine.watch(model[0].auto_model.encoder.embed_tokens)
    return engine


def ours(folder: Path, device: str, dtype: str) -> tuple[InstructorModel, Engine]:
    """Return this project's model, and its engine."""
    model = InstructorModel(folder, device=device, dtype=dtype)

    def prepare(pairs: Sequence[Pair]) -> None:
        reader = read_pairs(pairs)
        while model.prepare(islice(reader, WINDOW)).pairs:
            pass

    engine = Engine("ours", dtype, model.encode, prepare=prepare)
    engine.watch(model.transformer.encoder.embed_tokens)
    return model, engine


def exported(folder: Path, scratch: Path, dtypes: Sequence[str]) -> list[Engine]:
    """Return onnxruntime and OpenVINO on our own export, as far as they are installed."""
    engines: list[Engine] = []
    if not all(find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")):
        return engines
    import onnxruntime
    from onnxruntime.quantization import quantize_dynamic

    onnxruntime.set_default_logger_severity(3)
    graph, small = export_onnx(folder, scratch), scratch / "int8.onnx"
    quantize_dynamic(graph, small)
    for dtype, path in (("float32", graph), ("int8", small)):
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        engines.append(in_batches("onnxruntime", dtype, scratch, partial(session.run, None)))
    if find_spec("openvino"):
        import openvino

        for dtype in dtypes:
            precision = {"float32": "f32", "bfloat16": "bf16"}[dtype]
            settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
            compiled = openvino.Core().compile_model(graph, "CPU", settings)
            engines.append(in_batches("OpenVINO", dtype, scratch, compiled))
    return engines


def in_batches(name: str, dtype: str, scratch: Path, run: Callable[[dict[str, NDArray[np.int64]]], Any]) -> Engine:
    """Return an engine that runs the exported graph on texts of like length."""
    tokenizer = Tokenizer.from_file(str(scratch / "tokenizer.json"))

    def encode(pairs: Sequence[Pair]) -> NDArray[np.float32]:
        inputs = onnx_inputs(tokenizer, pairs)
        lengths = inputs["attention_mask"].sum(axis=1)
        order, parts = np.argsort(-lengths), []
        for rows in np.split(order, range(BATCH, len(order), BATCH)):
            batch = {key: np.ascontiguousarray(array[rows, : lengths[rows[0]]]) for key, array in inputs.items()}
            engine.positions.append(batch["input_ids"].size)
            parts.append(run(batch)[0])
        return np.concatenate(parts)[np.argsort(order)]

    engine = Engine(name, dtype, encode)
    return engine


def load_engines(folder: Path, device: str, scratch: Path) -> tuple[InstructorModel, list[Engine]]:
    """Return our float32 model and all engines, the reference in float32 first."""
    dtypes = ["float32", "bfloat16"] if has_native_bfloat16(device) else ["float32"]
    model, first = ours(folder, device, "float32")
    rest = [ours(folder, device, dtype)[1] for dtype in dtypes[1:]]
    peers = exported(folder, scratch, dtypes) if device == "cpu" else []
    return model, [*(reference(folder, device, dtype) for dtype in dtypes), first, *rest, *peers]


def measure(
    model: InstructorModel, engines: Sequence[Engine], shape: str, texts: str, n_pairs: int, repeats: int
) -> list[Timing]:
    """Return one timing per engine on one workload."""
    device, config = model.device.type, model.transformer.config
    pairs = make_pairs(n_pairs, texts)
    dtypes = dict.fromkeys(engine.dtype for engine in engines if engine.dtype != "int8")
    rates = {dtype: [gemm_rate(config.d_model, config.d_ff, device, dtype)] for dtype in dtypes}
    few = n_pairs < WINDOW  # and take so little time that one try says nothing
    parts = [1 if few else PARTS.get((engine.name, engine.dtype), 1) for engine in engines]
    own = [pairs[: math.ceil(n_pairs * part)] for part in parts]
    calls = [partial(engine.encode, part) for engine, part in zip(engines, own, strict=True)]
    embeddings = [call() for call in calls]  # a first call is slower
    times = [max(1, math.ceil(SECONDS / seconds_of(call, device))) if few else 1 for call in calls]
    for engine in engines:
        engine.positions.clear()

    seconds: list[list[float]] = [[] for _ in engines]
    for _ in range(repeats):
        for call, n, durations in zip(calls, times, seconds, strict=True):
            durations.append(seconds_of(call, device, n))
    for dtype, found in rates.items():
        found.append(gemm_rate(config.d_model, config.d_ff, device, dtype))

    lengths = count_tokens(model, pairs)
    timings: list[Timing] = []
    references = [i for i, engine in enumerate(engines) if engine.name == engines[0].name]  # float32, and bfloat16
    for engine, part, n, durations, embedding in zip(engines, own, times, seconds, embeddings, strict=True):
        n_tokens, middle, common = int(lengths[: len(part)].sum()), median(durations), min(len(part), len(own[0]))
        against = [
            [
                n_tokens / lengths[: len(own[i])].sum() * theirs / ours
                for theirs, ours in zip(seconds[i], durations, strict=True)
            ]
            for i in references
        ]
        ratios, halves = against[0], against[-1] if len(references) > 1 else [math.nan]
        useful = operations(model, lengths[: len(part)])
        found, expected = embedding[:common], embeddings[0][:common]
        timings.append(
            Timing(
                shape=shape,
                texts=texts,
                n_pairs=len(part),
                n_tokens=n_tokens,
                engine=engine.name,
                dtype=engine.dtype,
                seconds=tuple(durations),
                tokens_per_second=n_tokens / middle,
                ratio=(min(ratios), median(ratios), max(ratios)),
                ratio_bfloat16=median(halves),
                prepared=seconds_of(partial(engine.prepare, part), device) / middle if engine.prepare else math.nan,
                padding=1 - repeats * n * n_tokens / sum(engine.positions),
                gemm_share=useful / middle / max(rates.get(engine.dtype, [math.nan])),
                max_difference=float(np.abs(found - expected).max()),
                min_cosine=float((found * expected).sum(axis=1).min()),
            )
        )
    return timings


def table(timings: Sequence[Timing]) -> str:
    """Return the timings as a Markdown table, one line per engine and workload."""
    lines = [
        "| shape | texts | pairs | tokens | engine | tokens/s | times its float32: median (min to max) "
        "| times its bfloat16 | padding | prepared | of the GEMM rate | largest difference | 1 - lowest cosine |",
        "|---|---|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for t in timings:
        low, middle, high = t.ratio
        half = "–" if math.isnan(t.ratio_bfloat16) else f"{t.ratio_bfloat16:.2f}"
        prepared, share = ("–" if math.isnan(part) else f"{part:.0%}" for part in (t.prepared, t.gemm_share))
        lines.append(
            f"| {t.shape} | {t.texts} | {t.n_pairs} | {t.n_tokens} | {t.engine}, {t.dtype} | {t.tokens_per_second:.0f} "
            f"| {middle:.2f} ({low:.2f} to {high:.2f}) | {half} | {t.padding:.1%} | {prepared} | {share} "
            f"| {t.max_difference:.1e} | {1 - t.min_cosine:.1e} |"
        )
    return "\n".join(lines)


def find_or_make(shape: str, folder: Path) -> Path:
    """Return the bundled checkpoint, or one of the shape of a checkpoint of the hub with random weights."""
    if shape == "mini":
        return find_checkpoint("instructor-mini")
    return make_checkpoint(folder / f"random-{shape}", **SHAPES[shape])


def parse(values: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", nargs="+", choices=list(SHAPES), help="mini: the bundled checkpoint")
    parser.add_argument("--texts", nargs="+", choices=list(LENGTHS), help="kinds of texts")
    parser.add_argument("--pairs", nargs="+", type=int, metavar="N", help="numbers of pairs")
    parser.add_argument("--repeats", type=int, help="(3; 1 with --quick)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--quick", action="store_true", help="mixed texts, 1 and 64 pairs, unless said otherwise")
    options = parser.parse_args(values)
    quick = {"texts": ["mixed"], "pairs": [1, 64]} if options.quick else {}
    for name, default in (DEFAULTS[options.device] | quick).items():
        setattr(options, name, getattr(options, name) or default)
    options.repeats = options.repeats or (1 if options.quick else 3)
    return options


def main(values: Sequence[str] | None = None) -> None:
    """Run the benchmark as the command line says; rows appear as they are measured."""
    options = parse(values)
    torch.set_num_threads(options.threads)
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {options.threads} threads"
    print(f"{where}, {options.repeats} repeats\n\n{table([])}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for shape in options.shape:
            checkpoint = find_or_make(shape, Path(folder))
            model, engines = load_engines(checkpoint, options.device, Path(folder) / f"exported-{shape}")
            for texts in options.texts:
                for n_pairs in options.pairs:
                    timings = measure(model, engines, shape, texts, n_pairs, options.repeats)
                    print(table(timings).split("\n", 2)[2], flush=True)


if __name__ == "__main__":
    main()
