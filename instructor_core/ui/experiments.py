"""The experiments of Test: each encodes what it needs, step by step, and answers in words and figures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.ablation import ablation, ablation_plan, meaning_free_edits
from instructor_core.analysis.controls import Entry, Role, one_space, with_controls
from instructor_core.analysis.decision import Decision, decide_by_neighbors
from instructor_core.analysis.following import following
from instructor_core.analysis.grid import EmbeddingGrid, letter
from instructor_core.analysis.label_task import LabelTask, Metric, label_task
from instructor_core.analysis.labels import label_issues, usable_task
from instructor_core.analysis.leaderboard import Leaderboard, conclusion, confusion, leaderboard
from instructor_core.analysis.metrics import vote
from instructor_core.analysis.morph import morph, neighborhood_floor
from instructor_core.analysis.neighbors import text_cosines
from instructor_core.analysis.numbers import counted, signed
from instructor_core.analysis.ranks import RankFlips, neighbor_ranks, noise_margin, rank_flips
from instructor_core.analysis.retrieval import Retrieval, p_mrr, quality, retrieve
from instructor_core.analysis.scores import InstructionScores, LabelColumn, label_matrix, nearest_texts, score_texts
from instructor_core.analysis.similarity import self_similarity, similarity
from instructor_core.analysis.suggest import WordedTask, load_builder, worded_tasks
from instructor_core.analysis.variance import variance_split
from instructor_core.analysis.wordings import WordingSpread, wording_spread
from instructor_core.cache import BoundedStore, CachedEncoder
from instructor_core.errors import UserError
from instructor_core.figures import ablation as ablation_figures
from instructor_core.figures import leaderboard as board_figures
from instructor_core.figures import morph as morph_figures
from instructor_core.figures import ranks as rank_figures
from instructor_core.figures import theme
from instructor_core.figures import variance as variance_figures
from instructor_core.figures import wordings as wording_figures
from instructor_core.figures.charts import one_line
from instructor_core.figures.panels import PanelSet
from instructor_core.figures.token_rows import TokenRows
from instructor_core.hub import BUNDLED
from instructor_core.ui.inputs import Inputs, join_ready, parse_texts
from instructor_core.ui.progress import encode_grid
from instructor_core.ui.runtime import Runtime
from instructor_core.ui.samples import only, relinked, sample

MAX_CANDIDATES = 24
NEXT_CHECKPOINT = "instructor-base"  # tells finer labels apart than the bundled one
N_FLIPS = 6
MAX_QUERIES_SHOWN = 4
MAX_LABELLED = 1000  # texts that a leaderboard compares; more are a matter of minutes, not of insight
MAX_PAIRS = 30_000  # of texts and instructions of a leaderboard: about a minute of the bundled checkpoint on two cores
MAX_EDITED = 400  # texts that are embedded under every edit of an instruction
MAX_TRIPLETS = 120  # texts of which all triplets are looked at: 842,520
MAX_SPLIT = 2000  # texts whose variance is split
MAX_MORPHED = 400  # texts of a map that moves
MAX_QUERIES = 100

TABLE_HEADERS = (
    "row",
    "instruction",
    "decision",
    *(metric.value for metric in Metric),
    "against no instruction",
    "against the best",
)


@dataclass(frozen=True)
class Request:
    """What Test was asked: instructions and a text by their index in the run, and what was typed or chosen."""

    a: int = 0
    b: int = 1
    text: int = 0
    candidates: str = ""  # further instructions to compare, one per line
    queries: str = ""  # one per line, each with a label or without
    metric: Metric = Metric.ACCURACY
    row: str = ""  # name of the leaderboard row whose confusion is shown; "" for that of the decision
    many: bool = False  # whether many wordings of each task are tried
    columns: tuple[str, ...] = ()  # names of the columns that the labels came from, as far as they are known


@dataclass(frozen=True, eq=False)
class Finding:
    """What Test shows: how to read it and what it does not show, the result in words, and figures."""

    how_to_read: str
    sentences: tuple[str, ...]
    panels: PanelSet
    rows: TokenRows | None = None
    table: list[list[str | float]] | None = None
    snippet: str = ""  # Python that follows the decision
    instruction: str = ""  # that the decision names, or that of the row that was asked about
    step: str = ""  # one thing to do next


@dataclass
class ScoreBook:
    """Scores and decisions by content, so that adding a candidate scores that candidate only."""

    store: BoundedStore[InstructionScores] = field(default_factory=lambda: BoundedStore(64 << 20))
    choices: BoundedStore[Choice] = field(default_factory=lambda: BoundedStore(4 << 20))


Steps = Generator[str, None, Finding]
Experiment = Callable[[Runtime, ScoreBook, Inputs, Request], Steps]


def candidates_of(inputs: Inputs, typed: str) -> tuple[str, ...]:
    """Return the instructions of the run and the typed ones, each once, none empty."""
    listed = [*inputs.instructions, *(join_ready(line) for line in typed.splitlines())]
    candidates = tuple(dict.fromkeys(entry for entry in listed if entry))
    if not candidates:
        raise UserError("A leaderboard needs at least 1 instruction: got none. Write one above or suggest some.")
    if len(candidates) > MAX_CANDIDATES:
        raise UserError(f"At most {MAX_CANDIDATES} candidates are compared: got {len(candidates)}. Remove some.")
    return candidates


@dataclass(frozen=True, eq=False)
class Choice:
    """The decision among all that was tried, and how much wordings matter where many were tried."""

    decision: Decision
    accuracies: NDArray[np.float64]  # (E,) of all entries
    spread: WordingSpread | None

    @property
    def n_bytes(self) -> int:
        """Memory of the arrays, about."""
        return 4096 + self.accuracies.nbytes


@dataclass(frozen=True, eq=False)
class Comparison:
    """Candidates beside controls on the texts that can be used."""

    board: Leaderboard
    choice: Choice
    entries: tuple[Entry, ...]
    tasks: tuple[WordedTask, ...]
    own: tuple[str, ...]
    said: tuple[str, ...]  # on texts that were left out


def compare(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Generator[str, None, Comparison]:
    """Embed and score the candidates, and decide.

    What grows is bounded: texts times instructions by `MAX_PAIRS` and texts by `MAX_LABELLED`. The decision reads the
    nearest texts of every instruction; the five scores, which are slow, are those of the candidates that the page
    lists and of the best wording alone.
    """
    all_labels = inputs.labels or ("",) * len(inputs.texts)
    issues = label_issues(all_labels, inputs.texts)
    usable_task(all_labels, issues, n_resamples=1)  # too few is said before anything is embedded
    own = candidates_of(inputs, request.candidates)
    tasks = worded_tasks(own, [all_labels[row] for row in issues.rows], request.columns) if request.many else ()
    entries = with_controls([*own, *(wording for each in tasks for wording in each.wordings)])
    limit = min(MAX_LABELLED, MAX_PAIRS // len(entries))
    chosen_texts = sample(only(inputs, issues.rows.tolist()), limit, each_label=True)
    inputs = only(chosen_texts.inputs, label_issues(chosen_texts.inputs.labels or ()).rows.tolist())
    task, texts = label_task(inputs.labels), inputs.texts
    grid = yield from encode_grid(
        runtime.encoder(inputs.checkpoint_id), [entry.instruction for entry in entries], texts
    )
    digest = hashlib.sha256(repr((inputs.checkpoint_id, texts, inputs.labels)).encode()).hexdigest()
    key = (digest, "\n".join(entry.instruction for entry in entries))
    choice = book.choices.get(key)
    if choice is None:
        choice = yield from _choose(grid, entries, tasks, task)
        book.choices.put(key, choice, choice.n_bytes)
    best = entries[choice.decision.best].instruction
    listed = [
        k for k, entry in enumerate(entries) if entry.role is not Role.CANDIDATE or entry.instruction in (*own, best)
    ]
    scores = []
    for at, k in enumerate(listed):
        content = (digest, entries[k].instruction)
        found = book.store.get(content)
        if found is None:
            yield f"scoring {at + 1} of {len(listed)} instructions"
            found = score_texts(grid.embeddings[k], task)
            book.store.put(content, found, found.n_bytes)
        scores.append(found)
    row_of = {k: at for at, k in enumerate(listed)}
    chosen = choice.decision.chosen
    decision = replace(
        choice.decision, best=row_of[choice.decision.best], chosen=None if chosen is None else row_of[chosen]
    )
    board = leaderboard([entries[k] for k in listed], scores, task, metric=request.metric, decision=decision)
    return Comparison(board, choice, entries, tasks, own, (*issues.sentences, *chosen_texts.sentences))


def _choose(
    grid: EmbeddingGrid, entries: Sequence[Entry], tasks: Sequence[WordedTask], task: LabelTask
) -> Generator[str, None, Choice]:
    """The decision among the entries of a grid, and the spread of the wordings of each task."""
    nearest = []
    for at, embeddings in enumerate(grid.embeddings):
        yield f"comparing {at + 1} of {len(entries)} instructions"
        nearest.append(nearest_texts(embeddings, task))
    yield "deciding"
    roles = [entry.role for entry in entries]
    candidates = [k for k, role in enumerate(roles) if role is Role.CANDIDATE]
    instructions = [entry.instruction for entry in entries]
    decision = decide_by_neighbors(nearest, task, candidates, roles.index(Role.EMPTY), instructions)
    right = [vote(each[:, : task.k], task.index, len(task.names)) == task.index for each in nearest]
    spread = None
    if tasks:
        pairs = [(t, instructions.index(one_space(words))) for t, each in enumerate(tasks) for words in each.wordings]
        spread = wording_spread(
            [each.name for each in tasks], [t for t, _ in pairs], [nearest[k] for _, k in pairs], task
        )
    return Choice(decision, np.stack(right).mean(axis=1), spread)


def compare_instructions(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """Which instruction recovers the labels best: the decision, beside controls."""
    found = yield from compare(runtime, book, inputs, request)
    board, spread = found.board, found.choice.spread
    shown = board.use.entry.instruction
    read = (board_figures.HOW_TO_READ, board_figures.NOT_SHOWN)
    panels = board_figures.leaderboard_panels(board, metrics=(request.metric,))
    if spread is not None:
        read = (wording_figures.HOW_TO_READ, wording_figures.NOT_SHOWN)
        panels = _wording_panels(found, spread)
    larger = larger_than(inputs.checkpoint_id)
    step = board.decision.next_step(larger)
    said = [sentence for sentence in conclusion(board, larger=larger) if sentence != step]
    if not step:
        step = "Next: use it in Python, below."
        if spread is None:
            step = "Next: try more wordings. How a task is worded can matter as much as the task."
    return Finding(
        " ".join(read),
        (*said, *(spread.sentences if spread is not None else ()), *found.said),
        panels,
        table=table_of(board),
        snippet=snippet_for(shown, runtime.checkpoint(inputs.checkpoint_id).source),
        instruction=shown,
        step=step,
    )


def _wording_panels(found: Comparison, spread: WordingSpread) -> PanelSet:
    """The figure of a comparison of many wordings."""
    board, decision = found.board, found.choice.decision
    values = {entry.role: float(value) for entry, value in zip(found.entries, found.choice.accuracies, strict=True)}
    return wording_figures.wording_panels(
        spread,
        [[one_space(wording) for wording in task.wordings] for task in found.tasks],
        own={one_space(instruction): k for k, instruction in enumerate(found.own)},
        best=found.entries[decision.best].instruction,
        controls={role.value: values[role] for role in (Role.SHUFFLED, Role.UNRELATED) if role in values},
        none=decision.apparent_none,
        chance=float(board.task.chance(Metric.ACCURACY) or 0.0),
    )


def show_scores(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """Five scores of the listed instructions with their intervals."""
    board = (yield from compare(runtime, book, inputs, request)).board
    return Finding(
        f"{board_figures.HOW_TO_READ} {board_figures.NOT_SHOWN}",
        (board.decision.headline,),
        board_figures.leaderboard_panels(board),
    )


def show_confusions(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """Which labels the row that was asked about confuses, else the one that the decision names."""
    board = (yield from compare(runtime, book, inputs, request)).board
    row = next((row for row in board.rows if row.name == request.row), board.use)
    panels = board_figures.confusion_panels(confusion(row, board.task), row)
    return Finding(
        f"{board_figures.CONFUSION_HOW_TO_READ} {board_figures.CONFUSION_NOT_SHOWN}",
        (panels.alt,),
        panels,
        instruction=row.entry.instruction,
    )


def larger_than(checkpoint_id: str) -> str:
    """Return the checkpoint to try where the bundled one merges fine labels; "" for any other."""
    return NEXT_CHECKPOINT if checkpoint_id == BUNDLED else ""


def table_of(board: Leaderboard) -> list[list[str | float]]:
    """Return the rows of the leaderboard for a table, best first."""
    return [
        [
            row.name,
            one_line(row.entry.instruction),
            "use" if row is board.use else "",
            *(round(score.value, 3) for score in row.scores),
            row.verdict.value,
            row.standing.value,
        ]
        for row in sorted(board.rows, key=lambda row: row.rank)
    ]


def snippet_for(instruction: str, source: str) -> str:
    """Return Python that embeds texts with an instruction."""
    return (
        "from instructor_core import InstructorModel\n\n"
        f"model = InstructorModel({source!r})\n"
        f"instruction = {instruction!r}\n"
        'texts = ["..."]\n'
        "embeddings = model.encode([(instruction, text) for text in texts])  # (N, D), unit length\n"
    )


def compare_label_columns(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """Instruction x label column: does each instruction serve the labels it names?"""
    chosen = sample(inputs, MAX_LABELLED, each_label=True)
    inputs = chosen.inputs
    columns = [LabelColumn(f"labels {at + 1}", column) for at, column in enumerate(inputs.label_columns)]
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
            *_followed(grid, columns, inputs, request),
            *chosen.sentences,
        ),
        board_figures.label_matrix_panels(result, grid.instructions),
    )


def _followed(grid: EmbeddingGrid, columns: Sequence[LabelColumn], inputs: Inputs, request: Request) -> tuple[str, ...]:
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
    accent = theme.accent(request.a)
    strongest = int(np.argmax(result.word_effects()))
    sentences = (
        f'"{plan.words[strongest]}" matters most: without it the texts move by {result.word_effects()[strongest]:.4f} '
        f"(1 − cosine, mean of {counted(len(inputs.texts), 'text')}); edits without meaning by up to "
        f"{result.floor:.4f}.",
    )
    return Finding(
        f"{ablation_figures.HOW_TO_READ} {ablation_figures.NOT_SHOWN}",
        (*sentences, *chosen.sentences),
        ablation_figures.ablation_panels(result, accent=accent),
        rows=ablation_figures.ablation_rows(result, title=f"Instruction {letter(request.a)}", accent=accent),
    )


def split_variance(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """How much of the embeddings' variance is text, instruction and their interaction."""
    chosen = sample(inputs, MAX_SPLIT)
    inputs = chosen.inputs
    grid = yield from encode_grid(runtime.encoder(inputs.checkpoint_id), inputs.instructions, inputs.texts)
    split = variance_split(grid)
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


def _edited_matrices(
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
    original, edited = yield from _edited_matrices(encoder, inputs, request.a)
    yield "looking at all triplets"
    floor = noise_margin(self_similarity(original), [self_similarity(vectors) for vectors in edited.vectors])
    matrices = similarity(grid).matrices
    result = _numbered(rank_flips(matrices[request.a], matrices[request.b], floor=floor), chosen.rows)
    a, b = letter(request.a), letter(request.b)
    sentences = (
        f"{result.n_flips} of {result.n_triplets} triplets change their order from {a} to {b}; {result.n_above_floor} "
        f"by more than edits without meaning do (margin {floor:.3f}).",
        *(
            f"Text {flip.anchor + 1} is nearer to {flip.near_a + 1} than to {flip.near_b + 1} under {a}, and the other "
            f"way round under {b} (margin {flip.margin:.3f}{'' if flip.above_floor else ', within the noise'})."
            for flip in result.flips[:N_FLIPS]
        ),
    )
    return Finding(
        f"{rank_figures.FLIPS_HOW_TO_READ} {rank_figures.FLIPS_NOT_SHOWN}",
        (*sentences, *chosen.sentences),
        rank_figures.flip_panels(result, request.a, request.b),
    )


def _numbered(result: RankFlips, rows: Sequence[int]) -> RankFlips:
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
    original, edited = yield from _edited_matrices(encoder, inputs, request.a)
    yield "laying out"
    result = morph(grid, request.a, request.b, floor=neighborhood_floor(original, edited.vectors))
    quality_of = {entry.layout: entry.mean for entry in result.qualities}
    sentences = (
        f"{int(result.changed.sum())} of {len(inputs.texts)} texts changed their {result.k} nearest neighbours by more "
        f"than edits without meaning do. Layout: {result.layout}, the most trustworthy of "
        + ", ".join(f"{layout} {mean:.2f}" for layout, mean in quality_of.items())
        + ".",
    )
    return Finding(
        f"{morph_figures.HOW_TO_READ} {morph_figures.NOT_SHOWN}",
        (*sentences, *chosen.sentences),
        relinked(
            morph_figures.morph_panels(result, inputs.texts, inputs.labels, inputs.instructions), chosen, all_texts
        ),
    )


def search(runtime: Runtime, book: ScoreBook, inputs: Inputs, request: Request) -> Steps:
    """Queries under one instruction against the texts under another; equal labels mark what is relevant."""
    if request.queries.strip():
        queries, query_columns = parse_texts(request.queries)
    else:
        queries = (inputs.texts[request.text],)
        query_columns = tuple((column[request.text],) for column in inputs.label_columns)
    if len(queries) > MAX_QUERIES:
        raise UserError(f"At most {MAX_QUERIES} queries are asked at once: got {len(queries)}. Remove some lines.")
    encoder, a, b = runtime.encoder(inputs.checkpoint_id), letter(request.a), letter(request.b)
    instructions = [inputs.instructions[request.a], inputs.instructions[request.b]]
    asked = yield from encode_grid(encoder, instructions, queries)
    asked_for = set(queries)
    kept = [i for i, text in enumerate(inputs.texts) if text not in asked_for]
    if not kept:
        raise UserError("All texts are queries: nothing is left to search. Remove a query or add texts.")
    documents = [inputs.texts[i] for i in kept]
    found = yield from encode_grid(encoder, instructions, documents)
    result = retrieve(asked.vectors[0], found.vectors[1])
    same = [retrieve(asked.vectors[k], found.vectors[k]) for k in (0, 1)]  # one instruction on both sides
    relevant = _relevant(query_columns, inputs.label_columns, kept)
    marked = relevant[0] if relevant else None
    sentences = [f"{counted_queries(len(queries))} under {a}, {counted(len(kept), 'text')} under {b}."]
    if marked is not None and marked.any():
        here, there = quality(result, marked), quality(same[0], marked)
        sentences.append(
            f"nDCG@{here.k} {here.mean_ndcg:.2f}, MRR@{here.k} {here.mean_rr:.2f}, recall@{here.k} "
            f"{here.mean_recall:.2f} over {counted_queries(here.n_queries)} with marked texts; with "
            f"{a} on both sides {there.mean_ndcg:.2f}, {there.mean_rr:.2f}, {there.mean_recall:.2f}."
        )
    if request.a != request.b and len(relevant) > 1:
        sentences += _moved_down(same, relevant, (a, b))
    lists = [
        replace(panel, key=f"query {query + 1}")
        for query in range(min(len(queries), MAX_QUERIES_SHOWN))
        for panel in rank_figures.result_panels(result, query, queries, inputs.texts, rows=kept, relevant=marked).panels
    ]
    changes = rank_figures.rank_change_panels(same[0], result, 0, queries, inputs.texts, rows=kept)
    moved = [replace(panel, key=f"change {at + 1}") for at, panel in enumerate(changes.panels)]
    if len(queries) > MAX_QUERIES_SHOWN:
        sentences.append(f"The lists of the first {MAX_QUERIES_SHOWN} queries are shown.")
    return Finding(
        f"{rank_figures.RESULTS_HOW_TO_READ} {rank_figures.RESULTS_NOT_SHOWN} {rank_figures.CHANGES_HOW_TO_READ}",
        tuple(sentences),
        PanelSet((*lists, *moved), changes.items, alt=" ".join([*sentences, changes.alt])),
    )


def counted_queries(n: int) -> str:
    """Return a number of queries in words."""
    return "1 query" if n == 1 else f"{n} queries"


def _moved_down(same: Sequence[Retrieval], relevant: Sequence[NDArray[np.bool_]], names: Sequence[str]) -> list[str]:
    """p-MRR between two instructions, each on both sides, as a sentence: the labels of either may be the first's."""
    said = []
    for first, second in ((0, 1), (1, 0)):
        dropped = relevant[first] & ~relevant[second]
        if dropped.any():
            said.append(
                f"{signed(p_mrr(same[0], same[1], dropped), 2)} if {names[0]} asks for labels {first + 1} and "
                f"{names[1]} for labels {second + 1}"
            )
    if not said:
        return []
    return [
        f"p-MRR from {names[0]} to {names[1]}, each on both sides: {'; '.join(said)}. Above 0, texts that no longer "
        "answer move down, as they should; 0 takes no notice of the instruction."
    ]


def _relevant(
    query_columns: Sequence[Sequence[str]], label_columns: Sequence[Sequence[str]], kept: Sequence[int]
) -> list[NDArray[np.bool_]]:
    """(Q, M) which documents share a query's label, for each column that queries and texts have."""
    marks = []
    for of_queries, of_texts in zip(query_columns, label_columns, strict=False):
        asked, answers = np.array(of_queries), np.array([of_texts[i] for i in kept])
        marks.append(np.asarray((asked[:, None] == answers[None, :]) & (asked[:, None] != "")))
    return marks
