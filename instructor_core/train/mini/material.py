"""What a run is made from: all texts with their sources, and the sets that say how texts relate under an axis.

``LabelledSet`` has labels of several axes for its texts, ``TripletSet`` only knows a text to be closer to a second than
to a third, ``PairSet`` knows which two texts belong together. Sets hold lines of ``Material.texts``, never texts.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instructor_core.errors import UserError
from instructor_core.train.mini.sources import read_sources

HELD_OUT_AXES = frozenset({"speaker"})
"""Axes that are evaluated and never trained: neither their labels nor their wordings."""

HELD_OUT_SLOTS = frozenset({"vehicle", "flower"})
"""What sentences mention and no instruction of the training asks for."""


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """n texts with labels of one or more axes, each of which crosses the others.

    `columns` hold class numbers, -1 where the label is not known; `classes` the names that may stand in an instruction,
    () where there are none. `topic_rows` are the lines whose topic the texts have: their own, or that of a snippet
    inside. The two texts of a twin have one number in `twins` and differ in their label alone.
    """

    name: str
    rows: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.int32]]
    classes: Mapping[str, tuple[str, ...]]
    text_types: tuple[str, ...]
    weight: float
    axis_weights: Mapping[str, float]
    topic_rows: NDArray[np.int64]
    twins: NDArray[np.int32] | None
    source: str


@dataclass(frozen=True, eq=False)
class TripletSet:
    """Triplets of one axis: lines ``(3, n)`` of texts, of others with the same label, and of others without."""

    name: str
    axis: str
    rows: NDArray[np.int64]
    n_classes: int
    text_types: tuple[str, ...]
    weight: float
    source: str


@dataclass(frozen=True, eq=False)
class PairSet:
    """Lines ``(2, n)`` of texts that belong together, and the n pairs of their instructions.

    `symmetric` says that both sides are of one kind, so that a neutral instruction fits them as well.
    """

    name: str
    rows: NDArray[np.int64]
    instructions: Sequence[tuple[str, str]]
    symmetric: bool
    weight: float
    source: str


@dataclass(frozen=True, eq=False)
class Material:
    """N texts, the corpus of the distillation first, and the sets over them.

    `sources` (N,) index into `source_names`; `lines` (N,) are the numbers of the texts in the files, which other files
    (the teacher's embeddings) share: 0 to N - 1, but for a part that holds open sources only.
    """

    texts: Sequence[str]
    n_corpus: int
    sources: NDArray[np.int16]
    source_names: tuple[str, ...]
    labelled: Sequence[LabelledSet]
    triplets: Sequence[TripletSet]
    pairs: Sequence[PairSet]
    lines: NDArray[np.int64]


def write_material(material: Material, folder: Path) -> None:
    """Write ``texts.txt.xz``, ``arrays.npz`` and ``sets.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[Any]] = {"sources": material.sources}
    listed: dict[str, Any] = {"n_corpus": material.n_corpus, "source_names": material.source_names}
    for kind in ("labelled", "triplets", "pairs"):
        entries = []
        for number, one in enumerate(getattr(material, kind)):
            entry = {field.name: getattr(one, field.name) for field in fields(one)}
            entry |= {f"columns.{axis}": column for axis, column in entry.pop("columns", {}).items()}
            for name in [name for name, value in entry.items() if isinstance(value, np.ndarray)]:
                arrays[f"{kind}.{number}.{name}"] = _small(entry.pop(name))
            if kind == "pairs":  # few different instructions, repeated
                codes = {pair: code for code, pair in enumerate(dict.fromkeys(entry["instructions"]))}
                numbers = [codes[pair] for pair in entry["instructions"]]
                arrays[f"{kind}.{number}.instruction_numbers"] = _small(np.asarray(numbers, dtype=np.int64))
                entry["instructions"] = list(codes)
            entries.append(entry)
        listed[kind] = entries
    np.savez_compressed(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
    with lzma.open(folder / "texts.txt.xz", "wt", encoding="utf-8", preset=6) as file:
        file.writelines(f"{text}\n" for text in material.texts)
    (folder / "sets.json").write_text(json.dumps(listed, indent=1), encoding="utf-8")


def read_material(folder: Path, only_open: bool = False) -> Material:
    """Read what `write_material` has written; with `only_open` only what lets a model be passed on."""
    try:
        listed = json.loads((folder / "sets.json").read_text(encoding="utf-8"))
        with lzma.open(folder / "texts.txt.xz", "rt", encoding="utf-8", newline="\n") as file:
            texts = file.read().split("\n")[:-1]
    except FileNotFoundError as error:
        raise UserError(
            f"Material is read from a folder with texts.txt.xz, arrays.npz and sets.json: {folder} has none. "
            "Make it with: python -m instructor_core.train.mini build SOURCES"
        ) from error
    arrays = dict(np.load(folder / "arrays.npz"))
    made: dict[str, list[dict[str, Any]]] = {}
    for kind in ("labelled", "triplets", "pairs"):
        made[kind] = []
        for number, entry in enumerate(listed[kind]):
            start = f"{kind}.{number}."
            own = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
            made[kind].append({**entry, **own, "rows": own["rows"].astype(np.int64)})
    material = Material(
        texts=texts,
        n_corpus=listed["n_corpus"],
        sources=arrays["sources"],
        source_names=tuple(listed["source_names"]),
        labelled=[_read_labelled(entry) for entry in made["labelled"]],
        triplets=[TripletSet(**{**entry, "text_types": tuple(entry["text_types"])}) for entry in made["triplets"]],
        pairs=[_pairs(entry) for entry in made["pairs"]],
        lines=np.arange(len(texts)),
    )
    return open_part(material) if only_open else material


def open_part(material: Material) -> Material:
    """Return the texts of open sources and what the open sets say of them; an unknown source is not open."""
    sources = read_sources()
    is_open = np.asarray([sources[name].is_open for name in material.source_names])
    kept = is_open[material.sources]
    row_of = np.where(kept, np.cumsum(kept) - 1, -1)
    labelled = []
    for one in material.labelled:
        stays = kept[one.rows] & kept[one.topic_rows]
        if one.twins is not None:
            stays &= (np.bincount(one.twins[stays], minlength=int(one.twins.max(initial=0)) + 1) == 2)[one.twins]
        if sources[one.source].is_open and bool(stays.any()):
            labelled.append(
                replace(
                    one,
                    rows=row_of[one.rows[stays]],
                    columns={axis: column[stays] for axis, column in one.columns.items()},
                    topic_rows=row_of[one.topic_rows[stays]],
                    twins=None if one.twins is None else one.twins[stays],
                )
            )
    triplets = []
    for three in material.triplets:
        stays = kept[three.rows].all(axis=0)
        if sources[three.source].is_open and bool(stays.any()):
            triplets.append(replace(three, rows=row_of[three.rows[:, stays]]))
    pairs = []
    for two in material.pairs:
        stays = kept[two.rows].all(axis=0)
        if sources[two.source].is_open and bool(stays.any()):
            instructions = [two.instructions[i] for i in np.flatnonzero(stays).tolist()]
            pairs.append(replace(two, rows=row_of[two.rows[:, stays]], instructions=instructions))
    rows = np.flatnonzero(kept)
    return Material(
        texts=[material.texts[row] for row in rows.tolist()],
        n_corpus=int(kept[: material.n_corpus].sum()),
        sources=material.sources[rows],
        source_names=material.source_names,
        labelled=labelled,
        triplets=triplets,
        pairs=pairs,
        lines=material.lines[rows],
    )


def trained_axes(material: Material) -> frozenset[str]:
    """Return the axes that some set trains."""
    return frozenset(axis for one in material.labelled for axis in one.columns) | {t.axis for t in material.triplets}


def summary(material: Material) -> str:
    """Return what there is as lines of text: texts by source, sets with their axes."""
    names, sources = material.source_names, read_sources()
    counts = np.bincount(material.sources, minlength=len(names))
    in_corpus = np.bincount(material.sources[: material.n_corpus], minlength=len(names))
    lines = [f"{len(material.texts):,} texts, {material.n_corpus:,} of them in the corpus"]
    for number in np.argsort(-counts).tolist():
        kept = "open" if sources[names[number]].is_open else "-"
        lines.append(f"  {names[number]:18} {counts[number]:>9,} {in_corpus[number]:>9,} in the corpus  {kept}")
    lines += [
        f"  {one.name:34} {len(one.rows):>7,} {one.source:14} {', '.join(one.columns)}" for one in material.labelled
    ]
    lines += [f"  {one.name:34} {one.rows.shape[1]:>7,} {one.source:14} {one.axis}" for one in material.triplets]
    lines += [f"  {one.name:34} {one.rows.shape[1]:>7,} {one.source:14} pairs" for one in material.pairs]
    return "\n".join(lines)


def _read_labelled(entry: Mapping[str, Any]) -> LabelledSet:
    columns = {n.removeprefix("columns."): v.astype(np.int32) for n, v in entry.items() if n.startswith("columns.")}
    rest = {name: value for name, value in entry.items() if not name.startswith("columns.")}
    rest |= {
        "columns": columns,
        "classes": {axis: tuple(names) for axis, names in entry["classes"].items()},
        "text_types": tuple(entry["text_types"]),
        "topic_rows": entry["topic_rows"].astype(np.int64),
        "twins": entry["twins"].astype(np.int32) if entry.get("twins") is not None else None,
    }
    return LabelledSet(**rest)


def _pairs(entry: Mapping[str, Any]) -> PairSet:
    instructions = [(left, right) for left, right in entry["instructions"]]
    numbers = entry["instruction_numbers"].tolist()
    rest = {name: value for name, value in entry.items() if name != "instruction_numbers"}
    return PairSet(**{**rest, "instructions": [instructions[number] for number in numbers]})


def _small(array: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in the smallest type that holds them."""
    smallest = np.result_type(np.min_scalar_type(array.min(initial=0)), np.min_scalar_type(array.max(initial=0)))
    return array.astype(smallest)
