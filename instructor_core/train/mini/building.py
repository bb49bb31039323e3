"""Makes the material: all texts, each with its source, and all sets over them, from the raw files of a folder."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from instructor_core.errors import UserError
from instructor_core.train.mini.material import (
    HELD_OUT_AXES,
    HELD_OUT_SLOTS,
    LabelledSet,
    Material,
    PairSet,
    TripletSet,
)
from instructor_core.train.mini.medi import Record, find_labels, read_medi
from instructor_core.train.mini.public import read_public
from instructor_core.train.mini.rules import label_by_rule
from instructor_core.train.mini.scenes import customer_messages, everyday_scenes
from instructor_core.train.mini.sentences import FRAMES, KINDS, Labelled, frame, generate
from instructor_core.train.mini.sources import UNKNOWN_SOURCE, TaskSource, read_sources
from instructor_core.train.mini.twins import claim, negate

LABEL_SETS = Path(__file__).parents[3] / "assets" / "label_sets"
"""Label sets of the evaluation: no text of theirs is trained on."""

_HAND_WRITTEN = Path(__file__).parent / "data" / "sentences.jsonl"
_GENERATED = "generated"
_LINE = "line"
_NEITHER = re.compile(r"[\W_]+")
_MIN_TEXTS = 4  # of a class
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
    kept_apart = {_key(text) for path in apart for text in _evaluated_texts(path)}
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
                named.setdefault(_key(text), source)
    lines = read_texts(folder / "corpus.txt")
    if 0 < sizes.corpus_lines < len(lines):
        lines = [lines[row] for row in sorted(rng.sample(range(len(lines)), sizes.corpus_lines))]
    collection = _Collection(lines, named, kept_apart)
    _add_own(collection, sizes.generated, seed)
    _add_from_lines(collection, sizes.generated, rng)
    for one, entries in published:
        collection.add(one.name, entries, one.text_types, one.source, one.weight, axis_weights=one.axis_weights)
    for task, records in tasks:
        _add_task(collection, task, records)
    return collection.material()


class _Collection:
    """Grows texts and sets: a text that is there already gets no second row, and one that is kept apart gets none."""

    def __init__(self, corpus: Iterable[str], named: Mapping[str, str], apart: set[str]) -> None:
        self._open = {name for name, source in read_sources().items() if source.is_open}
        self._apart = apart
        self._named = named
        self.texts: list[str] = []
        self.sources: list[str] = []
        self._row_of: dict[str, int] = {}
        self._labelled: list[LabelledSet] = []
        self._triplets: list[TripletSet] = []
        self._pairs: list[PairSet] = []
        for text in corpus:
            self.row(text, UNKNOWN_SOURCE)
        self.n_corpus = len(self.texts)

    def row(self, text: str, source: str) -> int:
        """Return the line of a text, a new one if need be, or -1 for a text that must not be trained on."""
        text = " ".join(text.split())  # a text is one line of a file
        found = self._row_of.get(text)
        if found is not None:
            if source in self._open and self.sources[found] not in self._open:
                self.sources[found] = source
            return found
        key = _key(text)
        if len(text) < 2 or key in self._apart:
            return -1
        if source not in self._open:
            source = self._named.get(key, UNKNOWN_SOURCE if source == "mixed" else source)
        self._row_of[text] = len(self.texts)
        self.texts.append(text)
        self.sources.append(source)
        return len(self.texts) - 1

    def add(
        self,
        name: str,
        entries: Sequence[Labelled],
        text_types: Sequence[str],
        source: str,
        weight: float = 1.0,
        *,
        lines: Sequence[int] | None = None,
        twins: Sequence[int] | None = None,
        axis_weights: Mapping[str, float] | None = None,
        class_names: bool = True,
    ) -> None:
        """Add a labelled set; the texts made from `lines` of the corpus have their sources and their topics."""
        rows = np.asarray(
            [
                self.row(entry.text, source if lines is None else self.sources[lines[i]])
                for i, entry in enumerate(entries)
            ],
            dtype=np.int64,
        )
        kept = rows >= 0
        if twins is not None:
            whole = np.bincount(np.asarray(twins)[kept], minlength=max(twins, default=0) + 1) == 2
            kept &= whole[np.asarray(twins, dtype=np.int64)]
        positions = np.flatnonzero(kept).tolist()
        columns, classes = {}, {}
        axes = {axis for i in positions for axis in entries[i].labels} - HELD_OUT_AXES - HELD_OUT_SLOTS
        for axis in sorted(axes):
            values = [entries[i].labels.get(axis) for i in positions]
            counts = Counter(value for value in values if value is not None)
            names = sorted(value for value, count in counts.items() if count >= _MIN_TEXTS)
            if len(names) >= 2:
                numbers = {value: number for number, value in enumerate(names)}
                columns[axis] = np.asarray([numbers.get(value or "", -1) for value in values], dtype=np.int32)
                classes[axis] = tuple(names) if class_names else ()
        if columns:
            made = LabelledSet(
                name=name,
                rows=rows[kept],
                columns=columns,
                classes=classes,
                text_types=tuple(text_types),
                weight=weight,
                axis_weights=axis_weights or {},
                topic_rows=rows[kept] if lines is None else np.asarray(lines, dtype=np.int64)[kept],
                twins=None if twins is None else np.asarray(twins, dtype=np.int32)[kept],
                source=source,
            )
            self._labelled.append(made)

    def add_triplets(self, task: TaskSource, columns: Sequence[Sequence[str]]) -> None:
        rows = np.asarray([[self.row(text, task.source) for text in column] for column in columns], dtype=np.int64)
        rows = rows[:, (rows >= 0).all(axis=0)]
        self._triplets.append(
            TripletSet(task.task, task.axis, rows, task.n_classes, task.text_types, task.weight, task.source)
        )

    def add_pairs(self, task: TaskSource, records: Sequence[Record]) -> None:
        rows = np.asarray([[self.row(r[side][1], task.source) for r in records] for side in (0, 1)], dtype=np.int64)
        kept = (rows >= 0).all(axis=0)
        instructions = [(records[i][0][0], records[i][1][0]) for i in np.flatnonzero(kept).tolist()]
        symmetric = all(left == right for left, right in instructions)
        self._pairs.append(PairSet(task.task, rows[:, kept], instructions, symmetric, task.weight, task.source))

    def material(self) -> Material:
        names = tuple(sorted(set(self.sources)))
        numbers = {name: number for number, name in enumerate(names)}
        return Material(
            texts=self.texts,
            n_corpus=self.n_corpus,
            sources=np.asarray([numbers[name] for name in self.sources], dtype=np.int16),
            source_names=names,
            labelled=self._labelled,
            triplets=self._triplets,
            pairs=self._pairs,
            lines=np.arange(len(self.texts)),
        )


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


def _add_own(collection: _Collection, n: int, seed: int) -> None:
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


def _add_from_lines(collection: _Collection, n: int, rng: random.Random) -> None:
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
    collection: _Collection, axis: str, labels: tuple[str, str], found: Sequence[tuple[int, str, str]]
) -> None:
    entries = [Labelled(text, {axis: label}) for _, *both in found for text, label in zip(both, labels, strict=True)]
    rows = [row for row, _, _ in found for _ in range(2)]
    twins = [number for number in range(len(found)) for _ in range(2)]
    collection.add(f"twins of {axis}", entries, _TEXT_TYPES, _LINE, 2.0, lines=rows, twins=twins)


def _add_task(collection: _Collection, task: TaskSource, records: Sequence[Record]) -> None:
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


def _key(text: str) -> str:
    """Letters and digits alone: what hides no copy."""
    return _NEITHER.sub("", text.lower())


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
