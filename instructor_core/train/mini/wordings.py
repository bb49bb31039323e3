"""Instruction wordings: the many ways in which a person may name the axis that texts are to be compared by.

A model that has met each axis under one wording follows that wording alone. Here every axis gets thousands: a third in
the paper's form ("Represent the review for classifying the sentiment: "), a third written by hand
(`data/wordings.json`), a third from a grammar (`data/grammar.json`: names, indirect clauses, questions, classes and
whole phrases of each axis, poured into frames that all axes share).

The same grammar also fills the same frames with attributes that no text shows ("the age of the author"), so that a
model can tell known from unknown by the attribute only, never by the frame.
"""

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from instructor_core.errors import UserError
from instructor_core.train.mini.grammar import (
    ENTRIES,
    FAMILIES,
    KEPT,
    Filler,
    Vocabulary,
    all_strings,
    normalise,
    split,
    split_vocabulary,
)

DATA = Path(__file__).parent / "data"

UNKNOWN = "unknown"
"""The name under which the grammar keeps the attributes that the model must not follow."""

_SMALL_WORDS = {"the", "a", "an", "by", "of", "is", "are", "this", "each", "these", "it", "to", "for", "in", "with"}
_ENDINGS = {": ": 50, " ": 20, ". ": 11, "; Input: ": 5, ":\n ": 4, " - ": 3, " : ": 3, "; ": 2, "! ": 1, ", ": 1}
_PLAIN_ENDINGS = {": ": 80, "; Input: ": 10, " ": 5, ". ": 5}


class TrainingWordings:
    """Draws training instructions for the trained axes, and neutral ones: pure functions of arguments and `rng`.

    The folder holds `grammar.json` and, if there are wordings written by hand, `wordings.json`.
    """

    axes: tuple[str, ...]
    """The trained axes. Axes kept for evaluation have no wordings at all."""

    def __init__(self, folder: Path = DATA) -> None:
        grammar = json.loads((folder / "grammar.json").read_text(encoding="utf-8"))
        by_hand = folder / "wordings.json"
        hand = json.loads(by_hand.read_text(encoding="utf-8")) if by_hand.is_file() else {}
        corpus = all_strings(grammar)
        self.axes = tuple(grammar["axes"])
        self._frames: Mapping[str, list[str]] = grammar["frames"]
        self._held_frames: Mapping[str, list[str]] = grammar["held_out_frames"]
        self._random_words: list[str] = grammar["random_words"]
        self._small_talk: list[str] = grammar["small_talk"]
        words = {key: split(key, entries, 3, corpus) for key, entries in grammar["words"].items()}
        self._words = {key: kept for key, (kept, _) in words.items()}
        self._held_words = {key: held or kept for key, (kept, held) in words.items()}
        self._seen: dict[str, Vocabulary] = {}
        self._held: dict[str, Vocabulary] = {}
        for axis, lists in [*grammar["axes"].items(), (UNKNOWN, grammar[UNKNOWN])]:
            self._seen[axis], self._held[axis] = split_vocabulary(axis, lists, corpus)
        unknown = list(self._seen[UNKNOWN].entries["names"])
        self._others = {UNKNOWN: unknown}
        for axis in self.axes:
            far = [a for a in grammar["contrasts"] if a != axis and a not in grammar["near"].get(axis, [])]
            known = [name for other in far for name in grammar["contrasts"][other]]
            self._others[axis] = known * 3 + unknown[:40]
        self._never = {axis: set(map(normalise, self.held_out_entries(axis))) for axis in self.axes}
        self._hand: dict[str, list[str]] = {}
        for axis in self.axes:
            written = map(_bare, hand.get("axes", {}).get(axis, []))
            self._hand[axis] = [wording for wording in written if not _contains(wording, self._never[axis])]
        # A neutral wording with the name of a trained axis in it would teach the opposite of that axis's own wordings.
        names = {normalise(name) for axis in self.axes for name in grammar["axes"][axis]["names"]}
        self._hand[UNKNOWN] = [w for w in map(_bare, hand.get("unknown_axes", [])) if not _contains(w, names)]
        self._hand_neutral = [w for w in map(_bare, hand.get("neutral", [])) if not _contains(w, names)]
        self._similarity: list[str] = grammar["similarity"]
        self._retrieval: list[str] = grammar["retrieval"]

    def draw(self, axis: str, rng: random.Random, *, text_type: str = "", classes: Sequence[str] = ()) -> str:
        """Return one training instruction for `axis`: a third plain, a third by hand, a third from the grammar.

        It is ready to be joined with a text: it ends with exactly one space. `text_type` is what a text of the batch is
        called ("review"), any word for texts when empty; some wordings name two or more of the batch's `classes`.
        """
        self._check(axis)
        text = self._draw(axis, rng, text_type=text_type, classes=classes)
        while _contains(text, self._never[axis]):  # "tell me" + "how urgent it is" may add up to a phrase held out
            text = self._draw(axis, rng, text_type=text_type, classes=classes)
        return text

    def plain(self, axis: str, rng: random.Random, *, text_type: str = "", classes: Sequence[str] = ()) -> str:
        """Return an instruction in the form of the INSTRUCTOR paper: domain, text type and task objective."""
        self._check(axis)
        text = self._plain(axis, rng, text_type=text_type, classes=classes)
        while _contains(text, self._never[axis]):
            text = self._plain(axis, rng, text_type=text_type, classes=classes)
        return text

    def neutral(self, rng: random.Random) -> str:
        """Return an instruction that no axis answers: the model must fall back on plain similarity.

        Plain similarity and retrieval are asked for by a half of the draws, an unknown axis by a third; the rest is
        small talk and loose words.
        """
        source = rng.random()
        if source < 0.35:
            return self._draw(UNKNOWN, rng, text_type="", classes=())
        if source < 0.42:
            return _finish(rng.choice(self._small_talk), self._words["filler"], rng)
        if source < 0.47:
            return _finish(self._loose_words(rng), self._words["filler"], rng)
        if source < 0.67 and self._hand_neutral:
            return _finish(rng.choice(self._hand_neutral), self._words["filler"], rng)
        frame = rng.choice(self._similarity if rng.random() < 0.62 else self._retrieval)
        filled = self._filler(UNKNOWN, rng, "", ()).fill(frame)
        if filled.startswith("Represent") and rng.random() < 0.8:
            return filled + _ending(filled, _PLAIN_ENDINGS, rng)
        return _finish(filled, self._words["filler"], rng)

    def held_out(self, axis: str) -> list[str]:
        """Return up to 24 instructions for `axis` made only of entries and frames that are never drawn."""
        self._check(axis)
        rng = random.Random(f"held out: {axis}")
        held = self._held[axis]
        filler = Filler(held, self._held_words, self._seen[UNKNOWN].entries["names"], rng, "", ())
        families = [family for family in held.families(()) if self._held_frames.get(family)]
        found: dict[str, None] = {}
        for _ in range(300):
            family = rng.choice([*families, "plain"])
            text = filler.fill(rng.choice(self._held_frames[family]))
            found[f"{text[0].upper()}{text[1:]}{' ' if text.endswith('?') else ': '}"] = None
            if len(found) == 24:
                break
        return list(found)

    def held_out_entries(self, axis: str) -> list[str]:
        """Return the names, clauses, questions and phrases of `axis` that are never drawn."""
        self._check(axis)
        return [entry for key in ENTRIES[:4] for entry in self._held[axis].entries[key]]

    def _check(self, axis: str) -> None:
        if axis not in self.axes:
            raise UserError(f"Wordings need a trained axis: got {axis!r}. Use one of {', '.join(self.axes)}.")

    def _filler(self, axis: str, rng: random.Random, text_type: str, classes: Sequence[str]) -> Filler:
        labels = list(dict.fromkeys(word for word in map(class_words, classes) if word))
        return Filler(self._seen[axis], self._words, self._others[axis], rng, text_type, labels)

    def _draw(self, axis: str, rng: random.Random, *, text_type: str, classes: Sequence[str]) -> str:
        source = rng.random()
        if source < 1 / 3:
            return self._plain(axis, rng, text_type=text_type, classes=classes)
        hand = self._hand[axis]
        # A short list would repeat itself, so it gets half the share of a long one.
        if hand and source < (2 / 3 if len(hand) >= 50 else 1 / 2):
            return _finish(rng.choice(hand), self._words["filler"], rng)
        families = self._seen[axis].families(classes)
        weights = [FAMILIES[family] * (2 if family == "classes" and len(classes) > 1 else 1) for family in families]
        frame = rng.choice(self._frames[rng.choices(families, weights)[0]])
        return _finish(self._filler(axis, rng, text_type, classes).fill(frame), self._words["filler"], rng)

    def _plain(self, axis: str, rng: random.Random, *, text_type: str, classes: Sequence[str]) -> str:
        filler = self._filler(axis, rng, text_type, classes)
        kind = rng.random()
        if kind < 0.14 and "classes" in filler.vocabulary.families(classes):
            frame = rng.choice(self._frames["plain_classes"])
        elif kind < 0.26:
            frame = rng.choice(self._frames["plain_clause"])
        else:
            frame = rng.choice(self._frames["plain"])
        if kind > 0.6 and axis != UNKNOWN:  # the usual names are what people type most
            frame = frame.replace("{name}", rng.choice(filler.vocabulary.entries["names"][: KEPT["names"]]))
        text = filler.fill(frame)
        if rng.random() < 0.9:
            text = text[0].upper() + text[1:]
        return text + _ending(text, _PLAIN_ENDINGS, rng)

    def _loose_words(self, rng: random.Random) -> str:
        words = rng.sample(self._random_words, rng.randint(2, 8))
        if rng.random() < 0.4:
            words = rng.choice(self._small_talk).split() + words[:2]
            rng.shuffle(words)
        return " ".join(words)


def class_words(label: str) -> str:
    """Return a label of a data set as words: `not_urgent` and `NotUrgent` become "not urgent"."""
    return " ".join(re.sub(r"(?<=[a-z])(?=[A-Z])|[_+:|]+", " ", label).lower().split())


def _contains(wording: str, entries: set[str]) -> bool:
    text = normalise(wording)
    return any(entry in text for entry in entries)


def _bare(wording: str) -> str:
    """Return a wording written by hand without its colon or full stop: endings are drawn."""
    return wording.strip().rstrip(":.;").rstrip()


def _weighted(choices: Mapping[str, int], rng: random.Random) -> str:
    return rng.choices(list(choices), list(choices.values()))[0]


def _ending(text: str, endings: Mapping[str, int], rng: random.Random) -> str:
    if text.endswith(("?", "!")):
        return " " if rng.random() < 0.85 else ": "
    return _weighted(endings, rng)


def _finish(text: str, fillers: Sequence[str], rng: random.Random) -> str:
    """Return `text` as somebody types it: at times with a slip or a filler, in any case, with any ending."""
    if rng.random() < 0.07:
        text = f"{rng.choice(fillers)} {text[0].lower()}{text[1:]}"
    slip = rng.random()
    if slip < 0.05:
        text = rng.choice(_TYPOS)(text, rng.randrange(max(1, len(text) - 1)))
    elif slip < 0.1 and text.count(" ") > 2:
        # Only small words fall out: without its "not" or its axis a wording would ask for something else.
        words = text.split(" ")
        small = [i for i, word in enumerate(words) if word in _SMALL_WORDS]
        if small:
            del words[rng.choice(small)]
        text = " ".join(words)
    case = rng.random()
    if case < 0.6:
        text = text[0].upper() + text[1:]
    elif case < 0.8:
        text = text[0].lower() + text[1:]
    elif case < 0.83:
        text = text.upper()
    if len(text) > 1 and text.endswith("?") and rng.random() < 0.25:
        text = text[:-1].rstrip()
    return text + _ending(text, _ENDINGS, rng)


_TYPOS: tuple[Callable[[str, int], str], ...] = (
    lambda text, i: text[:i] + text[i + 1 :] or text,  # of a single letter something is left
    lambda text, i: text[:i] + text[i + 1] + text[i] + text[i + 2 :] if len(text) > i + 1 else text,
    lambda text, i: text[:i] + text[i] + text[i:],
)
