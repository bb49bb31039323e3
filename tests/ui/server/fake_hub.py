"""A small Hugging Face Hub on this machine: one public repository, served slowly enough for progress to be seen."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

COMMIT = "c" * 40
PIECE = 1 << 20  # bytes sent at once


@dataclass
class Hub:
    """What the hub has and how it behaves."""

    folder: Path
    repository: str  # owner/name
    url: str = ""
    cut_after: int | None = None  # bytes of a large file after which the connection is closed
    stall_after: int | None = None  # bytes of a large file after which nothing more comes
    closing: Event = field(default_factory=Event)  # set when whoever waits for bytes may go
    stalled: Event = field(default_factory=Event)  # set as soon as somebody waits in vain
    requests: list[str] = field(default_factory=list)  # method and path of each

    def description(self) -> dict[str, object]:
        names = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())
        siblings = [{"rfilename": name} for name in names]
        return {"id": self.repository, "modelId": self.repository, "sha": COMMIT, "siblings": siblings, "tags": []}


def handler_of(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            hub.requests.append(f"{self.command} {self.path}")

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            described = f"/api/models/{hub.repository}"
            resolved = f"/{hub.repository}/resolve/{COMMIT}/"
            if path.startswith(f"/api/models/{hub.repository}/tree/"):
                self.send_json(200, self.tree())
            elif path in (described, f"{described}/revision/main", f"{described}/revision/{COMMIT}"):
                self.send_json(200, hub.description())
            elif path.startswith(resolved) and (hub.folder / path.removeprefix(resolved)).is_file():
                self.send_file(hub.folder / path.removeprefix(resolved))
            elif path.startswith(described):
                self.send_json(404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"})
            else:
                self.send_json(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})

        def tree(self) -> list[dict[str, object]]:
            files = [path for path in hub.folder.rglob("*") if path.is_file()]
            return [
                {
                    "type": "file",
                    "path": str(file.relative_to(hub.folder)),
                    "size": file.stat().st_size,
                    "oid": hashlib.sha1(file.read_bytes()).hexdigest(),
                }
                for file in files
            ]

        def send_json(self, code: int, content: object, headers: dict[str, str] | None = None) -> None:
            body = json.dumps(content).encode()
            self.send_response(code)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def send_file(self, file: Path) -> None:
            content = file.read_bytes()
            start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
            self.send_response(206 if start else 200)
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Type", "application/octet-stream")
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if self.command == "HEAD":
                return
            end = len(content) if hub.cut_after is None else min(len(content), hub.cut_after)
            for at in range(start, end, PIECE):
                if hub.stall_after is not None and at >= hub.stall_after:
                    hub.stalled.set()
                    hub.closing.wait(120)
                    self.close_connection = True
                    return
                self.wfile.write(content[at : min(at + PIECE, end)])
                time.sleep(0.04 if len(content) > PIECE else 0)
            if end < len(content):
                self.close_connection = True

    return Handler


def point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the hub client of this process ask there."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


@contextmanager
def serve(folder: Path, repository: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve a folder as a repository until the block ends, to the hub client as the real hub; its cache is `cache`."""
    hub = Hub(folder, repository)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    point_to(hub.url, monkeypatch)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
