"""Training: fine-tune any INSTRUCTOR checkpoint; ``python -m instructor_core.train --help`` for the command line.

``batch``, ``losses``, ``trainer`` and ``saving`` know nothing of any data; ``records`` reads data in the MEDI format.
The names below load their modules on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from instructor_core.train.batch import Batch, BatchSource
    from instructor_core.train.records import Record, read_records
    from instructor_core.train.saving import save_checkpoint
    from instructor_core.train.settings import TrainingSettings
    from instructor_core.train.source import RecordSource
    from instructor_core.train.trainer import TrainingReport, train

_HOME = {
    "Batch": "batch",
    "BatchSource": "batch",
    "Record": "records",
    "RecordSource": "source",
    "TrainingReport": "trainer",
    "TrainingSettings": "settings",
    "read_records": "records",
    "save_checkpoint": "saving",
    "train": "trainer",
}

__all__ = [
    "Batch",
    "BatchSource",
    "Record",
    "RecordSource",
    "TrainingReport",
    "TrainingSettings",
    "read_records",
    "save_checkpoint",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
