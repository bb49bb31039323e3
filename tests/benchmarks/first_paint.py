"""Measures how long it takes from `python app.py` to a page with its figures in Chromium.

    .venv/bin/python -m tests.benchmarks.first_paint                three starts
    .venv/bin/python -m tests.benchmarks.first_paint --repeats 10

Each start is a process of its own, with the disk warm after the first one: seconds until the server answers, until the
page has its first figure, and until it has all of them. The browser is started before and not counted. Once the server
has compiled what it compiles by itself (UMAP), another visitor comes: seconds from the address to the first figure, and
how much what is seen moved about (cumulative layout shift, without what a visitor did). Then one more process tells
what its imports take, package by package; each module counts for itself, without what it imports.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import find_chromium
from tests.serving import ROOT, serving

N_PACKAGES = 12
GIVE_UP_MS = 120_000
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")
_DRAWN = "[...document.querySelectorAll('#map-plots .ic-plot')].filter(gd => gd._fullLayout && gd.data)"
_ALL_DRAWN = f"""() => {{
  const all = document.querySelectorAll('#map-plots .ic-plot').length;
  return all > 0 && {_DRAWN}.length === all;
}}"""
_WATCH_SHIFTS = """
window.shift = 0;
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({type: 'layout-shift', buffered: true});
"""
_COMPILED_MS = 25_000  # after the figures, in which UMAP is compiled in the background
_SETTLED_MS = 4000  # after the figures, in which fingerprints and lists arrive


@dataclass(frozen=True)
class Start:
    """Seconds since the process was started, until..."""

    answers: float  # the server answers
    first_figure: float
    figures: float  # all of the first view are drawn
    next_visitor: float  # since the address was entered on the running server: the first figure
    layout_shift: float  # of that visit; no seconds


def measure(browser: Browser) -> Start:
    """Start the app once and open its page."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with serving(Path(folder)) as server:
            answers = time.perf_counter() - started
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(server.url, wait_until="commit")
            page.wait_for_function(f"() => {_DRAWN}.length > 0", timeout=GIVE_UP_MS)
            first = time.perf_counter() - started
            page.wait_for_function(_ALL_DRAWN, timeout=GIVE_UP_MS)
            figures = time.perf_counter() - started
            page.wait_for_timeout(_COMPILED_MS)
            page.close()
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.add_init_script(_WATCH_SHIFTS)
            opened = time.perf_counter()
            page.goto(server.url, wait_until="commit")
            page.wait_for_function(f"() => {_DRAWN}.length > 0", timeout=GIVE_UP_MS)
            visit = time.perf_counter() - opened
            page.wait_for_timeout(_SETTLED_MS)
            shift = float(page.evaluate("window.shift"))
            page.context.close()
    return Start(round(answers, 2), round(first, 2), round(figures, 2), round(visit, 2), round(shift, 3))


def import_times(code: str = "import app") -> dict[str, float]:
    """Return seconds that modules take to be imported, added up by package, the slowest first."""
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=True)
    return by_package(done.stderr)


def by_package(report: str) -> dict[str, float]:
    """Return what a report of `-X importtime` says, in seconds by top-level package, the slowest first."""
    own: Counter[str] = Counter()
    for microseconds, module in _IMPORT.findall(report):
        package = module.split(".")[0]
        own["standard library" if package in sys.stdlib_module_names else package] += int(microseconds)
    return {name: total / 1e6 for name, total in own.most_common()}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        sys.exit("No Chromium was found: install one, or set CHROMIUM to its path.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        starts = [measure(browser) for _ in range(options.repeats)]
        browser.close()
    imports = import_times()
    print("| since `python app.py` | median, s | fastest, s |\n|---|---|---|")
    for name in ("answers", "first_figure", "figures", "next_visitor", "layout_shift"):
        values = [getattr(start, name) for start in starts]
        print(f"| {name.replace('_', ' ')} | {median(values):.2f} | {min(values):.2f} |")
    print("\n| import | s |\n|---|---|")
    for name, seconds in list(imports.items())[:N_PACKAGES]:
        print(f"| {name} | {seconds:.2f} |")
    print(f"\n{options.repeats} starts, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
