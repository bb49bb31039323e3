"""Hostile input for a running app: `fuzz("http://127.0.0.1:7860", requests=2000, seed=1).problems` is empty.

Endpoints, page events, uploads, links and MCP get what no honest client sends. Whatever comes, the app answers in time
and with a status below 500, shows no traceback and no path of its machine, and serves the next visitor.
"""

import base64
import gzip
import io
import json
import random
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

ENDPOINTS = {
    "encode": ("texts", "instructions", "checkpoint", "normalize"),
    "similarity": ("texts", "instructions", "checkpoint"),
    "compare": ("texts", "instructions", "other", "checkpoint"),
    "tokens": ("texts", "instruction", "checkpoint"),
    "project": ("texts", "instructions", "method", "layout", "dimensions", "n_neighbors", "min_dist", "metric"),
    "ledger": ("first", "second", "instruction", "second_instruction", "by"),
    "leaderboard": ("texts", "labels", "instructions", "metric", "wordings", "label_name"),
    "fingerprint": ("texts", "instruction"),
}
ANSWERS_WITHIN_S = 120.0
WORKERS = 6
# A traceback, the folder of the app or of its interpreter: nothing that a visitor should see.
LEAK = re.compile(r"Traceback|File \\?\"|site-packages|/instructor_core/|/app\.py|/etc/|root:x:")
STRINGS = (
    "",
    "\0",
    "\x1b[31mred\x07",
    "\ud800",
    "\u202eright to left\u202c",
    "a\u0300" * 500,
    "\U0010ffff",
    "<img src=x onerror=alert(1)>",
    "${alert(1)} {{7*7}} {% raw %}",
    "javascript:alert(1)",
    "=cmd|'/c calc'!A1",
    "</s><pad><extra_id_0><unk>",
    "../../../../etc/passwd",
    "file:///etc/passwd",
    "https://example.org/x.bin",
    "__proto__",
    "%s%n%x" * 20,
    "x" * 1_000_000,
    "one\ttwo | three\r\nfour\u2028five",
)
NUMBERS = (0, -1, 2, 10, 10**9, 2**63, -(2**63), 1e308, -0.0, 0.5, float("nan"), float("inf"))
PATHS = (
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file=app.py",
    "/gradio_api/file=https://example.org/",
    "/assets/%2e%2e/%2e%2e/app.py",
    "/health/../config?x=" + "y" * 3000,
    "/gradio_api/mcp/schema?tools=__proto__",
    "/nothing/here",
)


@dataclass
class Report:
    """What was tried and what went wrong."""

    tried: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def any_string(rng: random.Random) -> str:
    """A string that means trouble somewhere, or a mixture of some."""
    if rng.random() < 0.7:
        return rng.choice(STRINGS)
    return "".join(rng.choice(STRINGS)[:200] for _ in range(3)) + chr(rng.randrange(0x110000))


def any_json(rng: random.Random, depth: int = 0) -> Any:
    """Any JSON, and what is almost JSON (NaN, lone surrogates)."""
    kind = rng.randrange(9 if depth < 3 else 5)
    if kind < 2:
        return any_string(rng)
    if kind == 2:
        return rng.choice(NUMBERS)
    if kind < 5:
        return rng.choice([None, True, False])
    if kind < 7:
        return [any_json(rng, depth + 1) for _ in range(rng.randrange(4))]
    keys = ("__proto__", "constructor", "path", "_type", "meta", "texts")
    return {rng.choice(keys): any_json(rng, depth + 1) for _ in range(rng.randrange(4))}


def argument(rng: random.Random, name: str) -> Any:
    """A value for an argument: of its type but hostile, or of any type."""
    if rng.random() < 0.3:
        return any_json(rng)
    if name in ("texts", "labels", "instructions"):
        if rng.random() < 0.1:
            return ["i"] * 5_000
        return [any_string(rng) for _ in range(rng.randrange(1, 10))]
    if name in ("dimensions", "n_neighbors", "min_dist", "normalize"):
        return rng.choice([*NUMBERS, True])
    if name == "checkpoint" and rng.random() < 0.5:
        return "instructor-mini"
    return any_string(rng)


def dumped(value: Any) -> bytes:
    """JSON as Python writes it: with NaN, and with lone surrogates as escapes."""
    return json.dumps(value).encode()


def bomb(rng: random.Random) -> tuple[str, bytes]:
    """A file that is not what its name says, or that unpacks to far more than it is."""
    zeros = bytes(20_000_000)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", zeros)
    contents = [
        zipped.getvalue(),
        gzip.compress(zeros),
        b"PAR1" + rng.randbytes(200) + b"PAR1",
        b'{"a":' * 50_000,
        b'{"text": NaN, "__proto__": {"x": 1}}\n' * 100,
        b'"unclosed,\n' * 1000,
        b"\xff\xfe\x00\xd8" * 100,
        b"text\tlabel\n" + b"x" * 1_000_000 + b"\t=1+1\n",
        rng.randbytes(5000),
        b"",
    ]
    ending = rng.choice(["parquet", "csv", "tsv", "json", "jsonl", "txt"])
    return f"<img src=x onerror=alert(1)>..%2f{rng.randrange(9)}.{ending}", rng.choice(contents)


def link(rng: random.Random) -> str:
    """The parameter of a link to a state that nobody saved."""
    state = {"v": 1, "__proto__": {"polluted": 1}, "constructor": any_json(rng), "texts": any_json(rng)}
    made = [
        base64.urlsafe_b64encode(zlib.compress(dumped(state))).decode(),
        base64.urlsafe_b64encode(zlib.compress(bytes(5_000_000))).decode(),
        base64.urlsafe_b64encode(rng.randbytes(60)).decode(),
        "A" * 9000,
        "%00%ff..%2f",
    ]
    return rng.choice(made)


@dataclass
class Attacker:
    """Sends one hostile request after the other."""

    http: httpx.Client
    config: dict[str, Any]
    report: Report
    rng: random.Random
    pressing: bool = True

    def attack(self, n: int) -> None:
        """Send n hostile requests."""
        attacks: list[Callable[[], None]] = [
            self.call_by_name,
            self.call_by_name,
            self.call_by_position,
            self.send_nonsense,
            self.open_link,
            self.upload,
            self.open_path,
            self.speak_mcp,
            *([self.press_anything] if self.pressing else []),
        ]
        for act in self.rng.choices(attacks, k=n):
            self.report.tried[act.__name__] += 1
            try:
                act()
            except httpx.HTTPError as error:
                self.report.problems.append(f"{act.__name__}: {type(error).__name__} {error}")

    def judge(self, what: str, answer: httpx.Response, sent: bytes = b"") -> str:
        """Note a bad status, and what must not be in an answer unless it was sent; returns the body."""
        leak = LEAK.search(answer.text)
        if answer.status_code >= 500:
            self.report.problems.append(f"{what}: status {answer.status_code} for {sent[:200]!r}: {answer.text[:200]}")
        elif leak and leak[0].encode() not in sent:
            self.report.problems.append(f"{what}: {leak[0]!r} in {answer.text[max(0, leak.start() - 80) :][:200]!r}")
        return answer.text

    def post(self, what: str, path: str, body: bytes, kind: str = "application/json") -> str:
        return self.judge(what, self.http.post(path, content=body, headers={"content-type": kind}), body)

    def follow(self, what: str, path: str, joined: str, sent: bytes) -> None:
        """Read the answer to a request that was taken into the queue."""
        try:
            event = json.loads(joined)["event_id"]
        except (ValueError, LookupError, TypeError):
            return
        self.judge(what, self.http.get(path.format(event=event)), sent)

    def call(self, name: str, version: str, body: bytes) -> None:
        joined = self.post(name, f"/gradio_api/call/{version}{name}", body)
        self.follow(name, f"/gradio_api/call/{name}/{{event}}", joined, body)

    def call_by_name(self) -> None:
        name = self.rng.choice(list(ENDPOINTS))
        given = {key: argument(self.rng, key) for key in ENDPOINTS[name] if self.rng.random() < 0.9}
        self.call(name, "v2/", dumped(given))

    def call_by_position(self) -> None:
        data = [any_json(self.rng) for _ in range(self.rng.randrange(12))]
        self.call(self.rng.choice(list(ENDPOINTS)), "", dumped({"data": data}))

    def press_anything(self) -> None:
        """Trigger an event of the page, private ones too, with any values."""
        entry = self.rng.choice(self.config["dependencies"])
        self.join(entry, [any_json(self.rng) for _ in entry["inputs"]])

    def join(self, entry: dict[str, Any], data: list[Any], query: str = "") -> None:
        session = f"fuzz{self.rng.randrange(10**9)}"
        event = self.rng.choice([None, any_json(self.rng)])
        body = dumped({"data": data, "fn_index": entry["id"], "session_hash": session, "event_data": event})
        joined = self.post("page", f"/gradio_api/queue/join{query}", body)
        self.follow("page", f"/gradio_api/queue/data?session_hash={session}", joined, body)

    def open_link(self) -> None:
        """Open the page with a made-up state in its address."""
        parameter = link(self.rng)
        self.judge("link", self.http.get("/", params={"s": parameter}), parameter.encode())
        loads = [entry for entry in self.config["dependencies"] if any(kind == "load" for _, kind in entry["targets"])]
        entry = self.rng.choice(loads)
        self.join(entry, [None] * len(entry["inputs"]), f"?s={parameter}")

    def send_nonsense(self) -> None:
        path = self.rng.choice(["call/encode", "call/v2/encode", "call/v2/nothing", "queue/join", "cancel", "reset"])
        bodies = [
            b"{",
            b"[" * 20_000,
            b'{"data":' + b"[" * 500 + b"]" * 500 + b"}",
            b"\xff\xfe{}",
            b'"text"',
            b'{"data": null, "fn_index": -1, "session_hash": {"a": 1}}',
            b'{"data": [], "fn_index": 99999, "session_hash": "x"}',
            b'{"data": [' + b"1," * 100_000 + b"1]}",
            dumped(any_json(self.rng)),
            self.rng.randbytes(300),
        ]
        kind = self.rng.choice(
            ["application/json", "application/json", "text/plain", "multipart/form-data; boundary=x"]
        )
        self.post(f"nonsense to {path}", f"/gradio_api/{path}", self.rng.choice(bodies), kind)

    def upload(self) -> None:
        """Upload a bomb, then have the page read it; or have it read a file that was never uploaded."""
        name, content = bomb(self.rng)
        answer = self.http.post("/gradio_api/upload", files={"files": (name, content)})
        self.judge("upload", answer, name.encode())
        paths = ["/etc/passwd", "app.py", "../app.py", "https://example.org/x.csv"]
        if answer.status_code == 200:
            paths = [*answer.json() * 6, *paths]
        chosen = {"path": self.rng.choice(paths), "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        names = {entry["id"]: entry["props"].get("elem_id") for entry in self.config["components"]}
        files = {number for number, elem_id in names.items() if elem_id in ("upload-file", "state-open")}
        readers = [entry for entry in self.config["dependencies"] if files & set(entry["inputs"])]
        entry = self.rng.choice(readers)
        self.join(entry, [chosen if number in files else any_json(self.rng) for number in entry["inputs"]])

    def open_path(self) -> None:
        path = self.rng.choice(PATHS)
        self.judge(path[:40], self.http.get(path), path.encode())

    def speak_mcp(self) -> None:
        message = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": self.rng.choice(["tools/call", "tools/list", "initialize", any_string(self.rng)[:100]]),
            "params": {"name": self.rng.choice(["encode", "_private"]), "arguments": any_json(self.rng)},
        }
        body = dumped(self.rng.choice([message, any_json(self.rng)]))
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        self.judge("MCP", self.http.post("/gradio_api/mcp/", content=body, headers=headers), body)


def fuzz(url: str, *, requests: int, seed: int, pressing: bool = True) -> Report:
    """Attack a server from several threads with so many requests; returns what was found.

    With `pressing`, the private events of the page are triggered too, with values that the page never sends: a handler
    may fail over them and log why, but shows nothing of it.
    """
    report = Report()
    limits = httpx.Limits(keepalive_expiry=2)  # less than the server keeps an idle connection
    with httpx.Client(base_url=url, timeout=ANSWERS_WITHIN_S, limits=limits, trust_env=False) as http:
        config = http.get("/config").raise_for_status().json()
        rngs = [random.Random(seed * 1000 + n) for n in range(WORKERS)]
        attackers = [Attacker(http, config, report, rng, pressing) for rng in rngs]
        with ThreadPoolExecutor(WORKERS) as pool:
            for done in [pool.submit(attacker.attack, requests // WORKERS) for attacker in attackers]:
                done.result()
    return report
