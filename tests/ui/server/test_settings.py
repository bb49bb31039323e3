"""Environment variables and the command line set what they say, and a wrong value is explained before anything runs."""

import gc
import logging
import re
import runpy
import socket
import sys
from pathlib import Path

import gradio as gr
import pytest

from instructor_core.errors import UserError
from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.demo import build_runtime
from instructor_core.ui.server import serve
from instructor_core.ui.server.settings import VARIABLES, Settings, read_settings, with_checkpoint, with_comparison

ROOT = Path(__file__).parents[3]


def test_nothing_set_means_the_defaults_and_the_readme_lists_every_variable_with_its_meaning() -> None:
    assert read_settings({}) == Settings() == read_settings(dict.fromkeys(VARIABLES, " "))
    readme = (ROOT / "instructor_core" / "ui" / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `((?:INSTRUCTOR|GRADIO)_\w+)` \| (.*) \|$", readme, flags=re.MULTILINE))
    assert listed == VARIABLES


def test_every_variable_is_honoured(tmp_path: Path) -> None:
    given = {
        "INSTRUCTOR_CHECKPOINT": str(tmp_path),
        "INSTRUCTOR_DEVICE": "cuda:1",
        "INSTRUCTOR_DTYPE": "bfloat16",
        "INSTRUCTOR_QUEUE_SIZE": "5",
        "INSTRUCTOR_CACHE_MB": "7",
        "INSTRUCTOR_MAX_PAIRS": "9",
        "INSTRUCTOR_THREADS": "3",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SERVER_PORT": "8123",
    }
    assert set(given) == set(VARIABLES)
    settings = read_settings(given)
    assert settings.checkpoints[0].source == str(tmp_path)
    assert settings.checkpoints[1:] == CHECKPOINTS
    assert (settings.device, settings.dtype, settings.threads) == ("cuda:1", "bfloat16", 3)
    assert (settings.host, settings.port) == ("0.0.0.0", 8123)
    runtime = build_runtime(settings)
    assert (runtime.queue.max_requests, runtime.cache_mb, runtime.max_pairs) == (5, 7, 9)
    assert (runtime.device, runtime.dtype, runtime.threads) == ("cuda:1", "bfloat16", 3)


def test_a_checkpoint_of_the_menu_or_a_folder_in_its_place_can_be_put_first(tmp_path: Path) -> None:
    settings = read_settings({"INSTRUCTOR_CHECKPOINT": "instructor-large"})
    rest = [f"instructor-{size}" for size in ("mini", "base", "xl")]
    assert [checkpoint.id for checkpoint in settings.checkpoints] == ["instructor-large", *rest]
    assert with_checkpoint(settings, None) is settings
    (tmp_path / "instructor-base").mkdir()
    settings = with_checkpoint(Settings(), str(tmp_path / "instructor-base"))
    assert [checkpoint.id for checkpoint in settings.checkpoints].count("instructor-base") == 1
    assert settings.checkpoints[0].source == str(tmp_path / "instructor-base")


def test_a_second_checkpoint_stands_beside_the_first_under_a_name_of_its_own(tmp_path: Path) -> None:
    folders = [tmp_path / run / "checkpoint" for run in ("one", "two")]
    for folder in folders:
        folder.mkdir(parents=True)
    settings = with_comparison(with_checkpoint(Settings(), str(folders[0])), str(folders[1]))
    assert [each.id for each in settings.checkpoints[:2]] == ["checkpoint", "two/checkpoint"]
    assert [each.source for each in settings.checkpoints[:2]] == [str(folder) for folder in folders]
    assert build_runtime(settings).beside_id == "two/checkpoint"
    named = with_comparison(Settings(), "instructor-large")
    assert [each.id for each in named.checkpoints] == [f"instructor-{size}" for size in ("mini", "large", "base", "xl")]
    assert with_comparison(named, None) is named
    with pytest.raises(UserError, match="is open on instructor-mini already: --compare takes another"):
        with_comparison(Settings(), "instructor-mini")


def test_a_wrong_value_is_explained_a_misspelt_variable_reported_and_the_cores_of_a_space_bound_the_threads(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value, words in (
        ("GRADIO_SERVER_PORT", "http", "GRADIO_SERVER_PORT is an integer from 1 to 65535: got 'http'."),
        ("INSTRUCTOR_THREADS", "9" * 5000, "an integer from 1 to 512"),
        ("INSTRUCTOR_DTYPE", "float16", "INSTRUCTOR_DTYPE is one of float32, bfloat16: got 'float16'."),
        ("INSTRUCTOR_CHECKPOINT", "instructor-huge", "a folder or one of instructor-mini, .*: got 'instructor-huge'"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            read_settings({name: value})
        assert len(str(caught.value)) < 250
    with caplog.at_level(logging.WARNING):
        read_settings({"INSTRUCTOR_CASHE_MB": "5", "INSTRUCTOR_CACHE_MB": "5"})
    assert [record.getMessage().split(" is ")[0] for record in caplog.records] == ["INSTRUCTOR_CASHE_MB"]
    assert read_settings({"SPACE_ID": "a/b", "CPU_CORES": "2"}).threads == 2
    assert read_settings({"SPACE_ID": "a/b", "CPU_CORES": "2", "INSTRUCTOR_THREADS": "5"}).threads == 5
    assert read_settings({"SPACE_ID": "a/b", "CPU_CORES": "many"}).threads is None


def answer_to(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """With what `python app.py` ends after these arguments."""
    monkeypatch.setattr(sys, "argv", ["app.py", *arguments])
    try:
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
    finally:
        gc.enable()  # which the app puts off until its page is built
    return ended.value.code


def test_the_app_explains_a_wrong_value_in_one_line_and_lists_the_variables_in_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = str(answer_to(["--checkpoint", "nowhere"], monkeypatch))  # the interpreter prints it and exits with 1
    assert wrong.startswith("A checkpoint is a folder or one of ") and "\n" not in wrong
    assert answer_to(["--help"], monkeypatch) == 0
    shown = capsys.readouterr().out
    assert all(name in shown and meaning in shown for name, meaning in VARIABLES.items())


def test_a_port_that_is_taken_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken, gr.Blocks(analytics_enabled=False) as page:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(serve, "warm_up", lambda: None)
        monkeypatch.setattr(serve, "prepare", lambda page: None)
        with pytest.raises(UserError, match=rf"cannot listen on 127\.0\.0\.1, port {port}: it is in use"):
            serve.launch(page, build_runtime(Settings()), host="127.0.0.1", port=port)
