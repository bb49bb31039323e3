"""What the README shows is what happens: its examples are run, its tables are compared with the project."""

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from instructor_core import InstructorModel, find_checkpoint
from instructor_core.hub import CHECKPOINTS
from tests.test_parity import INSTRUCTIONS, LONG, MEASURED, PAIRS, TEXTS, TOLERANCE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BESIDE = [*sorted((ROOT / "instructor_core").glob("*/README.md")), ROOT / "tests" / "benchmarks" / "README.md"]
PAGES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *BESIDE)}
EXAMPLES = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", README, flags=re.DOTALL)
NUMBER = re.compile(r"-?\d+\.\d*")
SPOKEN = " ".join(PAGES[BESIDE[-1]].split())


def assert_same_output(shown: str, printed: str) -> None:
    """Words, integers and layout to the letter; decimals to one in the second place, which a processor may round."""
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", shown).split()
    values = [np.array(NUMBER.findall(text), dtype=float) for text in (printed, shown)]
    np.testing.assert_allclose(*values, atol=0.011)


def table(heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, without its head."""
    section = README.split(f"\n## {heading}\n", 1)[1]
    rows = re.findall(r"^\|(.*)\|$", section.split("\n## ", 1)[0], flags=re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows[2:]]


def test_the_examples_print_what_is_shown_below_them() -> None:
    assert len(EXAMPLES) == README.count("```python\n") == 3
    names: dict[str, object] = {}
    for number, (code, shown) in enumerate(EXAMPLES):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"README example {number}", "exec"), names)
        assert_same_output(shown, printed.getvalue())


def test_the_fine_tuning_example_makes_a_checkpoint_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", "".join(PAGES.values()), flags=re.DOTALL)
        if "RecordSource" in block
    )
    pair = ["Represent the review: ", "Good soup."], ["Represent the review: ", "Fine broth."]
    record = {"query": pair[0], "pos": pair[1], "neg": ["Represent the review: ", "A broken bed."], "task_id": 0}
    (tmp_path / "pairs.jsonl").write_text(f"{json.dumps(record)}\n" * 64, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert "n_steps=500" in code
    exec(
        compile(code.replace("n_steps=500", "n_steps=2"), "README example", "exec"),
        {"InstructorModel": InstructorModel},
    )
    trained, before = InstructorModel("run/checkpoint"), InstructorModel("instructor-mini")
    assert np.abs(trained.encode([pair[0]]) - before.encode([pair[0]])).max() > 1e-5


def test_the_readme_is_read_in_one_go_its_links_lead_somewhere_and_its_pictures_are_there_and_small() -> None:
    pattern = r"\]\((?!https?://)([^)#]+)\)"
    links = [path.parent / link for path, text in PAGES.items() for link in re.findall(pattern, text)]
    assert [link for link in links if not link.exists()] == []
    assert set(BESIDE) <= {link.resolve() for link in links}
    pattern = r"!\[[^\]]+\]\(([^)]+)\)"
    pictures = [(path.parent / name).resolve() for path, text in PAGES.items() for name in re.findall(pattern, text)]
    assert len(set(pictures)) == 5
    assert {path.name: path.stat().st_size for path in pictures if path.stat().st_size > 250_000} == {}
    assert set(pictures) == set((ROOT / "assets" / "screenshots").iterdir())
    assert len(README.splitlines()) <= 200


def test_the_table_of_checkpoints_states_the_sizes_of_the_registry_and_the_front_matter_their_names() -> None:
    rows = table("Checkpoints")
    assert len(rows) == len(CHECKPOINTS)
    for (name, parameters, _, download), checkpoint in zip(rows, CHECKPOINTS, strict=True):
        assert f"`{checkpoint.source}`" in name
        assert parameters == f"{checkpoint.n_parameters / 1e6:g} M"
        if checkpoint.download_mb:
            assert f"(download {download})" in checkpoint.label
    bundled = find_checkpoint(CHECKPOINTS[0].source)
    assert f"({sum(path.stat().st_size for path in bundled.rglob('*.safetensors')) / 1e6:.0f} MB)" in rows[0][3]
    head = README.split("---\n", 2)[1]
    assert re.findall(r"^  - (\S+/\S+)$", head, flags=re.MULTILINE) == [
        checkpoint.source for checkpoint in CHECKPOINTS if "/" in checkpoint.source
    ]
    (description,) = re.findall(r"^short_description: (.+)$", head, flags=re.MULTILINE)
    assert len(description) <= 60


def test_the_numbers_about_exactness_are_those_of_the_parity_tests() -> None:
    assert f"{len(PAIRS)} pairs of {len(INSTRUCTIONS)} instructions and {len(set(TEXTS) | {LONG})} texts" in SPOKEN
    (tolerance,) = re.findall(r"No component may differ by more than (\S+);", SPOKEN)
    (stated,) = re.findall(r"the largest difference measured is (\S+)\.", SPOKEN)
    assert (float(tolerance), float(stated)) == (TOLERANCE, MEASURED)
