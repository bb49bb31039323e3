"""What a lesson may claim: a closed vocabulary of assertions on the numbers of a run, each with what it measured.

A claim stands in a lesson as a JSON object: its `kind` is the name of a function below, the rest are its arguments.
Where they name no texts, the claim is about the two that a learner has selected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import partial
from typing import Any

import numpy as np
from pydantic import ConfigDict, validate_call

from instructor_core.analysis.attribution import ledger
from instructor_core.analysis.deletion import combine, deletions, drop
from instructor_core.analysis.fingerprint import MIN_TEXTS, describe
from instructor_core.analysis.grid import unit_vectors
from instructor_core.analysis.label_task import Metric, label_task
from instructor_core.analysis.layers import layer_divergence, pool_layers, read_groups, write_shares
from instructor_core.analysis.leaderboard import intervals
from instructor_core.analysis.metrics import nearest_agreement
from instructor_core.analysis.movement import movement
from instructor_core.analysis.neighbors import nearest_of_all
from instructor_core.analysis.numbers import counted, number, signed
from instructor_core.analysis.projection import project
from instructor_core.analysis.retrieval import retrieve
from instructor_core.analysis.scores import score_texts
from instructor_core.analysis.similarity import cosine_matrix
from instructor_core.errors import UserError
from instructor_core.ui.data.fingerprints import fingerprints
from instructor_core.ui.learn.measured import Answer, Cell, Claim, EmbeddedRun, Index

KINDS: dict[str, tuple[tuple[str, ...], Callable[..., Answer]]] = {}


def claim(*slots: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Return a decorator that makes a function of a run a kind of claim, which measures these slots."""

    def register(check: Callable[..., Answer]) -> Callable[..., Answer]:
        checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(check)  # arguments come from a file
        KINDS[check.__name__] = slots, checked
        return check

    return register


def read_claim(values: dict[str, Any]) -> Claim:
    """Return the claim that a JSON object describes."""
    kind, arguments = values["kind"], {name: value for name, value in values.items() if name != "kind"}
    slots, check = KINDS[kind]
    wanted = tuple((name, f"{value:g}") for name, value in arguments.items() if isinstance(value, int | float))
    return Claim(kind, slots, wanted, partial(check, **arguments))


@claim("first", "second", "gap")
def cosine_greater(run: EmbeddedRun, greater: Cell, than: Cell, margin: float) -> Answer:
    """One cosine exceeds another by a margin."""
    first, second = run.cosine(greater), run.cosine(than)
    return first >= second + margin, number(first), number(second), signed(first - second)


@claim("cosine")
def cosine_at_least(run: EmbeddedRun, cell: Cell, at_least: float) -> Answer:
    """A cosine reaches a bound."""
    value = run.cosine(cell)
    return value >= at_least, number(value)


@claim("cosine", "apart")
def one_word_apart(run: EmbeddedRun, cell: Cell, at_most: float) -> Answer:
    """Two texts that differ in one word, changed, added or left out, have a cosine of at most a bound."""
    first, second = (run.inputs.texts[at].casefold().split() for at in run.pair(cell))
    blocks = SequenceMatcher(None, first, second, autojunk=False).get_opcodes()
    apart = sum(max(end - start, other_end - other) for kind, start, end, other, other_end in blocks if kind != "equal")
    value = run.cosine(cell)
    return apart == 1 and value <= at_most, number(value), counted(apart, "word")


@claim("lowest", "highest")
def all_cosines_at_least(run: EmbeddedRun, instruction: Index, at_least: float) -> Answer:
    """Even the two texts that are least alike reach a bound."""
    embeddings = run.embeddings(instruction)
    pairs = cosine_matrix(embeddings, embeddings)[np.triu_indices(len(embeddings), 1)]
    lowest, highest = float(pairs.min()), float(pairs.max())
    return lowest >= at_least, number(lowest), number(highest)


@claim("cosine", "percentile", "typical")
def percentile_between(run: EmbeddedRun, cell: Cell, at_least: float = 0, at_most: float = 100) -> Answer:
    """The percentile of a cosine among unrelated sentence pairs under the same instruction lies within bounds."""
    percentile, typical = run.percentile(cell)
    return at_least <= percentile <= at_most, number(run.cosine(cell)), f"{percentile:.0f} %", number(typical)


@claim("first", "second", "shared")
def percentile_falls(run: EmbeddedRun, cell: Cell, to: Cell, at_least: float, by: float) -> Answer:
    """Texts that share a word lie at a percentile or above, and some points lower under another instruction."""
    (first, _), (second, _), shared = run.percentile(cell), run.percentile(to), run.shared_words(cell)
    holds = bool(shared) and first >= at_least and first - second >= by
    return holds, f"{first:.0f} %", f"{second:.0f} %", _quote(shared)


@claim("nearest", "cosine")
def nearest_is(run: EmbeddedRun, instruction: Index, text: Index, nearest: Index) -> Answer:
    """The text most like another is a given one."""
    embeddings = run.embeddings(instruction)
    found = int(nearest_of_all(embeddings)[text])
    return found == nearest, str(found + 1), number(float(embeddings[text] @ embeddings[found]))


@claim("text", "first", "second", "other")
def comes_nearest(run: EmbeddedRun, instructions: tuple[Index, Index]) -> Answer:
    """One of the selected texts is the most like the other under the second instruction, and not under the first."""
    _refuse_few(run)
    pair = run.pair(Cell(instructions[0]))
    before, after = (nearest_of_all(run.embeddings(each)) for each in instructions)
    found = [(text, other) for text, other in (pair, pair[::-1]) if after[text] == other != before[text]]
    text, other = (*found, pair)[0]
    return bool(found), *(str(each + 1) for each in (text, before[text], after[text], other))


@claim("hits", "texts", "share")
def accuracy_between(run: EmbeddedRun, instruction: Index, at_least: float, at_most: float) -> Answer:
    """The share of texts whose nearest other text has their own label lies within bounds."""
    n = len(run.inputs.texts)
    share = nearest_agreement(run.embeddings(instruction), run.inputs.labels or ("",) * n)
    return at_least <= share <= at_most, str(round(share * n)), str(n), f"{100 * share:.0f} %"


@claim("score", "low", "high", "guess")
def interval_clear(run: EmbeddedRun, instruction: Index, clear: bool) -> Answer:
    """An instruction's accuracy, as Test computes it, is above that of guessing, which its interval holds or not."""
    task = label_task(run.inputs.labels or ("",) * len(run.inputs.texts))
    score = intervals(score_texts(run.embeddings(instruction), task))[list(Metric).index(Metric.ACCURACY)]
    guess = task.chance(Metric.ACCURACY) or 0.0
    holds = guess < score.value and (score.low > guess) == clear
    return holds, *(f"{value:.2f}" for value in (score.value, score.low, score.high, guess))


@claim("row", "column", "term", "cosine")
def ledger_top_word(run: EmbeddedRun, cell: Cell, words: tuple[str, str]) -> Answer:
    """The largest term of the cosine of two texts belongs to a given pair of words."""
    table = ledger(*run.tokens(cell.instruction, *run.pair(cell)), by="word")
    row, column = np.unravel_index(int(table.values.argmax()), table.values.shape)
    found = table.rows[row].plain, table.columns[column].plain
    return found == words, *found, number(float(table.values.max())), number(table.cosine)


@claim("instruction_tokens", "text_tokens", "pooled")
def pooled_segments(run: EmbeddedRun, instruction: Index, text: Index, segments: tuple[str, ...]) -> Answer:
    """The mean is taken over exactly these segments of the input."""
    (pair,) = run.tokens(instruction, text)
    encoded = [str(segment) for segment in pair.segments[: len(pair.pooling_mask)]]
    expected = [segment in segments for segment in encoded]
    holds = expected == pair.pooling_mask.tolist() and set(segments) <= set(encoded)
    return holds, str(encoded.count("instruction")), str(encoded.count("text")), str(int(pair.pooling_mask.sum()))


@claim("whole", "dropped", "deleted")
def delete_beats_drop(run: EmbeddedRun, cell: Cell, word: str, margin: float) -> Answer:
    """Deleting a word from the input moves a cosine further than dropping it from the mean, by a margin."""
    pair, other = run.tokens(cell.instruction, *run.pair(cell))
    dropped = drop(pair, other.embedding, by="word")
    words = [unit.plain for unit in dropped.units]
    if word not in words:
        return False, *("no value",) * 3
    edited = deletions(pair, dropped.units)
    vectors = run.encoder.encode([(pair.instruction, deletion.text) for deletion in edited])
    at = words.index(word)
    without, deleted = float(dropped.similarities[at]), combine(dropped, edited, vectors).deleted[at]
    gone = without if deleted is None else deleted
    further = abs(gone - dropped.cosine) - abs(without - dropped.cosine)
    return further >= margin, number(dropped.cosine), number(without), number(gone)


@claim("first", "second", "times")
def move_greater(
    run: EmbeddedRun, instructions: tuple[Index, Index], than_instructions: tuple[Index, Index], factor: float
) -> Answer:
    """Texts move further between two instructions than between two others, by a factor."""
    first, second = run.move(*instructions), run.move(*than_instructions)
    times = f"{first / second:.0f}" if second > 1e-6 else "countless"  # below it, rounding
    return first >= factor * second and first > 0, f"{first:.4f}", f"{second:.4f}", times


@claim("hits", "queries")
def retrieval_between(
    run: EmbeddedRun, instruction: Index, column_instruction: Index, n_queries: Index, at_least: int, at_most: int
) -> Answer:
    """How many of the first texts, as queries, find their document; document i is text `n_queries + i`."""
    found = retrieve(run.embeddings(instruction)[:n_queries], run.embeddings(column_instruction)[n_queries:])
    hits = int((found.ranks.diagonal() == 1).sum())
    return at_least <= hits <= at_most, str(hits), str(len(found.ranks))


@claim("rank", "cosine", "shared")
def finds(run: EmbeddedRun, cell: Cell, most_shared: int) -> Answer:
    """The first text, as a query, finds the second one before all others, and shares few words with it."""
    _refuse_few(run)
    query, document = run.pair(cell)
    columns = cell.instruction if cell.column_instruction is None else cell.column_instruction
    cosines = run.embeddings(columns) @ run.embeddings(cell.instruction)[query]
    cosines[query] = -np.inf
    rank, shared = int((cosines > cosines[document]).sum()) + 1, run.shared_words(cell)
    return rank == 1 and len(shared) <= most_shared, str(rank), number(float(cosines[document])), _quote(shared)


@claim("on_map", "nearest", "share", "text")
def map_nearest_differs(run: EmbeddedRun, instruction: Index | None = None, text: Index | None = None) -> Answer:
    """On the PCA map a text's nearest neighbour is not the one that it has in the embedding space."""
    _refuse_few(run)
    at = run.selected.row if text is None else text
    embeddings = run.embeddings(run.selected.instruction if instruction is None else instruction)
    result, nearest = project(embeddings, method="pca"), int(nearest_of_all(embeddings)[at])
    distances = np.linalg.norm(result.coordinates - result.coordinates[at], axis=1)
    distances[at] = np.inf
    on_map, ratios = int(distances.argmin()), result.explained_variance_ratio
    share = "no share" if ratios is None else f"{100 * ratios.sum():.0f} %"
    return on_map != nearest, str(on_map + 1), str(nearest + 1), share, str(at + 1)


@claim("move", "noise", "times")
def move_against_noise(
    run: EmbeddedRun, instructions: tuple[Index, Index], at_least: float = 0, at_most: float = np.inf
) -> Answer:
    """How far texts move between two instructions, in noise floors of the first, lies within bounds."""
    first, second = instructions
    move, noise = run.move(first, second), run.noise(first)
    times = move / noise if noise > 0 else np.inf
    return at_least <= times <= at_most, f"{move:.4f}", f"{noise:.4f}", f"{times:.2g}"


@claim("distance", "noise", "tasks", "does")
def fingerprint_is(run: EmbeddedRun, instruction: Index, moves: bool, like: tuple[str, ...] | None = None) -> Answer:
    """The fingerprint of an instruction says whether it moves the texts, and names one of some tested tasks, or any."""
    one = replace(run.inputs, instructions=(run.instruction(instruction),))
    (found,) = fingerprints(run.encoder.encode, one)
    if found is None:
        n = len(set(run.inputs.texts))
        raise UserError(
            f"What an instruction does can be said from {MIN_TEXTS} different texts on: got {n}. Add texts."
        )
    holds = (found.verdict == "moves") == moves and (like is None or bool(set(like or found.named) & set(found.named)))
    tasks = _quote(found.named, "no tested task")
    return holds, f"{found.distance:.3f}", f"{found.noise:.3f}", tasks, describe(found)


@claim("before", "after", "blocks")
def layers_apart(run: EmbeddedRun, instructions: tuple[Index, Index], text: Index, at_least: float) -> Answer:
    """The tokens of a text are the same under two instructions before the first block, and differ after the last."""
    first, second = (run.tokens(each, text, deep=True)[0] for each in instructions)
    if first.layers is None or second.layers is None:
        raise ValueError("deep encodings carry their layers")
    means = layer_divergence(first, second, first_layers=first.layers, second_layers=second.layers).by_layer
    return means[0] == 0 and means[-1] >= at_least, f"{means[0]:.0f}", number(means[-1]), str(len(means) - 1)


@claim("word", "share", "text")
def move_carried(
    run: EmbeddedRun, instructions: tuple[Index, Index], at_least: float, text: Index | None = None, word: str = ""
) -> Answer:
    """One word of a text, a given one or any, carries most of its move between two instructions, and some share."""
    at = run.selected.row if text is None else text
    moved = movement(*(run.tokens(each, at)[0] for each in instructions), by="word")
    carriers = moved.carriers(1)
    if not carriers or moved.shares is None:
        return False, "no word", "nothing", str(at + 1)
    found, share = moved.units[carriers[0]].plain, float(moved.shares[carriers[0]])
    return word in ("", found) and share >= at_least, f"“{found}”", f"{100 * share:.0f} %", str(at + 1)


@claim("nearest", "last")
def layer_nearest(
    run: EmbeddedRun, instruction: Index, text: Index, layer: Index, nearest: Index, last: Index
) -> Answer:
    """The text most like another, were the embeddings made after a given layer, and as they are made."""
    encoded = run.tokens(instruction, *range(len(run.inputs.texts)), deep=True)
    read_out, states = run.encoder.read_out, [(one.layers, one.pooling_mask) for one in encoded]
    pooled = [pool_layers(read_out(layers), mask) for layers, mask in states if layers is not None]
    by_layer = np.stack(pooled, axis=1)
    found = [int(nearest_of_all(unit_vectors(by_layer[at]))[text]) for at in (layer, -1)]
    return found == [nearest, last], *(str(one + 1) for one in found)


@claim("first", "second", "first_made", "second_made")
def instruction_writes_alike(
    run: EmbeddedRun, instruction: Index, pairs: tuple[tuple[Index, Index], tuple[Index, Index]], within: float
) -> Answer:
    """What heads read in the instruction gives two cosines as much, and feed-forward layers the first one more."""
    shares = []
    for pair in pairs:
        encoded = run.tokens(instruction, *pair, deep=True)
        writes = (run.encoder.direct_writes(each, read_groups(each.segments, each.n_encoded)) for each in encoded)
        shares.append(write_shares(*writes))
    read = [float(each.by_group[0]) for each in shares]
    made = [float(each.feed_forward.sum()) for each in shares]
    return abs(read[0] - read[1]) <= within < made[0] - made[1], *map(number, (*read, *made))


def _refuse_few(run: EmbeddedRun) -> None:
    if (n := len(run.inputs.texts)) < MIN_TEXTS:
        raise UserError(f"Which text is the nearest means something from {MIN_TEXTS} texts on: got {n}. Add texts.")


def _quote(words: Sequence[str], none: str = "none") -> str:
    return ", ".join(f"“{word}”" for word in words) or none
