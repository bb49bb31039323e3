"""What a lesson may claim: a closed vocabulary of assertions on the numbers of a run, each with what it measured.

A claim stands in a lesson as a JSON object: its `kind` is the name of a function below, the rest are its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, validate_call
from pydantic.dataclasses import dataclass as sound_dataclass

from instructor_core.analysis.attribution import ledger
from instructor_core.analysis.calibration import background, unrelated_sentences
from instructor_core.analysis.deletion import combine, deletions, drop
from instructor_core.analysis.grid import unit_vectors
from instructor_core.analysis.label_task import Metric, label_task
from instructor_core.analysis.leaderboard import intervals
from instructor_core.analysis.metrics import nearest_agreement
from instructor_core.analysis.nearest import nearest_of_all
from instructor_core.analysis.numbers import number
from instructor_core.analysis.projection import project
from instructor_core.analysis.retrieval import retrieve
from instructor_core.analysis.scores import score_texts
from instructor_core.analysis.similarity import cosine_matrix
from instructor_core.cache import CachedEncoder
from instructor_core.encoder import TokenEncoding
from instructor_core.ui.inputs import Inputs

Index = Annotated[int, Field(ge=0)]
Answer = tuple[bool, *tuple[str, ...]]  # whether a claim holds, and the words of its slots


@dataclass(frozen=True)
class Measured:
    """What evaluating a claim gave: whether it is true of the run, and (slot, words) of what was measured."""

    holds: bool
    numbers: tuple[tuple[str, str], ...]

    def fill(self, sentence: str) -> str:
        """Return a sentence with each `{slot}` replaced by what was measured."""
        for slot, words in self.numbers:
            sentence = sentence.replace("{" + slot + "}", words)
        return sentence

    def otherwise(self, checkpoint_id: str) -> str:
        """Return what is said of a checkpoint of which the claim is not true."""
        listed = ", ".join(f"{slot.replace('_', ' ')} {words}" for slot, words in self.numbers)
        return f"{checkpoint_id} does otherwise: {listed}."


@sound_dataclass(frozen=True, config={"extra": "forbid"})
class Cell:
    """Two texts under one instruction, or the second one under its own, by index."""

    instruction: Index
    pair: tuple[Index, Index]
    column_instruction: Index | None = None


@dataclass(frozen=True)
class EmbeddedRun:
    """What a claim is held against: a run, and the encoder that embeds it."""

    encoder: CachedEncoder
    inputs: Inputs

    def embeddings(self, instruction: int) -> NDArray[np.float32]:
        """Return the unit embeddings of all texts under one instruction, (N, D)."""
        pairs = [(self.inputs.instructions[instruction], text) for text in self.inputs.texts]
        return unit_vectors(self.encoder.encode(pairs))

    def cosine(self, cell: Cell) -> float:
        """Return the cosine of the two texts of a cell."""
        columns = cell.instruction if cell.column_instruction is None else cell.column_instruction
        first, second = cell.pair
        return float(self.embeddings(cell.instruction)[first] @ self.embeddings(columns)[second])

    def tokens(self, instruction: int, *texts: int) -> list[TokenEncoding]:
        """Return the token encodings of texts under one instruction."""
        pairs = [(self.inputs.instructions[instruction], self.inputs.texts[i]) for i in texts]
        return self.encoder.encode_tokens(pairs)

    def move(self, first: int, second: int) -> float:
        """Return how far the texts move from one instruction to another: mean `1 - cos` of a text with itself."""
        cosines = (self.embeddings(first) * self.embeddings(second)).sum(axis=1)
        return max(0.0, float((1.0 - cosines).mean()))  # rounding may go below


@dataclass(frozen=True)
class Claim:
    """An assertion on a run; `slots` are what its sentences may quote."""

    kind: str
    slots: tuple[str, ...]
    check: Callable[[EmbeddedRun], Answer]

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        holds, *words = self.check(EmbeddedRun(encoder, inputs))
        return Measured(holds, tuple(zip(self.slots, words, strict=True)))


KINDS: dict[str, tuple[tuple[str, ...], Callable[..., Answer]]] = {}


def claim(*slots: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Return a decorator that makes a function of a run a kind of claim, which measures these slots."""

    def register(check: Callable[..., Answer]) -> Callable[..., Answer]:
        checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(check)  # arguments come from a file
        KINDS[check.__name__] = slots, checked
        return check

    return register


def read_claim(values: dict[str, Any]) -> Claim:
    """Return the claim that a JSON object describes."""
    kind, arguments = values["kind"], {name: value for name, value in values.items() if name != "kind"}
    slots, check = KINDS[kind]
    return Claim(kind, slots, partial(check, **arguments))


@claim("first", "second", "gap")
def cosine_greater(run: EmbeddedRun, greater: Cell, than: Cell, margin: float) -> Answer:
    """One cosine exceeds another by a margin."""
    first, second = run.cosine(greater), run.cosine(than)
    return first >= second + margin, number(first), number(second), number(first - second)


@claim("cosine")
def cosine_at_least(run: EmbeddedRun, cell: Cell, at_least: float) -> Answer:
    """A cosine reaches a bound."""
    value = run.cosine(cell)
    return value >= at_least, number(value)


@claim("lowest", "highest")
def all_cosines_at_least(run: EmbeddedRun, instruction: Index, at_least: float) -> Answer:
    """Even the two texts that are least alike reach a bound."""
    embeddings = run.embeddings(instruction)
    pairs = cosine_matrix(embeddings, embeddings)[np.triu_indices(len(embeddings), 1)]
    lowest, highest = float(pairs.min()), float(pairs.max())
    return lowest >= at_least, number(lowest), number(highest)


@claim("cosine", "percentile", "typical")
def percentile_at_most(run: EmbeddedRun, cell: Cell, at_most: float) -> Answer:
    """A cosine lies at or below a percentile of unrelated sentence pairs under the same instruction."""
    value, sentences = run.cosine(cell), unrelated_sentences()
    instruction = run.inputs.instructions[cell.instruction]
    vectors = run.encoder.encode([(instruction, text) for text in sentences.texts])
    unrelated = background(vectors, sentences.domains)
    percentile = float(unrelated.percentiles(np.array([value], dtype=np.float32))[0])
    typical = float(np.median(unrelated.cosines))
    return percentile <= at_most, number(value), f"{percentile:.0f} %", number(typical)


@claim("nearest", "cosine")
def nearest_is(run: EmbeddedRun, instruction: Index, text: Index, nearest: Index) -> Answer:
    """The text most like another is a given one."""
    embeddings = run.embeddings(instruction)
    found = int(nearest_of_all(embeddings)[text])
    return found == nearest, str(found + 1), number(float(embeddings[text] @ embeddings[found]))


@claim("hits", "texts", "share")
def accuracy_between(run: EmbeddedRun, instruction: Index, at_least: float, at_most: float) -> Answer:
    """The share of texts whose nearest other text has their own label lies within bounds."""
    n = len(run.inputs.texts)
    share = nearest_agreement(run.embeddings(instruction), run.inputs.labels or ("",) * n)
    return at_least <= share <= at_most, str(round(share * n)), str(n), f"{100 * share:.0f} %"


@claim("score", "low", "high")
def interval_contains(run: EmbeddedRun, instruction: Index, value: float) -> Answer:
    """An instruction's accuracy, as Test computes it, is above a value that its interval holds."""
    task = label_task(run.inputs.labels)
    score = intervals(score_texts(run.embeddings(instruction), task))[list(Metric).index(Metric.ACCURACY)]
    return score.low <= value < score.value, f"{score.value:.2f}", f"{score.low:.2f}", f"{score.high:.2f}"


@claim("row", "column", "term", "cosine")
def ledger_top_word(run: EmbeddedRun, cell: Cell, words: tuple[str, str]) -> Answer:
    """The largest term of the cosine of two texts belongs to a given pair of words."""
    table = ledger(*run.tokens(cell.instruction, *cell.pair), by="word")
    row, column = np.unravel_index(int(table.values.argmax()), table.values.shape)
    found = table.rows[row].plain, table.columns[column].plain
    return found == words, *found, number(float(table.values.max())), number(table.cosine)


@claim("instruction_tokens", "text_tokens", "pooled")
def pooled_segments(run: EmbeddedRun, instruction: Index, text: Index, segments: tuple[str, ...]) -> Answer:
    """The mean is taken over exactly these segments of the input."""
    (pair,) = run.tokens(instruction, text)
    encoded = [str(segment) for segment in pair.segments[: len(pair.pooling_mask)]]
    expected = [segment in segments for segment in encoded]
    holds = expected == pair.pooling_mask.tolist() and set(segments) <= set(encoded)
    return holds, str(encoded.count("instruction")), str(encoded.count("text")), str(int(pair.pooling_mask.sum()))


@claim("whole", "dropped", "deleted")
def delete_beats_drop(run: EmbeddedRun, cell: Cell, word: str, margin: float) -> Answer:
    """Deleting a word from the input moves a cosine further than dropping it from the mean, by a margin."""
    pair, other = run.tokens(cell.instruction, *cell.pair)
    dropped = drop(pair, other.embedding, by="word")
    words = [unit.plain for unit in dropped.units]
    if word not in words:
        return False, *("no value",) * 3
    edited = deletions(pair, dropped.units)
    vectors = run.encoder.encode([(pair.instruction, deletion.text) for deletion in edited])
    at = words.index(word)
    without, deleted = float(dropped.similarities[at]), combine(dropped, edited, vectors).deleted[at]
    gone = without if deleted is None else deleted
    further = abs(gone - dropped.cosine) - abs(without - dropped.cosine)
    return further >= margin, number(dropped.cosine), number(without), number(gone)


@claim("first", "second", "times")
def move_greater(
    run: EmbeddedRun, instructions: tuple[Index, Index], than_instructions: tuple[Index, Index], factor: float
) -> Answer:
    """Texts move further between two instructions than between two others, by a factor."""
    first, second = run.move(*instructions), run.move(*than_instructions)
    times = f"{first / second:.0f}" if second > 1e-6 else "countless"  # below it, rounding
    return first >= factor * second and first > 0, f"{first:.4f}", f"{second:.4f}", times


@claim("hits", "queries")
def retrieval_between(
    run: EmbeddedRun, instruction: Index, column_instruction: Index, n_queries: Index, at_least: int, at_most: int
) -> Answer:
    """How many of the first texts, as queries, find their document; document i is text `n_queries + i`."""
    found = retrieve(run.embeddings(instruction)[:n_queries], run.embeddings(column_instruction)[n_queries:])
    hits = int((found.ranks.diagonal() == 1).sum())
    return at_least <= hits <= at_most, str(hits), str(len(found.ranks))


@claim("on_map", "nearest", "share")
def map_nearest_differs(run: EmbeddedRun, instruction: Index, text: Index) -> Answer:
    """On the PCA map a text's nearest neighbour is not the one that it has in the embedding space."""
    embeddings = run.embeddings(instruction)
    result, nearest = project(embeddings, method="pca"), int(nearest_of_all(embeddings)[text])
    distances = np.linalg.norm(result.coordinates - result.coordinates[text], axis=1)
    distances[text] = np.inf
    on_map, ratios = int(distances.argmin()), result.explained_variance_ratio
    share = "no share" if ratios is None else f"{100 * ratios.sum():.0f} %"
    return on_map != nearest, str(on_map + 1), str(nearest + 1), share
