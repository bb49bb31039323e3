"""The job on a real Ray cluster of two nodes: one is killed in the middle, and nothing is lost, doubled or changed."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from instructor_core.embed.__main__ import main
from instructor_core.embed.cluster import _Actor, _actors, _cause
from instructor_core.embed.job import Job
from instructor_core.errors import UserError
from tests.embed.conftest import embeddings_of, make_table, run

N_ROWS = 1200
# A dead node is noticed within about a second instead of a quarter of a minute.
HEALTH = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 300, "health_check_failure_threshold": 4}
DEADLINE_S = 240


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> Iterator[object]:
    """A head with one core; its processes inherit the environment, and with it the way to no other machine."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_USAGE_STATS_REPORT_URL", "http://127.0.0.1:9/")  # it reports even that it reports nothing
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="r") as folder:  # short: sockets lie in it
        monkeypatch.setenv("RAY_TMPDIR", folder)
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": HEALTH}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        yield cluster
        cluster.shutdown()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.timeout(900)  # on a slow machine that is shared, every process of Ray takes long to start
def test_a_job_whose_second_node_is_killed_has_every_row_once_as_on_one_machine(
    cluster: object, environment: dict[str, str], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    pq.write_table(make_table(N_ROWS), tmp_path / "in.parquet", row_group_size=700)
    second = cluster.add_node(num_cpus=1)
    folder = tmp_path / "ray"

    def works_on_both_nodes() -> bool:
        actors = cluster.global_state.actor_table(None, None, None).values()
        alive = [a["Address"]["NodeID"] for a in actors if a["State"] == "ALIVE" and "MapWorker" in a["ActorClassName"]]
        return second.node_id in alive and len(alive) == 2

    def parts() -> int:
        return len(list(folder.glob("part-*.parquet")))

    values = arguments("ray", "--engine", "ray", "--keep", "id")
    job = subprocess.Popen(
        [sys.executable, "-m", "instructor_core.embed", *values],
        env=environment | {"RAY_ADDRESS": cluster.address, "RAY_TMPDIR": os.environ["RAY_TMPDIR"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: works_on_both_nodes() and parts() >= 5, job)
        cluster.remove_node(second, allow_graceful=False)
        n_before = parts()
        assert job.wait(DEADLINE_S) == 0, job.communicate()[1]
    finally:
        job.kill()
        job.communicate()
    run(arguments("plain.parquet", "--part-tokens", "20000"))
    table = pq.read_table(folder)
    assert n_before < parts()
    assert table["id"].to_pylist() == list(range(N_ROWS))
    np.testing.assert_allclose(embeddings_of(folder), embeddings_of(tmp_path / "plain.parquet"), atol=1e-5)


def node(cpus: int, gpus: int = 0, *, alive: bool = True) -> dict[str, object]:
    return {"Alive": alive, "Resources": {"CPU": float(cpus), "GPU": float(gpus), "memory": 1e9}}


def test_an_actor_takes_up_to_four_cores_and_one_gpu_if_any_and_as_many_start_as_fit() -> None:
    assert _actors([node(16), node(8), node(64, alive=False)], None, None) == ({"num_cpus": 4}, 6)
    assert _actors([node(2), node(16)], None, None) == ({"num_cpus": 2}, 9)
    assert _actors([node(0), node(16)], None, 8) == ({"num_cpus": 8}, 2)
    assert _actors([node(16, gpus=2)], "cpu", None) == ({"num_cpus": 4}, 4)
    assert _actors([node(16, gpus=2), node(16)], None, None) == ({"num_cpus": 4, "num_gpus": 1}, 2)
    with pytest.raises(UserError, match=r"8 cores.*largest has 4"):  # instead of waiting for them
        _actors([node(4), node(2)], None, 8)


def test_without_ray_or_when_a_worker_goes_wrong_a_message_says_so(
    arguments: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    pq.write_table(make_table(3), tmp_path / "in.parquet")
    assert main(arguments("out.parquet", "--engine", "ray")) == 2
    assert "pip install 'ray[data]'" in capsys.readouterr().err
    pq.write_table(make_table(3), tmp_path / "in.parquet")
    actor = _Actor(Job(tmp_path / "in.parquet", "text", "", str(tmp_path)), tmp_path / "out", None)
    answer = actor({"part": [0], "start": [0], "stop": [3]})
    assert answer["rows"] == [0] and "has no modules.json" in answer["error"][0]
    wrapped = RuntimeError("Look at the logs of Ray.\nIncrease the memory of the cluster.")
    wrapped.__cause__ = OSError(28, "No space left on device")
    assert _cause(wrapped) == "OSError: [Errno 28] No space left on device."
    remote = RuntimeError("ray::Map()\n  File x, line 1\nMemoryError: no memory for the batch\nSee https://docs.ray.io")
    assert _cause(remote) == "MemoryError: no memory for the batch."
