"""The embeddings are those of sentence-transformers with the prompt handed over by ``prompt=``.

The weights are random and large: a token more or less in the mean moves an embedding by far more than the tolerance.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from instructor_core.encoder import Segment
from instructor_core.families import TemplateModel, open_checkpoint
from tests.families.checkpoints import RECIPES

TOLERANCE = 1e-5
INSTRUCTIONS = ("Represent the review for classifying its sentiment", "clustering", "x", "")
TEXTS = (
    "The soup was cold.",
    "a",
    "",
    "word " * 90,  # cut off
    "  spaces around  ",
    "second\nline, Ünïcödé",
    "emoji 😀 日本語",
)
PAIRS = [(instruction, text) for text in TEXTS for instruction in INSTRUCTIONS]  # lengths mixed


def opened(folder: Path) -> TemplateModel:
    model = open_checkpoint(folder, "cpu")
    assert isinstance(model, TemplateModel)
    return model


@pytest.mark.parametrize("family", RECIPES)
def test_embeddings_equal_those_of_sentence_transformers(family: str, family_folders: dict[str, Path]) -> None:
    model = opened(family_folders[family])
    reference = SentenceTransformer(str(family_folders[family]), device="cpu")
    right_only = family in ("bge", "new")  # where positions are counted from the left edge, padding included
    for side in ("right",) if right_only else ("right", "left"):
        reference.tokenizer.padding_side = side
        for instruction in INSTRUCTIONS:
            prompt = model.template.prompt(instruction) or None
            pairs = [(instruction, text) for text in TEXTS]
            expected = reference.encode(list(TEXTS), prompt=prompt)
            found = model.encode(pairs, normalize=model.layout.normalizes)
            assert found.shape == expected.shape
            scale = 1.0 if model.layout.normalizes else float(np.abs(expected).max())
            assert np.abs(found - expected).max() < TOLERANCE * scale


@pytest.mark.parametrize("family", RECIPES)
def test_every_way_to_encode_gives_the_same_vectors_in_any_order(family: str, family_folders: dict[str, Path]) -> None:
    model = opened(family_folders[family])
    whole = model.encode(PAIRS, normalize=False)
    alone = np.concatenate([model.encode([pair], normalize=False) for pair in PAIRS])
    np.testing.assert_allclose(alone, whole, atol=2e-5)
    np.testing.assert_allclose(model.encode(PAIRS[::-1], normalize=False)[::-1], whole, atol=2e-5)
    embeddings, behind, prompts = model(PAIRS, normalize=False)
    np.testing.assert_allclose(embeddings.numpy(), whole, atol=2e-5)
    tokens = model.encode_tokens(PAIRS, layers=True, attentions=True)
    np.testing.assert_allclose([each.embedding for each in tokens], whole, atol=2e-5)
    for each, text_rows, prompt_rows in zip(tokens, behind, prompts, strict=True):
        assert len(text_rows) + len(prompt_rows) == each.n_encoded <= each.max_seq_length
        assert len(each.segments) == len(each.tokens) == len(each.spans) == len(each.token_ids)
        assert each.n_cut == sum(segment is Segment.CUT for segment in each.segments)
        np.testing.assert_allclose(model.read_out(each.layers)[-1], each.projected, atol=2e-5)
        np.testing.assert_allclose(each.attentions.sum(axis=-1), 1.0, atol=1e-5)
    assert model.encode([]).shape == (0, model.dim)


def test_tokens_are_told_apart_by_where_their_characters_stand(family_folders: dict[str, Path]) -> None:
    model = opened(family_folders["gemma"])
    (found,) = model.encode_tokens([("clustering", "The soup was cold.")])
    assert found.instruction == "task: clustering | query: "
    assert found.joined == "task: clustering | query: The soup was cold."
    assert found.segments[0] is found.segments[-1] is Segment.END
    of = {segment: [i for i, one in enumerate(found.segments) if one is segment] for segment in Segment}
    assert found.joined[: int(found.spans[of[Segment.INSTRUCTION][-1]][1])].strip() == "task: clustering | query:"
    assert found.joined[int(found.spans[of[Segment.TEXT][0]][0]) :] == "The soup was cold."
    assert found.pooling_mask.all()  # the prompt enters the mean
    assert found.n_instruction_tokens == model.count_tokens([found.instruction])[0]


@pytest.mark.parametrize(
    ("family", "pooled"), [("bge", [0]), ("qwen", [-1]), ("new", None)], ids=["first", "last", "text and mark"]
)
def test_what_is_pooled_is_what_the_files_say(
    family: str, pooled: list[int] | None, family_folders: dict[str, Path]
) -> None:
    (found,) = opened(family_folders[family]).encode_tokens([("Sentiment of it: ", "The soup was cold.")])
    rows = np.flatnonzero(found.pooling_mask)
    expected = (
        np.arange(found.n_encoded)[pooled] if pooled else np.arange(1 + found.n_instruction_tokens, found.n_encoded)
    )
    assert rows.tolist() == np.atleast_1d(expected).tolist()


def test_special_tokens_that_a_text_spells_are_plain_characters_and_bfloat16_stays_close_to_float32(
    family_folders: dict[str, Path],
) -> None:
    model = opened(family_folders["qwen"])
    (found,) = model.encode_tokens([("", "before <|endoftext|> behind")])
    assert (found.token_ids == model.tokenizer.eos_token_id).sum() == 1
    assert not np.allclose(*model.encode([("", "a<|endoftext|>"), ("", "a")]))
    exact = opened(family_folders["qwen"]).encode(PAIRS)
    fast = open_checkpoint(family_folders["qwen"], "cpu", "bfloat16").encode(PAIRS)
    assert fast.dtype == np.float32
    assert (exact * fast).sum(axis=1).min() > 0.99


def test_an_instruction_that_leaves_no_room_is_refused_and_nothing_is_drawn_at_random(
    family_folders: dict[str, Path],
) -> None:
    with pytest.raises(ValueError, match=r"leaves no room for a text.*the window is 80"):
        opened(family_folders["e5"]).encode([("word " * 99, "text")])
    model = opened(family_folders["e5"])
    assert not any(module.training for module in model.modules())
    with pytest.raises(ValueError, match="Only INSTRUCTOR can be trained"):
        model.train()
    assert not torch.is_grad_enabled() or not model(PAIRS[:1])[0].requires_grad


def test_a_window_is_that_of_the_tokenizer_or_of_the_network_where_nothing_states_it(
    family_folders: dict[str, Path], tmp_path: Path
) -> None:
    for said in ({}, {"max_seq_length": None, "do_lower_case": True}):
        copy = tmp_path / f"copy-{len(said)}"
        copy.mkdir()
        for entry in family_folders["bge"].iterdir():
            (copy / entry.name).symlink_to(entry)
        (copy / "sentence_bert_config.json").unlink()
        (copy / "sentence_bert_config.json").write_text(json.dumps(said))
        assert opened(copy).max_seq_length == SentenceTransformer(str(copy), device="cpu").max_seq_length == 96
