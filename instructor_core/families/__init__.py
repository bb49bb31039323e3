"""Other instruction-tuned encoders, loaded by what their own files say; INSTRUCTOR itself is `encoder.py`."""

from __future__ import annotations

from instructor_core.families.loading import EmbeddingModel, open_checkpoint, open_for_training
from instructor_core.families.model import TemplateModel

__all__ = ["EmbeddingModel", "TemplateModel", "open_checkpoint", "open_for_training"]
