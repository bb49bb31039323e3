"""Where the lists are that come with the project, and the tasks that checkpoints are tested for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TestedTask:
    """A task with labelled texts in `assets/label_sets`: its name in words and a plain instruction that asks for it."""

    name: str
    instruction: str


@dataclass(frozen=True)
class Yardsticks:
    """What any instruction is held against."""

    tasks: tuple[TestedTask, ...]  # the tested tasks, each with its plain instruction
    controls: tuple[str, ...]  # instructions that ask for something that is no task: "Would a cat understand this? "

    @property
    def instructions(self) -> tuple[str, ...]:
        """The instructions of the tasks, then the controls; encode them as they are."""
        return (*(task.instruction for task in self.tasks), *self.controls)


def bundled(name: str) -> Path:
    """Return the path of a bundled file: inside the package when it was installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "assets" / name
    return inside if inside.exists() else package.parent / "assets" / name


def yardsticks(folder: Path | None = None) -> Yardsticks:
    """The tasks whose labels a label set has, in the order of `wordings.json`, and its `unknown` instructions."""
    folder = folder or bundled("label_sets")
    wordings = json.loads((folder / "wordings.json").read_text(encoding="utf-8"))
    kinds: set[str] = set()
    for path in folder.glob("*.jsonl"):
        with path.open(encoding="utf-8") as lines:
            kinds.update(json.loads(next(lines)).get("labels", ()))
    tasks = tuple(
        TestedTask(
            entry["plain"].strip(" :").rpartition("classifying ")[2].removeprefix("its "), _ready(entry["plain"])
        )
        for entry in wordings["axes"].values()
        if kinds.intersection(entry["labels"])
    )
    return Yardsticks(tasks, tuple(map(_ready, wordings["unknown"])))


def _asked_for(plain: str) -> str:
    """What a plain instruction asks for: "tense" for "Represent the sentence for classifying its tense:"."""
    return plain.strip(" :").rpartition("classifying ")[2].removeprefix("its ")


def _ready(wording: str) -> str:
    """The wording with one space at its end: it is joined with the text as it stands."""
    return wording.rstrip() + " "
