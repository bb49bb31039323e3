"""How much of the spread of a grid is due to the texts, to the instructions, and to both together.

A two-way split of sums of squares with one vector per cell: vector = overall mean + effect of the text + effect of
the instruction + interaction. A large share of the instruction only says that it shifts all texts alike, which no
neighbor list sees. The interaction is what re-arranges the texts.

Not shown: whether a re-arrangement is a good one, and which instruction caused it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instructor_core.errors import UserError


@dataclass(frozen=True, eq=False)
class VarianceSplit:
    """Sums of squares of a grid of K instructions and N texts; the three parts add to the total."""

    text: float
    instruction: float  # 0 for one instruction or equal ones
    interaction: float  # likewise
    total: float  # sum of the squared distances of all K x N vectors to their mean
    n_instructions: int
    n_texts: int

    @property
    def shares(self) -> tuple[float, float, float]:
        """Text, instruction and interaction as shares of the total; all 0 where all vectors are equal."""
        if self.total == 0:
            return 0.0, 0.0, 0.0
        return self.text / self.total, self.instruction / self.total, self.interaction / self.total


def variance_split(embeddings: NDArray[np.floating]) -> VarianceSplit:
    """The split of the vectors of K instructions and N texts, (K, N, D); cosines compare those of unit length."""
    n_instructions, n_texts, _ = embeddings.shape
    if n_instructions < 1 or n_texts < 2:
        raise UserError(
            f"A variance split needs at least 1 instruction and 2 texts: got {n_instructions} and {n_texts}. "
            "Add instructions or texts."
        )
    vectors = embeddings.astype(np.float64)
    # Effects of the instruction are taken from the change against the first one: equal instructions give exactly 0.
    change = vectors - vectors[0]
    by_instruction = change.mean(axis=1, keepdims=True)
    by_text = change.mean(axis=0, keepdims=True)
    overall = by_text.mean(axis=1, keepdims=True)
    interaction = change - by_instruction - by_text + overall
    means = vectors.mean(axis=0)
    center = vectors.mean(axis=(0, 1))
    return VarianceSplit(
        text=float(n_instructions * np.sum((means - means.mean(axis=0)) ** 2)),
        instruction=float(n_texts * np.sum((by_instruction - overall) ** 2)),
        interaction=float(np.sum(interaction**2)),
        total=float(np.sum((vectors - center) ** 2)),
        n_instructions=n_instructions,
        n_texts=n_texts,
    )
