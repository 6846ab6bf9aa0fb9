"""The processes of a soak, and what is done to them: killed, taken away, locked, doubled."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
LOCKED_S: Final = 4.0
ASSOCIATION_S: Final = 20.0
PACS_DOWN_S: Final = 6.0


class Machines:
    """Node, PACS and nights of a soak. What dies is started again, as systemd would.

    Parameters
    ----------
    restart_database : takes the database away and brings it back; None: it is SQLite, which is locked instead
    """

    def __init__(
        self, out: Path, settings: Path, ports: dict[str, int], restart_database: Callable[[], None] | None
    ) -> None:
        self._out, self._settings, self._ports = out, settings, ports
        self._restart_database = restart_database
        self._log = (out / "soak.log").open("ab")
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._pacs_away_until = 0.0
        self.node: subprocess.Popen[bytes] | None = None
        self.pacs: subprocess.Popen[bytes] | None = None
        self.night: subprocess.Popen[bytes] | None = None
        self.second: subprocess.Popen[bytes] | None = None
        self.node_peak_mb = 0.0
        self.nights: Counter[str] = Counter()

    def start(self) -> None:
        """Start node and PACS, and keep them running."""
        (self._out / "pacs").mkdir(exist_ok=True)
        self._keeper.start()

    def stop(self) -> None:
        """End everything that was started."""
        self._stopping.set()
        self._keeper.join(20)
        self._measure_node()
        for process in (self.night, self.second, self.node, self.pacs):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
        self._log.close()

    def run_night(self) -> str:
        """One `sparcc nightly run`, to its end, whatever that is; how it ended."""
        self.night = self._sparcc("nightly", "run")
        how = _ended(self.night.wait())
        self.nights[how] += 1
        return how

    def kill_node(self) -> bool:
        """kill -9, in the middle of an association where one comes within a while."""
        incoming, end = self._out / "identity/incoming", time.monotonic() + ASSOCIATION_S
        # What an earlier kill has left is no association.
        before = set(incoming.glob("*/*.partial"))
        while time.monotonic() < end and {f.parent for f in incoming.glob("*/*.partial/*")} <= before:
            time.sleep(0.01)
        self._measure_node()
        return _kill(self.node)

    def kill_night(self) -> bool:
        """kill -9 of the run; its workers are left to themselves."""
        return _kill(self.night)

    def kill_worker(self) -> bool:
        """kill -9 of one of the run's processes."""
        if self.night is None or self.night.poll() is not None:
            return False
        found = _descendants(self.night.pid)
        if not found:
            return False
        try:
            os.kill(random.choice(found), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def take_pacs_away(self) -> bool:
        """The PACS is down for a while."""
        self._pacs_away_until = time.monotonic() + PACS_DOWN_S
        return _kill(self.pacs)

    def trouble_database(self) -> bool:
        """SQLite is locked by another one for a while; PostgreSQL crashes and comes back."""
        if self._restart_database is not None:
            self._restart_database()
            return True
        file = self._out / "work/ledger.sqlite"
        if not file.exists():
            return False
        held = sqlite3.connect(file, timeout=10, isolation_level=None)
        try:
            held.execute("BEGIN IMMEDIATE")
            time.sleep(LOCKED_S)
            held.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
        finally:
            held.close()
        return True

    def start_second_night(self) -> bool:
        """A second run while the first one works."""
        if self.night is None or self.night.poll() is not None or (self.second and self.second.poll() is None):
            return False
        self.second = self._sparcc("nightly", "run")
        return True

    def _keep(self) -> None:
        while not self._stopping.wait(0.5):
            if self.node is None or self.node.poll() is not None:
                self.node = self._sparcc("receive")
            if (self.pacs is None or self.pacs.poll() is not None) and time.monotonic() >= self._pacs_away_until:
                self.pacs = subprocess.Popen(
                    ["storescp", "--fork", "--aetitle", "PACS", "-od", self._out / "pacs", str(self._ports["pacs"])],
                    stdout=self._log, stderr=self._log,
                )  # fmt: skip

    def _sparcc(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "sparcc_pipeline.app.cli.main", *arguments, "--config", str(self._settings)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=self._log, stderr=self._log)

    def _measure_node(self) -> None:
        """The most memory that this node ever had."""
        if self.node is not None and self.node.poll() is None:
            try:
                status = Path(f"/proc/{self.node.pid}/status").read_text()
            except OSError:
                return
            peak = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
            self.node_peak_mb = max(self.node_peak_mb, int(peak.split()[1]) / 1000)


class Faults(threading.Thread):
    """Does something bad every few seconds, each kind as often as was asked for."""

    def __init__(
        self, machines: Machines, times: int, seconds: float, seed: int, say: Callable[[str], None],
        sending: Callable[[], bool],
    ) -> None:  # fmt: skip
        super().__init__(daemon=True)
        self._kinds: dict[str, Callable[[], bool]] = {
            "node killed": machines.kill_node,
            "night killed": machines.kill_night,
            "worker killed": machines.kill_worker,
            "PACS down": machines.take_pacs_away,
            "database locked or gone": machines.trouble_database,
            "two nights at once": machines.start_second_night,
        }
        self._times, self._seconds, self._say, self._sending = times, seconds, say, sending
        self._random = random.Random(seed)
        self._no_more = threading.Event()
        self.done: Counter[str] = Counter()

    @property
    def over(self) -> bool:
        """Everything was done as often as was asked for."""
        return all(self.done[kind] >= self._times for kind in self._kinds)

    def run(self) -> None:
        """Until everything was done, or until `end`; the node is killed first, while sites are sending."""
        for _ in range(self._times):
            if self._no_more.wait(self._random.uniform(0.5, 1.5)) or not self._sending():
                break
            self._do("node killed")
        while not self.over and not self._no_more.wait(self._random.uniform(0.5, 1.5) * self._seconds):
            kind = self._random.choice([kind for kind in self._kinds if self.done[kind] < self._times])
            self._do(kind)

    def _do(self, kind: str) -> None:
        if self._kinds[kind]():
            self.done[kind] += 1
            self._say(f"fault: {kind}")

    def end(self) -> None:
        """No more of it."""
        self._no_more.set()


def _kill(process: subprocess.Popen[bytes] | None) -> bool:
    if process is None or process.poll() is not None:
        return False
    process.kill()
    return True


def _descendants(pid: int) -> list[int]:
    """All processes below one, by the parents that /proc tells."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                values = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(values[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _ended(code: int) -> str:
    return {0: "finished", 6: "finished, some failed"}.get(code, "killed" if code < 0 else f"exit code {code}")
