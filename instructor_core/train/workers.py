"""Threads that share the chunks of a step, each computing on one core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch


class Workers:
    """A fixed number of threads in which torch uses one core; a single worker is the calling thread as it is.

    The operations of a small model are too short to be worth dividing: on two cores two workers did a third more than
    one thread that divides each operation between two. Results do not depend on which worker is faster.

    Args:
        n: Number of workers, at least 1.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._pool = ThreadPoolExecutor(n, thread_name_prefix="train") if n > 1 else None
        if self._pool is not None:
            # The number of threads is a setting of the thread that sets it and a default for those begun later, so
            # all workers begin before the default is put back.
            threads, begun = torch.get_num_threads(), Barrier(n)

            def begin(_: int) -> None:
                torch.set_num_threads(1)
                torch.get_num_threads()  # takes up the default, once for each thread
                begun.wait()

            list(self._pool.map(begin, range(n)))
            torch.set_num_threads(threads)

    def share(self, costs: Sequence[int]) -> list[list[int]]:
        """Divide jobs among the workers, the longest first to whoever has least to do: positions for each worker."""
        shares: list[list[int]] = [[] for _ in range(self.n)]
        loads = [0] * self.n
        for job in sorted(range(len(costs)), key=lambda i: -costs[i]):
            worker = loads.index(min(loads))
            shares[worker].append(job)
            loads[worker] += costs[job]
        return shares

    def run(self, work: Callable[[int], None]) -> None:
        """Call ``work(worker)`` in every worker and wait for all; an error in one is raised here."""
        if self._pool is None:
            work(0)
        else:
            list(self._pool.map(work, range(self.n)))

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
