"""The machinery of the wording grammar: what an axis can be called, what is held out, how a frame is filled."""

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from instructor_core.train.mini.scenes import SLOTS

ENTRIES = ("names", "clauses", "questions", "phrases", "subjects")
_CLASS_SETS = ("adjectives", "people", "nouns")
KEPT = {
    "names": 8,
    "clauses": 3,
    "questions": 3,
    "phrases": 2,
    "subjects": 12,
}  # the most usual ones are never held out
FAMILIES = {"name": 30, "contrast": 4, "clause": 14, "question": 14, "classes": 18, "is_adj": 5, "phrase": 12}
_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\ba(?= (?:[aeio]|utt))")
_IF = re.compile(r"(?<=\b(?:by|on|to|in|of) )if\b")
_WORD = re.compile(r"[a-z0-9'-]+")


def normalise(text: str) -> str:
    """Return `text` as lower-case words between single blanks, with a blank at both ends, for searches by word."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """All that one axis can be called: single entries and sets of classes, by the keys of the grammar file."""

    entries: Mapping[str, Sequence[str]]
    sets: Mapping[str, Sequence[Sequence[str]]]

    def families(self, classes: Sequence[str]) -> list[str]:
        """Return the families of frames that this vocabulary can fill."""
        has_classes = len(classes) > 1 or any(self.sets.values()) or len(self.entries["subjects"]) > 1
        filled = {
            "name": bool(self.entries["names"]),
            "contrast": bool(self.entries["names"]),
            "clause": bool(self.entries["clauses"]),
            "question": bool(self.entries["questions"]),
            "phrase": bool(self.entries["phrases"]),
            "classes": has_classes,
            "is_adj": bool(self.sets["adjectives"]),
        }
        return [family for family in FAMILIES if filled[family]]


@dataclass(frozen=True, eq=False)
class Filler:
    """Fills the slots of one frame for one draw."""

    vocabulary: Vocabulary
    words: Mapping[str, Sequence[str]]
    others: Sequence[str]
    rng: random.Random
    text_type: str
    classes: Sequence[str]

    def fill(self, frame: str) -> str:
        """Return `frame` with every slot replaced; slots inside a replacement are filled too."""
        filled = _SLOT.sub(lambda match: self.fill(self._slot(match[1])), frame)
        return _IF.sub("whether", _ARTICLE.sub("an", filled))

    def _slot(self, slot: str) -> str:
        rng, entries = self.rng, self.vocabulary.entries
        if slot in ("name", "clause", "question", "phrase"):
            return rng.choice(entries[f"{slot}s"])
        if slot == "other":
            return rng.choice(self.others)
        if slot == "text":
            return self.text_type if self.text_type and rng.random() < 0.7 else rng.choice(self.words["text"])
        if slot == "texts":
            return self._texts(rng.choice(("", "", "the ", "these ", "these ", "all ", "my ", "our ", "those ")))
        if slot == "plural":
            return self._texts("")
        if slot == "this":
            return rng.choice(("this {text}", "the {text}", "the {text}", "each {text}"))
        if slot == "these":
            return rng.choice(("these", "them", "the texts"))
        if slot in ("and", "or"):
            return join(self._classes(), slot)
        if slot in ("vs", "from"):
            return rng.choice((" vs ", " versus ") if slot == "vs" else (" from ",)).join(self._classes(2))
        if slot == "slash":
            return rng.choice((" / ", ", ", " | ", " or ", "; ")).join(self._bare_classes())
        if slot in ("adj", "adj_or"):
            chosen = self._subset(rng.choice(self.vocabulary.sets["adjectives"]))
            return chosen[0] if slot == "adj" else join(chosen, "or")
        return rng.choice(self.words[slot])

    def _texts(self, determiner: str) -> str:
        rng = self.rng
        own = self.text_type and rng.random() < 0.6
        plural = _plural(self.text_type) if own else rng.choice(self.words["texts"])
        domain = rng.choice(self.words["domain"]) + " " if not own and rng.random() < 0.1 else ""
        return f"{determiner}{domain}{plural}"

    def _subset(self, classes: Sequence[str], most: int = 4) -> list[str]:
        """Return two or more of `classes`, usually all (up to `most`), in any order."""
        n = min(len(classes), most)
        return self.rng.sample(list(classes), n if n < 3 or self.rng.random() < 0.6 else self.rng.randint(2, n))

    def _bare_classes(self, most: int = 4, kinds: Sequence[str] = _CLASS_SETS) -> list[str]:
        """Return names of classes without any noun behind them, from the sets of `kinds` or from the batch."""
        rng, sets = self.rng, self.vocabulary.sets
        kinds = [kind for kind in kinds if sets[kind]]
        subjects = self.vocabulary.entries["subjects"]
        if len(self.classes) > 1 and (rng.random() < 0.7 or not (subjects or kinds)):
            return self._subset(self.classes, most)
        if subjects:
            return self._subset(subjects, min(most, rng.choice((2, 2, 3))))
        return self._subset(rng.choice(sets[rng.choice(kinds)]), most)

    def _classes(self, most: int = 4) -> list[str]:
        """Return noun phrases of classes: nouns as they are, adjectives with the people or the texts they describe."""
        rng, sets = self.rng, self.vocabulary.sets
        kinds = [kind for kind in _CLASS_SETS if sets[kind]]
        kind = rng.choice(kinds) if kinds else "nouns"
        if kind == "nouns" or (len(self.classes) > 1 and rng.random() < 0.7):
            chosen = self._bare_classes(most, ("nouns",))
            is_subject = not set(chosen).isdisjoint(self.vocabulary.entries["subjects"])
            return [f"{{plural}} about {word}" for word in chosen] if is_subject and rng.random() < 0.2 else chosen
        chosen = self._subset(rng.choice(sets[kind]), most)
        noun = rng.choice(self.words["people"]) if kind == "people" else self._texts("")
        if rng.random() < 0.4:
            return [f"{word} {noun}" for word in chosen]
        return [*chosen[:-1], f"{chosen[-1]} {noun}"]


def all_strings(tree: Any) -> str:
    """Return all strings of a JSON tree (no keys), normalised, one a line."""
    if isinstance(tree, str):
        return normalise(tree) + "\n"
    return "".join(map(all_strings, tree.values() if isinstance(tree, dict) else tree))


def split(salt: str, entries: Sequence[str], kept: int, corpus: str) -> tuple[list[str], list[str]]:
    """Split `entries` into those to draw and about a tenth to hold out.

    Held out are, in the order of a hash, entries that occur nowhere else in the grammar, not even inside a longer one.
    """
    n_held = round(0.1 * len(entries)) if len(entries) >= 7 else 0
    candidates = [entry for entry in entries[kept:] if "{" not in entry and corpus.count(normalise(entry)) == 1]
    candidates.sort(key=lambda entry: hashlib.sha256(f"{salt}: {entry}".encode()).digest())
    held = candidates[:n_held]
    return [entry for entry in entries if entry not in held], held


def split_vocabulary(axis: str, lists: Mapping[str, Any], corpus: str) -> tuple[Vocabulary, Vocabulary]:
    """Return the vocabulary to draw from and the one held out, of the lists of one axis in the grammar file."""
    entries = {key: split(axis, lists.get(key, []), KEPT[key], corpus) for key in ENTRIES}
    sets: dict[str, tuple[list[list[str]], list[list[str]]]] = {}
    for key in _CLASS_SETS:
        by_name = {", ".join(classes): classes for classes in lists.get(key, [])}
        seen, held = split(axis, list(by_name), 2, corpus="".join(map(normalise, by_name)))
        sets[key] = [by_name[name] for name in seen], [by_name[name] for name in held]

    def part(i: int) -> Vocabulary:
        return Vocabulary({k: v[i] for k, v in entries.items()}, {k: v[i] for k, v in sets.items()})

    return part(0), part(1)


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in ("a", "e", "o", "u"):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def join(items: Sequence[str], word: str) -> str:
    """Return items as a list in a sentence: "a, b or c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"


def class_words(label: str) -> str:
    """Return a label of a data set as words: `not_urgent` and `NotUrgent` become "not urgent"."""
    return " ".join(re.sub(r"(?<=[a-z])(?=[A-Z])|[_+:|]+", " ", label).lower().split())


def slot_lists(slots: Mapping[str, Any], slot: str) -> dict[str, Any]:
    """Return the lists of one axis of what a text mentions, as the grammar file has them for other axes."""
    names, words = slots["names"][slot], SLOTS[slot]
    lists = {
        key: [frame.replace("{name}", name) for frame in slots[key] for name in names]
        for key in ("clauses", "questions", "phrases")
    }
    classes = [words[i : i + 4] for i in range(0, len(words) - 3, 4)]
    return {"names": names, **lists, "nouns": [*classes, words[::3], words[1::3]]}


def strip_ends(wordings: Sequence[str], never: set[str]) -> list[str]:
    """Return wordings written by hand without their colon or full stop: endings are drawn."""
    bare = (wording.strip().rstrip(":.;").rstrip() for wording in wordings)
    return [wording for wording in bare if wording and not contains(wording, never)]


def contains(wording: str, entries: set[str]) -> bool:
    """Whether a wording holds one of some normalised entries."""
    if not entries:
        return False
    text = normalise(wording)
    return any(entry in text for entry in entries)
