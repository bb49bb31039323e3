"""What a checkpoint can do, measured: instruction against label, plain similarity, and a reference beside both.

`python -m instructor_core.evaluate` prints the whole table; `evaluate_checkpoint` returns it.
"""

from __future__ import annotations

from instructor_core.evaluate.data import LabelSet, PairSet, Wordings, read_data, read_wordings
from instructor_core.evaluate.evaluation import evaluate_checkpoint, recovery, spearman
from instructor_core.evaluate.markdown import to_markdown
from instructor_core.evaluate.report import EvaluationReport, Recovery, to_json

__all__ = [
    "EvaluationReport",
    "LabelSet",
    "PairSet",
    "Recovery",
    "Wordings",
    "evaluate_checkpoint",
    "read_data",
    "read_wordings",
    "recovery",
    "spearman",
    "to_json",
    "to_markdown",
]
