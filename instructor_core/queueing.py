"""One bounded queue for the work of all visitors: taken in turns, in slices, and together where it is alike.

A request is a group (what to run: one checkpoint, one kind of result), items, and a function from items to results.
One thread serves all requests. Each turn belongs to the request that has waited longest since its last one; it takes
a slice of bounded cost from it and fills the slice up with items of other requests of the same group. So small requests
share a run of the model, a long one cannot hold up a short one by more than a slice, and an item that several requests
wait for is run once: what is found is handed to each of them, and to nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from threading import Condition, Lock, Thread
from typing import Any, TypeVar

from instructor_core.errors import UserError

Item = TypeVar("Item", bound=Hashable)
Result = TypeVar("Result")
Run = Callable[[list[Any]], Sequence[Any]]

MAX_REQUESTS = 32
SLICE_COST = 4096
HEARTBEAT_S = 0.25  # how soon a request notices that its visitor has gone, while others are served
MAX_HEARTBEATS = 20  # a second, of all requests together: each may cost a report to its visitor
IDLE_S = 10.0  # how long the thread outlives the last request


@dataclass(eq=False)
class _Request:
    """What is still to be run for one caller, what it has not fetched yet, and what went wrong."""

    group: Hashable
    run: Run
    waiting: dict[Any, int]  # item to cost, costly first: a slice holds items of like cost, which are padded little
    changed: Condition  # of the lock of all, but heard by this one alone: the results of one wake nobody else
    context: Context = field(default_factory=copy_context)
    ready: dict[Any, Any] = field(default_factory=dict)
    error: Exception | None = None


class ModelQueue:
    """Runs requests of several threads on one thread, fairly; an item dearer than a slice makes one of its own."""

    def __init__(self, *, max_requests: int = MAX_REQUESTS, slice_cost: int = SLICE_COST) -> None:
        self.max_requests = max_requests
        self.slice_cost = slice_cost
        self._requests: list[_Request] = []  # the next turn is that of the first
        self._lock = Lock()
        self._entered = Condition(self._lock)
        self._thread: Thread | None = None

    @property
    def n_requests(self) -> int:
        """Requests in the queue at present."""
        return len(self._requests)

    def work(
        self, group: Hashable, items: Mapping[Item, int], run: Callable[[list[Item]], Sequence[Result]]
    ) -> Generator[dict[Item, Result], None, None]:
        """Yield results of items (with their costs) as they come; often an empty dictionary, if there is nothing new.

        Closing the generator gives the place in the queue back; a slice that is being run is run to its end. Requests
        of equal groups are run together: their ``run`` must do the same. What it raises for these items is raised here.
        """
        dear_first = dict(sorted(items.items(), key=lambda entry: -entry[1]))
        request = _Request(group, run, dear_first, Condition(self._lock))
        n_left = len(items)
        if n_left:
            self._enter(request)
        try:
            while n_left:
                with self._lock:
                    if not request.ready and request.error is None:
                        request.changed.wait(max(HEARTBEAT_S, len(self._requests) / MAX_HEARTBEATS))
                    part, request.ready = request.ready, {}
                    error = request.error
                if error is not None and not part:
                    raise error
                n_left -= len(part)
                yield part
        finally:
            with self._lock:
                self._leave([request])

    def _enter(self, request: _Request) -> None:
        with self._lock:
            if len(self._requests) >= self.max_requests:
                raise UserError(
                    f"The server is busy: it works on {self.max_requests} requests at a time and has as many. "
                    "Nothing is lost; wait a few seconds and try again."
                )
            self._requests.append(request)
            if self._thread is None:
                self._thread = Thread(target=self._serve, name="model-queue", daemon=True)
                self._thread.start()
            self._entered.notify()

    def _leave(self, requests: Iterable[_Request]) -> None:
        for request in requests:
            if request in self._requests:
                self._requests.remove(request)

    def _serve(self) -> None:
        while True:
            with self._lock:
                if not self._requests and not self._entered.wait_for(lambda: self._requests, IDLE_S):
                    self._thread = None
                    return
                owners = self._next_slice()
            self._run(owners)

    def _next_slice(self) -> dict[_Request, list[Any]]:
        """Choose the items to run now, by the request that brings them in."""
        first = self._requests[0]
        chosen: set[Any] = set()
        owners: dict[_Request, list[Any]] = {}
        left = self.slice_cost
        for request in self._requests:
            if request.group != first.group:
                continue
            for item, cost in request.waiting.items():
                if item in chosen:
                    continue
                if chosen and cost > left:
                    break
                chosen.add(item)
                owners.setdefault(request, []).append(item)
                left -= cost
        return owners

    def _run(self, owners: dict[_Request, list[Any]]) -> None:
        first = next(iter(owners))
        items = [item for own in owners.values() for item in own]
        try:
            results = dict(zip(items, first.context.run(first.run, items), strict=True))
        except Exception as error:  # handed to the thread that waits, which raises it
            if len(owners) == 1:
                with self._lock:
                    first.error = error
                    self._leave([first])
                    first.changed.notify()
            else:  # one request's trouble is not the others'
                for request, own in owners.items():
                    self._run({request: own})
            return
        with self._lock:
            alike = [request for request in self._requests if request.group == first.group]
            for request in alike:
                for item in results.keys() & request.waiting.keys():
                    del request.waiting[item]
                    request.ready[item] = results[item]
                if request.ready:
                    request.changed.notify()
            self._leave([request for request in alike if not request.waiting])
            # To the end of the line, behind those that came meanwhile. The sort is stable: the others keep their order.
            self._requests.sort(key=lambda request: request in owners)
