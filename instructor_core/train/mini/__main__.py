"""Command line of the recipe: ``python -m instructor_core.train.mini --help``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from instructor_core.encoder import EncoderError, InstructorModel
from instructor_core.errors import UserError
from instructor_core.train.mini.building import Sizes, build_material
from instructor_core.train.mini.initial import make_checkpoint
from instructor_core.train.mini.loading import Material, load_material
from instructor_core.train.mini.material import summary, write_material
from instructor_core.train.mini.mixture import Mixture, MixtureSettings
from instructor_core.train.mini.quick import QuickEvaluation
from instructor_core.train.mini.sources import licences
from instructor_core.train.mini.teacher import Teacher, embed_file
from instructor_core.train.mini.wordings import TrainingWordings
from instructor_core.train.saving import save_checkpoint
from instructor_core.train.settings import TrainingSettings
from instructor_core.train.trainer import TrainingReport, train

_DESCRIPTION = """\
The recipe of instructor-mini: a small INSTRUCTOR checkpoint, trained on a CPU within hours.

Files in the folder SOURCES:
  corpus.txt       sentences, one a line, in random order
  corpus.npy       the teacher's embeddings of them (made by `embed`)
  train.jsonl.gz   optional: tasks in the MEDI format; `licences` prints the ones that are known

Order of the steps:
  python -m instructor_core.train.mini embed SOURCES --teacher FOLDER
  python -m instructor_core.train.mini initial SOURCES --teacher FOLDER --out START   (only to start from scratch)
  python -m instructor_core.train.mini run SOURCES --start START --out OUT

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

    build = commands.add_parser(
        "build", help="make SOURCES/material: all texts with their sources, and all labelled sets"
    )
    build.add_argument("sources", type=Path, metavar="SOURCES")
    build.add_argument("--corpus-lines", type=int, default=0, help="how many, drawn at random (default: all)")
    build.add_argument("--generated", type=int, default=16_000, help="sentences of one kind (default: %(default)s)")
    build.add_argument("--seed", type=int, default=0)

    embed = commands.add_parser("embed", help="embed the corpus with the teacher; goes on where it was stopped")
    embed.add_argument("sources", type=Path, metavar="SOURCES")
    embed.add_argument("--teacher", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    embed.add_argument("--device", default="cpu")

    initial = commands.add_parser("initial", help="make the checkpoint that a run from scratch starts from")
    initial.add_argument("sources", type=Path, metavar="SOURCES")
    initial.add_argument("--teacher", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    initial.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")

    run = commands.add_parser(
        "run", help="train; started again with the same arguments it goes on where it was stopped"
    )
    run.add_argument("sources", type=Path, metavar="SOURCES")
    run.add_argument("--start", default="instructor-mini", help="checkpoint to start from (default: the bundled one)")
    run.add_argument("--out", type=Path, required=True, help="folder of the result and of the training state")
    run.add_argument("--steps", type=int, default=8000, help="steps of the whole run (default: %(default)s)")
    run.add_argument("--tokens", type=int, default=7000, help="tokens of a batch (default: %(default)s)")
    run.add_argument(
        "--chunk-tokens", type=int, default=768, help="padded tokens per forward pass (default: %(default)s)"
    )
    run.add_argument("--learning-rate", type=float, default=4e-4, help="default: %(default)s")
    run.add_argument("--embedding-learning-rate", type=float, default=1e-3, help="default: %(default)s")
    run.add_argument("--decay", type=float, default=0.6, help="share of the steps, at the end, with a falling rate")
    run.add_argument(
        "--licences",
        choices=("open", "all"),
        default="all",
        help="open: leave out tasks whose texts have terms that do not let a trained model be passed on; corpus.txt "
        "does not say where its lines come from and is used whole in both cases (default: %(default)s)",
    )
    run.add_argument(
        "--known",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the start checkpoint knows plain wordings and teaches free ones (--no-known after `initial`)",
    )
    run.add_argument("--generated", type=int, default=12_000, help="sentences per kind of the generator")
    run.add_argument("--sts", type=Path, help="scored pairs for the quick evaluation (.jsonl: a, b, score)")
    run.add_argument("--label-sets", type=Path, help="folder of label sets (.jsonl: text, labels) for the same")
    run.add_argument("--evaluate-every", type=int, default=500, metavar="STEPS", help="default: %(default)s")
    run.add_argument("--save-every", type=int, default=250, metavar="STEPS", help="default: %(default)s")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--threads", type=int, help="CPU threads (default: as many as PyTorch takes)")
    run.add_argument("--device", default="cpu")

    commands.add_parser("licences", help="print the tasks that are known and the terms of their texts")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    wordings = TrainingWordings()
    material = load_material(
        arguments.sources,
        only_open=arguments.licences == "open",
        seed=arguments.seed,
        n_generated=arguments.generated,
    )
    known = InstructorModel(arguments.start, device=arguments.device) if arguments.known else None
    source = Mixture(material, wordings, MixtureSettings(seed=arguments.seed, tokens=arguments.tokens), known=known)
    settings = TrainingSettings(
        n_steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        embedding_learning_rate=arguments.embedding_learning_rate,
        warmup_steps=min(60, arguments.steps // 10),
        decay=arguments.decay,
        save_every=arguments.save_every,
        evaluate_every=arguments.evaluate_every,
        chunk_tokens=arguments.chunk_tokens,
        max_tokens=96,  # as many as the teacher read
        seed=arguments.seed,
    )
    evaluate = None
    if arguments.sts is not None or arguments.label_sets is not None:
        evaluate = QuickEvaluation(wordings, sts=arguments.sts, label_sets=arguments.label_sets)
    model = InstructorModel(arguments.start, device=arguments.device, trainable=True)
    report = train(model, source, settings, arguments.out, evaluate=evaluate)
    save_checkpoint(model, arguments.out / "checkpoint", card=_card(arguments, material, report))


def _card(arguments: argparse.Namespace, material: Material, report: TrainingReport) -> str:
    """Model card of what a run made: how it was trained, on which tasks, with what quick scores."""
    scores = "".join(f"| {name} | {value:.3f} |\n" for name, value in report.evaluation.items())
    names = [task.name for task in material.labelled] + [task.name for task in material.triplets]
    tasks = sorted({*names, *(task.name for task in material.pairs)})
    return (
        "---\nlibrary_name: sentence-transformers\npipeline_tag: sentence-similarity\nlicense: other\n---\n"
        "# INSTRUCTOR embeddings, trained with the recipe of instructor-mini\n\n"
        f"{report.steps:,} steps, {report.tokens:,} tokens, seed {arguments.seed}, started from {arguments.start}; "
        f"tasks with {arguments.licences} licences; distilled from all-MiniLM-L6-v2.\n\n"
        f"| quick evaluation | value |\n|---|---|\n{scores}\nTasks: {', '.join(tasks)}.\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "build":
            sizes = Sizes(corpus_lines=arguments.corpus_lines, generated=arguments.generated)
            material = build_material(arguments.sources, sizes, arguments.seed)
            write_material(material, arguments.sources / "material")
            print(summary(material))
        elif arguments.command == "embed":
            embed_file(arguments.sources / "corpus.txt", Teacher(arguments.teacher, device=arguments.device))
        elif arguments.command == "initial":
            make_checkpoint(arguments.sources / "corpus.txt", Teacher(arguments.teacher), arguments.out)
        elif arguments.command == "licences":
            print(licences())
        else:
            _run(arguments)
    except (UserError, EncoderError) as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
