"""Who works: a name for this process that no other has, and whether the process behind such a name still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


def this_process() -> str:
    """Host, start of the machine, process, start of the process."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{_boot()}:{pid}:{started(pid)}"


def is_dead(owner: str) -> bool:
    """True for a process of this host that is certainly no more; of other hosts nothing is known."""
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
    """When a process started, in ticks since the machine did; a number is used again by a later one."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "gone"
    # Behind the name, which may hold blanks and brackets, the start is the 20th value; Z is a process that ended.
    values = stat.rpartition(")")[2].split()
    return "gone" if values[0] == "Z" else values[19]
