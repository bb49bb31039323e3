"""The fingerprint of an instruction: how far it moves the given texts, and which tested task it moves them towards.

An instruction is judged by what it does, not by what it says: "Do not use sentiment" may well sort by sentiment. Two
questions are asked of the cosines of all pairs of the texts.

- Does it move them? The move from no instruction is held against the moves that edits without meaning (punctuation,
  spaces, case) cause, both as a distance of vectors and as a change of the order of the pairs, 1 - Spearman.
- Towards what? The order of the pairs is correlated with the order under the instruction of each tested task, after
  what no instruction gives is taken out of both (partial rank correlation: of the residuals of the ranks). Any words
  in front of a text move it a little the same way; so a likeness counts from a floor on: the highest that a control
  reaches, an instruction that asks for no task at all, or texts in a random order, whichever is higher. Its strength
  is the share of the way from that floor to 1.

Not shown: whether the instruction serves a purpose. Labels tell that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import round_ties, unit_vectors
from instructor_core.analysis.numbers import share
from instructor_core.errors import UserError

Effect = Literal["moves", "hardly changes anything"]

MAX_TEXTS = 48  # 1,128 pairs; 26 yardsticks x 48 texts are encoded once for a set of texts
MIN_TEXTS = 4
MARGIN = 0.1  # of strength: tasks that close to the strongest are named with it, and none that close to its floor
SAME = 0.9  # partial rank correlation from which two tasks ask the same of these texts
MAX_NAMED = 3
_SHUFFLES = 200
_CHANCE = 0.95  # of the shuffles stay below the floor
_SEED = 0
_NO_ORDER = 1e-6  # a residual shorter than this, of ranks of length 1, is rounding


@dataclass(frozen=True)
class Likeness:
    """How like one tested task an instruction is on these texts."""

    task: str
    correlation: float  # partial rank correlation in [-1, 1]
    floor: float  # what a control or chance reaches

    @property
    def strength(self) -> float:
        """Share of the way from the floor to 1; 0 or less where the task is not what sets the instruction apart."""
        return (self.correlation - self.floor) / (1.0 - self.floor) if self.floor < 1.0 else 0.0


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What an instruction does to some texts."""

    n_texts: int
    distance: float  # mean over the texts of 1 - cosine to the text under no instruction, in [0, 2]
    noise: float  # the largest such mean between the instruction and an edit of it without meaning
    order_change: float  # 1 - Spearman of the cosines of all pairs, against no instruction, in [0, 2]
    order_noise: float  # the largest 1 - Spearman between the instruction and an edit without meaning
    likeness: tuple[Likeness, ...]  # one entry per tested task, strongest first
    named: tuple[str, ...]  # strongest first, those that cannot be told apart here together; may be empty

    @property
    def verdict(self) -> Effect:
        """Whether both the vectors and the order of the pairs change by more than edits without meaning change them."""
        moves = self._is_further and self.order_change > self.order_noise
        return "moves" if moves else "hardly changes anything"

    @property
    def _is_further(self) -> bool:
        """Whether the move exceeds the noise in the two decimals that are shown of both."""
        return round(self.distance, 2) > round(self.noise, 2)


def sample_texts(n: int) -> NDArray[np.int64]:
    """Indices of the texts that fingerprints are computed from, in order: all up to 48, else as many at random."""
    if n <= MAX_TEXTS:
        return np.arange(n, dtype=np.int64)
    return np.sort(np.random.default_rng(_SEED).choice(n, MAX_TEXTS, replace=False)).astype(np.int64)


def fingerprint(
    vectors: NDArray[np.floating],
    none: NDArray[np.floating],
    edited: NDArray[np.floating],
    tasks: NDArray[np.floating],
    controls: NDArray[np.floating],
    names: Sequence[str],
) -> Fingerprint:
    """The fingerprint of an instruction on n texts, all vectors of any length."""
    if len(vectors) < MIN_TEXTS:
        raise UserError(
            f"A fingerprint of an instruction needs at least {MIN_TEXTS} texts: got {len(vectors)}. Add texts."
        )
    if len(tasks) != len(names) or not len(edited) or not len(controls):
        raise ValueError(f"Needed: an edit, a control, a name per task: got {len(edited)}, {len(controls)}, {names}.")
    own, base = _pair_ranks(vectors), _pair_ranks(none)
    residual = _without(own, base)
    of_tasks = np.stack([_without(_pair_ranks(one), base) for one in tasks])
    of_controls = np.stack([_without(_pair_ranks(one), base) for one in controls])
    floors = np.maximum((of_controls @ of_tasks.T).max(axis=0), _chance(residual, base, of_tasks, len(vectors)))
    found = [Likeness(*entry) for entry in zip(names, (of_tasks @ residual).tolist(), floors.tolist(), strict=True)]
    result = Fingerprint(
        n_texts=len(vectors),
        distance=_distance(vectors, none),
        noise=max(_distance(vectors, one) for one in edited),
        order_change=max(0.0, 1.0 - float(own @ base)),
        order_noise=max(max(0.0, 1.0 - float(own @ _pair_ranks(one))) for one in edited),
        likeness=tuple(sorted(found, key=lambda one: -one.strength)),
        named=(),
    )
    if result.verdict != "moves":
        return result
    overlap = of_tasks @ of_tasks[max(range(len(found)), key=lambda at: found[at].strength)]
    together = {one.task for one, shared in zip(found, overlap, strict=True) if shared >= SAME}
    object.__setattr__(result, "named", _name_strongest(result.likeness, together))
    return result


def describe(result: Fingerprint) -> str:
    """The fingerprint in one line: `moves the texts .21 (punctuation .01) · like "topic"`."""
    moved, noise = share(result.distance), share(result.noise)
    if result.verdict != "moves":
        alike = ": all move alike, who is near whom stays" if result._is_further else ""
        return f"hardly changes anything ({moved}; punctuation {noise}){alike}"
    size = f"{moved} (punctuation {noise})"
    if not result.named:
        return f"moves the texts {size} · like no tested task"
    *others, last = (f'"{name}"' for name in result.named)
    return f"moves the texts {size} · like {' or '.join([', '.join(others), last] if others else [last])}"


def _name_strongest(likeness: Sequence[Likeness], together: set[str]) -> tuple[str, ...]:
    """The strongest task, clearly above its floor, and those that cannot be told from it."""
    best = likeness[0].strength if likeness else 0.0
    alike = [
        one for one in likeness if one.strength >= MARGIN and (one.strength >= best - MARGIN or one.task in together)
    ]
    return tuple(one.task for one in alike[:MAX_NAMED])


def _distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Mean 1 - cosine of the rows, exactly 0 for equal rows."""
    apart = unit_vectors(first).astype(np.float64) - unit_vectors(second)
    return float(np.mean(np.sum(apart**2, axis=1)) / 2)


def _pair_ranks(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Ranks of the cosines of all pairs, centred and of length 1, (n, D) -> (n (n - 1) / 2,); zero if all are equal."""
    from scipy.stats import rankdata

    units = unit_vectors(vectors).astype(np.float64)
    cosines = round_ties((units @ units.T)[np.triu_indices(len(units), 1)])
    ranks = rankdata(cosines)
    return _scale(ranks - ranks.mean())


def _without(ranks: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is left of ranks (..., P) when their projection on the ranks `base` is taken out, of length 1 or zero."""
    return _scale(ranks - (ranks @ base)[..., None] * base)


def _scale(values: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.where(lengths > _NO_ORDER, values / np.maximum(lengths, _NO_ORDER), 0.0)


def _chance(
    residual: NDArray[np.float64], base: NDArray[np.float64], tasks: NDArray[np.float64], n_texts: int
) -> float:
    """The likeness to the likest task that texts in a random order stay below in 95 % of cases."""
    at = np.zeros((n_texts, n_texts), dtype=np.int64)
    upper = np.triu_indices(n_texts, 1)
    at[upper] = np.arange(len(residual))
    at += at.T
    rng = np.random.default_rng(_SEED)
    orders = [rng.permutation(n_texts) for _ in range(_SHUFFLES)]
    shuffled = np.stack([residual[at[np.ix_(order, order)][upper]] for order in orders])
    return float(np.quantile((_without(shuffled, base) @ tasks.T).max(axis=1, initial=0.0), _CHANCE))
