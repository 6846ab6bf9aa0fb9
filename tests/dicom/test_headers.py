"""Headers as sites send them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from sparcc_pipeline.dicom.headers import read_header
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.volume import Volume

Edit = Callable[..., None]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("t2_tirm_cor", {"stir"}),
        ("t2_tse_stir_cor", {"stir"}),
        ("STIR_TSE", {"stir"}),
        ("OCor STIR", {"stir"}),
        ("CORO  Stir_FIL", {"stir"}),
        ("T2_TIRM_CORONAAL", {"stir"}),
        ("t2_tirm_tra_dark-fluid", {"stir", "flair"}),
        ("Ax T2 FLAIR", {"flair"}),
        ("T2W_SPAIR_COR", {"spair"}),
        ("PD_SPIR", {"spir"}),
        ("t2 spiral", set()),
        ("T2 mDIXON_W", {"dixon"}),
        ("t2_tse_fs_cor", {"fat saturation"}),
        ("Cor T2 FatSat", {"fat saturation"}),
        ("t1_tse_cor", set()),
    ],
)
def test_words_of_the_sequence_are_found_in_names(series: Path, edit: Edit, name: str, words: set[str]) -> None:
    path = next(series.iterdir())
    edit(path, SeriesDescription=name, ProtocolName="")
    assert read_header(path).protocol.named == words


def test_enhanced_timing_is_read_from_functional_groups(tmp_path: Path, volume: Volume) -> None:
    (path,) = write_mr_series(volume, tmp_path, style="ge", patient_id="P1", seed="s", enhanced=True)
    found = read_header(path).protocol
    assert (found.repetition_time_ms, found.echo_time_ms, found.inversion_time_ms) == (5120, 42, 200)
    assert found.inversion_recovery is True and found.acquisition_contrast == "STIR"


def test_timing_of_single_frames_is_read_too(tmp_path: Path, volume: Volume) -> None:
    (path,) = write_mr_series(volume, tmp_path, style="ge", patient_id="P1", seed="s", enhanced=True)
    ds = pydicom.dcmread(path)
    shared = ds.SharedFunctionalGroupsSequence[0]
    for group in ds.PerFrameFunctionalGroupsSequence:
        for keyword in ("MRModifierSequence", "MREchoSequence", "MRTimingAndRelatedParametersSequence"):
            setattr(group, keyword, shared[keyword].value)
    for keyword in ("MRModifierSequence", "MREchoSequence", "MRTimingAndRelatedParametersSequence"):
        delattr(shared, keyword)
    ds.save_as(path)
    found = read_header(path).protocol
    assert (found.repetition_time_ms, found.echo_time_ms, found.inversion_time_ms) == (5120, 42, 200)


@pytest.mark.filterwarnings("error")
def test_odd_values_are_missing_values(series: Path) -> None:
    path = next(series.iterdir())
    ds = pydicom.dcmread(path)
    with pydicom.config.disable_value_validation():
        ds.add(pydicom.DataElement("SeriesNumber", "LO", "three"))
        ds.add(pydicom.DataElement("EchoTime", "LO", "38,5"))
        ds.add(pydicom.DataElement("ImagePositionPatient", "LO", "1\\2"))
        ds.add(pydicom.DataElement("PixelSpacing", "LO", "0.6\\nan"))
        ds.add(pydicom.DataElement("InversionTime", "LO", ""))
        ds.save_as(path)
    found = read_header(path)
    assert found.series_number is None
    assert found.protocol.echo_time_ms is None and found.protocol.inversion_time_ms is None
    assert found.frames[0].position_mm is None and found.frames[0].pixel_spacing_mm is None


def test_frames_without_places_are_counted(series: Path, edit: Edit) -> None:
    path = next(series.iterdir())
    edit(path, NumberOfFrames=7)
    assert [f.position_mm for f in read_header(path).frames] == [None] * 7
