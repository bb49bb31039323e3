"""The training loop: batches in, steps of AdamW, a state on disk from which a killed run goes on exactly."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from instructor_core.encoder import InstructorModel
from instructor_core.errors import UserError
from instructor_core.train.batch import BatchSource
from instructor_core.train.chunked import ChunkedNetwork
from instructor_core.train.packed import PackedNetwork
from instructor_core.train.preparing import Preparation
from instructor_core.train.progress import Pace, Progress, tell_line
from instructor_core.train.saving import write_copy
from instructor_core.train.settings import TrainingSettings
from instructor_core.train.tokens import Tokens
from instructor_core.train.watch import EVERY, Watch, score_limit

STATE_FILE = "training_state.pt"
LOG_FILE = "log.jsonl"
_MOST_RETURNS = 6  # to the last good state, each with half of the rate
_WATCHED_PAIRS = 32

Evaluate = Callable[[InstructorModel], dict[str, float]]


@dataclass(frozen=True)
class TrainingReport:
    """What a run did.

    Attributes:
        steps: Steps done in all, those before a resume included.
        tokens: Tokens seen in all, instructions included, padding not.
        seconds: Spent on these steps, with what is between them.
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


def _optimizer(model: InstructorModel, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW with a group for token embeddings, one for matrices, one for norms and position biases, one for q and k."""
    embeddings = model.transformer.shared.weight
    kinds: dict[str, list[torch.nn.Parameter]] = {"embeddings": [embeddings], "matrices": [], "rest": [], "slow": []}
    for name, parameter in model.named_parameters():
        if parameter is not embeddings:
            plain = parameter.ndim < 2 or "relative_attention_bias" in name
            slow = settings.query_key_scale != 1 and name.endswith((".q.weight", ".k.weight"))
            kinds["rest" if plain else "slow" if slow else "matrices"].append(parameter)
    rate, decay = settings.learning_rate, settings.weight_decay
    embedding_rate = rate if settings.embedding_learning_rate is None else settings.embedding_learning_rate
    peaks = {
        "embeddings": (embedding_rate, 0.0),
        "matrices": (rate, decay),
        "rest": (rate, 0.0),
        "slow": (rate * settings.query_key_scale, decay),
    }
    groups = [
        {"params": kinds[kind], "peak": peak, "weight_decay": weight_decay}
        for kind, (peak, weight_decay) in peaks.items()
        if kinds[kind]
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), eps=1e-8, fused=True)


def is_packed(model: InstructorModel, settings: TrainingSettings) -> bool:
    """Whether a step is one pass over everything: not on a CPU, nor where memory must not grow with the batch."""
    return model.device.type != "cpu" and not settings.gradient_cache


class _Trainer:
    """Model, optimizer and progress of one run."""

    def __init__(self, model: InstructorModel, source: BatchSource, settings: TrainingSettings, folder: Path) -> None:
        self.model, self.settings, self.folder = model, settings, folder
        self.packed = PackedNetwork(model, bfloat16=settings.bfloat16)
        self.chunked = None if is_packed(model, settings) else ChunkedNetwork(model, settings)
        self.optimizer: Any = _optimizer(model, settings)
        self.parameters = list(model.parameters())
        self.average = [parameter.detach().clone() for parameter in self.parameters] if settings.average else []
        self.progress, self.watch = Progress(), Watch()
        self.losses: list[float] = []
        self.unread: list[tuple[dict[str, Any], list[Tensor], list[str]]] = []
        self.preparation = Preparation(model, source, settings)
        self.watched = self.preparation.first(_WATCHED_PAIRS)
        self.scores = self.packed.scores(self.watched)
        self.max_score = score_limit(self.scores, settings.max_score)
        self.began = time.perf_counter()

    def close(self) -> None:
        self.preparation.close()
        if self.chunked is not None:
            self.chunked.workers.close()

    # ---- one step -----------------------------------------------------------------------------------------------

    def seconds(self) -> float:
        """Length of the run so far, earlier processes included."""
        return self.progress.seconds + time.perf_counter() - self.began

    def done(self) -> float:
        return self.settings.done(self.progress.step, self.seconds())

    def scale(self) -> float:
        return self.settings.scale(self.progress.step, self.done()) * self.progress.rate

    def step(self) -> None:
        """Do one step. What it reports stays on the device until ``read``."""
        progress, settings = self.progress, self.settings
        done, scale = self.done(), self.scale()
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * scale
        first = progress.step * settings.batches_per_step
        prepared = [self.preparation.take(first + i, done) for i in range(settings.batches_per_step)]
        for batch in prepared:
            if batch.problem:
                tell_line(f"left out: {batch.problem}")
        tokens = Tokens.join([batch.tokens for batch in prepared])
        found: dict[str, float | Tensor] = {}

        def judge(embeddings: Tensor) -> Tensor:
            losses = []
            parts = torch.split(embeddings, [len(batch.tokens.lengths) for batch in prepared])
            for batch, part in zip(prepared, parts, strict=True):
                loss, values = batch.loss(part)
                losses.append(loss)
                found.update(values)  # of several batches with values of one name the last one's
            return torch.stack(losses).mean()

        loss, padded = (self.chunked or self.packed).gradients(tokens, judge)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, settings.clip_norm, foreach=True)
        wild = self.watch.is_wild(norm)
        # How torch's scaler has a fused step left out, on the device.
        self.optimizer.found_inf = wild.float()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        progress.step += 1
        progress.tokens += len(tokens.ids)
        progress.padded += padded
        if self.average:
            # The first steps count less than the decay says: the start would outlast them.
            decay = min(settings.average, progress.step / (progress.step + 10))
            with torch.no_grad():
                torch._foreach_lerp_(self.average, list[Tensor](self.parameters), 1 - decay)
        entry = {"step": progress.step, "batch": ", ".join(batch.name for batch in prepared), "tokens": len(tokens.ids)}
        numbers = [torch.as_tensor(value, dtype=torch.float32, device=norm.device) for value in found.values()]
        self.unread.append((entry, [loss, norm.detach(), wild, *numbers], ["loss", "gradient", "", *found]))

    def read(self) -> None:
        """Take in what the last steps reported: to the log, the running means and the watch."""
        if not self.unread:
            return
        numbers = torch.stack([value.detach().float() for _, values, _ in self.unread for value in values]).tolist()
        norms = []
        with (self.folder / LOG_FILE).open("a", encoding="utf-8") as file:
            for entry, values, names in self.unread:
                loss, norm, wild, *_ = own = numbers[: len(values)]
                numbers = numbers[len(values) :]
                self.losses.append(loss)
                norms.append(float("inf") if wild else norm)
                if not wild:
                    self.progress.add({name: value for name, value in zip(names, own, strict=True) if name})
                file.write(json.dumps({**entry, "loss": loss, **({"left out": True} if wild else {})}) + "\n")
        self.unread = []
        self.watch.add(norms, self.progress.step, self.settings.clip_norm)

    def look(self) -> None:
        """Go back to the last state on disk, with half of the rate, if the run is being lost."""
        self.scores = self.packed.scores(self.watched)
        trouble = self.watch.trouble(self.scores, self.max_score, self.settings.clip_norm)
        if not trouble:
            return
        at, progress = self.progress.step, self.progress
        good = self.restore(torch.load(self.folder / STATE_FILE, map_location="cpu", weights_only=True))
        progress.rate, progress.returns = progress.rate / 2, progress.returns + 1
        tell_line(f"step {at}: {trouble}. Back to the weights of step {good.step}, rate x{progress.rate:g}")
        self.log(back_to=good.step, because=trouble)
        if progress.returns > _MOST_RETURNS:
            raise UserError(
                f"Training went wrong {progress.returns} times, the last time at step {at}: {trouble}. The weights are "
                f"those of step {good.step}. Lower the learning rate (now {self.settings.learning_rate}), or look at "
                f"the batches of these steps in {LOG_FILE}."
            )

    # ---- state on disk ------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the state under another name and rename it: a kill leaves the old one or the new."""
        self.progress.seconds, self.began = self.seconds(), time.perf_counter()
        state = {
            "settings": asdict(self.settings),
            "weights": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress) | {"watch": asdict(self.watch)},
            "random": torch.get_rng_state(),
        }
        temporary = self.folder / f".{STATE_FILE}.{uuid.uuid4().hex[:8]}"
        torch.save(state, temporary)
        os.replace(temporary, self.folder / STATE_FILE)
        if self.settings.keep_copies and self.progress.step:
            with self.use_average():
                write_copy(self.model, self.folder / f"step-{self.progress.step:06}.safetensors")
            for old in sorted(self.folder.glob("step-*.safetensors"))[: -self.settings.keep_copies]:
                old.unlink()

    def restore(self, state: dict[str, Any]) -> Progress:
        """Take weights, averages, optimizer and watch from a state; return its progress."""
        self.model.load_state_dict(state["weights"])
        with torch.no_grad():
            for mine, saved in zip(self.average, state.get("average") or self.parameters, strict=False):
                mine.copy_(saved)
        groups = [(group["peak"], group["weight_decay"]) for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, (peak, weight_decay) in zip(self.optimizer.param_groups, groups, strict=True):
            group["peak"], group["weight_decay"] = peak, weight_decay  # the settings may have been changed since
        progress = Progress(**state["progress"])
        self.watch = Watch(**progress.watch)
        return progress

    def resume(self) -> None:
        """Take up the state in the folder, or write the first one."""
        path = self.folder / STATE_FILE
        if not path.is_file():
            self.save()
            return
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        shapes = {name: tensor.shape for name, tensor in self.model.state_dict().items()}
        if shapes != {name: tensor.shape for name, tensor in state["weights"].items()}:
            raise UserError(
                f"A run goes on with the model it began with: {path} holds weights of another shape. Choose another "
                "folder, or delete the file to begin anew."
            )
        self.progress = self.restore(state)
        torch.set_rng_state(state["random"])
        whole = self.settings.n_steps or f"a run of {self.settings.seconds:.0f} s"
        tell_line(f"resumed at step {self.progress.step} of {whole}")
        for name, value in asdict(self.settings).items():
            if name in state["settings"] and state["settings"][name] != value:
                tell_line(
                    f"setting changed since the state was saved: {name} from {state['settings'][name]} to {value}"
                )

    # ---- log ----------------------------------------------------------------------------------------------------

    def log(self, **entry: Any) -> None:
        with (self.folder / LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self.progress.step, **entry}) + "\n")

    @contextmanager
    def use_average(self) -> Iterator[None]:
        """Put the averaged weights into the model for a while."""
        kept = [parameter.detach().clone() for parameter in self.parameters] if self.average else []
        self._put(self.average)
        try:
            yield
        finally:
            self._put(kept)

    @torch.no_grad()
    def _put(self, weights: list[Tensor]) -> None:
        for parameter, weight in zip(self.parameters if weights else [], weights, strict=True):
            parameter.copy_(weight)

    def evaluate(self, evaluate: Evaluate) -> dict[str, float]:
        self.model.eval()
        start = time.perf_counter()
        with self.use_average():
            values = evaluate(self.model)
        shown = " ".join(f"{name} {value:.4f}" for name, value in values.items())
        tell_line(f"step {self.progress.step}  evaluation ({time.perf_counter() - start:.0f} s)  {shown}")
        self.log(evaluation=values)
        return values

    def run(self, evaluate: Evaluate | None) -> TrainingReport:
        """Do the steps that are left, with lines of progress, states and evaluations between them."""
        settings = self.settings
        self.began = time.perf_counter()
        self.preparation.start(self.progress.step * settings.batches_per_step)
        pace = Pace(settings, self.progress, self.done())
        last = self.done() >= 1
        while not last:
            self.step()
            step, last = self.progress.step, self.done() >= 1
            at = {every: last or (every > 0 and step % every == 0) for every in (
                EVERY, settings.log_every, settings.save_every, settings.evaluate_every)}  # fmt: skip
            if any(at.values()):
                self.read()
            if at[EVERY] or at[settings.save_every]:
                self.look()
            if at[settings.log_every]:
                line = pace.line(
                    seconds=self.seconds(), waited=self.preparation.waited, done=self.done(), rate=self.scale(),
                    norm=self.watch.median(), scores=self.scores,
                )  # fmt: skip
                tell_line(line)
            if at[settings.save_every]:
                self.save()
            if evaluate and not last and at[settings.evaluate_every]:
                self.evaluate(evaluate)
        evaluation = self.evaluate(evaluate) if evaluate else {}
        self._put(self.average)
        progress = self.progress
        means = dict(progress.means)
        return TrainingReport(progress.step, progress.tokens, progress.seconds, self.losses, means, evaluation)


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
    source and settings has the losses that it would have had without the stop (by the clock: the same schedule).
    A step whose gradient is far beyond the usual is left out; a run that is being lost, told by attention scores and
    gradients, goes back to the last state and on with half of the rate.

    Args:
        model: Loaded with ``trainable=True``.
        source: Where batches come from.
        settings: How to train.
        folder: For state and log; made if it is not there.
        evaluate: Called every ``evaluate_every`` steps and at the end; its values are logged.

    Raises:
        UserError: If the model was not loaded for training, the state in the folder is of another model, or the run
            went wrong again and again.
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
        trainer.close()
