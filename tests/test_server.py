"""The app as a process: health, MCP, hostile input, many visitors, and where it writes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent, Tool

from instructor_core import InstructorModel
from tests import fuzz, load
from tests.serving import ROOT, Server, serving

ENDPOINTS = ["encode", "similarity", "tokens", "project", "ledger", "leaderboard", "fingerprint"]
TEXTS = ["The soup was cold.", "A wonderful evening!", "The flight was late."]
LOAD_S = float(os.environ.get("LOAD_S", "60"))
GROWTH_MB = 64  # that 50 visitors may add once everything is warm
PEAK_MB = 2000  # of the server with a small checkpoint, whatever it is sent
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
    """The app on a small checkpoint. Nothing may change in the checkout or in the home folder."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "temporary").mkdir()
    environment = SMALL | {
        "HOME": str(home),
        "TMPDIR": str(folder / "temporary"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT / "tests" / "offline"),
    }
    before = listing(checkout)
    arguments = ("app.py", "--checkpoint", str(checkpoint_a))
    with serving(folder, arguments=arguments, environment=environment, checkout=checkout) as running:
        yield running
    assert listing(checkout) == before
    assert listing(home) == {}
    assert running.take_foreign_hosts() == []


def listing(folder: Path) -> dict[str, float]:
    """Files below a folder and when they were changed."""
    return {str(path.relative_to(folder)): path.stat().st_mtime for path in folder.rglob("*") if path.is_file()}


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
    return [frame for frame in frames if frame != "instructor_core/ui/gate.py"]


# ------------------------------------------------------------------------------------------------------------- health


def test_health_tells_how_the_app_is_and_names_no_path(server: Server, checkpoint_a: Path) -> None:
    found = health(server)
    assert (found["status"], found["checkpoint"], found["loaded"]) == ("ok", "random-a", ["random-a"])
    assert (found["queue"], found["queue_size"]) == (0, 32)
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


def tools(server: Server) -> list[Tool]:
    found = asyncio.run(_with_mcp(server.url, None, {}))
    assert isinstance(found, list)
    return found


def call(server: Server, name: str, **arguments: Any) -> tuple[bool, str]:
    """Whether the tool failed, and its answer."""
    result = asyncio.run(_with_mcp(server.url, name, arguments))
    assert isinstance(result, CallToolResult)
    return bool(result.isError), "".join(part.text for part in result.content if isinstance(part, TextContent))


def test_the_tools_of_mcp_are_the_endpoints_and_say_what_they_take(server: Server) -> None:
    found = tools(server)
    assert [tool.name for tool in found] == ENDPOINTS
    for tool in found:
        assert re.fullmatch(r"[A-Z].* Returns: .*\.", tool.description or ""), tool.name
        assert not re.search(r";,|,,| ,", tool.description or ""), tool.description
        for name, parameter in tool.inputSchema["properties"].items():
            assert len(parameter["description"]) > 10 and parameter["description"].endswith("."), (tool.name, name)
            assert "type" in parameter or "enum" in parameter or "oneOf" in parameter, (tool.name, name)
    assert found[0].inputSchema["required"] == ["texts", "instructions"]


def test_a_tool_answers_with_what_the_encoder_computes(server: Server, checkpoint_a: Path) -> None:
    asked = {"texts": TEXTS, "instructions": ["Represent the text:"], "checkpoint": checkpoint_a.name}
    failed, answer = call(server, "encode", **asked)
    assert not failed
    expected = InstructorModel(checkpoint_a, device="cpu").encode([("Represent the text: ", text) for text in TEXTS])
    np.testing.assert_allclose(json.loads(answer)["embeddings"][0], expected, atol=1e-5)


def test_a_tool_that_cannot_do_what_is_asked_says_why(server: Server) -> None:
    failed, answer = call(server, "encode", texts=TEXTS, instructions=[""] * 9)
    assert failed
    assert "instructions takes 1 to 8 strings: got 9" in answer
    assert "Traceback" not in answer and str(ROOT) not in answer


# ------------------------------------------------------------------------------------------------------ many visitors


def test_fifty_visitors_get_their_own_answers_and_memory_stays_where_it_is(server: Server, checkpoint_a: Path) -> None:
    findings = asyncio.run(
        load.run(server.url, checkpoint_a.name, visitors=50, seconds=LOAD_S, think=1.0, pid=server.pid)
    )
    load.check_vectors(findings, str(checkpoint_a))
    print("\n".join(findings.lines()))
    assert findings.errors == []
    assert findings.n_requests > 2 * LOAD_S and set(findings.latencies) == {"Embed", "encode", "similarity", "tokens"}
    assert findings.growth_mb() < GROWTH_MB
    assert memory_mb(server) < PEAK_MB
    assert health(server)["queue"] == 0


def test_an_answer_to_somebody_else_is_noticed(checkpoint_a: Path) -> None:
    findings = load.Findings()
    visitor = load.Visitor(7, httpx.AsyncClient(), "random-a", findings, load.random.Random(0))
    visitor.check_marks("visitor 7 round 1", must=True)
    with pytest.raises(ValueError, match="texts of visitors"):
        visitor.check_marks("visitor 8 round 1", must=True)
    with pytest.raises(ValueError, match="texts of visitors"):
        visitor.check_marks("", must=True)
    findings.vectors["a text"] = [[0.0] * 64] * 2
    load.check_vectors(findings, str(checkpoint_a))
    assert findings.errors == ["2 of 2 embeddings are not those of the texts that were sent"]


def test_growth_is_noticed_and_a_warm_up_is_not_growth() -> None:
    flat = [(float(at), 100.0 if at > 2 else 50.0) for at in range(11)]
    assert load.Findings(memory=flat).growth_mb() == 0
    assert load.Findings(memory=[(at, mb + 20 * at) for at, mb in flat]).growth_mb() > 50


# ------------------------------------------------------------------------------------------------------ hostile input


def test_an_address_in_place_of_an_upload_is_not_opened(server: Server) -> None:
    config = httpx.get(f"{server.url}/config").json()
    (file,) = (entry["id"] for entry in config["components"] if entry["props"].get("elem_id") == "upload-file")
    (entry,) = (entry for entry in config["dependencies"] if [file, "change"] in entry["targets"])
    for address in ("https://example.org/texts.csv", "http://127.0.0.1:9/texts.csv"):
        data = [{"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}]
        body = {"data": data, "fn_index": entry["id"], "session_hash": "address"}
        httpx.post(f"{server.url}/gradio_api/queue/join", json=body).raise_for_status()
        answer = httpx.get(f"{server.url}/gradio_api/queue/data", params={"session_hash": "address"})
        assert "Addresses are not opened here. Upload the file instead." in answer.text
        assert httpx.get(f"{server.url}/gradio_api/file={address}").status_code == 404
    assert server.take_foreign_hosts() == []


def test_hostile_input_neither_breaks_nor_leaks_anything(server: Server, checkpoint_a: Path) -> None:
    before = len(server.log_text())
    report = fuzz.fuzz(server.url, seconds=6, seed=1, pressing=False)
    assert own_frames(server.log_text()[before:]) == []
    pressed = fuzz.fuzz(server.url, seconds=4, seed=2)
    assert report.problems + pressed.problems == []
    assert sum((report.tried + pressed.tried).values()) > 50
    assert memory_mb(server) < PEAK_MB
    assert health(server)["queue"] == 0
    failed, _ = call(server, "encode", texts=TEXTS, instructions=[""])
    assert not failed


# ------------------------------------------------------------------------------------------------- where it is written


def test_a_file_that_appears_or_changes_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = listing(tmp_path)
    (tmp_path / "b").mkdir()
    assert listing(tmp_path) == before
    (tmp_path / "b" / "c").write_text("2")
    assert listing(tmp_path) != before


def test_the_app_writes_only_where_it_may_and_calls_nobody(server: Server, home: Path) -> None:
    """Here after the start and whatever ran before; the end of `server` looks again, at the checkout too."""
    assert listing(home) == {}
    assert server.take_foreign_hosts() == []
