"""The report as Markdown: a summary, plain similarity, one matrix per label set; and where it goes in a model card."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from instructor_core.analysis.checkpoints import MAX_FLIPPED
from instructor_core.errors import UserError
from instructor_core.evaluate.report import (
    Beside,
    Column,
    EvaluationReport,
    InstructionResult,
    Kind,
    PairResult,
    Recovery,
    SetResult,
)

START = "<!-- evaluation:start -->"
END = "<!-- evaluation:end -->"
_FOLLOWING = (
    "Triplets of texts: one shares the first label of the anchor and not its second, one its second and not its first. "
    "Both: the share of triplets in the right order under both instructions, one about each kind of label; it is 0 for "
    "embeddings that take no notice of the instruction. Harmonic: of the shares under each (InBedder, arXiv "
    "2402.09642); 0.50 at most without notice of the instruction."
)
_READING = (
    "Two axes in one sentence: mean agreement, under {n} sentences that want one and do not want the other, with the "
    "label that is wanted and with the one that is not; ignoring the second gives its chance. Shuffled: "
    "mean cosine of the embeddings under an instruction to those under its words in another order, for the plain and "
    "the free wordings of a set's axes; between axes: the same for the plain wordings of two axes."
)
_BESIDE = (
    "Neighbours: the mean share of the {n} nearest texts that both checkpoints have, and what chance would give. CKA: "
    "how alike all their cosines are, bias-corrected; 0 for unrelated embeddings. Flips: the share of triplets of at "
    f"most {MAX_FLIPPED} texts in the opposite order; 0.50 for unrelated embeddings. The same checkpoint has 1, 1, 0."
)
MEASURES = {"agreement": "nearest neighbour", "v_measure": "clusters"}


def write_card(path: Path, table: str) -> bool:
    """Replace what stands between the markers of a file; return whether the file changed."""
    try:
        before = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({type(error).__name__}). Check the path.") from error
    start, end = before.find(START), before.find(END)
    if before.count(START) != 1 or before.count(END) != 1 or end < start:
        raise UserError(
            f"{path.name} needs one line {START} and, below it, one line {END}: got {before.count(START)} and "
            f"{before.count(END)}. Put them around the part to be replaced."
        )
    after = f"{before[: start + len(START)]}\n\n{table.strip()}\n\n{before[end:]}"
    if after != before:
        path.write_text(after, encoding="utf-8")
    return after != before


def to_markdown(report: EvaluationReport, *, matrices: bool = True) -> str:
    """The whole table, with or without the matrix of every set after the summary."""
    parts = []
    if report.sets:
        parts += ["### Own axis of every label set", _how_to_read(report), _summary(report)]
    if any(result.followed for result in report.sets):
        parts += ["### Are instructions followed?", _FOLLOWING, _followed(report)]
    if any(result.contrasts for result in report.sets):
        sentences = max(len(each.wanted) for result in report.sets for each in result.contrasts)
        read = _READING.format(n=sentences)
        parts += ["### Is the instruction read?", read, _contrasts(report), _shuffled(report)]
    if any(result.beside for result in report.sets):
        n = " or ".join(dict.fromkeys(str(one.k) for result in report.sets for one in result.beside))
        parts += [f"### {report.checkpoint} beside {report.other}", _BESIDE.format(n=n), _beside(report)]
    if report.pairs:
        parts += ["### Plain similarity", _pairs(report)]
    if matrices:
        for result in report.sets:
            parts += [f"### {_title(result.name, result.n_texts, result.n_in_file, 'texts', report)}"]
            parts += [_matrix(result, report), _verdict(result)]
    return "\n\n".join(parts) + "\n"


def _how_to_read(report: EvaluationReport) -> str:
    reference = f" The reference is {report.reference}, which takes no instruction." if report.reference else ""
    return (
        "Each cell: agreement of the nearest neighbour (share of texts whose nearest other text has the same label) / "
        f"V-measure of k-means with as many clusters as labels. Checkpoint: {report.checkpoint}.{reference} "
        '"Own row best" says whether the axis that a column belongs to scores highest in it, among the plain wordings '
        "of the set's axes (and, after the bar, among the means of the free wordings)."
    )


def _summary(report: EvaluationReport) -> str:
    lines = []
    for result in report.sets:
        for column in result.columns:
            own = result.plain(column.axis)
            lines.append(
                [
                    f"{result.name}: {column.name}",
                    _cell(own, column),
                    _free(result.free(column.axis, column.name), _mean),
                    _free(result.free(column.axis, column.name), min),
                    _cell(result.single(Kind.NONE), column),
                    *([_cell(result.single(Kind.REFERENCE), column)] if report.reference else []),
                    _own_best(result, column),
                ]
            )
    reference = ["reference"] if report.reference else []
    head = ["set: label", "plain wording", "free, mean", "free, lowest", "no instruction", *reference, "own row best"]
    return _table(head, lines)


def _followed(report: EvaluationReport) -> str:
    lines, every = [], []
    for result in report.sets:
        for each in result.followed:
            free = [found.both for found in each.free]
            figures = [each.plain.both, each.plain.harmonic, *((_mean(free), min(free)) if free else ())]
            name = f"{result.name}: {' and '.join(each.columns)}"
            lines.append([name, str(each.plain.n_triplets), *_cells(figures)])
            every.append(figures)
    lines.append([f"mean of the {len(every)}", "", *_cells([_mean(column) for column in zip(*every, strict=False)])])
    head = ["set: labels", "triplets", "both, plain", "harmonic, plain", "both, free, mean", "both, free, lowest"]
    return _table(head, lines)


def _contrasts(report: EvaluationReport) -> str:
    lines, every = [], []
    for result in report.sets:
        chances = {column.name: column.chance for column in result.columns}
        for each in result.contrasts:
            wanted, unwanted = each.columns
            figures = [_mean(each.wanted), min(each.wanted), _mean(each.unwanted), chances[unwanted]]
            lines.append([f"{result.name}: {wanted}, not {unwanted}", *_cells(figures)])
            every.append(figures)
    lines.append([f"mean of the {len(every)}", *_cells([_mean(column) for column in zip(*every, strict=True)])])
    return _table(["set: wanted, not unwanted", "wanted", "wanted, lowest", "unwanted", "chance of unwanted"], lines)


def _shuffled(report: EvaluationReport) -> str:
    found = [(result.name, result.shuffled) for result in report.sets if result.shuffled]
    lines = [[name, *(f"{x:.3f}" for x in (each.mean, each.lowest, each.between_axes))] for name, each in found]
    return _table(["set", "shuffled", "shuffled, lowest", "between axes"], lines)


def _beside(report: EvaluationReport) -> str:
    lines = []
    for result in report.sets:
        for kind, axis in dict.fromkeys((one.kind, one.axis) for one in result.beside):
            under = [one for one in result.beside if (one.kind, one.axis) == (kind, axis)]
            words = {Kind.PLAIN: f"{axis}, plain", Kind.FREE: f"{axis}, mean of {len(under)} free"}
            lines.append([result.name, words.get(kind, "no instruction"), *_agreements(under, result.n_texts)])
    return _table(["set", "instruction", "neighbours (chance)", "CKA", "flips"], lines)


def _agreements(under: Sequence[Beside], n_texts: int) -> list[str]:
    """Cells with the means over instructions; CKA is undefined where all texts are one point."""
    alike = [one.cka for one in under if one.cka is not None]
    overlap, chance = _mean([one.overlap for one in under]), under[0].k / (n_texts - 1)
    flips = _mean([one.flipped for one in under])
    return [f"{overlap:.2f} ({chance:.2f})", f"{_mean(alike):.2f}" if alike else "–", f"{flips:.2f}"]


def _cells(figures: Sequence[float]) -> list[str]:
    return [*(f"{figure:.2f}" for figure in figures), *["–"] * (4 - len(figures))]


def _own_best(result: SetResult, column: Column) -> str:
    if len({entry.axis for entry in result.columns if entry.axis}) < 2 or not column.axis:
        return "–"
    found = []
    for kind in (Kind.PLAIN, Kind.FREE):
        if any(row.kind is kind for row in result.rows):
            verdicts = (result.best_axis(column, measure, kind=kind) == column.axis for measure in MEASURES)
            found.append(" / ".join("yes" if verdict else "no" for verdict in verdicts))
    return " · ".join(found)


def _matrix(result: SetResult, report: EvaluationReport) -> str:
    names = [f"{column.name} ({column.n_labels})" for column in result.columns]
    lines = []
    for axis in dict.fromkeys(row.axis for row in result.rows if row.axis):
        plain = result.plain(axis)
        cells = [_cell(plain, column) for column in result.columns]
        own = [column.axis == axis for column in result.columns]
        lines.append([f"{axis}, plain", *_bold(cells, own)])
        scores = [result.free(axis, column.name) for column in result.columns]
        if scores and scores[0]:
            cells = [_free(entry, _mean) for entry in scores]
            lines.append([f"{axis}, mean of {len(scores[0])} free", *_bold(cells, own)])
            cells = [_free(entry, min) if mine else "" for entry, mine in zip(scores, own, strict=True)]
            lines.append([f"{axis}, lowest of them", *cells])
    for kind, title in ((Kind.NONE, "no instruction"), (Kind.REFERENCE, report.reference)):
        row = result.single(kind)
        if row:
            lines.append([title, *(_cell(row, column) for column in result.columns)])
    lines.append(["chance", *(f"{column.chance:.2f} / –" for column in result.columns)])
    return _table(["instruction", *names], lines)


def _verdict(result: SetResult) -> str:
    """One sentence on the diagonal, for several axes, or on what the instruction gains, for one."""
    if result.is_diagonal("agreement") is None:
        return " ".join(_gain(result, column) for column in result.columns if column.axis) or "No wording fits."
    sentences = []
    for kind in (Kind.PLAIN, Kind.FREE):
        if not any(row.kind is kind for row in result.rows):
            continue
        for measure, name in MEASURES.items():
            lost = [
                f"{column.name} (best under {best})"
                for column in result.columns
                if column.axis and (best := result.best_axis(column, measure, kind=kind)) != column.axis
            ]
            state = f"not diagonal-dominant: {', '.join(lost)}" if lost else "diagonal-dominant"
            sentences.append(f"{kind.value.capitalize()} wordings, {name}: {state}.")
    return " ".join(sentences)


def _gain(result: SetResult, column: Column) -> str:
    own, none = result.plain(column.axis), result.single(Kind.NONE)
    if not own or not none:
        return ""
    gains = [
        f"{getattr(own.scores[column.name], measure) - getattr(none.scores[column.name], measure):+.2f} by {name}"
        for measure, name in MEASURES.items()
    ]
    return f"The plain wording of {column.axis} changes {column.name} by {' and '.join(gains)}."


def _pairs(report: EvaluationReport) -> str:
    lines = []
    for result in report.pairs:
        cells = [f"{result.none:.3f}"]
        for group in (result.neutral, result.unknown):
            cells.append(f"{_mean(list(group.values())):.3f} / {min(group.values()):.3f}" if group else "–")
        if report.reference:
            cells.append(f"{result.reference:.3f}")
        lines.append([_title(result.name, result.n_pairs, result.n_in_file, "pairs", report), *cells])
    reference = [report.reference] if report.reference else []
    head = ["set", "no instruction", "neutral wordings, mean / lowest", "unknown wordings, mean / lowest", *reference]
    return "Spearman correlation of the cosine with human scores.\n\n" + _table(head, lines) + _lowest(report.pairs)


def _lowest(results: Iterable[PairResult]) -> str:
    lines = ""
    for result in results:
        if both := {**result.neutral, **result.unknown}:
            wording = min(both, key=both.__getitem__)
            lines += f"\n\nLowest on {result.name}: {both[wording]:.3f} under `{wording}`."
    return lines


def _title(name: str, n: int, n_in_file: int, what: str, report: EvaluationReport) -> str:
    sampled = f" (a sample of the {n_in_file}, seed {report.seed})" if n < n_in_file else ""
    return f"{name}: {n} {what}{sampled}"


def _cell(row: InstructionResult | None, column: Column) -> str:
    return _figures(row.scores[column.name]) if row else "–"


def _free(scores: Sequence[Recovery], summary: Callable[[list[float]], float]) -> str:
    if not scores:
        return "–"
    return _figures(Recovery(*(summary([getattr(entry, measure) for entry in scores]) for measure in MEASURES)))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _figures(score: Recovery) -> str:
    return f"{score.agreement:.2f} / {score.v_measure:.2f}"


def _bold(cells: Sequence[str], own: Sequence[bool]) -> list[str]:
    return [f"**{cell}**" if mine else cell for cell, mine in zip(cells, own, strict=True)]


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
