"""The owner of a lease: a unique name for this process, and a check whether the process of a name has ended."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


def this_process() -> str:
    """Return the name of this process: host, start of the machine, process, start of the process."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{_boot()}:{pid}:{started(pid)}"


def is_dead(owner: str) -> bool:
    """Return True if the owner was a process of this host that has exited."""
    host, _, rest = owner.partition(":")
    boot, _, process = rest.partition(":")
    pid, _, begun = process.partition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    return boot != _boot() or begun != started(int(pid))


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return "unknown"


def started(pid: int) -> str:
    """Return when a process started, in ticks since the machine did; process numbers are reused."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "ended"
    # After the name, which may hold blanks and brackets, the start is the 20th value; Z means a process that ended.
    values = stat.rpartition(")")[2].split()
    return "ended" if values[0] == "Z" else values[19]
