"""Nothing that is evaluated with stands in the data that the bundled checkpoint is trained on."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import instructor_core
from instructor_core.evaluate import read_data, read_wordings
from instructor_core.evaluate.data import bundled_label_sets

TRAINING = Path(instructor_core.__file__).parent / "train"


def letters(text: str) -> str:
    """Words alone, in lower case, so that case and marks hide no copy."""
    return " " + " ".join(re.findall(r"\w+", text.lower())) + " "


def test_no_evaluation_sentence_or_wording_is_in_the_training_data() -> None:
    files = [path for path in sorted(TRAINING.rglob("*")) if path.suffix in {".json", ".jsonl", ".py"}]
    assert any(path.suffix == ".json" for path in files), "there is no training data to compare with"
    training = letters("\n".join(path.read_text(encoding="utf-8") for path in files))
    sets, _ = read_data([bundled_label_sets()])
    wordings = read_wordings()
    evaluation = [*chain.from_iterable(label_set.texts for label_set in sets), *wordings.neutral, *wordings.unknown]
    evaluation += chain.from_iterable(entry.free for entry in wordings.axes.values())
    # One or two words ("Good morning!") stand in any text.
    long = [text for text in evaluation if len(letters(text).split()) > 2]
    assert [text for text in long if letters(text) in training] == []
