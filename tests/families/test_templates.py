"""Every template as the string that the network reads, and what is refused with its reason."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from instructor_core.encoder import InstructorModel
from instructor_core.families import open_checkpoint, open_instructor
from instructor_core.families.templates import AS_TYPED, find_template
from tests.families.checkpoints import write

ASKED = "Given a web search query, retrieve relevant passages"
GOLDEN = {
    "intfloat/multilingual-e5-large-instruct": f"Instruct: {ASKED}\nQuery: tea",
    "intfloat/e5-mistral-7b-instruct": f"Instruct: {ASKED}\nQuery: tea",
    "Salesforce/SFR-Embedding-Mistral": f"Instruct: {ASKED}\nQuery: tea",
    "Linq-AI-Research/Linq-Embed-Mistral": f"Instruct: {ASKED}\nQuery: tea",
    "Qwen/Qwen3-Embedding-0.6B": f"Instruct: {ASKED}\nQuery:tea",
    "microsoft/harrier-oss-v1-270m": f"Instruct: {ASKED}\nQuery:tea",
    "Alibaba-NLP/gte-Qwen2-1.5B-instruct": f"Instruct: {ASKED}\nQuery: tea",
    "HIT-TMG/KaLM-embedding-multilingual-mini-instruct-v1": f"Instruct: {ASKED} \n Query: tea",
    "google/embeddinggemma-300m": f"task: {ASKED} | query: tea",
    "google/embeddinggemma-2": f"task: {ASKED} | query: tea",
    "nomic-ai/nomic-embed-text-v1.5": f"{ASKED}: tea",
    "BAAI/bge-small-en-v1.5": f"{ASKED} tea",
    "somebody/unheard-of": f"{ASKED} tea",  # as typed, with the space that was typed
}
STATED = {
    "Instruct: Given a query, find it\nQuery:": "Instruct: {instruction}\nQuery:{text}",
    "Instruct: Given a query, find it\nQuery: ": "Instruct: {instruction}\nQuery: {text}",
    "Instruct: Given a query, find it \n Query: ": "Instruct: {instruction} \n Query: {text}",
    "task: search result | query: ": "task: {instruction} | query: {text}",
}

OWN_CODE = {"AutoConfig": "configuration.NewConfig", "AutoModel": "modeling.NewModel"}


def test_a_family_is_known_by_its_name_and_prompts_that_a_checkpoint_names_come_before_the_table() -> None:
    for name, string in GOLDEN.items():
        assert find_template(name, {}).prompt(f"{ASKED} ") + "tea" == string
        assert find_template(name, {}).prompt("  ") == ""
    for prompt, template in STATED.items():
        found = find_template("BAAI/bge-small-en", {"document": "", "query": prompt})
        assert (found.string, found.source) == (template, "config_sentence_transformers.json")


def test_the_caller_has_the_last_word_and_an_instruction_may_be_a_whole_template() -> None:
    found = find_template("Qwen3-Embedding", {}, "Task {instruction}: {text}")
    assert found.prompt("one") == "Task one: "
    assert found.prompt("title: none | text: {text} ") == "title: none | text: "
    for wrong in ("Task: {text}", "Task {instruction}", "{text} {instruction}", "{instruction}{text}{text}"):
        with pytest.raises(ValueError, match=r"template (has a place for the instruction|ends with)"):
            find_template("", {}, wrong)
    with pytest.raises(ValueError, match="ends with"):
        found.prompt("{text} what is it?")
    assert find_template("", {}).string == AS_TYPED


@pytest.fixture
def changed(family_folders: dict[str, Path], tmp_path: Path) -> Any:
    """Returns a copy of a family's folder, one of its JSON files changed."""

    def change(family: str, file: str, **values: Any) -> Path:
        folder = tmp_path / family_folders[family].name
        shutil.copytree(family_folders[family], folder)
        write(folder / file, json.loads((folder / file).read_text()) | values)
        return folder

    return change


@pytest.mark.parametrize(
    ("family", "file", "values", "reason"),
    [
        ("e5", "1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pools by mean, max_tokens"),
        ("new", "1_Pooling/config.json", {"pooling_mode": "weightedmean"}, "pools by weightedmean"),
        ("gemma", "2_Dense/config.json", {"activation_function": "torch.nn.modules.activation.Tanh"}, "applies Tanh"),
        ("gemma", "3_Dense/config.json", {"use_residual": True}, "more than a linear layer"),
        ("bge", "config.json", {"model_type": "new", "auto_map": OWN_CODE}, "code of the checkpoint's own"),
        ("bge", "config.json", {"is_encoder_decoder": True}, "encoder with a decoder"),
        ("bge", "config.json", {"num_hidden_layers": 4}, "do not fit its configuration: missing"),
        ("qwen", "sentence_bert_config.json", {"modality_config": {"message": {}, "text": {}}}, "in a way of its own"),
        ("qwen", "sentence_bert_config.json", {"model_args": {"lora_task": "x"}}, "asks for lora_task"),
        ("qwen", "tokenizer_config.json", {"truncation_side": "left"}, "cuts long texts off at their beginning"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_with_the_reason(
    family: str, file: str, values: dict[str, Any], reason: str, changed: Any
) -> None:
    folder = changed(family, file, **values)
    with pytest.raises(ValueError, match=reason):
        open_checkpoint(folder, "cpu")


def test_parts_of_a_checkpoints_own_and_missing_files_are_named(
    family_folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(family_folders["e5"], folder)
    parts = json.loads((folder / "modules.json").read_text())
    write(folder / "modules.json", [{**parts[0], "type": "custom_st.Transformer"}, *parts[1:]])
    with pytest.raises(ValueError, match=r"its parts are custom_st\.Transformer, Pooling"):
        open_checkpoint(folder)
    (folder / "modules.json").unlink()
    with pytest.raises(ValueError, match="nothing says how its vectors are pooled"):
        open_checkpoint(folder)
    write(folder / "adapter_config.json", {})
    with pytest.raises(ValueError, match="it is an adapter"):
        open_checkpoint(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"no valid config\.json"):
        open_checkpoint(folder)


def test_instructor_is_opened_as_instructor_and_alone_is_trained(
    checkpoint_a: Path, family_folders: dict[str, Path]
) -> None:
    assert isinstance(open_checkpoint(checkpoint_a, "cpu"), InstructorModel)
    assert open_instructor(checkpoint_a).trainable
    with pytest.raises(ValueError, match="takes no template"):
        open_checkpoint(checkpoint_a, template="{instruction}: {text}")
    with pytest.raises(ValueError, match=r"Only INSTRUCTOR can be trained or exported here: .*is a qwen3"):
        open_instructor(family_folders["qwen"])
