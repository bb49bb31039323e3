"""The layers, checked on the syntax tree: who may import whom.

    hub, words, products, cuda <- encoder <- families    encoder, queueing <- cache    families <- embed
    analysis <- figures    ui <- app.py

Imports inside functions, under TYPE_CHECKING and through `importlib.import_module("...")` count as well.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from instructor_core import InstructorModel

ROOT = Path(__file__).parents[1]
PACKAGE = "instructor_core"


@dataclass(frozen=True)
class Layer:
    """A module or sub-package and what it may import besides the standard library and itself."""

    project: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


LAYERS = {
    # Copied alone the encoder works without the hub's patience and what makes it fast, which it takes from beside it.
    f"{PACKAGE}.encoder": Layer(
        project=tuple(f"{PACKAGE}.{name}" for name in ("hub", "words", "products", "cuda")),
        packages=("torch", "transformers", "tokenizers", "huggingface_hub", "safetensors", "numpy", "tqdm"),
    ),
    f"{PACKAGE}.words": Layer(),
    f"{PACKAGE}.products": Layer(packages=("torch",)),
    f"{PACKAGE}.cuda": Layer(packages=("torch", "triton", "numpy")),
    f"{PACKAGE}.direct_writes": Layer(project=(f"{PACKAGE}.encoder",), packages=("torch", "numpy")),
    f"{PACKAGE}.hub": Layer(project=(f"{PACKAGE}.errors",), packages=("huggingface_hub",)),
    f"{PACKAGE}.errors": Layer(),
    f"{PACKAGE}.table": Layer(project=(f"{PACKAGE}.errors",), packages=("pyarrow",)),
    f"{PACKAGE}.export_onnx": Layer(
        project=tuple(f"{PACKAGE}.{name}" for name in ("encoder", "families", "errors")),
        packages=("torch", "tokenizers", "numpy"),
    ),
    f"{PACKAGE}.evaluate.mteb": Layer(project=(f"{PACKAGE}.errors",), packages=("mteb", "numpy")),
    f"{PACKAGE}.queueing": Layer(project=(f"{PACKAGE}.errors",)),
    f"{PACKAGE}.cache": Layer(
        project=tuple(f"{PACKAGE}.{name}" for name in ("encoder", "families", "direct_writes", "queueing", "errors")),
        packages=("numpy",),
    ),
    # Other encoders stand beside it, behind what it returns.
    f"{PACKAGE}.families": Layer(
        project=(f"{PACKAGE}.encoder",),
        packages=("torch", "transformers", "tokenizers", "safetensors", "numpy", "tqdm"),
    ),
    f"{PACKAGE}.embed": Layer(
        project=tuple(f"{PACKAGE}.{name}" for name in ("encoder", "families", "hub", "table", "errors")),
        packages=("numpy", "pyarrow", "ray", "tqdm"),
    ),
    f"{PACKAGE}.analysis": Layer(
        project=(f"{PACKAGE}.errors",), packages=("numpy", "scipy", "sklearn", "numba", "umap", "pydantic")
    ),
    f"{PACKAGE}.evaluate": Layer(
        project=tuple(f"{PACKAGE}.{name}" for name in ("encoder", "families", "analysis", "table", "errors")),
        packages=("torch", "transformers", "numpy", "scipy", "sklearn"),
    ),
    f"{PACKAGE}.figures": Layer(
        project=(f"{PACKAGE}.analysis", f"{PACKAGE}.errors"), packages=("numpy", "plotly", "PIL")
    ),
    # The recipe of the bundled checkpoint is measured while it runs as the result will be.
    f"{PACKAGE}.train.mini": Layer(
        project=tuple(
            f"{PACKAGE}.{name}" for name in ("train", "evaluate", "encoder", "analysis", "errors", "InstructorModel")
        ),
        packages=("torch", "transformers", "tokenizers", "safetensors", "numpy", "tqdm"),
    ),
    # Training knows how to embed and takes its scores from analysis; nothing of figures or the page.
    f"{PACKAGE}.train": Layer(
        project=tuple(
            f"{PACKAGE}.{name}" for name in ("encoder", "families", "analysis", "table", "errors", "InstructorModel")
        ),
        packages=("torch", "transformers", "tokenizers", "safetensors", "numpy", "tqdm"),
    ),
    "app": Layer(project=(f"{PACKAGE}.ui",)),
}
# What figures may take from analysis besides result classes: how instructions are named and numbers are written.
SHARED_WITH_FIGURES = {"letter", "number", "signed", "span", "counted"}


def within(name: str, layer: str) -> bool:
    return name == layer or name.startswith(layer + ".")


def imported_names(source: str, module: str, *, is_package: bool = False) -> Iterator[str]:
    """Absolute dotted names of everything that `module` imports; for `from a import b` that is `a.b`."""
    parents = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else []
            base = [*base, node.module] if node.module else base
            yield from (".".join([*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
                yield node.args[0].value


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """One line per import that `module` must not have."""
    own = next((name for name in LAYERS if within(module, name)), None)
    found = []
    for name in imported_names(source, module, is_package=is_package):
        top = name.split(".")[0]
        if top in sys.stdlib_module_names:
            continue
        if top == "gradio" and not within(module, f"{PACKAGE}.ui"):
            found.append(f"{module} imports {name}: gradio belongs to {PACKAGE}.ui alone")
        elif own is None or within(name, own):
            continue
        elif top in {PACKAGE, "app", "tests"}:
            if not any(within(name, allowed) for allowed in LAYERS[own].project):
                found.append(f"{module} imports {name}: of the project it may import {LAYERS[own].project}")
            elif own == f"{PACKAGE}.figures" and within(name, f"{PACKAGE}.analysis"):
                last = name.rsplit(".", 1)[-1]
                if not last[0].isupper() and last not in SHARED_WITH_FIGURES:
                    found.append(f"{module} imports {name}: figures take result classes, they never compute")
        elif top not in LAYERS[own].packages:
            found.append(f"{module} imports {name}: of other packages it may import {LAYERS[own].packages}")
    return found


def modules() -> Iterator[tuple[Path, str]]:
    for path in [ROOT / "app.py", *sorted((ROOT / PACKAGE).rglob("*.py"))]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_module_imports_only_what_its_layer_may_and_every_layer_exists() -> None:
    found, names = [], []
    for path, module in modules():
        names.append(module)
        found += violations(path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py")
    assert found == []
    for layer in [*LAYERS, f"{PACKAGE}.ui"]:
        assert any(within(name, layer) for name in names), f"the rule for {layer} checks nothing"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (f"{PACKAGE}.encoder", "from instructor_core.errors import UserError"),
        (f"{PACKAGE}.errors", "import numpy"),
        (f"{PACKAGE}.analysis.similarity", "def f():\n    import torch.nn as nn"),
        (f"{PACKAGE}.analysis.similarity", "if TYPE_CHECKING:\n    from ..encoder import Segment"),
        (f"{PACKAGE}.analysis.similarity", "importlib.import_module('plotly.graph_objects')"),
        (f"{PACKAGE}.figures.matrix", "from sklearn.decomposition import PCA"),
        (f"{PACKAGE}.figures.matrix", "from instructor_core.analysis.similarity import cosine_similarity"),
        (f"{PACKAGE}.embed.worker", "from instructor_core.cache import CachedEncoder"),
        (PACKAGE, "import gradio"),
        ("app", "from instructor_core.encoder import InstructorModel"),
    ],
)
def test_a_planted_violation_is_found(module: str, source: str) -> None:
    assert len(violations(source, module)) == 1


ALONE = """
import json, sys

def loaded(*names):
    for name in names:
        __import__(name)
    return sorted({name.split(".")[0] for name in sys.modules})

root, copies, checkpoint, pairs, *layers = json.loads(sys.argv[1])
sys.path.insert(0, root)
answer = {"package": loaded("instructor_core"), "layers": loaded(*layers)}
for name in [name for name in sys.modules if name.split(".")[0] == "instructor_core"]:
    del sys.modules[name]
sys.path[0] = copies
before = set(loaded())
from instructor import InstructorModel

answer["embeddings"] = InstructorModel(checkpoint, "cpu").encode(pairs).tolist()
answer["copy"] = sorted(set(loaded()) - before)
print(json.dumps(answer))
"""


def test_a_fresh_interpreter_loads_no_more_than_it_needs(checkpoint_a: Path, tmp_path: Path) -> None:
    shutil.copyfile(ROOT / PACKAGE / "encoder.py", tmp_path / "instructor.py")
    layers = (f"{PACKAGE}.analysis", f"{PACKAGE}.figures")
    names = [name for _, name in modules() if any(within(name, layer) for layer in layers)]
    pairs = [("Topic: ", "A soup </s>"), ("", ""), ("", "word " * 40)]
    arguments = json.dumps([str(ROOT), str(tmp_path), str(checkpoint_a), pairs, *names])
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, arguments], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout)
    assert PACKAGE in loaded["package"]
    assert not {"gradio", "plotly", "umap", "sklearn", "torch", "transformers"}.intersection(loaded["package"])
    assert not {"gradio", "umap", "numba", "torch", "transformers"}.intersection(loaded["layers"])
    # The encoder gives the same when its file is copied alone.
    np.testing.assert_allclose(loaded["embeddings"], InstructorModel(checkpoint_a, "cpu").encode(pairs), atol=1e-6)
    assert {"instructor", "torch", "transformers"} <= set(loaded["copy"])
    assert not {PACKAGE, "sentence_transformers", "sklearn", "gradio"}.intersection(loaded["copy"])
