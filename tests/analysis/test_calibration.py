import itertools

import numpy as np
import pytest
from scipy.stats import kstest, percentileofscore

from instructor_core.analysis.calibration import background, percentile_matrices, unrelated_sentences
from instructor_core.analysis.similarity import self_similarity
from instructor_core.errors import UserError

DOMAINS = [f"domain {i // 3}" for i in range(60)]


def vectors_of(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 8)) + 1


def test_sentences_of_different_domains_share_few_words() -> None:
    sentences = unrelated_sentences()
    words = [{word.strip(".,?'").lower() for word in text.split() if len(word) > 5} for text in sentences.texts]
    pairs = itertools.combinations(range(len(words)), 2)
    shared = [len(words[i] & words[j]) > 1 for i, j in pairs if sentences.domains[i] != sentences.domains[j]]
    assert sum(shared) == 0


def test_the_background_holds_the_cosines_of_pairs_of_different_domains() -> None:
    vectors = vectors_of(60, 0)
    cosines = self_similarity(vectors)
    expected = sorted(
        round(float(cosines[i, j]), 6) for i, j in itertools.combinations(range(60), 2) if DOMAINS[i] != DOMAINS[j]
    )
    result = background(vectors, DOMAINS)
    np.testing.assert_allclose(result.cosines, expected, atol=1e-6)
    np.testing.assert_allclose(result.quantiles[2], np.median(expected), atol=1e-6)
    assert (np.diff(result.curve, axis=0) >= 0).all()
    percentiles = percentile_matrices(np.stack([cosines]), [result])
    np.testing.assert_array_equal(percentiles[0], result.percentiles(cosines))
    assert (np.diag(percentiles[0]) == 100).all()  # a text with itself
    with pytest.raises(UserError, match="at least 2 domains: got 1"):
        background(vectors[:3], ["a"] * 3)


def test_percentiles_are_those_of_scipy_rise_with_the_cosine_and_end_at_100() -> None:
    result = background(vectors_of(60, 0), DOMAINS)
    cosines = np.linspace(-1, 1, 401)
    percentiles = result.percentiles(cosines)
    expected = [percentileofscore(result.cosines, c, kind="weak") for c in np.round(cosines, 6)]
    np.testing.assert_allclose(percentiles, expected, atol=1e-4)
    assert (np.diff(percentiles) >= 0).all()
    assert percentiles[0] == 0
    assert percentiles[-1] == 100


def test_held_out_unrelated_sentences_spread_evenly_over_the_percentiles() -> None:
    result = background(vectors_of(300, 0), [str(i) for i in range(300)])
    fresh = vectors_of(240, 1).reshape(2, 120, 8)
    pairs = np.array([self_similarity(np.stack(pair))[0, 1] for pair in zip(*fresh, strict=True)])
    assert kstest(result.percentiles(pairs) / 100, "uniform").pvalue > 0.01
