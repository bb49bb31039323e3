"""How much of everything a run gets: kinds of batches, axes, sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Shares = Mapping[str, float]

SHARES: Shares = {
    # Plain similarity is the hardest to win back and the space that every instruction starts from.
    "plain": 0.17,
    # The same target under instructions that ask for nothing the model knows; without these batches it guesses an axis.
    "neutral": 0.15,
    # The teacher's own structure under topic, domain and intent instructions: fine unseen classes must not merge.
    "structure": 0.07,
    # What instructions are for. Three quarters of these batches are crossed by another axis.
    "labels": 0.30,
    # The same texts under several instructions, as each other's negatives: only reading the instruction helps.
    "cross": 0.19,
    # Classes that an instruction only lists, axis unnamed.
    "nouns": 0.04,
    # Tasks whose labels are not known: mostly intents, domains and events with many classes.
    "triplets": 0.04,
    # Paraphrases and answers: the only similarity judged by people rather than by the teacher.
    "pairs": 0.04,
    # The start checkpoint under a wording that it knows teaches other wordings of the same axis, on any text.
    "wordings": 0.04,
}
# A model that starts from static vectors must first learn what texts say.
FIRST: Shares = {**SHARES, "plain": 0.9, "neutral": 0.2, "structure": 0.12, "labels": 0.12, "cross": 0.03}
LAST: Shares = {**SHARES, "plain": 0.22, "neutral": 0.18, "labels": 0.26, "cross": 0.16}

AXIS_WEIGHTS: Mapping[str, float] = {
    # Axes that visitors ask for first.
    "topic": 6.0,
    "sentiment": 5.0,
    "sentence_type": 5.0,
    "intent": 4.0,
    "emotion": 3.0,
    # Plain in form, and lost when they get little: a run that gave them half of this fell by .05 to .16.
    "question_type": 4.0,
    "tense": 3.0,
    "person": 2.5,
    "formality": 2.0,
    "urgency": 2.0,
    "certainty": 2.5,
    "negation": 3.0,
    "aspect": 1.5,
    "domain": 1.5,
    "product": 1.5,
    "act": 0.9,
    "format": 0.7,
    "subjectivity": 0.9,
}
OTHER_AXIS_WEIGHT = 0.2  # small axes: they widen what an instruction can be about

_USUAL_NAMES: Mapping[str, str] = {
    "person": "grammatical person",
    "act": "dialogue act",
    "aspect": "aspect discussed",
    "format": "text format",
    "entity": "entity type",
    "relation": "relation expressed",
    "stars": "rating",
    "offensive": "offensive language",
}
TEXT_TYPES = ("sentence", "text", "document", "post", "message", "statement", "article", "passage", "question", "title")
REQUEST_TYPES = ("utterance", "query", "request", "message", "customer message")


@dataclass(frozen=True)
class MixtureSettings:
    """Size of a batch in tokens, estimated, with instructions; whether the start knows its words; weights.

    Shares of each kind of batch stand in for the recipe's own, at any time of the run, where they are given.
    """

    seed: int = 0
    tokens: int = 7000
    warm: bool = False
    structure_weight: float = 0.5
    anchor_weight: float = 0.3
    shares: Shares | None = None


def word_plainly(axis: str, text_type: str) -> str:
    """Return the instruction for an axis as the INSTRUCTOR paper would write it, ready to be joined."""
    return f"Represent the {text_type} for classifying the {usual_name(axis)}: "


def usual_name(axis: str) -> str:
    """Return what an axis is called in a sentence."""
    return _USUAL_NAMES.get(axis, axis.replace("_", " "))


def axis_weight(axis: str) -> float:
    """Return how often an axis is drawn, among the others."""
    return AXIS_WEIGHTS.get(axis, OTHER_AXIS_WEIGHT)
