"""The recipe of instructor-mini on planted files: what the teacher says, the batches, their objectives."""

import json
import pickle
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel

from instructor_core import InstructorModel
from instructor_core.errors import UserError
from instructor_core.train.batch import Batch
from instructor_core.train.mini.contrasts import Contrasts
from instructor_core.train.mini.corpus import Corpus
from instructor_core.train.mini.grammar import normalise
from instructor_core.train.mini.initial import Shape, make_checkpoint, static_vectors
from instructor_core.train.mini.material import HELD_OUT_AXES, LabelledSet, Material, PairSet, TripletSet
from instructor_core.train.mini.mixture import Mixture
from instructor_core.train.mini.objectives import Objective
from instructor_core.train.mini.quick import QuickEvaluation
from instructor_core.train.mini.shares import MixtureSettings, word_plainly
from instructor_core.train.mini.taught import Taught, read_taught, teach
from instructor_core.train.mini.teacher import Teacher, embed_texts, pack_teacher
from instructor_core.train.mini.wordings import TrainingWordings
from tests.train.planted import LetterTeacher

THINGS = ("soup", "train", "match", "engine", "garden", "novel")
ENDS = (" was late again.", " is good, I think.", " never starts", "?", " at the corner, as always.")
STARTS = ("The", "Is the", "Can you see the", "I like my")


class KnownModel:
    """Stands in for the start checkpoint: remembers what it was asked for."""

    def encode(self, pairs):
        self.pairs = pairs
        return LetterTeacher().encode([instruction + text for instruction, text in pairs]).astype(np.float32)


def _set(name: str, rows: np.ndarray, columns: dict[str, list[int]], classes: dict[str, tuple[str, ...]], **more):
    arrays = {axis: np.asarray(column, dtype=np.int32) for axis, column in columns.items()}
    usual = {"text_types": ("sentence",), "weight": 1.0, "axis_weights": {}, "topic_rows": rows, "twins": None}
    return LabelledSet(name, rows, arrays, classes, source="generated", **{**usual, **more})


@pytest.fixture(scope="module")
def material() -> Material:
    rng = random.Random(0)
    choices = [(rng.randrange(4), rng.randrange(6), rng.randrange(5)) for _ in range(400)]
    texts = [f"{STARTS[a]} {THINGS[b]}{ENDS[c]} {i}" for i, (a, b, c) in enumerate(choices)]
    n_corpus = len(texts)
    for i in range(40):
        texts += [f"A cat sat on mat {i}.", f"A cat did not sit on mat {i}."]
    things, forms = [b for _, b, _ in choices], [int("?" in text) for text in texts[:400]]
    classes = {"topic": THINGS, "sentence_type": ("statement", "question")}
    every, half = np.arange(400), np.arange(200, 400)
    columns = {"topic": things, "sentence_type": forms}
    labelled = [
        _set("planted", every, columns, classes),
        _set("again", half, {axis: column[200:] for axis, column in columns.items()}, classes),
        _set("slots", half, {"animal": [i % 3 for i in range(200)]}, {"animal": ("cow", "hen", "-")}),
        _set("speakers", half, {"speaker": [i % 2 for i in range(200)]}, {"speaker": ("a", "b")}),
        _set(
            "twins",
            np.arange(400, 480),
            {"negation": [i % 2 for i in range(80)]},
            {"negation": ("affirmative", "negated")},
            twins=np.arange(80, dtype=np.int32) // 2,
        ),
    ]
    of_thing = [np.flatnonzero(np.asarray(things) == thing) for thing in range(6)]
    triplets = [
        TripletSet(
            name, "topic", np.stack([of_thing[0][:30], of_thing[0][10:40], of_thing[1][:30]]), n, ("text",), 1.0, "x"
        )
        for name, n in (("few", 4), ("many", 60))
    ]
    pairs = [PairSet("pairs", np.stack([every[:90], every[100:190]]), [("Find: ", "Keep: ")] * 90, True, 1.0, "x")]
    sources = np.zeros(len(texts), dtype=np.int16)
    return Material(texts, n_corpus, sources, ("x",), labelled, triplets, pairs, np.arange(len(texts)))


@pytest.fixture(scope="module")
def taught(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    return teach(material, LetterTeacher(), tmp_path_factory.mktemp("taught"))


@pytest.fixture(scope="module")
def wordings() -> TrainingWordings:
    return TrainingWordings()


@pytest.fixture
def mixture(material: Material, taught: Taught, wordings: TrainingWordings):
    def make(known: KnownModel | None = None, **settings) -> Mixture:
        return Mixture(material, taught, wordings, MixtureSettings(tokens=600, **settings), known=known)

    return make


def _random(n: int, seed: int, dim: int = 64) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_a_batch_is_a_pure_function_of_seed_step_and_hundredths_of_the_run(mixture):
    one, again, other = (mixture(seed=seed) for seed in (1, 1, 2))
    for step in (7, 3, 11, 0):
        batch, repeated = one.batch(step, 0.301), again.batch(step, 0.299)
        assert (batch.pairs, batch.name) == (repeated.pairs, repeated.name)
        embeddings = _random(len(batch.pairs), step)
        sent = pickle.loads(pickle.dumps(batch.loss))
        assert float(sent(embeddings)[0]) == float(repeated.loss(embeddings)[0])
    assert [one.batch(step, 0).pairs for step in range(5)] != [other.batch(step, 0).pairs for step in range(5)]


def test_every_kind_of_batch_comes_in_its_share_with_a_finite_gradient_and_trains_no_held_out_axis(mixture):
    source = mixture(KnownModel())
    seen: Counter[str] = Counter()
    for step in range(300):
        batch = source.batch(step, 0.5)
        kind, _, axis = batch.name.partition(":")
        assert axis not in HELD_OUT_AXES
        seen["cross" if kind == "contrast" else kind] += 1
        instructions = {instruction for instruction, _ in batch.pairs}
        assert instructions == {""} if kind == "plain" else kind != "neutral" or "" not in instructions
        embeddings = _random(len(batch.pairs), step).requires_grad_()
        loss, values = batch.loss(embeddings)
        loss.backward()
        assert embeddings.grad is not None and bool(torch.isfinite(embeddings.grad).all()), batch.name
        assert all(np.isfinite(float(value)) and not value.requires_grad for value in values.values())
    shares = source.shares(0.5)
    total = sum(shares.values())
    assert set(seen) == set(shares) and len(shares) == 9
    assert all(abs(seen[kind] / 300 - share / total) < 0.1 for kind, share in shares.items())


def test_only_a_start_from_scratch_begins_with_plain_similarity_and_no_value_is_read_on_the_way(mixture):
    def plain(source: Mixture, progress: float) -> float:
        shares = source.shares(progress)
        return shares["plain"] / sum(shares.values())

    assert plain(mixture(), 0.05) > 0.4 > plain(mixture(), 0.15)
    assert plain(mixture(warm=True), 0.05) == plain(mixture(warm=True), 0.5) < plain(mixture(warm=True), 0.9)
    source = mixture(KnownModel())
    for step in range(60):  # a tensor of the device "meta" has no values: reading one is an error
        batch = source.batch(step, 0.5)
        loss, _ = batch.loss.to(torch.device("meta"))(torch.empty(len(batch.pairs), 64, device="meta"))
        assert loss.shape == ()


@pytest.mark.parametrize("kind", ["plain", "neutral"])
def test_the_targets_of_distillation_belong_to_the_texts(kind: str, mixture):
    source = mixture(shares={kind: 1.0})
    for step in range(6):
        batch = source.batch(step, 0.5)
        own = torch.from_numpy(LetterTeacher().encode([text for _, text in batch.pairs]).astype(np.float32))
        own = torch.nn.functional.normalize(own, dim=-1)
        right, _ = batch.loss(own)
        wrong, _ = batch.loss(own.roll(1, dims=0))
        assert float(right) == pytest.approx(0, abs=1e-3)
        assert float(wrong) > 0.1
        assert len({text for _, text in batch.pairs}) == len(batch.pairs)


def _batches(source: Mixture, name: str, n: int = 5) -> list[Batch]:
    found = [batch for step in range(150) if (batch := source.batch(step, 0.5)).name.startswith(name)]
    assert len(found) >= n, name
    return found[:n]


def test_crossed_texts_stand_under_several_instructions_and_only_reading_them_helps(mixture):
    source = mixture(shares={"cross": 1.0})
    for batch in [*_batches(source, "contrast:"), *_batches(source, "cross:")]:
        texts = Counter(text for _, text in batch.pairs)
        assert max(texts.values()) <= 3 and np.median(list(texts.values())) >= 2
        labels = batch.loss.labels
        by_label = torch.nn.functional.one_hot(torch.from_numpy(np.unique(labels, return_inverse=True)[1]), 64).float()
        numbers = np.unique([text for _, text in batch.pairs], return_inverse=True)[1]
        by_text = torch.nn.functional.one_hot(torch.from_numpy(numbers), 512).float()
        alone = replace(batch.loss, anchoring=0.0)
        reading, ignoring = (alone(embeddings)[1][f"{alone.name} contrast"] for embeddings in (by_label, by_text))
        assert float(reading) < 0.01 and float(ignoring) > 0.5
        if batch.name.startswith("contrast"):  # mostly the same words in another order
            asked: dict[str, list[str]] = {}
            for instruction, text in batch.pairs:
                asked.setdefault(text, []).append(instruction)
            both = [found for found in asked.values() if len(found) == 2]
            assert all(first != second for first, second in both)
            bags = [[sorted(normalise(wording).split()) for wording in found] for found in both]
            assert sum(first == second for first, second in bags) > 0.7 * len(bags)


def test_nouns_come_once_in_two_classes_or_more_twins_together_and_no_positive_of_a_pair_as_a_negative(mixture):
    for batch in _batches(mixture(shares={"nouns": 1.0}), "nouns"):
        assert len({text for _, text in batch.pairs}) == len(batch.pairs)
        assert len(np.unique(batch.loss.labels)) >= 2
    for batch in _batches(mixture(shares={"triplets": 1.0}), "triplets"):
        labels = dict(zip([text for _, text in batch.pairs], batch.loss.labels.tolist(), strict=True))
        if batch.loss.groups is None:  # chains of positives are one class: 0-10, 10-20, 20-30
            assert [labels[text] for _, text in batch.pairs] == batch.loss.labels.tolist()
        else:
            assert set(Counter(batch.loss.groups.tolist()).values()) <= {1, 2, 3}
    source = mixture(shares={"labels": 1.0})
    whole = 0
    for batch in _batches(source, "labels:negation", 8):
        texts = {text for _, text in batch.pairs}
        partner = [text.replace("did not sit", "sat") in texts for text in texts if "did not" in text]
        whole += bool(partner) and sum(partner) >= len(partner) - 1
    assert whole >= 3


def test_the_open_part_of_a_material_finds_its_own_vectors(
    material: Material, taught: Taught, wordings: TrainingWordings
):
    kept = np.arange(0, 400, 2)
    part = replace(
        material,
        texts=[material.texts[row] for row in kept],
        n_corpus=200,
        sources=material.sources[kept],
        labelled=[],
        triplets=[],
        pairs=[],
        lines=kept,
    )
    batch = Mixture(part, taught, wordings, MixtureSettings(tokens=600, shares={"plain": 1.0})).batch(0, 0.5)
    assert (batch.loss.targets == LetterTeacher().encode([text for _, text in batch.pairs])).all()
    corpus = Corpus(part, taught, 600)
    assert all(
        part.lines[rows].tolist() == [r for r in taught.noun_rows[i] if r % 2 == 0]
        for i, rows in enumerate(corpus.noun_rows)
    )
    assert not Contrasts(part, taught, corpus, wordings, MixtureSettings()).by_axis


def test_the_start_checkpoint_is_asked_with_the_plain_wording_of_the_axis(mixture):
    known = KnownModel()
    batch = mixture(known, shares={"wordings": 1.0}).batch(0, 0.5)
    assert [text for _, text in known.pairs] == [text for _, text in batch.pairs]
    assert len({instruction for instruction, _ in known.pairs}) == 1
    assert known.pairs[0][0].startswith("Represent the ") and " for classifying the " in known.pairs[0][0]
    assert word_plainly("question_type", "query") == "Represent the query for classifying the question type: "
    assert "wordings" not in mixture().shares(0.5)  # nobody to ask


def test_an_objective_is_the_sum_of_its_weighted_terms_and_no_text_is_its_own_negative():
    embeddings, targets, anchors = _random(6, 0), _random(6, 1), _random(3, 2)
    numbers = np.arange(6)
    labels, own = np.asarray([0, 0, 1, 1, -1, 0]), np.asarray([0, 0, 1, 2, -1, -1])
    both = Objective(
        "x",
        numbers,
        targets=targets.numpy(),
        labels=labels,
        anchors=anchors.numpy(),
        own_anchors=own,
        contrast=1.0,
        structure=0.5,
        anchoring=0.3,
    )
    loss, values = both(embeddings)
    scaled = (embeddings @ embeddings.T) / 0.06
    rows = []
    for i in (0, 1, 2, 3, 5):
        others = [j for j in (0, 1, 2, 3, 5) if j != i]
        log_shares = scaled[i] - torch.logsumexp(scaled[i, others], 0)
        rows.append(-float(torch.stack([log_shares[j] for j in others if labels[j] == labels[i]]).mean()))
    assert float(values["x contrast"]) == pytest.approx(np.mean(rows), abs=1e-4)
    logits = (embeddings @ anchors.T / 0.06).log_softmax(1)
    anchored = -float(torch.stack([logits[i, own[i]] for i in range(4)]).mean())
    assert float(values["x anchors"]) == pytest.approx(anchored, abs=1e-4)
    expected = np.mean(rows) + 0.5 * float(values["x structure"]) + 0.3 * anchored
    assert float(loss) == pytest.approx(expected, abs=1e-3)
    embeddings = _random(4, 0)
    labels = np.asarray([0, 0, 1, 1])
    apart = Objective("x", np.asarray([0, 1, 2, 3]), labels=labels, contrast=1.0)(embeddings)[0]
    same = Objective("x", np.asarray([0, 1, 0, 3]), labels=labels, contrast=1.0)(embeddings)[0]
    scaled = embeddings @ embeddings.T / 0.06
    rows = [(0, 1, [1, 3]), (1, 0, [0, 2, 3]), (2, 3, [1, 3]), (3, 2, [0, 1, 2])]
    expected = np.mean([float(torch.logsumexp(scaled[i, o], 0) - scaled[i, p]) for i, p, o in rows])
    assert float(same) == pytest.approx(expected, abs=1e-4)
    assert float(apart) > float(same)


def test_the_classes_of_an_axis_lie_far_apart_among_the_anchors(taught: Taught):
    assert ("topic", "soup") in taught.anchor_names and ("negation", "negated") in taught.anchor_names
    topics = [i for i, (axis, _) in enumerate(taught.anchor_names) if axis == "topic"]
    names = [f"{axis}: {name}" for axis, name in taught.anchor_names]
    plain = LetterTeacher().encode(names).astype(np.float32)
    off = ~np.eye(len(topics), dtype=bool)
    assert (taught.anchors[topics] @ taught.anchors[topics].T)[off].max() < (plain[topics] @ plain[topics].T)[off].min()
    assert np.linalg.norm(taught.anchors, axis=1) == pytest.approx(1, abs=1e-3)


def test_embedding_goes_on_where_it_was_stopped(material: Material, tmp_path: Path):
    stopping, calls = LetterTeacher(), []

    def encode(block):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(len(block))
        return LetterTeacher().encode(block)

    stopping.encode = encode
    with pytest.raises(KeyboardInterrupt):
        embed_texts(material.texts, stopping, tmp_path / "embeddings.npy")
    calls.clear()
    found = embed_texts(material.texts, stopping, tmp_path / "embeddings.npy")
    assert calls == [150, 30]
    assert (found == LetterTeacher().encode(material.texts)).all()
    with pytest.raises(UserError, match="other texts"):
        embed_texts([*material.texts[1:], "new"], LetterTeacher(), tmp_path / "embeddings.npy")
    with pytest.raises(UserError, match="teach SOURCES"):
        read_taught(tmp_path)


def test_a_packed_teacher_says_nearly_the_same_as_the_mean_over_tokens_does(tmp_path: Path):
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "ate", "soup"]
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, **{word: i for i, word in enumerate(words, start=1)}}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    network = BertModel(BertConfig(vocab_size=len(words) + 1, max_position_embeddings=16, **shape)).eval()
    (tmp_path / "whole").mkdir()
    network.save_pretrained(tmp_path / "whole")
    tokenizer.save(str(tmp_path / "whole" / "tokenizer.json"))
    pack_teacher(tmp_path / "whole", tmp_path / "packed")
    texts = ["the cat", "a mat and soup and a cat and the mat", "soup", "the cat ate soup on a mat"]
    with torch.inference_mode():
        states = [
            network(input_ids=torch.tensor([tokenizer.encode(text).ids[:8]])).last_hidden_state[0] for text in texts
        ]
    expected = np.stack([torch.nn.functional.normalize(state.mean(0), dim=-1).numpy() for state in states])
    for name, least in (("whole", 0.999), ("packed", 0.998)):
        found = Teacher(tmp_path / name, max_tokens=8).encode(texts).astype(np.float32)
        assert ((found * expected).sum(axis=1) > least).all(), name
    with pytest.raises(UserError, match=r"config\.json"):
        Teacher(tmp_path / "nowhere")


def test_the_quick_evaluation_sees_which_of_two_axes_a_model_follows(tmp_path: Path, wordings: TrainingWordings):
    rows = [
        {"text": f"{thing} {form} {i}", "labels": {"topic": thing, "stype": form}}
        for i in range(6)
        for thing in "ab"
        for form in "xy"
    ]
    (tmp_path / "toy.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    class Reader:
        """Embeds a text by its first word, or by the second where the instruction wants the type and not the topic."""

        def encode(self, pairs):
            vectors = []
            for instruction, text in pairs:
                first_named_is_wanted = not instruction.startswith(("With the", "The "))
                named = [word for word in ("topic", "type") if word in instruction]
                named.sort(key=instruction.index)
                wanted = named[0 if first_named_is_wanted else -1] if named else "topic"
                vectors.append([1, 0] if text.split()[wanted == "type"] in "ax" else [0, 1])
            return np.asarray(vectors, dtype=np.float32)

    scores = QuickEvaluation(wordings, sts=None, label_sets=tmp_path)(Reader())
    assert {"topic free", "sentence_type free", "shuffled"} <= set(scores)
    assert scores["topic plain"] == scores["sentence_type plain"] == scores["wanted"] == 1.0
    assert scores["unwanted"] < 0.8


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


def test_a_start_from_scratch_is_a_checkpoint_that_already_knows_its_words(
    material: Material, taught: Taught, tmp_path: Path
):
    shape = Shape(vocabulary=460, width=32, feed_forward=32, heads=2, layers=1, directions=24)
    make_checkpoint(material.texts[:400], taught.embeddings[:400], LetterTeacher(), tmp_path / "start", shape=shape)
    model = InstructorModel(tmp_path / "start", device="cpu")
    embeddings = model.encode([("", "the soup"), ("", "The soup"), ("", "soup soup"), ("", "xqz")])
    assert embeddings.shape == (4, 64)
    assert np.allclose(embeddings[0], embeddings[1])  # lower-cased
    assert embeddings[0] @ embeddings[2] > embeddings[0] @ embeddings[3]
    tokens = model.encode_tokens([("", "The engine 你")])[0].tokens
    assert "▁engine" in tokens and "<unk>" not in tokens
