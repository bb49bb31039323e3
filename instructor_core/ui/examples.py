"""Curated example sets, read from JSON. Each is small enough to read in a matrix and makes one point."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from instructor_core.ui.inputs import MAX_INSTRUCTIONS, Inputs, join_ready

EXAMPLES_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"
MAX_TEXTS = 24


def _trimmed(text: str) -> str:
    if text != text.strip() or not text:
        raise ValueError("text must not be empty or padded with spaces")
    return text


def _ready(instruction: str) -> str:
    if instruction != join_ready(instruction):
        raise ValueError("an instruction must be empty or end with exactly one space")
    return instruction


Words = Annotated[str, AfterValidator(_trimmed)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
Instruction = Annotated[str, AfterValidator(_ready)]
Texts = Annotated[tuple[Words, ...], Field(min_length=1, max_length=MAX_TEXTS)]
Instructions = Annotated[tuple[Instruction, ...], Field(min_length=1, max_length=MAX_INSTRUCTIONS)]
Place = Literal["map", "similarity", "nearest", "tokens", "explain", "lab"]


@dataclass(frozen=True, config={"extra": "forbid"})
class Example:
    """One curated set of texts and the instructions that show something about them.

    Attributes:
        id: Short name for links, lower case.
        title: What the menu shows.
        point: One to three sentences: what to look at and why.
        instructions: K instructions; each is empty or ends with exactly one space.
        texts: N texts.
        labels: N labels, "" where a text has none; None if the set is unlabelled.
        tab: The view to open first.
        selected: The two texts that are chosen at first.
    """

    id: Name
    title: Words
    point: Words
    instructions: Instructions
    texts: Texts
    labels: tuple[str, ...] | None = None
    tab: Place = "similarity"
    selected: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        """Check that labels are as many as texts."""
        if self.labels is not None and len(self.labels) != len(self.texts):
            raise ValueError(f"labels must be as many as texts: got {len(self.labels)} and {len(self.texts)}")

    def inputs(self, checkpoint_id: str) -> Inputs:
        """Return the example as the inputs of a run."""
        return Inputs(checkpoint_id, self.instructions, self.texts, self.labels)


def load_examples(folder: Path = EXAMPLES_FOLDER) -> tuple[Example, ...]:
    """Return the examples of a folder in the order of their file names; the first is shown first."""
    read = TypeAdapter(Example).validate_json
    return tuple(read(file.read_bytes()) for file in sorted(folder.glob("*.json")))
