"""Cuts the interpreter that imports this off from every machine but its own, and notes what it writes.

The tests import it. The servers that tests start have this folder on their path, and Python imports a module of this
name before anything else. Hosts are refused, and written to $FOREIGN_HOSTS_LOG if set; what is written, made, moved or
removed on the disk is allowed, and its path goes to $WRITES_LOG if set.
"""

import os
import socket
import sys
from contextlib import suppress
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


WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events of the interpreter by which the disk is changed: how many paths they begin with, and where their folders are.
CHANGES = {
    "os.chmod": (1, (2,)),
    "os.link": (2, (2, 3)),
    "os.mkdir": (1, (2,)),
    "os.remove": (1, (1,)),
    "os.rename": (2, (2, 3)),
    "os.rmdir": (1, (1,)),
    "os.symlink": (2, (2, 2)),
    "os.truncate": (1, ()),
    "os.utime": (1, (3,)),
    "sqlite3.connect": (1, ()),
}


def note_writes(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        paths = [arguments[0]] if arguments[2] & WRITING else []
    elif event in CHANGES:
        count, folders = CHANGES[event]
        paths = list(arguments[:count])
        for at, where in enumerate(folders):
            if arguments[where] not in (-1, None) and not isinstance(paths[at], int):
                paths[at] = os.path.join(os.readlink(f"/proc/self/fd/{arguments[where]}"), os.fsdecode(paths[at]))
    else:
        return
    log = os.environ["WRITES_LOG"]
    for path in paths:
        if isinstance(path, int) or (event == "os.mkdir" and os.path.isdir(path)):
            continue  # it was noted when it was opened; or it is there already
        found = os.path.abspath(os.fsdecode(path))
        if found != log:
            with suppress(OSError), open(log, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{found}\n")


sys.addaudithook(refuse_foreign_hosts)
if os.environ.get("WRITES_LOG"):
    sys.addaudithook(note_writes)
