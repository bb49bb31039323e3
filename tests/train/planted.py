"""A planted task: the same texts carry two systems of labels, and an instruction names the one that counts."""

from __future__ import annotations

import itertools
import random

from instructor_core.train.records import Record

COLOURS = ("red", "blue", "green", "white")
THINGS = ("cup", "boat", "lamp", "coat")
FRAMES = (
    "the {} {} was sold",
    "she found a {} {}",
    "a {} {} for you",
    "my {} {} is old",
    "one {} {} here",
    "no {} {} now",
)
INSTRUCTIONS = {"colour": "Represent the colour: ", "thing": "Represent the thing: "}


def planted_records(n: int, seed: int = 0) -> list[Record]:
    """``n`` texts under each instruction, labelled by colour or by thing; a task for each instruction."""
    every = list(itertools.product(COLOURS, THINGS, FRAMES))
    records = []
    for colour, thing, frame in random.Random(seed).sample(every, n):
        text = frame.format(colour, thing)
        for task, label in (("colour", colour), ("thing", thing)):
            records.append(Record((INSTRUCTIONS[task], text), (), (), task, label))
    return records
