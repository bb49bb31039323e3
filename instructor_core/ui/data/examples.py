"""Curated example sets, read from JSON. Each is small enough to read in a matrix and makes one point."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from instructor_core.ui.data.inputs import MAX_INSTRUCTIONS, Inputs
from instructor_core.ui.page import Selected
from instructor_core.ui.scene import TABS, Scene

EXAMPLES_FOLDER = Path(__file__).resolve().parents[3] / "assets" / "examples"

Words = Annotated[str, Field(pattern=r"^\S(.*\S)?$")]  # not empty, no spaces around them
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]  # for links
Instruction = Annotated[str, Field(pattern=r"^(\S+( \S+)* )?$")]  # empty, or with exactly one space at its end
Place = Annotated[str, Field(pattern=f"^({'|'.join(TABS)})$")]  # the view to open


@dataclass(frozen=True, config={"extra": "forbid"})
class Example:
    """One curated set of texts and the instructions that show something about them."""

    id: Name
    title: Words  # in the menu
    point: Words  # one to three sentences: what to look at and why
    instructions: Annotated[tuple[Instruction, ...], Field(min_length=1, max_length=MAX_INSTRUCTIONS)]
    texts: Annotated[tuple[Words, ...], Field(min_length=1)]
    labels: tuple[str, ...] | None = None  # N, "" where a text has none; None if the set is unlabelled
    more_labels: tuple[tuple[str, ...], ...] = ()
    tab: Place = "similarity"
    selected: tuple[int, int] = (0, 1)

    def inputs(self, checkpoint_id: str) -> Inputs:
        """Return the example as the inputs of a run."""
        return Inputs(checkpoint_id, self.instructions, self.texts, self.labels, self.more_labels)

    def scene(self, checkpoint_id: str) -> Scene:
        """Return the example as a scene, which leaves the options as they are."""
        return Scene(self.inputs(checkpoint_id), self.tab, Selected(*self.selected), options=None)


def load_examples(folder: Path = EXAMPLES_FOLDER) -> tuple[Example, ...]:
    """Return the examples of a folder in the order of their file names; the first is shown first."""
    read = TypeAdapter(Example).validate_json
    return tuple(read(file.read_bytes()) for file in sorted(folder.glob("*.json")))
