"""Nothing that is evaluated with stands in what the bundled checkpoint's recipe trains on, nor anything near it."""

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

import instructor_core
from instructor_core.analysis.suggest import bundled
from instructor_core.evaluate.data import read_data, read_wordings

TRAINING = Path(instructor_core.__file__).parent / "train"


def words(text: str) -> list[str]:
    """Words alone, in lower case, so that case and marks hide no copy."""
    return re.findall(r"[\w'-]+", text.lower())


SMALL = set(
    words(
        "the a an is it are this these they of to for in by or and not does do did be what which how would who on "
        "with about"
    )
)


def evaluation_wordings() -> list[str]:
    wordings = read_wordings()
    return [
        *wordings.neutral,
        *wordings.unknown,
        *(frame.format(wanted="", unwanted="") for frame in wordings.contrasts),
        *chain.from_iterable(entry.free for entry in wordings.axes.values()),
    ]


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from strings(entry)


@cache
def features(text: str) -> tuple[list[str], set[tuple[str, ...]], set[str]]:
    """Words, runs of five and content words."""
    found = words(text)
    return found, {tuple(found[i : i + 5]) for i in range(len(found) - 4)}, set(found) - SMALL


def alike(one: str, other: str) -> bool:
    """Whether two wordings have the same words, five in a row, or 60 % of their content words (three at least)."""
    (a, runs, x), (b, other_runs, y) = features(one), features(other)
    return a == b or bool(runs & other_runs) or (min(len(x), len(y)) >= 3 and len(x & y) >= 0.6 * len(x | y))


def test_no_evaluation_sentence_or_wording_is_in_the_training_data() -> None:
    files = [path for path in sorted(TRAINING.rglob("*")) if path.suffix in {".json", ".jsonl", ".py"}]
    assert any(path.suffix == ".json" for path in files), "there is no training data to compare with"
    training = f" {' '.join(words(' '.join(path.read_text(encoding='utf-8') for path in files)))} "
    sets, _ = read_data([bundled("label_sets")])
    evaluation = [*chain.from_iterable(label_set.texts for label_set in sets), *evaluation_wordings()]
    long = [text for text in evaluation if len(words(text)) > 2]  # one or two words stand in any text
    assert [text for text in long if f" {' '.join(words(text))} " in training] == []


@pytest.mark.parametrize("name", ["wordings.json", "grammar.json"])
def test_no_training_wording_is_like_one_that_is_evaluated_with(name: str) -> None:
    content = json.loads((TRAINING / "mini" / "data" / name).read_text(encoding="utf-8"))
    asked = evaluation_wordings()
    near = [(text, other) for text in strings(content) for other in asked if alike(text, other)]
    assert near == []


def test_likeness_counts_runs_and_content_words() -> None:
    assert alike("Good morning!", "good  morning")
    assert alike("Is the house on fire?", "Is the house on fire, so to speak?")
    assert alike("joy, anger, sadness, fear", "joy, sadness, anger, fear, surprise or disgust?")  # 4 of 6
    assert not alike("joy, anger, sadness", "joy, sadness, anger, fear, surprise or disgust?")  # 3 of 6
    assert not alike("the mood of it", "which mood is it")
