"""Load on the DICOM node: five sites send real-size studies at once by dcmtk's storescu; nothing may be lost.

    python -m tests.soak.receive STUDY [--studies 200] [--folder DIR]

STUDY is a folder with one series of real size. For comparison, dcmtk's storescp on the same machine gets the same
before and after. storescp does not sync to the disk; the node does before it acknowledges.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.uid import generate_uid

SITES = 5


def copies(study: Path, folder: Path, count: int) -> dict[Path, set[str]]:
    """Write `count` copies of a study with UIDs of their own; return the SOP instance UIDs of each folder."""
    sources = [pydicom.dcmread(path) for path in sorted(study.iterdir()) if path.is_file()]
    found: dict[Path, set[str]] = {}
    for number in range(count):
        place = folder / f"study{number:03d}"
        place.mkdir(parents=True)
        study_uid, series_uid = generate_uid(), generate_uid()
        found[place] = set()
        for index, ds in enumerate(sources):
            ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.PatientID = study_uid, series_uid, f"P{number}"
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            ds.save_as(place / f"{index:03d}.dcm")
            found[place].add(str(ds.SOPInstanceUID))
    return found


def send_all(studies: list[Path], port: int) -> float:
    """Send all studies from five senders at once, with an association for each study; return the seconds."""

    def send(site: int) -> None:
        for place in studies[site::SITES]:
            command = ["storescu", "-aet", f"SITE{site}", "-aec", "SPARCC", "127.0.0.1", str(port), "+sd", str(place)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    begun = time.perf_counter()
    with ThreadPoolExecutor(SITES) as pool:
        list(pool.map(send, range(SITES)))
    return time.perf_counter() - begun


@contextmanager
def sparcc_node(folder: Path) -> Iterator[tuple[int, int]]:
    """Run `sparcc receive` as a process; yield port and process number."""
    port = free_port()
    sites = "".join(
        f'[[site]]\ncode = "S{n}"\nname = "Site {n}"\nae_title = "SITE{n}"\nmanifest = "m{n}.csv"\n'
        for n in range(SITES)
    )
    (folder / "nightly.toml").write_text(
        f'[paths]\nidentity_folder = "identity"\nwork_folder = "work"\n[receive]\nport = {port}\n{sites}'
    )
    code = "from sparcc_pipeline.app.cli.main import main; main()"
    command = [sys.executable, "-c", code, "receive", "--config", str(folder / "nightly.toml")]
    with running(command, port) as pid:
        yield port, pid


@contextmanager
def dcmtk_node(folder: Path) -> Iterator[tuple[int, int]]:
    """Run dcmtk's storescp, with a process for each association as five senders need it."""
    port, store = free_port(), folder / "storescp"
    store.mkdir()
    with running(["storescp", "--fork", "-aet", "SPARCC", "-od", str(store), str(port)], port) as pid:
        yield port, pid
    shutil.rmtree(store)


@contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def memory_mib(pid: int) -> float:
    """Return the largest memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=Path("runs/soak_receive"))
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    folder: Path = arguments.folder
    shutil.rmtree(folder, ignore_errors=True)
    sent = copies(arguments.study, folder / "sent", arguments.studies)
    studies, count = list(sent), sum(map(len, sent.values()))
    size = sum(path.stat().st_size for place in studies for path in place.iterdir()) / 1e6
    print(f"{len(studies)} studies, {count} images, {size:.0f} MB, from {SITES} sites at once")
    rates: list[tuple[str, float, float]] = []

    def compare() -> None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with dcmtk_node(folder) as (port, _):
            seconds = send_all(studies, port)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        rates.append(("storescp --fork", seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))

    compare()
    with sparcc_node(folder) as (port, pid):
        idle = memory_mib(pid)
        seconds = send_all(studies, port)
        rates.append(("sparcc receive", seconds, cpu_s(pid)))
        time.sleep(1)
        peak = memory_mib(pid)
    compare()
    received = {
        str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)
        for path in (folder / "identity" / "incoming").rglob("*.dcm")
    }
    lost = set(itertools.chain.from_iterable(sent.values())) - received
    uploads = sum(1 for site in (folder / "identity" / "incoming").iterdir() for _ in site.iterdir())
    for name, seconds, cpu in rates:
        print(f"{name}: {seconds:.1f} s, {count / seconds:.0f} images/s, {size / seconds:.1f} MB/s, CPU {cpu:.1f} s")
    print(f"lost {len(lost)} of {count}; {uploads} uploads")
    print(f"memory of the node: {idle:.0f} MiB idle, {peak:.0f} MiB at most")
    shutil.rmtree(folder)
    sys.exit(1 if lost or uploads != len(studies) else 0)


if __name__ == "__main__":
    main()
