"""Groups of the texts, their names, and the order of texts that keeps groups together.

With labels, groups are the labels. Without, they are clusters under the first instruction: agglomerative, average
linkage on 1 - cosine, which has no random start; how many is decided by the silhouette. A found group is named by the
words that set it apart (class-based TF-IDF), by pieces of words for a language that parts them by no space.

References:
    Grootendorst 2022, BERTopic: Neural topic modeling with a class-based TF-IDF procedure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.neighbors import Groups, groups_by_label

MAX_FOUND = 8  # groups that are looked for
MAX_CLUSTERED = 1000  # texts that groups are looked for among; the others join the nearest group
MIN_SILHOUETTE = 0.05  # below it no number of groups describes the texts
N_WORDS = 2  # in the name of a group
NAME_LENGTH = 32  # characters of a name made of a text
_SEED = 0
_SPACED = 0.08  # share of spaces from which a text is read word by word
_DECIMALS = 6
# The few hundred most frequent words carry no topic in any language; these are those of German, beside
# scikit-learn's list of English ones.
_GERMAN = (
    "aber als am an auch auf aus bei bin bis da das dass dem den der des die dies diese dieser doch du durch ein eine "
    "einem einen einer er es für hat hatte ich ihr im in ist ja kann kein keine man mein meine mich mir mit nach nicht "
    "noch nun nur oder schon sehr sein sich sie sind so um und uns unser unsere von vom vor war waren was wenn wer wie "
    "wieder wir wird wurde zu zum zur über"
)


@dataclass(frozen=True, eq=False)
class NamedGroups:
    """Groups with names that a reader sees."""

    groups: Groups
    from_labels: bool
    silhouette: float | None  # mean, by cosine, of found groups; None for labels and for a single group

    @property
    def order(self) -> NDArray[np.int64]:
        """Indices of the texts group by group, within a group as given, (N,) int64."""
        return np.argsort(self.groups.index, kind="stable").astype(np.int64)


def named_groups(
    texts: Sequence[str], labels: Sequence[str] | None, embeddings: NDArray[np.floating], *, where: str = "A"
) -> NamedGroups:
    """Groups by label where there are at least two labels, else found in the embeddings and named."""
    by_label = groups_by_label(labels or ())
    if by_label is not None:
        return NamedGroups(by_label, True, None)
    index, silhouette = find_groups(embeddings)
    names = group_names(texts, index, embeddings)
    if silhouette is None:
        rule = "There are no labels, and the texts fall into no groups: they are one."
    else:
        rule = (
            f"There are no labels: groups are {len(names)} clusters under {where}, the number of 2 to {MAX_FOUND} with "
            f"the highest silhouette ({silhouette:.2f})."
        )
        if len(texts) > MAX_CLUSTERED:
            rule += f" They were found among {MAX_CLUSTERED} texts (seed {_SEED}); the others join the nearest."
    return NamedGroups(Groups(names, index, rule), False, silhouette)


def find_groups(embeddings: NDArray[np.floating]) -> tuple[NDArray[np.int64], float | None]:
    """The group of each row, (N, D) -> (N,), largest first, and their silhouette; a single group has None.

    The number of groups is that of 2 to 8 with the highest mean silhouette, in which a text alone counts 0.
    """
    n = len(embeddings)
    rows = np.round(embeddings.astype(np.float64), _DECIMALS)
    chosen = np.arange(n)
    if n > MAX_CLUSTERED:
        chosen = np.sort(np.random.default_rng(_SEED).choice(n, MAX_CLUSTERED, replace=False))
    sample = rows[chosen]
    most = min(MAX_FOUND, len(np.unique(sample, axis=0)) - 1)
    if most < 2:
        return np.zeros(n, dtype=np.int64), None
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.metrics import silhouette_score

    distances = np.clip(1.0 - sample @ sample.T, 0.0, 2.0)
    np.fill_diagonal(distances, 0.0)
    best, found = -1.0, np.zeros(len(sample), dtype=np.int64)
    for k in range(2, most + 1):
        index = AgglomerativeClustering(k, metric="precomputed", linkage="average").fit_predict(distances)
        score = float(silhouette_score(distances, index, metric="precomputed"))
        if score > best + 1e-9:  # of equal ones the fewer groups
            best, found = score, index.astype(np.int64)
    if best < MIN_SILHOUETTE:
        return np.zeros(n, dtype=np.int64), None
    if n > MAX_CLUSTERED:
        centers = np.stack([sample[found == g].mean(axis=0) for g in range(found.max() + 1)])
        joined = (rows @ centers.T).argmax(axis=1)
        joined[chosen] = found
        found = joined
    return _largest_first(found), best


def group_names(texts: Sequence[str], index: NDArray[np.int64], embeddings: NDArray[np.floating]) -> tuple[str, ...]:
    """A name for every group 0 ... G - 1, none empty and each once: words that set it apart, or its central text."""
    members = [np.flatnonzero(index == g).tolist() for g in range(int(index.max(initial=-1)) + 1)]
    words = (
        _distinctive_words([[texts[i] for i in group] for group in members])
        if len(members) > 1
        else [()] * len(members)
    )
    names: list[str] = []
    for group, chosen in zip(members, words, strict=True):
        name = ", ".join(chosen)
        if not name or name in names:
            center = embeddings[group].mean(axis=0)
            central = group[int(np.argmax(np.round(embeddings[group] @ center, _DECIMALS)))]
            name = _shortened(texts[central])
        names.append(name if name not in names else f"{name} ({len(names) + 1})")
    return tuple(names)


def _largest_first(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same groups numbered by size, equal ones by their first text."""
    names, first, inverse, counts = np.unique(index, return_index=True, return_inverse=True, return_counts=True)
    place = np.empty(len(names), dtype=np.int64)
    place[np.lexsort((first, -counts))] = np.arange(len(names))
    return place[inverse.reshape(-1)]


def _distinctive_words(groups: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Per group its words of the highest class-based TF-IDF that more of its texts have than of all others."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer, TfidfTransformer

    everything = "".join(text for group in groups for text in group)
    spaced = sum(character.isspace() for character in everything) >= _SPACED * len(everything)
    options: dict[str, Any] = {"analyzer": "word", "token_pattern": r"(?u)\b[^\W\d_][\w'’-]*[^\W_]\b"}
    if not spaced:
        options = {"analyzer": _pieces}
    counter = CountVectorizer(lowercase=True, binary=True, **options)
    flat = [text for group in groups for text in group]
    try:
        present = counter.fit_transform(flat)
    except ValueError:  # scikit-learn's answer to texts without a single word
        return [() for _ in groups]
    vocabulary = counter.get_feature_names_out()
    of_group = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    counts = np.stack([np.asarray(present[of_group == g].sum(axis=0)).ravel() for g in range(len(groups))])
    weights = TfidfTransformer(sublinear_tf=False, smooth_idf=True).fit_transform(counts).toarray()
    share = counts / np.array([[len(group)] for group in groups])
    others = (counts.sum(axis=0) - counts) / np.maximum(len(flat) - np.array([[len(group)] for group in groups]), 1)
    stop = ENGLISH_STOP_WORDS.union(_GERMAN.split())
    allowed = np.array([word not in stop for word in vocabulary])
    score = weights * (share - others) * (allowed & (share > others) & ((counts > 1) | (share > 0.5)))
    return [
        _apart([(str(vocabulary[i]), row[i]) for i in np.lexsort((vocabulary, -row)) if row[i] > 0]) for row in score
    ]


def _apart(ranked: Sequence[tuple[str, float]]) -> tuple[str, ...]:
    """The first words none of which is part of another: "screen" and "screens" say the same."""
    kept: list[str] = []
    for word, _ in ranked:
        if not any(word in other or other in word for other in kept):
            kept.append(word)
        if len(kept) == N_WORDS:
            break
    return tuple(kept)


def _pieces(text: str) -> list[str]:
    """Runs of two and three letters of a text, those across punctuation or a space left out."""
    runs = re.findall(r"[^\W\d_]+", text.lower())
    return [run[i : i + n] for run in runs for n in (2, 3) for i in range(len(run) - n + 1)]


def _shortened(text: str) -> str:
    """The beginning of a text, cut at a word."""
    words = " ".join(text.split())
    if len(words) <= NAME_LENGTH:
        return words or "empty text"
    head = words[:NAME_LENGTH].rsplit(" ", 1)[0] if " " in words[:NAME_LENGTH] else words[:NAME_LENGTH]
    return f"{head}…"
