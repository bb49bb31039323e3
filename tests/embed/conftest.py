"""Inputs with texts of mixed lengths, and a checkpoint that embeds hundreds of rows a second."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from instructor_core.embed.__main__ import main
from tests.checkpoints import make_checkpoint

ROOT = Path(__file__).parents[2]
INSTRUCTION = "Represent the sentence: "
WORDS = ("the", "ferry", "was", "late", "again", "and", "nobody", "on", "board", "could", "say", "why", "it", "left")


def make_texts(n: int, seed: int = 0) -> list[str]:
    """Texts of 1 to 60 words; each begins with its number, so that all differ."""
    rng = np.random.default_rng(seed)
    return [f"{i} " + " ".join(rng.choice(WORDS, rng.integers(1, 60))) for i in range(n)]


def make_table(n: int) -> pa.Table:
    texts = make_texts(n)
    return pa.table({"id": np.arange(n), "text": texts, "label": [["odd", "even"][i % 2] for i in range(n)]})


def embeddings_of(path: Path) -> np.ndarray:
    """(N, D) of an output file or folder."""
    return np.array(pq.read_table(path)["embedding"].to_pylist(), dtype=np.float32)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = {"d_model": 32, "d_ff": 64, "num_layers": 1, "num_heads": 2, "out_features": 24}
    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny", **shape)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The network is too small to be shared: a second thread would only be waited for."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def arguments(tiny: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Command line for an output name, in parts of about 400 tokens; more options follow."""

    def build(output: str | Path, *more: str, instruction: str = INSTRUCTION, source: str = "in.parquet") -> list[str]:
        paths = [str(tmp_path / source), str(tmp_path / output)]
        fixed = ["--instruction", instruction, "--checkpoint", str(tiny), "--device", "cpu", "--part-tokens", "400"]
        return [*paths, *fixed, *more]

    return build


@pytest.fixture
def environment() -> dict[str, str]:
    """What a process of its own needs to find the project, and nobody on the net."""
    paths = [str(ROOT), str(ROOT / "tests" / "offline"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def run(values: Sequence[str]) -> None:
    assert main(values) == 0
