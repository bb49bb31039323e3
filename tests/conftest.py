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

from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import torch

from tests.checkpoints import make_checkpoint

HUB = os.environ.get("HUB") == "1"  # permission to use the Hugging Face Hub, for the tests marked `hub` alone
if not HUB:
    import tests.offline.sitecustomize  # noqa: F401 (cuts this process off the net)

if TYPE_CHECKING:
    from instructor_core import InstructorModel
    from instructor_core.cache import CachedEncoder
    from instructor_core.ui.server.runtime import Runtime

torch.set_num_threads(min(2, os.cpu_count() or 1))  # small models: more threads wait for each other
slow_machine = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, database=None, suppress_health_check=slow_machine
)
hypothesis.settings.load_profile("repeatable")


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
    from instructor_core.ui.server.runtime import Runtime

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
