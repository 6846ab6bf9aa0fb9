"""A header of each kind in docs/vendors.md is read as the table states."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import LegacyConvertedEnhancedMRImageStorage

from sparcc_pipeline.dicom.input.classify import SeriesKind
from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.dicom.input.read import read_series
from sparcc_pipeline.dicom.input.select import find_stir
from sparcc_pipeline.dicom.vendor_headers import Style
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.volume import Volume

Edit = Callable[..., None]
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "vendors.md"
UNNAMED: dict[str, Any] = {"SeriesDescription": "COR", "ProtocolName": "SIJ"}

CLASSIC: dict[str, tuple[Style, dict[str, Any]]] = {
    "Siemens, classic": ("siemens", {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"], **UNNAMED}),
    "Siemens, filtered": (
        "siemens",
        {"ImageType": ["ORIGINAL", "SECONDARY", "M", "NORM", "DIS2D", "FM"], **UNNAMED},
    ),
    "Siemens, Scan Options": ("siemens", {"ScanningSequence": "SE", "ScanOptions": ["IR", "PFP", "FS"]}),
    "Siemens, Sequence Name": (
        "siemens",
        {"ScanningSequence": None, "InversionTime": None, "SequenceName": "*tir2d1rs13", **UNNAMED},
    ),
    "Siemens XA, classic": (
        "siemens",
        {"ImageType": ["ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D", "FM3_2", "FIL"], "SequenceName": None, **UNNAMED},
    ),
    "GE": ("ge", {"ScanOptions": ["FAST_GEMS", "SEQ_GEMS", "FILTERED_GEMS"], **UNNAMED}),
    "GE, Scan Options": (
        "ge",
        {"ScanningSequence": "SE", "ScanOptions": ["FAST_GEMS", "IR_GEMS"], "InversionTime": None, **UNNAMED},
    ),
    "Philips, classic": (
        "philips",
        {"ImageType": ["ORIGINAL", "PRIMARY", "M_IR", "M", "IR"], "ScanOptions": "FS", "InversionTime": 165, **UNNAMED},
    ),
    "Philips, second time": ("philips", {"InversionTime": 0, "InversionTimes": [0.0, 210.0, 1.7976e308], **UNNAMED}),
    "Canon (Toshiba), classic": ("ge", {"Manufacturer": "CANON_MEC", "ImageType": ["ORIGINAL", "PRIMARY"], **UNNAMED}),
    "United Imaging": (
        "ge",
        {
            "Manufacturer": "UIH",
            "ImageType": ["ORIGINAL", "PRIMARY", "M", "UCA", "IF"],
            "SequenceVariant": "NONE",
            "SequenceName": "fse",
            "InversionTime": "210.5",
            "EchoNumbers": None,
            **UNNAMED,
        },
    ),
    "Neusoft": (
        "ge",
        {"Manufacturer": "Neusoft", "ScanningSequence": "SE", "ImageType": ["ORIGINAL", "PRIMARY", "M"], **UNNAMED},
    ),
    "Fujifilm (Hitachi)": (
        "ge",
        {
            "Manufacturer": "Hitachi Medical Corporation",
            "ScanningSequence": "IR",
            "SequenceVariant": "NONE",
            "ImageType": ["ORIGINAL", "PRIMARY"],
            "SpacingBetweenSlices": "0.3",
            "SeriesDescription": "FIR COR",
        },
    ),
}

NOT_STIR: dict[str, tuple[Style, dict[str, Any], SeriesKind]] = {
    "fat saturation": (
        "siemens",
        {"ScanningSequence": "SE", "ScanOptions": "FS", "InversionTime": None, "SequenceName": "*tse2d1_15", **UNNAMED},
        SeriesKind.FAT_SUPPRESSED,
    ),
    "Philips SFS": (
        "philips",
        {"ScanningSequence": "SE", "ScanOptions": "SFS", "InversionTime": None, **UNNAMED},
        SeriesKind.OTHER,
    ),
    "SPAIR": (
        "philips",
        {"ScanningSequence": "SE", "ScanOptions": "FS", "InversionTime": 110, **UNNAMED},
        SeriesKind.FAT_SUPPRESSED,
    ),
    "GE FLAIR": (
        "ge",
        {"ScanOptions": ["FAST_GEMS", "T2FLAIR_GEMS"], "InversionTime": None, "RepetitionTime": 7000, **UNNAMED},
        SeriesKind.OTHER,
    ),
    "MPRAGE": ("siemens", {"ScanningSequence": ["GR", "IR"], "InversionTime": 1000}, SeriesKind.OTHER),
    "real part": ("philips", {"ImageType": ["ORIGINAL", "PRIMARY", "R_IR", "M", "IR"]}, SeriesKind.OTHER),
}


@pytest.mark.parametrize("vendor", CLASSIC)
def test_a_classic_stir_of_each_vendor_is_read(tmp_path: Path, volume: Volume, edit: Edit, vendor: str) -> None:
    style, elements = CLASSIC[vendor]
    edit(*write_mr_series(volume, tmp_path, style=style, patient_id="P", seed="s"), **elements)
    found = find_stir(discover(tmp_path.iterdir())).series
    assert found.kind is SeriesKind.STIR and read_series(found).geometry.shape == volume.geometry.shape


def test_canon_gives_every_slice_a_series_uid(tmp_path: Path, volume: Volume, edit: Edit) -> None:
    for number, path in enumerate(write_mr_series(volume, tmp_path, style="ge", patient_id="P", seed="s")):
        edit(path, Manufacturer="CANON_MEC", SeriesInstanceUID=f"1.2.392.200036.{number + 1}")
    assert read_series(find_stir(discover(tmp_path.iterdir())).series).geometry.shape == volume.geometry.shape


@pytest.mark.parametrize("maker", ["Siemens Healthineers", "Philips Medical Systems", "CANON_MEC"])
@pytest.mark.parametrize("times", [200.0, [200.0, 1.7976e308], [0.0, 1.7976e308]], ids=str)
def test_an_enhanced_stir_of_each_vendor_is_read(
    tmp_path: Path, volume: Volume, edit: Edit, maker: str, times: Any
) -> None:
    (path,) = write_mr_series(volume, tmp_path, style="philips", patient_id="P", seed="s", enhanced=True)
    ds = pydicom.dcmread(path)
    ds.Manufacturer, ds.AcquisitionContrast = maker, "T2"
    shared = ds.SharedFunctionalGroupsSequence[0]
    shared.MRModifierSequence[0].InversionTimes = times
    shared.MRImageFrameTypeSequence[0].AcquisitionContrast = "T2"
    ds.save_as(path)
    assert find_stir(discover([path])).series.kind is SeriesKind.STIR


def test_a_legacy_converted_object_keeps_its_times_among_the_unassigned_attributes(
    tmp_path: Path, volume: Volume
) -> None:
    (path,) = write_mr_series(volume, tmp_path, style="philips", patient_id="P", seed="s", enhanced=True)
    ds = pydicom.dcmread(path)
    for keyword in ("AcquisitionContrast", "EchoPulseSequence", "PulseSequenceName"):
        del ds[keyword]
    ds.SeriesDescription = ds.ProtocolName = "SIJ"
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = LegacyConvertedEnhancedMRImageStorage
    shared = ds.SharedFunctionalGroupsSequence[0]
    for keyword in ("MRModifierSequence", "MREchoSequence", "MRTimingAndRelatedParametersSequence"):
        del shared[keyword]
    del shared.MRImageFrameTypeSequence[0].AcquisitionContrast
    unassigned = pydicom.Dataset()
    unassigned.ScanningSequence, unassigned.InversionTime, unassigned.EchoTime = ["SE", "IR"], 150, 40
    shared.UnassignedSharedConvertedAttributesSequence = [unassigned]
    ds.save_as(path)
    assert find_stir(discover([path])).series.kind is SeriesKind.STIR


@pytest.mark.parametrize("written", NOT_STIR)
def test_what_is_not_stir_is_not_read_as_stir(tmp_path: Path, volume: Volume, edit: Edit, written: str) -> None:
    style, elements, kind = NOT_STIR[written]
    edit(*write_mr_series(volume, tmp_path, style=style, patient_id="P", seed="s"), **elements)
    (found,) = discover(tmp_path.iterdir()).series
    assert found.kind is kind, found.reasons


@pytest.mark.parametrize(
    ("style", "maker"),
    [
        ("siemens", "SIEMENS"),
        ("ge", "GE MEDICAL SYSTEMS"),
        ("philips", "Philips Medical Systems"),
        ("ge", "CANON_MEC"),
        ("ge", "UIH"),
        ("ge", "NEUSOFT"),
        ("ge", "HITACHI"),
        ("ge", "FUJIFILM Corporation"),
    ],
)
def test_a_t1_of_each_vendor_is_t1(tmp_path: Path, volume: Volume, edit: Edit, style: Style, maker: str) -> None:
    paths = write_mr_series(volume, tmp_path, style=style, patient_id="P", seed="s", contrast="t1")
    edit(*paths, Manufacturer=maker, **UNNAMED)
    (found,) = discover(tmp_path.iterdir()).series
    assert found.kind is SeriesKind.T1


def test_every_vendor_of_the_table_has_a_header_here() -> None:
    rows = [line for line in DOCUMENT.read_text().split("## T1")[0].splitlines() if line.startswith("| ")][1:]
    vendors = {row.split("|")[1].strip() for row in rows}
    enhanced = {"Siemens XA, enhanced", "Philips, enhanced", "Canon, enhanced"}
    assert vendors == {v for v in CLASSIC if v in vendors} | enhanced and len(vendors) == 11
