"""Published figures of published checkpoints, for whoever has a network: `HUB=1 tests/run` (some 7 GB).

The tolerances are those of the sources: four printed digits of an example, a run on other hardware of a benchmark.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants, get_session
from huggingface_hub.errors import GatedRepoError

from instructor_core import EncoderError, InstructorModel
from instructor_core.hub import CHECKPOINTS
from tests.ui.server import fake_hub

REVISIONS = {checkpoint.source: checkpoint.revision for checkpoint in CHECKPOINTS}
YAMS = (
    "Yams are perennial herbaceous vines native to Africa, Asia, and the Americas and cultivated for the "
    "consumption of their starchy tubers in many temperate and tropical regions. The tubers themselves, also "
    'called "yams", come in a variety of forms owing to numerous cultivars and related species.'
)
LAW = (
    "Disparate impact in United States labor law refers to practices in employment, housing, and other areas that"
    " adversely affect one group of people of a protected characteristic more than another, even though rules "
    "applied by employers or landlords are formally neutral. Although the protected classes vary by statute, most"
    " federal civil rights laws protect based on race, color, religion, national origin, and sex as protected "
    "traits, and some laws include disability status and other traits as well."
)
GRAVITY = (
    "Gravity is a force that attracts two bodies towards each other. It gives weight to physical objects and is "
    "responsible for the movement of planets around the sun."
)
PROTEIN = (
    "As a general guideline, the CDC's average requirement of protein for women ages 19 to 70 is 46 grams per "
    "day. But, as you can see from this chart, you'll need to increase that if you're expecting or training for a"
    " marathon. Check out the chart below to see how much protein you should be eating each day."
)
PLANETS = (
    "Venus is often called Earth's twin because of its similar size and proximity.",
    "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
    "Jupiter, the largest planet in our solar system, has a prominent red spot.",
    "Saturn, famous for its rings, is sometimes mistaken for the Red Planet.",
)
WEB_SEARCH = "Given a web search query, retrieve relevant passages that answer the query"


@pytest.fixture(scope="module")
def online() -> None:
    """Skips where the hub does not answer at all, and for no other reason."""
    try:
        get_session().get(constants.ENDPOINT, timeout=8)
    except Exception as error:  # of whatever HTTP library the hub client uses
        pytest.skip(f"the Hugging Face Hub does not answer: {error}")


def similarities(model: Any, queries: list[tuple[str, str]], documents: list[tuple[str, str]]) -> np.ndarray:
    embeddings = model.encode(queries + documents)
    return np.asarray(embeddings[: len(queries)] @ embeddings[len(queries) :].T)


@pytest.mark.hub
@pytest.mark.timeout(3600)
def test_instructor_large_ranks_the_documents_of_its_example(online: None) -> None:
    """docs/sentence_transformer/pretrained_models.md of sentence-transformers, section "Instructor Models"."""
    name = "hkunlp/instructor-large"
    model = InstructorModel(name, device="cpu", revision=REVISIONS[name])
    query = "Represent the Wikipedia question for retrieving supporting documents: "
    document = "Represent the Wikipedia document for retrieval: "
    found = similarities(
        model, [(query, "where is the food stored in a yam plant")], [(document, YAMS), (document, LAW)]
    )
    np.testing.assert_allclose(found, [[0.8835, 0.6970]], rtol=0, atol=5e-4)


@pytest.mark.hub
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("name", "task", "instruction", "published"),
    [
        ("hkunlp/instructor-base", "STS12", "Represent the statement, ", 0.7702),
        ("hkunlp/instructor-base", "STS15", "Represent the post, ", 0.8819),
        ("hkunlp/instructor-large", "BIOSSES", "Represent the Bio-medical statement: ", 0.8439),
    ],
)
def test_scores_are_those_that_the_authors_published(
    online: None, name: str, task: str, instruction: str, published: float
) -> None:
    """Spearman correlations of the model cards, as the repository embeddings-benchmark/results keeps them ("external").

    The instructions are the authors': evaluation/MTEB/mteb/evaluation/evaluators/STSEvaluator.py of their repository.
    """
    import mteb

    from instructor_core.evaluate.mteb import MtebEncoder

    model = InstructorModel(name, device="cpu", revision=REVISIONS[name])
    (result,) = mteb.evaluate(MtebEncoder(model, {task: instruction}), mteb.get_task(task), cache=None).task_results
    assert result.scores["test"][0]["cosine_spearman"] == pytest.approx(published, abs=0.005)


@pytest.mark.hub
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("name", "queries", "documents", "published", "tolerance"),
    [
        pytest.param(
            "Qwen/Qwen3-Embedding-0.6B",
            [(WEB_SEARCH, "What is the capital of China?"), (WEB_SEARCH, "Explain gravity")],
            [("", "The capital of China is Beijing."), ("", GRAVITY)],
            [[0.7646, 0.1414], [0.1355, 0.6000]],
            3e-3,
            id="qwen3",  # last token
        ),
        pytest.param(
            "intfloat/multilingual-e5-large-instruct",
            [(WEB_SEARCH, "how much protein should a female eat")],
            [("", PROTEIN)],
            [[0.91929]],
            1e-3,
            id="e5",  # mean, the prompt included
        ),
        pytest.param(
            "google/embeddinggemma-300m",
            [("search result", "Which planet is known as the Red Planet?")],
            [("title: none | text: {text}", text) for text in PLANETS],
            [[0.3011, 0.6359, 0.4930, 0.4889]],
            3e-3,
            id="gemma",  # mean and two linear layers
        ),
    ],
)
def test_the_example_of_a_model_card_gives_its_similarities(
    online: None,
    name: str,
    queries: list[tuple[str, str]],
    documents: list[tuple[str, str]],
    published: list[list[float]],
    tolerance: float,
) -> None:
    """The card of each checkpoint on the hub, section "Usage"; the tolerance covers a card computed in bfloat16."""
    from instructor_core.families import open_checkpoint

    try:
        model = open_checkpoint(name, "cpu")
    except EncoderError as error:
        reasons = [error, error.__cause__, error.__cause__ and error.__cause__.__cause__]
        if any(isinstance(reason, GatedRepoError) for reason in reasons):
            pytest.skip(f"{name} asks for a token of somebody who accepted its licence")
        raise
    np.testing.assert_allclose(similarities(model, queries, documents), published, rtol=0, atol=tolerance)


@pytest.mark.hub
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("name", "normalize", "published"),
    [
        # The first token, unit length.
        ("BAAI/bge-small-en-v1.5", True, [0.01522374, -0.02271799, 0.00860278, -0.07424029, 0.00386434]),
        # The mean as it is.
        ("nomic-ai/nomic-embed-text-v1.5", False, [-0.15407836, -0.03053198, -3.9138033, 0.1910364, 0.13224715]),
    ],
    ids=["bge", "nomic"],
)
def test_the_first_components_of_hello_world_are_those_of_another_engine(
    online: None, name: str, normalize: bool, published: list[float]
) -> None:
    """Their cards print no figures; tests/test_text_onnx_embeddings.py of qdrant/fastembed keeps these, to 1e-3."""
    from instructor_core.families import open_checkpoint

    embedding = open_checkpoint(name, "cpu").encode([("", "hello world")], normalize=normalize)[0]
    np.testing.assert_allclose(embedding[: len(published)], published, rtol=0, atol=1e-3)


def test_known_answers_are_skipped_for_want_of_a_network_and_for_nothing_else(
    checkpoint_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"HUB": "1", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    said = subprocess.run(
        [sys.executable, "-m", "pytest", __file__, "-p", "no:cacheprovider", "-q"],
        cwd=Path(__file__).parents[1],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert re.search(r"^9 skipped, 1 deselected", said, re.M)
    assert said.count("the Hugging Face Hub does not answer") == said.count("SKIPPED") > 0
    # A hub with another checkpoint under the name: the test runs, and fails by its numbers.
    monkeypatch.setattr(fake_hub, "COMMIT", REVISIONS["hkunlp/instructor-large"])
    wrong = pytest.raises(AssertionError, match=r"Not equal to tolerance[\s\S]*0\.8835")
    with fake_hub.serve(checkpoint_a, "hkunlp/instructor-large", tmp_path / "cache", monkeypatch), wrong:
        test_instructor_large_ranks_the_documents_of_its_example(None)
