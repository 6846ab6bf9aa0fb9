"""Small stacks whose every voxel differs, written as DICOM."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet

from sparcc_pipeline.dicom.write import write_mr_series
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
