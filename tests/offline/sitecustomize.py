"""Cuts the interpreter that imports this off from every machine but its own.

The tests import it. The server that the browser tests start has this folder on its path, and Python imports
a module of this name before anything else. Attempts are refused, and written to $FOREIGN_HOSTS_LOG if set.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any


def own_address() -> str:
    """Address of this machine to others, by which the processes of a Ray cluster find each other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # chooses an interface and sends nothing
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


LOCAL_HOSTS = {"", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::", socket.gethostname(), own_address()}


def refuse_foreign_hosts(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in {"socket.connect", "socket.sendto"} and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host or ""
    if host in LOCAL_HOSTS:
        return
    log = os.environ.get("FOREIGN_HOSTS_LOG")
    if log:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{host}\n")
    raise PermissionError(f"tried to reach {host!r}: the tests use this machine only")


sys.addaudithook(refuse_foreign_hosts)
