"""A run: what was entered is checked, embedded, and reported step by step until the page may change."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

from instructor_core.analysis.numbers import counted
from instructor_core.cache import CachedEncoder
from instructor_core.ui.components import rows_json
from instructor_core.ui.data.inputs import Inputs, parse_inputs
from instructor_core.ui.feedback import boundary, status
from instructor_core.ui.page import KEEP
from instructor_core.ui.server.progress import describe, rate_line
from instructor_core.ui.server.runtime import Runtime

LIVE_SECONDS = 5.0  # of encoding, by estimate, that typing may start by itself; what takes longer is asked for
BRIEF_SECONDS = 0.5  # of encoding, by estimate, of which no line tells while one types: it would keep the figures back
OPERATIONS_PER_SECOND = 5e10  # of a processor that two threads share with other visitors


class RunStep(NamedTuple):
    """One value for each output of a run, all of which stay as they are unless they are named."""

    inputs: Any = KEEP
    line: Any = KEEP
    summary: Any = KEEP
    texts: Any = KEEP  # of the list
    checkpoint: Any = KEEP


def run(
    runtime: Runtime,
    before: Inputs,
    choice: str,
    template: str,
    typed_texts: str,
    count: int,
    *typed: str,
    ask: bool = False,
) -> Generator[RunStep, None, None]:
    """Embed what was entered, with a step for every batch.

    Nothing on the page changes until the new embeddings are there; an error leaves everything as it is, and a
    checkpoint that cannot be had leaves the one in use. With ``ask``, what would take long waits for the button.
    """

    @boundary(lambda words: RunStep(line=status(words, error=True), checkpoint=before.choice))
    def steps() -> Generator[RunStep, None, None]:
        first, beside_id = runtime.choose(choice)
        parsed = parse_inputs(runtime.with_template(first, template), typed[:count], typed_texts)
        inputs = replace(parsed, beside_id=beside_id)
        if inputs == before:
            # An old error goes away.
            yield RunStep(line=status(f"{counted(len(inputs.pairs), 'pair')} · 0 new", run="same"))
        else:
            yield from embed(runtime, inputs, ask=ask)

    yield from steps()


def embed(runtime: Runtime, inputs: Inputs, *, ask: bool) -> Generator[RunStep, None, None]:
    """Yield the steps of a run whose inputs are new; its embeddings are kept for whoever draws them."""
    started, pairs = time.monotonic(), inputs.pairs
    n_new = n_cached = n_bytes = 0
    for one in inputs.runs:
        rate = rate_line()
        encoder = yield from describe(runtime.load_steps(one.checkpoint_id), _busy)
        with closing(encoder.encode_steps(pairs)) as steps:
            progress = next(steps)
            n_found = progress.done  # in the cache
            seconds = estimated_seconds(encoder, pairs, 1 - n_found / len(pairs)) if ask else LIVE_SECONDS
            if seconds > LIVE_SECONDS:
                words = f"{counted(len(pairs) - n_found, 'pair')} to embed, about {seconds:.0f} s"
                yield RunStep(line=status(words, run="waits"))
                return
            try:
                while True:
                    if progress.done < progress.total and (seconds > BRIEF_SECONDS or progress.n_others):
                        yield _busy(f"{one.checkpoint}: {rate(progress)}" if inputs.beside_id else rate(progress))
                    progress = next(steps)
            except StopIteration as stop:
                runtime.keep(one, stop.value)
        n_new, n_cached, n_bytes = n_new + progress.n_new, n_cached + n_found, n_bytes + encoder.n_bytes
    words = (
        f"{counted(len(inputs.runs) * len(pairs), 'pair')} · {n_new} new · {n_cached} cached "
        f"({n_bytes / 1e6:.1f} MB) · {time.monotonic() - started:.2f} s"
    )
    yield RunStep(inputs, status(words), summary_of(inputs), rows_json(inputs))


def _busy(words: str) -> RunStep:
    return RunStep(line=status(words, run="busy"))


def summary_of(inputs: Inputs) -> str:
    """Return the line over the list of texts."""
    n_labels = len({label for label in inputs.labels or () if label})
    labels = f" · {counted(n_labels, 'label')}" if n_labels else ""
    return status(f"{counted(len(inputs.texts), 'text')}{labels}")


def estimated_seconds(encoder: CachedEncoder, pairs: Sequence[tuple[str, str]], share: float) -> float:
    """Return about how long a share of pairs takes: two operations per weight and token, a token of 4 characters."""
    tokens = share * sum(len(instruction) + len(text) for instruction, text in pairs) / 4
    weights = sum(weight.numel() for weight in encoder.model.parameters())
    return 2.0 * weights * tokens / OPERATIONS_PER_SECOND / encoder.speed
