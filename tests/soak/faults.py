"""The processes of a soak and their faults: killed, taken away, locked, doubled."""

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
    """Node, PACS and nights of a soak. A dead process is started again, as systemd would.

    Parameters
    ----------
    restart_database : stops the database and starts it again; None: SQLite, which is locked instead
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
        """End all processes of the soak."""
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
        """Run `sparcc nightly run` to its end, and return how it ended."""
        self.night = self._sparcc("nightly", "run")
        how = _ended(self.night.wait())
        self.nights[how] += 1
        return how

    def kill_node(self) -> bool:
        """Kill the node with SIGKILL, during an association if one comes in time."""
        incoming, end = self._out / "identity/incoming", time.monotonic() + ASSOCIATION_S
        # Remains of an earlier kill are no association.
        before = set(incoming.glob("*/*.partial"))
        while time.monotonic() < end and {f.parent for f in incoming.glob("*/*.partial/*")} <= before:
            time.sleep(0.01)
        self._measure_node()
        return _kill(self.node)

    def kill_night(self) -> bool:
        """Kill the run with SIGKILL, but not its workers."""
        return _kill(self.night)

    def kill_worker(self) -> bool:
        """Kill one of the run's processes with SIGKILL."""
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
        """Stop the PACS for a while."""
        self._pacs_away_until = time.monotonic() + PACS_DOWN_S
        return _kill(self.pacs)

    def trouble_database(self) -> bool:
        """Lock SQLite for a while, or restart PostgreSQL."""
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
        """Start a second run while the first one works."""
        if self.night is None or self.night.poll() is not None or (self.second and self.second.poll() is None):
            return False
        self.second = self._sparcc("nightly", "run")
        return True

    def _keep(self) -> None:
        while not self._stopping.wait(0.5):
            if self.node is None or self.node.poll() is not None:
                self.node = self._sparcc("receive")
            if (self.pacs is None or self.pacs.poll() is not None) and time.monotonic() >= self._pacs_away_until:
                store, port = str(self._out / "pacs"), str(self._ports["pacs"])
                command = ["storescp", "--fork", "--aetitle", "PACS", "-od", store, port]
                self.pacs = subprocess.Popen(command, stdout=self._log, stderr=self._log)

    def _sparcc(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "sparcc_pipeline.app.cli.main", *arguments, "--config", str(self._settings)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=self._log, stderr=self._log)

    def _measure_node(self) -> None:
        """Keep the largest memory of the node."""
        if self.node is not None and self.node.poll() is None:
            try:
                status = Path(f"/proc/{self.node.pid}/status").read_text()
            except OSError:
                return
            peak = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
            self.node_peak_mb = max(self.node_peak_mb, int(peak.split()[1]) / 1000)


class Faults(threading.Thread):
    """Causes a fault every few seconds, each kind as often as requested."""

    def __init__(
        self,
        machines: Machines,
        times: int,
        seconds: float,
        seed: int,
        print_line: Callable[[str], None],
        sending: Callable[[], bool],
    ) -> None:
        super().__init__(daemon=True)
        self._kinds: dict[str, Callable[[], bool]] = {
            "node killed": machines.kill_node,
            "night killed": machines.kill_night,
            "worker killed": machines.kill_worker,
            "PACS down": machines.take_pacs_away,
            "database locked or down": machines.trouble_database,
            "two nights at once": machines.start_second_night,
        }
        self._times, self._seconds, self._print_line, self._sending = times, seconds, print_line, sending
        self._random = random.Random(seed)
        self._no_more = threading.Event()
        self.done: Counter[str] = Counter()

    @property
    def over(self) -> bool:
        """True once every kind of fault happened as often as requested."""
        return all(self.done[kind] >= self._times for kind in self._kinds)

    def run(self) -> None:
        """Cause faults until all are done or `end` is called; kill the node first, while sites are sending."""
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
            self._print_line(f"fault: {kind}")

    def end(self) -> None:
        """Stop causing faults."""
        self._no_more.set()


def _kill(process: subprocess.Popen[bytes] | None) -> bool:
    if process is None or process.poll() is not None:
        return False
    process.kill()
    return True


def _descendants(pid: int) -> list[int]:
    """Return all processes below one, by the parents in /proc."""
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
