"""Command line of fine-tuning: ``python -m instructor_core.train --help``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import torch

from instructor_core.encoder import EncoderError, InstructorModel
from instructor_core.errors import UserError
from instructor_core.families import open_instructor
from instructor_core.table import Notes
from instructor_core.train.card import model_card
from instructor_core.train.held_out import HeldOutEvaluation
from instructor_core.train.records import read_records, set_aside
from instructor_core.train.saving import replace_file, save_checkpoint
from instructor_core.train.settings import TrainingSettings
from instructor_core.train.source import RecordSource
from instructor_core.train.trainer import STATE_FILE, train

_DESCRIPTION = """\
Fine-tune an INSTRUCTOR checkpoint on records in the MEDI format and save it in the layout of the Hugging Face Hub.

DATA is a JSON list, as MEDI is published, or one JSON object a line; names that end in .gz are unpacked:

  {"query": ["Represent the question for retrieval: ", "who wrote Emma?"],
   "pos":   ["Represent the passage for retrieval: ", "Emma is a novel by Jane Austen."],
   "neg":   ["Represent the passage for retrieval: ", "Emma is a common given name."],
   "task_id": 0}

"pos" and "neg" may be lists of such pairs, and "neg" may be left out. "label" names the class of the query: a task
with labels is trained by supervised contrast, and its records need no "pos". Every batch is of one task. Instruction
and text are joined as they stand, so an instruction usually ends with a space.
"""

_EPILOG = """\
what is in OUT:
  checkpoint/         the result, with a model card; written at the end
  training_state.pt   weights, optimizer and step, written every --save-every steps. The same command goes on from
                      there after a kill, with the losses that it would have had without it. To start anew, delete it.
  log.jsonl           loss and batch of every step, and evaluations

a large batch in little memory:
  --gradient-cache embeds a batch without keeping anything and repeats each chunk for its gradient: a batch of
  thousands in the memory of one chunk (--chunk-tokens), with the same gradients, for about a third more time.

evaluation:
  A share of the texts is held out (--held-out) and scored before, after and every --evaluate-every steps: "found" is
  the share of queries whose own positive is nearer than all other positives and negatives among 100 records of the
  task, "neighbours" the share of labelled texts whose nearest other text has the same label.

speed on a CPU:
  A small checkpoint (width up to 512) is trained by as many threads as OMP_NUM_THREADS or --threads says, each on one
  core. OMP_WAIT_POLICY=PASSIVE where other programs use the same cores: waiting threads otherwise keep them busy, and
  both slow down many times over. These settings of glibc's memory allocator gained 8 % with --chunk-tokens 8192 and
  nothing with the default; like the others they must be set before Python starts:
  GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184
  MALLOC_TOP_PAD_=67108864
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m instructor_core.train",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", nargs="+", type=Path, metavar="DATA", help="files of records")
    add("out", type=Path, metavar="OUT", help="folder of the run")
    add("--from", dest="start", default="instructor-mini", help="checkpoint: hub name, folder or %(default)s")
    add("--bad-rows", choices=["refuse", "leave-out"], default="refuse", help="what becomes of a row that is broken")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=float, default=1.0, help="times that every record is seen (%(default)s)")
    length.add_argument("--steps", type=int, help="batches, in place of epochs")
    add("--batch-size", type=int, default=64, help="records of a batch (%(default)s)")
    add("--learning-rate", type=float, default=2e-5, help="(%(default)s, INSTRUCTOR's own; small models bear 1e-4)")
    add("--embedding-learning-rate", type=float, help="of the token embeddings (that of the others)")
    add("--warmup", type=float, default=0.1, help="share of the steps over which the rate rises (%(default)s)")
    add("--weight-decay", type=float, default=0.01, help="(%(default)s)")
    add("--temperature", type=float, default=0.05, help="cosines are divided by it; INSTRUCTOR: 0.01 (%(default)s)")
    add("--both-ways", action="store_true", help="positives must find their queries, too")
    add("--own-negatives", nargs="+", default=[], metavar="TASK", help="tasks in which other records' positives are "
        "no negatives, for instance few classes without labels")  # fmt: skip
    add("--max-tokens", type=int, help="cut texts to so many tokens while training (the checkpoint's window)")
    add("--gradient-cache", action="store_true", help="constant memory for any batch size, see below")
    add("--chunk-tokens", type=int, default=768, help="padded tokens of a forward pass (%(default)s)")
    add("--float32", action="store_true", help="compute in float32 and not in bfloat16")
    add("--held-out", type=float, default=0.05, metavar="SHARE", help="of the texts, for evaluation (%(default)s)")
    add("--evaluate-every", type=int, default=0, metavar="STEPS", help="0: only before and after (%(default)s)")
    add("--save-every", type=int, default=500, metavar="STEPS", help="state from which a run goes on (%(default)s)")
    add("--log-every", type=int, default=20, metavar="STEPS", help="lines of progress (%(default)s)")
    add("--dtype", default="float16", choices=("float16", "bfloat16", "float32"), help="of saved weights (%(default)s)")
    add("--seed", type=int, default=0, help="of order, draws and the held-out share (%(default)s)")
    add("--device", help="cpu or cuda (cuda if there is one)")
    add("--threads", type=int, help="of the CPU (as many as PyTorch takes)")
    return parser


def _run(options: argparse.Namespace) -> None:
    notes = Notes()
    read = read_records(*options.data, bad_rows=options.bad_rows.replace("-", " "), notes=notes)
    for sentence in notes.sentences():
        print(sentence, file=sys.stderr)
    records, held_out = set_aside(read, options.held_out, seed=options.seed)
    batches = {name: getattr(options, name) for name in ("batch_size", "temperature", "both_ways")}
    source = RecordSource(records, **batches, own_negatives=options.own_negatives, seed=options.seed)
    n_steps = options.steps if options.steps is not None else max(1, round(options.epochs * source.n_batches))
    same = {field.name: getattr(options, field.name) for field in fields(TrainingSettings) if field.name in options}
    warmup_steps = round(options.warmup * n_steps)
    settings = TrainingSettings(n_steps=n_steps, warmup_steps=warmup_steps, bfloat16=not options.float32, **same)
    model = open_instructor(options.start, options.device)
    evaluate = HeldOutEvaluation(held_out, own_negatives=options.own_negatives, seed=options.seed)
    before = _before(model, evaluate, options.out)
    print(
        f"{len(records):,} records of {len(source.tasks)} tasks, {len(held_out):,} held out, {n_steps:,} steps; "
        f"before training: {_scores(before)}",
        file=sys.stderr,
    )
    report = train(model, source, settings, options.out, evaluate=evaluate if evaluate.tasks else None)
    card = model_card(
        title=options.out.resolve().name,
        start=options.start,
        data=options.data,
        records=records,
        settings=settings,
        batches=batches,
        own_negatives=options.own_negatives,
        report=report,
        before=before,
    )
    save_checkpoint(model, options.out / "checkpoint", card=card, dtype=options.dtype)
    print(f"saved {options.out / 'checkpoint'}; after training: {_scores(report.evaluation)}", file=sys.stderr)


def _before(model: InstructorModel, evaluate: HeldOutEvaluation, folder: Path) -> dict[str, float]:
    """Scores before the first step: of this process, or of the one whose run it goes on with."""
    path = folder / "before.json"
    if path.is_file() and (folder / STATE_FILE).is_file():
        scores: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return scores
    folder.mkdir(parents=True, exist_ok=True)
    scores = evaluate(model)
    replace_file(path, json.dumps(scores))
    return scores


def _scores(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in scores.items()) or "nothing held out"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        _run(options)
    except (UserError, EncoderError) as error:
        print(f"python -m instructor_core.train: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
