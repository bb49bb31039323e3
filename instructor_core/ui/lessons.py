"""Lessons: read from JSON, checked, and handed to the page as frozen values.

A lesson is a list of steps. Each step says one thing, sets the inputs, opens a view, marks what to look at, asks, and
holds a claim on the numbers; the learner's answer is judged by what the model computes, never by what the file says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from instructor_core.cache import CachedEncoder
from instructor_core.errors import UserError
from instructor_core.ui.claim_format import ClaimError, parse_claim
from instructor_core.ui.claims import Claim, Measured
from instructor_core.ui.inputs import MAX_INSTRUCTIONS, Inputs, join_ready
from instructor_core.ui.page import Selected
from instructor_core.ui.scene import TABS, Option, Scene

LESSONS_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "lessons"
GLOSSARY_FILE = LESSONS_FOLDER.parent / "glossary.json"
WRITTEN_FOR = "instructor-mini"  # the checkpoint on which every claim is tested
MAX_TEXTS = 24
# What a step may mark in the page.
LOOKS = (
    *("#similarity-plots", "#selection-line", "#map-plots", "#token-rows", "#token-plots"),
    *("#explain-sentences", "#explain-rows", "#explain-plots", "#lab-findings", "#lab-table", "#lab-plots"),
    *("#texts", "#text-list", *(f".ic-instruction-{k}" for k in range(MAX_INSTRUCTIONS))),
)


class LessonError(ValueError):
    """A lesson file breaks a rule; the message names the file, the rule and what was got."""


@dataclass(frozen=True)
class Look:
    """What a step marks.

    Attributes:
        at: CSS hook of an element, one of `LOOKS`.
        panel: Letter of one figure inside it; "" for the whole.
        token: A word whose tokens are marked inside it; "" for none.
    """

    at: str
    panel: str = ""
    token: str = ""


@dataclass(frozen=True)
class Step:
    """One thing to understand.

    Attributes:
        say: What is said, in plain language.
        inputs: The run that the step sets, with an empty checkpoint id.
        selected: The texts and the instruction that are selected.
        tab: The view that is opened, one of `TABS`.
        options: Values of options by name; all others have their defaults.
        look: What is marked.
        question: What the learner is asked.
        choices: Answers to choose from; none if the learner is to change something.
        answer: Index of the choice that is right if the claim holds.
        solution: For a change: inputs under which the claim holds, while it does not under ``inputs``; else None.
        not_yet: For a change: what is said while the claim does not hold.
        claim: The assertion on the numbers.
        explain: What is said after the answer, with slots for what was measured.
        reveal: What is selected after the answer, so that the selection does not give it away; None for no change.
    """

    say: str
    inputs: Inputs
    selected: Selected
    tab: str
    options: Mapping[str, Option]
    look: Look
    question: str
    choices: tuple[str, ...]
    answer: int
    solution: Inputs | None
    not_yet: str
    claim: Claim
    explain: str
    reveal: Selected | None

    def scene(self, checkpoint_id: str, inputs: Inputs | None = None) -> Scene:
        """Return the whole scene of the step, or of its solution: nothing of a visitor's is left in it."""
        return Scene(replace(inputs or self.inputs, checkpoint_id=checkpoint_id), self.tab, self.selected, self.options)


@dataclass(frozen=True)
class Lesson:
    """A few steps towards one insight.

    Attributes:
        id: Short name for links, lower case.
        title: What the list shows.
        goal: What a learner can say afterwards, one sentence.
        minutes: How long it takes.
        steps: In order.
    """

    id: str
    title: str
    goal: str
    minutes: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class GlossaryEntry:
    """A term of the field, what it means here, and the lesson that shows it ("" for none)."""

    term: str
    means: str
    lesson: str


@dataclass(frozen=True)
class Verdict:
    """How an answer compares with what the model computed.

    Attributes:
        kind: "right", "wrong", "not-yet" for a change that is not there yet, or "differs" where the checkpoint in use
            does not do what the lesson was written about.
        words: What the learner reads.
        choice: Index of the choice that was made; None for a change.
    """

    kind: str
    words: str
    choice: int | None = None


def judge(encoder: CachedEncoder, step: Step, checkpoint_id: str, choice: int) -> Verdict:
    """Return the verdict on a choice, from the claim evaluated on the inputs of the step."""
    measured = step.claim.measure(encoder, replace(step.inputs, checkpoint_id=checkpoint_id))
    explained = measured.fill(step.explain)
    if not measured.holds:
        return Verdict("differs", f"{checkpoint_id} does otherwise: {_listed(measured)}. {_WRITTEN}", choice)
    if choice == step.answer:
        return Verdict("right", f"Yes. {explained}", choice)
    return Verdict("wrong", f"The model says: {step.choices[step.answer].rstrip('.')}. {explained}", choice)


def judge_change(encoder: CachedEncoder, step: Step, inputs: Inputs) -> Verdict:
    """Return the verdict on what a learner made of the inputs."""
    same_shape = len(inputs.instructions) >= len(step.inputs.instructions) and len(inputs.texts) >= len(
        step.inputs.texts
    )
    if not same_shape:
        return Verdict("not-yet", "Some instructions or texts of this step are gone. “Show me” puts them back.")
    measured = step.claim.measure(encoder, inputs)
    if measured.holds:
        return Verdict("right", f"Done. {measured.fill(step.explain)}")
    return Verdict("not-yet", measured.fill(step.not_yet))


_WRITTEN = f"This lesson was written for {WRITTEN_FOR}; other checkpoints differ, and that is worth a thought too."


def _listed(measured: Measured) -> str:
    return ", ".join(f"{slot.replace('_', ' ')} {words}" for slot, words in measured.numbers)


# ---- reading ---------------------------------------------------------------------------------------------------------


def load_lessons(folder: Path = LESSONS_FOLDER) -> tuple[Lesson, ...]:
    """Return the lessons of a folder in the order of their file names.

    Raises:
        LessonError: If there is no lesson, if a file breaks a rule, or if two files share an id.
    """
    files = sorted(folder.glob("*.json"))
    _require(bool(files), f"{folder}: a folder of lessons needs at least one .json file, got none.")
    lessons = tuple(parse_lesson(file.read_text(encoding="utf-8"), source=file.name) for file in files)
    ids = [lesson.id for lesson in lessons]
    _require(len(set(ids)) == len(ids), f"{folder}: ids must differ, got {ids}.")
    return lessons


def parse_lesson(content: str, *, source: str) -> Lesson:
    """Return the lesson that a JSON text describes.

    Args:
        content: The JSON text.
        source: Where it comes from, for the error message.

    Raises:
        LessonError: If the text is not JSON or breaks a rule of the format.
    """
    try:
        return _lesson(json.loads(content))
    except json.JSONDecodeError as error:
        raise LessonError(f"{source}: not valid JSON ({error}).") from error
    except (LessonError, ClaimError, UserError) as error:
        raise LessonError(f"{source}: {error}") from error


def load_glossary(lessons: Sequence[Lesson], file: Path = GLOSSARY_FILE) -> tuple[GlossaryEntry, ...]:
    """Return the terms in alphabetical order.

    Raises:
        LessonError: If an entry breaks a rule or names a lesson that is not there.
    """
    entries = []
    known = {"", *(lesson.id for lesson in lessons)}
    for value in json.loads(file.read_text(encoding="utf-8")):
        _fields(value, f"{file.name}: an entry", required=("term", "means"), optional=("lesson",))
        entry = GlossaryEntry(_words(value, "term"), _words(value, "means"), str(value.get("lesson", "")))
        _require(
            entry.lesson in known, f"{file.name}: {entry.term!r} names a lesson {entry.lesson!r} that is not there."
        )
        entries.append(entry)
    return tuple(sorted(entries, key=lambda entry: entry.term.lower()))


def _lesson(value: Any) -> Lesson:
    _fields(value, "a lesson", required=("id", "title", "goal", "minutes", "sets", "steps"))
    identifier = _words(value, "id")
    _require(
        re.fullmatch(r"[a-z][a-z0-9-]*", identifier) is not None,
        f"id must be lower case letters, digits and hyphens, got {identifier!r}.",
    )
    minutes = value["minutes"]
    _require(type(minutes) is int and 1 <= minutes <= 10, f"minutes must be 1 to 10, got {minutes!r}.")
    steps = value["steps"]
    _require(isinstance(steps, list) and 2 <= len(steps) <= 6, "a lesson has 2 to 6 steps.")
    parsed = []
    for number, step in enumerate(steps, start=1):
        try:
            parsed.append(_step(step, value["sets"]))
        except (LessonError, ClaimError, UserError) as error:
            raise LessonError(f"step {number}: {error}") from error
    return Lesson(identifier, _words(value, "title"), _words(value, "goal"), minutes, tuple(parsed))


def _step(value: Any, defaults: Any) -> Step:
    _fields(value, "a step", required=("say", "look", "ask", "claim", "explain"), optional=("sets", "reveal"))
    sets = _merged(defaults, value.get("sets", {}))
    inputs = _inputs(sets)
    ask = value["ask"]
    _fields(ask, "ask", required=("question",), optional=("choices", "answer", "solution", "not_yet"))
    claim = parse_claim(value["claim"], inputs)
    step = Step(
        say=_words(value, "say"),
        inputs=inputs,
        selected=_selected(sets.get("selected", [0, 1, 0]), inputs),
        tab=_one_of("tab", sets.get("tab", "similarity"), tuple(TABS)[:-1]),
        options=_options(sets.get("options", {})),
        look=_look(value["look"]),
        question=_words(ask, "question"),
        choices=(),
        answer=0,
        solution=None,
        not_yet="",
        claim=claim,
        explain=_sentence(_words(value, "explain"), claim),
        reveal=_selected(value["reveal"], inputs) if "reveal" in value else None,
    )
    if "choices" in ask:
        choices, answer = ask["choices"], ask.get("answer")
        _require(set(ask) == {"question", "choices", "answer"}, f"a choice has choices and answer, got {sorted(ask)}.")
        _require(isinstance(choices, list) and 2 <= len(choices) <= 4, f"2 to 4 choices are allowed, got {choices!r}.")
        _require(len(set(choices)) == len(choices), f"choices must differ, got {choices!r}.")
        _require(type(answer) is int and 0 <= answer < len(choices), f"answer must be an index, got {answer!r}.")
        return replace(step, choices=tuple(choices), answer=answer)
    _require(set(ask) == {"question", "solution", "not_yet"}, f"a change has solution and not_yet, got {sorted(ask)}.")
    solution = _inputs(_merged(sets, ask["solution"]))
    return replace(step, solution=solution, not_yet=_sentence(_words(ask, "not_yet"), claim))


def _merged(defaults: Any, sets: Any) -> dict[str, Any]:
    names = ("instructions", "texts", "labels", "selected", "tab", "options")
    for value in (defaults, sets):
        _fields(value, "sets", required=(), optional=names)
    merged = {**defaults, **sets}
    if "texts" in sets and "labels" not in sets:
        merged.pop("labels", None)  # labels belong to the texts they came with
    return merged


def _inputs(sets: dict[str, Any]) -> Inputs:
    for name in ("instructions", "texts"):
        value = sets.get(name)
        _require(isinstance(value, list) and all(isinstance(item, str) for item in value), f"{name} must be a list.")
    instructions, texts = sets["instructions"], sets["texts"]
    _require(1 <= len(instructions) <= MAX_INSTRUCTIONS, f"1 to {MAX_INSTRUCTIONS} instructions, got {instructions!r}.")
    _require(1 <= len(texts) <= MAX_TEXTS, f"1 to {MAX_TEXTS} texts are allowed, got {len(texts)}.")
    _require(all(text == text.strip() != "" for text in texts), "a text must not be empty or padded with spaces.")
    labels = sets.get("labels")
    fits = labels is None or (isinstance(labels, list) and len(labels) == len(texts))
    _require(fits, "labels must be as many as texts.")
    return Inputs("", tuple(map(join_ready, instructions)), tuple(texts), None if labels is None else tuple(labels))


def _selected(value: Any, inputs: Inputs) -> Selected:
    is_three = isinstance(value, list) and len(value) == 3 and all(type(item) is int for item in value)
    _require(is_three, f"selected must be [row, column, instruction], got {value!r}.")
    selected = Selected(*value)
    fits = min(value) >= 0 and selected == selected.within(inputs)
    _require(fits, f"selected must lie inside the inputs, got {value!r}.")
    return selected


def _options(value: Any) -> Mapping[str, Option]:
    plain = isinstance(value, dict) and all(isinstance(entry, str | int | float) for entry in value.values())
    _require(plain, f"options must be values by name, got {value!r}.")
    return dict(value)


def _look(value: Any) -> Look:
    _fields(value, "look", required=("at",), optional=("panel", "token"))
    return Look(_one_of("look.at", value["at"], LOOKS), str(value.get("panel", "")), str(value.get("token", "")))


def _sentence(words: str, claim: Claim) -> str:
    slots = set(re.findall(r"\{([^}]*)\}", words))
    _require(slots <= set(claim.slots), f"{claim.kind!r} measures {claim.slots}, got the slots {sorted(slots)}.")
    _require(
        re.search(r"\d[.,]\d|\d ?%", words) is None, f"a measured number is a slot, never typed in: got {words[:60]!r}."
    )
    return words


def _one_of(name: str, value: Any, allowed: Sequence[str]) -> str:
    _require(value in allowed, f"{name} must be one of {list(allowed)}, got {value!r}.")
    return str(value)


def _words(value: dict[str, Any], name: str) -> str:
    words = value[name]
    _require(
        isinstance(words, str) and words == words.strip() != "",
        f"{name} must be text without outer spaces, got {words!r}.",
    )
    return str(words)


def _fields(value: Any, what: str, *, required: Sequence[str], optional: Sequence[str] = ()) -> None:
    _require(isinstance(value, dict), f"{what} must be a JSON object, got {type(value).__name__}.")
    missing = [name for name in required if name not in value]
    _require(not missing, f"{what} lacks the fields {missing}.")
    unknown = sorted(set(value) - {*required, *optional})
    _require(not unknown, f"{what} has unknown fields {unknown}; allowed are {[*required, *optional]}.")


def _require(rule_holds: bool, message: str) -> None:
    if not rule_holds:
        raise LessonError(message)
