"""The app for programs: typed functions behind Gradio's API, which answer in plain lists and objects.

Names, types and docstrings become the schema that a caller reads. Limits are checked before any work is done, and
an error carries its message alone.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, get_args

import gradio as gr
import numpy as np
from gradio.events import api as add_endpoint
from numpy.typing import NDArray

from instructor_core.analysis import attribution, projection
from instructor_core.analysis import leaderboard as boards
from instructor_core.analysis import similarity as cosines
from instructor_core.analysis.controls import with_controls
from instructor_core.analysis.fingerprint import MIN_TEXTS, describe
from instructor_core.analysis.label_task import Metric
from instructor_core.analysis.labels import label_issues, usable_task
from instructor_core.analysis.scores import score_instructions
from instructor_core.cache import CachedEncoder
from instructor_core.errors import UserError
from instructor_core.hub import BUNDLED
from instructor_core.ui.api_contract import (
    MAX_API_TOKEN_TEXTS,
    Board,
    BoardRow,
    Encoded,
    Moved,
    Projected,
    Similarities,
    Terms,
    TokenRow,
    check_choice,
    check_flag,
    check_integer,
    check_numbers,
    checked_inputs,
    shown,
    strings,
    unwrapped,
)
from instructor_core.ui.experiments import larger_than
from instructor_core.ui.feedback import message_for
from instructor_core.ui.fingerprints import fingerprints
from instructor_core.ui.inputs import MAX_CHARACTERS, Inputs
from instructor_core.ui.runtime import Runtime

CONCURRENCY = 8  # answers are large: these many are made at a time, the others wait

MetricName = Literal["accuracy", "macro_f1", "auc", "silhouette", "v_measure"]


@dataclass(frozen=True)
class Api:
    """The endpoints on the checkpoints of a page."""

    runtime: Runtime

    def encode(
        self, texts: list[str], instructions: list[str], checkpoint: str = BUNDLED, normalize: bool = True
    ) -> Encoded:
        """Embed every text under every instruction.

        Args:
            texts: 1 to 500 texts, up to 20,000 characters each and 500,000 together.
            instructions: 1 to 8 instructions; "" is none. Each is joined to a text by one space.
            checkpoint: Name of a checkpoint in the menu of the page.
            normalize: Whether embeddings have length 1.

        Returns:
            Embeddings [instruction][text][dimension] and their norms [instruction][text] before normalising.
        """
        inputs = checked_inputs(checkpoint, texts, instructions)
        check_flag("normalize", normalize)
        encoder = self._encoder(checkpoint)
        check_numbers(len(inputs.pairs) * encoder.model.dim)
        grid = self.runtime.grid(inputs)
        return {
            "checkpoint": checkpoint,
            "revision": self.runtime.checkpoint(checkpoint).revision or "",
            "dimensions": grid.dim,
            "embeddings": _numbers(grid.embeddings if normalize else grid.vectors),
            "norms": _numbers(grid.norms),
        }

    def similarity(self, texts: list[str], instructions: list[str], checkpoint: str = BUNDLED) -> Similarities:
        """Compare all texts with each other under every instruction.

        Args:
            texts: 1 to 500 texts, up to 20,000 characters each and 500,000 together; the matrices may have 1,000,000
                cells together.
            instructions: 1 to 8 instructions; "" is none. Each is joined to a text by one space.
            checkpoint: Name of a checkpoint in the menu of the page.

        Returns:
            Cosines in [-1, 1] as [instruction][text][text].
        """
        inputs = checked_inputs(checkpoint, texts, instructions)
        check_numbers(len(inputs.instructions) * len(inputs.texts) ** 2)
        self._encoder(checkpoint)
        return {
            "checkpoint": checkpoint,
            "matrices": _numbers(cosines.similarity(self.runtime.grid(inputs)).matrices),
        }

    def tokens(self, texts: list[str], instruction: str = "", checkpoint: str = BUNDLED) -> list[TokenRow]:
        """Show the tokens of each text under one instruction, and which of them enter the embedding.

        Args:
            texts: 1 to 64 texts, up to 20,000 characters each.
            instruction: The instruction; "" is none.
            checkpoint: Name of a checkpoint in the menu of the page.

        Returns:
            Per text: its tokens ("▁" starts a word) and their segments (instruction, straddling, text, end, cut);
            for those that were encoded, whether each is in the mean and its cosine with the embedding; and how many
            tokens were cut off.
        """
        inputs = checked_inputs(checkpoint, texts, [instruction], most=MAX_API_TOKEN_TEXTS)
        rows: list[TokenRow] = []
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

    def project(
        self,
        texts: list[str],
        instructions: list[str],
        method: Literal["umap", "pca"] = "umap",
        layout: Literal["joint", "separate"] = "separate",
        dimensions: int = 2,
        n_neighbors: int = 10,
        min_dist: float = 0.1,
        metric: Literal["cosine", "euclidean", "manhattan"] = "cosine",
        random_state: int = 42,
        checkpoint: str = BUNDLED,
    ) -> Projected:
        """Place all texts in two or three dimensions under every instruction.

        Args:
            texts: 1 to 500 texts, up to 20,000 characters each and 500,000 together.
            instructions: 1 to 8 instructions; "" is none. Each is joined to a text by one space.
            method: "umap", or "pca"; PCA replaces UMAP below 15 different texts.
            layout: "joint" for one fit of all instructions, "separate" for one fit each.
            dimensions: Of the map, 2 or 3.
            n_neighbors: How many neighbours UMAP looks at, 2 to 200: few show detail, many the whole.
            min_dist: How close UMAP may place two texts, 0 to 1.
            metric: Distance between embeddings, for UMAP and for trustworthiness.
            random_state: Seed of UMAP, 0 to 4,294,967,295.
            checkpoint: Name of a checkpoint in the menu of the page.

        Returns:
            The method that was used, notes on what differs from the request, coordinates
            [instruction][text][dimension], and the trustworthiness of each panel in [0, 1].
        """
        inputs = checked_inputs(checkpoint, texts, instructions)
        check_integer("dimensions", dimensions, 2, 3)
        check_integer("n_neighbors", n_neighbors, 2, 200)
        check_integer("random_state", random_state, 0, 2**32 - 1)
        if isinstance(min_dist, bool) or not isinstance(min_dist, int | float) or not 0 <= min_dist <= 1:
            raise UserError(f"min_dist lies between 0 and 1: got {shown(min_dist)}.")
        for name, value, offered in (
            ("method", method, get_args(projection.Method)),
            ("layout", layout, get_args(projection.Layout)),
            ("metric", metric, get_args(projection.Metric)),
        ):
            check_choice(name, value, offered)
        self._encoder(checkpoint)
        placed = projection.project_grid(
            self.runtime.grid(inputs),
            layout=layout,
            method=method,
            n_components=dimensions,
            n_neighbors=n_neighbors,
            min_dist=float(min_dist),
            metric=metric,
            random_state=random_state,
        )
        return {
            "method": placed.method,
            "notes": list(placed.notes),
            "coordinates": _numbers(placed.coordinates),
            "trustworthiness": list(placed.trustworthiness),
        }

    def ledger(
        self,
        first: str,
        second: str,
        instruction: str = "",
        second_instruction: str | None = None,
        by: Literal["token", "word"] = "token",
        checkpoint: str = BUNDLED,
    ) -> Terms:
        """Split the cosine of two texts into the contributions of their pairs of tokens; the terms add up to it.

        Args:
            first: A text of up to 20,000 characters; its tokens are the rows.
            second: Another text of up to 20,000 characters; its tokens are the columns.
            instruction: The instruction of both texts; "" is none.
            second_instruction: The instruction of the second text, where it differs.
            by: What a row and a column is, "token" or "word".
            checkpoint: Name of a checkpoint in the menu of the page.

        Returns:
            The cosine, the tokens or words of both texts ("</s>" last), and the terms [row][column].
        """
        other = instruction if second_instruction is None else second_instruction
        inputs = checked_inputs(checkpoint, [first, second], [instruction, other])
        check_choice("by", by, ("token", "word"))
        pairs = list(zip(inputs.instructions, inputs.texts, strict=True))
        one, two = self._encoder(checkpoint).encode_tokens(pairs)
        terms = attribution.ledger(one, two, by=by)
        return {
            "cosine": terms.cosine,
            "rows": [unit.text for unit in terms.rows],
            "columns": [unit.text for unit in terms.columns],
            "values": _numbers(terms.values),
        }

    def leaderboard(
        self,
        texts: list[str],
        labels: list[str],
        instructions: list[str],
        metric: MetricName = "accuracy",
        checkpoint: str = BUNDLED,
    ) -> Board:
        """Compare instructions by how well texts with the same label lie together, beside controls.

        Args:
            texts: 8 to 500 texts, up to 20,000 characters each and 500,000 together.
            labels: One label per text, at least 2 different ones. Texts with a blank label, copies of a text, and
                texts alone with their label are left out, and it is said so.
            instructions: 1 to 8 instructions. No instruction, shuffled words and an unrelated one are added to compare.
            metric: What rows are ranked by: kNN accuracy, its macro-F1, the AUC of pairs, the silhouette, or the
                V-measure of k-means. The decision and the verdicts always rest on kNN accuracy.
            checkpoint: Name of a checkpoint in the menu of the page.

        Returns:
            The decision in one sentence, the name and words of the instruction to use ("empty" and "" for none), its
            accuracy on texts that took no part in choosing it, that without an instruction, their difference with a
            95% interval, what else can be concluded, how many texts were used, and per instruction its rank, its value
            with a 95% interval, and the verdicts against no instruction and against the best.
        """
        inputs = checked_inputs(checkpoint, texts, instructions)
        check_choice("metric", metric, get_args(MetricName))
        named = strings("labels", labels, len(texts), MAX_CHARACTERS)
        if len(named) != len(texts):
            raise UserError(f"Every text needs a label: got {len(named)} labels for {len(texts)} texts.")
        entries = with_controls(inputs.instructions)
        issues = label_issues(named, inputs.texts)
        task = usable_task(named, issues)
        used = tuple(inputs.texts[row] for row in issues.rows)
        self._encoder(checkpoint)
        grid = self.runtime.grid(Inputs(checkpoint, tuple(entry.instruction for entry in entries), used, None))
        chosen = Metric[metric.upper()]
        board = boards.leaderboard(entries, tuple(score_instructions(grid, task)), task, metric=chosen)
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
            "conclusion": [*boards.conclusion(board, larger=larger_than(checkpoint)), *issues.sentences],
            "texts_used": len(used),
            "rows": [_board_row(row, chosen) for row in board.rows],
        }

    def fingerprint(self, texts: list[str], instruction: str, checkpoint: str = BUNDLED) -> Moved:
        """Say what an instruction does to these texts: how far it moves them, and which tested task it is like.

        Args:
            texts: 4 to 500 different texts, up to 20,000 characters each and 500,000 together; of more than 48 a sample
                is looked at.
            instruction: The instruction; it is joined to a text by one space.
            checkpoint: Name of a checkpoint in the menu of the page.

        Returns:
            One sentence; the verdict ("moves" or "hardly changes anything"); the tested tasks it is like, none or more;
            how far the texts and the order of their pairs move from no instruction, and by how much edits without
            meaning move them; and its rank correlation with every tested task, after what no instruction gives is
            taken out, beside the floor that instructions without a task reach.
        """
        inputs = checked_inputs(checkpoint, texts, [instruction])
        (result,) = fingerprints(self._encoder(checkpoint).encode, inputs)
        if result is None:
            raise UserError(
                f"A fingerprint of an instruction needs at least {MIN_TEXTS} different texts: "
                f"got {len(set(inputs.texts))}. Add texts."
            )
        return {
            "sentence": describe(result),
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
        steps = self.runtime.load_steps(checkpoint)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                encoder: CachedEncoder = stop.value
                return encoder


def register_api(runtime: Runtime) -> None:
    """Add the endpoints to the page that is being built, each under the name of its method."""
    api = Api(runtime)
    for function in (
        api.encode,
        api.similarity,
        api.tokens,
        api.project,
        api.ledger,
        api.leaderboard,
        api.fingerprint,
    ):
        add_endpoint(
            with_messages(function),
            api_name=function.__name__,
            concurrency_limit=CONCURRENCY,
            concurrency_id="api",
        )


def with_messages(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its errors as `gr.Error`: a message for the caller, no traceback, no path."""

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except Exception as error:  # a boundary to the visitor: message_for words whatever went wrong
            raise gr.Error(message_for(error), print_exception=False) from None

    call.__doc__ = unwrapped(inspect.getdoc(function) or "")
    # Gradio reads the types of an answer from the signature, as they stand there: strings in this module.
    call.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
    return call


def _board_row(row: boards.Row, metric: Metric) -> BoardRow:
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
