"""The app as a process: health, MCP, hostile input, many visitors, and where it writes."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numba
import numpy as np
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent, Tool

from instructor_core import InstructorModel
from instructor_core.analysis.reduction import prepare_numba
from instructor_core.ui.data.inputs import MAX_INSTRUCTIONS
from tests import fuzz, load
from tests.serving import ROOT, Server, serving

ENDPOINTS = ["encode", "similarity", "compare", "tokens", "project", "ledger", "leaderboard", "fingerprint"]
TEXTS = ["The soup was cold.", "A wonderful evening!", "The flight was late."]
VISITORS, ROUNDS = 50, 3  # `python -m tests.load` goes on for longer
GROWTH_MB = 64  # that 50 visitors may add once everything is warm
PEAK_MB = 2000  # of the server with a small checkpoint, whatever it is sent
WRITES = "writes.txt"
WITHIN_S = 60.0
SMALL = {"INSTRUCTOR_CACHE_MB": "4", "INSTRUCTOR_THREADS": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a Space gets of this project, alone."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("instructor_core", "assets"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "app.py", folder)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of the server."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, checkpoint_a: Path, checkout: Path, home: Path
) -> Iterator[Server]:
    """The app on a small checkpoint: its writes are noted, and all but its own folder is read-only where possible."""
    folder = tmp_path_factory.mktemp("server")
    temporary = folder / "temporary"
    temporary.mkdir()
    prepare_numba()
    compiled = Path(numba.config.CACHE_DIR)
    if compiled.is_dir():  # what other tests had compiled of UMAP
        shutil.copytree(compiled, temporary / compiled.name)
    environment = SMALL | {
        "WRITES_LOG": str(folder / WRITES),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT / "tests" / "offline"),
    }
    arguments = ("app.py", "--checkpoint", str(checkpoint_a))
    closed = (Path(sys.prefix), checkout, home)
    with serving(folder, arguments=arguments, environment=environment, checkout=checkout, read_only=closed) as running:
        yield running
    assert written_elsewhere(folder) == []
    assert running.take_foreign_hosts() == []


def written_elsewhere(folder: Path) -> list[str]:
    """Paths that a process changed or tried to, except below the folder of its caches and temporary files.

    One file is Gradio's own: it completes a stub that its wheel lacks, at its first import after an installation.
    """
    paths = set((folder / WRITES).read_text(encoding="utf-8").splitlines())
    allowed = (f"{folder}/", "/dev/", "/proc/")
    return sorted(path for path in paths if not path.startswith(allowed) and Path(path).name != "api_component.pyi")


def health(server: Server) -> dict[str, Any]:
    with urllib.request.urlopen(f"{server.url}/health", timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def memory_mb(server: Server) -> float:
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="utf-8")
    return int(re.findall(r"^VmHWM:\s+(\d+) kB", status, flags=re.MULTILINE)[0]) / 1024


def own_frames(log: str) -> list[str]:
    """Lines of tracebacks that lie in this project, the gate left out: whatever a route raises passes through it."""
    frames = re.findall(r'File "\S*?/((?:instructor_core/|app\.py)\S*?)", line \d+', log)
    return [frame for frame in frames if frame != "instructor_core/ui/server/gate.py"]


# ------------------------------------------------------------------------------------------------------------- health


def test_health_tells_how_the_app_is_and_names_no_path(server: Server, checkpoint_a: Path) -> None:
    found = health(server)
    assert (found["status"], found["checkpoint"], found["loaded"]) == ("ok", "random-a", ["random-a"])
    assert (found["queue"], found["queue_size"]) == (0, 64)
    assert found["version"] and found["uptime_s"] > 0 and found["cache_bytes"] > 0
    assert "/" not in json.dumps(found)


# ---------------------------------------------------------------------------------------------------------------- MCP


async def _with_mcp(url: str, name: str | None, arguments: dict[str, Any]) -> list[Tool] | CallToolResult:
    async with (
        streamable_http_client(f"{url}/gradio_api/mcp/") as (read, write, *_),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        return (await session.list_tools()).tools if name is None else await session.call_tool(name, arguments)


def call(server: Server, name: str, **arguments: Any) -> tuple[bool, str]:
    """Whether the tool failed, and its answer."""
    result = asyncio.run(_with_mcp(server.url, name, arguments))
    assert isinstance(result, CallToolResult)
    return bool(result.isError), "".join(part.text for part in result.content if isinstance(part, TextContent))


def test_the_tools_of_mcp_are_the_endpoints_and_say_what_they_take(server: Server) -> None:
    found = asyncio.run(_with_mcp(server.url, None, {}))
    assert isinstance(found, list)
    assert [tool.name for tool in found] == ENDPOINTS
    for tool in found:
        assert re.fullmatch(r"[A-Z].* Returns: .*\.", tool.description or ""), tool.name
        assert not re.search(r";,|,,| ,", tool.description or ""), tool.description
        for name, parameter in tool.inputSchema["properties"].items():
            assert len(parameter["description"]) > 10 and parameter["description"].endswith("."), (tool.name, name)
            assert "type" in parameter or "enum" in parameter or "oneOf" in parameter, (tool.name, name)
    assert found[0].inputSchema["required"] == ["texts", "instructions"]


def test_a_tool_answers_with_what_the_encoder_computes_or_says_why_it_cannot(
    server: Server, checkpoint_a: Path
) -> None:
    asked = {"texts": TEXTS, "instructions": ["Represent the text:"], "checkpoint": checkpoint_a.name}
    failed, answer = call(server, "encode", **asked)
    assert not failed
    expected = InstructorModel(checkpoint_a, device="cpu").encode([("Represent the text: ", text) for text in TEXTS])
    np.testing.assert_allclose(json.loads(answer)["embeddings"][0], expected, atol=1e-5)
    failed, answer = call(server, "encode", texts=TEXTS, instructions=[""] * 9)
    assert failed and "instructions: list should have at most 8 items, got 9. 1 to 8 instructions" in answer
    assert "Traceback" not in answer and str(ROOT) not in answer


# ------------------------------------------------------------------------------------------------------ many visitors


def test_fifty_visitors_get_their_own_answers_and_memory_stays_where_it_is(server: Server, checkpoint_a: Path) -> None:
    findings = asyncio.run(
        load.run(server.url, checkpoint_a.name, visitors=VISITORS, rounds=ROUNDS, think=0.5, pid=server.pid)
    )
    load.check_vectors(findings, str(checkpoint_a))
    print("\n".join(findings.lines()))
    assert findings.errors == []
    assert findings.n_requests == VISITORS * ROUNDS
    assert set(findings.latencies) == {"Embed", "encode", "similarity", "tokens"}
    assert findings.growth_mb() < GROWTH_MB
    assert memory_mb(server) < PEAK_MB
    assert health(server)["queue"] == 0


def test_an_answer_to_somebody_else_and_growth_are_noticed_and_a_warm_up_is_no_growth(checkpoint_a: Path) -> None:
    findings = load.Findings()
    form = load.PageForm(0, 0, ())
    visitor = load.Visitor(7, httpx.AsyncClient(), form, "random-a", findings, load.random.Random(0))
    visitor.check_marks("visitor 7 round 1")
    for foreign in ("visitor 8 round 1", "visitor 7 and visitor 8", ""):
        with pytest.raises(ValueError, match="texts of visitors"):
            visitor.check_marks(foreign)
    findings.vectors["a text"] = [[0.0] * 64] * 2
    load.check_vectors(findings, str(checkpoint_a))
    assert findings.errors == ["2 of 2 embeddings are not those of the texts that were sent"]
    flat = [(float(at), 100.0 if at > 2 else 50.0) for at in range(11)]
    assert load.Findings(memory=flat).growth_mb() == 0
    assert load.Findings(memory=[(at, mb + 20 * at) for at, mb in flat]).growth_mb() > 50


def press(server: Server, elem_id: str, data: list[Any], kind: str = "click") -> str:
    """What the page hears after an event of one of its components."""
    config = httpx.get(f"{server.url}/config").json()
    (number,) = (entry["id"] for entry in config["components"] if entry["props"].get("elem_id") == elem_id)
    (entry,) = (entry for entry in config["dependencies"] if [number, kind] in entry["targets"])
    body = {"data": data, "fn_index": entry["id"], "session_hash": elem_id}
    httpx.post(f"{server.url}/gradio_api/queue/join", json=body).raise_for_status()
    answer = httpx.get(f"{server.url}/gradio_api/queue/data", params={"session_hash": elem_id}, timeout=WITHIN_S)
    return answer.text


# ------------------------------------------------------------------------------------------------------ hostile input


def test_an_address_in_place_of_an_upload_is_not_opened(server: Server) -> None:
    for address in ("https://example.org/texts.csv", "http://127.0.0.1:9/texts.csv"):
        data = [{"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}, *[""] * MAX_INSTRUCTIONS]
        heard = press(server, "upload-file", data, "change")
        assert "Addresses are not opened here. Upload the file instead." in heard
        assert httpx.get(f"{server.url}/gradio_api/file={address}").status_code == 404
    assert server.take_foreign_hosts() == []


def test_hostile_input_neither_breaks_nor_leaks_anything(server: Server, checkpoint_a: Path) -> None:
    before = len(server.log_text())
    report = fuzz.fuzz(server.url, requests=120, seed=1, pressing=False)
    assert own_frames(server.log_text()[before:]) == []
    pressed = fuzz.fuzz(server.url, requests=60, seed=2)
    assert report.problems + pressed.problems == []
    assert sum((report.tried + pressed.tried).values()) == 180
    assert memory_mb(server) < PEAK_MB
    assert health(server)["queue"] == 0
    failed, _ = call(server, "encode", texts=TEXTS, instructions=[""])
    assert not failed


# ------------------------------------------------------------------------------------------------- where it is written


def test_a_process_that_writes_elsewhere_is_noticed(tmp_path: Path) -> None:
    own, elsewhere = tmp_path / "own", tmp_path / "elsewhere"
    own.mkdir()
    elsewhere.mkdir()
    gone = str(elsewhere / "gone")
    program = ["import os, pathlib, shutil, sqlite3, tempfile; open('here', 'w').close()"]
    for number, writing in enumerate(
        [
            "open('{}', 'w')",
            "pathlib.Path('{}').touch()",
            "os.mkdir('{}')",
            "os.rename('here', '{}')",
            "shutil.copyfile(__file__, '{}')",
            "os.remove('{}')",
            f"os.remove('gone7', dir_fd=os.open('{elsewhere}', os.O_RDONLY))",
            "sqlite3.connect('{}')",
        ],
        start=1,
    ):
        program.append(f"try: {writing.format(f'{gone}{number}')}\nexcept OSError: pass")
    (own / "program.py").write_text("\n".join(program), encoding="utf-8")
    environment = {"PYTHONPATH": str(ROOT / "tests" / "offline"), "WRITES_LOG": str(own / WRITES)}
    subprocess.run([sys.executable, "program.py"], cwd=own, env=environment, check=True)
    assert written_elsewhere(own) == [f"{gone}{number}" for number in range(1, 9)]
    assert str(own / "here") in (own / WRITES).read_text(encoding="utf-8")


def test_the_app_writes_only_where_it_may_and_calls_nobody(server: Server, home: Path) -> None:
    """The end of `server` looks again, at what the other tests had it do."""
    texts = [f"Text number {n} about {'tea' if n % 2 else 'trains'}." for n in range(20)]
    failed, answer = call(server, "project", texts=texts, instructions=[""])
    assert not failed and json.loads(answer)["method"] == "umap"
    labels = ["trains", "tea"] * 10
    failed, answer = call(server, "leaderboard", texts=texts, labels=labels, instructions=["Represent the topic:"])
    assert not failed, answer
    for kind in ("report", "npz", "csv", "parquet", "similarity"):
        assert "ic-error" not in press(server, "export-download", [None, kind])
    folder = server.log.parent
    assert list((folder / "gradio").rglob("report.html"))
    assert written_elsewhere(folder) == []
    assert list(home.iterdir()) == []
    assert server.take_foreign_hosts() == []
