"""The time of one study, step by step, in a process of its own (`python -m` this module).

The process prints one JSON object. Each engine has a new process, so that its first study is cold and its memory is
that of one engine.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sparcc_pipeline.dicom.input.discover import SeriesCandidate

STAGES: Final = ("model", "load", "segment", "joint", "score", "write", "total")
"""Steps in order. `segment` is without the joints, which are timed as a step of their own; `write` includes the DICOM
results of a DICOM study."""


@dataclass
class Clock:
    """Wall and processor seconds of each step; other work on the machine adds to the first and not to the second."""

    wall: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure the step that the context encloses."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall[name] = time.perf_counter() - wall
        self.cpu[name] = time.process_time() - cpu


def measure_study(source: Path, engine: str, threads: int, repeats: int) -> dict[str, Any]:
    """Measure one cold study and `repeats` warm ones (medians); (wall, processor) seconds for each of `STAGES`."""
    from sparcc_pipeline.app.study import installation
    from sparcc_pipeline.app.study.clock import utc_now
    from sparcc_pipeline.app.study.config import load_config
    from sparcc_pipeline.app.study.images import Request
    from sparcc_pipeline.app.study.provenance import Run

    clock = Clock()
    config = load_config().model_copy(update={"engine": engine, "threads": threads})
    run = Run(config, Request(), created_at=utc_now())
    with clock.step("model"):
        segmenter = installation.load_installed_segmenter(config)
    studies = [_one_study(source, run, segmenter) for _ in range(1 + repeats)]
    cold, warm = studies[0], studies[1:]
    # The first study of a process includes the loading of the model and all imports.
    cold.wall["model"], cold.cpu["model"] = clock.wall["model"], clock.cpu["model"]
    cold.wall["total"] += clock.wall["model"]
    cold.cpu["total"] += clock.cpu["model"]
    return {
        "cold": _seconds([cold]),
        "warm": _seconds(warm),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1),
    }


def measure_loading(source: Path, repeats: int) -> dict[str, Any]:
    """Measure our reader and SimpleITK's series reader on the same files, one after the other; medians of warm reads.

    Both read the series that is scored, and the T1 beside it if there is one.
    """
    from sparcc_pipeline.app.study.images import Request, read_study
    from sparcc_pipeline.dicom.input.discover import discover
    from sparcc_pipeline.dicom.input.select import find_stir, find_t1
    from sparcc_pipeline.dicom.input.source import open_source
    from sparcc_pipeline.imaging.reference_reader import read_with_simpleitk

    with open_source(source) as files:
        discovery = discover(files)
        stir = find_stir(discovery).series
        wanted = [(_folder_of(series), series.series_uid) for series in (stir, find_t1(discovery, stir)) if series]
        measured: list[tuple[Clock, Clock]] = []
        for _ in range(1 + repeats):
            ours, theirs = Clock(), Clock()
            with ours.step("load"):
                read_study(source, Request())
            with theirs.step("load"):
                for folder, series_uid in wanted:
                    read_with_simpleitk(folder, series_uid)
            measured.append((ours, theirs))
    return {
        "ours": _seconds([each[0] for each in measured[1:]]),
        "simpleitk": _seconds([each[1] for each in measured[1:]]),
    }


def _folder_of(series: SeriesCandidate) -> Path:
    """The folder of all files of a series."""
    folders = {file.path.parent for file in series.files}
    if len(folders) > 1:
        raise RuntimeError(f"expected the series in one folder, as SimpleITK reads it, found it in {len(folders)}")
    return folders.pop()


def _one_study(source: Path, run: Any, segmenter: Any) -> Clock:
    from sparcc_pipeline.app.report.outputs import write_outputs
    from sparcc_pipeline.app.results.extras import Extras
    from sparcc_pipeline.app.results.score_document import score_document
    from sparcc_pipeline.app.study.images import is_nifti, read_study
    from sparcc_pipeline.app.study.score import score_slices, segment_study, six_slices
    from sparcc_pipeline.sparcc.joint import find_joints

    clock, dicom = Clock(), not is_nifti(source)
    with tempfile.TemporaryDirectory(prefix="sparcc-") as folder:
        with clock.step("total"):
            with clock.step("load"):
                study = read_study(source, run.request, with_header=dicom)
            with clock.step("segment"):
                segmented = segment_study(study, segmenter)
            with clock.step("score"):
                scored = score_slices(segmented, six_slices(segmented, run.request))
            with clock.step("write"):
                write_outputs(scored, score_document(scored, run), run, Path(folder), Extras(dicom=dicom))
        # Outside the total: the segmentation has found the joints already.
        with clock.step("joint"):
            find_joints(segmented.tissue.anatomy, segmented.tissue.geometry)
    clock.wall["segment"] -= clock.wall["joint"]
    clock.cpu["segment"] -= clock.cpu["joint"]
    return clock


def _seconds(clocks: list[Clock]) -> dict[str, list[float]]:
    """Step -> [wall, processor] seconds, medians; empty for no study."""
    return {
        name: [round(median(c.wall[name] for c in clocks), 3), round(median(c.cpu[name] for c in clocks), 3)]
        for name in STAGES
        if clocks and name in clocks[0].wall
    }


def _main(arguments: list[str]) -> None:
    """Measure one thing and print it; a SparccError is printed as {"error": its sentence}."""
    from sparcc_pipeline.errors import SparccError

    kind, source, engine, threads, repeats = arguments
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "study": lambda: measure_study(Path(source), engine, int(threads), int(repeats)),
        "loading": lambda: measure_loading(Path(source), int(repeats)),
    }
    try:
        measured = measures[kind]()
    except (SparccError, RuntimeError) as error:
        measured = {"error": " ".join(str(error).split())}
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
