"""`python -m instructor_core.evaluate`: the table of a checkpoint as Markdown, and as JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from instructor_core.analysis.suggest import bundled
from instructor_core.encoder import EncoderError
from instructor_core.errors import UserError
from instructor_core.evaluate.data import read_data, read_wordings
from instructor_core.evaluate.evaluation import evaluate_checkpoint
from instructor_core.evaluate.markdown import END, START, to_markdown, write_card
from instructor_core.evaluate.report import to_json
from instructor_core.families import open_checkpoint
from instructor_core.families.templates import COMMAND_LINE_HELP, from_command_line
from instructor_core.table import Notes

_REFERENCE_BATCH = 32
_REFERENCE_TOKENS = 256


class ReferenceModel:
    """Another encoder to compare with, any that `AutoModel` reads: mean of the last hidden states, no instruction."""

    def __init__(self, folder: Path, *, device: torch.device | str = "cpu") -> None:
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModel.from_pretrained(folder, local_files_only=True).to(device).eval()
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(
                f"The reference {folder.name!r} cannot be loaded: {str(error).splitlines()[0]} Give a folder that "
                "transformers' AutoModel loads."
            ) from error
        resolved = folder.resolve()
        self.name = resolved.parent.name if resolved.name == "model" else resolved.name
        self._device = device

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: (N, D) float32, not normalized."""
        order = sorted(range(len(texts)), key=lambda position: len(texts[position]))  # little padding in a batch
        rows: dict[int, NDArray[np.float32]] = {}
        for start in range(0, len(order), _REFERENCE_BATCH):
            chunk = order[start : start + _REFERENCE_BATCH]
            batch = self._tokenizer(
                [texts[position] for position in chunk],
                padding=True,
                truncation=True,
                max_length=_REFERENCE_TOKENS,
                return_tensors="pt",
            ).to(self._device)
            states = self._model(**batch).last_hidden_state  # (b, n, D)
            mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)  # (b, n, 1)
            means = ((states * mask).sum(dim=1) / mask.sum(dim=1)).float().cpu().numpy()
            rows.update(zip(chunk, means, strict=True))
        return np.stack([rows[position] for position in range(len(texts))])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m instructor_core.evaluate",
        description="Measure what instructions do to the embeddings of a checkpoint, on texts with labels.",
        epilog=(
            'Label sets: {"text": "...", "labels": {"topic": "food"}} on each line; pairs: {"a": "...", "b": "...", '
            '"score": 3.5}. Both may lie in one folder.'
        ),
    )
    add = parser.add_argument
    add("checkpoint", nargs="?", default="instructor-mini", help="name or folder (instructor-mini)")
    add("--label-sets", nargs="+", type=Path, metavar="PATH", help="folders or files, not the bundled")
    add("--sts", nargs="+", type=Path, default=[], metavar="FILE", help="more files, usually of pairs")
    add("--bad-rows", choices=["refuse", "leave-out"], default="refuse", help="what becomes of a row that is broken")
    add("--wordings", type=Path, metavar="FILE", help="instructions to use, not the bundled")
    add("--reference", type=Path, metavar="FOLDER", help="a model without instructions to compare with")
    add("--compare", metavar="CHECKPOINT", help="another checkpoint, name or folder, to compare with")
    add("--free", type=int, metavar="N", help="use the first N free wordings of each axis (all)")
    add("--max-texts", type=int, default=4000, metavar="N", help="sample larger sets (4000)")
    add("--seed", type=int, default=0, help="of the sample (0)")
    add("--json", type=Path, metavar="FILE", help="write every score of every wording")
    add("--write-card", type=Path, metavar="FILE", help=f"put the table between {START} and {END}")
    add("--summary", action="store_true", help="leave the matrix of every set out of the table")
    add("--template", type=from_command_line, help=COMMAND_LINE_HELP)
    add("--device", help="cpu or cuda (cuda if there is one)")
    add("--dtype", default="float32", choices=("float32", "bfloat16"), help="of the forward pass")
    add("--threads", type=int, metavar="N", help="of the CPU; 1 is by far the fastest beside other work")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        paths = [*(options.label_sets or [bundled("label_sets")]), *options.sts]
        notes = Notes()
        bad_rows = options.bad_rows.replace("-", " ")
        sets, pairs = read_data(paths, max_texts=options.max_texts, seed=options.seed, bad_rows=bad_rows, notes=notes)
        for sentence in notes.sentences():
            print(sentence, file=sys.stderr)
        wordings = read_wordings(options.wordings)
        model = open_checkpoint(options.checkpoint, options.device, options.dtype, template=options.template)
        other = open_checkpoint(options.compare, options.device, options.dtype) if options.compare else None
        report = evaluate_checkpoint(
            model,
            sets,
            wordings,
            pairs=pairs,
            reference=ReferenceModel(options.reference, device=model.device) if options.reference else None,
            other=other,
            n_free=options.free,
            max_texts=options.max_texts,
            seed=options.seed,
            progress=lambda message: print(message, file=sys.stderr, flush=True),
        )
        table = to_markdown(report, matrices=not options.summary)
        print(table)
        if options.json:
            options.json.write_text(to_json(report), encoding="utf-8")
        if options.write_card:
            changed = write_card(options.write_card, table)
            print(f"{options.write_card.name}: {'renewed' if changed else 'unchanged'}", file=sys.stderr)
    except (UserError, EncoderError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
