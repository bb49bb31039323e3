"""Labelled sets that others have published, from the files as they publish them.

A reader returns texts with their labels; which file belongs to which set, where it comes from and under which terms is
listed in ``data/sources.json``. A set whose files are not there is left out.
"""

from __future__ import annotations

import html
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from instructor_core.errors import UserError
from instructor_core.train.mini.sentences import Labelled
from instructor_core.train.mini.sources import PublicSet, read_public_sets

_NAMES = (
    "admiration amusement anger annoyance approval caring confusion curiosity desire disappointment disapproval "
    "disgust embarrassment excitement fear gratitude grief joy love nervousness optimism pride realization relief "
    "remorse sadness surprise neutral"
)
_EMOTIONS = _NAMES.split()  # in the order of their numbers
_BASIC_EMOTIONS = {
    "anger": "anger annoyance",
    "disgust": "disgust",
    "fear": "fear nervousness",
    "joy": "joy amusement excitement",
    "sadness": "sadness grief disappointment remorse",
    "surprise": "surprise",
    "love": "love",
    "neutral": "neutral",
}
_SENTIMENTS = {
    "positive": "admiration amusement approval caring excitement gratitude joy love optimism pride relief",
    "negative": "anger annoyance disappointment disapproval disgust embarrassment fear grief nervousness remorse "
    "sadness",
    "neutral": "neutral",
}
ASPECTS = frozenset({"food", "service", "staff", "price", "ambience", "place", "menu"})
_MOST_NEUTRAL = 3000  # the commonest label of the comments says least
_MOST_HEADLINES = 10_000  # of each of the two kinds

OPINION = "opinion on the "
"""Axes of what a text says about one aspect begin with this: the same review may praise the food, not the service."""


def read_public(folder: Path, rng: random.Random) -> list[tuple[PublicSet, list[Labelled]]]:
    """Read the published sets of which all files are in `folder`."""
    found = []
    for one in read_public_sets():
        files = [folder / name for name in one.files]
        if all(file.is_file() for file in files):
            try:
                found.append((one, _READERS[one.name]([file.read_text("utf-8", "ignore") for file in files], rng)))
            except (ValueError, KeyError, IndexError, TypeError) as error:
                raise UserError(
                    f"The files of {one.name} ({', '.join(one.files)}) are read as {one.origin} publishes them, and "
                    f"these are of another form. Fetch them again, or take them out of {folder}."
                ) from error
    return found


def _goemotions(contents: Sequence[str], rng: random.Random) -> list[Labelled]:
    basic = {fine: name for name, group in _BASIC_EMOTIONS.items() for fine in group.split()}
    sentiment = {fine: name for name, group in _SENTIMENTS.items() for fine in group.split()}
    made, taken = [], Counter[str]()
    for line in contents[0].splitlines():
        text, numbers, _ = line.split("\t")
        if "," in numbers or len(text) < 8:
            continue  # several emotions, or hardly a word
        fine = _EMOTIONS[int(numbers)]
        taken[fine] += 1
        if fine == "neutral" and taken[fine] > _MOST_NEUTRAL:
            continue
        labels = {"fine emotion": fine}
        if fine in basic:
            labels["emotion"] = basic[fine]
        if fine in sentiment:
            labels["sentiment"] = sentiment[fine]
        made.append(Labelled(text.replace("[NAME]", rng.choice(("Anna", "Tom", "Sam", "Maria"))), labels))
    return made


def _clinc(contents: Sequence[str], rng: random.Random) -> list[Labelled]:
    domains = {
        intent: domain.replace("_", " ") for domain, intents in json.loads(contents[1]).items() for intent in intents
    }
    return [
        Labelled(text, {"intent": intent.replace("_", " "), "domain": domains[intent]})
        for text, intent in json.loads(contents[0])["train"]
    ]


def _mams(contents: Sequence[str], rng: random.Random) -> list[Labelled]:
    sentence = re.compile(r"<text>(.*?)</text>\s*<aspectCategories>(.*?)</aspectCategories>", re.DOTALL)
    opinion = re.compile(r'category="(.*?)" polarity="(.*?)"')
    return [
        Labelled(
            html.unescape(text),
            {OPINION + aspect: label for aspect, label in opinion.findall(block) if aspect in ASPECTS},
        )
        for text, block in sentence.findall(contents[0])
    ]


def _headlines(contents: Sequence[str], rng: random.Random) -> list[Labelled]:
    made = []
    for label, content in zip(("clickbait", "news"), contents, strict=True):
        lines = [line.strip() for line in content.splitlines() if line.strip()]
        made += [Labelled(line, {"clickbait": label}) for line in rng.sample(lines, min(len(lines), _MOST_HEADLINES))]
    return made


def _messages(contents: Sequence[str], rng: random.Random) -> list[Labelled]:
    lines = [line.split("\t", 1) for line in contents[0].splitlines() if line.startswith(("ham\t", "spam\t"))]
    return [Labelled(text, {"spam": label}) for label, text in lines]


_READERS: Mapping[str, Callable[[Sequence[str], random.Random], list[Labelled]]] = {
    "goemotions": _goemotions,
    "clinc": _clinc,
    "mams": _mams,
    "clickbait": _headlines,
    "sms": _messages,
}
