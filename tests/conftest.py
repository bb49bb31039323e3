"""What every test can use: checkpoints with random weights, the bundled model, no way out to the net."""

from __future__ import annotations

import os

# Set before the libraries that read them are imported: no test waits for the net.
os.environ.update(
    HF_HUB_OFFLINE="0" if os.environ.get("HUB") == "1" else "1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    DO_NOT_TRACK="1",
    GRADIO_ANALYTICS_ENABLED="False",
    TOKENIZERS_PARALLELISM="false",
    OMP_WAIT_POLICY="PASSIVE",  # threads that wait do not keep the cores from other tests
)

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import hypothesis
import pytest
import torch
from safetensors.torch import save_file
from transformers import T5Config, T5EncoderModel

HUB = os.environ.get("HUB") == "1"  # permission to use the Hugging Face Hub, for the tests marked `hub` alone
if not HUB:
    import tests.offline.sitecustomize  # noqa: F401 (cuts this process off the net)

if TYPE_CHECKING:
    from instructor_core import InstructorModel
    from instructor_core.cache import CachedEncoder
    from instructor_core.ui.runtime import Runtime

MINI = Path(__file__).parents[1] / "assets" / "instructor-mini"

torch.set_num_threads(min(2, os.cpu_count() or 1))  # small models: more threads wait for each other
slow_machine = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, database=None, suppress_health_check=slow_machine
)
hypothesis.settings.load_profile("repeatable")


def make_checkpoint(
    path: Path,
    *,
    d_model: int = 64,
    d_ff: int = 128,
    num_layers: int = 2,
    num_heads: int = 4,
    d_kv: int = 16,
    out_features: int = 64,
    weights: Literal["bin", "safetensors"] = "safetensors",
    seed: int = 0,
    gated: bool = False,
) -> Path:
    """A folder laid out like `hkunlp/instructor-*`: random weights, the tokenizer of the bundled checkpoint.

    The weights are drawn large enough that attention is far from uniform: one token more or less in the
    mean moves the (unit length) embedding by more than 0.01.
    """
    own = ("*.safetensors", "*.bin", "README.md", "config_sentence_transformers.json")
    shutil.copytree(MINI, path, ignore=shutil.ignore_patterns(*own))
    mini_config = json.loads((MINI / "config.json").read_text(encoding="utf-8"))
    config = T5Config(
        vocab_size=mini_config["vocab_size"],
        d_model=d_model,
        d_ff=d_ff,
        d_kv=d_kv,
        num_layers=num_layers,
        num_heads=num_heads,
        feed_forward_proj="gated-gelu" if gated else "relu",
        dropout_rate=0.1,  # as on the hub: an encoder left in training mode would not repeat itself
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        architectures=["T5EncoderModel"],
    )
    generator = torch.Generator().manual_seed(seed)
    transformer = T5EncoderModel(config).state_dict()
    for name, tensor in transformer.items():
        if name.endswith("layer_norm.weight"):
            tensor.copy_(1 + 0.2 * torch.randn(tensor.shape, generator=generator))
        elif "shared" in name or "embed_tokens" in name or "relative_attention_bias" in name:
            tensor.normal_(generator=generator)
        elif name.endswith((".q.weight", ".k.weight")):
            # T5 does not divide the scores by sqrt(d_kv); this keeps their standard deviation near 1.5.
            tensor.normal_(std=1.2 * d_model**-0.5 * d_kv**-0.25, generator=generator)
        else:
            tensor.normal_(std=tensor.shape[1] ** -0.5, generator=generator)
    transformer["encoder.embed_tokens.weight"] = transformer["shared.weight"]
    dense = {"linear.weight": torch.randn(out_features, d_model, generator=generator) * d_model**-0.5}

    config.save_pretrained(path)
    _save_weights(path / "pytorch_model.bin", transformer, weights)
    _write_json(
        path / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": d_model,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    dense_config = json.loads((MINI / "2_Dense" / "config.json").read_text(encoding="utf-8"))
    _write_json(path / "2_Dense" / "config.json", dense_config | {"in_features": d_model, "out_features": out_features})
    _save_weights(path / "2_Dense" / "pytorch_model.bin", dense, weights)
    return path


def _save_weights(bin_path: Path, state: dict[str, torch.Tensor], weights: str) -> None:
    if weights == "bin":
        torch.save(state, bin_path)
    else:
        # This format knows no tied tensors: as Transformers does, the shared table is stored once.
        once = {name: tensor for name, tensor in state.items() if name != "encoder.embed_tokens.weight"}
        save_file(once, bin_path.with_name("model.safetensors"), metadata={"format": "pt"})


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


@pytest.fixture(scope="session")
def checkpoint_a(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 wide, 64 out, `.bin` weights as on the hub."""
    return make_checkpoint(tmp_path_factory.mktemp("hub") / "random-a", weights="bin", seed=1)


@pytest.fixture(scope="session")
def checkpoint_b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 wide, 48 out, safetensors, gated feed-forward: as unlike `checkpoint_a` as the layout allows."""
    return make_checkpoint(
        tmp_path_factory.mktemp("hub") / "random-b",
        d_model=96,
        d_ff=160,
        num_layers=3,
        num_heads=3,
        d_kv=24,
        out_features=48,
        weights="safetensors",
        seed=2,
        gated=True,
    )


@pytest.fixture(scope="session")
def mini() -> InstructorModel:
    """The bundled trained checkpoint."""
    from instructor_core import InstructorModel

    return InstructorModel("instructor-mini", device=torch.device("cpu"))


@pytest.fixture(scope="session")
def encoder(mini: InstructorModel) -> CachedEncoder:
    """The bundled checkpoint with its cache."""
    from instructor_core.cache import CachedEncoder

    return CachedEncoder(mini)


@pytest.fixture(scope="session")
def small_runtime(checkpoint_a: Path) -> Runtime:
    """`checkpoint_a` alone, as the page has it."""
    from instructor_core.hub import local_checkpoint
    from instructor_core.ui.runtime import Runtime

    return Runtime((local_checkpoint(checkpoint_a),), device="cpu")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the tests under tests/browser and puts them last: the quick ones fail first; either `hub` or the others."""
    of_hub = [item for item in items if item.get_closest_marker("hub")]
    if HUB:  # nothing cuts this process off the net now
        config.hook.pytest_deselected(items=[item for item in items if item not in of_hub])
        items[:] = of_hub
    else:
        for item in of_hub:
            item.add_marker(pytest.mark.skip(reason="needs the Hugging Face Hub: HUB=1 tests/run"))
    browser = Path(__file__).parent / "browser"
    for item in items:
        if browser in item.path.parents:
            item.add_marker(pytest.mark.browser)
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how much time went into the unit and the browser tests (set-up included, summed over the processes)."""
    every = (report for reports in terminalreporter.stats.values() for report in reports)
    reports = [report for report in every if isinstance(report, pytest.TestReport)]
    for title, wanted in (("unit", False), ("browser", True)):
        chosen = [report for report in reports if ("browser" in report.keywords) is wanted]
        if chosen:
            tests = len({report.nodeid for report in chosen})
            seconds = sum(report.duration for report in chosen)
            terminalreporter.write_line(f"{title} tests: {tests} in {seconds:.1f} s")
