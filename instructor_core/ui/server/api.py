"""The app for programs: typed functions behind Gradio's API, which answer in plain lists and objects.

Names, types and docstrings become the schema that a caller reads. Limits are checked before any work is done, and
an error carries its message alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gradio.events import api as add_endpoint
from numpy.typing import NDArray

from instructor_core.analysis import attribution, projection
from instructor_core.analysis import leaderboard as boards
from instructor_core.analysis import similarity as cosines
from instructor_core.analysis.checkpoints import agreement
from instructor_core.analysis.fingerprint import MIN_TEXTS
from instructor_core.analysis.fingerprint import describe as say
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.label_task import Metric
from instructor_core.cache import CachedEncoder
from instructor_core.errors import UserError
from instructor_core.hub import BUNDLED
from instructor_core.ui.data.fingerprints import fingerprints
from instructor_core.ui.data.inputs import Inputs, join_ready, one_line
from instructor_core.ui.data.text_warnings import text_warnings
from instructor_core.ui.server import api_contract as contract
from instructor_core.ui.server.api_contract import MAX_API_CHARACTERS, MAX_API_NUMBERS
from instructor_core.ui.server.api_schema import check_arguments, for_programs
from instructor_core.ui.server.progress import finish
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial.boards import larger_than
from instructor_core.ui.trial.comparison import Request, ScoreBook, compare

CONCURRENCY = 16  # answers are large: these many are made at a time, the others wait


@dataclass(frozen=True)
class Api:
    """The endpoints on the checkpoints of a page."""

    runtime: Runtime

    @check_arguments
    def encode(
        self,
        texts: contract.Texts,
        instructions: contract.Instructions,
        checkpoint: contract.Checkpoint = BUNDLED,
        normalize: contract.Normalize = True,
    ) -> contract.Encoded:
        """Embed every text under every instruction.

        Returns:
            Embeddings [instruction][text][dimension], their norms [instruction][text] before normalising, and
            warnings on texts that are cut off or do not look like English.
        """
        inputs = inputs_of(checkpoint, texts, instructions)
        check_numbers(len(inputs.pairs) * self._encoder(checkpoint).model.dim)
        grid = self.runtime.grid(inputs)
        return {
            "checkpoint": checkpoint,
            "revision": self.runtime.checkpoint(checkpoint).revision or "",
            "dimensions": grid.dim,
            "embeddings": _numbers(grid.embeddings if normalize else grid.vectors),
            "norms": _numbers(grid.norms),
            "warnings": list(text_warnings(self._encoder(checkpoint), inputs)),
        }

    @check_arguments
    def similarity(
        self,
        texts: contract.ComparedTexts,
        instructions: contract.Instructions,
        checkpoint: contract.Checkpoint = BUNDLED,
    ) -> contract.Similarities:
        """Compare all texts with each other under every instruction.

        Returns:
            Cosines in [-1, 1] as [instruction][text][text].
        """
        inputs = inputs_of(checkpoint, texts, instructions)
        check_numbers(len(inputs.instructions) * len(inputs.texts) ** 2)
        return {"checkpoint": checkpoint, "matrices": _numbers(cosines.similarity(self._grid(inputs)).matrices)}

    @check_arguments
    def compare(
        self,
        texts: contract.ManyTexts,
        instructions: contract.Instructions,
        other: contract.Other,
        checkpoint: contract.Checkpoint = BUNDLED,
    ) -> contract.Compared:
        """Say how far two checkpoints agree on these texts under every instruction.

        Returns:
            The number of nearest texts that are compared, the overlap that chance would give, and per instruction: the
            mean share of nearest texts that both checkpoints have, the bias-corrected linear CKA of their embeddings
            (null where it is undefined), and the share of triplets of texts that are in the opposite order. The same
            checkpoint twice gives 1, 1 and 0.
        """
        inputs = replace(inputs_of(checkpoint, texts, instructions), beside_id=other)
        self.runtime.checkpoint(other)  # before any work
        pairs = zip(*(self._grid(one).embeddings for one in inputs.runs), strict=True)
        found = [agreement(*pair) for pair in pairs]
        return {
            "checkpoints": [checkpoint, other],
            "k": found[0].k,
            "chance": round(found[0].chance, 7),
            "instructions": [
                {
                    "instruction": instruction.strip(),
                    "overlap": round(one.overlap, 7),
                    "cka": None if one.cka is None else round(one.cka, 7),
                    "flips": round(one.flipped, 7),
                }
                for instruction, one in zip(inputs.instructions, found, strict=True)
            ],
        }

    @check_arguments
    def tokens(
        self,
        texts: contract.TokenTexts,
        instruction: contract.OneInstruction = "",
        checkpoint: contract.Checkpoint = BUNDLED,
    ) -> list[contract.TextTokens]:
        """Show the tokens of each text under one instruction, and which of them enter the embedding.

        Returns:
            Per text: its tokens ("▁" starts a word) and their segments (instruction, straddling, text, end, cut);
            for those that were encoded, whether each is in the mean and its cosine with the embedding; and how many
            tokens were cut off.
        """
        inputs = inputs_of(checkpoint, texts, [instruction])
        rows: list[contract.TextTokens] = []
        for encoding in self._encoder(checkpoint).encode_tokens(inputs.pairs):
            n = encoding.n_encoded
            aligned = cosines.cosine_matrix(encoding.projected, encoding.embedding[None])[:, 0]
            rows.append(
                {
                    "tokens": list(encoding.tokens),
                    "segments": [segment.value for segment in encoding.segments],
                    "pooled": [bool(counts) for counts in encoding.pooling_mask[:n]],
                    "alignment": _numbers(aligned),
                    "cut_off": encoding.n_cut,
                }
            )
        return rows

    @check_arguments
    def project(
        self,
        texts: contract.Texts,
        instructions: contract.Instructions,
        method: contract.Method = "umap",
        layout: contract.Layout = "separate",
        dimensions: contract.Dimensions = 2,
        n_neighbors: contract.Neighbors = 10,
        min_dist: contract.MinDist = 0.1,
        metric: contract.Distance = "cosine",
        random_state: contract.Seed = 42,
        checkpoint: contract.Checkpoint = BUNDLED,
    ) -> contract.Projected:
        """Place all texts in two or three dimensions under every instruction.

        Returns:
            The method that was used, notes on what differs from the request, coordinates
            [instruction][text][dimension], and the trustworthiness of each panel in [0, 1].
        """
        inputs = inputs_of(checkpoint, texts, instructions)
        placed = projection.project_grid(
            self._grid(inputs),
            layout=layout,
            method=method,
            n_components=dimensions,
            n_neighbors=n_neighbors,
            min_dist=min_dist,
            metric=metric,
            random_state=random_state,
        )
        return {
            "method": placed.method,
            "notes": list(placed.notes),
            "coordinates": _numbers(placed.coordinates),
            "trustworthiness": list(placed.trustworthiness),
        }

    @check_arguments
    def ledger(
        self,
        first: contract.RowText,
        second: contract.ColumnText,
        instruction: contract.BothInstruction = "",
        second_instruction: contract.SecondInstruction = None,
        by: contract.By = "token",
        checkpoint: contract.Checkpoint = BUNDLED,
    ) -> contract.Terms:
        """Split the cosine of two texts into the contributions of their pairs of tokens; the terms add up to it.

        Returns:
            The cosine, the tokens or words of both texts ("</s>" last), and the terms [row][column].
        """
        other = instruction if second_instruction is None else second_instruction
        inputs = inputs_of(checkpoint, [first, second], [instruction, other])
        pairs = list(zip(inputs.instructions, inputs.texts, strict=True))
        one, two = self._encoder(checkpoint).encode_tokens(pairs)
        terms = attribution.ledger(one, two, by=by)
        return {
            "cosine": terms.cosine,
            "rows": [unit.text for unit in terms.rows],
            "columns": [unit.text for unit in terms.columns],
            "values": _numbers(terms.values),
        }

    @check_arguments
    def leaderboard(
        self,
        texts: contract.LabelledTexts,
        labels: contract.Labels,
        instructions: contract.Candidates,
        metric: contract.MetricName = "accuracy",
        checkpoint: contract.Checkpoint = BUNDLED,
        wordings: contract.Wordings = False,
        label_name: contract.LabelName = "",
    ) -> contract.Board:
        """Compare instructions by how well texts with the same label lie together, beside controls.

        Returns:
            The decision in one sentence, the name and words of the instruction to use ("empty" and "" for none), its
            accuracy on texts that took no part in choosing it, that without an instruction, their difference with a
            95% interval, what else can be concluded, how many texts were used, and per instruction its rank, its value
            with a 95% interval, and the verdicts against no instruction and against the best; with `wordings` also per
            task its wordings with the accuracy of each, and by how much the best looks better than on other texts.
        """
        inputs = inputs_of(checkpoint, texts, instructions)
        if len(labels) != len(texts):
            raise UserError(f"Every text needs a label: got {len(labels)} labels for {len(texts)} texts.")
        chosen = Metric[metric.upper()]
        columns = tuple(filter(None, [one_line(label_name)]))
        request = Request(metric=chosen, many=wordings, columns=columns)
        self._encoder(checkpoint)
        found = finish(compare(self.runtime, ScoreBook(), replace(inputs, labels=tuple(labels)), request))
        board, task, spread = found.board, found.board.task, found.choice.spread
        decision = board.decision
        return {
            "metric": chosen.value,
            "k": task.k,
            "decision": decision.headline,
            "use": board.use.name,
            "instruction": board.use.entry.instruction.strip(),
            "held_out": decision.held_out if decision.chosen is not None else decision.held_out_none,
            "held_out_none": decision.held_out_none,
            "gain": [decision.gain.value, decision.gain.low, decision.gain.high],
            "best": board.rows[board.best].name,
            "conclusion": [
                *boards.conclusion(board, larger=larger_than(checkpoint)),
                *(spread.sentences if spread is not None else ()),
                *found.left_out,
            ],
            "texts_used": len(task.index),
            "rows": [_board_row(row, chosen) for row in board.rows],
            "tasks": [
                {
                    "task": each.name,
                    "wordings": list(each.wordings),
                    "accuracies": _numbers(values),
                    "optimism": round(float(optimism), 7),
                }
                for each, values, optimism in (
                    zip(found.tasks, spread.values, spread.optimism, strict=True) if spread is not None else ()
                )
            ],
        }

    @check_arguments
    def fingerprint(
        self,
        texts: contract.MovedTexts,
        instruction: contract.MovingInstruction,
        checkpoint: contract.Checkpoint = BUNDLED,
    ) -> contract.Moved:
        """Say what an instruction does to these texts: how far it moves them, and which tested task it is like.

        Returns:
            One sentence; the verdict ("moves" or "hardly changes anything"); the tested tasks it is like, none or more;
            how far the texts and the order of their pairs move from no instruction, and by how much edits without
            meaning move them; and its rank correlation with every tested task, after what no instruction gives is
            taken out, beside the floor that instructions without a task reach.
        """
        inputs = inputs_of(checkpoint, texts, [instruction])
        (result,) = fingerprints(self._encoder(checkpoint).encode, inputs)
        if result is None:
            raise UserError(
                f"A fingerprint of an instruction needs at least {MIN_TEXTS} different texts: "
                f"got {len(set(inputs.texts))}. Add texts."
            )
        return {
            "sentence": say(result),
            "verdict": result.verdict,
            "like": list(result.named),
            "distance": round(result.distance, 7),
            "noise": round(result.noise, 7),
            "order_change": round(result.order_change, 7),
            "order_noise": round(result.order_noise, 7),
            "n_texts": result.n_texts,
            "tasks": [
                {"task": one.task, "correlation": round(one.correlation, 7), "floor": round(one.floor, 7)}
                for one in result.likeness
            ],
        }

    def _encoder(self, checkpoint: str) -> CachedEncoder:
        """The encoder, downloaded first if need be: outside of the lock that other visitors wait for."""
        return finish(self.runtime.load_steps(checkpoint))

    def _grid(self, inputs: Inputs) -> EmbeddingGrid:
        self._encoder(inputs.checkpoint_id)
        return self.runtime.grid(inputs)


def inputs_of(checkpoint: str, texts: Sequence[str], instructions: Sequence[str]) -> Inputs:
    """Return checked arguments as what the page works on; a UserError for an empty text, or too much text together."""
    stripped = tuple(text.strip() for text in texts)
    if "" in stripped:
        raise UserError(f"A text must not be empty: number {stripped.index('') + 1} is.")
    total = sum(map(len, stripped))
    if total > MAX_API_CHARACTERS:
        raise UserError(f"texts may have {MAX_API_CHARACTERS} characters together: got {total}. Send fewer at a time.")
    return Inputs(checkpoint, tuple(map(join_ready, instructions)), stripped, None)


def check_numbers(n: int) -> None:
    """Raise a UserError if an answer would hold more numbers than allowed."""
    if n > MAX_API_NUMBERS:
        raise UserError(f"An answer may hold {MAX_API_NUMBERS} numbers: this one would hold {n}. Send fewer texts.")


def register_api(runtime: Runtime) -> None:
    """Add the endpoints to the page that is being built, each under the name of its method."""
    api = Api(runtime)
    endpoints = (
        *(api.encode, api.similarity, api.compare, api.tokens, api.project, api.ledger),
        *(api.leaderboard, api.fingerprint),
    )
    for function in endpoints:
        add_endpoint(
            for_programs(function),
            api_name=function.__name__,
            concurrency_limit=CONCURRENCY,
            concurrency_id="api",
        )


def _board_row(row: boards.Row, metric: Metric) -> contract.BoardRow:
    score = row.score(metric)
    return {
        "name": row.name,
        "role": row.entry.role.value,
        "instruction": row.entry.instruction.strip(),
        "rank": row.rank,
        "value": _finite(score.value),
        "low": _finite(score.low),
        "high": _finite(score.high),
        "verdict": row.verdict.value,
        "standing": row.standing.value,
    }


def _numbers(values: NDArray[np.floating]) -> Any:
    """Nested lists with the digits that float32 has."""
    return np.round(values.astype(np.float64), 7).tolist()


def _finite(value: float) -> float | None:
    """JSON knows no NaN: a score that is undefined is null."""
    return float(value) if math.isfinite(value) else None
