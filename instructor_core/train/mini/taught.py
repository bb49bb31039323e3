"""What the teacher says of the material, computed once: embeddings, topics, texts of nouns, near words, anchors."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from instructor_core.errors import UserError
from instructor_core.train.mini.material import Material
from instructor_core.train.mini.teacher import Teacher, embed_texts
from instructor_core.train.mini.topics import Topics, find_topics

_DATA = Path(__file__).parent / "data"
_TEXTS_OF_A_NOUN = 300
_NEAR = 0.55  # cosine from which on a word may stand for another
_SHARED = 0.85  # share of what the classes of an axis have in common that is taken out of their anchors
# Words whose exchange would change what a wording asks for, or leave no English.
_KEPT_WORDS = re.compile(
    "the|and|for|not|but|with|from|that|this|these|those|what|which|who|whom|whose|when|where|why|how|are|was|were|has|"
    "have|had|does|did|can|could|will|would|shall|should|may|might|must|you|your|they|them|their|his|her|its|our|out|"
    "into|than|then|there|here|all|any|each|one|two|both|only|same|different|other|rather|instead|between|about|over|"
    "under|after|before|never|ever|always|very"
)


@dataclass(frozen=True, eq=False)
class Taught:
    """N texts and what else the teacher has embedded; all vectors have unit length.

    `embeddings` (N, D) stay on disk. `noun_rows` (M, k) are the corpus lines nearest to each noun;
    `near` words may stand for a word in a wording; `anchors` (A, D) belong to the (axis, class) of `anchor_names`.
    """

    embeddings: NDArray[np.float16]
    topics: Topics
    nouns: tuple[str, ...]
    noun_rows: NDArray[np.int64]
    noun_vectors: NDArray[np.float32]
    near: Mapping[str, Sequence[str]]
    anchor_names: tuple[tuple[str, str], ...]
    anchors: NDArray[np.float32]


def teach(material: Material, teacher: Teacher, folder: Path, *, seed: int = 0) -> Taught:
    """Ask the teacher for all that a run needs of it, write it into a folder and return it.

    The embeddings, which take nearly all of the time, go on where they were stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    embeddings = embed_texts(material.texts, teacher, folder / "embeddings.npy")
    topics = find_topics(embeddings, material.n_corpus, device=teacher.device, seed=seed)
    nouns = (_DATA / "nouns.txt").read_text(encoding="utf-8").split("\n")[:-1]
    noun_vectors = _spread(_float(teacher, [f"a text about {noun}" for noun in nouns]), np.zeros(len(nouns), int), 0.6)
    noun_rows = _nearest(embeddings[: material.n_corpus], noun_vectors, teacher.device)
    names = {
        (axis, name) for one in material.labelled for axis, classes in one.classes.items() for name in classes if name
    }
    anchor_names = sorted(names)
    anchors = _float(teacher, [f"{axis.replace('_', ' ')}: {name}" for axis, name in anchor_names])
    axes = np.unique([axis for axis, _ in anchor_names] or [""], return_inverse=True)[1][: len(anchor_names)]
    np.savez(
        folder / "arrays.npz",
        fine=topics.fine,
        coarse=topics.coarse,
        confidence=topics.confidence,
        centres=topics.centres,
        noun_rows=noun_rows,
        noun_vectors=noun_vectors,
        anchors=_spread(anchors, axes, _SHARED),
    )
    words = {"nouns": nouns, "anchors": anchor_names, "near": near_words(material.texts[: material.n_corpus], teacher)}
    (folder / "words.json").write_text(json.dumps(words), encoding="utf-8")
    return read_taught(folder)


def read_taught(folder: Path) -> Taught:
    """Open what `teach` has written, without reading the embeddings."""
    if not (folder / "words.json").is_file():
        raise UserError(
            f"What the teacher says of the material is not in {folder}. "
            "Make it with: python -m instructor_core.train.mini teach SOURCES --teacher FOLDER"
        )
    words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
    arrays = np.load(folder / "arrays.npz")
    return Taught(
        embeddings=np.load(folder / "embeddings.npy", mmap_mode="r"),
        topics=Topics(arrays["fine"], arrays["coarse"], arrays["confidence"], arrays["centres"]),
        nouns=tuple(words["nouns"]),
        noun_rows=arrays["noun_rows"],
        noun_vectors=arrays["noun_vectors"],
        near=words["near"],
        anchor_names=tuple((axis, name) for axis, name in words["anchors"]),
        anchors=arrays["anchors"],
    )


def near_words(texts: Sequence[str], teacher: Teacher, *, n_common: int = 8000) -> dict[str, list[str]]:
    """Return the words of the wordings with the common words that the teacher places near them."""
    ours: set[str] = set()
    for name in ("wordings.json", "grammar.json"):
        ours.update(re.findall(r"[a-z]{3,}", (_DATA / name).read_text(encoding="utf-8").lower()))
    some = texts[:: max(1, len(texts) // 100_000)]  # from everywhere: texts of one origin stand side by side
    counts = Counter(word for text in some for word in re.findall(r"[a-z]{3,}", text.lower()))
    common = {word for word, _ in counts.most_common(n_common)}
    vocabulary = sorted(word for word in ours | common if not _KEPT_WORDS.fullmatch(word))
    vectors = torch.from_numpy(_float(teacher, vocabulary)).to(teacher.device)
    asked = [i for i, word in enumerate(vocabulary) if word in ours]
    near: dict[str, list[str]] = {}
    for start in range(0, len(asked), 2000):
        part = asked[start : start + 2000]
        cosines, found = (vectors[part] @ vectors.T).topk(min(7, len(vocabulary)), dim=1)
        for i, row, places in zip(part, cosines.tolist(), found.tolist(), strict=True):
            words = [vocabulary[j] for cosine, j in zip(row, places, strict=True) if cosine > _NEAR and j != i]
            if words:
                near[vocabulary[i]] = words
    return near


def _float(teacher: Teacher, texts: Sequence[str]) -> NDArray[np.float32]:
    return _unit(teacher.encode(texts).astype(np.float32))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to unit length."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
    unit: NDArray[np.float32] = vectors / lengths
    return unit


def _spread(vectors: NDArray[np.float32], groups: NDArray[np.int64], share: float) -> NDArray[np.float32]:
    """Take a share of its group's mean out of each unit vector: what all classes of an axis say tells none of them."""
    out = vectors.copy()
    for group in np.unique(groups):
        members = groups == group
        if members.sum() > 1:
            out[members] -= share * vectors[members].mean(axis=0)
    return _unit(out)


def _nearest(
    embeddings: NDArray[np.float16], nouns: NDArray[np.float32], device: torch.device, block: int = 50_000
) -> NDArray[np.int64]:
    """Lines nearest to each noun (M, k), nearest first."""
    wanted = torch.from_numpy(nouns).to(device)
    size = max(1, min(_TEXTS_OF_A_NOUN, len(embeddings) // 20))
    cosines = torch.empty(len(nouns), 0, device=device)
    rows = torch.empty(len(nouns), 0, dtype=torch.long, device=device)
    for start in range(0, len(embeddings), block):
        part = wanted @ torch.from_numpy(embeddings[start : start + block]).to(device).float().T
        numbers = torch.arange(start, start + part.shape[1], device=device).expand(len(nouns), -1)
        cosines, rows = torch.cat([cosines, part], dim=1), torch.cat([rows, numbers], dim=1)
        cosines, best = cosines.topk(min(size, cosines.shape[1]), dim=1)
        rows = rows.gather(1, best)
    nearest: NDArray[np.int64] = rows.cpu().numpy()
    return nearest
