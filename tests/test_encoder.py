"""What the encoder returns, refuses and never changes, beyond parity with the references."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import instructor_core.encoder as encoder_module
from instructor_core import EncoderError, InstructorModel, Segment

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
    def test_returns_texts_tokens_and_instruction_tokens(self, model: InstructorModel) -> None:
        embeddings, tokens, instruction_tokens = model(PAIRS, normalize=False)
        assert embeddings.shape == (len(PAIRS), 48)
        assert all(rows.shape[1] == 96 for rows in tokens + instruction_tokens)
        counts = model.count_tokens([instruction.strip() for instruction, _ in PAIRS])
        assert [len(rows) for rows in instruction_tokens] == counts
        joined = model.count_tokens([instruction + text for instruction, text in PAIRS])
        assert [len(rows) for rows in tokens] == [n - m + 1 for n, m in zip(joined, counts, strict=True)]

    def test_an_embedding_is_the_projected_mean_of_its_text_tokens(self, model: InstructorModel) -> None:
        embeddings, tokens, _ = model(PAIRS, normalize=False)
        means = torch.stack([rows.mean(dim=0) for rows in tokens])
        torch.testing.assert_close(model.dense(means).detach(), embeddings, atol=1e-5, rtol=0)

    def test_normalize_gives_unit_length_everywhere(self, model: InstructorModel) -> None:
        embeddings, tokens, instruction_tokens = model(PAIRS, normalize=True)
        for rows in [embeddings, *tokens, *[rows for rows in instruction_tokens if len(rows)]]:
            torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)), atol=1e-5, rtol=0)

    def test_the_call_agrees_with_encode(self, model: InstructorModel) -> None:
        np.testing.assert_allclose(model(PAIRS)[0].numpy(), model.encode(PAIRS), atol=1e-5)

    def test_no_pairs_give_empty_results(self, model: InstructorModel) -> None:
        embeddings, tokens, instruction_tokens = model([])
        assert embeddings.shape == (0, 48)
        assert tokens == instruction_tokens == []


class TestEncode:
    def test_no_pairs_give_an_empty_array_of_the_right_shape(self, model: InstructorModel) -> None:
        assert model.encode([]).shape == (0, 48)
        assert model.encode([]).dtype == np.float32
        assert model.encode_tokens([]) == []

    def test_batching_order_and_padding_change_nothing(
        self, model: InstructorModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one_by_one = np.concatenate([model.encode([pair]) for pair in PAIRS])
        np.testing.assert_allclose(model.encode(PAIRS), one_by_one, atol=1e-5)
        np.testing.assert_allclose(model.encode(PAIRS[::-1])[::-1], one_by_one, atol=1e-5)
        for budget in (1, 64, 100_000):
            monkeypatch.setitem(encoder_module._BATCH_TOKENS, "cpu", budget)
            np.testing.assert_allclose(model.encode(PAIRS), one_by_one, atol=1e-5)

    @pytest.mark.parametrize("call_tokens", [0, 10, 10_000])
    def test_sequences_that_share_a_call_of_attention_do_not_see_each_other_or_padding(
        self, model: InstructorModel, monkeypatch: pytest.MonkeyPatch, call_tokens: int
    ) -> None:
        pairs = [("Topic: ", "word " * n) for n in (9, 3, 8, 8, 1, 20, 3, 7)]
        alone = np.concatenate([model.encode([pair]) for pair in pairs])
        deep = [model.encode_tokens([pair], layers=True, attentions=True)[0] for pair in pairs]
        monkeypatch.setitem(encoder_module._CALL_TOKENS, "cpu", call_tokens)
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

    def test_windows_of_pairs_keep_their_places(self, model: InstructorModel, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = model.encode(PAIRS)
        monkeypatch.setattr(encoder_module, "_WINDOW", 2)
        np.testing.assert_allclose(model.encode(PAIRS), whole, atol=1e-5)

    def test_unnormalised_embeddings_point_the_same_way(self, model: InstructorModel) -> None:
        raw, unit = model.encode(PAIRS, normalize=False), model.encode(PAIRS)
        lengths = np.linalg.norm(raw, axis=1, keepdims=True)
        assert np.abs(lengths - 1).min() > 1e-3
        np.testing.assert_allclose(raw / lengths, unit, atol=1e-5)

    def test_stopping_the_iteration_stops_the_work(
        self, model: InstructorModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(encoder_module._BATCH_TOKENS, "cpu", 1)
        calls = 0
        embed = model._embed

        def counted(*arguments: object) -> object:
            nonlocal calls
            calls += 1
            return embed(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(model, "_embed", counted)
        batches = model.encode_batches(PAIRS)
        next(batches)
        batches.close()
        assert calls == 1

    def test_gradients_flow_in_training_mode_only(self, checkpoint_a: Path) -> None:
        trainable = InstructorModel(checkpoint_a, trainable=True)
        assert not trainable(PAIRS[:2])[0].requires_grad
        trainable.train()
        trainable(PAIRS[:2], normalize=False)[0].sum().backward()
        assert trainable.dense.weight.grad is not None
        query = trainable.transformer.encoder.block[0].layer[0].SelfAttention.q.weight
        assert query.grad is not None and query.grad.abs().sum() > 0

    def test_a_model_packed_for_inference_refuses_to_train(self, model: InstructorModel) -> None:
        with pytest.raises(EncoderError, match="trainable=True"):
            model.train()


class TestTokens:
    def test_the_mean_of_the_pooled_projections_is_the_embedding(self, model: InstructorModel) -> None:
        raw = model.encode(PAIRS, normalize=False)
        for encoding, embedding in zip(model.encode_tokens(PAIRS), raw, strict=True):
            np.testing.assert_allclose(encoding.embedding, embedding, atol=1e-5)

    def test_hidden_states_are_those_of_the_call(self, model: InstructorModel) -> None:
        _, tokens, instruction_tokens = model(PAIRS, normalize=False)
        for encoding, text, instruction in zip(model.encode_tokens(PAIRS), tokens, instruction_tokens, strict=True):
            np.testing.assert_allclose(encoding.hidden[encoding.pooling_mask], text.numpy(), atol=1e-5)
            np.testing.assert_allclose(encoding.hidden[~encoding.pooling_mask], instruction.numpy(), atol=1e-5)

    def test_segments_and_spans_follow_the_characters(self, model: InstructorModel) -> None:
        (encoding,) = model.encode_tokens([("Topic of it: ", "  Cold soup")])
        assert encoding.joined == "Topic of it: Cold soup"
        pieces = [encoding.joined[start:end] for start, end in encoding.spans[:-1]]
        assert pieces == ["Topic", "of", "it", ":", "Cold", "soup"]
        assert encoding.segments == (Segment.INSTRUCTION,) * 4 + (Segment.TEXT,) * 2 + (Segment.END,)
        assert encoding.pooling_mask.tolist() == [False] * 4 + [True] * 3
        assert encoding.tokens[-1] == "</s>"
        assert encoding.spans[-1].tolist() == [-1, -1]
        assert encoding.n_instruction_tokens == 4
        assert encoding.n_cut == 0

    def test_a_piece_over_the_joint_is_straddling_and_masked_by_count(self, model: InstructorModel) -> None:
        (encoding,) = model.encode_tokens([("Represent the play", "ing field")])
        assert encoding.segments.count(Segment.STRADDLING) == 1
        place = encoding.segments.index(Segment.STRADDLING)
        start, end = encoding.spans[place]
        assert start < len("Represent the play") < end
        assert not encoding.pooling_mask[place]

    def test_what_the_window_cuts_is_listed_and_not_encoded(self, checkpoint_a: Path) -> None:
        model = InstructorModel(checkpoint_a)
        words = " ".join(f"word{i % 7}" for i in range(600))
        (encoding,) = model.encode_tokens([("Topic: ", words)])
        assert encoding.n_encoded == 512
        assert encoding.n_cut == model.count_tokens(["Topic: " + words])[0] - 511
        assert encoding.segments[511] is Segment.END
        assert set(encoding.segments[512:]) == {Segment.CUT}
        assert encoding.hidden.shape == (512, 64)
        starts = [start for start, _ in encoding.spans if start >= 0]
        assert starts == sorted(starts)

    @pytest.mark.parametrize("special", ["</s>", "<pad>", "<extra_id_0>", "<unk></s>", "x</s>y", " </s>"])
    def test_special_tokens_in_a_text_are_plain_characters(self, model: InstructorModel, special: str) -> None:
        eos, pad = model.tokenizer.eos_token_id, model.tokenizer.pad_token_id
        text = f"before {special} after"
        (encoding,) = model.encode_tokens([("Topic: ", text)])
        ids = encoding.token_ids.tolist()
        assert ids.count(eos) == 1 and ids[-1] == eos
        assert pad not in ids
        if "unk" not in special:
            covered = {place for start, end in encoding.spans[:-1] for place in range(start, end)}
            written = {place for place, char in enumerate(encoding.joined) if char != " "}
            assert written <= covered
        assert encoding.tokens[-2].strip("▁") == "after"

    def test_a_special_token_in_an_instruction_counts_its_characters(self, model: InstructorModel) -> None:
        (encoding,) = model.encode_tokens([("Topic </s> of: ", "Soup")])
        assert encoding.n_instruction_tokens == encoding.segments.count(Segment.INSTRUCTION)
        assert encoding.pooling_mask.sum() == 2  # soup and </s>

    def test_the_embedding_row_does_not_know_the_instruction(self, model: InstructorModel) -> None:
        a, b = model.encode_tokens([("Topic: ", "Cold soup"), (REVIEW, "Cold soup")], layers=True)
        assert a.layers is not None and b.layers is not None
        assert a.layers.shape == (len(model.backbone.t5.blocks) + 1, a.n_encoded, 96)
        np.testing.assert_array_equal(a.layers[0][a.pooling_mask], b.layers[0][b.pooling_mask])
        assert np.abs(a.layers[1][a.pooling_mask] - b.layers[1][b.pooling_mask]).max() > 1e-3

    def test_the_last_layer_reads_out_to_the_projection(self, model: InstructorModel) -> None:
        for encoding in model.encode_tokens(PAIRS, layers=True):
            assert encoding.layers is not None
            np.testing.assert_allclose(model.read_out(encoding.layers[-1]), encoding.projected, atol=1e-4)

    def test_attentions_are_those_of_eager_transformers(self, checkpoint_b: Path) -> None:
        model = InstructorModel(checkpoint_b)
        eager = encoder_module.T5EncoderModel.from_pretrained(
            checkpoint_b, attn_implementation="eager", dtype=torch.float32
        )
        (encoding,) = model.encode_tokens([PAIRS[0]], attentions=True)
        with torch.inference_mode():
            output = eager(torch.from_numpy(encoding.token_ids)[None], output_attentions=True)
        expected = torch.cat(output.attentions).numpy()
        assert encoding.attentions is not None
        np.testing.assert_allclose(encoding.attentions, expected, atol=1e-5)


class TestRefusals:
    @pytest.mark.parametrize(
        "pairs",
        ["a string", ["ab"], [("one",)], [("a", "b", "c")], [("a", 1)], [(None, "b")], [("a", "b"), "cd"]],
    )
    def test_anything_but_pairs_of_strings_is_refused(self, model: InstructorModel, pairs: object) -> None:
        with pytest.raises(EncoderError, match=r"\(instruction, text\)"):
            model.encode(pairs)  # type: ignore[arg-type]

    def test_an_instruction_that_fills_the_window_is_refused_with_both_numbers(self, model: InstructorModel) -> None:
        instruction = "word " * 511
        with pytest.raises(EncoderError, match=r"511 tokens.*512"):
            model.encode([(instruction, "text")])
        assert np.isfinite(model.encode([("word " * 510, "text")])).all()

    @pytest.mark.parametrize(
        "missing",
        ["modules.json", "1_Pooling/config.json", "2_Dense/config.json", "sentence_bert_config.json"],
    )
    def test_a_missing_file_is_named(self, checkpoint_a: Path, tmp_path: Path, missing: str) -> None:
        folder = shutil.copytree(checkpoint_a, tmp_path / "copy")
        (folder / missing).unlink()
        with pytest.raises(EncoderError, match=Path(missing).name):
            InstructorModel(folder)

    @pytest.mark.parametrize("missing", ["pytorch_model.bin", "2_Dense/pytorch_model.bin", "tokenizer.json"])
    def test_missing_weights_or_tokenizer_are_named(self, checkpoint_a: Path, tmp_path: Path, missing: str) -> None:
        folder = shutil.copytree(checkpoint_a, tmp_path / "copy")
        (folder / missing).unlink()
        with pytest.raises(EncoderError, match=Path(missing).stem):
            InstructorModel(folder)

    @pytest.mark.parametrize(
        ("file", "change", "message"),
        [
            ("2_Dense/config.json", {"bias": True}, "bias=True"),
            ("2_Dense/config.json", {"activation_function": "torch.nn.modules.activation.Tanh"}, "Tanh"),
            ("1_Pooling/config.json", {"pooling_mode_cls_token": True}, "cls_token"),
            ("1_Pooling/config.json", {"pooling_mode_mean_tokens": False}, "mean"),
            ("2_Dense/config.json", {"out_features": 7}, r"\(7, "),
        ],
    )
    def test_another_architecture_is_refused(
        self, checkpoint_a: Path, tmp_path: Path, file: str, change: dict[str, object], message: str
    ) -> None:
        folder = shutil.copytree(checkpoint_a, tmp_path / "copy")
        config = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(config | change))
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

    def test_an_unknown_dtype_is_refused(self, checkpoint_a: Path) -> None:
        with pytest.raises(EncoderError, match="float16"):
            InstructorModel(checkpoint_a, dtype="float16")

    @pytest.mark.parametrize("name", ["no/such/folder", "spaces in/name", "justaname", "../up", "a/../b", ""])
    def test_a_name_outside_the_grammar_is_refused(self, name: str) -> None:
        with pytest.raises(EncoderError, match="owner/name"):
            InstructorModel(name)


def load_in_subprocess(name: str, endpoint: str, cache: Path) -> tuple[str, float]:
    """Standard output of a fresh process that loads `name` with the hub at `endpoint`, and the seconds it took."""
    code = textwrap.dedent(
        f"""
        import time
        from instructor_core import EncoderError, InstructorModel
        start = time.monotonic()
        try:
            InstructorModel({name!r})
        except EncoderError as error:
            print(error)
        print(time.monotonic() - start)
        """
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": endpoint, "HF_HOME": str(cache)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    *message, seconds = result.stdout.strip().splitlines()
    return "\n".join(message), float(seconds)


class TestHub:
    def test_a_hub_that_refuses_connections_is_reported_within_seconds(self, tmp_path: Path) -> None:
        message, seconds = load_in_subprocess("hkunlp/instructor-base", "http://127.0.0.1:9", tmp_path)
        assert "hkunlp/instructor-base" in message and "did not answer" in message
        assert seconds < 5

    def test_a_hub_that_never_answers_is_reported_within_seconds(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
            message, seconds = load_in_subprocess("hkunlp/instructor-base", endpoint, tmp_path)
        assert "did not answer" in message
        assert seconds < 5


def test_the_file_works_when_copied_alone(checkpoint_a: Path, tmp_path: Path) -> None:
    shutil.copyfile(encoder_module.__file__, tmp_path / "instructor.py")
    code = textwrap.dedent(
        f"""
        import sys
        from instructor import InstructorModel
        model = InstructorModel({str(checkpoint_a)!r})
        print(model.encode([("Topic: ", "Soup"), ("", "")]).shape)
        others = ("instructor_core", "sentence_transformers", "sklearn", "gradio")
        print([name for name in others if name in sys.modules])
        """
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"],
        capture_output=True, text=True, timeout=120, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert result.stdout.split("\n")[:2] == ["(2, 64)", "[]"]


def test_the_bundled_checkpoint_loads_by_its_name(mini: InstructorModel) -> None:
    assert mini.encode([(REVIEW, "A joy to read.")]).shape == (1, 384)
