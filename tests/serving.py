"""A server as visitors meet it: a process of its own behind a port, cut off from the net, with its own folders."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READY_WITHIN_S = 120.0


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    log: Path
    foreign_hosts_log: Path
    pid: int = 0

    def take_foreign_hosts(self) -> list[str]:
        """Hosts other than this machine that the server tried to reach since the last call."""
        if not self.foreign_hosts_log.exists():
            return []
        hosts = self.foreign_hosts_log.read_text(encoding="utf-8").split()
        self.foreign_hosts_log.unlink()
        return sorted(set(hosts))

    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def log_tail(self) -> str:
        return self.log_text()[-4000:]

    def kill(self) -> None:
        """End it as a crash would, in the middle of whatever it does."""
        os.kill(self.pid, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_environment(folder: Path, port: int) -> dict[str, str]:
    """Own cache folders and port. Gradio's telemetry is left on: turning it off is the app's job."""
    environment = {name: value for name, value in os.environ.items() if name != "GRADIO_ANALYTICS_ENABLED"}
    return environment | {
        "PYTHONPATH": str(ROOT / "tests" / "offline"),
        "PYTHONUNBUFFERED": "1",
        "FOREIGN_HOSTS_LOG": str(folder / "foreign_hosts.txt"),
        "HF_HOME": str(folder / "huggingface"),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
    }


def wait_until_ready(process: subprocess.Popen[bytes], server: Server) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the app exited with {process.returncode}:\n{server.log_tail()}", pytrace=False)
        try:
            with urllib.request.urlopen(server.url, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.02)
    pytest.fail(f"the app did not answer within {READY_WITHIN_S:.0f} s:\n{server.log_tail()}", pytrace=False)


def mounted(folders: Sequence[Path]) -> list[str]:
    """What goes before a command so that it finds folders read-only; nothing if that cannot be done here."""
    mounts = "".join(
        f"mount --bind {place} {place} && mount -o remount,ro,bind {place} && "
        for place in (shlex.quote(str(folder.resolve())) for folder in folders)
    )
    for namespace in ("-m", "-rm") if folders and shutil.which("unshare") else ():
        command = ["unshare", namespace, "sh", "-c", f'{mounts}exec "$@"', "sh"]
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return []


@contextmanager
def serving(
    folder: Path,
    *,
    arguments: Sequence[str] = ("app.py",),
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
    checkout: Path = ROOT,
    read_only: Sequence[Path] = (),
) -> Iterator[Server]:
    """Run Python with arguments until the block ends; a server that died by then, except of `kill`, fails the test.

    Where this user may make mounts of its own, the folders `read_only` cannot be written by the server.
    """
    port = port or free_port()
    log = folder / "server.log"
    with log.open("ab") as opened:
        process = subprocess.Popen(
            [*mounted(read_only), sys.executable, *arguments],
            cwd=checkout,
            env=server_environment(folder, port) | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=subprocess.STDOUT,
        )
        running = Server(f"http://127.0.0.1:{port}", log, folder / "foreign_hosts.txt", process.pid)
        try:
            wait_until_ready(process, running)
            yield running
            died = process.poll()
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    assert died in (None, -signal.SIGKILL), f"the app died during the tests with {died}:\n{running.log_tail()}"
