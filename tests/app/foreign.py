"""Studies as other hospitals write them, made from the small study whose score is known, and a segmenter for them."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.sparcc.joint import Joints, find_joints
from sparcc_pipeline.sparcc.uncertainty import Calibration
from sparcc_pipeline.volume import TissueMaps, Volume

from .conftest import make_stir, make_tissue

TOTAL = 4
"""The score of `make_stir`."""


@dataclass(frozen=True)
class PlacedSegmenter:
    """Returns the known tissue of each slice by its position, so that a stack that lost slices keeps the others'."""

    tissue: TissueMaps

    def calibration_of(self, tissue: TissueMaps) -> Calibration | None:
        return None

    @property
    def provenance(self) -> Mapping[str, str]:
        return {"name": "placed", "version": "1.0", "sha256": "ab" * 32, "engine": "onnx"}

    def segment(self, volume: Volume, t1: Volume | None = None) -> tuple[TissueMaps, Joints]:
        known, geometry = self.tissue, volume.geometry
        step = known.geometry.spacing_mm[0]
        places = [geometry.slice_position_mm(k) for k in range(geometry.shape[0])]
        first = known.geometry.slice_position_mm(0)
        wanted = [round((place - first) / step) for place in places]
        tissue = replace(
            known,
            geometry=geometry,
            anatomy=known.anatomy[wanted],
            edema_probability=known.edema_probability[wanted],
            vessel=known.vessel[wanted],
            ligamentous=known.ligamentous[wanted],
        )
        return tissue, find_joints(tissue.anatomy, tissue.geometry)


def placed_segmenter() -> PlacedSegmenter:
    return PlacedSegmenter(make_tissue())


def write_known(folder: Path, **more: Any) -> list[Path]:
    """Write the study; its seed and patient are those of `intake_night.write_study`."""
    return write_mr_series(make_stir(), folder, style="siemens", patient_id="P1", seed="foreign", **more)


def edit(paths: list[Path], **elements: Any) -> None:
    """Set elements; None deletes; a function gets the data set and the number of the file."""
    for number, path in enumerate(paths):
        ds = pydicom.dcmread(path)
        with pydicom.config.disable_value_validation():
            for keyword, value in elements.items():
                value = value(ds, number) if callable(value) else value
                if value is None:
                    ds.pop(keyword, None)
                else:
                    setattr(ds, keyword, value)
            ds.file_meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", "1.2.3")
            ds.save_as(path)


def emptied(paths: list[Path]) -> None:
    """Leave nothing of the files but their names."""
    for path in paths:
        path.write_bytes(b"")


def bare(paths: list[Path]) -> None:
    """Strip preamble and meta information."""
    for path in paths:
        ds = pydicom.dcmread(path)
        del ds.file_meta
        content = DicomBytesIO()
        content.is_little_endian, content.is_implicit_VR = True, True
        write_dataset(content, ds)
        path.write_bytes(content.getvalue())


def add(paths: list[Path], name: str, **elements: Any) -> None:
    """Add a copy of a middle slice under another UID."""
    copy = Path(shutil.copy(paths[len(paths) // 2], paths[0].parent / name))
    edit([copy], SOPInstanceUID="1.2.3.4", **elements)


def long_decimals(ds: pydicom.Dataset, number: int) -> list[str]:
    return [f"{float(v):.17f}" for v in ds.ImagePositionPatient]


def respelled(paths: list[Path], tag: bytes, change: Callable[[bytes], bytes], vr: bytes = b"DS") -> None:
    for path in paths:
        raw = path.read_bytes()
        at = raw.index(tag + b"DS")
        size = int.from_bytes(raw[at + 6 : at + 8], "little")
        value = change(raw[at + 8 : at + 8 + size])
        head = vr + (b"\0\0" + len(value).to_bytes(4, "little") if vr == b"UT" else len(value).to_bytes(2, "little"))
        path.write_bytes(raw[: at + 4] + head + value + raw[at + 8 + size :])


def packed(paths: list[Path], depth: int) -> None:
    """Replace the files of a study by a zip, within a zip for each further level."""
    folder = paths[0].parent
    contents = [(path.name, path.read_bytes()) for path in paths]
    for path in paths:
        path.unlink()
    for level in range(depth):
        target = folder / f"level{level}.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in contents:
                archive.writestr(name, content)
        contents = [(target.name, target.read_bytes())]
        if level < depth - 1:
            target.unlink()


def shifted(ds: pydicom.Dataset, number: int) -> bytes:
    return (ds.pixel_array << 4).astype("<u2").tobytes()


def overflowing(ds: pydicom.Dataset, number: int) -> bytes:
    return np.clip(ds.pixel_array.astype(np.uint32) * 8, 0, 65535).astype("<u2").tobytes()


PIXEL_SPACING = b"\x28\x00\x30\x00"
SCOUT = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}

SCORED: dict[str, Callable[[list[Path]], None]] = {
    "as written": lambda paths: None,
    "bare data sets": bare,
    "a series UID for each slice": lambda p: edit(p, SeriesInstanceUID=lambda ds, n: f"1.2.5.{n}"),
    "a study UID for each slice": lambda p: edit(
        p, StudyInstanceUID=lambda ds, n: f"1.2.6.{n}", SeriesInstanceUID=lambda ds, n: f"1.2.5.{n}"
    ),
    "two halves": lambda p: edit(p[6:], SeriesInstanceUID="1.2.5"),
    "no study UID": lambda p: edit(p, StudyInstanceUID=None),
    "no series UID": lambda p: edit(p, SeriesInstanceUID=None),
    "no image UID": lambda p: edit(p, SOPInstanceUID=None),
    "localizer among the slices": lambda p: add(p, "scout.dcm", **SCOUT),
    "slice twice": lambda p: add(p, "again.dcm"),
    "frame of reference a slice": lambda p: edit(p, FrameOfReferenceUID=lambda ds, n: f"1.2.7.{n}"),
    "inversion in Scan Options": lambda p: edit(
        p,
        ScanningSequence="SE",
        ScanOptions=["FAST_GEMS", "IR_GEMS"],
        InversionTime=None,
        SeriesDescription="",
        ProtocolName="",
        SequenceName=None,
    ),
    "inversion in the sequence name": lambda p: edit(
        p,
        ScanningSequence=None,
        InversionTime=None,
        SeriesDescription=None,
        ProtocolName=None,
        SequenceName="*tir2d1rs13",
    ),
    "second inversion time": lambda p: edit(p, InversionTime=0, InversionTimes=[210.0, 1.7e308]),
    "secondary": lambda p: edit(p, ImageType=["ORIGINAL", "SECONDARY", "M", "NORM", "DIS2D", "FM"]),
    "long decimals": lambda p: edit(p, ImagePositionPatient=long_decimals),
    "numbers in UT": lambda p: respelled(p, PIXEL_SPACING, lambda value: value, b"UT"),
    "decimal comma": lambda p: respelled(p, PIXEL_SPACING, lambda value: value.replace(b".", b",")),
    "shifted high bit": lambda p: edit(p, BitsStored=12, HighBit=15, PixelData=shifted),
    "no stored bits": lambda p: edit(p, BitsStored=None, HighBit=None),
    "slope of zero": lambda p: edit(p, RescaleSlope=0, RescaleIntercept=0),
    "zip": lambda p: packed(p, 1),
    "zip within zip": lambda p: packed(p, 2),
    "inner end lost": lambda p: emptied(p[:2]),
}
"""Studies that have the known score."""

REFUSED: dict[str, tuple[Callable[[list[Path]], None], str]] = {
    "six slices touch the cut": (lambda p: emptied(p[:6]), "slices may be missing"),
    "gap": (lambda p: emptied(p[6:7]), "missing"),
    "values over BitsStored": (lambda p: edit(p, BitsStored=12, HighBit=11, PixelData=overflowing), "BitsStored"),
}
"""Studies that no way scores, and a word of the reason."""
