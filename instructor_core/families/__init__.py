"""One way to open any checkpoint: INSTRUCTOR by `encoder.py`, other instruction-tuned encoders by their own files."""

from __future__ import annotations

from pathlib import Path

from instructor_core.encoder import EncoderError, InstructorModel, find_checkpoint
from instructor_core.families.layout import read_json
from instructor_core.families.model import TemplateModel

INSTRUCTORS = "t5"
EmbeddingModel = InstructorModel | TemplateModel

__all__ = ["EmbeddingModel", "TemplateModel", "open_checkpoint", "open_instructor"]


def open_checkpoint(
    name_or_path: str | Path,
    device: str | None = None,
    dtype: str = "float32",
    *,
    revision: str | None = None,
    template: str | None = None,
) -> EmbeddingModel:
    r"""Open a checkpoint of INSTRUCTOR, or of another instruction-tuned encoder in the layout of sentence-transformers.

    Args:
        name_or_path: Hub name, folder, or ``instructor-mini``, bundled.
        device: Where to compute; the first CUDA device if there is one, else the CPU.
        dtype: ``"float32"``, or ``"bfloat16"`` for speed.
        revision: Commit, tag or branch if the checkpoint comes from the hub.
        template: How instruction and text are joined, for example ``"Instruct: {instruction}\nQuery: {text}"``; by
            itself what the checkpoint says or what is known of its family. INSTRUCTOR has none.

    Returns:
        ``InstructorModel`` or ``TemplateModel``, which have the same methods.

    Raises:
        EncoderError: If the files are not understood; the message names what of them.
    """
    if _architecture(name_or_path, revision) != INSTRUCTORS:
        return TemplateModel(name_or_path, device, dtype, revision=revision, template=template)
    if template is not None:
        raise EncoderError("INSTRUCTOR puts the instruction before the text as it is: it takes no template.")
    return InstructorModel(name_or_path, device, dtype, revision=revision)


def open_instructor(name_or_path: str | Path, device: str | None = None) -> InstructorModel:
    """Open a checkpoint of INSTRUCTOR as its files have it, which alone can be trained and exported here."""
    if (kind := _architecture(name_or_path)) != INSTRUCTORS:
        raise EncoderError(
            f"Only INSTRUCTOR can be trained or exported here: {name_or_path} is a {kind}. sentence-transformers does "
            "both; its trainer takes the prompt of each column."
        )
    return InstructorModel(name_or_path, device, trainable=True)


def _architecture(name_or_path: str | Path, revision: str | None = None) -> str:
    config = read_json(find_checkpoint(name_or_path, revision=revision) / "config.json", missing={})
    return str(config.get("model_type") if config else INSTRUCTORS)  # which says what is missing
