"""The recipe of instructor-mini, end to end on tiny files."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from instructor_core import InstructorModel
from instructor_core.errors import UserError
from instructor_core.train.mini import teacher as teacher_module
from instructor_core.train.mini.__main__ import main
from instructor_core.train.mini.initial import Shape, make_checkpoint, static_vectors
from instructor_core.train.mini.loading import Material, load_material, trained_axes
from instructor_core.train.mini.mixture import Mixture, MixtureSettings, plain_wording
from instructor_core.train.mini.tasks import HELD_OUT_AXES
from instructor_core.train.mini.teacher import embed_file, read_embeddings, read_texts
from instructor_core.train.mini.wordings import TrainingWordings
from tests.conftest import make_checkpoint as make_random_checkpoint


class FakeTeacher:
    """Embeds a text by the letters in it."""

    dim = 64

    def encode(self, texts):
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            np.add.at(vectors[row], [ord(letter) % self.dim for letter in text], 1)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def _corpus() -> list[str]:
    rng = random.Random(0)
    things = ("soup", "train", "match", "engine", "garden", "novel")
    ends = (" was late again.", " is good, I think.", " never starts?", "?", " at the corner, as always.")
    return [
        f"{rng.choice(('The', 'Is the', 'Can you see the', 'I like my'))} {rng.choice(things)}{rng.choice(ends)} {i}"
        for i in range(400)
    ]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "corpus.txt").write_text("\n".join(_corpus()) + "\n", encoding="utf-8")
    embed_file(folder / "corpus.txt", FakeTeacher())
    records = []
    for i in range(60):
        parts = {role: ["Find it: ", f"{role} {i}"] for role in ("query", "pos", "neg")}
        for task in ("clinc_intent:intent", "agnews_topic:topic", "multi30k"):
            records.append({"task_name": task, **parts})
    with gzip.open(folder / "train.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    return folder


@pytest.fixture(scope="module")
def material(sources: Path) -> Material:
    return load_material(sources, only_open=False, seed=0, n_generated=60)


@pytest.fixture(scope="module")
def wordings() -> TrainingWordings:
    return TrainingWordings()


class KnownModel:
    """Stands in for the start checkpoint: remembers what it was asked for."""

    def encode(self, pairs):
        self.pairs = pairs
        return FakeTeacher().encode([instruction + text for instruction, text in pairs]).astype(np.float32)


def _mixture(material: Material, wordings: TrainingWordings, **settings) -> Mixture:
    return Mixture(material, wordings, MixtureSettings(tokens=600, **settings), known=KnownModel())


def test_a_batch_is_a_pure_function_of_seed_and_step(material: Material, wordings: TrainingWordings):
    one, again, other = (_mixture(material, wordings, seed=seed) for seed in (1, 1, 2))
    for step in (7, 3, 11, 0):
        assert one.batch(step).pairs == again.batch(step).pairs
        assert one.batch(step).name == one.batch(step).name
    assert [one.batch(step).pairs for step in range(5)] != [other.batch(step).pairs for step in range(5)]


def test_every_kind_of_batch_comes_in_its_share_with_a_finite_loss_and_trains_no_held_out_axis(
    material: Material, wordings: TrainingWordings
):
    assert not HELD_OUT_AXES & (trained_axes(material) | set(wordings.axes))
    mixture = _mixture(material, wordings)
    seen: Counter[str] = Counter()
    for step in range(300):
        batch = mixture.batch(step)
        kind, _, axis = batch.name.partition(":")
        assert axis not in HELD_OUT_AXES
        seen[kind] += 1
        instructions = {instruction for instruction, _ in batch.pairs}
        assert instructions == {""} if kind == "plain" else kind != "neutral" or "" not in instructions
        generator = torch.Generator().manual_seed(step)
        embeddings = torch.nn.functional.normalize(torch.randn(len(batch.pairs), 64, generator=generator), dim=-1)
        embeddings.requires_grad_()
        loss, values = batch.loss(embeddings)
        loss.backward()
        assert embeddings.grad is not None and bool(torch.isfinite(embeddings.grad).all()), batch.name
        assert all(np.isfinite(value) for value in values.values())
    total = sum(mixture.shares.values())
    assert set(seen) == set(mixture.shares)
    assert all(abs(seen[kind] / 300 - share / total) < 0.1 for kind, share in mixture.shares.items())


@pytest.mark.parametrize("kind", ["plain", "neutral", "structure"])
def test_the_targets_of_distillation_belong_to_the_texts(kind: str, material: Material, wordings: TrainingWordings):
    mixture = _mixture(material, wordings, shares={kind: 1.0})
    for step in range(6):
        batch = mixture.batch(step)
        own = torch.from_numpy(FakeTeacher().encode([text for _, text in batch.pairs]).astype(np.float32))
        own = torch.nn.functional.normalize(own, dim=-1)
        right, _ = batch.loss(own)
        wrong, _ = batch.loss(own.roll(1, dims=0))
        assert float(right) == pytest.approx(0, abs=1e-3)
        assert float(wrong) > 0.1
        assert len({text for _, text in batch.pairs}) == len(batch.pairs)


def test_the_start_checkpoint_is_asked_with_the_plain_wording_of_the_axis(
    material: Material, wordings: TrainingWordings
):
    mixture = _mixture(material, wordings, shares={"wordings": 1.0})
    batch = mixture.batch(0)
    asked = mixture.known.pairs
    assert [text for _, text in asked] == [text for _, text in batch.pairs]
    assert len({instruction for instruction, _ in asked}) == 1
    assert asked[0][0].startswith("Represent the ") and " for classifying the " in asked[0][0]
    assert plain_wording("question_type", "query") == "Represent the query for classifying the question type: "
    alone = Mixture(material, wordings, MixtureSettings(tokens=600))  # nobody to ask
    assert "wordings" not in alone.shares and "labels" in alone.shares


def test_embedding_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(_corpus()) + "\n", encoding="utf-8")
    texts = read_texts(corpus)
    monkeypatch.setattr(teacher_module, "_BLOCK", 150)
    stopping = FakeTeacher()
    calls: list[int] = []

    def encode(block):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(len(block))
        return FakeTeacher().encode(block)

    stopping.encode = encode
    with pytest.raises(KeyboardInterrupt):
        embed_file(corpus, stopping)
    with pytest.raises(UserError, match="300 of 400"):
        read_embeddings(corpus, len(texts))
    calls.clear()
    embed_file(corpus, stopping)
    assert calls == [100]
    assert (read_embeddings(corpus, len(texts)) == FakeTeacher().encode(texts)).all()


def test_static_vectors_keep_their_weighting_through_the_final_norm():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((30, 12)).astype(np.float32)
    sample = rng.standard_normal((200, 12)).astype(np.float32)
    counts = np.asarray([0, 0, 0, 10_000, *[5] * 26])
    tokens, projection = static_vectors(vectors, counts, sample, width=10, directions=8)
    assert np.allclose((tokens**2).mean(axis=1), 1, atol=1e-5)  # what T5's norm divides by
    lengths = np.linalg.norm(tokens @ projection.T, axis=1)
    assert lengths[3] < 0.1 * lengths[4]  # the common token weighs little
    kept = np.linalg.svd(sample.T @ sample)[2][:8]
    expected = vectors[4] @ kept.T @ kept
    assert np.dot(tokens[4] @ projection.T, expected) / lengths[4] / np.linalg.norm(expected) > 0.999


def test_a_start_from_scratch_is_a_checkpoint_that_already_knows_its_words(sources: Path, tmp_path: Path):
    shape = Shape(vocabulary=460, width=32, feed_forward=32, heads=2, layers=1, directions=24)
    make_checkpoint(sources / "corpus.txt", FakeTeacher(), tmp_path / "start", shape=shape)
    model = InstructorModel(tmp_path / "start", device="cpu")
    embeddings = model.encode([("", "the soup"), ("", "The soup"), ("", "soup soup"), ("", "xqz")])
    assert embeddings.shape == (4, 64)
    assert np.allclose(embeddings[0], embeddings[1])  # lower-cased
    assert embeddings[0] @ embeddings[2] > embeddings[0] @ embeddings[3]
    tokens = model.encode_tokens([("", "The engine 你")])[0].tokens
    assert "▁engine" in tokens and "<unk>" not in tokens


def test_a_short_run_from_the_command_line_saves_a_checkpoint(
    sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    start = make_random_checkpoint(tmp_path / "start", d_model=32, d_ff=32, num_layers=1, num_heads=2)
    sets = tmp_path / "sets"
    sets.mkdir()
    lines = [json.dumps({"text": f"text {i}", "labels": {"stype": "ab"[i % 2]}}) for i in range(12)]
    (sets / "toy.jsonl").write_text("\n".join(lines), encoding="utf-8")
    pairs = [json.dumps({"a": f"a {i}", "b": f"b {i}", "score": i}) for i in range(12)]
    (tmp_path / "sts.jsonl").write_text("\n".join(pairs), encoding="utf-8")
    arguments = ["run", str(sources), "--start", str(start), "--out", str(tmp_path / "out"), "--steps", "3"]
    arguments += ["--tokens", "300", "--generated", "40", "--sts", str(tmp_path / "sts.jsonl")]
    arguments += ["--label-sets", str(sets)]
    assert main(arguments) == 0
    assert InstructorModel(tmp_path / "out" / "checkpoint", device="cpu").encode([("", "text")]).shape == (1, 64)
    log = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry["step"] for entry in log if "loss" in entry] == [1, 2, 3]
    scores = next(entry["evaluation"] for entry in log if "evaluation" in entry)
    assert {"sts", "sts neutral", "sentence_type plain", "sentence_type free"} <= set(scores)
    assert "3/3" in capsys.readouterr().err


def test_the_teacher_averages_over_tokens_and_scales_to_unit_length(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    class Tokenizer:
        def __call__(self, texts, *, truncation, max_length):
            return {"input_ids": [[ord(letter) for letter in text[:max_length]] for text in texts]}

    class Network:
        config = SimpleNamespace(hidden_size=2)

        def eval(self):
            return self

        def to(self, device):
            return self

        def __call__(self, *, input_ids, attention_mask):
            states = torch.stack([input_ids == ord("a"), input_ids == ord("b")], dim=-1).bfloat16()
            return SimpleNamespace(last_hidden_state=states)

    monkeypatch.setattr(teacher_module.AutoTokenizer, "from_pretrained", lambda *_, **__: Tokenizer())
    monkeypatch.setattr(teacher_module.AutoModel, "from_pretrained", lambda *_, **__: Network())
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    found = teacher_module.Teacher(tmp_path, max_tokens=8).encode(["aabb", "b", "aaaabbbbb" * 3, "a"])
    expected = np.asarray([[0.5**0.5, 0.5**0.5], [0, 1], [0.5**0.5, 0.5**0.5], [1, 0]])
    assert np.allclose(found, expected, atol=1e-3)
    with pytest.raises(UserError, match=r"config\.json"):
        teacher_module.Teacher(tmp_path / "nowhere")
