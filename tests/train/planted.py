"""A planted task, whose texts carry two systems of labels of which an instruction names one, and a planted teacher."""

import itertools
import random
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

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


class LetterTeacher:
    """Embeds a text by the letters in it."""

    dim = 64
    block = 150
    device = torch.device("cpu")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float16]:
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            np.add.at(vectors[row], [ord(letter) % self.dim for letter in f"{text}."], 1)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
