"""What the encoder returns, refuses and never changes, beyond parity with the references."""

import copy
import json
import os
import pickle
import shutil
import sqlite3
from collections.abc import Callable
from enum import Enum
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, normalizers
from tokenizers import pre_tokenizers as cuts
from torch.nn import functional as F

import instructor_core.encoder as encoder_module
from instructor_core import EncoderError, InstructorModel, Segment, products, words
from instructor_core.cache import CachedEncoder
from instructor_core.table.cells import well_formed
from instructor_core.train.tokens import PairTokenizer

REVIEW = "Represent the review for classifying its sentiment: "
PAIRS = [
    (REVIEW, "The soup was cold."),
    (REVIEW, "Long " * 120),
    ("", "No instruction at all."),
    ("Topic: ", "Short"),
    ("Topic: ", "Short"),
    ("Represent the question: ", "Who wrote this, and when? " * 20),
    ("Topic: ", ""),
]


@pytest.fixture(scope="module")
def model(checkpoint_b: Path) -> InstructorModel:
    return InstructorModel(checkpoint_b)


class TestCall:
    def test_an_embedding_is_the_projected_mean_of_text_and_end_or_all_is_of_unit_length(
        self, model: InstructorModel
    ) -> None:
        embeddings, tokens, instruction_tokens = model(PAIRS, normalize=False)
        counts = model.count_tokens([instruction.strip() for instruction, _ in PAIRS])
        assert [len(rows) for rows in instruction_tokens] == counts
        joined = model.count_tokens([instruction + text for instruction, text in PAIRS])
        assert [len(rows) for rows in tokens] == [n - m + 1 for n, m in zip(joined, counts, strict=True)]
        means = torch.stack([rows.mean(dim=0) for rows in tokens])
        torch.testing.assert_close(model.dense(means).detach(), embeddings, atol=1e-5, rtol=0)
        embeddings, tokens, instruction_tokens = model(PAIRS, normalize=True)
        np.testing.assert_allclose(embeddings.numpy(), model.encode(PAIRS), atol=1e-5)
        for rows in [embeddings, *tokens, *[rows for rows in instruction_tokens if len(rows)]]:
            torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)), atol=1e-5, rtol=0)


class TestEncode:
    def test_batches_windows_order_and_padding_change_nothing(
        self, model: InstructorModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert model.encode([]).shape == model([])[0].shape == (0, 48) and model.encode_tokens([]) == []
        pairs = PAIRS + [("Topic: ", "word " * n) for n in (9, 3, 8, 8, 1, 20, 3, 7)]
        alone = np.concatenate([model.encode([pair]) for pair in pairs])
        deep = [model.encode_tokens([pair], layers=True, attentions=True)[0] for pair in pairs]
        np.testing.assert_allclose(model.encode(pairs[::-1])[::-1], alone, atol=1e-5)
        for budget, call, window in ((1, 8, 4096), (64, 0, 4096), (1024, 10, 2), (100_000, 10_000, 4096)):
            monkeypatch.setitem(encoder_module._BATCH_TOKENS, "cpu", (budget, call))
            monkeypatch.setattr(encoder_module, "_WINDOW", window)
            np.testing.assert_allclose(model.encode(pairs), alone, atol=1e-5)
            np.testing.assert_allclose(model(pairs)[0].numpy(), alone, atol=1e-5)
            for together, expected in zip(model.encode_tokens(pairs, layers=True, attentions=True), deep, strict=True):
                np.testing.assert_allclose(together.hidden, expected.hidden, atol=1e-4)
                np.testing.assert_allclose(together.layers, expected.layers, atol=1e-4)
                np.testing.assert_allclose(together.attentions, expected.attentions, atol=1e-5)

    def test_few_pairs_of_very_different_lengths_are_hardly_padded(self, model: InstructorModel) -> None:
        positions: list[int] = []
        layer = model.transformer.encoder.embed_tokens
        hook = layer.register_forward_pre_hook(lambda _, arguments: positions.append(arguments[0].numel()))
        model.encode(PAIRS)
        hook.remove()
        n_tokens = sum(encoding.n_encoded for encoding in model.encode_tokens(PAIRS))
        assert n_tokens <= sum(positions) < 1.05 * n_tokens

    def test_stopping_the_iteration_stops_the_work(
        self, model: InstructorModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(encoder_module._BATCH_TOKENS, "cpu", (1, 8))
        calls: list[object] = []
        run = model._run
        monkeypatch.setattr(model, "_run", lambda *arguments: calls.append(arguments) or run(*arguments))
        batches = model.encode_batches(PAIRS)
        next(batches)
        batches.close()
        assert len(calls) == 1

    def test_gradients_flow_in_training_mode_alone_which_a_merged_model_refuses(
        self, checkpoint_a: Path, model: InstructorModel
    ) -> None:
        trainable = InstructorModel(checkpoint_a, trainable=True)
        assert not trainable(PAIRS[:2])[0].requires_grad
        trainable.train()
        trainable(PAIRS[:2], normalize=False)[0].sum().backward()
        assert trainable.dense.weight.grad is not None
        query = trainable.transformer.encoder.block[0].layer[0].SelfAttention.q.weight
        assert query.grad is not None and query.grad.abs().sum() > 0
        with pytest.raises(EncoderError, match="trainable=True"):
            model.train()


class TestTokens:
    def test_vectors_are_those_of_the_call_and_of_encode_and_the_last_layer_reads_out_to_them(
        self, model: InstructorModel
    ) -> None:
        called = zip(*model(PAIRS, normalize=False)[1:], model.encode(PAIRS, normalize=False), strict=True)
        for encoding, (text, instruction, embedding) in zip(
            model.encode_tokens(PAIRS, layers=True), called, strict=True
        ):
            np.testing.assert_allclose(encoding.hidden[encoding.pooling_mask], text.numpy(), atol=1e-5)
            np.testing.assert_allclose(encoding.hidden[~encoding.pooling_mask], instruction.numpy(), atol=1e-5)
            np.testing.assert_allclose(encoding.embedding, embedding, atol=1e-5)
            np.testing.assert_allclose(model.read_out(encoding.layers[-1]), encoding.projected, atol=1e-4)

    def test_segments_and_spans_follow_the_characters(self, model: InstructorModel) -> None:
        (encoding,) = model.encode_tokens([("Topic of it: ", "  Cold soup")])
        assert encoding.joined == "Topic of it: Cold soup"
        pieces = [encoding.joined[start:end] for start, end in encoding.spans[:-1]]
        assert pieces == ["Topic", "of", "it", ":", "Cold", "soup"]
        assert encoding.segments == (Segment.INSTRUCTION,) * 4 + (Segment.TEXT,) * 2 + (Segment.END,)
        assert encoding.pooling_mask.tolist() == [False] * 4 + [True] * 3
        assert (encoding.tokens[-1], encoding.spans[-1].tolist()) == ("</s>", [-1, -1])
        assert (encoding.n_instruction_tokens, encoding.n_cut) == (4, 0)

    def test_a_piece_over_the_joint_is_straddling_and_masked_by_count(self, model: InstructorModel) -> None:
        (encoding,) = model.encode_tokens([("Represent the play", "ing field")])
        assert encoding.segments.count(Segment.STRADDLING) == 1
        place = encoding.segments.index(Segment.STRADDLING)
        start, end = encoding.spans[place]
        assert start < len("Represent the play") < end
        assert not encoding.pooling_mask[place]

    def test_what_the_window_cuts_is_listed_and_not_encoded(self, model: InstructorModel) -> None:
        words = " ".join(f"word{i % 7}" for i in range(600))
        (encoding,) = model.encode_tokens([("Topic: ", words)])
        assert encoding.n_encoded == len(encoding.hidden) == 512
        assert encoding.n_cut == model.count_tokens(["Topic: " + words])[0] - 511
        assert encoding.segments[511] is Segment.END
        assert set(encoding.segments[512:]) == {Segment.CUT}
        starts = [start for start, _ in encoding.spans if start >= 0]
        assert starts == sorted(starts)

    @pytest.mark.parametrize("special", ["</s>", "<pad>", "<extra_id_0>", "<unk></s>", "x</s>y", " </s>"])
    def test_special_tokens_that_are_typed_are_plain_characters(self, model: InstructorModel, special: str) -> None:
        eos, pad = model.tokenizer.eos_token_id, model.tokenizer.pad_token_id
        (encoding,) = model.encode_tokens([("Topic: ", f"before {special} after")])
        ids = encoding.token_ids.tolist()
        assert ids.count(eos) == 1 and ids[-1] == eos and pad not in ids
        if "unk" not in special:
            covered = {place for start, end in encoding.spans[:-1] for place in range(start, end)}
            written = {place for place, char in enumerate(encoding.joined) if char != " "}
            assert written <= covered
        assert encoding.tokens[-2].strip("▁") == "after"
        (encoding,) = model.encode_tokens([(f"Topic {special} of: ", "Soup")])
        assert encoding.n_instruction_tokens == encoding.segments.count(Segment.INSTRUCTION)
        assert encoding.pooling_mask.sum() == 2  # soup and </s>

    def test_layers_and_attentions_are_those_of_eager_transformers(
        self, model: InstructorModel, checkpoint_b: Path
    ) -> None:
        load = encoder_module.T5EncoderModel.from_pretrained
        eager = load(checkpoint_b, attn_implementation="eager", dtype=torch.float32)
        (encoding,) = model.encode_tokens([PAIRS[0]], layers=True, attentions=True)
        ids = torch.from_numpy(encoding.token_ids)[None]
        with torch.inference_mode():
            output = eager(ids, output_attentions=True, output_hidden_states=True)
        assert encoding.layers.shape == (model.n_layers + 1, encoding.n_encoded, 96)
        np.testing.assert_allclose(encoding.attentions, torch.cat(output.attentions).numpy(), atol=1e-5)
        np.testing.assert_allclose(encoding.layers[:-1], torch.cat(output.hidden_states[:-1]).numpy(), atol=1e-4)
        np.testing.assert_allclose(encoding.hidden, output.last_hidden_state[0].numpy(), atol=1e-4)


FRAME = pd.DataFrame({"text": ["Soup", "Rain again"], "instruction": ["Topic: ", REVIEW]})
TWO = [("Topic: ", "Soup"), (REVIEW, "Rain again")]
DATABASE = sqlite3.connect(":memory:")
DATABASE.row_factory = sqlite3.Row
ORDERED = FRAME[["instruction", "text"]]
CONTAINERS: dict[str, Callable[[], object]] = {
    "lists": lambda: [list(pair) for pair in TWO],
    "array of str": lambda: np.array(TWO),
    "values of a frame": lambda: ORDERED.values,
    "itertuples by name": FRAME.itertuples,
    "generator": lambda: (pair for pair in TWO),
    "zip": lambda: zip(*zip(*TWO, strict=True), strict=True),
    "dict views": lambda: dict(TWO).items(),
    "rows of a database": lambda: DATABASE.execute("VALUES ('Topic: ', 'Soup'), (?, 'Rain again')", [REVIEW]),
    "records": lambda: [SimpleNamespace(text=text, instruction=instruction) for instruction, text in TWO],
}


# How T5's own tokenizers cut, as the hub has them and as they are converted today; and one whose pieces hold spaces.
CUTS: dict[str, tuple[bool, Any, Any]] = {
    "mini's": (True, None, None),
    "words": (True, normalizers.NFKC(), cuts.Sequence([cuts.WhitespaceSplit(), cuts.Metaspace()])),
    "spaces": (False, normalizers.NFKC(), cuts.Metaspace()),
    "whole": (False, normalizers.NFKC(), cuts.Metaspace(split=False)),
}


class TestKnownWords:
    @pytest.mark.parametrize("cut", CUTS)
    def test_what_has_been_seen_gives_the_ids_of_whole_strings(
        self, cut: str, checkpoint_b: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        by_word, normalizer, pre_tokenizer = CUTS[cut]
        folder = shutil.copytree(checkpoint_b, tmp_path / "copy")
        if pre_tokenizer:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
            tokenizer.save(str(folder / "tokenizer.json"))
        read = InstructorModel(folder)._tokenizer
        assert isinstance(read._fast, words.Words) is by_word
        rng = np.random.default_rng(0)
        # Spaces of all kinds, marks that combine with one, and what normalising turns into one.
        odd = [*"a b c  Z9.,-_'é½²ßΣς你ก  \t\n\x1c\x0b\u00a0\u3000\u2028\u00ad", "\r\n"]
        odd += ["\u0301", "\u200d", "\u0600", "\u00b4", "\u00a8", "\u3099", "▁", "</s>", "<pad>", "<unk>", "the", "ing"]
        strings = ["".join(rng.choice(odd, size=n)) for n in rng.integers(0, 12, size=600)]
        expected = [[row[0] for row in read.rows(string)] for string in strings]
        for known in (10, 10**6, 10**6):  # forgotten at once, new, seen
            monkeypatch.setattr(words, "_KNOWN_CHARACTERS", known)
            for some in (slice(0, 300), slice(0, 600)):
                ids, lengths = read.ids(strings[some])
                found = np.split(ids, np.cumsum(lengths)[:-1])
                assert [row.tolist() for row in found] == expected[some]


class TestPairs:
    @pytest.mark.parametrize("container", CONTAINERS)
    def test_every_ordered_iterable_of_pairs_gives_the_same_vectors(
        self, model: InstructorModel, container: str
    ) -> None:
        make: Callable[[], Any] = CONTAINERS[container]
        expected = model.encode(TWO)
        np.testing.assert_array_equal(model.encode(make()), expected)
        np.testing.assert_array_equal(model(make())[0].numpy(), expected)
        np.testing.assert_array_equal(CachedEncoder(model).encode(make()), model.encode(TWO, normalize=False))
        assert [(row.instruction, row.text) for row in model.encode_tokens(make())] == TWO
        out = np.empty_like(expected)
        for positions, rows in model.encode_batches(make()):
            out[positions] = rows
        np.testing.assert_array_equal(out, expected)

    @pytest.mark.parametrize(
        ("pairs", "place"),
        [
            ("a string", "got str 'a string'"),
            (None, "got NoneType None"),
            ({"Topic: ": "Soup"}, "got dict"),
            (set(TWO), "got set"),
            (ORDERED, "got DataFrame"),
            (("Topic: ", "Soup"), "pair 0 is str 'Topic: '"),
            ([*TWO, b"ab"], "pair 2 is bytes"),
            ([*TWO, ["Topic: ", "Soup", 0]], "pair 2 is list"),
            (ORDERED.rename(columns={"text": "body"}).itertuples(), "pair 0 is Pandas"),
            ([{"instruction": "Topic: ", "text": "Soup"}], "pair 0 is dict"),
            (DATABASE.execute("SELECT 'Soup' AS text, 'Topic: ' AS instruction"), "pair 0 is Row"),
            ([frozenset({"Topic: ", "Soup"})], "pair 0 is frozenset"),
            ([5], "pair 0 is int 5"),
            ([*TWO, (REVIEW * 9, None)], "pair 2 is tuple .*None"),
            (FRAME.iterrows(), "pair 0 is tuple"),
        ],
    )
    def test_what_would_mean_something_else_is_refused_by_place(
        self, model: InstructorModel, pairs: Any, place: str
    ) -> None:
        with pytest.raises(EncoderError, match=rf"two strings each, \[\(instruction, text\), ...\]: {place}.* Write "):
            model.encode(pairs)

    def test_a_wrong_pair_far_behind_is_found_before_any_is_encoded(
        self, model: InstructorModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(model, "_run", None)
        with pytest.raises(EncoderError, match=r"pair 5000 is tuple \('a', None\)"):
            model.encode([TWO[0]] * 5000 + [("a", None)])  # type: ignore[list-item]

    def test_subclasses_of_str_count_by_their_characters(self, model: InstructorModel) -> None:
        class Task(str, Enum):  # noqa: UP042 (whose str() is not its characters)
            TOPIC = "Topic: "

        np.testing.assert_array_equal(model.encode([(Task.TOPIC, np.str_("Soup"))]), model.encode([TWO[0]]))

    def test_half_a_surrogate_pair_counts_as_the_replacement_character(self, model: InstructorModel) -> None:
        broken, whole = [("Topic\udfff: ", "caf\ud800e"), ("", "\ud83d\ude00")], [("Topic�: ", "caf�e"), ("", "😀")]
        np.testing.assert_array_equal(model.encode(broken), model.encode(whole))
        assert [(row.instruction, row.text) for row in model.encode_tokens(broken)] == whole
        read = PairTokenizer(model)  # training
        np.testing.assert_array_equal(read(broken).ids, read(whole).ids)
        assert well_formed(broken[0][1]) == whole[0][1]  # the page
        assert model.count_tokens(["\ud800"]) == model.count_tokens(["�"])

    def test_argument_names_of_the_reference_are_explained(self, model: InstructorModel) -> None:
        for name in ("batch_size", "normalize_embeddings", "device", "prompt", "colour"):
            with pytest.raises(TypeError, match=f"encode.. has no argument '{name}': .* batches are made by length"):
                model.encode(TWO, **{name: 1})  # type: ignore[arg-type]


class TestCopies:
    @pytest.mark.parametrize("trainable", [True, False])
    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_a_copy_has_the_weights_as_they_are_and_the_settings_and_needs_no_folder(
        self, checkpoint_b: Path, tmp_path: Path, trainable: bool, dtype: str
    ) -> None:
        folder = shutil.copytree(checkpoint_b, tmp_path / "copy")
        model = InstructorModel(folder, "cpu", dtype, trainable=trainable)
        model.max_seq_length = 7
        before = model.encode(PAIRS[2:])
        with torch.no_grad():
            model.dense.weight.add_(torch.randn(48, 96))
        after = model.encode(PAIRS[2:])
        assert np.abs(after - before).max() > 1e-3
        pickled, copied = pickle.dumps(model), copy.deepcopy(model)
        shutil.rmtree(folder)
        for other in (pickle.loads(pickled), copied):
            np.testing.assert_array_equal(other.encode(PAIRS[2:]), after)
            assert (other.device, other.dtype, other.trainable) == (model.device, model.dtype, trainable)
            assert (other.name, other.max_seq_length) == (model.name, 7)
            assert other.dense.weight.data_ptr() != model.dense.weight.data_ptr()
            if trainable:
                other.train()(PAIRS[2:4])[0].sum().backward()
                assert other.backbone.weights(0)[1].grad is not None
                assert all(weight.grad is None for weight in model.parameters())

    def test_a_worker_process_gets_the_model_and_the_cached_encoder(self, model: InstructorModel) -> None:
        with get_context("spawn").Pool(1) as pool:
            for encoder in (model, CachedEncoder(model, max_pairs=5)):
                np.testing.assert_allclose(pool.apply(encoder.encode, (TWO,)), encoder.encode(TWO), atol=1e-6)


class TestOwnProducts:
    def test_packed_and_plain_products_agree_and_a_failure_falls_back(
        self, checkpoint_a: Path, checkpoint_b: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("another signature")

        for folder in (checkpoint_a, checkpoint_b):
            vectors = {}
            for pays in (True, False):
                monkeypatch.setattr(products, "packing_pays", lambda *_, pays=pays: pays)
                model = InstructorModel(folder, "cpu")
                assert model.transformer.encoder.block[0].layer[0].SelfAttention.o.is_packed is pays
                vectors[pays] = model.encode(PAIRS)
            np.testing.assert_allclose(vectors[True], vectors[False], atol=1e-6)
            monkeypatch.undo()
            products.packing_pays.cache_clear()
            with monkeypatch.context() as patch:
                patch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", broken)
                np.testing.assert_array_equal(InstructorModel(folder, "cpu").encode(PAIRS), vectors[False])
            products.packing_pays.cache_clear()

    @pytest.mark.parametrize("at_a_time", [1, 500, 1 << 18])  # one head, two, all three
    def test_attention_in_products_is_attention(self, at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(products, "_SCORES", at_a_time)
        query, key, value = torch.randn(3, 2, 3, 11, 8, generator=torch.Generator().manual_seed(0))
        for bias in (torch.randn(1, 3, 11, 11), torch.randn(2, 3, 11, 11)):
            bias[-1, :, :, 9:] = torch.finfo(bias.dtype).min
            expected = F.scaled_dot_product_attention(query, key, value, bias, scale=1.0)
            torch.testing.assert_close(products.attend(query, key, value, bias), expected)

    @pytest.mark.parametrize("pays", [True, False])
    def test_attention_in_products_is_taken_where_it_is_faster(
        self, pays: bool, checkpoint_a: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(products, "_is_faster", lambda *_: pays)
        products.splitting_pays.cache_clear()
        model = InstructorModel(checkpoint_a, "cpu", "bfloat16")
        products.splitting_pays.cache_clear()
        calls = []
        fused = F.scaled_dot_product_attention
        monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *a, **k: calls.append(a) or fused(*a, **k))
        vectors = model.encode(PAIRS)
        assert bool(calls) is not pays
        expected = InstructorModel(checkpoint_a, "cpu").encode(PAIRS)
        assert (vectors * expected).sum(axis=1).min() > 0.999

    def test_a_transformers_with_other_names_is_reported(
        self, checkpoint_a: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr("transformers.models.t5.modeling_t5.T5Attention._relative_position_bucket")
        with pytest.raises(EncoderError, match=r"cannot be loaded by transformers .*_bucket.* install a version"):
            InstructorModel(checkpoint_a)


class TestRefusals:
    def test_an_instruction_that_fills_the_window_is_refused_with_both_numbers(self, model: InstructorModel) -> None:
        instruction = "word " * 511
        with pytest.raises(EncoderError, match=r"511 tokens.*512"):
            model.encode([(instruction, "text")])
        assert np.isfinite(model.encode([("word " * 510, "text")])).all()

    @pytest.mark.parametrize(
        ("file", "change", "message"),
        [
            ("modules.json", None, "no modules.json"),
            ("sentence_bert_config.json", None, "no sentence_bert_config.json"),
            ("pytorch_model.bin", None, "pytorch_model"),
            ("2_Dense/pytorch_model.bin", None, "2_Dense has no pytorch_model.bin"),
            ("tokenizer.json", None, "no tokenizer.json"),
            ("2_Dense/config.json", {"bias": True}, "bias=True"),
            ("2_Dense/config.json", {"out_features": 7}, r"expected \[7, 64\]"),
            ("1_Pooling/config.json", {"pooling_mode_cls_token": True}, "cls"),
            ("config.json", {"num_layers": 3}, "fit its configuration: missing"),
            ("config.json", {"d_model": 32}, "T5 encoder"),
        ],
    )
    def test_a_missing_file_and_another_architecture_are_named(
        self, checkpoint_a: Path, tmp_path: Path, file: str, change: dict[str, object] | None, message: str
    ) -> None:
        folder = shutil.copytree(checkpoint_a, tmp_path / "copy")
        path = folder / file
        if change is None:
            path.unlink()
        else:
            path.write_text(json.dumps(json.loads(path.read_text()) | change))
        with pytest.raises(EncoderError, match=message):
            InstructorModel(folder)

    def test_a_pickle_that_runs_code_is_not_run(self, checkpoint_a: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(checkpoint_a, tmp_path / "copy")
        marker = tmp_path / "executed"

        class Payload:
            def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
                return os.mkdir, (str(marker),)

        torch.save({"linear.weight": Payload()}, folder / "2_Dense" / "pytorch_model.bin")
        with pytest.raises(EncoderError, match="2_Dense"):
            InstructorModel(folder)
        assert not marker.exists()

    def test_an_unknown_dtype_and_a_name_outside_the_grammar_are_refused(self, checkpoint_a: Path) -> None:
        with pytest.raises(EncoderError, match="float16"):
            InstructorModel(checkpoint_a, dtype="float16")
        for name in ("no/such/folder", "spaces in/name", "justaname", "../up", "a/../b", ""):
            with pytest.raises(EncoderError, match=f"^No checkpoint '{name}': there is no such folder.*owner/name"):
                InstructorModel(name)
