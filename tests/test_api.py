"""The app for programs, through Gradio's own client over the network, and with input that no client would send."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from hypothesis import given, settings
from hypothesis import strategies as st

from instructor_core import InstructorModel
from instructor_core.analysis.similarity import self_similarity
from instructor_core.cache import CachedEncoder
from instructor_core.errors import UserError
from instructor_core.hub import CHECKPOINTS, Checkpoint
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.server.api import Api, register_api
from instructor_core.ui.server.api_schema import for_programs
from instructor_core.ui.server.progress import finish
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial.boards import compare_instructions
from instructor_core.ui.trial.comparison import Request, ScoreBook
from tests.ui.inside import JSON

TEXTS = ["The soup was cold.", "A wonderful evening!", "The flight was late.", "I love this phone."]
INSTRUCTIONS = ["Represent the review for classifying its sentiment:", ""]
SAID = [f"{word} {thing}." for thing in ("soup", "train", "phone", "film") for word in ("Lovely", "Awful", "Good")]
JOINED = "Represent the review for classifying its sentiment: "
NAMES = ("/encode", "/similarity", "/compare", "/tokens", "/project", "/ledger", "/leaderboard", "/fingerprint")


@pytest.fixture(scope="module")
def runtime(mini: InstructorModel) -> Runtime:
    ready = Runtime((CHECKPOINTS[0], Checkpoint("broken", "/no/such/folder")))
    ready._encoders["instructor-mini"] = CachedEncoder(mini)
    return ready


@pytest.fixture(scope="module")
def api(runtime: Runtime) -> Api:
    return Api(runtime)


@pytest.fixture(scope="module")
def url(runtime: Runtime) -> Iterator[str]:
    """A page with the endpoints and one private event, served on a free port."""
    with gr.Blocks(analytics_enabled=False) as demo:
        box = gr.Textbox()
        gr.Button().click(lambda: "secret", None, box, api_visibility="private")
        register_api(runtime)
    with closing(demo):
        _, address, _ = demo.launch(
            server_name="127.0.0.1", server_port=None, prevent_thread_lock=True, quiet=True, ssr_mode=False
        )
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    with closing(Client(url, verbose=False, analytics_enabled=False)) as connected:
        yield connected


# ------------------------------------------------------------------------------------------------------- over the wire


def test_encode_answers_with_the_embeddings_of_the_encoder(client: Client, mini: InstructorModel) -> None:
    answer = client.predict(texts=TEXTS, instructions=INSTRUCTIONS, api_name="/encode")
    expected = mini.encode([(instruction, text) for instruction in (JOINED, "") for text in TEXTS])
    assert np.allclose(np.array(answer["embeddings"]).reshape(8, -1), expected, atol=1e-6)
    assert (answer["checkpoint"], answer["dimensions"]) == ("instructor-mini", mini.dim)
    long = client.predict(texts=TEXTS, instructions=INSTRUCTIONS, normalize=False, api_name="/encode")
    assert np.allclose(np.linalg.norm(long["embeddings"], axis=2), answer["norms"], atol=1e-5)
    assert answer["warnings"] == []
    cut = client.predict(texts=["soup " * 600, "Soup."], instructions=["Mood:"], api_name="/encode")
    assert "1 of 2 texts (1) is cut off" in cut["warnings"][0]


def test_similarity_answers_with_cosines_and_project_places_every_text(client: Client, mini: InstructorModel) -> None:
    answer = client.predict(texts=TEXTS, instructions=INSTRUCTIONS, api_name="/similarity")
    assert np.allclose(answer["matrices"][1], self_similarity(mini.encode([("", text) for text in TEXTS])), atol=1e-5)
    answer = client.predict(texts=TEXTS, instructions=INSTRUCTIONS, method="pca", dimensions=3, api_name="/project")
    assert np.array(answer["coordinates"]).shape == (2, 4, 3)
    assert answer["method"] == "pca" and len(answer["trustworthiness"]) == 2


def test_tokens_tell_what_enters_the_mean(client: Client) -> None:
    (row,) = client.predict(texts=["The soup."], instruction="Represent the text:", api_name="/tokens")
    assert row["tokens"][-1] == "</s>" and row["segments"][-1] == "end"
    assert row["pooled"] == [segment in ("text", "end") for segment in row["segments"]]
    assert len(row["alignment"]) == len(row["tokens"]) and row["cut_off"] == 0


def test_the_terms_of_a_ledger_add_up_to_the_cosine(client: Client, mini: InstructorModel) -> None:
    answer = client.predict(
        first=TEXTS[0], second=TEXTS[1], instruction=INSTRUCTIONS[0], second_instruction="", api_name="/ledger"
    )
    one, two = mini.encode([(JOINED, TEXTS[0]), ("", TEXTS[1])])
    assert np.isclose(np.sum(answer["values"]), one @ two, atol=1e-4)
    assert np.isclose(answer["cosine"], one @ two, atol=1e-5)
    assert (len(answer["rows"]), len(answer["columns"])) == np.array(answer["values"]).shape


def test_a_checkpoint_agrees_with_itself_and_an_unknown_one_is_refused(client: Client) -> None:
    asked = {"texts": SAID, "instructions": INSTRUCTIONS, "api_name": "/compare"}
    answer = client.predict(**asked, other="instructor-mini")
    assert answer["checkpoints"] == ["instructor-mini"] * 2 and np.isclose(
        answer["k"] / (len(SAID) - 1), answer["chance"]
    )
    assert [row["instruction"] for row in answer["instructions"]] == [text.strip() for text in INSTRUCTIONS]
    assert all((row["overlap"], row["cka"], row["flips"]) == (1, 1, 0) for row in answer["instructions"])
    for other in ("/etc", "someone/else", ""):
        with pytest.raises(AppError, match="There is no checkpoint"):
            client.predict(**asked, other=other)


def test_a_leaderboard_ranks_the_instructions_beside_controls(client: Client) -> None:
    labels = ["good", "bad", "good"] * 4
    answer = client.predict(texts=SAID, labels=labels, instructions=INSTRUCTIONS[:1], api_name="/leaderboard")
    assert [row["role"] for row in answer["rows"]] == ["candidate", "empty", "shuffled", "unrelated"]
    assert answer["best"] == "A" and answer["metric"] == "kNN accuracy"
    assert answer["decision"] == answer["conclusion"][0]
    assert (answer["use"], answer["instruction"]) in (("A", INSTRUCTIONS[0].strip()), ("empty", ""))
    assert answer["decision"].startswith("Use no instruction" if answer["use"] == "empty" else "Use ")
    assert answer["texts_used"] == 12 and answer["gain"][1] <= answer["gain"][0] <= answer["gain"][2]
    assert all(row["low"] <= row["value"] <= row["high"] for row in answer["rows"])
    assert answer["tasks"] == []


def test_many_wordings_are_decided_among_as_the_page_does(client: Client, runtime: Runtime) -> None:
    moods = ["good", "bad", "good"] * 4
    asked = {"texts": SAID, "labels": moods, "instructions": INSTRUCTIONS[:1], "label_name": "mood"}
    answer = client.predict(**asked, wordings=True, api_name="/leaderboard")
    inputs = Inputs("instructor-mini", (JOINED,), tuple(SAID), tuple(moods))
    request = Request(many=True, columns=("mood",))
    finding = finish(compare_instructions(runtime, ScoreBook(), inputs, request))
    assert (answer["decision"], answer["instruction"]) == (finding.sentences[0], finding.instruction.strip())
    rows = {task["task"]: task for task in answer["tasks"]}
    assert "mood" in rows and all(len(task["wordings"]) == len(task["accuracies"]) for task in answer["tasks"])
    drawn = finding.panels.panels[0].figure
    assert list(drawn.layout.yaxis.ticktext)[-len(rows) :] != [] and set(rows) <= set(drawn.layout.yaxis.ticktext)
    dots = {drawn.layout.yaxis.ticktext[trace.y[0]]: sorted(trace.x) for trace in drawn.data if len(trace.x) > 1}
    assert np.allclose(sorted(rows["mood"]["accuracies"]), dots["mood"], atol=1e-6)


def test_a_fingerprint_says_what_an_instruction_does(client: Client) -> None:
    answer = client.predict(texts=SAID, instruction=INSTRUCTIONS[0], api_name="/fingerprint")
    assert answer["like"][0] == "sentiment" and answer["verdict"] == "moves"
    assert answer["sentence"].startswith("moves the texts .") and len(answer["tasks"]) > 10
    with pytest.raises(AppError, match="at least 4 different texts: got 1"):
        client.predict(texts=["a"] * 5, instruction="x", api_name="/fingerprint")


def test_the_schema_describes_every_endpoint_and_no_private_event_and_errors_arrive_as_their_message(
    client: Client,
) -> None:
    schema: Any = client.view_api(return_format="dict", print_info=False)
    assert tuple(schema["named_endpoints"]) == NAMES
    for name, entry in schema["named_endpoints"].items():
        assert len(entry["description"]) > 30, name
        assert entry["returns"][0]["type"] != {}, name
        assert all(parameter["type"] != {} for parameter in entry["parameters"]), name
    encode = schema["named_endpoints"]["/encode"]
    defaults = {each["parameter_name"]: each["parameter_has_default"] for each in encode["parameters"]}
    assert defaults == {"texts": False, "instructions": False, "checkpoint": True, "normalize": True}
    with pytest.raises(AppError, match=r"texts: list should have at least 1 item, got 0\. 1 to 500 texts"):
        client.predict(texts=[], instructions=[""], api_name="/encode")
    with pytest.raises(AppError, match="There is no checkpoint 'x'"):
        client.predict(texts=["a"], instructions=[""], checkpoint="x", api_name="/encode")


# ------------------------------------------------------------------------------------------------------------- limits


def test_a_request_outside_the_limits_is_refused_before_any_work(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CachedEncoder, "encode_steps", lambda *_: pytest.fail("it was encoded"))
    monkeypatch.setattr(CachedEncoder, "encode_tokens", lambda *_: pytest.fail("it was encoded"))
    most = ([f"t{i}" for i in range(500)], [f"i{k}" for k in range(8)])
    for ask, arguments, words in (
        (api.encode, (["a"] * 501, [""]), "texts: list should have at most 500 items, got 501. 1 to 500 texts, "),
        (api.encode, (["x" * 1_000_000], [""]), "number 1: string should have at most 20000 characters, got 1000000"),
        (api.encode, (["x" * 20_000] * 26, [""]), "500000 characters together"),
        (api.encode, (["a", " \n"], [""]), "number 2 is"),
        (api.encode, (["a", None], [""]), "texts, number 2: input should be a valid string, got None"),
        (api.encode, most, "1000000 numbers"),
        (api.similarity, most, "would hold 2000000"),
        (api.tokens, (["a"] * 65,), "at most 64 items, got 65. 1 to 64 texts"),
        (api.project, (["a"], [""], "tsne"), "method: input should be 'umap' or 'pca', got 'tsne'"),
        (api.project, (["a"], [""], "umap", "separate", 2, 10, float("nan")), "min_dist"),
        (api.ledger, ("a", ""), "must not be empty"),
        (api.ledger, ("a", "b", "", None, "letter"), "by: input should be 'token' or 'word'"),
        (api.leaderboard, (["a"] * 8, ["x"] * 7, ["i"]), "7 labels for 8"),
        (api.leaderboard, (["a"] * 8, ["x", "y"] * 4, ["i"]), "at least 8 labelled texts: got 0"),
    ):
        with pytest.raises(UserError) as caught:
            ask(*arguments)
        assert words in str(caught.value) and len(str(caught.value)) < 300


def test_a_bug_shows_no_detail_to_the_caller() -> None:
    def fail(texts: list[str]) -> list[str]:
        raise RuntimeError("token=abc123 in /srv/secret")

    with pytest.raises(gr.Error) as caught:
        for_programs(fail)(["a"])
    assert "incident" in caught.value.message and "secret" not in caught.value.message
    assert caught.value.__cause__ is None


@settings(max_examples=120)
@given(st.sampled_from([name[1:] for name in NAMES]), st.data())
def test_any_json_as_arguments_is_an_answer_or_a_message(api: Api, name: str, data: st.DataObject) -> None:
    n = {"tokens": 1, "leaderboard": 3}.get(name, 2)
    arguments = data.draw(st.lists(JSON, min_size=n, max_size=n + 1))
    try:
        answer = getattr(api, name)(*arguments)
    except UserError:
        return
    json.dumps(answer, allow_nan=False)


def test_hostile_strings_are_texts_like_any_other(api: Api) -> None:
    for text in ("\ud800 half a pair", "zero \0 byte", "\u202eright to left", "</s> <pad> <extra_id_0>", "\x1b[31m"):
        answer = api.encode([text, "plain"], [text, ""])
        values = np.array(answer["embeddings"])
        assert np.isfinite(values).all() and np.allclose(np.linalg.norm(values, axis=2), 1, atol=1e-5)
        json.dumps(api.tokens([text], text), ensure_ascii=False).encode()


def test_a_checkpoint_that_cannot_be_loaded_spoils_nothing_and_page_and_api_share_their_embeddings(
    api: Api, runtime: Runtime
) -> None:
    with pytest.raises(UserError, match=r"^No checkpoint 'broken': there is no such folder"):
        api.encode(["a"], [""], "broken")
    assert api.encode(["a"], [""])["dimensions"] > 0
    before = runtime.encoder("instructor-mini").n_bytes
    runtime.grid(Inputs("instructor-mini", (JOINED,), ("A shared text.",), None))
    after = runtime.encoder("instructor-mini").n_bytes
    api.encode(["  A shared text. "], [INSTRUCTIONS[0]])
    assert before < after == runtime.encoder("instructor-mini").n_bytes
