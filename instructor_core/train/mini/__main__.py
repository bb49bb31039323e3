"""Command line of the recipe: ``python -m instructor_core.train.mini --help``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from instructor_core.encoder import EncoderError, InstructorModel, find_checkpoint
from instructor_core.errors import UserError
from instructor_core.train.mini.building import Sizes, build_material
from instructor_core.train.mini.deeper import deepen
from instructor_core.train.mini.initial import make_checkpoint
from instructor_core.train.mini.material import Material, read_material, summary, write_material
from instructor_core.train.mini.mixing import mix_checkpoints
from instructor_core.train.mini.mixture import Mixture
from instructor_core.train.mini.shares import SHARES, MixtureSettings
from instructor_core.train.mini.sources import licences
from instructor_core.train.mini.taught import read_taught, teach
from instructor_core.train.mini.teacher import Teacher, pack_teacher
from instructor_core.train.mini.wordings import TrainingWordings
from instructor_core.train.saving import save_checkpoint
from instructor_core.train.settings import TrainingSettings
from instructor_core.train.trainer import Evaluate, TrainingReport, train

_DESCRIPTION = """\
The recipe of instructor-mini: a small INSTRUCTOR checkpoint, trained on a CPU within hours or on a GPU within minutes.

Files in the folder SOURCES:
  corpus.txt       sentences, one a line
  train.jsonl.gz   optional: tasks in the MEDI format; `licences` lists the ones that are known
  public/          optional: published label sets; `licences` says where they are from and how their files are named
  lines/           optional: texts of one source each, which tell where lines of the corpus come from
  material/        made by `build`: all texts with their sources, and what is known about them
  taught/          made by `teach`: the teacher's embeddings and what follows from them

One command, going on from the bundled checkpoint or from scratch:
  python -m instructor_core.train.mini make SOURCES --teacher FOLDER --out OUT [--from-scratch]

Its steps, one at a time:
  python -m instructor_core.train.mini build SOURCES
  python -m instructor_core.train.mini teach SOURCES --teacher FOLDER
  python -m instructor_core.train.mini initial SOURCES --teacher FOLDER --out START   (only to start from scratch)
  python -m instructor_core.train.mini run SOURCES --start START --from-scratch --out OUT

Speed on a CPU: these settings of the memory allocator, made before Python starts, keep it from returning and fetching
gigabytes at every step; the last one is for a machine that does other work, too, where waiting threads must not spin:
  GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184
  MALLOC_TOP_PAD_=67108864 MALLOC_ARENA_MAX=1 OMP_WAIT_POLICY=PASSIVE
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m instructor_core.train.mini",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str, *options: Callable[[argparse.ArgumentParser], None]) -> None:
        added = commands.add_parser(name, help=text)
        added.add_argument("sources", type=Path, metavar="SOURCES")
        added.add_argument("--seed", type=int, default=0)
        added.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
        for add in options:
            add(added)

    command("build", "make SOURCES/material: all texts with their sources, and all labelled sets", _build_options)
    command("teach", "make SOURCES/taught; goes on where it was stopped", _teacher_option)
    used = _licences_option, _out_option
    command("initial", "make the checkpoint that a run from scratch starts from", _teacher_option, *used)
    command("run", "train; the same command again goes on where it was stopped", *used, _run_options)
    command("make", "all of these, one after the other", _build_options, _teacher_option, *used, _run_options)
    pack = commands.add_parser("pack-teacher", help="copy the teacher small (19 MB compressed), to take it elsewhere")
    _teacher_option(pack)
    _out_option(pack)
    mix = commands.add_parser("mix", help="the weighted mean of checkpoints of one shape")
    mix.add_argument("parts", nargs="+", type=_part, metavar="SHARE=FOLDER", help="shares add up to 1")
    mix.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")
    commands.add_parser("licences", help="print all sources with their terms and what is made of them")
    return parser


def _build_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--corpus-lines", type=int, default=0, help="how many, drawn at random (default: all)")
    parser.add_argument("--generated", type=int, default=16_000, help="sentences of one kind (default: %(default)s)")


def _teacher_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--teacher", type=Path, required=True, help="folder of all-MiniLM-L6-v2")


def _out_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder of the result, and of the state of a run")


def _licences_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--licences",
        choices=("open", "all"),
        default="all",
        help="open: leave out texts whose terms do not let a trained model be passed on (default: %(default)s)",
    )


def _run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--start", default="instructor-mini", help="checkpoint to start from (default: the bundled one)")
    add("--from-scratch", action="store_true", help="the start checkpoint is one that `initial` made")
    add("--layers", type=int, metavar="N", help="let the start checkpoint grow to so many (default: as it is)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, default=8000, help="length of the run (default: %(default)s)")
    length.add_argument("--seconds", type=float, help="length by the clock, in place of steps")
    add("--tokens", type=int, help="tokens of a batch (default: 7000, on a GPU 14000)")
    add("--batches", type=int, help="batches of a step (default: 1, on a GPU 8)")
    add("--shares", nargs="+", type=_share, default=[], metavar="KIND=SHARE", help="of batches, in place of the usual")
    add("--processes", type=int, help="that make batches ahead (default: 0, on a GPU all cores but two)")
    add("--chunk-tokens", type=int, default=768, help="padded tokens per pass on a CPU (default: %(default)s)")
    add("--learning-rate", type=float, default=4e-4, help="default: %(default)s")
    add("--embedding-learning-rate", type=float, default=1e-3, help="default: %(default)s")
    add("--query-key-scale", type=float, default=0.2, help="share of the rate of queries and keys (%(default)s)")
    add("--warmup", type=int, help="steps with a rising rate (default: 60, on a GPU 250)")
    add("--decay", type=float, default=0.7, help="share of the run, at the end, with a falling rate (%(default)s)")
    add("--average", type=float, default=0.998, help="decay of the averaged weights (default: %(default)s)")
    add("--max-score", type=float, help="attention score at which a run goes back (default: four times the start's)")
    add("--float32", action="store_true", help="compute in float32 and not in bfloat16")
    add("--sts", type=Path, help="scored pairs for the quick evaluation (.jsonl: a, b, score)")
    add("--label-sets", type=Path, help="folder of label sets (.jsonl: text, labels) for the same")
    add("--evaluate-every", type=int, default=0, metavar="STEPS", help="default: only at the end")
    add("--save-every", type=int, default=250, metavar="STEPS", help="default: %(default)s")
    add("--log-every", type=int, default=20, metavar="STEPS", help="default: %(default)s")
    add("--threads", type=int, help="CPU threads (default: as many as PyTorch takes)")


def _share(text: str) -> tuple[str, float]:
    """Read `plain=0.3`."""
    kind, _, share = text.partition("=")
    if kind not in SHARES:
        raise argparse.ArgumentTypeError(f"{kind!r} is no kind of batch. Kinds: {', '.join(SHARES)}.")
    return kind, float(share)


def _part(text: str) -> tuple[float, Path]:
    """Read `0.8=FOLDER`."""
    share, _, folder = text.partition("=")
    return float(share), Path(folder)


def _build(options: argparse.Namespace) -> None:
    sizes = Sizes(corpus_lines=options.corpus_lines, generated=options.generated)
    material = build_material(options.sources, sizes, options.seed)
    write_material(material, options.sources / "material")
    print(summary(material))


def _material(options: argparse.Namespace) -> Material:
    material = read_material(options.sources / "material", only_open=options.licences == "open")
    if not material.n_corpus:
        raise UserError(
            "Texts of the corpus are needed to keep plain similarity: none has a known source whose terms let a model "
            f"be passed on. Put texts of known sources into {options.sources / 'lines'} and build again."
        )
    return material


def _teach(options: argparse.Namespace) -> None:
    teacher = Teacher(options.teacher, device=options.device)
    teach(read_material(options.sources / "material"), teacher, options.sources / "taught", seed=options.seed)


def _initial(options: argparse.Namespace, out: Path) -> None:
    material, taught = _material(options), read_taught(options.sources / "taught")
    embeddings = taught.embeddings[material.lines[: material.n_corpus]]
    teacher = Teacher(options.teacher, device=options.device)
    make_checkpoint(material.texts[: material.n_corpus], embeddings, teacher, out, seed=options.seed)


def _run(options: argparse.Namespace) -> None:
    on_gpu = torch.device(options.device).type == "cuda"
    if options.threads:
        torch.set_num_threads(options.threads)
    material = _material(options)
    taught = read_taught(options.sources / "taught")
    wordings = TrainingWordings(near=taught.near)
    processes = options.processes
    if processes is None:
        processes = max(1, (os.cpu_count() or 1) - 2) if on_gpu else 0
    # A checkpoint that teaches wordings is asked at every step, which processes that feed a GPU have no time for.
    known = None if options.from_scratch or processes else InstructorModel(options.start, device=options.device)
    mixture = MixtureSettings(
        seed=options.seed,
        tokens=options.tokens or (14_000 if on_gpu else 7000),
        warm=not options.from_scratch,
        shares=dict(options.shares) or None,
    )
    source = Mixture(material, taught, wordings, mixture, known=known)
    warmup = options.warmup if options.warmup is not None else 250 if on_gpu else 60
    settings = TrainingSettings(
        n_steps=None if options.seconds else options.steps,
        seconds=options.seconds,
        learning_rate=options.learning_rate,
        embedding_learning_rate=options.embedding_learning_rate,
        query_key_scale=options.query_key_scale,
        warmup_steps=warmup if options.seconds else min(warmup, options.steps // 10),
        decay=options.decay,
        fall="cosine",
        min_scale=0.01,
        average=options.average,
        max_score=options.max_score,
        bfloat16=not options.float32,
        batches_per_step=options.batches or (8 if on_gpu else 1),
        prepare_processes=processes,
        save_every=options.save_every,
        keep_copies=4,
        evaluate_every=options.evaluate_every,
        log_every=options.log_every,
        chunk_tokens=options.chunk_tokens,
        max_tokens=96,  # as many as the teacher read
        seed=options.seed,
    )
    start = options.start
    if options.layers:
        start = options.out / "start"
        if not start.is_dir():
            deepen(find_checkpoint(options.start), start, options.layers)
    model = InstructorModel(start, device=options.device, trainable=True)
    report = train(model, source, settings, options.out, evaluate=_evaluation(options, wordings))
    save_checkpoint(model, options.out / "checkpoint", card=_card(options, material, report))


def _evaluation(options: argparse.Namespace, wordings: TrainingWordings) -> Evaluate | None:
    if options.sts is None and options.label_sets is None:
        return None
    # Reads tables and the like, which a machine that only trains need not have.
    from instructor_core.train.mini.quick import QuickEvaluation

    return QuickEvaluation(wordings, sts=options.sts, label_sets=options.label_sets)


def _make(options: argparse.Namespace) -> None:
    if not (options.sources / "material" / "sets.json").is_file():
        _build(options)
    _teach(options)
    if options.from_scratch:
        options.start = options.out / "scratch"
        if not options.start.is_dir():
            _initial(options, options.start)
    _run(options)


def _card(options: argparse.Namespace, material: Material, report: TrainingReport) -> str:
    """Model card of what a run made: how it was trained, on what, with what quick scores."""
    scores = "".join(f"| {name} | {value:.3f} |\n" for name, value in report.evaluation.items())
    names = [one.name for one in material.labelled] + [one.name for one in material.triplets]
    sets = sorted([*names, *(one.name for one in material.pairs)])
    start = Path(options.start).name
    return (
        "---\nlibrary_name: sentence-transformers\npipeline_tag: sentence-similarity\nlicense: other\n---\n"
        "# INSTRUCTOR embeddings, trained with the recipe of instructor-mini\n\n"
        f"{report.steps:,} steps, {report.tokens:,} tokens, seed {options.seed}, started from {start}; "
        f"texts with {options.licences} licences; distilled from all-MiniLM-L6-v2.\n\n"
        f"| quick evaluation | value |\n|---|---|\n{scores}\nSets: {', '.join(sets)}.\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    options = _parser().parse_args(argv)
    commands: dict[str, Callable[[], None]] = {
        "build": lambda: _build(options),
        "teach": lambda: _teach(options),
        "initial": lambda: _initial(options, options.out),
        "run": lambda: _run(options),
        "make": lambda: _make(options),
        "pack-teacher": lambda: pack_teacher(options.teacher, options.out),
        "mix": lambda: mix_checkpoints(options.parts, options.out),
        "licences": lambda: print(licences()),
    }
    try:
        commands[options.command]()
    except (UserError, EncoderError) as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
