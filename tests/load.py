"""Many visitors at once on a running app: `python -m tests.load http://127.0.0.1:7860 --checkpoint instructor-mini`.

Half of the visitors call the endpoints, half press Embed on the page, as the browser does. Every text carries the
number of its visitor, so that an answer meant for somebody else is recognised, and every embedding is compared with
one computed here. Errors, foreign answers and wrong vectors fail the run; latencies and memory are reported.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from instructor_core import InstructorModel

INSTRUCTIONS = ["Represent the review for classifying its topic:", ""]
SUBJECTS = ["soup", "train", "phone", "film", "hotel", "match", "garden", "lecture", "bicycle", "concert"]
OPINIONS = "was late", "was wonderful", "broke after a day", "cost too much", "is the best of all", "made us wait"
MARK = re.compile(r"visitor (\d+)\b")
WARM_UP = 0.4  # share of the time after which memory has to stay where it is
TOLERANCE = 1e-5
KEEP_S = 2  # an idle connection is used again: less than the server keeps one, which would close it under a request


@dataclass
class Findings:
    """What the visitors met: seconds by kind of request, errors, embeddings by text, memory (seconds, megabytes)."""

    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    vectors: dict[str, list[list[float]]] = field(default_factory=dict)
    memory: list[tuple[float, float]] = field(default_factory=list)

    @property
    def n_requests(self) -> int:
        return sum(map(len, self.latencies.values()))

    def growth_mb(self) -> float:
        """Megabytes that the server grew by after the warm-up: the mean of the end against the mean before."""
        if not self.memory:
            return 0.0
        end = self.memory[-1][0]
        early = [mb for at, mb in self.memory if WARM_UP * end <= at <= (WARM_UP + 0.2) * end]
        late = [mb for at, mb in self.memory if at >= 0.8 * end]
        return float(np.mean(late) - np.mean(early)) if early and late else 0.0

    def lines(self) -> list[str]:
        """The report."""
        found = [f"{self.n_requests} requests, {len(self.errors)} errors"]
        for kind, seconds in sorted(self.latencies.items()):
            p50, p95, most = np.percentile(seconds, [50, 95, 100])
            found.append(f"{kind:10} {len(seconds):5} answers   p50 {p50:.2f} s   p95 {p95:.2f} s   max {most:.2f} s")
        if self.memory:
            course = " ".join(f"{mb:.0f}" for _, mb in self.memory[:: max(1, len(self.memory) // 10)])
            found.append(f"memory {course} MB; {self.growth_mb():+.1f} MB once warm")
        return found + self.errors[:5]


@dataclass(frozen=True)
class PageForm:
    """What the browser knows of the page: the event of the Embed button, the names of its inputs and what they hold."""

    embed: int
    button: int
    fields: tuple[tuple[str, Any], ...]


async def page_of(http: httpx.AsyncClient) -> PageForm:
    """The form of the page."""
    config = (await http.get("/config")).raise_for_status().json()
    names = {entry["id"]: entry["props"].get("elem_id", "") for entry in config["components"]}
    (button,) = (number for number, name in names.items() if name == "update")
    (embed,) = (entry for entry in config["dependencies"] if [button, "click"] in entry["targets"])
    held = {entry["id"]: entry["props"].get("value") for entry in config["components"]}  # nothing of a session's state
    return PageForm(embed["id"], button, tuple((names.get(number, ""), held.get(number)) for number in embed["inputs"]))


@dataclass
class Visitor:
    """One visitor: what it types, and what it makes of the answers."""

    number: int
    http: httpx.AsyncClient
    page: PageForm
    checkpoint: str
    findings: Findings
    rng: random.Random
    round: int = 0

    def texts(self, n: int) -> list[str]:
        """New texts with the number of this visitor."""
        self.round += 1
        name = f"Visitor {self.number} round {self.round}"
        return [f"{name}, {i}: the {self.rng.choice(SUBJECTS)} {self.rng.choice(OPINIONS)}." for i in range(n)]

    async def visit(self, rounds: int, think: float) -> None:
        """Ask again and again, and think in between."""
        await asyncio.sleep(self.rng.random() * think)
        act = self.press_embed if self.number % 2 else self.call
        for _ in range(rounds):
            started = time.monotonic()
            try:
                kind = await act()
            except (httpx.HTTPError, ValueError, LookupError) as error:
                self.findings.errors.append(f"visitor {self.number}: {type(error).__name__} {error}")
            else:
                self.findings.latencies[kind].append(time.monotonic() - started)
            await asyncio.sleep(self.rng.uniform(0.5, 1.5) * think)

    async def call(self) -> str:
        """Call an endpoint, and check that the answer is about what was asked."""
        kind = self.rng.choice(["encode", "encode", "similarity", "tokens"])
        texts = self.texts(1 if kind == "tokens" else self.rng.randint(2, 6))
        wanted: dict[str, Any] = {"texts": texts, "checkpoint": self.checkpoint}
        wanted |= {"instruction": INSTRUCTIONS[0]} if kind == "tokens" else {"instructions": INSTRUCTIONS}
        joined = await self.http.post(f"/gradio_api/call/v2/{kind}", json=wanted)
        joined.raise_for_status()
        answer = None
        async with self.http.stream("GET", f"/gradio_api/call/{kind}/{joined.json()['event_id']}") as stream:
            event = ""
            async for line in stream.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event == "complete":
                    (answer,) = json.loads(value)
                elif name == "data" and event == "error":
                    raise ValueError(f"{kind} answered {value[:200]}")
        if kind == "encode":
            for at, text in enumerate(texts):
                self.findings.vectors[text] = [row[at] for row in answer["embeddings"]]
        elif kind == "similarity":
            if np.shape(answer["matrices"]) != (len(INSTRUCTIONS), len(texts), len(texts)):
                raise ValueError("a similarity of other texts")
        else:
            self.check_marks("".join(answer[0]["tokens"]).replace("▁", " "))
        return kind

    async def press_embed(self) -> str:
        """Press Embed on the page with texts of one's own."""
        page = self.page
        session = f"session-{self.number}"
        texts = self.texts(self.rng.randint(2, 6))
        typed = {"texts": "\n".join(texts), "checkpoint": self.checkpoint}
        typed |= {f"instruction-{k}": instruction for k, instruction in enumerate(INSTRUCTIONS)}
        body = {
            "data": [typed.get(name, held) for name, held in page.fields],
            "fn_index": page.embed,
            "session_hash": session,
            "trigger_id": page.button,
        }
        (await self.http.post("/gradio_api/queue/join", json=body)).raise_for_status()
        seen = []
        async with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
            async for line in stream.aiter_lines():
                if not line.startswith("data: "):
                    continue
                message = json.loads(line[6:])
                seen.append(line)
                if message["msg"] == "process_completed" and not message["success"]:
                    raise ValueError(f"Embed answered {line[:200]}")
        everything = "".join(seen)
        if "ic-error" in everything:
            raise ValueError(f"Embed showed an error: {everything[everything.index('ic-error') :][:200]}")
        self.check_marks(everything)
        return "Embed"

    def check_marks(self, answer: str) -> None:
        """Raise unless the answer carries the number of this visitor and no other."""
        numbers = {int(number) for number in MARK.findall(answer.lower())}
        if numbers != {self.number}:
            raise ValueError(f"texts of visitors {sorted(numbers)} in an answer to {self.number}")


async def warm(http: httpx.AsyncClient, checkpoint: str) -> None:
    """Wait for what the server loads at its first map, so that it does not count as growth."""
    texts = [f"{subject} {opinion}" for subject in SUBJECTS for opinion in OPINIONS[:2]]
    wanted = {"texts": texts, "instructions": [""], "checkpoint": checkpoint}
    joined = (await http.post("/gradio_api/call/v2/project", json=wanted)).raise_for_status()
    answer = await http.get(f"/gradio_api/call/project/{joined.json()['event_id']}")
    if "event: complete" not in answer.text:
        raise ValueError(f"project answered {answer.text[:200]}")


async def watch_memory(pid: int, findings: Findings) -> None:
    """Note the resident memory of a process of this machine twice a second, as long as it is there."""
    status, started = Path(f"/proc/{pid}/status"), time.monotonic()
    while status.exists():
        (kilobytes,) = re.findall(r"^VmRSS:\s+(\d+) kB", status.read_text(), flags=re.MULTILINE)
        findings.memory.append((time.monotonic() - started, int(kilobytes) / 1024))
        await asyncio.sleep(0.5)


def check_vectors(findings: Findings, folder: str) -> None:
    """Compare every embedding that was received with one computed here."""
    if not findings.vectors:
        return
    model = InstructorModel(folder, device="cpu")
    joined = [f"{instruction} " if instruction else "" for instruction in INSTRUCTIONS]
    expected = model.encode([(instruction, text) for text in findings.vectors for instruction in joined])
    received = np.array(list(findings.vectors.values()), dtype=np.float32).reshape(expected.shape)
    wrong = int((np.abs(received - expected).max(axis=1) > TOLERANCE).sum())
    if wrong:
        findings.errors.append(f"{wrong} of {len(expected)} embeddings are not those of the texts that were sent")


async def run(url: str, checkpoint: str, *, visitors: int, rounds: int, think: float, pid: int | None) -> Findings:
    """Have each visitor ask so many times; returns what they met."""
    findings = Findings()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=visitors, keepalive_expiry=KEEP_S)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits, trust_env=False) as http:
        page = await page_of(http)
        await warm(http, checkpoint)
        watching = asyncio.create_task(watch_memory(pid, findings)) if pid else None
        await asyncio.gather(
            *(
                Visitor(number, http, page, checkpoint, findings, random.Random(number)).visit(rounds, think)
                for number in range(visitors)
            )
        )
        if watching:
            watching.cancel()
    return findings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", help="address of the running app")
    parser.add_argument("--checkpoint", default="instructor-mini", help="name in the menu (instructor-mini)")
    parser.add_argument("--folder", help="folder of the checkpoint, if its name is not a bundled one")
    parser.add_argument("--visitors", type=int, default=50, help="at the same time (50)")
    parser.add_argument("--rounds", type=int, default=30, help="requests of each (30)")
    parser.add_argument("--think", type=float, default=0.5, help="seconds between two requests of a visitor (0.5)")
    parser.add_argument("--pid", type=int, help="process of the server, to watch its memory")
    options = vars(parser.parse_args(arguments))
    folder = options.pop("folder") or options["checkpoint"]
    findings = asyncio.run(run(**options))
    check_vectors(findings, folder)
    print("\n".join(findings.lines()))
    return 1 if findings.errors else 0


if __name__ == "__main__":
    sys.exit(main())
