"""Workers as processes of their own: one may be killed, and the batch itself may be."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparcc_pipeline.dicom.write import write_mr_series

from ..conftest import make_stir

KNOWN_MODEL = """
import os, time
import tests.app.conftest as known
from sparcc_pipeline.app.study import installation

class Slow(known.KnownSegmenter):
    def segment(self, volume, t1=None):
        with open({asked!r}, "a") as asked:
            asked.write(f"{{os.getpid()}}\\n")
        time.sleep(0.5)
        return super().segment(volume, t1)

installation.load_installed_segmenter = lambda config: Slow(known.make_tissue())
"""

RUN = "import runpy, sys; runpy.run_path(sys.argv.pop(1)); from sparcc_pipeline.app.cli.main import main; main()"


class Machines:
    """A scheduler, workers, and the command line, each a process with the known model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = folder / "asked"
        self._preload = folder / "known.py"
        self._preload.write_text(KNOWN_MODEL.format(asked=str(self.asked)))
        self._started: list[subprocess.Popen[str]] = []
        self._cwd = folder / "cwd"
        self._cwd.mkdir()

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        # Tests run in the checkout; these run elsewhere, so that whatever they leave behind is seen.
        path = os.pathsep.join([str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self._cwd,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def scheduler(self) -> str:
        process = self._start(
            "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"
        )
        assert process.stdout is not None
        for line in process.stdout:
            found = re.search(r"Scheduler at:\s+(tcp://127\.0\.0\.1:\d+)", line)
            if found:
                return found[1]
        raise AssertionError("the scheduler did not start")

    def worker(self, address: str) -> subprocess.Popen[str]:
        return self._start(
            "-m",
            "distributed.cli.dask_worker",
            address,
            "--nthreads",
            "1",
            "--no-nanny",
            "--no-dashboard",
            "--host",
            "127.0.0.1",
            "--preload",
            str(self._preload),
            "--local-directory",
            str(self.folder / "scratch"),
        )

    def batch(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return self._start("-c", RUN, str(self._preload), "batch", *map(str, arguments))

    def end(self) -> None:
        for process in reversed(self._started):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    @property
    def left_behind(self) -> list[str]:
        return sorted(path.name for path in self._cwd.iterdir())


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    found = Machines(tmp_path)
    yield found
    found.end()


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """Six studies."""
    for patient in range(6):
        write_mr_series(
            make_stir(), tmp_path / "in" / str(patient), style="ge", patient_id=f"P{patient}", seed="workers"
        )
    return tmp_path / "in"


def wait_for(condition: object, seconds: float = 90) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


def finished(out: Path) -> list[Path]:
    return list(out.glob("studies/*/row.json"))


def test_a_killed_worker_costs_no_study(machines: Machines, studies: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    address = machines.scheduler()
    first, _ = machines.worker(address), machines.worker(address)
    batch = machines.batch(studies, "--out", out, "--scheduler", address)
    wait_for(lambda: machines.asked.exists() and str(first.pid) in machines.asked.read_text().split())
    wait_for(lambda: finished(out))
    before = {path: path.stat().st_mtime_ns for path in finished(out)}
    os.kill(first.pid, signal.SIGKILL)

    printed, _ = batch.communicate(timeout=120)

    assert batch.returncode == 0, printed
    assert "6 studies: 6 scored, 0 unscorable, 0 rejected, 0 failed" in printed
    ended = [json.loads(line) for line in (out / "batch.log").read_text().splitlines()]
    assert set(Counter(line["study"] for line in ended).values()) == {1} and len(ended) == 6
    assert len(finished(out)) == 6
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(set(machines.asked.read_text().split())) == 2, "both workers had a share"
    assert machines.left_behind == []


def test_a_killed_batch_goes_on_where_it_was(machines: Machines, studies: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    address = machines.scheduler()
    machines.worker(address)
    killed = machines.batch(studies, "--out", out, "--scheduler", address)
    wait_for(lambda: len(finished(out)) >= 2)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    before = {path: path.stat().st_mtime_ns for path in finished(out)}

    again = machines.batch(studies, "--out", out, "--scheduler", address)
    printed, _ = again.communicate(timeout=120)

    assert again.returncode == 0, printed
    assert "6 studies: 6 scored" in printed and "in an earlier run" in printed
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not list(out.rglob("*.partial"))


def test_an_address_without_a_scheduler(
    machines: Machines, studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sparcc_pipeline.app.batch import cluster
    from sparcc_pipeline.errors import ConfigError

    monkeypatch.setattr(cluster, "_WAIT_SECONDS", 1)
    for address in ("tcp://127.0.0.1:1", "nowhere"):
        with pytest.raises(ConfigError, match="expected a scheduler"), cluster.existing_cluster(address):
            pytest.fail("there is none")


def test_the_installed_model_on_a_local_worker(tmp_path: Path) -> None:
    """A whole batch as a user starts it: spawned processes that listen on this machine only and end with it."""
    sample = Path(__file__).resolve().parents[3] / "data_samples" / "phantom_study"
    (tmp_path / "cwd").mkdir()
    batch = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "sparcc_pipeline.app.cli.main",
            "batch",
            str(sample),
            "--out",
            str(tmp_path / "out"),
            "--workers",
            "1",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path / "cwd",
        env={**os.environ, "PYTHONPATH": str(sample.parents[1]), "TMPDIR": str(tmp_path)},
    )
    printed, complained = batch.communicate(timeout=180)

    assert (batch.returncode, complained) == (0, "")
    assert "1 study: 1 scored" in printed
    assert list((tmp_path / "cwd").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("sparcc-batch-")] == []


ON_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


def test_ctrl_c_on_a_terminal_ends_it_politely(tmp_path: Path) -> None:
    """The terminal sends it to the workers as well: none of them may show a traceback, or leave anything behind."""
    sample = Path(__file__).resolve().parents[3] / "data_samples" / "phantom_study"
    batch = subprocess.Popen(
        [
            sys.executable,
            "-c",
            ON_A_TERMINAL,
            sys.executable,
            "-m",
            "sparcc_pipeline.app.cli.main",
            "batch",
            str(sample),
            "--out",
            str(tmp_path / "out"),
            "--workers",
            "1",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(sample.parents[1]), "TMPDIR": str(tmp_path)},
    )
    assert batch.stdin is not None and batch.stdout is not None
    shown = b""
    while b"0/1" not in shown:
        chunk = os.read(batch.stdout.fileno(), 65536)
        assert chunk, shown.decode(errors="replace")
        shown += chunk
    batch.stdin.write(b"\x03")
    batch.stdin.flush()
    rest, _ = batch.communicate(timeout=120)

    assert batch.returncode == 130, rest.decode(errors="replace")
    assert b"run the same command again" in rest
    assert b"Traceback" not in shown + rest
    assert (tmp_path / "out" / "batch.csv").is_file()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("sparcc-")] == []
