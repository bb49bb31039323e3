"""Twins: two sentences that differ in one label alone, a claim and its negation, or one made certain and one doubtful.

A model tells the topics of texts before all else; only texts whose topics are the same teach it to look elsewhere.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

from instructor_core.train.mini.rules import label_by_rule

_WORDS: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "twins.json").read_text(encoding="utf-8"))
_NEGATED = re.compile(
    r"\b(not|never|no|nobody|nothing|none|neither|nor|nowhere|cannot|without|hardly|barely|scarcely)\b|n't\b", re.I
)
_QUESTION = re.compile(r"\?|^(how|what|when|where|which|who|why)\b", re.I)
_AUXILIARY = re.compile(rf"\b({'|'.join(_WORDS['contracted'])}|must|am)\b(?= \w)")
_PAST = re.compile(rf"(?<!\ba )(?<!\ban )(?<!\bthe )\b({'|'.join(_WORDS['base_forms'])})\b")
_PRESENT = re.compile(rf"\b({'|'.join(_WORDS['present'])})\b")
_PERFECT = re.compile(r"\b(has|have|had|be|been|being|to)\b")
_REPLACEMENTS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern), new) for pattern, new in _WORDS["replacements"]
]
_CLAIM_VERB = re.compile(rf"\b({'|'.join(_WORDS['certain_verbs'])})\b(?= \w)")
_HEDGED = re.compile(
    r"\b(might|may|maybe|perhaps|sure|certain|definitely|probably|think|possibly|doubt|could|guess|suppose|if|seems?)\b",
    re.I,
)
_NO_CLAIM = re.compile(r'(please|don\'t|let|wow|oh|but|and|or|so|yes|no)\b|.*(["“”:;]|[.!?] \S)', re.I)
_LOWERED = re.compile(  # first words that no name begins with
    r"(the|an?|it|he|she|they|we|you|this|that|these|those|there|my|our|your|his|her|its|their|some|all|one|two|three|"
    r"many|most|every|each|both|people|children|everyone|in|on|at|after|before|with|during|as|to)\b",
    re.I,
)


def negate(text: str, rng: random.Random) -> str | None:
    """Return the negation of an affirmative sentence, or None where no simple change makes one."""
    if not 12 <= len(text) <= 110 or _QUESTION.search(text) or _NEGATED.search(text):
        return None
    if rng.random() < 0.35:
        for pattern, new in rng.sample(_REPLACEMENTS, len(_REPLACEMENTS)):
            changed = pattern.sub(new, text, count=1)
            if changed != text:
                return changed[0].upper() + changed[1:]
    past, auxiliary = _PAST.search(text), _AUXILIARY.search(text)
    # After an auxiliary a past form is a participle ("was found"), which "did not" cannot precede.
    if past and not (auxiliary and auxiliary.start() < past.start()) and not _PERFECT.search(text[: past.start()]):
        denied = rng.choice(("did not", "didn't", "didn't"))
        return _exchange(text, past, f"{denied} {_WORDS['base_forms'][past[1]]}")
    if auxiliary:
        verb = auxiliary[1]
        short = _WORDS["contracted"].get(verb, f"{verb} not")
        negated = rng.choice((f"{verb} not", short, short, f"{verb} never"))
        return _exchange(text, auxiliary, negated.replace("can not", "cannot"))
    present = _PRESENT.search(text)
    if present:
        base = present[1].removesuffix("s")
        return _exchange(text, present, rng.choice((f"does not {base}", f"doesn't {base}", f"never {present[1]}")))
    return None


def claim(text: str, rng: random.Random, *, certain: bool) -> str | None:
    """Return a statement as somebody says it who is certain, or in doubt; None where it is no plain statement."""
    if not text.endswith(".") or len(text) > 90 or _HEDGED.search(text) or _NO_CLAIM.match(text):
        return None
    if label_by_rule(text)["sentence_type"] == "command":
        return None
    body = text.rstrip(".")
    verb = _CLAIM_VERB.search(body)
    if not (verb or _PAST.search(body) or _PRESENT.search(body)):
        return None  # a heading or a list
    if verb and rng.random() < 0.45:
        verbs: dict[str, list[str]] = _WORDS["certain_verbs" if certain else "doubtful_verbs"]
        return f"{_exchange(body, verb, rng.choice(verbs[verb[1]]))}."
    frames: list[str] = _WORDS["certain" if certain else "doubtful"]
    if _LOWERED.match(body):
        body_inside = body[0].lower() + body[1:]
    elif body.startswith(("I ", "I'")):
        body_inside = body
    else:  # perhaps a name: it stays in front
        frames, body_inside = [frame for frame in frames if "{X}" in frame], body
    made = rng.choice(frames).replace("{x}", body_inside).replace("{X}", body)
    return made if made.endswith(".") else f"{made}."


def _exchange(text: str, match: re.Match[str], new: str) -> str:
    return text[: match.start()] + new + text[match.end() :]
