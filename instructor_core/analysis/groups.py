"""Groups of the texts, their names, and the order of texts that keeps groups together.

With labels, groups are the labels. Without, they are k-means clusters of the unit vectors under one instruction,
started from Ward's tree, so nothing is drawn by chance; the silhouette decides how many. A found group is named by the
words that set it apart (class-based TF-IDF), by pieces of words for a language that parts them by no space.

References:
    Grootendorst 2022, BERTopic: Neural topic modeling with a class-based TF-IDF procedure.
    Rousseeuw 1987, Silhouettes: a graphical aid to the interpretation and validation of cluster analysis.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.grid import EmbeddingGrid, round_ties
from instructor_core.analysis.numbers import number

MAX_LABELS = 24  # labels that are a group of their own; more would be a matrix of specks
MAX_FOUND = 12  # groups that are looked for
MAX_CLUSTERED = 1000  # texts that groups are looked for among and named by; the others join the nearest group
MIN_SHARE = 0.03  # of the texts, in the smallest group: a few texts that lie apart are no group
MIN_SILHOUETTE = 0.02  # noise in hundreds of dimensions reaches it: below it the texts are one group
NEAR_BEST = 0.95  # of the highest silhouette: numbers of groups as good as the best one, of which the fewest is taken
N_WORDS = 2  # in the name of a group
NAME_LENGTH = 32  # characters of a name made of a text
MAX_CHANCE = 0.15  # of a word being in so many texts of a group, drawn blindly: above it a word names no group
_RANKED = 20  # words that are asked for that chance
_READ = 1000  # characters of a text that its group is named by
_OTHERS = "other labels"
_UNLABELLED = "no label"
_SEED = 0
_SPACED = 0.08  # share of spaces from which a text is read word by word
# What carries no topic, beside scikit-learn's list of English words: what is left of "didn't" and "we've", and the most
# frequent words of German. Japanese and Chinese are read between kana and the particles of Chinese.
_STOP = (
    "did does doing don didn doesn isn aren wasn weren won wouldn couldn shouldn hasn haven hadn ll ve going really "
    "let aber alle als also am an auch auf aus bei beim bin bis da dann das dass dem den denn der des die dies diese "
    "diesem diesen dieser dieses doch du durch ein eine einem einen einer eines er es etwas für ganz gegen haben hat "
    "hatte hier ich ihr ihre ihrem ihren im immer in ins ist ja jetzt kann kein keine können man mehr mein meine "
    "meinem meinen meiner meines mich mir mit muss nach nicht noch nun nur ob oder ohne schon sehr sein seine seinem "
    "seinen seiner seit sich sie sind so um und uns unser unsere unserem unseren unserer unter viel viele vom von vor "
    "war waren warum was weil wenn wer werden wie wieder wir wird wo wurde wurden zu zum zur über"
)
_RUN = r"[^\W\d_ぁ-ゖ的了是在我你他她它们不很这那有也都和就太一个]+"


@dataclass(frozen=True, eq=False)
class Groups:
    """A group for every text."""

    names: tuple[str, ...]  # (G,) in display order
    index: NDArray[np.int64]  # (N,) the group of each text
    rule: str  # one sentence on where the groups come from
    from_labels: bool = False

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of texts of each group, (G,) int64."""
        return np.bincount(self.index, minlength=len(self.names)).astype(np.int64)


_of_grids: WeakKeyDictionary[EmbeddingGrid, Groups] = WeakKeyDictionary()


def grid_groups(grid: EmbeddingGrid) -> Groups:
    """The groups of a grid under its first instruction, kept as long as the grid is: no view looks for them again."""
    if grid not in _of_grids:
        _of_grids[grid] = name_groups(grid.texts, grid.labels, grid.embeddings[0])
    return _of_grids[grid]


def name_groups(texts: Sequence[str], labels: Sequence[str] | None, embeddings: NDArray[np.floating]) -> Groups:
    """Groups by label where there are at least two labels, else found in the unit vectors (N, D) and named."""
    by_label = groups_by_label(labels or ())
    if by_label is not None:
        return by_label
    sample = _sample(len(texts))
    index, silhouette = _find(embeddings, sample)
    names = group_names([texts[i] for i in sample], index[sample], embeddings[sample])
    rule = "All labels are the same" if any(labels or ()) else "There are no labels"
    if silhouette is None:
        rule += ", and the texts fall into no groups: they are one."
    else:
        near, share = f"{100 * (1 - NEAR_BEST):.0f} %", f"{100 * MIN_SHARE:.0f} %"
        rule += (
            f": groups are {len(names)} k-means clusters under A, the fewest of 2 to {MAX_FOUND} whose "
            f"silhouette ({number(silhouette, 2)}) is within {near} of the highest, each of {share} of the texts or "
            f"more, found among {len(sample)} texts"
        )
        rule += "." if len(sample) == len(texts) else f" (seed {_SEED})."
    return Groups(names, index, rule)


def groups_by_label(labels: Sequence[str]) -> Groups | None:
    """A group for each of the most frequent labels, in the order in which they first appear; None below two."""
    frequent = [label for label, _ in Counter(label for label in labels if label).most_common(MAX_LABELS)]
    if len(frequent) < 2:
        return None
    kept = set(frequent)
    named = [label if label in kept else _OTHERS if label else _UNLABELLED for label in labels]
    names = tuple(dict.fromkeys(name for name in named if name in kept))
    names += tuple(extra for extra in (_OTHERS, _UNLABELLED) if extra in named)
    place = {name: at for at, name in enumerate(names)}
    total = len({label for label in labels if label})
    rule = f"Groups are the {total} labels."
    if total > MAX_LABELS:
        rule = f"Groups are the {MAX_LABELS} most frequent of {total} labels; the rest is one group."
    return Groups(names, np.array([place[name] for name in named], dtype=np.int64), rule, from_labels=True)


def _sample(n: int) -> NDArray[np.int64]:
    """Indices of the texts that groups are looked for among: all, or a seeded draw of many."""
    if n <= MAX_CLUSTERED:
        return np.arange(n)
    return np.sort(np.random.default_rng(_SEED).choice(n, MAX_CLUSTERED, replace=False))


def _find(embeddings: NDArray[np.floating], sample: NDArray[np.int64]) -> tuple[NDArray[np.int64], float | None]:
    """The group of each row, (N, D) -> (N,), largest first, and their silhouette; a single group has None."""
    rows = embeddings[sample].astype(np.float64)
    squares = (rows**2).sum(axis=1) / 2
    distances = round_ties(np.maximum(squares[:, None] + squares - rows @ rows.T, 0.0))  # 1 - cosine
    np.fill_diagonal(distances, 0.0)
    n_distinct = len(rows) - int(np.tril(distances == 0, -1).any(axis=1).sum())
    one = np.zeros(len(embeddings), dtype=np.int64)
    most = min(MAX_FOUND, n_distinct, len(rows) // 2)
    if most < 2:
        return one, None
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    tree = linkage(np.sqrt(2 * squareform(distances)), "ward")
    smallest = max(2.0, MIN_SHARE * len(embeddings))
    candidates: list[tuple[float, NDArray[np.int64]]] = []
    for k in range(2, most + 1):
        start = fcluster(tree, k, "maxclust")
        centers = np.stack([rows[start == g].mean(axis=0) for g in np.unique(start)])
        means = KMeans(len(centers), init=centers, n_init=1).fit(rows).cluster_centers_.astype(embeddings.dtype)
        index = (embeddings @ means.T - (means**2).sum(axis=1) / 2).argmax(axis=1)
        if len(means) == k and np.bincount(index, minlength=k).min() >= smallest:
            candidates.append((float(silhouette_score(distances, index[sample], metric="precomputed")), index))
    best = max((score for score, _ in candidates), default=0.0)
    if best < MIN_SILHOUETTE:
        return one, None
    silhouette, chosen = next(found for found in candidates if found[0] >= NEAR_BEST * best)
    return _largest_first(chosen), silhouette


def group_names(texts: Sequence[str], index: NDArray[np.int64], embeddings: NDArray[np.floating]) -> tuple[str, ...]:
    """A name for every group 0 ... G - 1, none empty and each once: words that set it apart, or its central text."""
    members = [np.flatnonzero(index == g).tolist() for g in range(int(index.max(initial=-1)) + 1)]
    if len(members) < 2:
        return ("all texts",) * len(members)
    names: list[str] = []
    for group, words in zip(members, _distinctive_words(texts, index), strict=True):
        name = ", ".join(_as_written(word, [texts[i] for i in group]) for word in words)
        if not name or name in names:
            center = embeddings[group].mean(axis=0)
            central = group[int(np.argmax(round_ties(embeddings[group] @ center)))]
            name = f'like "{_shorten(texts[central])}"'
        names.append(name if name not in names else f"{name} ({len(names) + 1})")
    return tuple(names)


def _largest_first(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same groups numbered by size, equal ones by their first text."""
    names, first, inverse, counts = np.unique(index, return_index=True, return_inverse=True, return_counts=True)
    place = np.empty(len(names), dtype=np.int64)
    place[np.lexsort((first, -counts))] = np.arange(len(names))
    return place[inverse.reshape(-1)]


def _distinctive_words(texts: Sequence[str], index: NDArray[np.int64]) -> list[list[str]]:
    """Per group its words of the highest class-based TF-IDF that its texts have more often than chance would do."""
    from scipy.stats import hypergeom
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer, TfidfTransformer

    read = [text[:_READ] for text in texts]
    n_spaces, n_characters = sum(len(text.split()) - 1 for text in read), sum(map(len, read))
    options: dict[str, Any] = {"token_pattern": r"(?u)\b[^\W\d_][\w-]*[^\W_]\b"}
    if n_spaces < _SPACED * n_characters:
        options = {"analyzer": _pieces}
    counter = CountVectorizer(binary=True, **options)
    try:
        present = counter.fit_transform(read)
    except ValueError:  # scikit-learn's answer to texts without a single word
        return [[] for _ in np.unique(index)]
    words, sizes = counter.get_feature_names_out(), np.bincount(index)[:, None]
    counts = np.stack([np.asarray(present[index == g].sum(axis=0)).ravel() for g in range(len(sizes))])
    weights = TfidfTransformer().fit_transform(counts).toarray()
    total = counts.sum(axis=0)
    lead = counts / sizes - (total - counts) / (len(texts) - sizes)
    stop = ENGLISH_STOP_WORDS.union(_STOP.split())
    score = weights * lead * (counts > 1) * np.array([word not in stop for word in words])
    names = []
    for g, row in enumerate(score):
        ranked = [i for i in np.lexsort((words, -row))[:_RANKED] if row[i] > 0]
        chance = hypergeom.sf(counts[g, ranked] - 1, len(texts), total[ranked], sizes[g, 0])
        names.append(_drop_alike([str(words[i]) for i, p in zip(ranked, chance, strict=True) if p < MAX_CHANCE]))
    return names


def _drop_alike(ranked: Sequence[str]) -> list[str]:
    """The first words none of which is part of another: "screen" and "screens" say the same."""
    kept: list[str] = []
    for word in ranked:
        if not any(word in other or other in word for other in kept):
            kept.append(word)
    return kept[:N_WORDS]


def _as_written(word: str, texts: Sequence[str]) -> str:
    """The commonest spelling of a word that was read in lower case: "QCD", and nouns of German with their capital."""
    found = Counter(re.findall(rf"\b{re.escape(word)}\b", "\n".join(texts), re.IGNORECASE))
    return max(found, key=lambda form: (found[form], form == word), default=word)


def _pieces(text: str) -> list[str]:
    """Runs of two and three letters of a text, none across punctuation, a space or a particle."""
    return [run[i : i + n] for run in re.findall(_RUN, text.lower()) for n in (2, 3) for i in range(len(run) - n + 1)]


def _shorten(text: str) -> str:
    """The beginning of a text, cut at a word."""
    words = " ".join(text.split())
    if len(words) <= NAME_LENGTH:
        return words or "empty text"
    head = words[:NAME_LENGTH].rsplit(" ", 1)[0] if " " in words[:NAME_LENGTH] else words[:NAME_LENGTH]
    return f"{head}…"
