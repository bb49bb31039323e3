"""Instruction wordings: the many ways in which a person may name the axis that texts are to be compared by.

A model that has met each axis under one wording follows that wording alone. Here every axis gets thousands: a quarter
in the paper's form ("Represent the review for classifying the sentiment: "), a third written by hand
(`data/wordings.json`), the rest from a grammar (`data/grammar.json`: names, indirect clauses, questions, classes and
whole phrases of each axis, poured into frames that all axes share). Some name two axes and want one: there the order of
the words decides, not the words.

The same grammar also fills the same frames with attributes that no text shows ("the age of the author"), so that a
model can tell known from unknown by the attribute only, never by the frame.
"""

import json
import random
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
    class_words,
    contains,
    join,
    normalise,
    slot_lists,
    split,
    split_vocabulary,
    strip_ends,
)
from instructor_core.train.mini.public import ASPECTS, OPINION
from instructor_core.train.mini.slips import PLAIN_ENDINGS, ending, exchange, finish, shuffle

DATA = Path(__file__).parent / "data"

UNKNOWN = "unknown"
"""The name under which the grammar keeps the attributes that the model must not follow."""

_LONG_LIST = 40  # wordings by hand; a shorter list would repeat itself and gets a smaller share
_SHUFFLED_WORDS = 7  # fewer words can be read in any order
_PLACES = ("here", "there", "over there", "at the back", "in front", "on top", "below", "beside")


class TrainingWordings:
    """Draws training instructions for the trained axes, and neutral ones: pure functions of arguments and `rng`.

    The folder holds `grammar.json` and, if there are wordings written by hand, `wordings.json`. With `near`, words of a
    wording are exchanged now and then for the near ones that the mapping gives.
    """

    axes: tuple[str, ...]
    """All axes that can be drawn. Axes kept for evaluation have no wordings at all."""

    def __init__(self, folder: Path = DATA, *, near: Mapping[str, Sequence[str]] | None = None) -> None:
        grammar = json.loads((folder / "grammar.json").read_text(encoding="utf-8"))
        by_hand = folder / "wordings.json"
        hand = json.loads(by_hand.read_text(encoding="utf-8")) if by_hand.is_file() else {}
        corpus = all_strings(grammar)
        self.near = near or {}
        self._grammar = grammar
        self._frames: Mapping[str, list[str]] = grammar["frames"]
        self._held_frames: Mapping[str, list[str]] = grammar["held_out_frames"]
        words = {key: split(key, entries, 3, corpus) for key, entries in grammar["words"].items()}
        self._words = {key: kept for key, (kept, _) in words.items()}
        self._held_words = {key: held or kept for key, (kept, held) in words.items()}
        axes = {**grammar["axes"], **{slot: slot_lists(grammar["slots"], slot) for slot in grammar["slots"]["names"]}}
        self._seen: dict[str, Vocabulary] = {}
        self._held: dict[str, Vocabulary] = {}
        for axis, lists in [*axes.items(), (UNKNOWN, grammar[UNKNOWN])]:
            self._seen[axis], self._held[axis] = split_vocabulary(axis, lists, corpus)
        self._worded_as: Mapping[str, str] = grammar["worded_as"]
        self.axes = (*axes, *self._worded_as, *(OPINION + aspect for aspect in sorted(ASPECTS)))
        unknown = list(self._seen[UNKNOWN].entries["names"])
        self._others = {UNKNOWN: unknown}
        self._far: dict[str, list[str]] = {}
        for axis in axes:
            near_axes = {axis, *grammar["near"].get(axis, [])}
            known = [name for other, names in grammar["contrasts"].items() if other not in near_axes for name in names]
            self._others[axis] = known * 3 + unknown[:40]
            self._far[axis] = [
                other
                for other in grammar["axes"]
                if other not in near_axes and axis not in grammar["near"].get(other, [])
            ]
        self._never = {
            axis: {normalise(entry) for key in ENTRIES[:4] for entry in held.entries[key]}
            for axis, held in self._held.items()
        }
        self._never[UNKNOWN] = set()
        # A neutral wording with the name of a trained axis in it would teach the opposite of that axis's own wordings.
        names = {normalise(name) for lists in grammar["axes"].values() for name in lists["names"]}
        self._hand = {
            axis: strip_ends(hand.get("axes", {}).get(axis, []), never) for axis, never in self._never.items()
        } | {UNKNOWN: strip_ends(hand.get("unknown_axes", []), names)}
        self._neutral = strip_ends(hand.get("neutral", []), names)
        self._long = [
            wording
            for axis, wordings in self._hand.items()
            if axis != UNKNOWN
            for wording in wordings
            if wording.count(" ") >= _SHUFFLED_WORDS - 1
        ]

    def draw(self, axis: str, rng: random.Random, *, text_type: str = "", classes: Sequence[str] = ()) -> str:
        """Return one training instruction for `axis`, ready to be joined with a text: it ends with exactly one space.

        `text_type` is what a text of the batch is called ("review"), any word for texts when empty; some wordings name
        two or more of the batch's `classes`.
        """
        if axis.startswith(OPINION):
            return self.opinion(axis.removeprefix(OPINION), rng)
        axis = self._check(axis)
        return self._draw_allowed(axis, lambda: self._draw(axis, rng, text_type, classes))

    def plain(self, axis: str, rng: random.Random, *, text_type: str = "", classes: Sequence[str] = ()) -> str:
        """Return an instruction in the form of the INSTRUCTOR paper: domain, text type and task objective."""
        if axis.startswith(OPINION):
            axis_name = rng.choice(self._grammar["opinion_names"]).replace("{aspect}", axis.removeprefix(OPINION))
            return f"Represent the {text_type or 'review'} for classifying the {axis_name}: "
        axis = self._check(axis)
        return self._draw_allowed(axis, lambda: self._plain(axis, rng, text_type, classes))

    def contrast(self, wanted: str, unwanted: str, rng: random.Random) -> str:
        """Return an instruction that names two axes and wants one of them, named first or last.

        With a generator in the same state, two axes the other way round are asked for in the same words.
        """
        return self._draw_allowed(wanted, lambda: self._finish(self._contrast(wanted, unwanted, rng), rng))

    def opinion(self, aspect: str, rng: random.Random) -> str:
        """Return an instruction that asks what a text says about one aspect, whatever it says about others."""
        text: str = rng.choice(self._grammar["opinions"]).replace("{aspect}", aspect)
        return self._finish(self._exchange(text, rng, 0.15), rng)

    def list_of(self, nouns: Sequence[str], rng: random.Random) -> str:
        """Return an instruction that asks for nothing but these classes, named by nouns."""
        separator = rng.choice((", ", ", ", " / ", "; ", " | ", " vs "))
        parts = {
            "{list}": separator.join(nouns),
            "{or}": join(nouns, "or"),
            "{and}": join(nouns, "and"),
            "{places}": ", ".join(f"{noun} {place}" for noun, place in zip(nouns, _PLACES, strict=False)),
            "{together}": ", ".join(f"{noun} {rng.choice(('with', 'and', 'next to'))} {noun}" for noun in nouns),
            "{all}": ", ".join(f"all {noun} together" for noun in nouns),
        }
        text: str = rng.choice(self._grammar["lists"])
        for slot, words in parts.items():
            text = text.replace(slot, words)
        return self._finish(text, rng)

    def neutral(self, rng: random.Random, *, shuffled: float = 0.04) -> str:
        """Return an instruction that no axis answers: the model must fall back on plain similarity.

        Plain similarity and retrieval are asked for by a half of the draws, an unknown axis by a third; the rest is
        small talk and loose words. The share `shuffled` are wordings whose words are put into another order: they hold
        the names of axes, and nobody can tell any longer which of them is wanted.
        """
        if rng.random() < shuffled:
            return self._finish(self._shuffle(rng), rng)
        source = rng.random()
        if source < 0.35:
            return self._draw(UNKNOWN, rng, "", ())
        if source < 0.42:
            return self._finish(rng.choice(self._grammar["small_talk"]), rng)
        if source < 0.47:
            return self._finish(self._loose_words(rng), rng)
        if source < 0.67 and self._neutral:
            return self._finish(rng.choice(self._neutral), rng)
        frame = rng.choice(self._grammar["similarity" if rng.random() < 0.62 else "retrieval"])
        filled = self._filler(UNKNOWN, rng, "", ()).fill(frame)
        if filled.startswith("Represent") and rng.random() < 0.8:
            return filled + ending(filled, PLAIN_ENDINGS, rng)
        return self._finish(filled, rng)

    def held_out(self, axis: str) -> list[str]:
        """Return up to 24 instructions for `axis` made only of entries and frames that are never drawn."""
        held = self._held.get(self._worded_as.get(axis, axis))
        if held is None or not held.entries["names"]:
            return []
        rng = random.Random(f"held out: {axis}")
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
        held = self._held[self._check(axis)]
        return [entry for key in ENTRIES[:4] for entry in held.entries[key]]

    def _check(self, axis: str) -> str:
        """Return the axis whose wordings these are."""
        axis = self._worded_as.get(axis, axis)
        if axis not in self._seen or axis == UNKNOWN:
            raise UserError(f"Wordings need a trained axis: got {axis!r}. Use one of {', '.join(self.axes)}.")
        return axis

    def _draw_allowed(self, axis: str, draw: Callable[[], str]) -> str:
        """Draw until no entry that is held out is inside: "tell me" + "how urgent it is" may add up to one."""
        never = self._never.get(self._worded_as.get(axis, axis), set())
        while True:
            text = draw()
            if not contains(text, never):
                return text

    def _filler(self, axis: str, rng: random.Random, text_type: str, classes: Sequence[str]) -> Filler:
        labels = list(dict.fromkeys(word for word in map(class_words, classes) if word))
        return Filler(self._seen[axis], self._words, self._others[axis], rng, text_type, labels)

    def _draw(self, axis: str, rng: random.Random, text_type: str, classes: Sequence[str]) -> str:
        source, hand = rng.random(), self._hand[axis]
        if source < 0.26:
            return self._plain(axis, rng, text_type, classes)
        if hand and source < (0.60 if len(hand) >= _LONG_LIST else 0.38):
            text = self._exchange(rng.choice(hand), rng, 0.4)
            if rng.random() < 0.12:  # somebody who asks twice
                text = text.rstrip("?.!") + rng.choice((". ", ", ", "? ", "; ", " - ")) + rng.choice(hand)
        elif source < 0.95 or axis == UNKNOWN:
            families = self._seen[axis].families(classes)
            weights = [FAMILIES[family] * (2 if family == "classes" and len(classes) > 1 else 1) for family in families]
            frame = rng.choice(self._frames[rng.choices(families, weights)[0]])
            text = self._exchange(self._filler(axis, rng, text_type, classes).fill(frame), rng, 0.15)
        else:
            text = self._contrast(axis, rng.choice(self._far[axis]), rng)
        return self._finish(text, rng)

    def _finish(self, text: str, rng: random.Random) -> str:
        if rng.random() < 0.06:
            text = f"{rng.choice(self._grammar['roles'])} {text}"
        if rng.random() < 0.06:
            joint = rng.choice((". ", ", ", " - ", ": "))
            text = f"{text.rstrip('.:;')}{joint}{rng.choice(self._grammar['tails'])}"
        return finish(text, self._words["filler"], rng)

    def _exchange(self, text: str, rng: random.Random, share: float) -> str:
        return exchange(text, self.near, rng) if self.near and rng.random() < share else text

    def _plain(self, axis: str, rng: random.Random, text_type: str, classes: Sequence[str]) -> str:
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
        return text + ending(text, PLAIN_ENDINGS, rng)

    def _contrast(self, wanted: str, unwanted: str, rng: random.Random) -> str:
        frame: str = rng.choice(self._grammar["wanted_and_unwanted"])
        # In an order of their own, so that the same random numbers name both axes alike, whichever of them is wanted.
        phrases = {axis: self._phrase(axis, rng) for axis in sorted((wanted, unwanted))}
        text = frame.replace("{w}", phrases[wanted]).replace("{u}", phrases[unwanted])
        return self._filler(UNKNOWN, rng, "", ()).fill(text)

    def _phrase(self, axis: str, rng: random.Random) -> str:
        """Return a name of an axis, or a clause that stands for one."""
        if axis.startswith(OPINION):
            name: str = rng.choice(self._grammar["opinion_names"]).replace("{aspect}", axis.removeprefix(OPINION))
            return rng.choice(("the ", "")) + name
        entries, kind = self._seen[self._check(axis)].entries, rng.random()
        if kind < 0.25 and entries["clauses"]:
            return rng.choice(entries["clauses"])
        names = entries["names"][: KEPT["names"]] if kind < 0.7 else entries["names"]
        return rng.choice(("the ", "")) + rng.choice(names)

    def _shuffle(self, rng: random.Random) -> str:
        """Return the words of a contrast, which say nothing without their order, or of a long wording, in disorder."""
        if not self._long or rng.random() < 0.6:
            wanted = rng.choice(list(self._far))
            text = self._contrast(wanted, rng.choice(self._far[wanted]), rng)
        else:
            text = rng.choice(self._long)
        return shuffle(text.lower(), rng)

    def _loose_words(self, rng: random.Random) -> str:
        words = rng.sample(self._grammar["random_words"], rng.randint(2, 8))
        if rng.random() < 0.4:
            words = rng.choice(self._grammar["small_talk"]).split() + words[:2]
            rng.shuffle(words)
        return " ".join(words)
