"""`scripts/soak`: nights under faults and load, and a table of figures.

Five sites send at once by storescu of dcmtk, while node, nights and workers are killed, the PACS is down and the
database is locked (SQLite) or crashes (PostgreSQL). Nights run until everything is delivered. The results are counted
from the outside. The same command continues where an earlier one was stopped.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import Ledger
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.nightly.settings import load_settings
from sparcc_pipeline.errors import SparccError
from tests.app.databases import missing, postgres_cluster
from tests.soak.counting import Count, as_json, count, delivered, open_ledger
from tests.soak.faults import Faults, Machines
from tests.soak.studies import SITES, SoakStudy, prepare, write_settings

SENT_FILE = "sent.json"
STATE_FILE = "soak.json"


class Progress:
    """Prints lines with the time since the soak began."""

    def __init__(self) -> None:
        self.begun = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"{time.monotonic() - self.begun:7.1f} s  {text}", flush=True)


class Senders:
    """Each site sends its studies one after the other, and sends again a study that was not accepted whole."""

    def __init__(self, out: Path, port: int, studies: list[SoakStudy], print_line: Progress) -> None:
        self._out, self._port, self._studies, self._print_line = out, port, studies, print_line
        self._lock = threading.Lock()
        file = out / SENT_FILE
        self.sent: set[int] = set(json.loads(file.read_text())) if file.exists() else set()
        self.again = 0
        self.seconds = 0.0

    def run(self) -> None:
        """Send every study that is not sent yet."""
        begun = time.monotonic()
        with ThreadPoolExecutor(len(SITES)) as pool:
            list(pool.map(self._site, SITES))
        self.seconds = time.monotonic() - begun

    def busy(self) -> bool:
        """Return True while a study is not sent yet."""
        return len(self.sent) < len(self._studies)

    def _site(self, site: str) -> None:
        # Follow-ups first at every second site: a baseline may come after them.
        mine = [study for study in self._studies if study.site == site and study.number not in self.sent]
        for study in reversed(mine) if SITES.index(site) % 2 else mine:
            while not self._send(study):
                with self._lock:
                    self.again += 1
                time.sleep(1)
            with self._lock:
                self.sent.add(study.number)
                (self._out / SENT_FILE).write_text(json.dumps(sorted(self.sent)))
                self._print_line(
                    f"{site} has sent {study.participant} {study.visit} ({len(self.sent)} of {len(self._studies)})"
                )

    def _send(self, study: SoakStudy) -> bool:
        options = ["--timeout", "10", "--acse-timeout", "10", "--dimse-timeout", "30", "-aec", "SPARCC", "+sd", "+r"]
        peer = ["-aet", f"AE_{study.site}", "127.0.0.1", str(self._port)]
        command = ["storescu", *options, *peer, str(self._out / study.folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def main() -> int:
    """Run a soak; return 0 if nothing was lost."""
    options = _options()
    for program in ("storescu", "storescp"):
        if shutil.which(program) is None:
            print(f"expected the program {program} of dcmtk, found none; install the Debian package dcmtk")
            return 2
    print_line, out = Progress(), options.out
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as ends:
        url, restart = None, None
        if options.database == "postgres":
            if why := missing():
                print(why)
                return 2
            cluster = ends.enter_context(postgres_cluster())
            url = cluster.url()

            def restart() -> None:
                cluster.stop()
                time.sleep(3)
                cluster.start()

        studies = prepare(out, options.studies, print_line)
        ports = _ports(out)
        file = write_settings(out, studies, ports, url)
        open_database(load_settings(file).database_url).dispose()
        machines = Machines(out, file, ports, restart)
        machines.start()
        ends.callback(machines.stop)
        _wait_for(ports["receiver"])
        senders = Senders(out, ports["receiver"], studies, print_line)
        faults = Faults(machines, options.faults, options.seconds, options.seed, print_line, senders.busy)
        complete = _soak(out, studies, senders, faults, machines, options.minutes, print_line)
        found = count(out, load_settings(file), studies)
    _print_table(found, senders, faults, machines, studies, print_line)
    (out / STATE_FILE).write_text(as_json(found))
    return 0 if complete and not found.wrong else 1


def _soak(
    out: Path,
    studies: list[SoakStudy],
    senders: Senders,
    faults: Faults,
    machines: Machines,
    minutes: float,
    print_line: Progress,
) -> bool:
    """Send and work under faults, then without faults; return True if all was delivered in time."""
    settings, end = load_settings(out / "nightly.toml"), time.monotonic() + 60 * minutes
    sending = threading.Thread(target=senders.run, daemon=True)
    sending.start()
    faults.start()
    over = threading.Event()
    threading.Thread(target=_print_progress, args=(open_ledger(settings), print_line, over), daemon=True).start()
    while time.monotonic() < end:
        how = machines.run_night()
        there = delivered(open_ledger(settings), studies, out)
        print_line(f"a night: {how}; {len(there)} of {len(studies)} studies delivered")
        if len(there) == len(studies) and not sending.is_alive():
            # The work is done: further faults could harm nothing.
            break
        time.sleep(1)
    over.set()
    faults.end()
    faults.join(30)
    sending.join(30)
    if time.monotonic() < end:
        machines.run_night()
    return time.monotonic() < end


def _print_progress(ledger: Ledger, print_line: Progress, over: threading.Event) -> None:
    """Print how many studies are in each state, whenever that changes."""
    before: dict[str, int] = {}
    while not over.wait(10):
        try:
            counts = Counter({state.value: 0 for state in State})
            for (_, state), number in ledger.counts().items():
                counts[state.value] += number
        except SparccError:
            continue
        found = {state: number for state, number in counts.items() if number}
        if found != before:
            print_line(", ".join(f"{number} {state}" for state, number in found.items()))
            before = found


def _print_table(
    found: Count, senders: Senders, faults: Faults, machines: Machines, studies: list[SoakStudy], print_line: Progress
) -> None:
    instances = sum(len(study.pixels) for study in studies)
    table = [
        ("studies, instances", f"{len(studies)}, {instances}"),
        *sorted((kind, str(times)) for kind, times in faults.done.items()),
        ("nights", ", ".join(f"{times} {how}" for how, times in sorted(machines.nights.items()))),
        ("failed attempts to send, tried again", str(senders.again)),
        ("seconds of sending", f"{senders.seconds:.0f}"),
        ("largest memory of the node, MB", f"{machines.node_peak_mb:.0f}"),
        *found.figures,
        ("seconds in all", f"{time.monotonic() - print_line.begun:.0f}"),
    ]
    width = max(len(name) for name, _ in table)
    print()
    for name, value in table:
        print(f"  {name:<{width}}  {value}")
    print()
    print("\n".join(f"WRONG  {each}" for each in found.wrong) or "Nothing was lost, nothing was done twice.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Nights under faults and load (some minutes).")
    parser.add_argument("--studies", type=int, default=8, help="how many studies five sites send")
    parser.add_argument("--out", type=Path, default=Path("runs/soak"), help="folder; that of an earlier soak goes on")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--faults", type=int, default=2, help="how often each kind of fault happens")
    parser.add_argument("--seconds", type=float, default=8, help="from fault to fault, on average")
    parser.add_argument("--seed", type=int, default=1, help="another order of faults")
    parser.add_argument("--minutes", type=float, default=30, help="no longer than this")
    return parser.parse_args()


def _ports(out: Path) -> dict[str, int]:
    """Return free ports, the same ones when a soak continues."""
    file = out / "ports.json"
    if not file.exists():
        with socket.socket() as one, socket.socket() as other:
            for each in (one, other):
                each.bind(("127.0.0.1", 0))
            file.write_text(json.dumps({"receiver": one.getsockname()[1], "pacs": other.getsockname()[1]}))
    found: dict[str, int] = json.loads(file.read_text())
    return found


def _wait_for(port: int) -> None:
    for _ in range(300):
        with socket.socket() as opened:
            if opened.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("expected the DICOM node to start within 30 s, found that it did not start; see soak.log")


if __name__ == "__main__":
    sys.exit(main())
