"""The queue is fair, bounded and shared; what a request gets is its own. A fake model waits until a test lets it go."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Semaphore, Thread
from typing import Any

import pytest

from instructor_core import queueing
from instructor_core.errors import UserError
from instructor_core.queueing import ModelQueue

WITHIN_S = 60.0  # a test that waits longer has found a deadlock
visitor: ContextVar[str] = ContextVar("visitor", default="nobody")


@dataclass
class Model:
    """Doubles words, one slice for each permit, and remembers the slices."""

    slices: list[list[str]] = field(default_factory=list)
    visitors: list[str] = field(default_factory=list)
    started: Semaphore = field(default_factory=lambda: Semaphore(0))
    permits: Semaphore = field(default_factory=lambda: Semaphore(0))

    def run(self, items: list[str]) -> list[str]:
        self.slices.append(items)
        self.visitors.append(visitor.get())
        self.started.release()
        assert self.permits.acquire(timeout=WITHIN_S)
        if "bad" in items:
            raise ValueError("bad cannot be doubled")
        return [item * 2 for item in items]

    def wait_until_running(self) -> None:
        assert self.started.acquire(timeout=WITHIN_S)

    def let_go(self, n: int = 1) -> None:
        self.permits.release(n)


class Caller(Thread):
    """A request in a thread of its own; the work is in the queue when the constructor returns."""

    def __init__(
        self, queue: ModelQueue, model: Model, items: str | list[str], *, group: object = "g", cost: int = 1
    ) -> None:
        super().__init__(daemon=True)
        self.items = items.split() if isinstance(items, str) else items
        self.found: dict[str, str] = {}
        self.error: Exception | None = None
        self.steps = queue.work(group, dict.fromkeys(self.items, cost), model.run)
        before = queue.n_requests
        self.start()
        while queue.n_requests == before and self.is_alive():
            time.sleep(0.001)

    def run(self) -> None:
        try:
            for part in self.steps:
                self.found.update(part)
        except (UserError, ValueError) as error:
            self.error = error

    def answer(self) -> dict[str, str]:
        self.join(WITHIN_S)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error
        return self.found


@pytest.fixture
def model() -> Iterator[Model]:
    fake = Model()
    yield fake
    fake.let_go(1000)  # whatever a failed test left waiting ends


@contextmanager
def busy(queue: ModelQueue, model: Model) -> Iterator[None]:
    """The model is in the middle of a slice of somebody else's until the block ends."""
    other = Caller(queue, Model(permits=model.permits, started=model.started), "other", group="elsewhere")
    model.wait_until_running()
    yield
    model.let_go()
    assert other.answer() == {"other": "otherother"}


def doubled(items: str) -> dict[str, str]:
    return {item: item * 2 for item in items.split()}


def test_small_requests_that_wait_are_run_together_and_each_gets_its_own(model: Model) -> None:
    queue = ModelQueue(slice_cost=10)
    other = Model(permits=model.permits, started=model.started)
    with busy(queue, model):
        callers = [Caller(queue, model, items) for items in ("a b", "c", "d e f")]
        apart = Caller(queue, other, "a b", group="another checkpoint")
        closed = queue.work("g", {"left": 1}, model.run)
        assert next(closed) == {}  # it comes back without a result, so that a visitor who left is noticed
        closed.close()
    model.let_go(2)
    assert [caller.answer() for caller in callers] == [doubled("a b"), doubled("c"), doubled("d e f")]
    assert model.slices == [["a", "b", "c", "d", "e", "f"]]
    assert apart.answer() == doubled("a b") and other.slices == [["a", "b"]]  # groups are never run together
    assert queue.n_requests == 0


def test_a_short_request_waits_for_one_slice_of_a_long_one(model: Model) -> None:
    queue = ModelQueue(slice_cost=2)
    long = Caller(queue, model, "l1 l2 l3 l4 l5 l6")
    model.wait_until_running()
    short = Caller(queue, model, "s")
    model.let_go(2)
    assert short.answer() == {"s": "ss"}
    assert model.slices[:2] == [["l1", "l2"], ["s", "l3"]]
    model.let_go(2)
    assert long.answer() == doubled("l1 l2 l3 l4 l5 l6")


def test_long_requests_take_turns_and_none_starves(model: Model) -> None:
    queue = ModelQueue(slice_cost=2)
    with busy(queue, model):
        callers = [Caller(queue, model, f"{name}1 {name}2 {name}3 {name}4", group=name) for name in "abc"]
    model.let_go(6)
    for caller in callers:
        assert len(caller.answer()) == 4
    turns = ["".join(item[0] for item in items) for items in model.slices]
    assert sorted(turns[:3]) == sorted(turns[3:]) == ["aa", "bb", "cc"]


def test_an_item_that_several_wait_for_is_run_once(model: Model) -> None:
    queue = ModelQueue(slice_cost=2)
    with busy(queue, model):
        first, second = Caller(queue, model, "a b c"), Caller(queue, model, "c a b")
    model.let_go(2)
    assert first.answer() == second.answer() == doubled("a b c")
    assert sorted(item for items in model.slices for item in items) == ["a", "b", "c"]


def test_a_dear_item_makes_a_slice_of_its_own_and_the_dear_come_first(model: Model) -> None:
    queue = ModelQueue(slice_cost=4)
    steps = queue.work("g", {"cheap": 1, "dear": 9, "middling": 3}, model.run)
    model.let_go(2)
    assert {key: value for part in steps for key, value in part.items()} == doubled("cheap dear middling")
    assert model.slices == [["dear"], ["middling", "cheap"]]


def test_closing_a_request_frees_its_place_and_spares_the_rest_of_its_work(model: Model) -> None:
    queue = ModelQueue(slice_cost=1, max_requests=1)
    steps = queue.work("g", {"a": 1, "b": 1, "c": 1}, model.run)
    model.let_go()
    while not next(steps):
        pass
    assert queue.n_requests == 1
    model.wait_until_running()
    model.wait_until_running()  # b is being run
    steps.close()
    assert queue.n_requests == 0
    model.let_go(2)
    assert Caller(queue, model, "d").answer() == {"d": "dd"}
    assert model.slices == [["a"], ["b"], ["d"]]


def test_a_request_that_nobody_fetches_gives_its_place_back_when_it_is_done(model: Model) -> None:
    queue = ModelQueue(max_requests=2)
    with busy(queue, model):
        steps = queue.work("g", {"a": 1}, model.run)
        assert next(steps) == {}
    model.let_go(2)
    assert Caller(queue, model, "b").answer() == {"b": "bb"}
    assert queue.n_requests == 0
    assert next(steps) == {"a": "aa"}


def test_a_full_queue_says_so_and_takes_requests_again_when_there_is_room(model: Model) -> None:
    queue = ModelQueue(max_requests=2)
    with busy(queue, model):
        first = Caller(queue, model, "a")
        assert list(queue.work("g", {}, model.run)) == []  # nothing to do needs no place
        with pytest.raises(UserError, match=r"busy: it works on 2 requests at a time .* wait a few seconds"):
            Caller(queue, model, "b").answer()
    model.let_go()
    assert first.answer() == {"a": "aa"}
    model.let_go()
    assert Caller(queue, model, "b").answer() == {"b": "bb"}


def test_the_error_of_one_request_does_not_reach_those_that_were_run_with_it(model: Model) -> None:
    queue = ModelQueue(slice_cost=10)
    with busy(queue, model):
        callers = [Caller(queue, model, items) for items in ("a", "b bad", "c")]
    model.let_go(4)
    assert callers[0].answer() == {"a": "aa"}
    assert callers[2].answer() == {"c": "cc"}
    with pytest.raises(ValueError, match="bad cannot be doubled"):
        callers[1].answer()
    assert model.slices == [["a", "b", "bad", "c"], ["a"], ["b", "bad"], ["c"]]
    model.let_go()
    assert Caller(queue, model, "d").answer() == {"d": "dd"}


def test_work_is_run_in_the_context_of_the_visitor_who_asked(model: Model) -> None:
    queue = ModelQueue()
    model.let_go(2)
    for name in ("ada", "grace"):
        token = visitor.set(name)
        assert list(queue.work("g", {name: 1}, model.run))[-1] == {name: name * 2}
        visitor.reset(token)
    assert model.visitors == ["ada", "grace"]


def test_the_thread_ends_when_nobody_asks_and_starts_again(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "IDLE_S", 0.0)
    queue = ModelQueue()
    for word in ("a", "b"):
        model.let_go()
        assert Caller(queue, model, word).answer() == doubled(word)
        thread = queue._thread
        if thread is not None:
            thread.join(WITHIN_S)
        assert queue._thread is None


def test_many_threads_get_what_they_asked_for() -> None:
    queue = ModelQueue(max_requests=100, slice_cost=7)
    rng = random.Random(0)

    def run(items: list[tuple[str, int]]) -> list[int]:
        if any(number == 13 for _, number in items):
            raise ValueError("thirteen")
        return [number * number for _, number in items]

    def ask(numbers: list[int], group: str, wrong: list[object]) -> None:
        items = {(group, number): 1 + number % 5 for number in numbers}
        found: dict[Any, int] = {}
        try:
            for part in queue.work(group, items, run):
                found.update(part)
        except ValueError:
            if 13 not in numbers:
                wrong.append(numbers)
        else:
            if found != {item: item[1] ** 2 for item in items}:
                wrong.append(found)

    wrong: list[object] = []
    for _ in range(5):
        asked = [[rng.randrange(30) for _ in range(rng.randrange(1, 20))] for _ in range(40)]
        threads = [Thread(target=ask, args=(numbers, rng.choice("xyz"), wrong)) for numbers in asked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WITHIN_S)
            assert not thread.is_alive()
    assert wrong == []
    assert queue.n_requests == 0
