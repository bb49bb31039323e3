"""What the endpoints take and answer: each limit stands once, where the check, the schema and the error read it.

A program may send any JSON. Answers are plain lists and objects; their types are the schema that a caller reads.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from pydantic import BeforeValidator, Field

from instructor_core.analysis import fingerprint, label_task, projection, units
from instructor_core.table.cells import well_formed
from instructor_core.ui.data.inputs import MAX_CHARACTERS, MAX_INSTRUCTION, MAX_INSTRUCTIONS

MAX_API_TEXTS = 500
MAX_API_CHARACTERS = 500_000  # of all texts together
MAX_API_NUMBERS = 1_000_000  # in an answer
MAX_API_TOKEN_TEXTS = 64
MAX_LABEL_NAME = 200  # characters

_MENDED = BeforeValidator(lambda value: well_formed(value) if isinstance(value, str) else value)
Text = Annotated[str, Field(max_length=MAX_CHARACTERS), _MENDED]
Instruction = Annotated[str, Field(max_length=MAX_INSTRUCTION), _MENDED]
InstructionList = Annotated[list[Instruction], Field(min_length=1, max_length=MAX_INSTRUCTIONS)]


def _about(words: str) -> Any:
    return Field(description=words)


def _texts(of: str = "texts", *, low: int = 1, most: int = MAX_API_TEXTS, more: str = ".") -> Any:
    words = f"{low} to {most} {of}, up to {MAX_CHARACTERS:,} characters each{more}"
    return Field(min_length=low, max_length=most, description=words)


def _number(words: str, low: int, high: int) -> Any:
    return Field(ge=low, le=high, description=words.format(f"{low} to {high:,}"))


_TOGETHER = f" and {MAX_API_CHARACTERS:,} together"
_FEW = f"1 to {MAX_INSTRUCTIONS} instructions"
_LONG = f"text of up to {MAX_CHARACTERS:,} characters; its tokens are the"
_SAMPLED = f"{_TOGETHER}; of more than {fingerprint.MAX_TEXTS} a sample is looked at."

Checkpoint = Annotated[str, _MENDED, _about("Name of a checkpoint in the menu of the page.")]
Other = Annotated[str, _MENDED, _about("Name of another checkpoint in the menu of the page.")]
Normalize = Annotated[bool, _about("Whether embeddings have length 1.")]
Texts = Annotated[list[Text], _texts(more=f"{_TOGETHER}.")]
ComparedTexts = Annotated[
    list[Text], _texts(more=f"{_TOGETHER}; the matrices may have {MAX_API_NUMBERS:,} cells together.")
]
ManyTexts = Annotated[list[Text], _texts(low=3, more=f"{_TOGETHER}.")]
TokenTexts = Annotated[list[Text], _texts(most=MAX_API_TOKEN_TEXTS)]
LabelledTexts = Annotated[list[Text], _texts(low=label_task.MIN_TEXTS, more=f"{_TOGETHER}.")]
MovedTexts = Annotated[list[Text], _texts("different texts", low=fingerprint.MIN_TEXTS, more=_SAMPLED)]
RowText = Annotated[Text, _about(f"A {_LONG} rows.")]
ColumnText = Annotated[Text, _about(f"Another {_LONG} columns.")]
OneInstruction = Annotated[Instruction, _about('The instruction; "" is none.')]
MovingInstruction = Annotated[Instruction, _about("The instruction; it is joined to a text by one space.")]
BothInstruction = Annotated[Instruction, _about('The instruction of both texts; "" is none.')]
SecondInstruction = Annotated[Instruction | None, _about("The instruction of the second text, where it differs.")]
Instructions = Annotated[InstructionList, _about(f'{_FEW}; "" is none. Each is joined to a text by one space.')]
Candidates = Annotated[
    InstructionList, _about(f"{_FEW}. No instruction, shuffled words and an unrelated one are added to compare.")
]
Labels = Annotated[
    list[Text],
    _about(
        "One label per text, at least 2 different ones. Texts with a blank label, copies of a text, and texts alone "
        "with their label are left out, and it is said so."
    ),
]
Method = Annotated[projection.Method, _about('"umap", or "pca"; PCA replaces UMAP below 15 different texts.')]
Layout = Annotated[projection.Layout, _about('"joint" for one fit of all instructions, "separate" for one fit each.')]
Dimensions = Annotated[int, Field(ge=2, le=3, description="Of the map, 2 or 3.")]
Neighbors = Annotated[int, _number("How many neighbours UMAP looks at, {}: few show detail, many the whole.", 2, 200)]
MinDist = Annotated[float, _number("How close UMAP may place two texts, {}.", 0, 1)]
Distance = Annotated[projection.Metric, _about("Distance between embeddings, for UMAP and for trustworthiness.")]
Seed = Annotated[int, _number("Seed of UMAP, {}.", 0, 2**32 - 1)]
By = Annotated[units.By, _about('What a row and a column is, "token" or "word".')]
MetricName = Annotated[
    Literal["accuracy", "macro_f1", "auc", "silhouette", "v_measure"],
    _about(
        "What rows are ranked by: kNN accuracy, its macro-F1, the AUC of pairs, the silhouette, or the V-measure of "
        "k-means. The decision and the verdicts always rest on kNN accuracy."
    ),
]


Wordings = Annotated[
    bool,
    _about(
        "Whether many wordings of each task that the labels name are tried beside the instructions, as on the page."
    ),
]
LabelName = Annotated[
    str,
    Field(max_length=MAX_LABEL_NAME),
    _MENDED,
    _about("What the labels say of a text, such as the name of their column: with `wordings`, a task that is tried."),
]


class Encoded(TypedDict):
    """Answer of `encode`."""

    checkpoint: str
    revision: str
    dimensions: int
    embeddings: list[list[list[float]]]
    norms: list[list[float]]
    warnings: list[str]


class Similarities(TypedDict):
    """Answer of `similarity`."""

    checkpoint: str
    matrices: list[list[list[float]]]


class ComparedInstruction(TypedDict):
    """One instruction in the answer of `compare`."""

    instruction: str
    overlap: float
    cka: float | None
    flips: float


class Compared(TypedDict):
    """Answer of `compare`."""

    checkpoints: list[str]
    k: int
    chance: float
    instructions: list[ComparedInstruction]


class TextTokens(TypedDict):
    """One text in the answer of `tokens`."""

    tokens: list[str]
    segments: list[str]
    pooled: list[bool]
    alignment: list[float]
    cut_off: int


class Projected(TypedDict):
    """Answer of `project`."""

    method: str
    notes: list[str]
    coordinates: list[list[list[float]]]
    trustworthiness: list[float | None]


class Terms(TypedDict):
    """Answer of `ledger`."""

    cosine: float
    rows: list[str]
    columns: list[str]
    values: list[list[float]]


class BoardRow(TypedDict):
    """One instruction in the answer of `leaderboard`."""

    name: str
    role: str
    instruction: str
    rank: int
    value: float | None
    low: float | None
    high: float | None
    verdict: str
    standing: str


class TriedTask(TypedDict):
    """One task of the many wordings in the answer of `leaderboard`."""

    task: str
    wordings: list[str]
    accuracies: list[float]
    optimism: float


class Board(TypedDict):
    """Answer of `leaderboard`."""

    metric: str
    k: int
    decision: str
    use: str
    instruction: str
    held_out: float
    held_out_none: float
    gain: list[float]
    best: str
    conclusion: list[str]
    texts_used: int
    rows: list[BoardRow]
    tasks: list[TriedTask]


class TaskLikeness(TypedDict):
    """One tested task in the answer of `fingerprint`."""

    task: str
    correlation: float
    floor: float


class Moved(TypedDict):
    """Answer of `fingerprint`."""

    sentence: str
    verdict: str
    like: list[str]
    distance: float
    noise: float
    order_change: float
    order_noise: float
    n_texts: int
    tasks: list[TaskLikeness]
