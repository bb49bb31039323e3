import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from instructor_core.analysis.fingerprint import MAX_TEXTS, Fingerprint, Likeness, describe, fingerprint, sample_texts
from instructor_core.analysis.suggest import yardsticks
from instructor_core.cache import CachedEncoder
from instructor_core.errors import UserError
from instructor_core.ui.data.fingerprints import fingerprints
from instructor_core.ui.data.inputs import Inputs, join_ready

REVIEWS = json.loads((Path(__file__).parents[2] / "assets/examples/01_reviews.json").read_text(encoding="utf-8"))
NAMES = ("topic", "mood", "form")
N = 24


def space(seed: int, weight: float = 1.0) -> np.ndarray:
    """Random texts: what seed 0 gives is "no instruction", the others add something of their own to it."""
    base = np.random.default_rng(0).normal(size=(N, 16))
    own = np.random.default_rng(seed).normal(size=(N, 16))
    return np.concatenate([base, weight * own], axis=1)


def made(vectors: np.ndarray, edited: Sequence[np.ndarray] = (), names: tuple[str, ...] = NAMES) -> Fingerprint:
    tasks = np.stack([space(seed, 2.0) for seed in range(1, len(names) + 1)])
    controls = np.stack([space(seed, 0.5) for seed in (11, 12)])
    return fingerprint(vectors, space(9, 0.0), np.stack(edited or [vectors]), tasks, controls, names)


def test_no_instruction_changes_nothing_at_all_and_a_task_is_like_itself_and_a_weaker_form_of_it() -> None:
    result = made(space(9, 0.0))
    assert result.distance == 0 == pytest.approx(result.order_change, abs=1e-12)
    assert result.verdict == "hardly changes anything"
    assert result.named == () and all(one.correlation == 0 for one in result.likeness)
    for seed, name in enumerate(NAMES, start=1):
        own = made(space(seed, 2.0))
        assert own.named == (name,)
        assert own.likeness[0].correlation == pytest.approx(1) and own.likeness[0].strength == pytest.approx(1)
        assert made(space(seed, 1.0)).named == (name,)


def test_the_likeness_is_the_partial_rank_correlation() -> None:
    upper = np.triu_indices(N, 1)

    def cosines(vectors: np.ndarray) -> np.ndarray:
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return (units @ units.T)[upper]

    own, base, task = (cosines(v) for v in (space(1, 1.0), space(9, 0.0), space(2, 2.0)))
    r = spearmanr(np.stack([own, base, task]), axis=1).statistic
    expected = (r[0, 2] - r[0, 1] * r[1, 2]) / np.sqrt((1 - r[0, 1] ** 2) * (1 - r[1, 2] ** 2))
    found = {one.task: one.correlation for one in made(space(1, 1.0)).likeness}
    assert found["mood"] == pytest.approx(expected, abs=1e-4)
    assert made(space(1, 1.0)).order_change == pytest.approx(1 - np.corrcoef(rankdata(own), rankdata(base))[0, 1])


def test_a_move_that_an_edit_without_meaning_makes_as_well_is_nothing() -> None:
    trembling = space(1, 0.1)
    result = made(trembling, [trembling, space(5, 0.4)])
    assert result.order_change <= result.order_noise
    assert result.verdict == "hardly changes anything" and result.named == ()
    shaking = made(space(1, 0.4))
    assert shaking.verdict == "moves"
    # Both are shown as .02.
    assert replace(shaking, distance=0.022, noise=0.018).verdict == "hardly changes anything"
    # Far, but all alike: no figure would show anything else.
    alike = replace(result, distance=0.09, noise=0.01)
    said = "hardly changes anything (.09; punctuation .01): all move alike, who is near whom stays"
    assert (alike.verdict, describe(alike)) == ("hardly changes anything", said)
    assert describe(replace(alike, noise=0.09)) == "hardly changes anything (.09; punctuation .09)"


def test_texts_in_another_order_are_like_no_tested_task() -> None:
    # Seeds 1 to 3 are planted tasks: what they say about each text is given to another one.
    for seed in (1, 2, 3):
        base, own = np.split(space(seed, 2.0), 2, axis=1)
        mixed = np.concatenate([base, own[np.random.default_rng(seed).permutation(N)]], axis=1)
        result = made(mixed)
        assert result.verdict == "moves" and result.named == ()
        assert "like no tested task" in describe(result)


def test_tasks_that_ask_the_same_are_named_together_and_what_a_control_gives_as_well_counts_for_none() -> None:
    tasks = np.stack([space(1, 2.0), space(1, 2.0) + 0.05 * space(4), space(2, 2.0)])
    result = fingerprint(space(1), space(9, 0.0), space(1)[None], tasks, space(11, 0.5)[None], NAMES)
    assert set(result.named) == {"topic", "mood"}
    tasks = np.stack([space(1, 2.0), space(2, 2.0), space(3, 2.0)])
    held = fingerprint(space(1), space(9, 0.0), space(1)[None], tasks, space(1, 1.5)[None], NAMES)
    assert held.named == ()  # asking for nothing moves the texts the same way


@pytest.mark.parametrize("n", [4, 8])
def test_few_texts_have_a_fingerprint_and_three_have_none(n: int) -> None:
    def few(seed: int) -> np.ndarray:
        return space(seed)[:n]

    result = fingerprint(few(1), few(2), few(3)[None], few(4)[None], few(5)[None], ("topic",))
    assert result.n_texts == n and np.isfinite(result.likeness[0].strength)
    equal = np.ones((n, 3))
    assert fingerprint(equal, equal, equal[None], equal[None], equal[None], ("topic",)).named == ()
    with pytest.raises(UserError, match="at least 4 texts: got 3"):
        fingerprint(equal[:3], equal[:3], equal[None, :3], equal[None, :3], equal[None, :3], ("topic",))


def test_a_fingerprint_is_one_line_of_a_sample_that_is_drawn_once_and_for_all() -> None:
    assert sample_texts(7).tolist() == list(range(7))
    drawn = sample_texts(5000)
    assert len(set(drawn.tolist())) == MAX_TEXTS and (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(drawn, sample_texts(5000))
    for named, like in ((("a",), '"a"'), (("a", "b", "c"), '"a", "b" or "c"'), ((), "no tested task")):
        made_up = Fingerprint(16, 0.213, 0.008, 0.2, 0.02, (Likeness("a", 0.9, 0.3),), named)
        assert describe(made_up) == f"moves the texts .21 (punctuation .01) · like {like}"


# --------------------------------------------------------------------------------- the bundled checkpoint, 16 reviews


def on_reviews(encoder: CachedEncoder, *instructions: str, texts: Sequence[str] = ()) -> list[Fingerprint | None]:
    ready = tuple(join_ready(instruction) for instruction in instructions)
    return list(fingerprints(encoder.encode, Inputs("instructor-mini", ready, tuple(texts or REVIEWS["texts"]), None)))


@pytest.mark.parametrize(
    ("instruction", "named"),
    [
        ("Is the author happy or annoyed?", "sentiment"),
        ("Do not use sentiment:", "sentiment"),  # the opposite was meant
        ("By sentiment, not by topic:", "sentiment"),
        ("By topic, not by sentiment:", "topic"),
        ("what is it about?", "topic"),
        ("question or not:", "sentence type"),
        ("Ignore the topic and look only at the emotion:", "emotion"),
    ],
)
def test_an_instruction_is_named_by_what_it_does(encoder: CachedEncoder, instruction: str, named: str) -> None:
    (result,) = on_reviews(encoder, instruction)
    assert result is not None and result.verdict == "moves"
    assert named in result.named


def test_words_without_a_wish_hardly_change_anything(encoder: CachedEncoder) -> None:
    for result in on_reviews(encoder, "Represent this:", "Hello there:", "star rating 1 to 5:", "", ":", "?!"):
        assert result is not None and result.verdict == "hardly changes anything"
    assert on_reviews(encoder, "by topic:", texts=["a", "b", "c", "a", "b"]) == [None]  # four different texts at least


def test_every_tested_task_is_recognised_by_its_own_plain_instruction(encoder: CachedEncoder) -> None:
    tasks = yardsticks().tasks
    for task, result in zip(tasks, on_reviews(encoder, *(task.instruction for task in tasks)), strict=True):
        assert result is not None and (result.verdict != "moves" or task.name in result.named)
        assert next(one for one in result.likeness if one.task == task.name).correlation == pytest.approx(1, abs=1e-5)
