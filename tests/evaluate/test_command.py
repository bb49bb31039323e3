"""The command prints the table, writes it where it is asked to, and says what it cannot read."""

import json
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from instructor_core.analysis.suggest import bundled
from instructor_core.errors import UserError
from instructor_core.evaluate.__main__ import ReferenceModel, main
from instructor_core.evaluate.markdown import END, START, write_card


@pytest.fixture
def label_sets(tmp_path: Path) -> Path:
    """One small set, one of pairs, and two wordings per axis."""
    folder = tmp_path / "sets"
    folder.mkdir()
    rows = [{"text": f"{word} number {i}", "labels": {"topic": word}} for i in range(5) for word in ("soup", "rain")]
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    pairs = [{"a": f"soup {i}", "b": "rain" * (i % 3 + 1), "score": i} for i in range(6)]
    (folder / "p.jsonl").write_text("\n".join(map(json.dumps, pairs)), encoding="utf-8")
    wordings = {
        "axes": {"topic": {"plain": "Represent the text by topic:", "free": ["what about?", "theme"]}},
        "neutral": ["compare"],
        "unknown": ["age?"],
    }
    (folder / "wordings.json").write_text(json.dumps(wordings), encoding="utf-8")
    return folder


@pytest.fixture
def reference_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bert" / "model"
    folder.mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "soup", "rain", "number", "a"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    return folder


def run(checkpoint: Path, sets: Path, *more: object) -> int:
    arguments = [checkpoint, "--label-sets", sets, "--wordings", sets / "wordings.json", "--device", "cpu", *more]
    return main([str(argument) for argument in arguments])


def test_the_command_prints_the_table_writes_json_and_renews_a_card(
    checkpoint_a: Path, label_sets: Path, reference_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card, scores = tmp_path / "card.md", tmp_path / "scores.json"
    card.write_text(f"# A\n\n{START}\n{END}\n\nend\n", encoding="utf-8")
    more = ("--reference", reference_folder, "--json", scores, "--write-card", card, "--summary")
    assert run(checkpoint_a, label_sets, *more) == 0
    out, err = capsys.readouterr()
    assert "| t: topic |" in out
    assert "| p: 6 pairs |" in out
    assert "t: 10 texts" in err
    assert "card.md: renewed" in err
    assert str(tmp_path) not in out
    assert "bert" in out  # the folder above one that is merely called "model" names the reference
    stored = json.loads(scores.read_text(encoding="utf-8"))
    assert [row["kind"] for row in stored["sets"][0]["rows"]] == ["plain", "free", "free", "none", "reference"]
    first = card.read_text(encoding="utf-8")
    assert first == f"# A\n\n{START}\n\n{out.strip()}\n\n{END}\n\nend\n"
    assert run(checkpoint_a, label_sets, *more) == 0
    assert "card.md: unchanged" in capsys.readouterr().err
    assert card.read_text(encoding="utf-8") == first


def test_another_checkpoint_is_compared_under_every_instruction(
    checkpoint_a: Path, checkpoint_b: Path, label_sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = tmp_path / "scores.json"
    for other, same in ((checkpoint_a, True), (checkpoint_b, False)):
        assert run(checkpoint_a, label_sets, "--compare", other, "--json", scores) == 0
        table = capsys.readouterr().out
        names = ["/".join(path.parts[-2:]) if same else path.name for path in (checkpoint_a, other)]
        assert "### {} beside {}".format(*names) in table
        assert ("| t | topic, plain | 1.00 (0.44) | 1.00 | 0.00 |" in table) is same  # 4 of 9 others
        assert "| t | topic, mean of 2 free |" in table and "| t | no instruction |" in table
        stored = json.loads(scores.read_text(encoding="utf-8"))
        assert [stored["checkpoint"], stored["other"]] == names
        rows = stored["sets"][0]["beside"]
        assert [row["kind"] for row in rows] == ["plain", "free", "free", "none"]
        assert all((row["overlap"], row["cka"], row["flipped"]) == (1, 1, 0) for row in rows) is same


def test_what_cannot_be_read_ends_in_one_line_and_a_status(
    checkpoint_a: Path, label_sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(checkpoint_a, label_sets, "--sts", tmp_path / "absent.jsonl") == 2
    assert run(tmp_path / "no checkpoint", label_sets) == 2
    assert run(checkpoint_a, label_sets, "--reference", label_sets) == 2
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("evaluate: ") for line in lines) == 3
    assert not any("Traceback" in line for line in lines)


def test_the_reference_is_the_mean_over_its_tokens_whatever_the_batch_and_no_other_folder(
    reference_folder: Path, tmp_path: Path
) -> None:
    reference = ReferenceModel(reference_folder)
    texts = ["soup", "rain number a soup soup", "number"] * 15  # more than one batch, of unlike lengths
    found = reference.encode(texts)
    model = BertModel.from_pretrained(reference_folder).eval()
    tokenizer = BertTokenizerFast.from_pretrained(reference_folder)
    for row in (0, 1, 2, 44):
        with torch.inference_mode():
            states = model(**tokenizer(texts[row], return_tensors="pt")).last_hidden_state[0]
        torch.testing.assert_close(torch.from_numpy(found[row]), states.mean(dim=0), atol=1e-5, rtol=1e-4)
    with pytest.raises(UserError, match="cannot be loaded"):
        ReferenceModel(tmp_path)


def test_a_card_without_one_pair_of_markers_is_left_alone(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    with pytest.raises(UserError, match="cannot be read"):
        write_card(card, "| new |")
    for content in ("no markers", f"{START}\n", f"{END}\n{START}\n", f"{START}\n{END}\n{START}\n{END}\n"):
        card.write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match=r"README\.md needs one line"):
            write_card(card, "| new |")
        assert card.read_text(encoding="utf-8") == content


def test_the_readme_of_the_label_sets_counts_their_sentences() -> None:
    folder = bundled("label_sets")
    text = (folder / "README.md").read_text(encoding="utf-8")
    for file in folder.glob("*.jsonl"):
        assert f"| `{file.name}` | {len(file.read_text(encoding='utf-8').splitlines())} |" in text
