"""Lessons: read from JSON into frozen values, and the verdict on an answer.

A lesson is a list of steps. Each step says one thing, sets the inputs, opens a view, marks what to look at, asks, and
holds a claim on the numbers; the learner's answer is judged by what the model computes, never by what the file says.
A step asks to choose, to change the inputs, or, as a free task, for something that the learner's own texts may show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, SkipValidation, TypeAdapter
from pydantic.dataclasses import dataclass

from instructor_core.cache import CachedEncoder
from instructor_core.errors import UserError
from instructor_core.ui.data.examples import EXAMPLES_FOLDER, Name, Place, Words
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.learn.claims import read_claim
from instructor_core.ui.learn.measured import Claim, Measured
from instructor_core.ui.page import Selected
from instructor_core.ui.scene import Option, Scene

LESSONS_FOLDER = EXAMPLES_FOLDER.with_name("lessons")
GLOSSARY_FILE = EXAMPLES_FOLDER.with_name("glossary.json")
_RUN = ("instructions", "texts", "labels")  # what a step sets of the run; the rest is about the page
# The checkpoint on which every claim is tested.
_WRITTEN = "This lesson was written for instructor-mini; other checkpoints differ, and that is worth a thought too."

Chosen = Annotated[Selected, BeforeValidator(lambda indices: Selected(*indices))]
Checked = Annotated[SkipValidation[Claim], BeforeValidator(read_claim)]


@dataclass(frozen=True, config={"extra": "forbid"})
class Look:
    """What a step marks: an element by its CSS hook; of it one figure by its letter, or the tokens of one word."""

    at: str
    panel: str = ""
    token: str = ""


@dataclass(frozen=True, config={"extra": "forbid"})
class Step:
    """One thing to understand."""

    say: Words
    inputs: Inputs  # with an empty checkpoint id
    look: Look
    question: Words
    claim: Checked
    explain: Words  # after the right answer, with slots for what was measured
    tab: Place = "similarity"
    selected: Chosen = Selected()
    options: Mapping[str, Option] = field(default_factory=dict)  # all others have their defaults
    also: tuple[Checked, ...] = ()  # what its words take for granted besides
    choices: tuple[Words, ...] = ()  # none if the learner is to change something
    replies: tuple[Words, ...] = ()  # to each choice, true where the claim holds, with slots
    answer: int = 0  # index of the choice that is right if the claim holds
    free: bool = False  # a change of whatever the learner has, the inputs of the step or texts of their own
    solution: Inputs | None = None  # for a change: inputs under which the claim holds, while it does not under `inputs`
    not_yet: str = ""  # for a change: what is said while the claim does not hold
    reveal: Chosen | None = None  # what is selected after the answer, so that the selection does not give it away

    def scene(self, checkpoint_id: str) -> Scene:
        """Return the whole scene of the step: nothing of a visitor's is left in it."""
        return Scene(replace(self.inputs, checkpoint_id=checkpoint_id), self.tab, self.selected, self.options)

    def solved(self, checkpoint_id: str) -> Scene:
        """Return the scene in which the claim is to hold: that of the solution, else what the answer reveals."""
        inputs = replace(self.solution or self.inputs, checkpoint_id=checkpoint_id)
        return Scene(inputs, self.tab, self.reveal or self.selected, self.options)

    def measure(self, encoder: CachedEncoder, checkpoint_id: str) -> Measured:
        """Evaluate the claim on what it is to hold of."""
        scene = self.solved(checkpoint_id)
        return self.claim.measure(encoder, scene.inputs, scene.selected)


@dataclass(frozen=True, config={"extra": "forbid"})
class Lesson:
    """A few steps towards one insight; `goal` is what a learner can say afterwards."""

    id: Name
    title: Words
    goal: Words
    minutes: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, config={"extra": "forbid"})
class GlossaryEntry:
    """A term of the field, what it means here, and the lesson that shows it ("" for none)."""

    term: Words
    means: Words
    lesson: str = ""


@dataclass(frozen=True)
class Reply:
    """How an answer compares with what the model computed, in the words that the learner reads.

    Its kind is "right", "wrong", "not-yet" for a change that is not there yet, or "differs" where the checkpoint in use
    does not do what the lesson was written about. `choice` is the index of what was chosen; None for a change.
    """

    kind: str
    words: str
    choice: int | None = None


def load_lessons(folder: Path = LESSONS_FOLDER) -> tuple[Lesson, ...]:
    """Return the lessons of a folder in the order of their file names."""
    return tuple(read_lesson(json.loads(file.read_bytes())) for file in sorted(folder.glob("*.json")))


def load_glossary() -> tuple[GlossaryEntry, ...]:
    """Return the terms in alphabetical order."""
    entries = TypeAdapter(tuple[GlossaryEntry, ...]).validate_json(GLOSSARY_FILE.read_bytes())
    return tuple(sorted(entries, key=lambda entry: entry.term.lower()))


def read_lesson(content: dict[str, Any]) -> Lesson:
    """Return the lesson that a JSON object describes."""
    steps = [_step(content["sets"], step) for step in content["steps"]]
    fields = {name: value for name, value in content.items() if name != "sets"} | {"steps": steps}
    return TypeAdapter(Lesson).validate_python(fields)


def _step(defaults: dict[str, Any], step: dict[str, Any]) -> dict[str, Any]:
    """The fields of a step: what it sets stands over what its lesson sets, and its solution over both."""
    sets, ask = _overlay(defaults, step.get("sets", {})), dict(step["ask"])
    if "solution" in ask:
        ask["solution"] = _inputs(_overlay(sets, ask["solution"]))
    else:
        choices, replies = list(ask["choices"]), list(ask["choices"].values())
        ask |= {"choices": choices, "replies": replies, "explain": replies[ask["answer"]]}
    words = {name: value for name, value in step.items() if name not in ("sets", "ask")}
    place = {name: value for name, value in sets.items() if name not in _RUN}
    return {**words, **place, **ask, "inputs": _inputs(sets)}


def _overlay(defaults: dict[str, Any], sets: dict[str, Any]) -> dict[str, Any]:
    """What is set, over the defaults; labels belong to the texts that they came with."""
    return defaults | ({"labels": None} if "texts" in sets else {}) | sets


def _inputs(sets: dict[str, Any]) -> dict[str, Any]:
    return {"checkpoint_id": "", **{name: sets.get(name) for name in _RUN}}


def judge(encoder: CachedEncoder, step: Step, checkpoint_id: str, choice: int) -> Reply:
    """Return the verdict on a choice, from the claim evaluated on the inputs of the step."""
    measured = step.measure(encoder, checkpoint_id)
    granted = (one.measure(encoder, measured.run.inputs, step.selected) for one in step.also)
    if wrong := next((one for one in (measured, *granted) if not one.holds), None):
        return Reply("differs", f"{wrong.otherwise(checkpoint_id, step.explain)} {_WRITTEN}", choice)
    kind, first = ("right", "Yes.") if choice == step.answer else ("wrong", "No.")
    return Reply(kind, f"{first} {measured.fill(step.replies[choice])}", choice)


def judge_change(encoder: CachedEncoder, step: Step, inputs: Inputs, selected: Selected) -> Reply:
    """Return the verdict on what a learner made of the inputs, and selected in them."""
    n_texts, n_instructions = len(step.inputs.texts), len(step.inputs.instructions)
    if not step.free and (len(inputs.texts) < n_texts or len(inputs.instructions) < n_instructions):
        return Reply("not-yet", "Some instructions or texts of this step are gone. “Show me” puts them back.")
    try:
        measured = step.claim.measure(encoder, inputs, selected)
    except UserError as missing:  # texts, an instruction or labels of one's own
        return Reply("not-yet", str(missing))
    if measured.holds:
        return Reply("right", f"Done. {measured.fill(step.explain)}")
    return Reply("not-yet", measured.fill(step.not_yet))
