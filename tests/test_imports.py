"""The layers, checked on the syntax tree: who may import whom.

    hub, words, products, cuda <- encoder <- families    encoder, queueing <- cache    families <- embed
    analysis <- figures    ui <- app.py

Imports inside functions, under TYPE_CHECKING and through `importlib.import_module("...")` count as well.
"""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from instructor_core import InstructorModel

ROOT = Path(__file__).parents[1]
PACKAGE = "instructor_core"


# What a module or sub-package may import of this project and of other packages, besides itself.
LAYERS = {
    # Copied alone the encoder works without the hub's patience and what makes it fast, which it takes from beside it.
    "encoder": (
        "hub words products cuda",
        "torch transformers tokenizers huggingface_hub safetensors numpy tqdm",
    ),
    "words": ("", ""),
    "products": ("", "torch"),
    "cuda": ("", "torch triton numpy"),
    "direct_writes": ("encoder", "torch numpy"),
    "hub": ("errors", "huggingface_hub"),
    "errors": ("", ""),
    "table": ("errors", "pyarrow"),
    "export_onnx": ("encoder families errors", "torch tokenizers numpy"),
    "evaluate.mteb": ("errors", "mteb numpy"),
    "queueing": ("errors", ""),
    "cache": ("encoder families direct_writes queueing errors", "numpy"),
    # Other encoders stand beside it, behind what it returns.
    "families": ("encoder", "torch transformers tokenizers safetensors numpy tqdm"),
    "embed": ("encoder families hub table errors", "numpy pyarrow ray tqdm"),
    "analysis": ("errors", "numpy scipy sklearn numba umap pydantic"),
    "evaluate": ("encoder families analysis table errors", "torch transformers numpy scipy sklearn"),
    "figures": ("analysis errors", "numpy plotly PIL"),
    # The recipe of the bundled checkpoint is measured while it runs as the result will be.
    "train.mini": (
        "train evaluate encoder analysis errors InstructorModel",
        "torch transformers tokenizers safetensors numpy tqdm",
    ),
    # Training knows how to embed and takes its scores from analysis; nothing of figures or the page.
    "train": (
        "encoder families analysis table errors InstructorModel",
        "torch transformers tokenizers safetensors numpy tqdm",
    ),
    "app": ("ui", ""),
}
# What figures may take from analysis besides result classes: how instructions are named and numbers are written.
SHARED_WITH_FIGURES = {"letter", "number", "signed", "span", "counted"}


def within(name: str, layer: str) -> bool:
    whole = layer if layer == "app" else f"{PACKAGE}.{layer}"
    return name == whole or name.startswith(f"{whole}.")


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
        if top == "gradio" and not within(module, "ui"):
            found.append(f"{module} imports {name}: gradio belongs to {PACKAGE}.ui alone")
        elif own is None or within(name, own):
            continue
        elif top in {PACKAGE, "app", "tests"}:
            if not any(within(name, allowed) for allowed in LAYERS[own][0].split()):
                found.append(f"{module} imports {name}: of the project it may import {LAYERS[own][0]}")
            elif own == "figures" and within(name, "analysis"):
                last = name.rsplit(".", 1)[-1]
                if not last[0].isupper() and last not in SHARED_WITH_FIGURES:
                    found.append(f"{module} imports {name}: figures take result classes, they never compute")
        elif top not in LAYERS[own][1].split():
            found.append(f"{module} imports {name}: of other packages it may import {LAYERS[own][1]}")
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
    for layer in [*LAYERS, "ui"]:
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
    names = [name for _, name in modules() if within(name, "analysis") or within(name, "figures")]
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
