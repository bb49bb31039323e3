"""Makes the material: all texts, each with its source, and all sets over them, from the raw files of a folder."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from instructor_core.errors import UserError
from instructor_core.train.mini.collecting import Collection, letters
from instructor_core.train.mini.material import Material
from instructor_core.train.mini.medi import Record, find_labels, read_medi
from instructor_core.train.mini.public import read_public
from instructor_core.train.mini.rules import label_by_rule
from instructor_core.train.mini.scenes import customer_messages, everyday_scenes
from instructor_core.train.mini.sentences import FRAMES, KINDS, Labelled, frame, generate
from instructor_core.train.mini.sources import TaskSource, read_sources
from instructor_core.train.mini.twins import claim, negate

LABEL_SETS = Path(__file__).parents[3] / "assets" / "label_sets"
"""Label sets of the evaluation: no text of theirs is trained on."""

_HAND_WRITTEN = Path(__file__).parent / "data" / "sentences.jsonl"
_GENERATED = "generated"
_LINE = "line"
_TEXT_TYPES = ("sentence", "text", "message", "statement", "comment")
_KIND_TEXT_TYPES = {"review": ("review", "sentence", "comment"), "question": ("question", "query", "sentence")}
_CUSTOMER_TEXT_TYPES = ("customer message", "message", "request", "ticket", "email", "utterance")


@dataclass(frozen=True)
class Sizes:
    """How much is made: corpus lines (0: all), and the sentences of one generated kind, which scale all other sets."""

    corpus_lines: int = 0
    generated: int = 16_000


def build_material(folder: Path, sizes: Sizes, seed: int = 0, apart: Sequence[Path] = (LABEL_SETS,)) -> Material:
    """Make the material from the files in a folder; the same files, sizes and seed give the same material.

    The files are ``corpus.txt``, optional ``train.jsonl.gz`` and ``public/``, and optional ``lines/NAME.txt``: texts of
    the source NAME, one a line, which are not trained on for themselves but tell where lines of the corpus come from.
    `apart` are folders of ``.jsonl`` files whose texts are left out, by their letters and digits.
    """
    rng = random.Random(seed)
    kept_apart = {letters(text) for path in apart for text in _evaluated_texts(path)}
    medi = folder / "train.jsonl.gz"
    tasks = read_medi(medi) if medi.is_file() else []
    published = read_public(folder / "public", rng)
    named: dict[str, str] = {}
    sources = read_sources()
    origins = [(one.source, [entry.text for entry in entries]) for one, entries in published]
    origins += [
        (path.stem, path.read_text(encoding="utf-8").splitlines()) for path in sorted((folder / "lines").glob("*.txt"))
    ]
    origins += [(task.source, [text for record in records for _, text in record]) for task, records in tasks]
    # Where a text stands in an open and in another set, it may be taken from the open one.
    for source, texts in sorted(origins, key=lambda origin: not sources[origin[0]].is_open):
        if source != "mixed":
            for text in set(texts):
                named.setdefault(letters(text), source)
    lines = read_texts(folder / "corpus.txt")
    if 0 < sizes.corpus_lines < len(lines):
        lines = [lines[row] for row in sorted(rng.sample(range(len(lines)), sizes.corpus_lines))]
    collection = Collection(lines, named, kept_apart)
    _add_own(collection, sizes.generated, seed)
    _add_from_lines(collection, sizes.generated, rng)
    for one, entries in published:
        collection.add(one.name, entries, one.text_types, one.source, one.weight, axis_weights=one.axis_weights)
    for task, records in tasks:
        _add_task(collection, task, records)
    return collection.material()


def read_labelled(path: Path) -> list[Labelled]:
    """Read labelled texts, one JSON object with ``text`` and ``labels`` (axis -> label) a line."""
    entries = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            labels = {axis: label.replace("_", " ") for axis, label in record["labels"].items()}
            entries.append(Labelled(text=str(record["text"]), labels=labels))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f'{path.name}, line {number}: expected {{"text", "labels"}}, got {line[:60]!r}.') from error
    return entries


def _add_own(collection: Collection, n: int, seed: int) -> None:
    """Add what is made without any other text: generated and hand-written sentences."""
    topics: set[str] = set()
    for number, kind in enumerate(KINDS):
        entries = generate(kind, n, seed + number)
        topics.update(entry.labels["topic"] for entry in entries)
        collection.add(f"generated {kind}", entries, _KIND_TEXT_TYPES.get(kind, _TEXT_TYPES), _GENERATED)
    # Topics that the generator keeps for evaluation stay out of the written sentences, too.
    written = [entry for entry in read_labelled(_HAND_WRITTEN) if entry.labels.get("topic") in topics]
    collection.add("written", written, _TEXT_TYPES, _GENERATED, 3.0)
    collection.add("customers", customer_messages(n * 3 // 2, seed), _CUSTOMER_TEXT_TYPES, _GENERATED, 1.2)
    collection.add("scenes", everyday_scenes(n * 3, seed), _TEXT_TYPES, _GENERATED)


def _add_from_lines(collection: Collection, n: int, rng: random.Random) -> None:
    """Add what is made around lines of the corpus: clauses, labels by rule, twins."""
    texts = collection.texts
    order = rng.sample(range(collection.n_corpus), collection.n_corpus)
    snippets = [row for row in order[: 20 * n] if 15 < len(texts[row]) < 110]
    for kind in FRAMES:
        rows = rng.sample(snippets, min(len(snippets), n * 4 // 5))
        framed = [frame(kind, texts[row], rng) for row in rows]
        collection.add(f"framed {kind}", framed, _TEXT_TYPES, _LINE, 0.8, lines=rows)

    entries, rows, taken = [], [], Counter[tuple[str, str]]()
    for row in order[-26 * n :]:
        if not 15 < len(texts[row]) < 240:
            continue
        found = label_by_rule(texts[row]).items()
        labels = {axis: label for axis, label in found if label is not None and taken[axis, label] < n * 3 // 4}
        # Length and negation are nearly always known: alone they are worth few texts.
        if labels and (set(labels) - {"length", "negation"} or rng.random() < 0.2):
            taken.update(labels.items())
            entries.append(Labelled(texts[row], labels))
            rows.append(row)
    collection.add("corpus by rule", entries, ("sentence", "text", "statement"), _LINE, 1.5, lines=rows)

    generated = range(collection.n_corpus, min(len(texts), collection.n_corpus + len(KINDS) * n))
    candidates = [*snippets[: 6 * n], *rng.sample(generated, min(len(generated), 5 * n // 2))]
    rng.shuffle(candidates)
    negated: list[tuple[int, str, str]] = []
    for row in candidates:
        negation = negate(texts[row], rng)
        if negation is not None:
            negated.append((row, texts[row], negation))
    _add_twins(collection, "negation", ("affirmative", "negated"), negated[: n * 5 // 2])
    rng.shuffle(candidates)
    claimed: list[tuple[int, str, str]] = []
    for row in candidates:
        sure, unsure = claim(texts[row], rng, certain=True), claim(texts[row], rng, certain=False)
        if sure is not None and unsure is not None:
            claimed.append((row, sure, unsure))
    _add_twins(collection, "certainty", ("certain", "uncertain"), claimed[: n * 3 // 2])


def _add_twins(
    collection: Collection, axis: str, labels: tuple[str, str], found: Sequence[tuple[int, str, str]]
) -> None:
    entries = [Labelled(text, {axis: label}) for _, *both in found for text, label in zip(both, labels, strict=True)]
    rows = [row for row, _, _ in found for _ in range(2)]
    twins = [number for number in range(len(found)) for _ in range(2)]
    collection.add(f"twins of {axis}", entries, _TEXT_TYPES, _LINE, 2.0, lines=rows, twins=twins)


def _add_task(collection: Collection, task: TaskSource, records: Sequence[Record]) -> None:
    """Add a task of the MEDI file: as labels where they follow from the triplets."""
    if not task.axis:
        collection.add_pairs(task, records)
        return
    triplets = [(record[0][1], record[1][1], record[2][1]) for record in records]
    label_of, names = find_labels(task, triplets)
    if not label_of:
        collection.add_triplets(task, [list(column) for column in zip(*triplets, strict=True)])
        return
    entries = [Labelled(text, {task.axis: names[label] if names else str(label)}) for text, label in label_of.items()]
    collection.add(task.task, entries, task.text_types, task.source, task.weight, class_names=bool(names))


def _evaluated_texts(folder: Path) -> Iterable[str]:
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            yield from (record[field] for field in ("text", "a", "b") if field in record)


def read_texts(path: Path) -> list[str]:
    """Return the lines of a text file, one text each."""
    if not path.is_file():
        raise UserError(f"The corpus is a text file with one text a line: there is no {path}. Put it there.")
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
