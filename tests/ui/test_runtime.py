"""Checkpoints are loaded from the registry alone, a few at a time, and from the hub with visible progress."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.errors import UserError
from instructor_core.hub import CHECKPOINTS, Checkpoint, local_checkpoint
from instructor_core.ui.inputs import Inputs
from instructor_core.ui.runtime import MAX_LOADED, Runtime, without_paths
from tests.conftest import make_checkpoint
from tests.ui.fake_hub import COMMIT, Hub, serve

ROOT = Path(__file__).parents[2]
PAIRS = [("Represent the text: ", "One."), ("", "Two.")]

# What the app does when a visitor chooses a checkpoint of the hub, in a process of its own: the hub client reads its
# settings once. First a line of Python is run, which may make trouble. Prints one JSON object: the lines of progress,
# the seconds, and the embedding or the error.
CHOOSE = """
import json, os, sys, time
exec(sys.argv[3])
from instructor_core.hub import Checkpoint
from instructor_core.errors import UserError
from instructor_core.ui.runtime import Runtime

runtime = Runtime((Checkpoint("toy", "someone/toy", sys.argv[2] or None, 0, int(sys.argv[1])),))
lines, started = [], time.monotonic()
steps = runtime.load_steps("toy")
result = {}
try:
    while True:
        lines.append(next(steps))
except StopIteration as stop:
    result["vector"] = stop.value.encode([("Represent the text: ", "One."), ("", "Two.")]).tolist()
except UserError as error:
    result["error"] = str(error)
print(json.dumps(result | {"lines": lines, "seconds": time.monotonic() - started}), flush=True)
os._exit(0)  # a download that hangs is not waited for
"""


def finished(steps: Generator[str, None, Any]) -> tuple[list[str], Any]:
    """What a generator yields, and what it returns."""
    lines = []
    while True:
        try:
            lines.append(next(steps))
        except StopIteration as stop:
            return lines, stop.value


def choose(endpoint: str, cache: Path, *, megabytes: int = 0, revision: str = "", trouble: str = "") -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    environment |= {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": str(ROOT / "tests" / "offline"),
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, "-c", CHOOSE, str(megabytes), revision, trouble],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


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
            finished(runtime.load_steps(name))


def test_a_checkpoint_is_loaded_once_and_its_embeddings_are_those_of_the_encoder(checkpoint_a: Path):
    local = local_checkpoint(checkpoint_a)
    runtime = Runtime((local,), device="cpu")
    assert not runtime.is_loaded(local.id)
    lines, encoder = finished(runtime.load_steps(local.id))
    assert lines == [f"loading {local.id}"]
    assert runtime.is_loaded(local.id)
    assert finished(runtime.load_steps(local.id)) == ([], encoder)
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


def test_a_broken_folder_is_explained_and_can_be_tried_again(checkpoint_a: Path, tmp_path: Path):
    folder = tmp_path / "broken"
    folder.mkdir()
    runtime = Runtime((local_checkpoint(folder),), device="cpu")
    with pytest.raises(UserError, match=r"^The checkpoint folder broken has no modules\.json"):
        finished(runtime.load_steps("broken"))
    for file in checkpoint_a.iterdir():
        (folder / file.name).symlink_to(file)
    _, encoder = finished(runtime.load_steps("broken"))
    assert encoder.encode(PAIRS).shape == (2, 64)


def damaged_copies(checkpoint: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Copies of a checkpoint, each with one file damaged in one way."""
    damages = {
        "empty": lambda content: b"",
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
            finished(runtime.load_steps("spoilt"))
        except UserError as error:
            spoilt.append(what)
            assert str(tmp_path) not in str(error), what
            assert "spoilt" in str(error) or "checkpoint" in str(error), what
            assert len(str(error)) < 500, what
    # The rest are files that the tokenizer does without, and weights are read to the last byte.
    for needed in ("config.json", "modules.json", "pytorch_model.bin", "tokenizer.json", "2_Dense/pytorch_model.bin"):
        assert f"{needed} empty" in spoilt and f"{needed} garbage" in spoilt and f"{needed} cut" in spoilt
    assert finished(runtime.load_steps(good.id))[1].encode(PAIRS).shape == (2, 64)


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
    threads = [Thread(target=lambda steps=steps: finished(steps)) for steps in (first, second)]
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


def test_a_hub_that_cannot_be_reached_is_reported_within_seconds(tmp_path: Path):
    answer = choose("http://127.0.0.1:9", tmp_path)
    assert answer["seconds"] < 15  # the hub client's own retries take 23 s and more
    assert "Could not download 'someone/toy'" in answer["error"]
    assert "Check the network" in answer["error"]


@pytest.mark.parametrize("revision", ["", COMMIT])
def test_a_download_shows_its_progress_and_the_next_start_needs_no_hub(large: Path, tmp_path: Path, revision: str):
    size = megabytes_of(large)
    with serve(large, "someone/toy") as hub:
        first = choose(hub.url, tmp_path, megabytes=size, revision=revision)
    expected = InstructorModel(large, device="cpu").encode(PAIRS, normalize=False)
    np.testing.assert_allclose(first["vector"], expected, atol=1e-4)
    assert first["lines"][0] == "loading toy"
    shown = [re.fullmatch(rf"downloading toy: (\d+) of {size} MB", line) for line in first["lines"][1:]]
    amounts = [int(match[1]) for match in shown if match]
    assert len(amounts) == len(shown) >= 2
    assert amounts == sorted(amounts)
    assert 0 < amounts[-1] <= size + 1
    again = choose("http://127.0.0.1:9", tmp_path, megabytes=size, revision=revision)
    assert again["lines"] == ["loading toy"]
    np.testing.assert_allclose(again["vector"], expected, atol=1e-4)


def test_a_download_cut_in_the_middle_is_explained_and_the_next_try_succeeds(large: Path, tmp_path: Path):
    with serve(large, "someone/toy") as hub:
        hub.cut_after = 3_000_000
        cut = choose(hub.url, tmp_path)
        assert "Could not download 'someone/toy'" in cut["error"]
        hub.cut_after = None
        assert "vector" in choose(hub.url, tmp_path)


# Writing more than a megabyte of a download fails as on a full disk.
FULL = """
import builtins, errno, io, pathlib
class Full(io.BufferedWriter):
    def write(self, data):
        if self.tell() + len(data) > 10**6:
            raise OSError(errno.ENOSPC, "No space left on device", self.name)
        return super().write(data)
def open_full(path, mode="r", *arguments, open=open, **options):
    if str(path).endswith(".incomplete") and "r" not in mode:
        return Full(io.FileIO(path, mode.replace("b", "")))
    return open(path, mode, *arguments, **options)
builtins.open = open_full
pathlib.Path.open = lambda self, mode="r", *arguments, **options: open_full(self, mode, *arguments, **options)
"""


def test_a_disk_that_is_full_is_said_to_be_and_the_next_try_succeeds(large: Path, tmp_path: Path):
    with serve(large, "someone/toy") as hub:
        full = choose(hub.url, tmp_path, megabytes=17, trouble=FULL)
        assert full["error"] == (
            "toy could not be downloaded: the disk of the server has no room for its 17 MB. "
            "Use another checkpoint, or free some space there and choose it again."
        )
        assert "vector" in choose(hub.url, tmp_path)


def test_a_hub_that_falls_silent_is_reported_while_it_lasts_and_given_up(large: Path, tmp_path: Path):
    impatient = "from instructor_core.ui import runtime; runtime.STALLED_S, runtime.GIVEN_UP_S = 0.6, 3.0"
    with serve(large, "someone/toy") as hub:
        hub.stall_after = 3_000_000
        silent = choose(hub.url, tmp_path, megabytes=17, trouble=impatient)
        assert silent["error"].startswith("The Hugging Face Hub has sent nothing of toy for 3 s.")
        assert re.fullmatch(r"downloading toy: \d of 17 MB; nothing new for \d s", silent["lines"][-1])


def test_a_name_that_the_hub_does_not_know_is_said_to_be_unknown(large: Path, tmp_path: Path):
    with serve(large, "someone/other") as hub:
        assert "no public repository 'someone/toy'" in choose(hub.url, tmp_path)["error"]
        assert_no_file_was_asked_for(hub)


def assert_no_file_was_asked_for(hub: Hub) -> None:
    assert not [request for request in hub.requests if "/resolve/" in request]
