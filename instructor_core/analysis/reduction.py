"""What every projection rests on: distinct points, their positions by PCA or UMAP, and trust in these.

References:
    McInnes et al. 2018, UMAP.
    Venna and Kaski 2001, trustworthiness, as computed by `sklearn.manifold.trustworthiness`.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from instructor_core.errors import UserError

TRUST_NEIGHBORS = 5  # size of the neighborhoods that trustworthiness compares, scikit-learn's default
TRUST_POINTS = 1000  # trustworthiness sorts all pairs of points: a sample is measured above this many
REDUCED_DIMENSIONS = 50  # in which many points look for their neighbors
MANY_EPOCHS = 200  # of UMAP for many points; its default is 200 above 10,000 points, 500 below
_BLOCK_MB = 64  # of distances that are held at once
_DECIMALS = 5  # batching changes the last bits of an embedding
NOWHERE = os.devnull  # no folder can be made below it
_UMAP_LOCK = threading.Lock()  # two fits at once abort the process on numba's workqueue threading layer


@dataclass(frozen=True, eq=False)
class DistinctPoints:
    """Distinct rows (m, D) float64 in a fixed order, the row of each point (n,), the count of each row."""

    rows: NDArray[np.float64]
    index: NDArray[np.int64]
    counts: NDArray[np.int64]


def distinct_points(vectors: NDArray[np.floating]) -> DistinctPoints:
    """Rows that differ after rounding to five decimals, sorted: the order of the input is forgotten."""
    if not np.isfinite(vectors).all():
        row = int(np.argwhere(~np.isfinite(vectors).all(axis=1))[0, 0])
        raise UserError(
            f"A projection needs finite vectors: point {row + 1} of {len(vectors)} holds NaN or infinity. Leave it out."
        )
    rounded = np.round(vectors.astype(np.float64), _DECIMALS) + 0.0  # adding zero turns -0.0 into 0.0
    # A row as one run of bytes is compared at once; with the exponent first, rows that are nearly the same stay near.
    keys = np.ascontiguousarray(rounded, dtype=">f8").view(np.dtype((np.void, 8 * rounded.shape[1]))).reshape(-1)
    rows, index, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return DistinctPoints(rows.view(">f8").reshape(-1, rounded.shape[1]).astype(np.float64), index, counts)


def center(positions: NDArray[np.float64], points: DistinctPoints) -> NDArray[np.float64]:
    """Positions of the distinct rows moved so that the mean over all points is the origin."""
    if len(positions) == 0:
        return positions
    return positions - np.average(positions, axis=0, weights=points.counts)


def pca_positions(points: DistinctPoints, n_components: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions of the distinct rows on the principal axes, and each axis's variance share; axes that lack are 0."""
    positions = np.zeros((len(points.rows), n_components))
    ratio = np.zeros(n_components)
    if len(points.rows) < 2:
        return positions, ratio
    moved = center(points.rows, points)
    weighted = moved * np.sqrt(points.counts)[:, None]  # a row that occurs c times counts c times
    axes, moments = _main_axes(weighted, n_components)
    positions[:, : len(axes)] = moved @ axes.T
    ratio[: len(axes)] = moments / np.sum(weighted**2)
    return positions, ratio


def _main_axes(rows: NDArray[np.float64], n_axes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first axes of the second moment of rows (n, D), unit vectors (k, D), and the moment on each (k,).

    k is n_axes, n or D, whichever is least. An axis points where its largest loading is positive.
    """
    if len(rows) > rows.shape[1]:  # thousands of rows: from their D x D products, in a fourth of the time
        ascending, columns = np.linalg.eigh(rows.T @ rows)
        moments, axes = np.maximum(ascending[::-1], 0.0), columns.T[::-1]
    else:
        _, spread, axes = np.linalg.svd(rows, full_matrices=False)
        moments = spread**2
    axes, moments = axes[:n_axes], moments[:n_axes]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return axes * np.where(largest < 0, -1.0, 1.0), moments


def turn(positions: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Positions centred, and rotated or reflected as a whole onto the target, (n, d) twice -> (n, d), n >= 1."""
    from scipy.linalg import orthogonal_procrustes

    moved = positions - positions.mean(axis=0, dtype=np.float64)
    rotation, _ = orthogonal_procrustes(moved, target - target.mean(axis=0, dtype=np.float64))
    return np.asarray(moved @ rotation)


def own_folder(name: str) -> Path | None:
    """A folder of this user alone below the temporary folder, the same at every start; None where there can be none.

    What numba keeps is loaded as code: a folder that somebody else made, may write to or redirected is not used.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    with suppress(OSError):
        folder = Path(tempfile.gettempdir(), f"{name}-{user}")
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        private = os.name == "nt" or (found.st_uid == user and not found.st_mode & 0o077)
        if stat.S_ISDIR(found.st_mode) and private:
            return folder
    return None


@cache
def import_umap() -> Any:
    """Import UMAP with all that is compiled of it kept; by itself it compiles for ten seconds at each start."""
    prepare_numba()
    import numba

    njit: Any = numba.njit

    def keeping(*arguments: Any, **options: Any) -> Any:
        return njit(*arguments, **{"cache": True, **options})

    with patch.object(numba, "njit", keeping):
        return import_module("umap")


@cache
def prepare_numba() -> None:
    """Have numba keep what it compiles in the temporary folder, or keep nothing; once, before UMAP is imported.

    By itself it writes beside the packages or into the home folder, and where neither can be written importing UMAP
    fails. NUMBA_CACHE_DIR goes first.
    """
    from numba import config
    from numba.core import caching, dispatcher
    from numba.np.ufunc import ufuncbuilder

    def attempt(function: Any, error: type[Exception]) -> Any:
        def run(*arguments: Any) -> None:
            with suppress(error):
                function(*arguments)

        return run

    kept: Any = config
    # What is kept of a function is not looked at when one that it calls has changed: each version has its folder.
    name = "-".join(["instructor-core", *map(version, ("numba", "umap-learn", "pynndescent"))])
    kept.CACHE_DIR = kept.CACHE_DIR or str(own_folder(name) or NOWHERE)
    caching.CacheImpl._locator_classes = [caching.UserProvidedCacheLocator]
    for kind in (dispatcher.Dispatcher, ufuncbuilder.UFuncDispatcher):  # no folder to write to is a RuntimeError
        setattr(kind, "enable_caching", attempt(kind.enable_caching, RuntimeError))  # noqa: B010
    save: Any = caching.FunctionCache
    save.save_overload = attempt(save.save_overload, OSError)  # a full disk: it is compiled anew at the next start


def umap_positions(
    rows: NDArray[np.float64],
    n_components: int,
    n_neighbors: int,
    min_dist: float,
    metric: str,
    random_state: int,
    *,
    init: str | NDArray[np.float64] = "spectral",
    n_epochs: int | None = None,
    known: tuple[NDArray[np.int32] | None, NDArray[np.float32] | None] = (None, None),
) -> NDArray[np.float64]:
    """UMAP coordinates of distinct rows, one fit at a time, repeatable for the same rows and seed."""
    with _UMAP_LOCK:
        reducer = import_umap().UMAP(
            n_components=n_components,
            n_neighbors=n_neighbors,
            min_dist=min_dist,
            metric=metric,
            random_state=random_state,
            n_jobs=1,
            init=init,
            n_epochs=n_epochs,
            precomputed_knn=(*known, None),
            force_approximation_algorithm=known[0] is not None,  # which uses them, where the exact way would not
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Spectral initialisation failed")  # it starts at random then
            warnings.filterwarnings("ignore", message=".*not fully connected")
            warnings.filterwarnings("ignore", message="precomputed_knn")  # new points are not asked about
            fitted = reducer.fit_transform(rows.astype(np.float32))
    return np.asarray(fitted, dtype=np.float64)


def umap_positions_of_many(
    rows: NDArray[np.float64],
    n_components: int,
    n_neighbors: int,
    min_dist: float,
    metric: str,
    random_state: int,
) -> NDArray[np.float64]:
    """As `umap_positions` for hundreds of rows and more, as trustworthy in a fraction of the time.

    Neighbors are looked for in the 50 dimensions of the largest second moment, not centered, so that cosines stay
    what they are; the fit starts at the principal components and takes 200 steps. Neighbors are exact, found a block
    of rows at a time: UMAP's own search for them holds a gigabyte and compiles for half a minute.
    """
    reduced = rows @ _main_axes(rows, REDUCED_DIMENSIONS)[0].T
    moved = reduced - reduced.mean(axis=0)
    start = np.zeros((len(rows), n_components))
    axes, _ = _main_axes(moved, n_components)
    start[:, : len(axes)] = moved @ axes.T
    return umap_positions(
        reduced,
        n_components,
        n_neighbors,
        min_dist,
        metric,
        random_state,
        init=start,
        n_epochs=MANY_EPOCHS,
        known=_exact_neighbors(reduced, n_neighbors, metric),
    )


def _exact_neighbors(
    rows: NDArray[np.float64], n_neighbors: int, metric: str
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Nearest rows of each row, itself first, and their distances, both (n, n_neighbors), a block of rows at a time."""
    from sklearn import config_context
    from sklearn.neighbors import NearestNeighbors

    by_angle = metric == "cosine"  # on the unit sphere the order is that of the Euclidean distance, which is faster
    if by_angle:
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(norms > 0, norms, 1.0)
    with config_context(working_memory=_BLOCK_MB):
        search = NearestNeighbors(
            n_neighbors=n_neighbors, metric="euclidean" if by_angle else metric, algorithm="brute"
        ).fit(rows)
        distances, neighbors = search.kneighbors(rows)
    if by_angle:
        distances = distances**2 / 2  # 1 - cosine
    return neighbors.astype(np.int32), distances.astype(np.float32)


def measure_trustworthiness(
    rows: NDArray[np.floating], positions: NDArray[np.floating], metric: str
) -> tuple[float | None, int]:
    """Trustworthiness of distinct points and its neighborhood size, below half of them; (None, 0) if undefined."""
    step = -(-len(rows) // TRUST_POINTS) or 1
    rows, positions = rows[::step], positions[::step]
    size = min(TRUST_NEIGHBORS, (len(rows) - 1) // 2)
    if len(rows) < 4:  # with three points and one neighbor each, the figure can only be an accident
        return None, 0
    from sklearn.manifold import trustworthiness

    return float(trustworthiness(rows, positions, n_neighbors=size, metric=metric)), size
