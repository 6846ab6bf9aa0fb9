"""`sparcc benchmark`: the time that this machine takes for a score, by step, engine and reader."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import typer

from sparcc_pipeline.app.development.benchmark_process import STAGES
from sparcc_pipeline.app.study.images import require_readable
from sparcc_pipeline.app.study.provenance import installed_versions
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.errors import OutputError, SparccError

SCHEMA: Final = "sparcc-benchmark/1"

ENGINES: Final = ("onnx", "openvino", "torch")

REAL_SIZE: Final = (25, 336, 336)
REAL_SPACING_MM: Final = (3.3, 0.7, 0.7)
"""Size of the phantom that is measured if no study is given."""

_LONGEST_SECONDS: Final = 1800


def run_benchmark(source: Path | None, threads: int, repeats: int, *, as_json: bool) -> None:
    """Measure, and print a table or JSON.

    Parameters
    ----------
    source : study to measure; None for a phantom of real size
    threads : processor threads of the engines
    repeats : number of warm studies; their median is reported

    Raises
    ------
    SparccError : the study cannot be scored with the default engine
    """
    if source is not None:
        require_readable(source)
    before = os.getloadavg()[0]
    with _study(source) as study:
        engines = {name: _measured("study", study, name, threads, repeats) for name in ENGINES}
        begun = time.perf_counter()
        process = _measured("study", study, ENGINES[0], threads, 0)
        cold_process = round(time.perf_counter() - begun, 3)
        loading = _measured("loading", study, ENGINES[0], threads, repeats)
    default = engines[ENGINES[0]]
    for measured in (default, process):
        if "error" in measured:
            raise SparccError(measured["error"])
    document = {
        "schema": SCHEMA,
        "study": "phantom of real size" if source is None else "as given",
        "threads": threads,
        "repeats": repeats,
        "machine": machine_facts(before),
        "cold_process_seconds": cold_process,
        **default,
        "studies_an_hour": round(3600 / default["warm"]["total"][0], 1),
        "engines": engines,
        "loading": loading,
        "versions": installed_versions(),
    }
    typer.echo(json.dumps(document, indent=2) if as_json else benchmark_text(document))


def machine_facts(load: float) -> dict[str, Any]:
    """Return processor, cores, memory and system; `load` is the load average before the measurement."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e9, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "load_before": round(load, 2),
    }


def benchmark_text(document: dict[str, Any]) -> str:
    """Return the document as tables."""
    machine = document["machine"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}",
        f"Load average before: {machine['load_before']} (other work; if it is not 0, trust the processor seconds)",
        f"{document['threads']} threads, {document['repeats']} warm repeats, {document['study']}",
        "",
        f"{'seconds':10} {'cold wall':>10} {'cold cpu':>10} {'warm wall':>10} {'warm cpu':>10}",
        *(f"{stage:10} {_pair(document['cold'], stage)} {_pair(document['warm'], stage)}" for stage in STAGES),
        "",
        f"New process, from start to end: {document['cold_process_seconds']:.2f} s",
        f"Studies an hour, one warm process: {document['studies_an_hour']:g}",
        f"Peak memory: {document['peak_memory_mb']:.0f} MB",
        "",
        f"{'loading':10} {'wall':>10} {'cpu':>10}",
        *_loading_lines(document["loading"]),
        "",
        f"{'engine':10} {'segment':>10} {'cpu':>10} {'total':>10} {'peak MB':>10}",
        *(_engine_line(name, measured) for name, measured in document["engines"].items()),
    ]
    return "\n".join(lines)


def _loading_lines(loading: dict[str, Any]) -> list[str]:
    if "error" in loading:
        return [f"not compared: {loading['error']}"]
    return [f"{name:10} {_pair(loading[name], 'load')}" for name in ("ours", "simpleitk")]


def _engine_line(name: str, measured: dict[str, Any]) -> str:
    if "error" in measured:
        return f"{name:10} {measured['error']}"
    warm = measured["warm"]
    return f"{name:10} {_pair(warm, 'segment')} {warm['total'][0]:10.2f} {measured['peak_memory_mb']:10.0f}"


def _pair(seconds: dict[str, list[float]], stage: str) -> str:
    wall, cpu = seconds.get(stage, (None, None))
    return " ".join(" " * 9 + "-" if value is None else f"{value:10.2f}" for value in (wall, cpu))


def _measured(kind: str, source: Path, engine: str, threads: int, repeats: int) -> dict[str, Any]:
    """The measurement of a new process, or {"error": reason}."""
    arguments = [kind, str(source), engine, str(threads), str(repeats)]
    command = [sys.executable, "-m", "sparcc_pipeline.app.development.benchmark_process", *arguments]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_LONGEST_SECONDS)
        measured: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        return {"error": f"expected a measurement, found a process that ended with {type(error).__name__}"}
    return measured


@contextmanager
def _study(source: Path | None) -> Iterator[Path]:
    """Yield the study to measure; the files of a phantom are removed at the end."""
    if source is not None:
        yield source
        return
    from sparcc_pipeline.training.data.phantom import make_phantom
    from sparcc_pipeline.training.data.phantom_spec import PhantomSpec

    try:
        with tempfile.TemporaryDirectory(prefix="sparcc-") as folder:
            spec = PhantomSpec(shape=REAL_SIZE, spacing_mm=REAL_SPACING_MM, transitional_slice=15)
            volume = make_phantom(spec).volume
            write_mr_series(volume, Path(folder) / "dicom", style="siemens", patient_id="BENCHMARK", seed="benchmark")
            yield Path(folder)
    except OSError as error:
        raise OutputError(
            f"expected room for a phantom in the temporary folder, found none ({error.strerror}); set TMPDIR"
        ) from error


def _processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
