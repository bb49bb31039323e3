"""Batches drawn and tokenized, in the order of their numbers: between the steps or by processes ahead of them."""

from __future__ import annotations

import inspect
import multiprocessing
import os
import pickle
import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from instructor_core.encoder import InstructorModel
from instructor_core.errors import UserError
from instructor_core.train.batch import Batch, BatchSource, Loss
from instructor_core.train.settings import TrainingSettings
from instructor_core.train.tokens import PairTokenizer, Tokens

_AHEAD = 4  # batches that each process has ready
_ANOTHER = 1_000_003  # added to the number of a batch that cannot be made
_TRIES = 5
_PATIENCE = 5.0  # seconds between two looks whether a process is alive


@dataclass(frozen=True, eq=False)
class Prepared:
    """A batch as the network takes it; ``problem`` tells which batches could not be made in its place."""

    tokens: Tokens
    loss: Loss
    name: str
    problem: str = ""


class Preparation:
    """Makes the batches of a run, from a number on.

    Processes are forked: they share what the source has in memory and send back arrays and losses. Batch ``n`` is made
    by process ``n % processes``, so that their order, and with it the run, does not depend on which is faster.
    """

    def __init__(self, model: InstructorModel, source: BatchSource, settings: TrainingSettings) -> None:
        self._source, self._settings = source, settings
        self._tokenizer = PairTokenizer(model, settings.max_tokens)
        self._takes_progress = "progress" in inspect.signature(source.batch).parameters
        self._context: Any = multiprocessing.get_context("fork") if settings.prepare_processes else None
        self._done: Any = self._context.Value("d", 0.0) if self._context else None
        self._processes: list[tuple[Any, Any]] = []
        self.waited = 0.0

    def first(self, n_pairs: int) -> Tokens:
        """Return the tokens of the first pairs of the first batch."""
        return self._tokenizer(self._draw(0, 0.0).pairs[:n_pairs])

    def start(self, number: int) -> None:
        """Fork the processes, which begin at once with the batches from ``number`` on."""
        for offset in range(self._settings.prepare_processes):
            n = self._settings.prepare_processes
            self._processes.append(self._fork(number + (offset - number) % n))

    def take(self, number: int, done: float) -> Prepared:
        """Return a batch by its number; ``done`` is the share of the run that is over."""
        if not self._processes:
            batch = self._draw(number, done)
            return Prepared(self._tokenizer(batch.pairs), batch.loss, batch.name)
        started = time.perf_counter()
        with self._done.get_lock():
            self._done.value = done
        place = number % len(self._processes)
        prepared = self._receive(place, number)
        self.waited += time.perf_counter() - started
        return prepared

    def close(self) -> None:
        """End the processes."""
        for process, ready in self._processes:
            process.kill()
            ready.close()
        self._processes = []

    def _draw(self, number: int, done: float) -> Batch:
        if not self._takes_progress:
            return self._source.batch(number)
        draw: Any = self._source.batch
        batch: Batch = draw(number, progress=int(100 * done) / 100)
        return batch

    # ---- processes ----------------------------------------------------------------------------------------------

    def _fork(self, number: int) -> tuple[Any, Any]:
        ready = self._context.Queue(maxsize=_AHEAD)
        process = self._context.Process(target=self._work, args=(number, ready), daemon=True)
        process.start()
        return process, ready

    def _receive(self, place: int, number: int) -> Prepared:
        for _ in range(_TRIES):
            process, ready = self._processes[place]
            while True:
                try:
                    prepared: Prepared | None = pickle.loads(ready.get(timeout=_PATIENCE))
                except queue.Empty:
                    if process.is_alive():
                        continue
                    break
                if prepared is None:
                    raise UserError(f"Batch {number} could not be made, nor {_TRIES - 1} others in its place.")
                return prepared
            self._processes[place] = self._fork(number)  # the process was killed
        raise UserError(f"Batch {number} could not be made: the process that makes it was killed {_TRIES} times.")

    def _work(self, first: int, ready: Any) -> None:
        """Make every n-th batch until killed."""
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        torch.set_num_threads(1)
        for made in self._make(first):
            ready.put(made)

    def _make(self, number: int) -> Iterator[bytes]:
        settings = self._settings
        while True:
            problems, made = list[str](), None
            for attempt in range(_TRIES):
                # By steps the share is that of the batch's own step: it does not depend on how far ahead it is made.
                by_clock = settings.n_steps is None
                done = self._done.value if by_clock else settings.done(number // settings.batches_per_step, 0)
                try:
                    batch = self._draw(number + attempt * _ANOTHER, done)
                    tokens = self._tokenizer(batch.pairs)
                    made = pickle.dumps(Prepared(tokens, batch.loss, batch.name, "; ".join(problems)))
                    break
                except Exception as error:  # whatever a source raises: one batch must not end a run of hours
                    problems.append(f"batch {number + attempt * _ANOTHER}: {type(error).__name__}: {error}")
            yield made if made is not None else pickle.dumps(None)
            number += settings.prepare_processes
