"""Checkpoints are loaded from the registry alone, a few at a time, and from the hub with visible progress."""

from __future__ import annotations

import errno
import io
import re
import shutil
import socket
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants

import instructor_core.hub as hub_module
import instructor_core.ui.fetching as fetching_module
from instructor_core import EncoderError, InstructorModel
from instructor_core.errors import UserError
from instructor_core.hub import CHECKPOINTS, Checkpoint, local_checkpoint
from instructor_core.ui.fetching import without_paths
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.progress import described, finished
from instructor_core.ui.runtime import MAX_LOADED, Runtime
from tests.checkpoints import make_checkpoint
from tests.ui.fake_hub import COMMIT, Hub, serve

PAIRS = [("Represent the text: ", "One."), ("", "Two.")]


def reported(steps: Generator[str, None, Any]) -> tuple[list[str], Any]:
    """What a generator yields, and what it returns."""
    lines: list[str] = []
    result = finished(described(steps, lines.append))
    return lines, result


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
        encoder = finished(described(runtime.load_steps("toy"), chosen.lines.append))
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
    """A hub on this machine with `large`, which the hub client takes for the real one, and an empty cache."""
    with serve(large, "someone/toy") as served:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        point_to(served.url, monkeypatch)
        yield served


def point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of some twenty megabytes: enough for more than one line of progress."""
    return make_checkpoint(
        tmp_path_factory.mktemp("repository") / "toy", d_model=512, d_ff=64, num_layers=1, weights="safetensors"
    )


def megabytes_of(folder: Path) -> int:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6)


def test_a_checkpoint_outside_the_registry_is_refused(tmp_path: Path):
    runtime = Runtime(CHECKPOINTS)
    for name in ("someone/else", str(tmp_path), "../instructor-mini", ""):
        with pytest.raises(UserError, match=r"There is no checkpoint .* Choose one of: instructor-mini, "):
            runtime.encoder(name)
        with pytest.raises(UserError, match="There is no checkpoint"):
            reported(runtime.load_steps(name))


def test_a_checkpoint_is_loaded_once_and_its_embeddings_are_those_of_the_encoder(checkpoint_a: Path):
    local = local_checkpoint(checkpoint_a)
    runtime = Runtime((local,), device="cpu")
    assert not runtime.is_loaded(local.id)
    lines, encoder = reported(runtime.load_steps(local.id))
    assert lines == [f"loading {local.id}"]
    assert runtime.is_loaded(local.id)
    assert reported(runtime.load_steps(local.id)) == ([], encoder)
    inputs = Inputs(local.id, ("Represent the text: ", ""), ("One.", "Two."), None)
    expected = InstructorModel(checkpoint_a, device="cpu").encode(inputs.pairs).reshape(2, 2, -1)
    np.testing.assert_allclose(runtime.grid(inputs).embeddings, expected, atol=1e-5)


def test_the_checkpoint_used_longest_ago_leaves_the_memory_first(checkpoint_a: Path):
    checkpoints = tuple(Checkpoint(f"copy-{i}", str(checkpoint_a)) for i in range(MAX_LOADED + 1))
    runtime = Runtime(checkpoints, device="cpu")
    first = runtime.encoder("copy-0")
    for checkpoint in checkpoints[1:MAX_LOADED]:
        runtime.encoder(checkpoint.id)
    assert runtime.encoder("copy-0") is first
    runtime.encoder(f"copy-{MAX_LOADED}")
    loaded = [checkpoint.id for checkpoint in checkpoints if runtime.is_loaded(checkpoint.id)]
    assert loaded == ["copy-0", f"copy-{MAX_LOADED}"]


def test_a_checkpoint_makes_room_before_another_is_loaded(checkpoint_a: Path, monkeypatch: pytest.MonkeyPatch):
    runtime = Runtime(tuple(Checkpoint(f"copy-{i}", str(checkpoint_a)) for i in range(MAX_LOADED + 2)), device="cpu")
    in_memory: list[int] = []
    load = runtime._load
    monkeypatch.setattr(runtime, "_load", lambda entry: in_memory.append(len(runtime._encoders)) or load(entry))
    for checkpoint in runtime.checkpoints:
        runtime.encoder(checkpoint.id)
    assert in_memory == [0, 1, *[MAX_LOADED - 1] * 2]


def test_the_memory_of_two_models_is_said_with_its_bound(checkpoint_a: Path, checkpoint_b: Path):
    both = (local_checkpoint(checkpoint_a), local_checkpoint(checkpoint_b))
    runtime = Runtime(both, device="cpu", cache_mb=7)
    for each in both:
        runtime.encoder(each.id)
    said = runtime.memory_of([each.id for each in both])
    on_disk = sum(file.stat().st_size for file in checkpoint_b.rglob("model.safetensors"))
    # 12,224 x 64 of tokens, 2 x (4 x 64 x 64 + 2 x 64 x 128 + 2 x 64), 32 x 4, 64 and 64 x 64: 852,416 of 4 bytes.
    assert said == (
        f"In memory: {both[0].id} 3 MB, {both[1].id} {on_disk / 1e6:.0f} MB of weights, and at most 7 MB of embeddings "
        f"each. No more than {MAX_LOADED} models stay; the one used longest ago makes room for another."
    )


def test_a_broken_folder_is_explained_and_can_be_tried_again(checkpoint_a: Path, tmp_path: Path):
    folder = tmp_path / "broken"
    folder.mkdir()
    runtime = Runtime((local_checkpoint(folder),), device="cpu")
    with pytest.raises(UserError, match=r"^The checkpoint folder broken has no modules\.json"):
        reported(runtime.load_steps("broken"))
    for file in checkpoint_a.iterdir():
        (folder / file.name).symlink_to(file)
    _, encoder = reported(runtime.load_steps("broken"))
    assert encoder.encode(PAIRS).shape == (2, 64)


def damaged_copies(checkpoint: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Copies of a checkpoint, each with one file damaged in one way."""
    damages = {
        "cut": lambda content: content[: len(content) // 2],
        "garbage": lambda content: b"\x80\x05garbage" * 20,
        "other JSON": lambda content: b'[{"a": null}]',
    }
    for file in sorted(path.relative_to(checkpoint) for path in checkpoint.rglob("*") if path.is_file()):
        for name, damage in damages.items():
            copy = folder / f"{file.name} {name} {len(list(folder.iterdir()))}"
            shutil.copytree(checkpoint, copy)
            (copy / file).write_bytes(damage((copy / file).read_bytes()))
            yield f"{file} {name}", copy


def test_a_damaged_checkpoint_is_explained_without_telling_where_it_lies(checkpoint_a: Path, tmp_path: Path):
    good = local_checkpoint(checkpoint_a)
    spoilt = []
    for what, folder in damaged_copies(checkpoint_a, tmp_path):
        runtime = Runtime((Checkpoint("spoilt", str(folder)), good), device="cpu")
        try:
            reported(runtime.load_steps("spoilt"))
        except UserError as error:
            spoilt.append(what)
            assert str(tmp_path) not in str(error), what
            assert "spoilt" in str(error) or "checkpoint" in str(error), what
            assert len(str(error)) < 500, what
    # The rest are files that the tokenizer does without, and weights are read to the last byte.
    for needed in ("config.json", "modules.json", "pytorch_model.bin", "tokenizer.json", "2_Dense/pytorch_model.bin"):
        assert f"{needed} garbage" in spoilt and f"{needed} cut" in spoilt
    assert reported(runtime.load_steps(good.id))[1].encode(PAIRS).shape == (2, 64)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("The checkpoint folder /srv/toy has no modules.json.", "The checkpoint folder toy has no modules.json."),
        ("The weights in /srv/toy cannot be read: x", "The weights in toy cannot be read: x"),
        ("/srv/toy/2_Dense: expected linear.weight", "toy/2_Dense: expected linear.weight"),
        ("No file in '/data/a/snapshots/c0ffee/x.bin'.", "No file in 'x.bin'."),
        (r"No file in D:\models\ann\x.bin.", "No file in x.bin."),
        ("and/or 3/4 see https://huggingface.co/a/b", "and/or 3/4 see https://huggingface.co/a/b"),
    ],
)
def test_a_visitor_sees_the_last_part_of_a_path_alone(message: str, shown: str):
    assert without_paths(message, Checkpoint("toy", "/srv/toy")) == shown


def test_a_path_with_spaces_is_not_shown_either():
    folder = "/srv/my models/toy"
    assert without_paths(f"{folder} is broken: {folder}/x", Checkpoint("toy", folder)) == "toy is broken: toy/x"


def test_visitors_who_choose_the_same_checkpoint_share_its_download(
    checkpoint_a: Path, monkeypatch: pytest.MonkeyPatch
):
    runtime = Runtime((local_checkpoint(checkpoint_a),), device="cpu")
    started, hold = [], Event()

    def find(source: str, **options: Any) -> Path:
        started.append(source)
        assert hold.wait(30)
        return checkpoint_a

    monkeypatch.setattr("instructor_core.encoder.find_checkpoint", find)
    first, second = runtime.load_steps("random-a"), runtime.load_steps("random-a")
    assert next(first) == next(second) == "loading random-a"
    threads = [Thread(target=lambda steps=steps: reported(steps)) for steps in (first, second)]
    for thread in threads:
        thread.start()
    while not started:
        pass
    download = runtime._downloads["random-a"]
    assert runtime._download(runtime.checkpoints[0]) is download
    hold.set()
    for thread in threads:
        thread.join(30)
    assert runtime.is_loaded("random-a")


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
