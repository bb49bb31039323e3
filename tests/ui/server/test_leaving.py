"""A visitor who goes away in the middle of a run gives its place in the queue back, over a real connection."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread

import gradio as gr
import httpx
import numpy as np
import pytest
import torch

from instructor_core.cache import CachedEncoder
from instructor_core.hub import Checkpoint
from instructor_core.queueing import ModelQueue
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.server.run import run
from instructor_core.ui.server.runtime import Runtime

WITHIN_S = 60.0


@dataclass
class SlowModel:
    """Embeds a pair as its length, each slice when the test lets it."""

    dim: int = 2
    max_seq_length: int = 512
    device: torch.device = field(default_factory=partial(torch.device, "cpu"))
    slices: list[list[tuple[str, str]]] = field(default_factory=list)
    go: Event = field(default_factory=Event)

    def encode(self, pairs: list[tuple[str, str]], *, normalize: bool) -> np.ndarray:
        self.slices.append(pairs)
        assert self.go.wait(WITHIN_S)
        return np.array([[len(instruction), len(text)] for instruction, text in pairs], dtype=np.float32)


@dataclass(frozen=True)
class Served:
    """A page with the Embed button of the app on a slow model."""

    url: str
    model: SlowModel
    queue: ModelQueue
    event: int


@pytest.fixture
def served() -> Iterator[Served]:
    model, queue = SlowModel(), ModelQueue(max_requests=2, slice_cost=1)
    runtime = Runtime((Checkpoint("slow", "slow"),), queue=queue)
    runtime._encoders["slow"] = CachedEncoder(model, queue=queue)  # type: ignore[arg-type]
    with gr.Blocks(analytics_enabled=False) as demo:
        before, out = (
            gr.State(Inputs("slow", ("",), ("x",), None)),
            [gr.State(None), *(gr.HTML() for _ in range(3)), gr.Textbox()],
        )
        inputs = [before, gr.Textbox(), gr.Textbox(), gr.Textbox(), gr.State(1), gr.Textbox()]
        button = gr.Button()
        button.click(partial(run, runtime), inputs, out, concurrency_limit=4, api_visibility="private")
    with closing(demo):
        _, url, _ = demo.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False)
        yield Served(url.rstrip("/"), model, queue, next(iter(demo.fns)))
        model.go.set()


def press_embed(served: Served, session: str, texts: str) -> None:
    data = [None, "slow", "", texts, None, "Represent it:"]
    body = {"data": data, "fn_index": served.event, "session_hash": session}
    httpx.post(f"{served.url}/gradio_api/queue/join", json=body).raise_for_status()


def messages(served: Served, session: str) -> Iterator[dict[str, object]]:
    """What the page hears; closing the generator closes the connection."""
    address = f"{served.url}/gradio_api/queue/data"
    with httpx.stream("GET", address, params={"session_hash": session}, timeout=WITHIN_S) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_closing_the_page_in_the_middle_of_a_run_frees_its_place(served: Served) -> None:
    press_embed(served, "leaving", "\n".join(f"text {i}" for i in range(50)))
    heard = messages(served, "leaving")
    wait_until(lambda: next(heard)["msg"] == "process_generating")
    wait_until(lambda: len(served.model.slices) == 1)
    assert served.queue.n_requests == 1
    heard.close()
    wait_until(lambda: served.queue.n_requests == 0)
    served.model.go.set()
    press_embed(served, "staying", "another text")
    assert any("1 pair" in json.dumps(message) for message in messages(served, "staying"))
    assert len(served.model.slices) == 2  # nothing else of the fifty was encoded


def test_what_is_too_much_hears_so_at_once_and_others_get_their_answers(served: Served) -> None:
    first = [messages(served, name) for name in ("a", "b")]
    for name, heard in zip("ab", first, strict=True):
        press_embed(served, name, f"a text of {name}")
        wait_until(lambda heard=heard: next(heard)["msg"] == "process_generating")
    wait_until(lambda: served.queue.n_requests == 2)
    press_embed(served, "c", "a text of c")
    assert "The server is busy" in json.dumps(list(messages(served, "c")))
    served.model.go.set()
    for heard in first:
        assert "1 pair" in json.dumps(list(heard))


def test_a_stopped_run_frees_its_place(served: Served) -> None:
    press_embed(served, "stopping", "one\ntwo\nthree")
    heard = messages(served, "stopping")
    message = next(message for message in heard if message["msg"] == "process_generating")
    body = {"session_hash": "stopping", "fn_index": served.event, "event_id": message["event_id"]}
    Thread(target=httpx.post, args=(f"{served.url}/gradio_api/cancel",), kwargs={"json": body, "timeout": 30}).start()
    wait_until(lambda: served.queue.n_requests == 0)
