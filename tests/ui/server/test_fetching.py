"""A checkpoint comes from the hub with visible progress, and what goes wrong on the way is said without a path."""

import errno
import io
import re
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

import instructor_core.hub as hub_module
import instructor_core.ui.server.fetching as fetching_module
from instructor_core import EncoderError, InstructorModel
from instructor_core.errors import UserError
from instructor_core.hub import Checkpoint
from instructor_core.ui.server.fetching import without_paths
from instructor_core.ui.server.progress import describe, finish
from instructor_core.ui.server.runtime import Runtime
from tests.checkpoints import make_checkpoint
from tests.ui.server.fake_hub import COMMIT, Hub, point_to, serve

PAIRS = [("Represent the text: ", "One."), ("", "Two.")]


@dataclass
class Chosen:
    """What a visitor sees who chooses the checkpoint: lines of progress, then vectors or an error."""

    lines: list[str] = field(default_factory=list)
    vectors: np.ndarray | None = None
    error: str = ""


def choose(*, megabytes: int = 0, revision: str | None = None) -> Chosen:
    runtime = Runtime((Checkpoint("toy", "someone/toy", revision, 0, megabytes),), device="cpu")
    chosen = Chosen()
    try:
        encoder = finish(describe(runtime.load_steps("toy"), chosen.lines.append))
        chosen.vectors = encoder.encode(PAIRS)
    except UserError as error:
        chosen.error = str(error)
    return chosen


class Clock:
    """Stands still, and goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What a download takes for the time of day."""
    clock = Clock()
    monkeypatch.setattr(fetching_module, "time", clock)
    monkeypatch.setattr(fetching_module, "POLL_S", 0.02)
    return clock


@pytest.fixture
def hub(large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[Hub]:
    """A hub on this machine with `large`."""
    with serve(large, "someone/toy", tmp_path / "cache", monkeypatch) as served:
        yield served


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of some twenty megabytes: enough for more than one line of progress."""
    return make_checkpoint(
        tmp_path_factory.mktemp("repository") / "toy", d_model=512, d_ff=64, num_layers=1, weights="safetensors"
    )


def megabytes_of(folder: Path) -> int:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6)


@pytest.mark.parametrize(
    ("message", "shown", "folder"),
    [
        ("The checkpoint folder /srv/toy has no x.", "The checkpoint folder toy has no x.", "/srv/toy"),
        ("/srv/toy/2_Dense: expected linear.weight", "toy/2_Dense: expected linear.weight", "/srv/toy"),
        ("No file in '/data/a/snapshots/c0ffee/x.bin'.", "No file in 'x.bin'.", "/srv/toy"),
        (r"No file in D:\models\ann\x.bin.", "No file in x.bin.", "/srv/toy"),
        ("and/or 3/4 see https://huggingface.co/a/b", "and/or 3/4 see https://huggingface.co/a/b", "/srv/toy"),
        ("/srv/my models/toy is broken: /srv/my models/toy/x", "toy is broken: toy/x", "/srv/my models/toy"),
    ],
)
def test_a_visitor_sees_the_last_part_of_a_path_alone(message: str, shown: str, folder: str):
    assert without_paths(message, Checkpoint("toy", folder)) == shown


class DeadHub(Thread):
    """Takes every connection and counts it; then either closes it or never says a word."""

    def __init__(self, *, silent: bool) -> None:
        super().__init__(daemon=True)
        self.silent, self.n_asked = silent, 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"

    def run(self) -> None:
        open_ones = []
        with suppress(OSError):  # closed by the test
            while True:
                connection, _ = self.server.accept()
                self.n_asked += 1
                open_ones.append(connection) if self.silent else connection.close()


@pytest.mark.parametrize("silent", [False, True])
def test_a_hub_that_does_not_answer_is_asked_once_and_reported(hub: Hub, monkeypatch: pytest.MonkeyPatch, silent: bool):
    monkeypatch.setattr(hub_module, "_TIMEOUT_S", 0.2)
    dead = DeadHub(silent=silent)
    dead.start()
    point_to(dead.url, monkeypatch)
    with closing(dead.server):
        chosen = choose()
        with pytest.raises(EncoderError, match=r"Could not download 'someone/toy': .* did not answer"):
            InstructorModel("someone/toy")
    assert "Could not download 'someone/toy'" in chosen.error and "Check the network" in chosen.error
    assert chosen.lines == ["loading toy"]
    assert dead.n_asked == 2  # once by each
    assert hub.requests == []


@pytest.mark.parametrize("revision", [None, COMMIT])
def test_a_download_shows_its_progress_and_the_next_start_needs_no_hub(
    hub: Hub, large: Path, monkeypatch: pytest.MonkeyPatch, revision: str | None
):
    size = megabytes_of(large)
    first = choose(megabytes=size, revision=revision)
    expected = InstructorModel(large, device="cpu").encode(PAIRS, normalize=False)
    np.testing.assert_allclose(first.vectors, expected, atol=1e-4)
    assert first.lines[0] == "loading toy"
    shown = [re.fullmatch(rf"downloading toy: (\d+) of {size} MB", line) for line in first.lines[1:]]
    amounts = [int(match[1]) for match in shown if match]
    assert len(amounts) == len(shown) >= 2
    assert amounts == sorted(amounts)
    assert 0 < amounts[-1] <= size + 1
    asked = len(hub.requests)
    again = choose(megabytes=size, revision=revision)
    assert again.lines == ["loading toy"]
    np.testing.assert_array_equal(again.vectors, first.vectors)
    assert len(hub.requests) == asked


def test_a_download_cut_in_the_middle_is_explained_and_the_next_try_succeeds(hub: Hub):
    hub.cut_after = 3_000_000
    assert "Could not download 'someone/toy'" in choose().error
    hub.cut_after = None
    assert choose().vectors is not None


class FullDisk(io.BufferedWriter):
    """Writing more than a megabyte of a download fails as on a full disk."""

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > 10**6:
            raise OSError(errno.ENOSPC, "No space left on device", self.name)
        return super().write(data)


def test_a_disk_that_is_full_is_said_to_be_and_the_next_try_succeeds(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:

        def open_full(path: Any, mode: str = "r", *arguments: Any, open: Any = open, **options: Any) -> Any:
            if str(path).endswith(".incomplete") and "r" not in mode:
                return FullDisk(io.FileIO(path, mode.replace("b", "")))
            return open(path, mode, *arguments, **options)

        patch.setattr("builtins.open", open_full)
        patch.setattr(Path, "open", open_full)
        assert choose(megabytes=17).error == (
            "toy could not be downloaded: the disk of the server has no room for its 17 MB. "
            "Use another checkpoint, or free some space there and choose it again."
        )
    assert choose().vectors is not None


def test_a_hub_that_falls_silent_is_reported_while_it_lasts_and_given_up(hub: Hub, clock: Clock):
    hub.stall_after = 3_000_000
    runtime = Runtime((Checkpoint("toy", "someone/toy", None, 0, 17),), device="cpu")
    steps, lines = runtime.load_steps("toy"), []
    with pytest.raises(UserError, match=r"^The Hugging Face Hub has sent nothing of toy for 120 s\."):
        for line in steps:
            lines.append(line)
            if hub.stalled.is_set():
                clock.now += 50
    assert re.fullmatch(r"downloading toy: \d of 17 MB; nothing new for (50|100) s", lines[-1])
    hub.stall_after = None
    hub.closing.set()  # lets the download end
    runtime._downloads["toy"].join(30)


def test_names_and_revisions_that_the_hub_does_not_know_are_said_to_be_unknown(hub: Hub):
    with pytest.raises(UserError, match="no public repository 'someone/other'"):
        hub_module.download("someone/other")
    with pytest.raises(UserError, match="'someone/toy' has no revision 'v9'"):
        hub_module.download("someone/toy", revision="v9")
    assert not [request for request in hub.requests if "/resolve/" in request]
