"""Fixtures: small stacks with a different value in every voxel, and a scored phantom, written as DICOM."""

from __future__ import annotations

import gc
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.dicom.input.read import read_series
from sparcc_pipeline.dicom.input.select import find_stir
from sparcc_pipeline.dicom.output.codes import read_codes
from sparcc_pipeline.dicom.output.presentation import Marked, make_presentation_states
from sparcc_pipeline.dicom.output.result_header import Origin, ResultHeader
from sparcc_pipeline.dicom.output.results import Options, Result, make_reading, make_results
from sparcc_pipeline.dicom.output.source_header import SourceHeader, read_source_header
from sparcc_pipeline.dicom.uids import ResultUids
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.sparcc.score import score_sparcc
from sparcc_pipeline.sparcc.slices import choose_six_slices
from sparcc_pipeline.training.data.phantom import Phantom, make_phantom
from sparcc_pipeline.training.data.phantom_spec import Lesion, PhantomSpec
from sparcc_pipeline.volume import Geometry, SeriesRef, Volume


def tilted_volume(shape: tuple[int, int, int] = (8, 12, 10), tilt_degrees: float = 40.0) -> Volume:
    """A semicoronal stack with a different value in every voxel."""
    s, c = np.sin(np.radians(tilt_degrees)), np.cos(np.radians(tilt_degrees))
    turn = np.radians(3.0)
    normal, down, left = np.array([0, c, s]), np.array([0, s, -c]), np.array([1.0, 0, 0])
    down, left = np.cos(turn) * down - np.sin(turn) * left, np.cos(turn) * left + np.sin(turn) * down
    directions = tuple((float(v[0]), float(v[1]), float(v[2])) for v in (normal, down, left))
    geometry = Geometry(shape, (-61.5, -40.25, 12.125), directions, (3.3, 0.6, 0.7), "1.2.3.4")  # type: ignore[arg-type]
    signal = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return Volume(signal, geometry, SeriesRef(None, None))


@pytest.fixture
def make_volume() -> Callable[..., Volume]:
    """`make_volume(shape, tilt_degrees)`: a semicoronal stack with a different value in every voxel."""
    return tilted_volume


@pytest.fixture
def volume() -> Volume:
    return tilted_volume()


@pytest.fixture
def series(tmp_path: Path, volume: Volume) -> Path:
    """A folder with one classic STIR series of eight slices."""
    folder = tmp_path / "series"
    write_mr_series(volume, folder, style="siemens", patient_id="P1", seed="series")
    return folder


@pytest.fixture
def disc(series: Path, tmp_path: Path) -> Path:
    """A disc with that series and a DICOMDIR, made by pydicom."""
    with warnings.catch_warnings():
        # pydicom leaves the removal of its own temporary folder to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        files = FileSet()
        for path in series.iterdir():
            files.add(path)
        files.write(tmp_path / "disc")
        del files
        gc.collect()
    return tmp_path / "disc"


@pytest.fixture
def edit() -> Callable[..., None]:
    """`edit(paths, Keyword=value, ...)` sets elements of files; None deletes; a function gets the data set."""

    def edit_files(*paths: Path, **elements: Any) -> None:
        for path in paths:
            ds = pydicom.dcmread(path)
            for keyword, value in elements.items():
                value = value(ds) if callable(value) else value
                if value is None:
                    ds.pop(keyword, None)
                else:
                    setattr(ds, keyword, value)
            if ds.SOPInstanceUID != ds.file_meta.MediaStorageSOPInstanceUID:
                ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            ds.save_as(path, enforce_file_format=True)

    return edit_files


@dataclass(frozen=True, eq=False)
class ScoredStudy:
    """A phantom written to and read from DICOM, its known tissue and its score; lesions on the right only."""

    folder: Path
    header: SourceHeader
    result: Result

    def files(self, **origin: str) -> dict[str, pydicom.Dataset]:
        """Return the DICOM results by name, read from their bytes; `origin` replaces fields of the origin."""
        return dict(self._made(**origin))

    def seg(self, **origin: str) -> pydicom.Dataset:
        """Return the segmentation alone; it is made first."""
        return next(ds for _, ds in self._made(**origin))

    def reports(self) -> tuple[pydicom.Dataset, pydicom.Dataset]:
        """Return the reports of score and volumes, which follow the segmentation."""
        _, score, volumes = (ds for _, (_, ds) in zip(range(3), self._made(), strict=False))
        return score, volumes

    def reading(self) -> pydicom.Dataset:
        """Return the report of a person who gave the same points."""
        codes = read_codes(CODES_FILE.read_text())
        file = make_reading(self.header, self.result.stir, self.result.score, "R1", True, ORIGIN, codes)
        return pydicom.dcmread(io.BytesIO(file.content))

    def presentation(self) -> pydicom.Dataset:
        """Return the presentation state alone."""
        result = self.result
        header = ResultHeader(self.header, ORIGIN, ResultUids("1.2", "test"), read_codes(CODES_FILE.read_text()))
        marked = Marked(result.score, result.tissue, result.joints, result.stir.storage, result.window)
        return next(make_presentation_states(header, marked))

    def _made(self, **origin: str) -> Iterator[tuple[str, pydicom.Dataset]]:
        made_by = replace(ORIGIN, **origin)  # type: ignore[arg-type]
        for file in make_results(self.header, self.result, made_by, read_codes(CODES_FILE.read_text())):
            yield file.name, pydicom.dcmread(io.BytesIO(file.content))


CODES_FILE = Path(__file__).resolve().parents[2] / "configs" / "codes.toml"
ORIGIN = Origin("sparcc-pipeline", "1.0", "known", "2.0", "ab" * 32, "cd" * 32, "ef" * 32, datetime(2026, 3, 1, 10, 0))
PDF = b"%PDF-1.7 a report of odd length"
ONE_SLICE = (Lesion(6, Side.RIGHT, Quadrant.UPPER_ILIAC, depth_mm=12.0, length_mm=9.0),)


@lru_cache(maxsize=4)
def _phantom(lesions: tuple[Lesion, ...]) -> Phantom:
    return make_phantom(
        PhantomSpec(shape=(12, 165, 136), spacing_mm=(4.0, 1.1, 1.2), noise=0.0, bias=0.0, lesions=lesions)
    )


@pytest.fixture
def scored_study(tmp_path: Path) -> Callable[..., ScoredStudy]:
    """`scored_study(lesions, stored=..., enhanced=..., change=function(folder))`."""

    def make(
        lesions: tuple[Lesion, ...] = ONE_SLICE,
        *,
        change: Callable[[list[Path]], None] = lambda _: None,
        quadrants: bool = False,
        **writing: Any,
    ) -> ScoredStudy:
        phantom = _phantom(lesions)
        folder = tmp_path / "source"
        paths = write_mr_series(phantom.volume, folder, style="ge", patient_id="P5", seed="results", **writing)
        change(paths)
        candidate = find_stir(discover(folder.iterdir())).series
        stir = read_series(candidate)
        tissue = replace(phantom.tissue, geometry=stir.geometry)
        joints = find_joints(tissue.anatomy, tissue.geometry)
        score = score_sparcc(stir, tissue, joints, choose_six_slices(joints, tissue.ligamentous))
        picture = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
        result = Result(
            stir,
            tissue,
            joints,
            score,
            picture + 1,
            (picture,) * 6,
            pixels_per_mm=4.0,
            window=(0.0, 500.0),
            options=Options(quadrants=quadrants, presentation=True, pdf=PDF),
        )
        return ScoredStudy(folder, read_source_header(candidate, stir), result)

    return make
