"""The pooled tokens of one encoded pair, alone or put together to words: what contributions are counted by.

Contributions are additive, so those of a word are the sums over its tokens; nothing is lost by the switch.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from instructor_core.errors import UserError

By = Literal["token", "word"]

_APOSTROPHES = "'’"


class EncodedPair(Protocol):
    """The arrays of one encoded (instruction, text) pair that the analyses of tokens read.

    `TokenEncoding` of the encoder has them all. `n` tokens were encoded; lists over `n + c` entries end with
    those that were cut off.
    """

    @property
    def instruction(self) -> str:
        """The instruction as given."""

    @property
    def text(self) -> str:
        """The text as given."""

    @property
    def joined(self) -> str:
        """The string that was tokenized."""

    @property
    def token_ids(self) -> NDArray[np.int64]:
        """(n + c,) vocabulary ids."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """The n + c vocabulary strings, "▁" for the start of a word."""

    @property
    def spans(self) -> NDArray[np.int64]:
        """(n + c, 2) character ranges in `joined`; (-1, -1) for `</s>`."""

    @property
    def segments(self) -> Sequence[str]:
        """The n + c segments: "instruction", "straddling", "text", "end" or "cut"."""

    @property
    def pooling_mask(self) -> NDArray[np.bool_]:
        """(n,) True for the tokens that enter the mean."""

    @property
    def projected(self) -> NDArray[np.float32]:
        """(n, D) token vectors in the space of the embedding."""

    @property
    def n_instruction_tokens(self) -> int:
        """Length of the instruction tokenized alone."""

    @property
    def max_seq_length(self) -> int:
        """Window of the checkpoint in tokens."""


@dataclass(frozen=True)
class Unit:
    """A pooled token, or the pooled tokens of one word."""

    text: str  # as on screen: "▁goal" for a token, "goal" for a word, "</s>"
    segment: str  # that of its tokens; "straddling" where they differ
    tokens: tuple[int, ...]  # positions among the n encoded tokens, consecutive
    token_ids: tuple[int, ...]
    start: int  # first character in the joined string; -1 for `</s>`
    end: int  # one past the last character; -1 for `</s>`
    opens_word: bool = False  # whether a space goes before it

    @property
    def is_end(self) -> bool:
        """Whether this is the final `</s>`."""
        return self.segment == "end"

    @property
    def piece(self) -> str:
        """The text with the mark of a word start where a space goes before it, for a token as for a word."""
        return f"▁{self.text}" if self.opens_word and not self.text.startswith("▁") else self.text

    @property
    def plain(self) -> str:
        """The text without the mark of a word start; a bare mark is called "space"."""
        return self.text.removeprefix("▁") or "space"


def pooled_vectors(pair: EncodedPair) -> NDArray[np.float64]:
    """(m, D) vectors of the tokens that enter the mean; their mean is the embedding before normalising."""
    return pair.projected[pair.pooling_mask].astype(np.float64)


def units(pair: EncodedPair, *, by: By = "token") -> tuple[Unit, ...]:
    """The pooled tokens of a pair in reading order, `</s>` last, each alone or put together to words.

    A word is a run of letters and digits (with its marks and an apostrophe inside), punctuation a run of others. Tokens
    that share characters, as the bytes of a rare one do, stay together; a bare "▁" belongs to what follows it.
    """
    if by not in get_args(By):
        raise UserError(f"Contributions are counted by {' or '.join(get_args(By))}: got {by!r}. Choose one of them.")
    positions = [int(i) for i in np.flatnonzero(pair.pooling_mask)]
    if by == "token":
        return tuple(_unit(pair, [i], word=False) for i in positions)
    runs = _character_runs(pair.joined)
    groups: list[list[int]] = []
    last = -1  # run of the last character of the group
    for i in positions:
        start, end = (int(edge) for edge in pair.spans[i])
        outside = start < 0 or start >= len(runs)
        if groups and not outside and runs[start] == last:
            groups[-1].append(i)
        else:
            groups.append([i])
        last = -1 if outside else runs[max(start, end - 1)]
    return tuple(_unit(pair, group, word=True) for group in groups)


def group_sums(values: NDArray[np.float64], groups: Sequence[Unit], *, axis: int = 0) -> NDArray[np.float64]:
    """Sums over the tokens of each unit along one axis, (..., m, ...) -> (..., len(groups), ...)."""
    starts = np.cumsum([0, *(len(unit.tokens) for unit in groups[:-1])])
    return np.add.reduceat(values, starts, axis=axis)


def refuse_different_tokens(first: Sequence[Unit], second: Sequence[Unit], *, what: str) -> None:
    """Raise a UserError about `what` and the first token that differs unless the pooled tokens are the same."""
    ids = [[(t, unit.text) for unit in side for t in unit.token_ids] for side in (first, second)]
    if [t for t, _ in ids[0]] == [t for t, _ in ids[1]]:
        return
    if len(ids[0]) == len(ids[1]):
        place = next(i for i, (a, b) in enumerate(zip(*ids, strict=True)) if a[0] != b[0])
        got = f"pooled token {place + 1} is {ids[0][place][1]!r} and {ids[1][place][1]!r}"
    else:
        got = f"{len(ids[0])} and {len(ids[1])} pooled tokens"
    raise UserError(
        f"{what} needs the same text tokens under both instructions: got {got}. End both instructions with one space, "
        "and shorten the text if it is cut off at different places."
    )


def _unit(pair: EncodedPair, positions: Sequence[int], *, word: bool) -> Unit:
    """The unit made of the tokens at `positions`."""
    segments = {str(pair.segments[i]) for i in positions}
    start = int(min(pair.spans[i][0] for i in positions))
    end = int(max(pair.spans[i][1] for i in positions))
    text = pair.tokens[positions[0]]
    if word and start >= 0:
        text = pair.joined[start:end].strip() or text
    return Unit(
        text=text,
        segment=segments.pop() if len(segments) == 1 else "straddling",
        tokens=tuple(positions),
        token_ids=tuple(int(pair.token_ids[i]) for i in positions),
        start=start,
        end=end,
        opens_word=pair.tokens[positions[0]].startswith("▁"),
    )


def _character_runs(joined: str) -> list[int]:
    """For each character the number of its run: of a word, of punctuation, or of spaces."""
    kinds = [_kind(character) for character in joined]
    for i in range(1, len(joined) - 1):
        if joined[i] in _APOSTROPHES and kinds[i - 1] == kinds[i + 1] == "word":
            kinds[i] = "word"
    runs: list[int] = []
    for i, kind in enumerate(kinds):
        runs.append(runs[-1] + (kind != kinds[i - 1]) if runs else 0)
    return runs


def _kind(character: str) -> str:
    """Whether a character makes part of a word, separates, or is anything else."""
    if character.isspace():
        return "space"
    is_word = character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")
    return "word" if is_word else "punctuation"
