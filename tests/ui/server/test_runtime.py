"""Checkpoints are loaded from the registry alone, once for all who ask, and a few at a time."""

import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.errors import UserError
from instructor_core.hub import CHECKPOINTS, Checkpoint, local_checkpoint
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.server.progress import describe, finish
from instructor_core.ui.server.runtime import MAX_LOADED, Runtime

PAIRS = [("Represent the text: ", "One."), ("", "Two.")]


def reported(steps: Generator[str, None, Any]) -> tuple[list[str], Any]:
    """What a generator yields, and what it returns."""
    lines: list[str] = []
    result = finish(describe(steps, lines.append))
    return lines, result


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


def test_the_checkpoint_used_longest_ago_leaves_the_memory_before_another_is_loaded(
    checkpoint_a: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = tuple(Checkpoint(f"copy-{i}", str(checkpoint_a)) for i in range(MAX_LOADED + 1))
    runtime = Runtime(checkpoints, device="cpu")
    first = runtime.encoder("copy-0")
    for checkpoint in checkpoints[1:MAX_LOADED]:
        runtime.encoder(checkpoint.id)
    assert runtime.encoder("copy-0") is first
    runtime.encoder(f"copy-{MAX_LOADED}")
    loaded = [checkpoint.id for checkpoint in checkpoints if runtime.is_loaded(checkpoint.id)]
    assert loaded == ["copy-0", f"copy-{MAX_LOADED}"]
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
