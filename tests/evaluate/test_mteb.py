"""mteb evaluates a checkpoint of this project: with the instruction of each task, and no result taken for another's."""

from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from mteb.abstasks.sts import AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.mocks.mock_run import mock_run
from mteb.mocks.mock_tasks.retrieval import MockRetrievalTask
from numpy.typing import NDArray
from scipy.stats import spearmanr

from instructor_core import InstructorModel
from instructor_core.errors import UserError
from instructor_core.evaluate.mteb import BY_TYPE, MtebEncoder

A = ["The soup was cold.", "A fine hotel.", "The battery died.", "What a dull film", "Two tickets, please"]
B = ["My pasta was cold.", "The room smelled.", "It lasts for days.", "I loved the film", "The train is late"]
SCORES = [4.0, 2.5, 3.0, 1.0, 0.0]


class TinySTS(AbsTaskSTS):
    metadata = TaskMetadata(
        name="TinySTS",
        type="STS",
        description="Five pairs of sentences.",
        reference=None,
        dataset={"path": "NA", "revision": "NA"},
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="cosine_spearman",
        date=None,
        domains=None,
        task_subtypes=None,
        license=None,
        annotations_creators=None,
        dialect=None,
        sample_creation=None,
        bibtex_citation=None,
        prompt="mteb's own",
    )

    def load_data(self, *_: Any, **__: Any) -> None:
        self.dataset = DatasetDict(test=Dataset.from_dict({"sentence1": A, "sentence2": B, "score": SCORES}))
        self.data_loaded = True


def score(encoder: MtebEncoder, cache: mteb.ResultCache | None = None) -> float:
    (result,) = mteb.evaluate(encoder, TinySTS(), cache=cache, show_progress_bar=False).task_results
    return float(result.scores["test"][0]["cosine_spearman"])


class Recorder:
    """A model that remembers what it was asked for."""

    def __init__(self, model: InstructorModel) -> None:
        self.name, self.revision, self.folder, self.dtype = model.name, model.revision, model.folder, model.dtype
        self.dim, self.max_seq_length, self.model = model.dim, model.max_seq_length, model
        self.pairs: list[tuple[str, str]] = []

    def encode(self, pairs: list[tuple[str, str]], *, show_progress_bar: bool) -> NDArray[np.float32]:
        self.pairs += pairs
        return self.model.encode(pairs)


@pytest.mark.parametrize(
    ("instructions", "used"),
    [
        (None, BY_TYPE["STS"]),
        ({"STS": "Represent the topic: "}, "Represent the topic: "),
        ({"STS": "Represent the topic: ", "TinySTS": "Represent the sentiment: "}, "Represent the sentiment: "),
        ({"TinySTS": ""}, ""),
    ],
)
def test_a_score_is_that_of_the_embeddings_under_the_instruction_of_the_task(
    mini: InstructorModel, instructions: dict[str, str] | None, used: str
) -> None:
    a, b = (mini.encode([(used, text) for text in texts]) for texts in (A, B))
    recorder = Recorder(mini)
    expected = spearmanr((a * b).sum(axis=1), SCORES).statistic
    assert score(MtebEncoder(recorder, instructions)) == pytest.approx(expected)
    assert sorted(recorder.pairs) == sorted((used, text) for text in A + B)


def test_both_sides_of_a_search_have_their_own_instruction(mini: InstructorModel) -> None:
    task, recorder = MockRetrievalTask(), Recorder(mini)
    task.load_data()
    splits = task.dataset["default"].values()
    queries = sorted(text for split in splits for text in split["queries"]["text"])
    documents = sum(len(split["corpus"]) for split in splits)
    mteb.evaluate(
        MtebEncoder(recorder, {task.metadata.name: {"query": "Find: "}}), task, cache=None, show_progress_bar=False
    )
    assert sorted(text for instruction, text in recorder.pairs if instruction == "Find: ") == queries
    assert sum(instruction == "" for instruction, _ in recorder.pairs) == documents  # they were given none
    assert len(recorder.pairs) == documents + len(queries)
    with pytest.raises(UserError, match=r"TinySTS has no queries and documents: got .*\['query'\]"):
        score(MtebEncoder(mini, {"TinySTS": {"query": "Find: "}}))


def test_an_encoder_with_a_template_gets_the_wordings_of_mteb_and_none_for_documents(mini: InstructorModel) -> None:
    recorder = Recorder(mini)
    recorder.template = "Instruct: {instruction}\nQuery: {text}"
    encoder, task = MtebEncoder(recorder), MockRetrievalTask()
    score(encoder)
    assert {instruction for instruction, _ in recorder.pairs} == {"mteb's own"}
    recorder.pairs.clear()
    mteb.evaluate(encoder, task, cache=None, show_progress_bar=False)
    assert {instruction for instruction, _ in recorder.pairs} == {"", task.abstask_prompt}
    recorder.template = "{instruction}: {text}"
    assert MtebEncoder(recorder).mteb_model_meta.experiment_name != encoder.mteb_model_meta.experiment_name


def test_every_kind_of_task_with_texts_runs(mini: InstructorModel) -> None:
    results = mock_run(MtebEncoder(mini))
    ran = {name: result for name, result in results.items() if result is not None}
    assert results.all_passed, [f"{name}: {result}" for name, result in ran.items() if not hasattr(result, "scores")]
    assert len(ran) > 10


def test_a_kept_result_is_given_again_only_for_the_same_weights_and_wordings(
    mini: InstructorModel, checkpoint_a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = mteb.ResultCache(tmp_path)
    topic, form = ({"STS": f"Represent the sentence for {task}: "} for task in ("topic", "sentence type"))
    other = InstructorModel(checkpoint_a, device="cpu")
    encoders = [MtebEncoder(mini, topic), MtebEncoder(mini, form), MtebEncoder(other, topic)]
    fresh = [score(encoder) for encoder in encoders]
    assert len(set(np.round(fresh, 6))) == 3
    assert [score(encoder, cache) for encoder in encoders] == pytest.approx(fresh)
    monkeypatch.setattr(MtebEncoder, "encode", None)
    assert [score(encoder, cache) for encoder in encoders] == pytest.approx(fresh)
    metas = [encoder.mteb_model_meta for encoder in encoders]
    assert [meta.name for meta in metas] == ["local/instructor-mini", "local/instructor-mini", "local/random-a"]
    assert len({(meta.name, meta.revision, meta.experiment_name) for meta in metas}) == 3
    assert MtebEncoder(mini, topic).mteb_model_meta.embed_dim == 384
