"""Instructions that come with the project: the template of the paper, the tested tasks, and many wordings of a task.

References:
    Su et al. 2023, One Embedder, Any Task: Instruction-Finetuned Text Embeddings, section 2.3, for the template
    `Represent the (domain) (text type) for (objective):`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TypeVar

from instructor_core.errors import UserError

Kind = TypeVar("Kind")

MAX_CANDIDATES = 24
_START = "Represent the "
N_WORDINGS = 5  # of a task
MAX_NAMED = 4  # labels that an instruction can list
_FORMS = ("classifying the {}", "clustering by {}", "identifying the {}", "grouping by {}", "determining the {}")
_CHOICES = (
    *("determining if it is {}", "classifying it as {}", "deciding whether it is {}"),
    *("identifying if it is {}", "telling apart {}"),
)
_NAMES = re.compile(
    r"(?:classif|cluster|identif|group|determin|detect|recogni[sz]|predict)\w+ (?:by )?(?:the |its )?"
    r"(?P<name>\w+(?: \w+)?)"
)
_SHAPE = re.compile(r"represent the (?P<middle>\S.*?)(?:\s+for (?P<objective>\S.*))?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Objective:
    """What an instruction is for."""

    axis: str  # what it tells texts apart by
    objective: str  # the words in the instruction
    mini: bool  # whether the bundled checkpoint was found to follow it


@dataclass(frozen=True)
class Builder:
    """The lists to choose from."""

    domains: tuple[str, ...]
    text_types: tuple[str, ...]
    objectives: tuple[Objective, ...]


@dataclass(frozen=True)
class Slots:
    """An instruction taken apart; `domain` and `objective` are "" where they are left out."""

    domain: str
    text_type: str
    objective: str

    @property
    def instruction(self) -> str:
        """The instruction in its canonical form: a colon and one space at the end."""
        head = _START + " ".join(part for part in (self.domain, self.text_type) if part)
        return f"{head} for {self.objective}: " if self.objective else f"{head}: "


@dataclass(frozen=True)
class TestedTask:
    """A task with labelled texts in `assets/label_sets`: its name in words and a plain instruction that asks for it."""

    name: str
    instruction: str


@dataclass(frozen=True)
class Yardsticks:
    """What any instruction is held against: tested tasks, and instructions that ask for no task at all."""

    tasks: tuple[TestedTask, ...]
    controls: tuple[str, ...]

    @property
    def instructions(self) -> tuple[str, ...]:
        """The instructions of the tasks, then the controls; encode them as they are."""
        return (*(task.instruction for task in self.tasks), *self.controls)


@dataclass(frozen=True)
class _Axis:
    """One axis of `wordings.json`: the names of label columns that it answers for, and its plain instruction."""

    labels: tuple[str, ...]
    plain: str


@dataclass(frozen=True)
class _Wordings:
    """What is read of `wordings.json`."""

    axes: dict[str, _Axis]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class _Labelled:
    """What is read of a line of a label set."""

    labels: dict[str, str]


@dataclass(frozen=True)
class WordedTask:
    """A task and instructions that all ask for it, each in other words."""

    name: str
    wordings: tuple[str, ...]


def bundled(name: str) -> Path:
    """Path of a bundled file: inside the package when it was installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "assets" / name
    return inside if inside.exists() else package.parent / "assets" / name


def read_json(content: bytes | str, kind: type[Kind]) -> Kind:
    """What bundled JSON holds, as a value of this type; what does not fit is refused by name."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind).validate_json(content)


def load_builder() -> Builder:
    """The bundled lists."""
    return read_json(bundled("instruction_builder.json").read_bytes(), Builder)


def yardsticks() -> Yardsticks:
    """The tasks whose labels a label set has, in the order of `wordings.json`, and its `unknown` instructions."""
    folder = bundled("label_sets")
    wordings = read_json((folder / "wordings.json").read_bytes(), _Wordings)
    kinds: set[str] = set()
    for path in folder.glob("*.jsonl"):
        with path.open(encoding="utf-8") as lines:
            kinds.update(read_json(next(lines), _Labelled).labels)
    plain = [axis.plain for axis in wordings.axes.values() if kinds.intersection(axis.labels)]
    # "tense" of "Represent the sentence for classifying its tense:"
    names = [instruction.strip(" :").rpartition("classifying ")[2].removeprefix("its ") for instruction in plain]
    tasks = (TestedTask(name, asked.rstrip() + " ") for name, asked in zip(names, plain, strict=True))
    return Yardsticks(tuple(tasks), tuple(wording.rstrip() + " " for wording in wordings.unknown))


def suggest(*, domains: Sequence[str] = ("",), text_types: Sequence[str], objectives: Sequence[str]) -> tuple[str, ...]:
    """Every combination as an instruction, each once, objectives varying fastest; "" leaves a part out."""
    chosen = [
        [" ".join(word.split()) for word in words] for words in (domains or ("",), text_types, objectives or ("",))
    ]
    if not any(chosen[1]):
        raise UserError("A suggestion needs a text type: got 0. Choose at least 1.")
    combined = (Slots(domain, kind, objective).instruction for domain, kind, objective in product(*chosen) if kind)
    candidates = tuple(dict.fromkeys(combined))
    if len(candidates) > MAX_CANDIDATES:
        raise UserError(
            f"At most {MAX_CANDIDATES} candidates are compared at once: the choice makes {len(candidates)}. "
            "Choose fewer."
        )
    return candidates


def word_tasks(own: Sequence[str], labels: Sequence[str], columns: Sequence[str] = ()) -> tuple[WordedTask, ...]:
    """Tasks with `N_WORDINGS` instructions each: those of own instructions, of label columns, of labels, tested ones.

    What own instructions are about leads: their text type and domain stand in every wording. An own instruction counts
    for the task that its objective names; one in other words than the template's is a task by itself.
    """
    builder = load_builder()
    slots = [parse(instruction, text_types=builder.text_types) for instruction in own]
    like = next((each for each in slots if each is not None), Slots("", "text", ""))
    axes = {entry.axis for entry in builder.objectives}
    found: dict[str, list[str]] = {}
    for instruction in own:
        name = task_name(instruction, builder)
        found.setdefault(name, []).append(instruction)
        if name in axes or name != _objective(instruction):
            found[name] += _word(like, name, _FORMS)
    for column in columns:
        found.setdefault(column, []).extend(_word(like, column, _FORMS))
    names = sorted(set(labels))
    if 2 <= len(names) <= MAX_NAMED and all(name[:1].isalpha() and len(name.split()) <= MAX_NAMED for name in names):
        listed = f"{', '.join(names[:-1])} or {names[-1]}"
        found.setdefault(listed, []).extend(_word(like, listed, _CHOICES))
    for entry in builder.objectives:
        if entry.mini:
            found.setdefault(entry.axis, []).extend(_word(like, entry.objective, ("{}",)))
    for axis in dict.fromkeys(entry.axis for entry in builder.objectives if entry.mini):
        found[axis] += _word(like, axis, _FORMS)
    return _drop_repeated(found, {" ".join(instruction.split()) for instruction in own})


def task_name(instruction: str, builder: Builder) -> str:
    """What an instruction is about: "sentiment" for "Represent the review for classifying the sentiment:"."""
    said = _objective(instruction)
    named = _NAMES.fullmatch(said)
    axes = (entry.axis for entry in builder.objectives if entry.objective == said)
    return next(axes, named["name"] if named else said)


def _objective(instruction: str) -> str:
    """The objective of an instruction, or all of it where it has none."""
    slots = parse(instruction)
    return (slots.objective if slots else "") or instruction.strip(" :.")


def _word(like: Slots, what: str, forms: Sequence[str]) -> list[str]:
    """A task in several words, about the same kind of text."""
    return [Slots(like.domain, like.text_type, form.format(what)).instruction for form in forms]


def _drop_repeated(found: dict[str, list[str]], own: set[str]) -> tuple[WordedTask, ...]:
    """The tasks with no wording twice, cut to `N_WORDINGS` each; own instructions are never cut."""
    seen: set[str] = set()
    tasks = []
    for name, wordings in found.items():
        kept: list[str] = []
        for wording in wordings:
            words = " ".join(wording.split())
            if words and words not in seen and (words in own or len(kept) < N_WORDINGS):
                seen.add(words)
                kept.append(wording)
        if kept:
            tasks.append(WordedTask(name, tuple(kept)))
    return tuple(tasks)


def parse(instruction: str, *, text_types: Sequence[str] = ()) -> Slots | None:
    """The slots of an instruction that follows the template, None for any other.

    The words before "for" end with the text type: one of `text_types` if they end with it, else the last word.
    """
    found = _SHAPE.fullmatch(instruction.strip().rstrip(":;. "))
    if found is None:
        return None
    words = found["middle"].split()
    known = max((len(kind.split()) for kind in text_types if words[-len(kind.split()) :] == kind.split()), default=1)
    objective = " ".join((found["objective"] or "").split())
    return Slots(" ".join(words[:-known]), " ".join(words[-known:]), objective)
