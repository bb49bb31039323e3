"""What an evaluation found, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from instructor_core.analysis.following import Following


class Kind(StrEnum):
    """What stood before the texts."""

    PLAIN = "plain"
    FREE = "free"
    NONE = "none"
    REFERENCE = "reference"  # another model, which takes no instruction


@dataclass(frozen=True)
class Recovery:
    """How well embeddings recover one kind of label.

    `agreement` is the share of texts whose nearest other text has the same label, `v_measure` the agreement of the
    labels with as many k-means clusters, mean over five fixed seeds; both from 0 to 1.
    """

    agreement: float
    v_measure: float


@dataclass(frozen=True)
class InstructionResult:
    """Scores by column of one instruction on one label set; no axis for no instruction and for the reference."""

    kind: Kind
    axis: str
    instruction: str
    scores: Mapping[str, Recovery]


@dataclass(frozen=True)
class Column:
    """One kind of label in a set; `axis` is "" if none of the wordings asks for it.

    `n_texts` counts the texts with a label that another text has too, `chance` is the agreement to expect of embeddings
    that know nothing.
    """

    name: str
    axis: str
    n_labels: int
    n_texts: int
    chance: float


@dataclass(frozen=True)
class Followed:
    """Whether instructions about two columns are followed: under their plain wordings and under pairs of free ones.

    No triplet of texts is in the right order under both instructions if embeddings take no notice of them.
    """

    columns: tuple[str, str]
    plain: Following
    free: tuple[Following, ...]


@dataclass(frozen=True)
class Contrast:
    """Agreement with two columns, wanted and unwanted, under each sentence that names both and wants the first."""

    columns: tuple[str, str]
    wanted: tuple[float, ...]
    unwanted: tuple[float, ...]


@dataclass(frozen=True)
class Shuffled:
    """Mean and lowest cosine of embeddings under a wording and under its words shuffled; and between plain wordings."""

    mean: float
    lowest: float
    between_axes: float


@dataclass(frozen=True)
class Beside:
    """How far another checkpoint agrees on the texts of a set under one instruction; see `analysis.checkpoints`."""

    kind: Kind
    axis: str
    instruction: str
    overlap: float
    k: int
    cka: float | None
    flipped: float


@dataclass(frozen=True)
class SetResult:
    """The matrix instruction x label of one set, and what every two of its columns say on following."""

    name: str
    n_texts: int
    n_in_file: int
    columns: tuple[Column, ...]
    rows: tuple[InstructionResult, ...]
    followed: tuple[Followed, ...] = ()
    beside: tuple[Beside, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    shuffled: Shuffled | None = None

    def plain(self, axis: str) -> InstructionResult | None:
        """The row of the plain wording of an axis."""
        return next((row for row in self.rows if row.kind is Kind.PLAIN and row.axis == axis), None)

    def single(self, kind: Kind) -> InstructionResult | None:
        """The row without instruction, or that of the reference."""
        return next((row for row in self.rows if row.kind is kind), None)

    def free(self, axis: str, column: str) -> list[Recovery]:
        """Scores of the free wordings of an axis in a column."""
        return [row.scores[column] for row in self.rows if row.kind is Kind.FREE and row.axis == axis]

    def best_axis(self, column: Column, measure: str, *, kind: Kind = Kind.PLAIN) -> str:
        """The axis whose wordings of a kind score highest in a column, on average; its own axis wins a tie."""
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
    """Spearman correlations of one set of pairs: without instruction, by wording, and of the reference, if any."""

    name: str
    n_pairs: int
    n_in_file: int
    none: float
    neutral: Mapping[str, float]
    unknown: Mapping[str, float]
    reference: float | None


@dataclass(frozen=True)
class EvaluationReport:
    """The whole table; names of checkpoints and reference (or "") without paths, size and seed of the samples."""

    checkpoint: str
    reference: str
    max_texts: int
    seed: int
    sets: tuple[SetResult, ...]
    pairs: tuple[PairResult, ...]
    other: str = ""  # checkpoint that it is compared with


def to_json(report: EvaluationReport) -> str:
    """The report with every wording and every score, and the verdicts, as indented JSON."""
    content = asdict(report)
    for stored, result in zip(content["sets"], report.sets, strict=True):
        stored["diagonal"] = {
            f"{kind}_{measure}": result.is_diagonal(measure, kind=kind)
            for kind in (Kind.PLAIN, Kind.FREE)
            for measure in ("agreement", "v_measure")
        }
    return json.dumps(_round(content), indent=1, ensure_ascii=False) + "\n"


def _round(content: object) -> object:
    if isinstance(content, float):
        return round(content, 5)
    if isinstance(content, dict):
        return {key: _round(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_round(value) for value in content]
    return content
