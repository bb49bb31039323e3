"""Labels of real text by rules that answer only where they are sure.

The rules look at punctuation, at the first words and at a few forms of verbs; no parser is needed. High precision is
the aim: most texts get None on most axes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WH = _words("who whom whose what when where why which how")
_AUXILIARIES = _words(
    """
    is are was were am do does did can could will would shall should may might has have had must isn't aren't
    wasn't weren't don't doesn't didn't can't couldn't won't wouldn't shouldn't hasn't haven't
    """
)
_PRONOUNS = _words(
    """
    i you he she it we they this that these those there the a an my your his her our their
    """
)
# Verbs that begin a command; words that are as often nouns (look, call, book) count only before a determiner.
_COMMANDS = _words(
    """
    please don't tell give bring take let let's avoid remember forget ask send add remove keep make get put try
    stop write read compare explain describe choose check find listen imagine consider wash pour turn click
    press open close buy learn enjoy wait come go beware never translate copy
    """
)
_AFTER_COMMAND = _words(
    """
    the a an this that these those my your our his her their me us him them it all some any every each up down
    in out away off to for at about not forget miss worry be do if when with and how what one two on care note
    """
)
_PAST = re.compile(
    r"\b(was|were|did|didn't|had|wasn't|weren't|went|said|came|took|made|got|saw|gave|found|told|became|left|began|"
    r"wrote|bought|thought|knew|brought|kept|won|lost|met|died|wanted|asked|used to)\b"
)
_PRESENT = re.compile(r"\b(is|are|am|isn't|aren't|i'm|it's|we're|they're|you're|does|doesn't|do|don't|has|have)\b")
_FUTURE = re.compile(
    r"\b(will|won't|shall|i'll|you'll|we'll|they'll|he'll|she'll|it'll)\b"
    r"|(\b(am|is|are)( \w+){0,4}|'m|'re|'s) going to\b"
)
_GOING = re.compile(r"\b(going|about) to\b")
_PERFECT = re.compile(r"\b(have|has)\b|\w+ed\b")
_RELATIVE = re.compile(r"(?<=\w )\b(that|which|who|whose) (\w+ )?(will|was|were|had|did|is|are|has|have)\b")
_MODAL = re.compile(r"\b(would|could|should|might|may|can|must|if|to have|let's)\b|'d\b")
_FIRST = re.compile(r"\b(i|me|my|mine|myself|we|us|our|ours|ourselves)\b|\b(i|we)'")
_SECOND = re.compile(r"\b(you|your|yours|yourself|yourselves)\b|\byou'")
_THIRD = re.compile(r"\b(he|she|they|him|his|her|hers|them|their|theirs|himself|herself|themselves)\b")
_NEGATION = re.compile(r"\b(not|never|nobody|nothing|none|neither|nor|nowhere|cannot|no)\b|n't\b")
_WORD = re.compile(r"[a-z0-9][a-z0-9'-]*")
_INNER_END = re.compile(r"[.!?]['\")]* +\S")


def label_by_rule(text: str) -> Mapping[str, str | None]:
    """Label the form of one or more English sentences; None where no rule is sure.

    ``sentence_type`` (statement, question, command, exclamation), ``tense`` (past, present, future), ``person`` (first
    person, second person, third person), ``negation`` (negated, affirmative) and ``length`` (short: at most 6 words,
    medium: 9 to 16, long: 20 and more).
    """
    plain = text.strip().replace("\u2019", "'")
    lowered = plain.lower()
    words = _WORD.findall(lowered)
    if len(words) < 2:
        return dict.fromkeys(("sentence_type", "tense", "person", "negation", "length"))
    one_sentence = not _INNER_END.search(plain)
    kind = _sentence_type(plain, words) if one_sentence else None
    return {
        "sentence_type": kind,
        "tense": _tense(lowered) if one_sentence and kind != "command" else None,
        "person": _person(lowered) if '"' not in plain else None,
        "negation": "negated" if _NEGATION.search(lowered) else "affirmative",
        "length": _length(len(words)),
    }


def _sentence_type(text: str, words: list[str]) -> str | None:
    """Decide by the final mark and the word order of one sentence."""
    first, second = words[0], words[1]
    exclaims = first in ("what", "how") and (second in ("a", "an") or text.endswith("!"))
    inverted = (
        first in _AUXILIARIES and second in _PRONOUNS and not (first == "don't" and second not in ("you", "they"))
    )
    if text.endswith("?"):
        return "question" if first in _WH or inverted or first in _AUXILIARIES else None
    if exclaims and text.endswith(("!", ".")):
        return "exclamation"
    commands = first in _COMMANDS and (second in _AFTER_COMMAND or first in ("please", "don't", "avoid"))
    if commands and text.endswith((".", "!")):
        return "command"
    if text.endswith("!"):
        return "exclamation" if first in ("wow", "hooray", "oh", "ugh", "yay") else None
    subject = first in _PRONOUNS or first in ("nobody", "someone", "people")
    subject = subject and first not in ("that", "these", "those")
    return "statement" if text.endswith(".") and subject and not inverted else None


def _tense(text: str) -> str | None:
    """Decide only where the forms of one tense occur, outside relative clauses and nothing conditional."""
    if _MODAL.search(text) or _RELATIVE.search(text):
        return None
    future = bool(_FUTURE.search(text))
    past = bool(_PAST.search(text))
    present = bool(_PRESENT.search(_FUTURE.sub(" ", text)))
    if future:
        # "are you going to" leaves an "are" that belongs to the future
        return None if past or (present and not _GOING.search(text)) else "future"
    if past == present or _GOING.search(text):
        return None
    return "past" if past else None if _PERFECT.search(text) else "present"


def _person(text: str) -> str | None:
    """Decide only where the pronouns of one person occur."""
    text = text.replace("as we speak", "now")
    found = [
        name
        for name, pattern in (("first person", _FIRST), ("second person", _SECOND), ("third person", _THIRD))
        if pattern.search(text)
    ]
    return found[0] if len(found) == 1 else None


def _length(n_words: int) -> str | None:
    if n_words <= 6:
        return "short"
    if 9 <= n_words <= 16:
        return "medium"
    return "long" if n_words >= 20 else None
