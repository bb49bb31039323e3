"""The embeddings are those of sentence-transformers' own INSTRUCTOR support.

With random weights one token more or less in the mean moves an embedding by far more than the tolerance, so
agreement to 1e-5 pins the joint, the mask, truncation, pooling, projection and normalisation.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from instructor_core import InstructorModel, find_checkpoint

TOLERANCE = 1e-5
MEASURED = 1.8e-7  # the largest difference of a component; its last bits depend on the processor's order of summation

INSTRUCTIONS = (
    "Represent the review for classifying its sentiment: ",
    "Represent the review for classifying its sentiment:",  # no space: the joint is inside a word
    "Represent the review for classifying its sentiment; ",
    "",
    "   ",
    "x ",  # one token, which InstructorEmbedding 1.0.1 forgets to mask and everybody else masks
    " Instruction with a leading space: ",
    "日本語の文: ",
    "Represent\tthe   code\nsnippet: ",
)
TEXTS = (
    "The soup was cold.",
    "a",
    "",
    "trailing spaces   ",
    "emoji 😀🎉 and a family 👨‍👩‍👧",
    "日本語のテキストと中文",
    "first line\nsecond line\n\n\tindented",
    "def f(x):\n    return x**2 if x != 3 else {'a': [1, 2]}",
    "//path/at/the/joint",
    "...!?",
    "Ünïcödé, a ﬁ ligature and ½",
    "supercalifragilisticexpialidocious" * 5,
)
LONG = " ".join(f"word {number}" for number in range(450))  # 900 words, far beyond the window
PAIRS = [(instruction, text) for instruction in INSTRUCTIONS for text in TEXTS]
PAIRS += [(instruction, LONG) for instruction in INSTRUCTIONS[:2]]


@pytest.fixture(scope="module")
def mini_folder() -> Path:
    return find_checkpoint("instructor-mini")


def reference(folder: Path, pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
    """(N, D) embeddings by sentence-transformers; pairs that share an instruction are encoded together."""
    model = SentenceTransformer(str(folder), device="cpu")
    model.set_pooling_include_prompt(False)
    out = np.empty((len(pairs), model.get_embedding_dimension() or 0), dtype=np.float32)
    for instruction in dict.fromkeys(instruction for instruction, _ in pairs):
        rows = [row for row, pair in enumerate(pairs) if pair[0] == instruction]
        out[rows] = model.encode([pairs[row][1] for row in rows], prompt=instruction)
    return out


@pytest.mark.parametrize("name", ["checkpoint_a", "checkpoint_b", "mini_folder"])
def test_embeddings_equal_those_of_sentence_transformers(name: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(name)
    assert len(PAIRS) >= 60
    expected = reference(folder, PAIRS)
    for trainable in (False, True):  # merged weights, and weights as the checkpoint has them
        ours = InstructorModel(folder, trainable=trainable).encode(PAIRS)
        assert ours.shape == expected.shape
        assert np.abs(ours - expected).max() < 5 * MEASURED < TOLERANCE


def test_leading_spaces_of_a_text_are_those_of_sentence_transformers_but_for_a_joint_without_a_space(
    checkpoint_a: Path,
) -> None:
    pairs = [("Represent the review: ", "   leading"), ("Represent it: ", "\n\ttwo words"), ("", "  none")]
    np.testing.assert_allclose(
        InstructorModel(checkpoint_a).encode(pairs), reference(checkpoint_a, pairs), atol=TOLERANCE
    )
    # The one input where the references disagree: InstructorEmbedding 1.0.1 strips the text before joining,
    # sentence-transformers keeps its spaces. We strip, so the right answer is the reference on the stripped text.
    given, stripped = ("Sentiment:", "   leading"), ("Sentiment:", "leading")
    ours = InstructorModel(checkpoint_a).encode([given])
    np.testing.assert_allclose(ours, reference(checkpoint_a, [stripped]), atol=TOLERANCE)
    assert np.abs(ours - reference(checkpoint_a, [given])).max() > 1e-3


def test_one_token_more_in_the_mask_is_far_beyond_the_tolerance(
    checkpoint_a: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = InstructorModel(checkpoint_a)
    pairs = [pair for pair in PAIRS if pair[0].strip() and pair[1]]
    right = model.encode(pairs)
    count = model.count_tokens
    monkeypatch.setattr(model, "count_tokens", lambda strings: [n + 1 for n in count(strings)])
    moved = np.abs(model.encode(pairs) - right).max(axis=1)
    assert np.median(moved) > 1e-2
    assert moved.min() > TOLERANCE


def test_bfloat16_stays_close_to_float32(mini_folder: Path) -> None:
    pairs = [pair for pair in PAIRS if pair[1].strip() and pair[1] != LONG]
    exact = InstructorModel(mini_folder).encode(pairs)
    fast = InstructorModel(mini_folder, dtype="bfloat16").encode(pairs)
    assert fast.dtype == np.float32
    assert (exact * fast).sum(axis=1).min() > 0.999
