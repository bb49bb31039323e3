"""How instruction and text become one string: what a checkpoint says itself, or else what is known of its family.

Few checkpoints state it in a file: of most the words stand in a model card alone. The table is of November 2026, taken
from the model implementations of mteb 2.26.24, which its authors checked against the cards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from instructor_core.encoder import EncoderError

INSTRUCTION, TEXT = "{instruction}", "{text}"
AS_TYPED = "{instruction}{text}"
COMMAND_LINE_HELP = (
    "of another encoder than INSTRUCTOR, if not as its files say: 'Instruct: {instruction}\\nQuery: {text}'"
)
TABLE_SOURCE = "mteb 2.26.24, November 2026"


@dataclass(frozen=True)
class Family:
    """Checkpoints by a part of their name, and the string that they were trained on."""

    name: str  # regular expression, case does not matter
    template: str
    instructions: tuple[str, ...] = ()  # the wordings that it was trained on, where there are few


FAMILIES = (
    Family("e5.*instruct|e5-mistral|sfr-embedding|linq-embed", "Instruct: {instruction}\nQuery: {text}"),
    Family("qwen3-embedding", "Instruct: {instruction}\nQuery:{text}"),
    Family("harrier-oss", "Instruct: {instruction}\nQuery:{text}"),
    Family("gte-qwen2.*instruct", "Instruct: {instruction}\nQuery: {text}"),
    Family("kalm-embedding", "Instruct: {instruction} \n Query: {text}"),
    Family(
        "embedding-?gemma",
        "task: {instruction} | query: {text}",
        (
            "search result",
            "question answering",
            "fact checking",
            "classification",
            "clustering",
            "sentence similarity",
            "code retrieval",
        ),
    ),
    Family(
        "nomic-embed-text",
        "{instruction}: {text}",
        ("search_query", "search_document", "classification", "clustering"),
    ),
    Family("bge-.*-en", "{instruction} {text}", ("Represent this sentence for searching relevant passages:",)),
)
# Prompts as a checkpoint states them, and the templates that they are cases of.
_STATED = (
    (re.compile(r"Instruct: .+?( ?\n ?)Query:( ?)", re.DOTALL), r"Instruct: {instruction}\1Query:\2{text}"),
    (re.compile(r"task: .+? \| query: "), "task: {instruction} | query: {text}"),
)


@dataclass(frozen=True)
class Template:
    """A string with a place for the instruction and one for the text, and where it comes from."""

    string: str
    source: str

    def prompt(self, instruction: str) -> str:
        """Return all that stands before a text: nothing without an instruction, as for documents in most families.

        An instruction that has a place for the text itself is the whole template of its pair.
        """
        if TEXT in instruction:
            return check(instruction).removesuffix(TEXT)
        if not instruction.strip():
            return ""
        return instruction if self.string == AS_TYPED else fill(self.string, instruction).removesuffix(TEXT)


def check(template: str) -> str:
    """Return a template up to the place for the text; refuse one that goes on behind it, or has none or several."""
    before, _, after = template.partition(TEXT)
    if template.count(TEXT) != 1 or after.strip():
        raise EncoderError(
            f"A template ends with {TEXT}, and has it once: got {template[:80]!r}. What an instruction-tuned encoder "
            f'adds stands before the text; write for example "Instruct: {INSTRUCTION}\\nQuery: {TEXT}".'
        )
    return before + TEXT


def check_for_all(template: str) -> str:
    """Return a template that every instruction goes through; refuse one without a place for it."""
    if INSTRUCTION not in template:
        raise EncoderError(f"A template has a place for the instruction, {INSTRUCTION}: got {template[:80]!r}.")
    return check(template)


def from_command_line(template: str) -> str:
    r"""Return a template in which a line end is written ``\n``."""
    return check_for_all(template.replace("\\n", "\n"))


def fill(template: str, instruction: str) -> str:
    """Return the template with an instruction in its place; without one, or where it is a template itself, that."""
    return (
        template.replace(INSTRUCTION, instruction.strip())
        if instruction.strip() and TEXT not in instruction
        else instruction
    )


def find_template(name: str, prompts: Mapping[str, str], given: str | None = None) -> Template:
    """Return the template of the caller, else that of a checkpoint's own prompts, else that of its family by name."""
    if given is not None:
        return Template(check_for_all(given), "as given")
    for prompt in prompts.values():
        for stated, template in _STATED:
            if match := stated.fullmatch(prompt):
                return Template(match.expand(template), "config_sentence_transformers.json")
    if family := next((one for one in FAMILIES if re.search(one.name, name, re.IGNORECASE)), None):
        return Template(family.template, TABLE_SOURCE)
    return Template(AS_TYPED, "none is known: the instruction stands before the text as it is typed")
