"""What an evaluation found, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from instructor_core.evaluate.scores import Score


class Kind(StrEnum):
    """What stood before the texts."""

    PLAIN = "plain"
    FREE = "free"
    NONE = "none"
    REFERENCE = "reference"  # another model, which takes no instruction


@dataclass(frozen=True)
class Row:
    """Scores of one instruction on one label set.

    Attributes:
        kind: what stood before the texts.
        axis: the axis asked for; "" for no instruction and for the reference.
        instruction: the wording itself.
        scores: column -> score.
    """

    kind: Kind
    axis: str
    instruction: str
    scores: Mapping[str, Score]


@dataclass(frozen=True)
class Column:
    """One kind of label in a set.

    Attributes:
        name: as in the file.
        axis: that answers for it; "" if none of the wordings does.
        n_labels: number of different labels.
        n_texts: number of texts that have a label which another text has too.
        chance: agreement to expect of embeddings that know nothing.
    """

    name: str
    axis: str
    n_labels: int
    n_texts: int
    chance: float


@dataclass(frozen=True)
class SetResult:
    """The matrix instruction x label of one set."""

    name: str
    n_texts: int
    n_in_file: int
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def plain(self, axis: str) -> Row | None:
        """The row of the plain wording of an axis."""
        return next((row for row in self.rows if row.kind is Kind.PLAIN and row.axis == axis), None)

    def single(self, kind: Kind) -> Row | None:
        """The row without instruction, or that of the reference."""
        return next((row for row in self.rows if row.kind is kind), None)

    def free(self, axis: str, column: str) -> list[Score]:
        """Scores of the free wordings of an axis in a column."""
        return [row.scores[column] for row in self.rows if row.kind is Kind.FREE and row.axis == axis]

    def best_axis(self, column: Column, measure: str, *, kind: Kind = Kind.PLAIN) -> str:
        """The axis whose wording (or whose free wordings on average) scores highest in a column.

        The column's own axis wins a tie.

        Args:
            column: of this set.
            measure: "agreement" or "v_measure".
            kind: plain or free wordings.
        """
        values = {}
        for axis in dict.fromkeys(row.axis for row in self.rows if row.kind is kind):
            scores = [getattr(r.scores[column.name], measure) for r in self.rows if r.kind is kind and r.axis == axis]
            values[axis] = sum(scores) / len(scores)
        return max(values, key=lambda axis: (values[axis], axis == column.axis), default="")

    def is_diagonal(self, measure: str, *, kind: Kind = Kind.PLAIN) -> bool | None:
        """Whether the best row of every column is its own axis; None where there are fewer than two axes."""
        own = [column for column in self.columns if column.axis]
        if len({column.axis for column in own}) < 2:
            return None
        return all(self.best_axis(column, measure, kind=kind) == column.axis for column in own)


@dataclass(frozen=True)
class PairResult:
    """Spearman correlations of one set of pairs.

    Attributes:
        name: of the set.
        n_pairs: scored.
        n_in_file: before sampling.
        none: without instruction.
        neutral: wording -> correlation.
        unknown: wording -> correlation.
        reference: of the reference model, or None.
    """

    name: str
    n_pairs: int
    n_in_file: int
    none: float
    neutral: Mapping[str, float]
    unknown: Mapping[str, float]
    reference: float | None


@dataclass(frozen=True)
class EvaluationReport:
    """The whole table.

    Attributes:
        checkpoint: name of the checkpoint, without its path.
        reference: name of the reference model; "" if there was none.
        max_texts: larger sets were sampled down to this.
        seed: of the samples.
        sets: one result per label set.
        pairs: one result per set of pairs.
    """

    checkpoint: str
    reference: str
    max_texts: int
    seed: int
    sets: tuple[SetResult, ...]
    pairs: tuple[PairResult, ...]


def to_json(report: EvaluationReport) -> str:
    """The report with every wording and every score, and the verdicts, as indented JSON."""
    content = asdict(report)
    for stored, result in zip(content["sets"], report.sets, strict=True):
        stored["diagonal"] = {
            f"{kind}_{measure}": result.is_diagonal(measure, kind=kind)
            for kind in (Kind.PLAIN, Kind.FREE)
            for measure in ("agreement", "v_measure")
        }
    return json.dumps(_rounded(content), indent=1, ensure_ascii=False) + "\n"


def mean_and_lowest(values: Sequence[float]) -> tuple[float, float]:
    """Both figures that are reported for a group of wordings."""
    return sum(values) / len(values), min(values)


def _rounded(content: object) -> object:
    if isinstance(content, float):
        return round(content, 5)
    if isinstance(content, dict):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_rounded(value) for value in content]
    return content
