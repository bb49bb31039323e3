"""English sentences with labels that are certain by construction.

`data/lexicon.json` holds topics (nouns, people, events, activities), lists of phrases and, for every kind of sentence,
templates under the labels that they carry. A sentence is a template filled from one topic, so every topic occurs with
every label. `{thing}`, `{event}`, `{person}` and `{any}` are nouns with a determiner, `{the thing}`, `{a thing}` and
`{b thing}` fix it, `{is}` or `{it}` agree with a noun, `{acted}` inflects an activity, other names are lists.

Kept out of training (`held_out=True` draws from nothing else): the topics listed in the lexicon; every noun, phrase,
activity and template whose hash falls in one part of five, but for a list of everyday ones; and whatever contains a
noun or adjective that is held out.
Names, dates, numbers, openers and pronouns are shared.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from instructor_core.errors import UserError

_LEXICON: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "lexicon.json").read_text(encoding="utf-8"))
_SHARED_LISTS = frozenset(
    ("past", "future", "habit", "now", "when", "number", "first", "city", "opener", "fact", "context")
)
_NOUN_FIELDS = ("one", "many", "mass", "people", "events")
_ROLES = {"one": "thing", "many": "thing", "mass": "thing", "people": "person", "events": "event"}
_SLOT = re.compile(r"\{([^}]+)\}")
_NOUN_SLOT = re.compile(r"(?:(the|a|A|b|B|a\+|a-|a n|a better|a worse) )?(thing|event|person|any|sone|many)")
_DETERMINERS = ("the",) * 6 + ("this", "this", "that", "my", "my", "our", "your", "the new")
_AGREEMENT = {  # slot: with a singular, with a plural noun
    "is": ("is", "are"),
    "was": ("was", "were"),
    "has": ("has", "have"),
    "does": ("does", "do"),
    "s": ("s", ""),
}
_SUBJECT_FORMS = {  # slot: with "I", with "she", with a plural
    "am": ("am", "is", "are"),
    "wasS": ("was", "was", "were"),
    "do": ("do", "does", "do"),
    "have": ("have", "has", "have"),
    "Ss": ("", "s", ""),
}
_PERSONS = {"1": "first person", "2": "second person", "3": "third person"}
_CONTRACTIONS = tuple(
    (re.compile(rf"\b{long}(?= \w)"), short)
    for long, short in (
        ("I am", "I'm"),
        ("it is", "it's"),
        ("did not", "didn't"),
        ("do not", "don't"),
        ("does not", "doesn't"),
        ("will not", "won't"),
        ("cannot", "can't"),
        ("I would(?! not)", "I'd"),
        ("we will", "we'll"),
    )
)
_SENTENCE_START = re.compile(r"(?<=[.!?] )[a-z]")
_NEGATION = re.compile(r"\b(not|never|nobody|no|nothing|won't)\b|n't\b")


@dataclass(frozen=True)
class Labelled:
    """One to three sentences, and their labels by axis, such as ``{"topic": "food", "sentiment": "negative"}``."""

    text: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class _Noun:
    """A noun phrase without its determiner; ``field`` is its list in the topic."""

    text: str
    field: str
    pronouns: tuple[str, str]

    @property
    def plural(self) -> bool:
        return self.field == "many"


@dataclass(frozen=True)
class _Part:
    """The words of one side of the split: everything that training may draw, or everything that it may not."""

    topics: Mapping[str, Mapping[str, Sequence[str]]]
    lists: Mapping[str, Sequence[str]]
    cells: Mapping[str, Sequence[tuple[Mapping[str, str], Sequence[str]]]]
    clauses: Mapping[str, Mapping[str, Sequence[str]]]


KINDS: dict[str, tuple[str, ...]] = {
    kind: tuple(dict.fromkeys(["topic", *(axis for cell in spec["cells"] for axis in cell["labels"])]))
    for kind, spec in _LEXICON["kinds"].items()
}
"""Kinds of sentences and the axes of their labels; a label may be absent where it would not be certain."""

FRAMES: dict[str, str] = {kind: frame["axis"] for kind, frame in _LEXICON["frames"].items()}
"""Kinds of frames and the axis of the clause that each adds."""


def generate(kind: str, n: int, seed: int, *, held_out: bool = False) -> list[Labelled]:
    """Make n sentences of one kind; topic and the other labels are drawn independently and uniformly.

    With ``held_out`` they are drawn only from the words, templates and topics that training never sees.
    """
    if kind not in KINDS:
        raise UserError(f"A kind of sentence must be one of {', '.join(KINDS)}: got {kind!r}. Choose one of them.")
    part, rng = _part(held_out), random.Random(f"{kind} {seed} {held_out}")
    return [_sentence(kind, part, rng) for _ in range(n)]


def frame(kind: str, snippet: str, rng: random.Random, *, held_out: bool = False) -> Labelled:
    """Join a text with a clause that carries a label, so that labels occur on arbitrary texts.

    The text's own label on this axis is not looked at; ``held_out`` is as in ``generate``.
    """
    if kind not in FRAMES:
        raise UserError(f"A kind of frame must be one of {', '.join(FRAMES)}: got {kind!r}. Choose one of them.")
    clauses = _part(held_out).clauses[kind]
    label = rng.choice(list(clauses))
    clause = rng.choice(clauses[label])
    text = snippet.strip()
    text = text if text[-1:] in ".!?\"'" else text + "."
    if "{x}" in clause:
        joined = clause.replace("{x}", text)
    else:
        joined = f"{text} {_capitalise(clause)}" if rng.random() < 0.7 else f"{_capitalise(clause)} {text}"
    joined = _capitalise(joined)
    return Labelled(joined.lower() if rng.random() < 0.12 else joined, {FRAMES[kind]: label})


def _sentence(kind: str, part: _Part, rng: random.Random) -> Labelled:
    spec = _LEXICON["kinds"][kind]
    topic = rng.choice(list(part.topics))
    cell, templates = rng.choice(part.cells[kind])
    template = rng.choice(templates)
    text = _fill(template, part, part.topics[topic], rng)
    is_statement = cell.get("sentence_type", "statement") == "statement"
    if spec["context"] and is_statement and rng.random() < 0.12:
        text = f"{_fill('{context}', part, part.topics[topic], rng)} {text}"
    elif spec["opener"] and rng.random() < 0.12:
        # "you know, ..." would turn a command into a statement
        openers = part.lists["opener"][:5] if cell.get("sentence_type") == "command" else part.lists["opener"]
        text = f"{rng.choice(openers)} {text}"
    labels = {"topic": topic, **cell}
    if kind == "grammar":
        labels["negation"] = "negated" if _NEGATION.search(text) else "affirmative"
    if kind != "format":
        text = _vary(text, rng, contract=cell.get("formality") != "formal")
    return Labelled(_capitalise(text) if kind == "format" else text, labels)


def _vary(text: str, rng: random.Random, *, contract: bool) -> str:
    """Vary contractions, capitals and the final mark; a mark that decides the sentence type is never exchanged."""
    if contract and rng.random() < 0.6:
        for pattern, short in _CONTRACTIONS:
            text = pattern.sub(short, text)
    text = _SENTENCE_START.sub(lambda match: match[0].upper(), _capitalise(text))
    chance = rng.random()
    if chance < 0.1:
        text = text.lower()
    elif chance < 0.12:
        text = text.upper()
    chance = rng.random()
    if (text.endswith(".") and chance < 0.12) or (text.endswith("?") and chance < 0.06):
        text = text[:-1]
    elif text.endswith("!") and chance < 0.08:
        text += "!"
    return text


def _fill(template: str, part: _Part, topic: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    """Fill the slots of a template from one topic."""
    subject, number = "", 0
    match = re.search(r"\{([123])\}", template)
    if match:
        forms = _LEXICON["subjects"][_PERSONS[match[1]]]
        form = rng.choice([form for form, texts in forms.items() for _ in texts])
        number = {"I": 0, "she": 1}.get(form, 2)
        subject = rng.choice(forms[form])
        template = template.replace(match[0], subject)
    while True:  # a phrase from a list may hold slots itself
        expanded = _SLOT.sub(lambda m: rng.choice(part.lists[m[1]]) if m[1] in part.lists else m[0], template)
        if expanded == template:
            break
        template = expanded
    return _resolve(_SLOT.split(template), part, topic, rng, number)


def _resolve(
    pieces: list[str], part: _Part, topic: Mapping[str, Sequence[str]], rng: random.Random, number: int
) -> str:
    """Replace every second piece, which is a slot, by its words."""
    nouns: dict[int, _Noun] = {}
    used: set[str] = set()
    for place in range(1, len(pieces), 2):
        match = _NOUN_SLOT.fullmatch(pieces[place])
        if match:
            nouns[place] = _draw_noun(match[2], topic, rng, used)
            used.add(nouns[place].text)
    last = next(iter(nouns.values()), _Noun("", "one", ("it", "it")))
    acts: list[str] = []
    words = list(pieces)
    for place in range(1, len(pieces), 2):
        slot = pieces[place]
        after = pieces[place + 1]
        if place in nouns:
            last = nouns[place]
            words[place] = _noun_phrase(slot, last, part, rng)
        elif slot in _AGREEMENT:
            # "{is} {the thing}" agrees with the noun that follows
            agrees = nouns[place + 2] if after == " " and place + 2 in nouns else last
            words[place] = _AGREEMENT[slot][agrees.plural]
        elif slot == "it":
            is_subject = after == " " or after.startswith((" made", " ruined"))
            words[place] = last.pronouns[0 if is_subject else 1]
        elif slot.removesuffix("Q").replace("was", "wasS") in _SUBJECT_FORMS and slot.endswith("Q"):
            words[place] = _SUBJECT_FORMS[slot.removesuffix("Q").replace("was", "wasS")][number]
        elif slot in _SUBJECT_FORMS:
            words[place] = _SUBJECT_FORMS[slot][number]
        elif slot.startswith("act"):
            act = rng.choice([act for act in topic["acts"] if act not in acts] or topic["acts"])
            acts.append(act)
            words[place] = inflect(act, "act" if slot == "acts" and number != 1 else slot.rstrip("2"))
        elif slot == "tag":
            words[place] = re.sub(r"\W", "", rng.choice(topic["one"]))
        else:
            words[place] = _judgement(slot, _ROLES[last.field], part, topic, rng)
    return "".join(words).replace("that that ", "that the ")


def _draw_noun(role: str, topic: Mapping[str, Sequence[str]], rng: random.Random, used: set[str]) -> _Noun:
    if role == "any":
        role = "thing" if rng.random() < 0.7 else "event"
    fields = {"thing": ("one", "one", "one", "one", "many", "many", "mass"), "sone": ("one",), "many": ("many",)}
    options = fields.get(role, ("people",) if role == "person" else ("events",))
    field = rng.choice([field for field in options if topic[field]] or ["one"])
    text = rng.choice([noun for noun in topic[field] if noun not in used] or topic[field])
    pronouns = {"many": ("they", "them"), "people": rng.choice((("she", "her"), ("he", "him")))}
    return _Noun(text, field, pronouns.get(field, ("it", "it")))


def _noun_phrase(slot: str, noun: _Noun, part: _Part, rng: random.Random) -> str:
    form = slot.rpartition(" ")[0]
    if form == "":
        person = noun.field == "people"
        form = rng.choice(("the", "the", "the", "our", "that") if person else _DETERMINERS)
        if noun.plural:
            form = {"this": "these", "that": "those"}.get(form, form)
        return f"{form} {noun.text}"
    if form == "the":
        return f"the {noun.text}"
    if form == "b":
        return noun.text
    if form == "B":
        return " ".join(word[0].upper() + word[1:] for word in noun.text.split())
    lists = {"a+": "adj_good", "a-": "adj_bad", "a n": "adj_neutral"}
    text = noun.text
    if form in lists:
        text = f"{rng.choice(part.lists[lists[form]])} {text}"
    elif form in ("a better", "a worse"):
        text = f"{form[2:]} {text}"
    if noun.field in ("many", "mass"):
        return text if form not in ("a", "A") else f"{form.replace('a', 'some').replace('A', 'Some')} {text}"
    article = "an" if re.match(r"[aeiou]|x-|hour", text, re.IGNORECASE) else "a"
    return f"{article.capitalize() if form == 'A' else article} {text}"


def _judgement(slot: str, role: str, part: _Part, topic: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    """Return a phrase that follows a form of "be" and suits the noun before it."""
    if slot in ("adjg", "adjb"):
        return rng.choice(part.lists["adj_good" if slot == "adjg" else "adj_bad"])
    role = {"e": "event", "p": "person"}.get(slot[-1], role) if slot not in ("good", "bad", "neutral") else role
    quality = "good" if slot.startswith("good") else "bad" if slot.startswith("bad") else "neutral"
    if role == "thing" and quality != "neutral" and topic[quality] and rng.random() < 0.45:
        return rng.choice(topic[quality])
    return rng.choice(part.lists[f"{quality}_{'any' if role == 'thing' else role}"])


@lru_cache(maxsize=4096)
def inflect(act: str, form: str) -> str:
    """Inflect the verb that begins an activity: ``inflect("cook dinner", "acted")`` is ``"cooked dinner"``."""
    verb, space, rest = act.partition(" ")
    verbs = _LEXICON["verbs"]
    stem = verb + verb[-1] if verb in verbs["doubled"] else verb
    ends_in_consonant_y = verb.endswith("y") and verb[-2] not in "aeiou"
    if form == "acted":
        regular = verb[:-1] + "ied" if ends_in_consonant_y else stem + ("d" if verb.endswith("e") else "ed")
        verb = verbs["past"].get(verb, regular)
    elif form == "acting":
        verb = (verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else stem) + "ing"
    elif form == "acts":
        hisses = verb.endswith(("s", "sh", "ch", "x", "z", "o"))
        verb = verb[:-1] + "ies" if ends_in_consonant_y else verb + ("es" if hisses else "s")
    return verb + space + rest


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]


def _is_drawn(text: str) -> bool:
    """Whether the stable hash of a text falls in the part that is held out."""
    held_out = _LEXICON["held_out"]
    one_in: int = held_out["one_in"]
    hashed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())
    return hashed % one_in == 0 and text not in held_out["always_trained"]


@lru_cache(maxsize=1)
def held_out_words() -> frozenset[str]:
    """Return the nouns and adjectives that never occur in a training sentence."""
    topics = _LEXICON["topics"]
    nouns = {
        noun
        for name, topic in topics.items()
        for field in _NOUN_FIELDS
        for noun in topic[field]
        if name in _LEXICON["held_out"]["topics"] or _is_drawn(noun)
    }
    adjectives = (word for name in ("adj_good", "adj_bad", "adj_neutral") for word in _LEXICON["lists"][name])
    return frozenset(nouns | {word for word in adjectives if _is_drawn(word)})


@lru_cache(maxsize=1)
def _held_out_pattern() -> re.Pattern[str]:
    return re.compile(r"\b(" + "|".join(map(re.escape, sorted(held_out_words()))) + r")\b", re.IGNORECASE)


def _choose(texts: Sequence[str], held_out: bool) -> list[str]:
    held = [text for text in texts if _is_drawn(text) or _held_out_pattern().search(text)]
    if not held_out:
        return [text for text in texts if text not in held]
    return held or list(texts[-1:])


def _choose_templates(texts: Sequence[str], held_out: bool) -> list[str]:
    """Split templates; where the hash holds out none, the last one is held out."""
    held = [text for text in texts if _is_drawn(text) or _held_out_pattern().search(_SLOT.sub("", text))]
    held = held or list(texts[-1:])
    return held if held_out else [text for text in texts if text not in held]


@lru_cache(maxsize=2)
def _part(held_out: bool) -> _Part:
    topics: dict[str, dict[str, list[str]]] = {}
    for name, topic in _LEXICON["topics"].items():
        whole = name in _LEXICON["held_out"]["topics"]
        if whole and not held_out:
            continue
        topics[name] = {key: list(v) if whole else _choose(v, held_out) for key, v in topic.items()}
    lists = {
        name: list(texts) if name in _SHARED_LISTS else _choose_templates(texts, held_out)
        for name, texts in _LEXICON["lists"].items()
    }
    cells = {
        kind: [(cell["labels"], _choose_templates(cell["templates"], held_out)) for cell in spec["cells"]]
        for kind, spec in _LEXICON["kinds"].items()
    }
    clauses = {
        kind: {label: _choose_templates(texts, held_out) for label, texts in spec["clauses"].items()}
        for kind, spec in _LEXICON["frames"].items()
    }
    return _Part(topics, lists, cells, clauses)
