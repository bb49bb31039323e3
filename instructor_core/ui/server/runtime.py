"""Loaded checkpoints, shared by all visitors: loaded when first asked for, at most a few at a time."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from instructor_core.analysis.calibration import Background, background, unrelated_sentences
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.cache import MEGABYTE, CachedEncoder, OnDevice
from instructor_core.errors import UserError
from instructor_core.hub import Checkpoint
from instructor_core.queueing import ModelQueue
from instructor_core.ui.data.inputs import Inputs, choice_of
from instructor_core.ui.feedback import incident
from instructor_core.ui.server.fetching import Download, without_paths
from instructor_core.ui.server.zero_gpu import SPEED, gpu_of, lend

if TYPE_CHECKING:
    from instructor_core.families import EmbeddingModel
    from instructor_core.families.templates import Template

logger = logging.getLogger(__name__)

ZERO_GPU = "ZeroGPU"
MAX_LOADED = 2
MAX_WORDS = 300  # characters of an error that help a visitor; what libraries say at length is for the log
MAX_GRIDS = 4  # runs, each under one checkpoint, whose embeddings stay together as one array


@dataclass
class Work:
    """What the model of a checkpoint has done: pairs, and the seconds that they took it."""

    n_pairs: int = 0
    seconds: float = 0.0

    def clock(self, bind: OnDevice) -> OnDevice:
        """Return `bind` with a clock beside what embeds pairs."""

        def bind_clocked(function: Callable[..., Any], model: EmbeddingModel) -> Callable[..., Any]:
            run = bind(function, model)

            def run_clocked(given: Any, *how: Any) -> Any:
                started = time.monotonic()
                answer = run(given, *how)
                if isinstance(given, list) and not how:  # embeddings alone: tokens and layers take longer
                    self.n_pairs += len(given)
                    self.seconds += time.monotonic() - started
                return answer

            return run_clocked

        return bind_clocked


@dataclass
class Runtime:
    """The checkpoints a page may use and the encoders made from them; nothing else can be loaded from the web."""

    checkpoints: Sequence[Checkpoint]  # the first is the default
    device: str | None = None  # None lets the encoder choose; not used on ZeroGPU
    dtype: str = "float32"
    queue: ModelQueue = field(default_factory=ModelQueue)  # of all tabs, of the API and of MCP
    cache_mb: int = 256  # of embeddings, of token encodings and of layers, each, of each encoder
    max_pairs: int | None = None  # that one request may encode
    threads: int | None = None  # None leaves it to PyTorch
    beside_id: str = ""  # checkpoint that the page opens beside the first; "" for none
    _encoders: OrderedDict[str, CachedEncoder] = field(default_factory=OrderedDict)
    _downloads: dict[str, Download] = field(default_factory=dict)
    _grids: OrderedDict[Inputs, EmbeddingGrid] = field(default_factory=OrderedDict)
    _weights: dict[str, int] = field(default_factory=dict)  # bytes of the models that were loaded
    _lock: Lock = field(default_factory=Lock)
    _loading: Lock = field(default_factory=Lock)
    _lent: dict[str, OnDevice] = field(default_factory=dict)
    _work: dict[str, Work] = field(default_factory=lambda: defaultdict(Work))

    def __post_init__(self) -> None:
        """Wrap what is lent a GPU on ZeroGPU: the checkpoints of the hub."""
        if gpu := gpu_of():
            self.device = "cpu"
            self._lent = {entry.id: lend(gpu, entry, self.dtype) for entry in self.checkpoints if entry.revision}

    def place(self, checkpoint_id: str) -> str:
        """Return where a loaded checkpoint computes, for the line about it."""
        return (
            ZERO_GPU
            if self.checkpoint(checkpoint_id).id in self._lent
            else str(self.encoder(checkpoint_id).model.device.type)
        )

    def pace(self, checkpoint_id: str) -> float:
        """Return how many pairs a second the model of a checkpoint has done up to now; 0 if it has done none."""
        work = self._work[self.checkpoint(checkpoint_id).id]
        return work.n_pairs / work.seconds if work.seconds else 0.0

    @property
    def n_bytes(self) -> int:
        """Bytes held in the caches of all encoders and in the grids of the latest runs."""
        with self._lock:
            cached = sum(encoder.n_bytes for encoder in self._encoders.values())
            return cached + sum(map(_n_bytes, self._grids.values()))

    def checkpoint(self, checkpoint_id: str) -> Checkpoint:
        """Return the registry entry of a checkpoint."""
        name = checkpoint_id.partition("\n")[0]
        for checkpoint in self.checkpoints:
            if checkpoint.id == name:
                return checkpoint
        known = ", ".join(checkpoint.id for checkpoint in self.checkpoints)
        raise UserError(f"There is no checkpoint {name!r}. Choose one of: {known}.")

    @property
    def choices(self) -> list[tuple[str, str]]:
        """(label, value) for a menu: each checkpoint alone, and each two side by side."""
        beside = []
        for first, second in combinations(self.checkpoints, 2):
            name, size = f"{first.id} + {second.id}, side by side", first.download_mb + second.download_mb
            beside.append((replace(second, id=name, download_mb=size).label, choice_of(first.id, second.id)))
        return [*((checkpoint.label, checkpoint.id) for checkpoint in self.checkpoints), *beside]

    def choose(self, choice: str) -> tuple[str, str]:
        """Return the ids that a value of the menu stands for: of the first checkpoint, and of the one beside it."""
        ids = [checkpoint.id for checkpoint in self.checkpoints]
        return {choice_of(*pair): pair for pair in combinations(ids, 2)}.get(choice, (choice, ""))

    def encoder(self, checkpoint_id: str) -> CachedEncoder:
        """Return the encoder of a checkpoint, loading it first if need be; a template may follow after a line end."""
        checkpoint_id, _, template = checkpoint_id.partition("\n")
        if template:
            return self._with_template(self.encoder(checkpoint_id), template)
        checkpoint = self.checkpoint(checkpoint_id)
        if (loaded := self._get_loaded(checkpoint_id)) is not None:
            return loaded
        with self._loading:  # one at a time; who uses another checkpoint does not wait
            if (loaded := self._get_loaded(checkpoint_id)) is not None:
                return loaded
            with self._lock:
                while len(self._encoders) >= MAX_LOADED:  # before there is one more
                    self._encoders.popitem(last=False)
            encoder = self._load(checkpoint)
            with self._lock:
                self._encoders[checkpoint_id] = encoder
                self._weights[checkpoint_id] = _weight_bytes(encoder.model)
            return encoder

    def _with_template(self, encoder: CachedEncoder, template: str) -> CachedEncoder:
        from instructor_core.families import TemplateModel
        from instructor_core.families.templates import check_for_all

        if not isinstance(encoder.model, TemplateModel):
            raise UserError("INSTRUCTOR puts the instruction before the text as it is: it takes no template.")
        return encoder.with_template(check_for_all(template))

    def with_template(self, checkpoint_id: str, template: str) -> str:
        """Return the id of a checkpoint with a template as typed; without one where it has none or that is its own."""
        own = self.template(checkpoint_id) if self.is_loaded(checkpoint_id) else None
        if not template.strip() or (self.is_loaded(checkpoint_id) and own is None):
            return checkpoint_id
        return checkpoint_id if own and template.rstrip() == own.string else f"{checkpoint_id}\n{template.rstrip()}"

    def template(self, checkpoint_id: str) -> Template | None:
        """Return how instruction and text are joined, and who says so; None for INSTRUCTOR, which has no template."""
        encoder, given = self.encoder(checkpoint_id), checkpoint_id.partition("\n")[2]
        own: Template | None = getattr(encoder.model, "template", None)
        return replace(own, string=given, source="as you wrote it") if own and given else own

    def _get_loaded(self, checkpoint_id: str) -> CachedEncoder | None:
        with self._lock:
            if checkpoint_id in self._encoders:
                self._encoders.move_to_end(checkpoint_id)
            return self._encoders.get(checkpoint_id)

    def _load(self, checkpoint: Checkpoint) -> CachedEncoder:
        import torch

        from instructor_core.encoder import EncoderError
        from instructor_core.families import open_checkpoint

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        try:
            model = open_checkpoint(checkpoint.source, self.device, self.dtype, revision=checkpoint.revision)
        except Exception as error:  # damaged files raise whatever the libraries that read them raise
            words = without_paths(str(error), checkpoint)
            if isinstance(error, EncoderError) and len(words) <= MAX_WORDS:
                logger.warning("checkpoint %s: %s", checkpoint.id, error)
                raise UserError(words) from None
            raise UserError(
                f"The checkpoint {checkpoint.id} cannot be loaded: its files are damaged (incident {incident(error)}). "
                "Choose another one, or have its files copied again."
            ) from None
        size = self.cache_mb * MEGABYTE
        return CachedEncoder(
            model,
            queue=self.queue,
            on_device=self._work[checkpoint.id].clock(self._lent.get(checkpoint.id, partial)),
            speed=SPEED if checkpoint.id in self._lent else None,
            max_pairs=self.max_pairs,
            embedding_bytes=size,
            token_bytes=size,
        )

    def is_loaded(self, checkpoint_id: str) -> bool:
        """Return whether the checkpoint is in memory."""
        return self.checkpoint(checkpoint_id).id in self._encoders

    def memory_of(self, checkpoint_ids: Sequence[str]) -> str:
        """Return sentences on the memory that checkpoints of a run take, and its bound."""
        sizes = ", ".join(f"{name} {self._weights[name] / 1e6:.0f} MB" for name in checkpoint_ids)
        return (
            f"In memory: {sizes} of weights, and at most {self.cache_mb} MB of embeddings each. No more than "
            f"{MAX_LOADED} models stay; the one used longest ago makes room for another."
        )

    def load_steps(self, checkpoint_id: str) -> Generator[str, None, CachedEncoder]:
        """Load a checkpoint, yielding a line of progress while it is downloaded; returns the encoder.

        Visitors who ask for the same one share a download. Closing the generator leaves it to itself in the
        background, where it ends or fails without anybody waiting.
        """
        checkpoint = self.checkpoint(checkpoint_id)
        if not self.is_loaded(checkpoint_id):
            yield f"loading {checkpoint.id}"
            yield from self._download(checkpoint).lines()
        return self.encoder(checkpoint_id)

    def _download(self, checkpoint: Checkpoint) -> Download:
        """The download of a checkpoint that is under way, or a new one; it ends at once for what is on this disk."""
        with self._lock:
            download = self._downloads.get(checkpoint.id)
            if download is None or not download.is_alive():
                download = self._downloads[checkpoint.id] = Download(checkpoint)
                download.start()
            return download

    def grid(self, inputs: Inputs) -> EmbeddingGrid:
        """Return the embeddings of a request: the grid of one of the latest runs, or one made from the cache.

        Of two checkpoints these are the embeddings of the first; `Inputs.runs` has both.
        """
        inputs = inputs.runs[0]
        with self._lock:
            grid = self._grids.get(inputs)
            if grid is not None:
                self._grids.move_to_end(inputs)
                return grid
        return self.keep(inputs, self.encoder(inputs.checkpoint_id).encode(inputs.pairs))

    def keep(self, inputs: Inputs, vectors: NDArray[np.float32]) -> EmbeddingGrid:
        """Return ``(K * N, D)`` vectors of ``inputs.pairs`` as a grid, which is kept with those of the latest runs."""
        grid, most = grid_of(inputs, vectors), self.cache_mb * MEGABYTE
        with self._lock:
            if _n_bytes(grid) <= most:
                self._grids[inputs] = grid
            while len(self._grids) > MAX_GRIDS or sum(map(_n_bytes, self._grids.values())) > most:
                self._grids.popitem(last=False)
        return grid

    def backgrounds(self, inputs: Inputs) -> list[Background]:
        """Return the cosines of unrelated sentences under each instruction of a request: where zero is."""
        sentences = unrelated_sentences()
        unrelated = replace(inputs, texts=sentences.texts, labels=None, more_labels=())
        vectors = self.encoder(inputs.checkpoint_id).encode(unrelated.pairs)
        return [background(each, sentences.domains) for each in grid_of(unrelated, vectors).vectors]


def grid_of(inputs: Inputs, vectors: NDArray[np.float32]) -> EmbeddingGrid:
    """Return ``(K * N, D)`` vectors of ``inputs.pairs`` as a grid."""
    shape = (len(inputs.instructions), len(inputs.texts), vectors.shape[1])
    return EmbeddingGrid(inputs.instructions, inputs.texts, inputs.labels, vectors.reshape(shape))


def _weight_bytes(model: EmbeddingModel) -> int:
    """Bytes of the weights of a model, those that a processor has in a layout of its own among them."""
    from torch import Tensor

    held = (vars(part) | part._parameters | part._buffers for part in model.modules())
    tensors = {id(value): value for values in held for value in values.values() if isinstance(value, Tensor)}
    return int(sum(tensor.numel() for tensor in tensors.values()) * model.dtype.itemsize)


def _n_bytes(grid: EmbeddingGrid) -> int:
    """Bytes of a grid, with the unit vectors that it makes when they are first read."""
    return 2 * grid.vectors.nbytes


def warm_up(*, after_s: float = 3.0) -> None:
    """Compile UMAP's kernels in a background thread, so that the first map does not wait for it.

    Not before the first page has had time to load: importing and compiling would slow it down by a second.
    """

    def compile_kernels() -> None:
        from instructor_core.analysis.projection import warm_up as warm_up_projection

        warm_up_projection()
        logger.info("UMAP is ready")

    timer = Timer(after_s, compile_kernels)
    timer.name, timer.daemon = "umap-warm-up", True
    timer.start()
