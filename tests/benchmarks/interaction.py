"""Measures what a change on the page costs: Python seconds to new figures, what is sent, and calls of the model.

    .venv/bin/python -m tests.benchmarks.interaction                24 texts under 4 instructions, 5 repeats
    .venv/bin/python -m tests.benchmarks.interaction --repeats 20
    .venv/bin/python -m tests.benchmarks.interaction --maps 2000 10000    only the maps of many new texts, in Chromium

The page's own functions are called as its events call them, on the bundled checkpoint: one text is edited, embedded
and drawn; then every display option of the Similarity and the Map tab is switched, which must not reach the model.
Payloads are given in bytes as JSON, before the server packs them.

Then the page is used in Chromium, with the same texts and instructions: seconds from the last key, of a new instruction
and of an edited text, until every figure that changes is painted, the pause of assets/shell.js included.

With --maps, so many texts are put in under two instructions: seconds until both maps of all of them are painted, by PCA
and, where it follows by itself, by UMAP, embedding included, and what of them the server's processor took.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

from instructor_core.analysis.projection import warm_up
from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.feedback import note
from instructor_core.ui.look.canvas import Drawn, keep_unchanged
from instructor_core.ui.look.projection import UMAP_FOLLOWS
from instructor_core.ui.look.views import view_of
from instructor_core.ui.page import Selected
from instructor_core.ui.server.run import run
from instructor_core.ui.server.runtime import Runtime
from tests.benchmarks.scale import made_texts
from tests.browser.chromium import find_chromium
from tests.serving import serving
from tests.ui.stages import draw as draw_view

N_TEXTS = 24
INSTRUCTIONS = (
    "Represent the sentence for its topic:",
    "Represent the sentence for its sentiment:",
    "Represent the sentence:",
    "",
)
SIMILARITY = {"view": "matrices", "scale": "shared", "order": "given", "first": 0, "second": 1}
MAP = {**view_of("map").defaults, "method": "umap"}
# Types into a field; seconds until some figures of the map, from one up to another, have other points and are painted.
TYPE = """async ([field, text, from, to]) => {
  const values = () => [...document.querySelectorAll("#map-plots .ic-plot")].filter((gd) => gd.data).slice(from, to)
    .map((gd) => JSON.stringify(gd.data.map((trace) => [trace.x, trace.y])));
  const before = values();
  const node = document.querySelector(field);
  const started = performance.now();
  node.value = text;
  node.dispatchEvent(new Event("input", { bubbles: true }));
  await new Promise((done) => {
    const look = () => {
      if (values().some((value, i) => value === before[i])) return requestAnimationFrame(look);
      const { port1, port2 } = new MessageChannel(); // heard once this frame is painted
      port1.onmessage = done;
      port2.postMessage(0);
    };
    requestAnimationFrame(look);
  });
  return (performance.now() - started) / 1000;
}"""

# Puts texts in, asks for them where the page waits to be asked; seconds until both maps show them all by a method.
MAPS = """async ([texts, n, method]) => {
  const started = performance.now();
  const node = document.querySelector("#texts textarea");
  if (texts) {
    node.value = texts;
    node.dispatchEvent(new Event("input", { bubbles: true }));
  }
  await new Promise((done) => {
    const look = () => {
      const update = document.querySelector("#update");
      if (update?.offsetParent && !update.disabled) update.click();
      const maps = [...document.querySelectorAll("#map-plots .ic-plot")].filter((gd) => gd.data);
      const words = document.querySelector("#map-plots").textContent.split(method + " ·").length - 1;
      const all = maps.every((gd) => gd.data.reduce((sum, trace) => sum + trace.customdata.length, 0) === n);
      if (maps.length === 2 && words === 2 && all) requestAnimationFrame(() => requestAnimationFrame(done));
      else setTimeout(look, 50);
    };
    look();
  });
  return (performance.now() - started) / 1000;
}"""


def view_outputs(
    tab: str, runtime: Runtime, inputs: Inputs, selected: Selected, view: str = "", **options: object
) -> list[object]:
    """The note and the payload of a view."""
    drawing = draw_view(runtime, inputs, selected, tab, view, options)
    return [note(*drawing.note), None if drawing.panels is None else drawing.panels.to_json()]


TABS = {"Similarity": (partial(view_outputs, "similarity"), SIMILARITY), "Map": (partial(view_outputs, "map"), MAP)}
SWITCHES = (
    ("Similarity", "scale", "each"),
    ("Similarity", "order", "clustered"),
    ("Similarity", "view", "difference"),
    ("Map", "method", "pca"),
    ("Map", "n_components", 3),
    ("Map", "layout", "joint"),
    ("Map", "center", True),
)


@dataclass(frozen=True)
class Change:
    """One change on the page."""

    name: str
    seconds: float  # in Python, median over the repeats, from the event to what is sent
    encoded_pairs: int
    sent_bytes: int  # as JSON; nothing where what is on the page stays


class Meter:
    """A runtime whose model counts the pairs that it encodes."""

    def __init__(self) -> None:
        self.runtime = Runtime(CHECKPOINTS[:1], device="cpu")
        self.n_pairs = 0
        model = self.runtime.encoder(CHECKPOINTS[0].id).model
        encode = model.encode

        def counted(pairs: list[tuple[str, str]], **options: object) -> object:
            self.n_pairs += len(pairs)
            return encode(pairs, **options)  # type: ignore[arg-type]

        model.encode = counted  # type: ignore[assignment, method-assign]

    def change(self, name: str, repeats: int, act: Callable[[int], list[object]]) -> Change:
        """Do something several times, each a little different, and return the median; `act` returns what is sent."""
        seconds, before = [], self.n_pairs
        sent: list[object] = []
        for repeat in range(repeats):
            started = time.perf_counter()
            sent = act(repeat)
            seconds.append(time.perf_counter() - started)
        n_bytes = sum(len(value.encode()) for value in sent if isinstance(value, str))
        return Change(name, median(seconds), (self.n_pairs - before) // repeats, n_bytes)


def texts_with(edit: str) -> str:
    """Return 24 labelled lines of the text field, the eighth of them edited."""
    lines = [f"Sentence {i} is about {('food', 'film', 'work')[i % 3]}.\t{i % 3}" for i in range(N_TEXTS)]
    lines[7] = f"Sentence 7 was edited {edit}.\t1"
    return "\n".join(lines)


def edited(meter: Meter, before: Inputs | None, edit: str) -> tuple[Inputs, list[object]]:
    """Embed the texts with one of them edited, as the button does; returns the run and what is sent at its end."""
    start = before or Inputs(CHECKPOINTS[0].id, ("",), ("nothing",), None)
    *_, last = run(meter.runtime, start, CHECKPOINTS[0].id, "", texts_with(edit), len(INSTRUCTIONS), *INSTRUCTIONS)
    return last[0], last[1:]


def measure(repeats: int) -> list[Change]:
    """Return all changes."""
    meter = Meter()
    warm_up()
    inputs, _ = edited(meter, None, "before")
    changes: list[Change] = []

    for tab, (draw, options) in TABS.items():

        def edit_and_draw(repeat: int, tab=tab, draw=draw, options=options) -> list[object]:
            nonlocal inputs
            inputs, sent = edited(meter, inputs, f"{tab} {repeat}")
            return [*sent, *draw(meter.runtime, inputs, Selected(), **options)]

        changes.append(meter.change(f"edit one text, {tab}", repeats, edit_and_draw))
    for tab, option, value in SWITCHES:
        draw, options = TABS[tab]
        shown: Drawn = keep_unchanged(draw(meter.runtime, inputs, Selected(), **options), "before", None)[-1]

        def act(_: int, draw=draw, options=options | {option: value}, shown=shown) -> list[object]:
            return keep_unchanged(draw(meter.runtime, inputs, Selected(), **options), "after", shown)[:-1]

        changes.append(meter.change(f"{tab}: {option} = {value}", repeats, act))
    return changes


def measure_in_browser(repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each kind of typing: from the last key until all new figures are painted."""
    executable = find_chromium()
    if executable is None:
        sys.exit("No Chromium was found: install one, or set CHROMIUM to its path.")
    seconds: dict[str, list[float]] = {"a new instruction": [], "an edited text": []}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        page = context.new_page()
        page.goto(server.url)
        page.locator("#map-plots .js-plotly-plot").nth(1).wait_for(timeout=60_000)
        page.wait_for_timeout(5000)
        page.locator("#edit-texts").click()
        page.locator("#texts textarea").fill(texts_with("first"))
        for k, instruction in enumerate(INSTRUCTIONS):
            if k > 1:
                page.locator("#add-instruction").click()
            page.locator(f"#instruction-{k} textarea").fill(instruction)
        page.locator("#map-plots .js-plotly-plot").nth(3).wait_for(timeout=60_000)
        page.wait_for_timeout(3000)
        for repeat in range(repeats):
            words = f"Represent the review for {('finding', 'sorting', 'reading')[repeat % 3]} it, try {repeat}:"
            edited = texts_with(f"a time of {repeat}")
            typed = (("#instruction-1 textarea", words, 1, 2), ("#texts textarea", edited, 0, len(INSTRUCTIONS)))
            for found, arguments in zip(seconds.values(), typed, strict=True):
                found.append(float(page.evaluate(TYPE, list(arguments))))
                page.wait_for_timeout(2000)
        browser.close()
    return seconds


def measure_maps(n: int) -> list[tuple[str, float, float]]:
    """Return method, seconds and the server's processor seconds since n texts were put in, for both maps of them."""
    executable = find_chromium()
    if executable is None:
        sys.exit("No Chromium was found: install one, or set CHROMIUM to its path.")
    texts, labels = made_texts(n)
    typed = "\n".join(f"{text}\t{label}" for text, label in zip(texts, labels, strict=True))
    found: list[tuple[str, float, float]] = []
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        page.set_default_timeout(600_000)
        page.goto(server.url)
        page.locator("#map-plots .js-plotly-plot").nth(1).wait_for()
        page.wait_for_timeout(10_000)  # UMAP is compiled meanwhile
        cpu, seconds = cpu_seconds(server.pid), 0.0
        for method in ("PCA", "UMAP") if n in UMAP_FOLLOWS else ("PCA",):
            seconds += float(page.evaluate(MAPS, ["" if found else typed, n, method]))
            found.append((method, seconds, cpu_seconds(server.pid) - cpu))
        browser.close()
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, of all cores together; Linux."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def as_markdown(changes: list[Change]) -> str:
    """Return the table."""
    lines = ["| change | Python, s | encoded pairs | kB sent |", "|---|---|---|---|"]
    for one in changes:
        lines.append(f"| {one.name} | {one.seconds:.3f} | {one.encoded_pairs} | {one.sent_bytes / 1e3:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--maps", type=int, nargs="+", default=[], help="numbers of texts")
    options = parser.parse_args()
    if options.maps:
        print("| texts | both maps by | s | of the server's processor, s |\n|--:|---|--:|--:|")
    for n in options.maps:
        for method, wall, cpu in measure_maps(n):
            print(f"| {n:,} | {method} | {wall:.1f} | {cpu:.1f} |", flush=True)
    if options.maps:
        print(f"\nload {os.getloadavg()[0]:.1f}")
        return
    changes = measure(options.repeats)
    print(as_markdown(changes))
    load = f"{os.getloadavg()[0]:.1f}"
    print(f"\n{N_TEXTS} texts under {len(INSTRUCTIONS)} instructions, median of {options.repeats}; load {load}")
    seconds = measure_in_browser(options.repeats)
    print("\n| from the last key to new figures | median, s | slowest, s |\n|---|---|---|")
    for name, values in seconds.items():
        print(f"| {name} | {median(values):.2f} | {max(values):.2f} |")


if __name__ == "__main__":
    main()
