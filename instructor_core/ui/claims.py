"""What a lesson may claim: a closed vocabulary of assertions on the numbers of a run, each with what it measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.attribution import ledger
from instructor_core.analysis.calibration import background, unrelated_sentences
from instructor_core.analysis.deletion import combine, deletions, drop
from instructor_core.analysis.label_task import Metric, label_task
from instructor_core.analysis.leaderboard import intervals
from instructor_core.analysis.numbers import number
from instructor_core.analysis.projection import project
from instructor_core.analysis.scores import score_texts
from instructor_core.cache import CachedEncoder
from instructor_core.ui.inputs import Inputs


@dataclass(frozen=True)
class Measured:
    """What evaluating a claim gave.

    Attributes:
        holds: Whether the claim is true of the run.
        numbers: (slot, words) of what was measured, for the sentence that explains it.
    """

    holds: bool
    numbers: tuple[tuple[str, str], ...]

    def fill(self, sentence: str) -> str:
        """Return a sentence with each ``{slot}`` replaced by what was measured."""
        for slot, words in self.numbers:
            sentence = sentence.replace("{" + slot + "}", words)
        return sentence


@dataclass(frozen=True)
class Cell:
    """Two texts under one instruction, or each under its own, by index."""

    instruction: int
    pair: tuple[int, int]
    column_instruction: int | None = None


@dataclass(frozen=True)
class Claim:
    """An assertion on a run; ``kind`` is its name in a lesson, ``slots`` what its sentence may quote."""

    kind: ClassVar[str] = ""
    slots: ClassVar[tuple[str, ...]] = ()

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        raise NotImplementedError


def unit_vectors(encoder: CachedEncoder, inputs: Inputs, instruction: int) -> NDArray[np.float32]:
    """Return the (N, D) unit embeddings of all texts under one instruction."""
    vectors = encoder.encode([(inputs.instructions[instruction], text) for text in inputs.texts])
    normalised: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normalised


def cosine(encoder: CachedEncoder, inputs: Inputs, cell: Cell) -> float:
    """Return the cosine of the two texts of a cell."""
    columns = cell.instruction if cell.column_instruction is None else cell.column_instruction
    row = unit_vectors(encoder, inputs, cell.instruction)[cell.pair[0]]
    return float(row @ unit_vectors(encoder, inputs, columns)[cell.pair[1]])


def nearest(encoder: CachedEncoder, inputs: Inputs, instruction: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the (N,) index of each text's nearest other text, and the (N, N) cosines with -2 on the diagonal."""
    vectors = unit_vectors(encoder, inputs, instruction)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2.0)
    return cosines.argmax(axis=1), cosines


def mean_move(encoder: CachedEncoder, inputs: Inputs, instructions: tuple[int, int]) -> float:
    """Return how far the texts move from one instruction to another: mean ``1 - cos`` of a text with itself."""
    first, second = (unit_vectors(encoder, inputs, k) for k in instructions)
    return max(0.0, float((1.0 - (first * second).sum(axis=1)).mean()))  # rounding may go below


@dataclass(frozen=True)
class CosineGreater(Claim):
    """One cosine exceeds another by a margin."""

    kind = "cosine_greater"
    slots = ("first", "second", "gap")
    greater: Cell
    than: Cell
    margin: float

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        first, second = (cosine(encoder, inputs, cell) for cell in (self.greater, self.than))
        numbers = ("first", number(first)), ("second", number(second)), ("gap", number(first - second))
        return Measured(first >= second + self.margin, numbers)


@dataclass(frozen=True)
class CosineAtLeast(Claim):
    """A cosine reaches a bound."""

    kind = "cosine_at_least"
    slots = ("cosine",)
    cell: Cell
    at_least: float

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        value = cosine(encoder, inputs, self.cell)
        return Measured(value >= self.at_least, (("cosine", number(value)),))


@dataclass(frozen=True)
class AllCosinesAtLeast(Claim):
    """Even the two texts that are least alike reach a bound."""

    kind = "all_cosines_at_least"
    slots = ("lowest", "highest")
    instruction: int
    at_least: float

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        _, cosines = nearest(encoder, inputs, self.instruction)
        pairs = cosines[np.triu_indices(len(cosines), 1)]
        numbers = ("lowest", number(float(pairs.min()))), ("highest", number(float(pairs.max())))
        return Measured(bool(pairs.min() >= self.at_least), numbers)


@dataclass(frozen=True)
class PercentileAtMost(Claim):
    """A cosine lies at or below a percentile of unrelated sentence pairs under the same instruction."""

    kind = "percentile_at_most"
    slots = ("cosine", "percentile", "typical")
    cell: Cell
    at_most: float

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        value = cosine(encoder, inputs, self.cell)
        sentences = unrelated_sentences()
        instruction = inputs.instructions[self.cell.instruction]
        vectors = encoder.encode([(instruction, text) for text in sentences.texts])
        unrelated = background(vectors, sentences.domains)
        percentile = float(unrelated.percentiles(np.array([[value]], dtype=np.float32))[0, 0])
        typical = number(float(np.median(unrelated.cosines)))
        numbers = ("cosine", number(value)), ("percentile", f"{percentile:.0f} %"), ("typical", typical)
        return Measured(percentile <= self.at_most, numbers)


@dataclass(frozen=True)
class NearestIs(Claim):
    """The text most like another is a given one."""

    kind = "nearest_is"
    slots = ("nearest", "cosine")
    instruction: int
    text: int
    nearest: int

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        found, cosines = nearest(encoder, inputs, self.instruction)
        at = int(found[self.text])
        numbers = ("nearest", str(at + 1)), ("cosine", number(float(cosines[self.text, at])))
        return Measured(at == self.nearest, numbers)


@dataclass(frozen=True)
class AccuracyBetween(Claim):
    """How many texts have a nearest neighbor with their own label, as a share within bounds."""

    kind = "accuracy_between"
    slots = ("hits", "texts", "share")
    instruction: int
    at_least: float
    at_most: float

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        found, _ = nearest(encoder, inputs, self.instruction)
        labels = np.array(inputs.labels or ("",) * len(inputs.texts))
        hits = int((labels == labels[found]).sum())
        share = hits / len(labels)
        numbers = ("hits", str(hits)), ("texts", str(len(labels))), ("share", f"{100 * share:.0f} %")
        return Measured(self.at_least <= share <= self.at_most, numbers)


@dataclass(frozen=True)
class IntervalContains(Claim):
    """The interval of an instruction's accuracy, as the Lab computes it, holds a value."""

    kind = "interval_contains"
    slots = ("score", "low", "high")
    instruction: int
    value: float

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        task = label_task(inputs.labels)
        scores = score_texts(unit_vectors(encoder, inputs, self.instruction), task)
        score = intervals(scores)[list(Metric).index(Metric.ACCURACY)]
        numbers = (("score", f"{score.value:.2f}"), ("low", f"{score.low:.2f}"), ("high", f"{score.high:.2f}"))
        return Measured(score.low <= self.value <= score.high, numbers)


@dataclass(frozen=True)
class LedgerTopWord(Claim):
    """The largest term of the cosine of two texts belongs to a given pair of words."""

    kind = "ledger_top_word"
    slots = ("row", "column", "term", "cosine")
    cell: Cell
    words: tuple[str, str]

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        instruction = inputs.instructions[self.cell.instruction]
        first, second = encoder.encode_tokens([(instruction, inputs.texts[i]) for i in self.cell.pair])
        table = ledger(first, second, by="word")
        row, column = np.unravel_index(int(table.values.argmax()), table.values.shape)
        found = (table.rows[row].plain, table.columns[column].plain)
        term, total = number(float(table.values.max())), number(table.cosine)
        numbers = ("row", found[0]), ("column", found[1]), ("term", term), ("cosine", total)
        return Measured(found == self.words, numbers)


@dataclass(frozen=True)
class PooledSegments(Claim):
    """The mean is taken over exactly these segments of the input."""

    kind = "pooled_segments"
    slots = ("instruction_tokens", "text_tokens", "pooled")
    instruction: int
    text: int
    segments: tuple[str, ...]

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        (pair,) = encoder.encode_tokens([(inputs.instructions[self.instruction], inputs.texts[self.text])])
        segments = np.array([segment.value for segment in pair.segments[: pair.n_encoded]])
        pooled = segments[pair.pooling_mask]
        numbers = (
            ("instruction_tokens", str(int((segments == "instruction").sum()))),
            ("text_tokens", str(int((segments == "text").sum()))),
            ("pooled", str(len(pooled))),
        )
        everything = bool(np.isin(segments, self.segments).sum() == len(pooled))
        return Measured(set(pooled) == set(self.segments) and everything, numbers)


@dataclass(frozen=True)
class DeleteBeatsDrop(Claim):
    """Deleting a word from the input moves a cosine further than dropping it from the mean, by a margin."""

    kind = "delete_beats_drop"
    slots = ("whole", "dropped", "deleted")
    cell: Cell
    word: str
    margin: float

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        instruction = inputs.instructions[self.cell.instruction]
        pair, other = encoder.encode_tokens([(instruction, inputs.texts[i]) for i in self.cell.pair])
        dropped = drop(pair, other.embedding, by="word")
        edited = deletions(pair, dropped.units)
        both = combine(dropped, edited, encoder.encode([(instruction, deletion.text) for deletion in edited]))
        words = [unit.plain for unit in dropped.units]
        if self.word not in words:
            return Measured(False, tuple((slot, "no value") for slot in self.slots))
        at = words.index(self.word)
        without, deleted = float(dropped.similarities[at]), both.deleted[at]
        gone = without if deleted is None else deleted
        numbers = ("whole", number(dropped.cosine)), ("dropped", number(without)), ("deleted", number(gone))
        further = abs(gone - dropped.cosine) - abs(without - dropped.cosine)
        return Measured(further >= self.margin, numbers)


@dataclass(frozen=True)
class MoveGreater(Claim):
    """Texts move further between two instructions than between two others, by a factor."""

    kind = "move_greater"
    slots = ("first", "second", "times")
    instructions: tuple[int, int]
    than_instructions: tuple[int, int]
    factor: float

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        first, second = (mean_move(encoder, inputs, k) for k in (self.instructions, self.than_instructions))
        times = f"{first / second:.0f}" if second > 1e-6 else "countless"  # below it, rounding
        numbers = ("first", f"{first:.4f}"), ("second", f"{second:.4f}"), ("times", times)
        return Measured(first >= self.factor * second and first > 0, numbers)


@dataclass(frozen=True)
class RetrievalBetween(Claim):
    """How many of the first texts, as queries, find their document; document i is text ``n_queries + i``."""

    kind = "retrieval_between"
    slots = ("hits", "queries")
    instruction: int
    column_instruction: int
    n_queries: int
    at_least: int
    at_most: int

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        queries = unit_vectors(encoder, inputs, self.instruction)[: self.n_queries]
        documents = unit_vectors(encoder, inputs, self.column_instruction)[self.n_queries :]
        found = (queries @ documents.T).argmax(axis=1)
        hits = int((found == np.arange(len(found))).sum())
        return Measured(self.at_least <= hits <= self.at_most, (("hits", str(hits)), ("queries", str(len(queries)))))


@dataclass(frozen=True)
class MapNearestDiffers(Claim):
    """On the PCA map a text's nearest neighbor is not the one that it has in the embedding space."""

    kind = "map_nearest_differs"
    slots = ("on_map", "nearest", "share")
    instruction: int
    text: int

    def measure(self, encoder: CachedEncoder, inputs: Inputs) -> Measured:
        """Evaluate the claim on a run."""
        result = project(unit_vectors(encoder, inputs, self.instruction), method="pca")
        distances = np.linalg.norm(result.coordinates - result.coordinates[self.text], axis=1)
        distances[self.text] = np.inf
        on_map, true = int(distances.argmin()), int(nearest(encoder, inputs, self.instruction)[0][self.text])
        ratios = result.explained_variance_ratio
        share = "no share" if ratios is None else f"{100 * ratios.sum():.0f} %"
        numbers = ("on_map", str(on_map + 1)), ("nearest", str(true + 1)), ("share", share)
        return Measured(on_map != true, numbers)


KINDS: dict[str, type[Claim]] = {
    claim.kind: claim
    for claim in (
        CosineGreater,
        CosineAtLeast,
        AllCosinesAtLeast,
        PercentileAtMost,
        NearestIs,
        AccuracyBetween,
        IntervalContains,
        LedgerTopWord,
        PooledSegments,
        DeleteBeatsDrop,
        MoveGreater,
        RetrievalBetween,
        MapNearestDiffers,
    )
}
