"""Why two texts are alike: their cosine under each instruction, how usual it is, and the words that tie them.

The contributions are those of the ledger by word, exact and additive; see `attribution`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from instructor_core.analysis.attribution import Ledger, ledger
from instructor_core.analysis.calibration import Background
from instructor_core.analysis.pooled import blocks
from instructor_core.analysis.units import EncodedPair

_RARE, _UNUSUAL = 97.5, 90.0  # percentiles


@dataclass(frozen=True)
class Tie:
    """Two words, one of each text, and what they add to the cosine, summed over all places where both stand."""

    first: str
    second: str
    contribution: float


@dataclass(frozen=True, eq=False)
class WhyUnder:
    """Two texts under one instruction."""

    cosine: float
    percentile: float  # of unrelated pairs that are no more alike
    ties: tuple[Tie, ...]  # all pairs of words of the texts, largest magnitude first
    # What the pairs with an end mark add, and where the instruction is pooled those with its tokens: with the ties they
    # make the cosine.
    end: float
    instruction: float = 0.0

    @property
    def words(self) -> str:
        """How usual the cosine is: "rare (99th percentile)"."""
        rank = min(int(self.percentile), 99)
        return f"{_usual(self.percentile)} ({ordinal(rank)} percentile)"


@dataclass(frozen=True, eq=False)
class Why:
    """Two texts under every instruction."""

    under: tuple[WhyUnder, ...]  # one entry per instruction
    largest: tuple[int, int] | None  # higher cosine first; None for a single instruction
    changed: tuple[Tie, ...]  # by magnitude; but for the end mark, the difference of the cosines of `largest`


def explain(first: Sequence[EncodedPair], second: Sequence[EncodedPair], backgrounds: Sequence[Background]) -> Why:
    """Why two texts are alike, from K encodings of each and K backgrounds, one per instruction."""
    found = []
    for one, two, background in zip(first, second, backgrounds, strict=True):
        terms = ledger(one, two, by="word")
        percentile = float(background.percentiles(np.array([terms.cosine]))[0])
        ties, parts = _rank(_by_words(terms)), blocks(terms)
        found.append(WhyUnder(terms.cosine, percentile, ties, terms.end_total, float(parts.sum() - parts[1, 1])))
    if len(found) < 2:
        return Why(tuple(found), None, ())
    cosines = [one.cosine for one in found]
    high, low = int(np.argmax(cosines)), int(np.argmin(cosines))
    if high == low:  # all are equal
        high, low = 0, 1
    changed = {(tie.first, tie.second): tie.contribution for tie in found[high].ties}
    for tie in found[low].ties:  # by word: a text that is cut elsewhere has other words, not other meanings of them
        changed[tie.first, tie.second] = changed.get((tie.first, tie.second), 0.0) - tie.contribution
    return Why(tuple(found), (high, low), _rank(changed))


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _by_words(terms: Ledger) -> dict[tuple[str, str], float]:
    """What pairs of words add, without what stands with every text and says nothing of these two."""
    totals: dict[tuple[str, str], float] = {}
    for i, row in enumerate(terms.rows):
        for j, column in enumerate(terms.columns):
            if not {row.segment, column.segment} & {"end", "instruction"}:
                pair = row.plain, column.plain
                totals[pair] = totals.get(pair, 0.0) + float(terms.values[i, j])
    return totals


def _rank(totals: dict[tuple[str, str], float]) -> tuple[Tie, ...]:
    ties = [Tie(first, second, value) for (first, second), value in totals.items()]
    return tuple(sorted(ties, key=lambda tie: -abs(tie.contribution)))


def _usual(percentile: float) -> str:
    """How usual a cosine at this percentile of unrelated pairs is."""
    if percentile >= _RARE:
        return "rare"
    if percentile >= _UNUSUAL:
        return "unusual"
    return "ordinary" if percentile > 100 - _UNUSUAL else "unusually far apart"
