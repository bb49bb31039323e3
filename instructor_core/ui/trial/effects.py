"""What instructions do to texts: label columns, words, variance, flips, neighbours, and a map that moves."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.ablation import ablation, ablation_plan, meaning_free_edits
from instructor_core.analysis.following import following
from instructor_core.analysis.grid import EmbeddingGrid, letter
from instructor_core.analysis.morph import morph, neighborhood_floor
from instructor_core.analysis.neighbors import text_cosines
from instructor_core.analysis.numbers import counted, number
from instructor_core.analysis.ranks import RankFlips, neighbor_ranks, noise_margin, rank_flips
from instructor_core.analysis.scores import LabelColumn, label_matrix
from instructor_core.analysis.similarity import self_similarity, similarity
from instructor_core.analysis.suggest import load_builder
from instructor_core.analysis.variance import variance_split
from instructor_core.cache import CachedEncoder
from instructor_core.errors import UserError
from instructor_core.figures import ablation as ablation_figures
from instructor_core.figures import leaderboard as board_figures
from instructor_core.figures import morph as morph_figures
from instructor_core.figures import ranks as rank_figures
from instructor_core.figures import theme
from instructor_core.figures import variance as variance_figures
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.data.samples import relink, sample
from instructor_core.ui.server.progress import encode_grid
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial.comparison import MAX_LABELLED, Finding, Request, ScoreBook, Steps, candidates_of

N_FLIPS = 6
MAX_EDITED = 400  # texts that are embedded under every edit of an instruction
MAX_TRIPLETS = 120  # texts of which all triplets are looked at: 842,520
MAX_SPLIT = 2000  # texts whose variance is split
MAX_MORPHED = 400  # texts of a map that moves


def compare_label_columns(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """Instruction x label column: does each instruction serve the labels it names?"""
    chosen = sample(inputs, MAX_LABELLED, each_label=True)
    inputs = chosen.inputs
    names = [*request.columns, *(f"labels {at + 1}" for at in range(len(request.columns), len(inputs.label_columns)))]
    columns = [LabelColumn(name, column) for name, column in zip(names, inputs.label_columns, strict=False)]
    if not columns:
        raise UserError(
            "This needs labels: write them after the text, parted by tabs, one column for each way to label."
        )
    candidates = candidates_of(inputs, request.candidates)
    grid = yield from encode_grid(runtime.encoder(inputs.checkpoint_id), candidates, inputs.texts)
    yield "scoring"
    result = label_matrix(grid, columns, metric=request.metric)
    return Finding(
        f"{board_figures.COLUMNS_HOW_TO_READ} {board_figures.COLUMNS_NOT_SHOWN}",
        (
            f"{counted(len(grid.instructions), 'instruction')} × {counted(len(columns), 'label column')} by "
            f"{request.metric.value}.",
            *_follow(grid, columns, inputs, request),
            *chosen.sentences,
        ),
        board_figures.label_matrix_panels(result, grid.instructions),
    )


def _follow(grid: EmbeddingGrid, columns: Sequence[LabelColumn], inputs: Inputs, request: Request) -> tuple[str, ...]:
    """How often the two chosen instructions are followed on the first two label columns, each serving one."""
    chosen = [inputs.instructions[request.a], inputs.instructions[request.b]]
    if len(columns) < 2 or not all(chosen) or chosen[0] == chosen[1]:
        return ()
    rows = [grid.instructions.index(instruction) for instruction in chosen]
    try:
        vectors, labels = [grid.vectors[row] for row in rows], [column.labels for column in columns[:2]]
        found = {(at, 1 - at): following(vectors[at], vectors[1 - at], *labels) for at in (0, 1)}
    except UserError as error:
        return (str(error),)
    first, second = max(found, key=lambda pair: found[pair].both)
    best = found[first, second]
    names = letter(request.a), letter(request.b)
    return (
        f"With {names[first]} for {columns[0].name} and {names[second]} for {columns[1].name}, {best.both:.0%} of "
        f"{best.n_triplets} triplets of texts are in the right order under both ({best.first:.0%} and "
        f"{best.second:.0%} under each); embeddings that take no notice of the instruction have 0%.",
    )


def take_apart(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """Leave out each word of an instruction, and see how far that is above meaning-free edits."""
    chosen = sample(inputs, MAX_EDITED)
    inputs = chosen.inputs
    plan = ablation_plan(inputs.instructions[request.a], text_types=load_builder().text_types)
    instructions = [plan.instruction, *(edit.instruction for edit in plan.edits)]
    grid = yield from encode_grid(runtime.encoder(inputs.checkpoint_id), instructions, inputs.texts)
    result = ablation(plan, grid.vectors[0], grid.vectors[1:])
    strongest = int(np.argmax(result.word_effects()))
    sentences = (
        f'"{plan.words[strongest]}" matters most: without it the texts move by '
        f"{number(result.word_effects()[strongest], 4)} (1 − cosine, mean of {counted(len(inputs.texts), 'text')}); "
        f"edits without meaning by up to {number(result.floor, 4)}.",
    )
    return Finding(
        f"{ablation_figures.HOW_TO_READ} {ablation_figures.NOT_SHOWN}",
        (*sentences, *chosen.sentences),
        ablation_figures.ablation_panels(result, accent=theme.accent(request.a)),
        rows=ablation_figures.ablation_rows(result, title="Instruction", instruction=request.a),
    )


def split_variance(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """How much of the embeddings' variance is text, instruction and their interaction."""
    chosen = sample(inputs, MAX_SPLIT)
    inputs = chosen.inputs
    grid = yield from encode_grid(runtime.encoder(inputs.checkpoint_id), inputs.instructions, inputs.texts)
    split = variance_split(grid.embeddings)
    text, instruction, interaction = split.shares
    return Finding(
        f"{variance_figures.HOW_TO_READ} {variance_figures.NOT_SHOWN}",
        (
            f"Text {text:.0%}, instruction {instruction:.0%}, interaction {interaction:.0%} of the variance of "
            f"{grid.n_instructions} × {grid.n_texts} unit vectors.",
            *chosen.sentences,
        ),
        variance_figures.variance_panels(split),
    )


def _edit_matrices(
    encoder: CachedEncoder, inputs: Inputs, k: int
) -> Generator[str, None, tuple[NDArray[np.float32], EmbeddingGrid]]:
    """The texts under an instruction and under its meaning-free edits: (N, D), and a grid of the edits."""
    edits = [edit.instruction for edit in meaning_free_edits(inputs.instructions[k])] or [inputs.instructions[k]]
    grid = yield from encode_grid(encoder, [inputs.instructions[k], *edits], inputs.texts)
    edited = EmbeddingGrid(grid.instructions[1:], grid.texts, None, grid.vectors[1:])
    return grid.vectors[0], edited


def find_flips(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """Triplets whose order flips between two instructions, against the flips of meaning-free edits."""
    chosen = sample(inputs, MAX_TRIPLETS)
    inputs = chosen.inputs
    encoder = runtime.encoder(inputs.checkpoint_id)
    grid = yield from encode_grid(encoder, inputs.instructions, inputs.texts)
    original, edited = yield from _edit_matrices(encoder, inputs, request.a)
    yield "looking at all triplets"
    floor = noise_margin(self_similarity(original), [self_similarity(vectors) for vectors in edited.vectors])
    matrices = similarity(grid).matrices
    result = _number(rank_flips(matrices[request.a], matrices[request.b], floor=floor), chosen.rows)
    a, b = letter(request.a), letter(request.b)
    sentences = (
        f"{result.n_flips} of {result.n_triplets} triplets change their order from {a} to {b}; {result.n_above_floor} "
        f"by more than edits without meaning do (margin {number(floor)}).",
        *(
            f"Text {flip.anchor + 1} is nearer to {flip.near_a + 1} than to {flip.near_b + 1} under {a}, and the other "
            f"way round under {b} (margin {number(flip.margin)}{'' if flip.above_floor else ', within the noise'})."
            for flip in result.flips[:N_FLIPS]
        ),
    )
    return Finding(
        f"{rank_figures.FLIPS_HOW_TO_READ} {rank_figures.FLIPS_NOT_SHOWN}",
        (*sentences, *chosen.sentences),
        rank_figures.flip_panels(result, request.a, request.b),
    )


def _number(result: RankFlips, rows: Sequence[int]) -> RankFlips:
    """The flips of a sample with the numbers that its texts have in the whole run."""
    flips = tuple(
        replace(flip, anchor=rows[flip.anchor], near_a=rows[flip.near_a], near_b=rows[flip.near_b])
        for flip in result.flips
    )
    return replace(result, flips=flips)


def follow_neighbors(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """The places of one text's neighbours from instruction to instruction."""
    grid = yield from encode_grid(runtime.encoder(inputs.checkpoint_id), inputs.instructions, inputs.texts)
    result = neighbor_ranks(text_cosines(grid, request.text), request.text)
    return Finding(
        f"{rank_figures.BUMP_HOW_TO_READ} {rank_figures.BUMP_NOT_SHOWN}",
        (f"Neighbours of text {request.text + 1}: {inputs.texts[request.text]}",),
        rank_figures.bump_panels(result, inputs.texts),
    )


def morph_map(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """A map that moves from one instruction to another, with arrows where neighbourhoods really changed."""
    chosen, all_texts = sample(inputs, MAX_MORPHED), inputs.texts
    inputs = chosen.inputs
    encoder = runtime.encoder(inputs.checkpoint_id)
    grid = yield from encode_grid(encoder, inputs.instructions, inputs.texts)
    original, edited = yield from _edit_matrices(encoder, inputs, request.a)
    yield "laying out"
    result = morph(grid, request.a, request.b, floor=neighborhood_floor(original, edited.vectors))
    quality_of = {entry.layout: entry.mean for entry in result.qualities}
    sentences = (
        f"{int(result.changed.sum())} of {len(inputs.texts)} texts changed their {result.k} nearest neighbours by more "
        f"than edits without meaning do. Layout: {result.layout}, the most trustworthy of "
        + ", ".join(f"{layout} {number(mean, 2)}" for layout, mean in quality_of.items())
        + ".",
    )
    return Finding(
        f"{morph_figures.HOW_TO_READ} {morph_figures.NOT_SHOWN}",
        (*sentences, *chosen.sentences),
        relink(morph_figures.morph_panels(result, inputs.texts, inputs.labels, inputs.instructions), chosen, all_texts),
    )
