"""The model card that a training run leaves beside its weights."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
import transformers

from instructor_core.train.records import Record
from instructor_core.train.settings import TrainingSettings
from instructor_core.train.trainer import TrainingReport

_MOST_TASKS = 40  # rows of the table of tasks
_LOSSES = {
    "contrastive": "InfoNCE over the batch and the given negatives (van den Oord et al. 2018)",
    "labels": "supervised contrastive loss (Khosla et al. 2020)",
    "own negatives": "softmax over the positive and the record's own negative",
}


def model_card(
    *,
    title: str,
    start: str,
    data: Sequence[Path],
    records: Sequence[Record],
    settings: TrainingSettings,
    batches: Mapping[str, object],
    own_negatives: Collection[str],
    report: TrainingReport,
    before: Mapping[str, float],
) -> str:
    """Return the text of README.md: from what, on what, how and with which result a checkpoint was trained."""
    # A folder of this machine means nothing to whoever reads the card.
    base = Path(start).name if Path(start).exists() else start
    front = [
        "---",
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        *([f"base_model: {base}"] if "/" in base else []),
        "tags:",
        *(f"  - {tag}" for tag in ("sentence-transformers", "feature-extraction", "sentence-similarity", "t5")),
        "  - instructor",
        "---",
    ]
    tasks = Counter(record.task for record in records)
    labelled = {record.task for record in records if record.label is not None}
    kinds = dict.fromkeys(own_negatives, "own negatives") | dict.fromkeys(labelled, "labels")
    rows = [
        f"| {_cell(task) or '(unnamed)'} | {n:,} | {kinds.get(task, 'batch')} |"
        for task, n in tasks.most_common(_MOST_TASKS)
    ]
    if len(tasks) > _MOST_TASKS:
        rest = sum(n for _, n in tasks.most_common()[_MOST_TASKS:])
        rows.append(f"| {len(tasks) - _MOST_TASKS} more tasks | {rest:,} | |")
    numbers = {**batches, **asdict(settings)}
    losses = [
        f"- {text}: last running mean {report.means[name]:.4f}"
        for name, text in _LOSSES.items()
        if name in report.means
    ]
    scores = [
        f"| {name} | {_score(before.get(name))} | {_score(report.evaluation.get(name))} |" for name in report.evaluation
    ]
    parts = [
        "\n".join(front),
        f"# {title}",
        f"A text encoder that follows instructions, in the layout of [INSTRUCTOR](https://arxiv.org/abs/2212.09741), "
        f"fine-tuned from `{base}`. The instruction is read together with the text and only the text's tokens and the "
        "closing `</s>` enter the mean.",
        "## Use\n\n```python\nfrom instructor_core import InstructorModel\n\n"
        'model = InstructorModel("path/to/this/folder")\n'
        'embeddings = model.encode([("an instruction: ", "a text")])\n```',
        f"## Data\n\n{len(records):,} records of {', '.join(f'`{_cell(path.name)}`' for path in data)}.\n\n"
        "| task | records | judged by |\n|---|---|---|\n" + "\n".join(rows),
        f"## Training\n\n{report.steps:,} steps, {report.tokens:,} tokens, {report.seconds / 60:.1f} minutes. "
        "AdamW with betas 0.9 and 0.98, no dropout.\n\n" + "\n".join(losses),
        "| setting | value |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in numbers.items()),
        "## Evaluation\n\n" + _evaluation(scores),
        f"## Versions\n\nPython {platform.python_version()}, torch {torch.__version__}, transformers "
        f"{transformers.__version__}.",
    ]
    return "\n\n".join(parts) + "\n"


def _evaluation(scores: Sequence[str]) -> str:
    if not scores:
        return "None: no records were held out."
    return (
        "On records that were not trained on. `found`: share of queries whose own positive is nearer than all other "
        "positives and given negatives among a hundred records of its task; `neighbours`: share of labelled texts "
        "whose nearest other text has the same label.\n\n| score | before | after |\n|---|---|---|\n"
        + "\n".join(scores)
    )


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _cell(text: str) -> str:
    """Text that cannot break out of a table."""
    return " ".join(text.replace("|", "/").replace("`", "'").split())
