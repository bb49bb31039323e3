"""A wording as somebody types it: with a slip or a filler at times, in any case, with any ending."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

PLAIN_ENDINGS = {": ": 80, "; Input: ": 10, " ": 5, ". ": 5}

_SMALL_WORDS = {"the", "a", "an", "by", "of", "is", "are", "this", "each", "these", "it", "to", "for", "in", "with"}
_ENDINGS = {": ": 50, " ": 20, ". ": 11, "; Input: ": 5, ":\n ": 4, " - ": 3, " : ": 3, "; ": 2, "! ": 1, ", ": 1}
_WORD = re.compile(r"[\w'-]+")
_TYPOS: tuple[Callable[[str, int], str], ...] = (
    lambda text, i: text[:i] + text[i + 1 :],
    lambda text, i: text[:i] + text[i + 1] + text[i] + text[i + 2 :],
    lambda text, i: text[:i] + text[i] + text[i:],
)


def ending(text: str, endings: Mapping[str, int], rng: random.Random) -> str:
    """Return what joins a wording with a text: it ends with one space."""
    if text.endswith(("?", "!")):
        return " " if rng.random() < 0.85 else ": "
    return rng.choices(list(endings), list(endings.values()))[0]


def finish(text: str, fillers: Sequence[str], rng: random.Random) -> str:
    """Return `text` as somebody types it, ready to be joined with a text; any string will do."""
    if rng.random() < 0.07:
        text = f"{rng.choice(fillers)} {text[:1].lower()}{text[1:]}"
    slip = rng.random()
    if slip < 0.05 and len(text) > 3:
        text = rng.choice(_TYPOS)(text, rng.randrange(len(text) - 1))
    elif slip < 0.1 and text.count(" ") > 2:
        # Only small words fall out: without its "not" or its axis a wording would ask for something else.
        words = text.split(" ")
        small = [i for i, word in enumerate(words) if word in _SMALL_WORDS]
        if small:
            del words[rng.choice(small)]
        text = " ".join(words)
    case = rng.random()
    if case < 0.6:
        text = text[:1].upper() + text[1:]
    elif case < 0.8:
        text = text[:1].lower() + text[1:]
    elif case < 0.83:
        text = text.upper()
    if text.endswith("?") and rng.random() < 0.25:
        text = text[:-1].rstrip()
    return text + ending(text, _ENDINGS, rng)


def exchange(text: str, near: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    """Exchange one or two words for near ones, so that no single word decides what is asked for."""
    places = [match for match in _WORD.finditer(text) if match[0].lower() in near]
    for match in sorted(rng.sample(places, min(len(places), rng.choice((1, 1, 2)))), key=lambda m: -m.start()):
        text = text[: match.start()] + rng.choice(near[match[0].lower()]) + text[match.end() :]
    return text


def shuffle(text: str, rng: random.Random) -> str:
    """Put the words into an order in which no word follows the one that it followed."""
    words = text.split()
    order = list(range(len(words)))
    for _ in range(20):
        rng.shuffle(order)
        if all(after != before + 1 for before, after in pairwise(order)):
            break
    return " ".join(words[i] for i in order)
