"""For mteb: any checkpoint evaluated on its tasks, with an instruction of its own for each of them.

    encoder = MtebEncoder(InstructorModel("hkunlp/instructor-base"), {"STS12": "Represent the statement, "})
    mteb.evaluate(encoder, mteb.get_tasks(tasks=["STS12", "Banking77Classification"]))

It needs `pip install "instructor-core[mteb]"`, and mteb a network for its data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ScoringFunction
from numpy.typing import NDArray

from instructor_core.errors import UserError

# One instruction, or one for each side of a search: {"query": ..., "document": ...}.
Instructions = Mapping[str, str | Mapping[str, str]]

_SEARCH = {
    "query": "Represent the question for retrieving supporting documents: ",
    "document": "Represent the document for retrieval: ",
}
# For tasks without an instruction of their own, by mteb's type of task: like the authors' for mteb, without the domain.
BY_TYPE: Instructions = {
    "BitextMining": "Represent the sentence for retrieving duplicate sentences: ",
    "Classification": "Represent the sentence for classification: ",
    "Clustering": "Represent the sentence for clustering: ",
    "InstructionReranking": _SEARCH,
    "InstructionRetrieval": _SEARCH,
    "MultilabelClassification": "Represent the sentence for classification: ",
    "PairClassification": "Represent the sentence for retrieving duplicate sentences: ",
    "Regression": "Represent the sentence for classification: ",
    "Reranking": _SEARCH,
    "Retrieval": _SEARCH,
    "STS": "Represent the statement: ",
    "Summarization": "Represent the sentence for retrieval: ",
}


class Model(Protocol):
    """What is evaluated: an `InstructorModel`, or what embeds pairs as it does."""

    name: str
    revision: str | None
    folder: Path
    dtype: Any
    dim: int
    max_seq_length: int

    def encode(self, pairs: list[tuple[str, str]], *, show_progress_bar: bool) -> NDArray[np.float32]:
        """Return ``(N, D)`` of pairs (instruction, text)."""


class MtebEncoder(AbsEncoder):  # type: ignore[misc]  # mteb need not be installed where types are checked
    """A loaded model as mteb takes it.

    `instructions` are by name of a task or by type of task, as mteb calls them; a name goes before a type. What has
    neither gets, from INSTRUCTOR, that of its type in `BY_TYPE`, and from encoders with a template mteb's own.
    """

    def __init__(self, model: Model, instructions: Instructions | None = None) -> None:
        # An encoder with a template was trained on wordings like mteb's own, and on none for documents.
        template = getattr(model, "template", None)
        self.model, self.prompts_dict = model, {**({} if template else BY_TYPE), **(instructions or {})}
        is_folder = Path(model.name).is_dir() or "/" not in model.name
        wordings = json.dumps([str(template), self.prompts_dict], sort_keys=True)
        self.mteb_model_meta = ModelMeta.create_empty(
            {
                "name": f"local/{model.folder.resolve().name}" if is_folder else model.name,
                # mteb keeps results, and gives them again by these two: other weights, other wordings, other results.
                "revision": model.revision or _digest(model.folder),
                "experiment_kwargs": {"dtype": str(model.dtype), "wordings": _abbreviate(wordings.encode())},
                "embed_dim": model.dim,
                "max_tokens": model.max_seq_length,
                "similarity_fn_name": ScoringFunction.COSINE,
                "framework": ["PyTorch"],
                "use_instructions": True,
            }
        )

    def get_instruction(self, task_metadata: Any, prompt_type: Any) -> str:
        """Return the instruction of a task, or of one side of it: given here, or else mteb's own."""
        found = self.prompts_dict.get(task_metadata.name, self.prompts_dict.get(task_metadata.type))
        if found is None:
            is_document = prompt_type is not None and prompt_type.value == "document"
            return "" if is_document else str(super().get_instruction(task_metadata, prompt_type))
        if isinstance(found, str):
            return found
        if prompt_type is None:
            raise UserError(
                f"{task_metadata.name} has no queries and documents: got instructions for {sorted(found)}. Give one."
            )
        return found.get(prompt_type.value, "")

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        batch_size: int = 0,
        show_progress_bar: bool = False,
    ) -> NDArray[np.float32]:
        """Return ``(N, D)`` of the texts of mteb's batches; how they are batched is for the encoder to choose."""
        instruction = self.get_task_instruction(task_metadata, prompt_type)
        pairs = [(instruction, text) for batch in inputs for text in batch["text"]]
        return self.model.encode(pairs, show_progress_bar=show_progress_bar)


def _digest(folder: Path) -> str:
    """Return what names the weights of a folder."""
    digests = []
    for path in sorted([*folder.rglob("*.safetensors"), *folder.rglob("*.bin")]):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").digest())
    return _abbreviate(b"".join(digests))


def _abbreviate(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
