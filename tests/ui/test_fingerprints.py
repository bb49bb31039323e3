"""The line under each instruction: what it does to the texts, said by what was measured."""

from __future__ import annotations

import re

from instructor_core import InstructorModel
from instructor_core.ui.examples import load_examples
from instructor_core.ui.fingerprints import fingerprint_lines, sampled
from instructor_core.ui.inputs import Inputs

TEXTS = load_examples()[0].texts


def test_each_instruction_is_told_by_what_it_does_to_the_texts(mini: InstructorModel):
    instructions = ("banana banana banana: ", "Is the author happy or annoyed? ", "", "Do not use sentiment: ")
    nothing, mood, control, opposite = fingerprint_lines(mini.encode, Inputs("mini", instructions, TEXTS, None))
    assert re.search(r"hardly changes anything \(\.\d\d; punctuation \.\d\d\)", nothing)
    assert re.search(r"moves the texts \.\d\d \(punctuation \.\d\d\) · like .*sentiment", mood)
    assert "control" in control
    assert "sentiment" in opposite  # by what it does, not by what it asks for


def test_few_texts_are_told_from_how_many_on_and_many_are_sampled_once_each(mini: InstructorModel):
    (line,) = fingerprint_lines(mini.encode, Inputs("mini", ("Mood: ",), ("a", "b", "a", "b"), None))
    assert "from 4 different texts on" in line
    many = [f"text {i}" for i in range(100)]
    chosen = sampled([*many, *many])
    assert len(set(chosen)) == len(chosen) == 48 and sampled(chosen) == chosen
