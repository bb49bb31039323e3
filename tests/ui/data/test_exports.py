"""Exports of a run: the numbers come back, and nothing that a visitor typed runs anywhere."""

import csv
import json
import re
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instructor_core import InstructorModel
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.similarity import similarity
from instructor_core.errors import UserError
from instructor_core.hub import CHECKPOINTS, Checkpoint, local_checkpoint
from instructor_core.table import has_pyarrow
from instructor_core.ui.data import exports, report
from instructor_core.ui.data.export_menu import FORMATS, code, write
from instructor_core.ui.data.exports import Export, snippet, write_embeddings_csv, write_npz, write_similarity_csv
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.data.report import report_html
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial.boards import TABLE_HEADERS
from instructor_core.ui.trial.decision import save_rows

ATTACKS = (
    "</script><script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    '=HYPERLINK("http://example.org",1)',
    '"""\nimport os\n"""',
    "\\' + str(1) + '",
    "\u202eright to left\u202c",
    "half a pair \ud800",
    "zero \0 byte",
    "${alert(1)} {{7*7}}",
)
INSTRUCTIONS = ("Represent the <b>text</b>: ", "")
ANY_TEXT = st.text(st.characters(codec=None), max_size=40)


def grid_of(
    texts: tuple[str, ...] = ATTACKS, *, labels: tuple[str, ...] | None = None, dim: int = 4, seed: int = 0
) -> EmbeddingGrid:
    vectors = np.random.default_rng(seed).normal(size=(len(INSTRUCTIONS), len(texts), dim)).astype(np.float32)
    return EmbeddingGrid(INSTRUCTIONS, texts, labels, vectors)


def export_of(grid: EmbeddingGrid, more_labels: tuple[tuple[str, ...], ...] = ()) -> Export:
    return Export(grid, CHECKPOINTS[1], "float32", () if grid.labels is None else (grid.labels, *more_labels))


def rows_of(path: Path) -> list[list[str]]:
    csv.field_size_limit(131_072)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


# ---------------------------------------------------------------------------------------------------------- the files


def test_an_npz_file_holds_the_run_and_no_pickle(tmp_path: Path) -> None:
    texts = ("One.", "Two, longer.", "Drei – äöü 😀.")
    grid = grid_of(texts, labels=("a", "", "b"))
    write_npz(export_of(grid, (("x", "y", "z"),)), tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as loaded:
        assert np.array_equal(loaded["embeddings"], grid.embeddings)
        assert np.array_equal(loaded["norms"], grid.norms)
        assert tuple(loaded["texts"]) == texts and tuple(loaded["instructions"]) == INSTRUCTIONS
        assert loaded["labels"].tolist() == [["a", "", "b"], ["x", "y", "z"]]
        assert str(loaded["checkpoint"]) == "instructor-base"
        assert str(loaded["revision"]) == CHECKPOINTS[1].revision
        assert set(json.loads(str(loaded["versions"]))) >= {"torch", "transformers"}
        assert all(array.dtype.kind in "Uf" for array in loaded.values())


def test_embeddings_and_similarities_come_back_from_csv_to_the_last_bit(tmp_path: Path) -> None:
    grid = grid_of(("One.", "Two."), labels=("a", "-b"), dim=6)
    write_embeddings_csv(export_of(grid, (("x", "y"),)), tmp_path / "run.csv")
    header, *rows = rows_of(tmp_path / "run.csv")
    names = ["letter", "instruction", "number", "text", "label", "label 2", "checkpoint", "revision", "norm", "e0"]
    assert header[:10] == names
    assert all(row[6:8] == [CHECKPOINTS[1].id, CHECKPOINTS[1].revision] for row in rows)
    assert [row[:6] for row in rows[1:3]] == [
        ["A", INSTRUCTIONS[0], "2", "Two.", "'-b", "y"],
        ["B", "", "1", "One.", "a", "x"],
    ]
    values = np.array([row[8:] for row in rows], dtype=np.float32).reshape(2, 2, 7)
    assert np.array_equal(values[..., 1:], grid.embeddings)
    assert np.array_equal(values[..., 0], grid.norms)
    write_similarity_csv(export_of(grid), tmp_path / "run.csv")
    header, *rows = rows_of(tmp_path / "run.csv")
    assert header[-2:] == ["1", "2"]
    values = np.array([row[-2:] for row in rows], dtype=np.float32).reshape(2, 2, 2)
    assert np.array_equal(values, similarity(grid).matrices)


@given(st.lists(st.tuples(st.sampled_from(["", "=", "+", "-", "@", "\t", "\r", " =", "＝"]), ANY_TEXT), min_size=1))
def test_no_cell_of_a_csv_file_begins_a_formula(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[str, str]]
) -> None:
    texts = tuple(start + rest for start, rest in parts)
    path = tmp_path_factory.getbasetemp() / "formula.csv"
    write_embeddings_csv(export_of(grid_of(texts, labels=texts, dim=1)), path)
    rows = rows_of(path)
    assert len(rows) == 1 + 2 * len(texts)
    assert not any(value.strip().startswith(("=", "+", "-", "@", "＝")) for row in rows[1:] for value in row[:5])


def test_a_file_too_large_for_its_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MAX_NUMBERS", 50)
    for write_it in (write_embeddings_csv, write_similarity_csv):
        with pytest.raises(UserError, match="50 numbers"):
            write_it(export_of(grid_of()), tmp_path / "run.csv")
    assert not (tmp_path / "run.csv").exists()
    texts = ("x" * 20_000, *(f"Text {i}." for i in range(1999)))  # each entry as wide as the longest
    with pytest.raises(UserError, match="20000 characters"):
        write_npz(export_of(grid_of(texts, dim=1)), tmp_path / "run.npz")


def test_a_leaderboard_is_written_with_its_checkpoint_and_without_a_formula(runtime: Runtime, tmp_path: Path) -> None:
    rows = [["=1+1", "@cmd", "use", 0.5, -0.125, 1.0, 0.0, 0.25, "better", "-"]]
    path, message = save_rows(runtime, tmp_path, INPUTS, rows)
    assert path is not None and Path(path).is_relative_to(tmp_path) and "leaderboard.csv: 1 row" in message
    header, row = rows_of(Path(path))
    assert header == [*TABLE_HEADERS, "checkpoint", "revision"]
    checkpoint = runtime.checkpoint(INPUTS.checkpoint_id)
    written = ["'=1+1", "'@cmd", "use", "0.5", "-0.125", "1", "0", "0.25", "better", "'-"]
    assert row == [*written, checkpoint.id, checkpoint.revision or ""]


@pytest.mark.skipif(not has_pyarrow(), reason="pyarrow is not installed")
def test_embeddings_come_back_from_parquet_and_without_pyarrow_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as parquet

    grid = grid_of(labels=tuple("ababababa"))
    exports.write_parquet(export_of(grid), tmp_path / "run.parquet")
    table = parquet.read_table(tmp_path / "run.parquet")
    values = np.array(table["embedding"].to_pylist(), dtype=np.float32)
    assert np.array_equal(values.reshape(grid.embeddings.shape), grid.embeddings)
    assert table.schema.metadata[b"checkpoint"] == b"instructor-base"
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UserError, match="Export NPZ"):
        exports.write_parquet(export_of(grid), tmp_path / "run.parquet")


# ----------------------------------------------------------------------------------------------------------- the code


def executed(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(code, "snippet", "exec"), names)
    return names


def test_the_code_computes_the_numbers_of_the_run(mini: InstructorModel) -> None:
    instructions, texts = ("Represent the text for topic: ", ""), ("The soup was cold.", 'It\'s "fine".\\', "Ünï")
    vectors = mini.encode([(a, b) for a in instructions for b in texts], normalize=False)
    grid = EmbeddingGrid(instructions, texts, None, vectors.reshape(2, 3, -1))
    names = executed(snippet(CHECKPOINTS[0], instructions, texts))
    assert np.allclose(names["embeddings"], grid.embeddings, atol=1e-6)
    assert np.allclose(names["similarity"], similarity(grid).matrices, atol=1e-5)


@given(st.lists(ANY_TEXT, min_size=1, max_size=5), st.lists(ANY_TEXT, min_size=1, max_size=3))
def test_whatever_is_typed_stands_in_the_code_as_a_string(texts: list[str], instructions: list[str]) -> None:
    code = snippet(CHECKPOINTS[0], instructions, texts)
    body = code.split("model = ")[0].replace("from instructor_core import InstructorModel", "")
    names = executed(body)
    assert set(names) == {"__builtins__", "instructions", "texts"}
    assert names["texts"] == [exports.well_formed(text) for text in texts]
    assert all(character.isprintable() or character == "\n" for character in code)


def test_the_code_names_the_revision_of_a_hub_checkpoint_and_no_folder_of_the_server(tmp_path: Path) -> None:
    code = snippet(CHECKPOINTS[1], ("",), ("One.",), dtype="bfloat16")
    revision = CHECKPOINTS[1].revision
    assert f"InstructorModel('hkunlp/instructor-base', revision={revision!r}, dtype='bfloat16')" in code
    code = snippet(local_checkpoint(tmp_path), ("",), ("One.",))
    assert str(tmp_path) not in code and f"path/to/{tmp_path.name}" in code


def test_the_code_of_a_long_run_reads_its_texts_from_the_npz_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = tuple(f"Text {i}. np.load " * 20 for i in range(200))
    write_npz(export_of(grid_of(texts)), tmp_path / "embeddings.npz")
    code = snippet(CHECKPOINTS[1], INSTRUCTIONS, texts)
    assert len(code) < 2000
    monkeypatch.chdir(tmp_path)
    assert executed(code.split("model = ")[0])["texts"] == list(texts)
    with np.load("embeddings.npz") as loaded:
        assert loaded["labels"].shape == (0, 200)


# --------------------------------------------------------------------------------------------------------- the report


def parts_of(page: str) -> tuple[str, list[str]]:
    """What a report shows, as HTML, and its scripts: data, plotly.js, and what draws."""
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL), scripts


def test_a_report_draws_its_matrices_runs_no_text_asks_nobody_and_says_what_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body, (data, plotly, drawing) = parts_of(report_html(export_of(grid_of(labels=ATTACKS), (ATTACKS,))))
    tags = re.findall(r"<\w[^>]*>", body)
    assert not [tag for tag in tags if re.search(r"<img|\s(on\w+|src|href|action)=", tag)]
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in body
    assert plotly.count("plotly.js v") == 1 and "showSendToCloud: false" in drawing
    assert all(body.count(escape(exports.well_formed(text))) >= 3 for text in ATTACKS)  # a text and its two labels
    for fact in ("instructor-base", CHECKPOINTS[1].revision, f"torch {torch.__version__.split('+')[0]}"):
        assert str(fact) in body
    view = json.loads(data)
    values = [panel["figure"]["data"][0]["z"] for panel in view["panels"]]
    assert np.allclose(values, similarity(grid_of()).matrices, atol=1e-3)
    assert view["items"][0] == ATTACKS[0] and body.count('class="figure"') == 2
    monkeypatch.setattr(report, "MAX_DRAWN", 3)
    body, scripts = parts_of(report_html(export_of(grid_of(("y" * 3000, "b", "c", "d")))))
    assert "The first 3 of 4 texts are drawn." in body and "… (3000 characters)" in body
    assert len(json.loads(scripts[0])["panels"][0]["figure"]["data"][0]["z"]) == 3


# ----------------------------------------------------------------------------------------------------------- the menu


INPUTS = Inputs("instructor-mini", INSTRUCTIONS, ("One.", "</s> two", "=3"), ("a", "b", "a"), (("x", "y", "z"),))


def test_each_format_is_written_below_the_folder_it_is_given_and_an_unknown_one_nowhere(
    runtime: Runtime, tmp_path: Path
) -> None:
    assert write(runtime, tmp_path, INPUTS, "../../etc/passwd")[0] is None and list(tmp_path.iterdir()) == []
    for kind in set(FORMATS) - {"parquet"}:
        path, message = write(runtime, tmp_path, INPUTS, kind)
        assert path is not None and FORMATS[kind].filename in message
        assert Path(path).stat().st_size > 100 and Path(path).parent.parent == tmp_path
        assert re.fullmatch("[0-9a-f]{32}", Path(path).parent.name)
    idle = Runtime((Checkpoint("far", "no/where", "abc"),))  # its code needs no checkpoint that is loaded
    assert "InstructorModel('no/where', revision='abc')" in code(idle, Inputs("far", ("",), ("One.",), None))
