"""One way to open any checkpoint: INSTRUCTOR by `encoder.py`, others by their files."""

from __future__ import annotations

from pathlib import Path

from instructor_core.encoder import EncoderError, InstructorModel, find_checkpoint
from instructor_core.families.layout import read_json
from instructor_core.families.model import TemplateModel

EmbeddingModel = InstructorModel | TemplateModel


def open_checkpoint(
    name_or_path: str | Path,
    device: str | None = None,
    dtype: str = "float32",
    *,
    revision: str | None = None,
    trainable: bool = False,
    template: str | None = None,
) -> EmbeddingModel:
    r"""Open a checkpoint of INSTRUCTOR, or of another instruction-tuned encoder in the layout of sentence-transformers.

    Args:
        name_or_path: Hub name, folder, or ``instructor-mini``, bundled.
        device: Where to compute; the first CUDA device if there is one, else the CPU.
        dtype: ``"float32"``, or ``"bfloat16"`` for speed.
        revision: Commit, tag or branch if the checkpoint comes from the hub.
        trainable: Load it for ``instructor_core.train``, which knows INSTRUCTOR alone.
        template: How instruction and text are joined, for example ``"Instruct: {instruction}\nQuery: {text}"``; by
            itself what the checkpoint says or what is known of its family. INSTRUCTOR has none.

    Returns:
        ``InstructorModel`` or ``TemplateModel``, which have the same methods.

    Raises:
        EncoderError: If the files are not understood; the message names what of them.
    """
    folder = find_checkpoint(name_or_path, revision=revision)
    kind = read_json(folder / "config.json").get("model_type")
    if kind == "t5":
        if template is not None:
            raise EncoderError("INSTRUCTOR puts the instruction before the text as it is: it takes no template.")
        return InstructorModel(name_or_path, device, dtype, revision=revision, trainable=trainable)
    if trainable:
        raise EncoderError(
            f"Only INSTRUCTOR can be trained here: {name_or_path} is a {kind}. sentence-transformers trains it, with "
            "the prompt of each column given to its trainer."
        )
    return TemplateModel(name_or_path, device, dtype, revision=revision, template=template)
