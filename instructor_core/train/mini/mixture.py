"""The mixture: which batch a step of training gets, and with which objective.

A batch is a pure function of the seed, the step and the share of the run that is done. All kinds of batches see
instructions in many wordings, because the wordings are what the model has to generalise over.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from instructor_core.encoder import InstructorModel
from instructor_core.train.batch import Batch
from instructor_core.train.mini.asking import spread
from instructor_core.train.mini.contrasts import Contrasts, Draw, choose_weighted
from instructor_core.train.mini.corpus import Corpus, Rows
from instructor_core.train.mini.material import Material
from instructor_core.train.mini.objectives import Objective
from instructor_core.train.mini.shares import (
    FIRST,
    LAST,
    REQUEST_TYPES,
    SHARES,
    TEXT_TYPES,
    MixtureSettings,
    word_plainly,
)
from instructor_core.train.mini.taught import Taught
from instructor_core.train.mini.wordings import TrainingWordings


class Mixture:
    """The batches of instructor-mini.

    A known checkpoint teaches free wordings by the plain ones that it knows; without one there are no such batches.
    """

    def __init__(
        self,
        material: Material,
        taught: Taught,
        wordings: TrainingWordings,
        settings: MixtureSettings,
        *,
        known: InstructorModel | None = None,
    ) -> None:
        self.settings, self.known = settings, known
        self._texts = material.texts
        self._corpus = Corpus(material, taught, settings.tokens)
        self._contrasts = Contrasts(material, taught, self._corpus, wordings, settings)
        self._asking = self._contrasts.asking
        self._structured = [axis for axis in ("intent", "intent", "topic", "topic", "domain") if axis in wordings.axes]
        contrasts = self._contrasts
        builders: dict[str, tuple[bool, Callable[[Draw], Batch]]] = {
            "plain": (True, self._plain),
            "neutral": (True, self._neutral),
            "structure": (bool(self._structured), self._structure),
            "labels": (bool(contrasts.by_axis), contrasts.labels),
            "cross": (bool(contrasts.crossable), contrasts.cross),
            "nouns": (len(taught.nouns) > 1, contrasts.nouns),
            "triplets": (bool(contrasts.triplet_sets), contrasts.triplets),
            "pairs": (bool(material.pairs), contrasts.pairs),
            "wordings": (known is not None and bool(contrasts.by_axis), self._wordings),
        }
        self._builders = {kind: builder for kind, (possible, builder) in builders.items() if possible}

    def shares(self, progress: float) -> dict[str, float]:
        """Return the share of every kind of batch at a time of the run (0 to 1); a warm start needs no beginning."""
        cold = not self.settings.warm and self.known is None
        usual = FIRST if cold and progress < 0.1 else LAST if progress >= 0.75 else SHARES
        shares = usual if self.settings.shares is None else self.settings.shares
        return {kind: shares[kind] for kind in self._builders if shares.get(kind, 0) > 0}

    def batch(self, step: int, progress: float = 0.0) -> Batch:
        """Return the batch of a step when a share of the run is done, of which hundredths count."""
        rng = random.Random(f"{self.settings.seed}/{step}")
        draw = Draw(rng, np.random.default_rng(rng.getrandbits(64)))
        shares = self.shares(round(progress, 2))
        return self._builders[choose_weighted(rng, shares)](draw)

    # ---- distillation -------------------------------------------------------------------------------------------

    def _plain(self, draw: Draw) -> Batch:
        rows = self._corpus.draw(draw.rng, draw.numbers, instruction_tokens=0)
        return self._copy("plain", rows, [""] * len(rows))

    def _neutral(self, draw: Draw) -> Batch:
        rows = self._corpus.draw(draw.rng, draw.numbers, instruction_tokens=10)
        return self._copy("neutral", rows, spread(draw.rng, len(rows), partial(self._asking.ask_nothing, draw.rng)))

    def _structure(self, draw: Draw) -> Batch:
        rng = draw.rng
        axis = rng.choice(self._structured)
        requests = axis != "topic" and rng.random() < 0.8
        rows = self._corpus.draw(rng, draw.numbers, instruction_tokens=12, requests=requests)
        types = TEXT_TYPES if axis == "topic" else REQUEST_TYPES
        instructions = spread(rng, len(rows), partial(self._asking.axis, axis, rng, types))
        # A topic is coarser than what a text says: half of the way to the centre of its cluster.
        return self._copy(f"structure:{axis}", rows, instructions, smooth=0.5 if axis == "topic" else 0.0)

    def _copy(self, name: str, rows: Rows, instructions: Sequence[str], smooth: float = 0.0) -> Batch:
        targets = self._corpus.vectors(rows)
        if smooth:
            centres = self._corpus.topics.centres[self._corpus.topics.fine[rows]]
            targets = (targets + smooth * (centres - targets)).astype(np.float16)
        objective = Objective(name.partition(":")[0], rows, targets=targets, copy=1.0)
        return Batch(self._contrasts.join(instructions, rows), objective, name)

    def _wordings(self, draw: Draw) -> Batch:
        """Any texts under free wordings, as the known checkpoint sees them under a plain one."""
        rng = draw.rng
        axis, one = self._contrasts.pick(rng)
        if rng.random() < 0.6:
            rows = np.unique(
                one.set.rows[one.sample(axis, self._contrasts.n_texts(one.mean_length, 14), rng, draw.numbers)]
            )
        else:
            rows = self._corpus.draw(rng, draw.numbers, instruction_tokens=14)
        assert self.known is not None  # the builder is not offered without it
        plain = word_plainly(axis, rng.choice(one.set.text_types))
        targets = self.known.encode([(plain, self._texts[row]) for row in rows.tolist()])
        instructions = spread(rng, len(rows), partial(self._asking.axis, axis, rng, one.set.text_types))
        objective = Objective("wordings", rows, targets=targets.astype(np.float16), copy=1.0)
        return Batch(self._contrasts.join(instructions, rows), objective, "wordings")
