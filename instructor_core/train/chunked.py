"""A step on a CPU: chunks of like length through ``TrainingNetwork``, divided among threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch
from torch import Tensor

from instructor_core.encoder import InstructorModel
from instructor_core.train.network import Tape, TrainingNetwork
from instructor_core.train.settings import TrainingSettings
from instructor_core.train.tokens import Tokens, chunks

_SMALL_WIDTH = 512  # up to here operations are too short to be divided between cores


class Workers:
    """A fixed number of threads in which torch uses one core; a single worker is the calling thread as it is.

    The operations of a small model are too short to be worth dividing: on two cores two workers did a third more than
    one thread that divides each operation between two. Results do not depend on which worker is faster.
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


class ChunkedNetwork:
    """Gradients of a step, chunk by chunk."""

    def __init__(self, model: InstructorModel, settings: TrainingSettings) -> None:
        self._model, self._settings = model, settings
        small = model.device.type == "cpu" and model.dense.in_features <= _SMALL_WIDTH
        self.workers = Workers(settings.workers or (torch.get_num_threads() if small else 1))
        self._network = TrainingNetwork(model, bfloat16=settings.bfloat16, workers=self.workers.n)

    def gradients(self, tokens: Tokens, judge: Callable[[Tensor], Tensor]) -> tuple[Tensor, int]:
        """Put the gradient of what the judge says into the parameters: the loss and the number of padded tokens."""
        keep = not self._settings.gradient_cache
        model, network = self._model, self._network
        parts = chunks(tokens, chunk_tokens=self._settings.chunk_tokens, pad=model.pad_id, device=model.device)
        sizes = [part.input_ids.numel() for part in parts]
        shares = self.workers.share(sizes)
        embeddings = torch.empty(len(tokens.lengths), model.dim, device=model.device)
        tapes: dict[int, Tape] = {}

        def embed(worker: int) -> None:
            for i in shares[worker]:
                embeddings[parts[i].rows], tape = network.forward(parts[i])
                if keep:
                    tapes[i] = tape

        def pass_back(worker: int) -> None:
            for i in shares[worker]:
                tape = tapes.pop(i) if keep else network.forward(parts[i])[1]
                network.backward(tape, gradient[parts[i].rows], worker=worker)

        network.start_step()
        self.workers.run(embed)
        embeddings.requires_grad_()
        loss = judge(embeddings)
        (gradient,) = torch.autograd.grad(loss, embeddings)
        self.workers.run(pass_back)
        network.finish_step()
        return loss.detach(), sum(sizes)
