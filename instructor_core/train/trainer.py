"""The training loop: batches in, steps of AdamW, a state on disk from which a killed run goes on exactly."""

from __future__ import annotations

import json
import math
import os
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Barrier
from typing import Any

import torch

from instructor_core.encoder import InstructorModel
from instructor_core.errors import UserError
from instructor_core.train.batch import Batch, BatchSource
from instructor_core.train.network import Tape, TrainingNetwork
from instructor_core.train.settings import TrainingSettings
from instructor_core.train.tokens import chunks, tokenize

STATE_FILE = "training_state.pt"
LOG_FILE = "log.jsonl"
_MEMORY = 0.98  # of the running means in the log: about the last 50 reports of a value
_SMALL_WIDTH = 512  # up to here operations are too short to be divided between cores

Evaluate = Callable[[InstructorModel], dict[str, float]]


@dataclass(frozen=True)
class TrainingReport:
    """What a run did.

    Attributes:
        steps: Steps done in all, those before a resume included.
        tokens: Tokens seen in all, instructions included, padding not.
        seconds: Spent on these steps.
        losses: Loss of every step since this process started or resumed.
        means: Running means of what the losses reported, at the end.
        evaluation: What ``evaluate`` returned at the end; empty without it.
    """

    steps: int
    tokens: int
    seconds: float
    losses: list[float]
    means: dict[str, float]
    evaluation: dict[str, float]


@dataclass(eq=False)
class _Progress:
    """What a state on disk holds besides weights and optimizer."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    means: dict[str, float] = field(default_factory=dict)

    def add(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.means[name] = _MEMORY * self.means.get(name, value) + (1 - _MEMORY) * value


def _optimizer(model: InstructorModel, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW with a group for token embeddings, one for matrices and one for norms and position biases."""
    embeddings = model.transformer.shared.weight
    matrices: list[torch.nn.Parameter] = []
    rest: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter is not embeddings:
            plain = parameter.ndim < 2 or "relative_attention_bias" in name
            (rest if plain else matrices).append(parameter)
    rate = settings.learning_rate
    embedding_rate = rate if settings.embedding_learning_rate is None else settings.embedding_learning_rate
    groups = [
        {"params": [embeddings], "peak": embedding_rate, "weight_decay": 0.0},
        {"params": matrices, "peak": rate, "weight_decay": settings.weight_decay},
        {"params": rest, "peak": rate, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), eps=1e-8, fused=True)


def _usual_workers(model: InstructorModel) -> int:
    small = model.device.type == "cpu" and model.dense.in_features <= _SMALL_WIDTH
    return torch.get_num_threads() if small else 1


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


class _Trainer:
    """Model, optimizer and progress of one run."""

    def __init__(self, model: InstructorModel, source: BatchSource, settings: TrainingSettings, folder: Path) -> None:
        self.model, self.source, self.settings, self.folder = model, source, settings, folder
        self.workers = Workers(settings.workers or _usual_workers(model))
        self.network = TrainingNetwork(model, bfloat16=settings.bfloat16, workers=self.workers.n)
        self.optimizer = _optimizer(model, settings)
        self.progress = _Progress()

    # ---- one step -----------------------------------------------------------------------------------------------

    def gradients(self, batch: Batch) -> tuple[float, dict[str, float], int]:
        """Put the gradient of a batch into the parameters: loss, values to report, number of tokens."""
        keep = not self.settings.gradient_cache
        tokens = tokenize(self.model, batch.pairs, max_tokens=self.settings.max_tokens)
        parts = chunks(tokens, chunk_tokens=self.settings.chunk_tokens, pad=self.model.pad_id, device=self.model.device)
        shares = self.workers.share([part.input_ids.numel() for part in parts])
        embeddings = torch.empty(len(batch.pairs), self.model.dim, device=self.model.device)
        tapes: dict[int, Tape] = {}

        def embed(worker: int) -> None:
            for i in shares[worker]:
                embeddings[parts[i].rows], tape = self.network.forward(parts[i])
                if keep:
                    tapes[i] = tape

        def pass_back(worker: int) -> None:
            for i in shares[worker]:
                tape = tapes.pop(i) if keep else self.network.forward(parts[i])[1]
                self.network.backward(tape, gradient[parts[i].rows], worker=worker)

        self.network.start_step()
        self.workers.run(embed)
        embeddings.requires_grad_()
        loss, values = batch.loss(embeddings)
        (gradient,) = torch.autograd.grad(loss, embeddings)
        self.workers.run(pass_back)
        self.network.finish_step()
        return float(loss.detach()), values, tokens.n_tokens

    def step(self) -> float:
        """Do one step; return its loss."""
        started = time.perf_counter()
        scale = self.settings.scale(self.progress.step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * scale
        batch = self.source.batch(self.progress.step)
        loss, values, n_tokens = self.gradients(batch)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm, foreach=True)
        if not math.isfinite(loss) or not bool(torch.isfinite(norm)):
            raise UserError(
                f"Training needs finite losses: step {self.progress.step} ({batch.name}) gave {loss} with a gradient "
                f"of length {float(norm)}. Lower the learning rate (now {self.settings.learning_rate}), or compute in "
                "float32."
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.progress.step += 1
        self.progress.tokens += n_tokens
        self.progress.seconds += time.perf_counter() - started
        self.progress.add({"loss": loss, "gradient": float(norm), **values})
        self.log(loss=loss, batch=batch.name, tokens=n_tokens)
        return loss

    # ---- state on disk ------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the state under another name and rename it: a kill leaves the old one or the new."""
        state = {
            "settings": asdict(self.settings),
            "weights": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "random": torch.get_rng_state(),
        }
        temporary = self.folder / f".{STATE_FILE}.{uuid.uuid4().hex[:8]}"
        torch.save(state, temporary)
        os.replace(temporary, self.folder / STATE_FILE)

    def resume(self) -> None:
        """Take up the state in the folder, if there is one."""
        path = self.folder / STATE_FILE
        if not path.is_file():
            return
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        shapes = {name: tensor.shape for name, tensor in self.model.state_dict().items()}
        if shapes != {name: tensor.shape for name, tensor in state["weights"].items()}:
            raise UserError(
                f"A run goes on with the model it began with: {path} holds weights of another shape. Choose another "
                "folder, or delete the file to begin anew."
            )
        self.model.load_state_dict(state["weights"])
        groups = [(group["peak"], group["weight_decay"]) for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, (peak, weight_decay) in zip(self.optimizer.param_groups, groups, strict=True):
            group["peak"], group["weight_decay"] = peak, weight_decay  # the settings may have been changed since
        self.progress = _Progress(**state["progress"])
        torch.set_rng_state(state["random"])
        _tell(f"resumed at step {self.progress.step} of {self.settings.n_steps}")
        for name, value in asdict(self.settings).items():
            if name in state["settings"] and state["settings"][name] != value:
                _tell(f"setting changed since the state was saved: {name} from {state['settings'][name]} to {value}")

    # ---- log ----------------------------------------------------------------------------------------------------

    def log(self, **entry: Any) -> None:
        with (self.folder / LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self.progress.step, **entry}) + "\n")

    def evaluate(self, evaluate: Evaluate) -> dict[str, float]:
        self.model.eval()
        start = time.perf_counter()
        values = evaluate(self.model)
        shown = " ".join(f"{name} {value:.4f}" for name, value in values.items())
        _tell(f"step {self.progress.step}  evaluation ({time.perf_counter() - start:.0f} s)  {shown}")
        self.log(evaluation=values)
        return values

    def run(self, evaluate: Evaluate | None) -> TrainingReport:
        """Do the steps that are left, with lines of progress, states and evaluations between them."""
        progress, settings = self.progress, self.settings
        losses: list[float] = []
        evaluation: dict[str, float] = {}
        pace = _Pace(progress, settings)
        while progress.step < settings.n_steps:
            losses.append(self.step())
            last = progress.step == settings.n_steps
            if last or progress.step % settings.log_every == 0:
                pace.tell(progress)
            if last or (settings.save_every and progress.step % settings.save_every == 0):
                self.save()
            if evaluate and not last and settings.evaluate_every and progress.step % settings.evaluate_every == 0:
                self.evaluate(evaluate)
        if evaluate:
            evaluation = self.evaluate(evaluate)
        return TrainingReport(
            progress.step, progress.tokens, progress.seconds, losses, dict(progress.means), evaluation
        )


class _Pace:
    """Lines of progress: the rate since the last line, the remaining time by all steps of this process."""

    def __init__(self, progress: _Progress, settings: TrainingSettings) -> None:
        self._settings = settings
        self._first = self._last = progress.step, progress.tokens, progress.seconds

    def tell(self, progress: _Progress) -> None:
        step, seconds = progress.step, progress.seconds
        rate = (progress.tokens - self._last[1]) / max(1e-9, seconds - self._last[2])
        left = (seconds - self._first[2]) / (step - self._first[0]) * (self._settings.n_steps - step)
        self._last = step, progress.tokens, seconds
        clock = f"{int(left // 3600)}:{int(left // 60) % 60:02}:{int(left) % 60:02}"
        means = " ".join(f"{name} {value:.3f}" for name, value in progress.means.items())
        scale = self._settings.scale(step - 1)
        _tell(f"step {step}/{self._settings.n_steps}  {rate:,.0f} tokens/s  {clock} left  rate x{scale:.3f}  {means}")


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def train(
    model: InstructorModel,
    source: BatchSource,
    settings: TrainingSettings,
    folder: Path,
    *,
    evaluate: Evaluate | None = None,
) -> TrainingReport:
    """Train a model in place, or go on with the run whose state is in the folder.

    Progress goes to standard error as plain lines and to ``log.jsonl`` in the folder, one object per step.
    ``training_state.pt`` holds weights, optimizer, step and random state; a run that is started again with the same
    source and settings has the losses that it would have had without the stop.

    Args:
        model: Loaded with ``trainable=True``.
        source: Where batches come from.
        settings: How to train.
        folder: For state and log; made if it is not there.
        evaluate: Called every ``evaluate_every`` steps and at the end; its values are logged.

    Raises:
        UserError: If the model was not loaded for training, the state in the folder is of another model, or a loss is
            not finite.
        EncoderError: If a pair cannot be tokenized.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    trainer = _Trainer(model, source, settings, folder)
    try:
        trainer.resume()
        return trainer.run(evaluate)
    finally:
        trainer.workers.close()
