"""De-identification: nothing of the person stays, everything of the image does."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from sparcc_pipeline.dicom.deidentify.image import Deidentified, SetAside, Subject, deidentify_file
from sparcc_pipeline.dicom.deidentify.pseudonyms import DAYS_SHIFTED, days_shifted, keyed_hash, keyed_uid
from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.dicom.input.elements import quiet_pydicom
from sparcc_pipeline.dicom.input.headers import read_header
from sparcc_pipeline.dicom.input.read import read_series
from sparcc_pipeline.dicom.input.select import find_stir
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.errors import UnreadablePixelsError
from sparcc_pipeline.volume import Volume

from ...salted import NEEDLES, salt
from ..conftest import tilted_volume

KEY = b"k" * 32
SUBJECT = Subject("TRIAL1", "S01", "P007", "week12", -700)


def made(path: Path, subject: Subject = SUBJECT, key: bytes = KEY, *, released: bool = False) -> Deidentified:
    result = deidentify_file(path, subject, key, released=released)
    assert isinstance(result, Deidentified), result
    return result


def reread(path: Path, subject: Subject = SUBJECT) -> Dataset:
    return pydicom.dcmread(io.BytesIO(made(path, subject).content))


def write_all(paths: list[Path], folder: Path, subject: Subject = SUBJECT) -> Volume:
    """De-identify a series and read it as the pipeline does."""
    folder.mkdir()
    for number, path in enumerate(paths):
        (folder / f"{number}.dcm").write_bytes(made(path, subject).content)
    return read_series(find_stir(discover(folder.iterdir())).series)


@pytest.mark.parametrize("enhanced", [False, True])
def test_no_byte_of_identity_is_left_whatever_place_it_was_in(tmp_path: Path, enhanced: bool) -> None:
    folder = tmp_path / "study"
    paths = write_mr_series(tilted_volume(), folder, style="siemens", patient_id="P", seed="s", enhanced=enhanced)
    for index, path in enumerate(paths[:3]):
        if enhanced:
            _salt_groups(path)
        else:
            salt(path, index)
    for path in sorted(set(folder.iterdir()) - set(paths[3:])):
        before, after = path.read_bytes(), made(path).content

        assert sum(needle in before for needle in NEEDLES) > 4
        assert [needle for needle in NEEDLES if needle in after] == []
        assert after[:128] == bytes(128)


def _salt_groups(path: Path) -> None:
    """Identity in the functional groups of a multi-frame image, which stay."""
    ds = pydicom.dcmread(path)
    for group in (*ds.SharedFunctionalGroupsSequence, *ds.PerFrameFunctionalGroupsSequence):
        item = Dataset()
        item.FrameComments, item.CodeMeaning, item.PatientName = "ZHANGSAN 19630417", "Nanjing Road", "张三丰"
        group.FrameAnatomySequence = [item]
        for keyword in ("FrameContentSequence", "MRImageFrameTypeSequence"):
            for each in group.get(keyword, []):
                each.FrameComments, each.FrameLabel, each.FrameAcquisitionDateTime = (
                    "PRIVSECRET",
                    "ZHANGSAN",
                    "19630417",
                )
    ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 192", "ZHANGSAN^WEI"
    ds.save_as(path)


@pytest.mark.parametrize("style", ["siemens", "ge", "philips"])
@pytest.mark.parametrize("enhanced", [False, True])
def test_the_image_stays_what_it_was(tmp_path: Path, style: str, enhanced: bool) -> None:
    paths = write_mr_series(
        tilted_volume(),
        tmp_path / "study",
        style=style,  # type: ignore[arg-type]
        patient_id="P",
        seed="s",
        enhanced=enhanced,
    )
    before = read_series(find_stir(discover(paths)).series)
    after = write_all(paths, tmp_path / "after")

    np.testing.assert_array_equal(before.signal, after.signal)
    assert before.geometry.directions == after.geometry.directions
    assert before.geometry.origin_mm == after.geometry.origin_mm
    assert before.geometry.spacing_mm == after.geometry.spacing_mm
    old, new = read_header(paths[0]), read_header(tmp_path / "after" / "0.dcm")
    assert old.protocol == new.protocol
    assert (old.manufacturer, old.model, old.field_strength_t) == (new.manufacturer, new.model, new.field_strength_t)
    assert (old.series_number, old.lossy) == (new.series_number, new.lossy)


def test_numbers_and_pixels_are_the_same_to_the_byte(series: Path) -> None:
    path = min(series.iterdir())
    before, after = pydicom.dcmread(path), reread(path)

    assert after.PixelData == before.PixelData
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "SpacingBetweenSlices",
        "MagneticFieldStrength",
        "InversionTime",
        "RepetitionTime",
    ):
        assert after.get_item(keyword).value.strip() == before.get_item(keyword).value.strip(), keyword


def test_the_method_and_the_codes_of_the_trial_are_written(series: Path) -> None:
    ds = reread(min(series.iterdir()))

    assert ds.PatientIdentityRemoved == "YES" and ds.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [(code.CodeValue, code.CodingSchemeDesignator) for code in ds.DeidentificationMethodCodeSequence]
    assert ("113100", "DCM") in codes and ("113107", "DCM") in codes and ("113105", "DCM") in codes
    assert (ds.PatientID, ds.ClinicalTrialSubjectID, ds.ClinicalTrialSiteID) == ("P007", "P007", "S01")
    assert ds.ClinicalTrialTimePointID == "week12"


def test_references_hold_within_a_study_and_between_visits(tmp_path: Path) -> None:
    volume = tilted_volume()
    stir = write_mr_series(volume, tmp_path / "a", style="ge", patient_id="P", seed="s")
    second = write_mr_series(volume, tmp_path / "b", style="ge", patient_id="P", seed="s", series_number=9)
    a, b = reread(stir[0]), reread(second[3])

    assert a.StudyInstanceUID == b.StudyInstanceUID
    assert a.FrameOfReferenceUID == b.FrameOfReferenceUID
    assert a.SeriesInstanceUID != b.SeriesInstanceUID
    assert len({reread(path).SOPInstanceUID for path in stir}) == len(stir)
    assert not {a.StudyInstanceUID, a.SOPInstanceUID} & {pydicom.dcmread(stir[0]).StudyInstanceUID}


def test_a_referenced_image_is_found_under_its_new_uid(series: Path, edit: Callable[..., None]) -> None:
    first, second = sorted(series.iterdir())[:2]
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    item.ReferencedSOPInstanceUID = pydicom.dcmread(second).SOPInstanceUID
    edit(first, ReferencedImageSequence=[item])

    referenced = reread(first).ReferencedImageSequence[0]

    assert referenced.ReferencedSOPInstanceUID == reread(second).SOPInstanceUID
    assert referenced.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.4"


def test_dates_move_and_their_distance_stays(tmp_path: Path) -> None:
    days = days_shifted(KEY, "P007")
    subject = Subject("T", "S01", "P007", "v", days)
    dates = []
    for day in ("2025-12-30", "2026-03-24"):
        path = write_mr_series(tilted_volume(), tmp_path / day, style="ge", patient_id="P", seed="s", acquired=day)[0]
        dates.append(reread(path, subject).StudyDate)
    first, second = (date.fromisoformat(text) for text in dates)

    assert (second - first).days == 84
    assert (first - date(2025, 12, 30)).days == days
    assert -DAYS_SHIFTED[1] <= days <= -DAYS_SHIFTED[0]


@pytest.mark.parametrize(
    ("keyword", "value", "kept"),
    [
        ("AcquisitionDate", "20260302", True),
        ("AcquisitionDate", "2026.03.02", True),
        ("AcquisitionDate", "19630417", False),
        ("AcquisitionDate", "20261399", False),
        ("AcquisitionDate", "ZHANG", False),
        ("AcquisitionDateTime", "20260301101530.5+0800", True),
        ("AcquisitionDateTime", "19630417101530", False),
    ],
)
def test_a_date_that_is_not_of_the_examination_goes(
    series: Path, edit: Callable[..., None], keyword: str, value: str, kept: bool
) -> None:
    path = min(series.iterdir())
    with quiet_pydicom():
        edit(path, **{keyword: value})

    found = str(reread(path).get(keyword, ""))

    assert bool(found) == kept and "+" not in found and not found.startswith("2026")


def test_bytes_do_not_depend_on_how_the_image_came(tmp_path: Path) -> None:
    volume = tilted_volume((8, 64, 64))
    path = write_mr_series(volume, tmp_path / "series", style="siemens", patient_id="P", seed="s")[0]
    expected = made(path).digest
    for syntax in (ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEG2000Lossless):
        ds = pydicom.dcmread(path)
        if syntax.is_compressed:
            ds.compress(syntax, generate_instance_uid=False)
        elif syntax == ExplicitVRBigEndian:
            ds["PixelData"].VR = "OW"
            ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        ds.file_meta.TransferSyntaxUID = syntax
        other = tmp_path / "other.dcm"
        pydicom.dcmwrite(
            other, ds, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian, force_encoding=True
        )

        assert made(other).digest == expected, syntax.name


def test_bits_beyond_those_stored_are_emptied(series: Path, edit: Callable[..., None]) -> None:
    path = min(series.iterdir())
    pixels = np.frombuffer(pydicom.dcmread(path).PixelData, "<u2")
    edit(path, BitsStored=12, HighBit=11, PixelData=(pixels | 0xA000).tobytes())

    np.testing.assert_array_equal(np.frombuffer(reread(path).PixelData, "<u2"), pixels & 0x0FFF)


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "not an MR image: Secondary Capture Image Storage"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "not an MR image: Encapsulated PDF Storage"),
        ({"SOPClassUID": "1.2.3"}, "of an unknown class"),
        ({"Modality": "OT"}, "modality"),
        ({"BurnedInAnnotation": "YES"}, "burnt"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "screen"),
        ({"ImageType": ["DERIVED", "SECONDARY", "OTHER", "POSDISP"]}, "screen"),
        ({"ConversionType": "WSD"}, "screen"),
        ({"PhotometricInterpretation": "RGB"}, "color"),
        ({"PixelData": None}, "no image"),
    ],
)
def test_what_is_no_plain_mr_image_is_set_aside(
    series: Path, edit: Callable[..., None], elements: dict[str, object], reason: str
) -> None:
    path = min(series.iterdir())
    edit(path, **elements)

    result = deidentify_file(path, SUBJECT, KEY)

    assert isinstance(result, SetAside) and reason in result.reason
    assert result.burnt_in == ("BurnedInAnnotation" in elements)


def test_an_overlay_within_the_pixels_is_set_aside(series: Path) -> None:
    path = min(series.iterdir())
    ds = pydicom.dcmread(path)
    ds.add_new(0x60000102, "US", 12)
    ds.save_as(path)

    assert isinstance(deidentify_file(path, SUBJECT, KEY), SetAside)


def test_a_person_may_let_pass_what_is_marked_burnt_in(series: Path, edit: Callable[..., None]) -> None:
    path = min(series.iterdir())
    edit(path, BurnedInAnnotation="YES")

    assert made(path, released=True).digest


def test_a_cut_off_image_is_refused_without_a_word_of_it(series: Path, edit: Callable[..., None]) -> None:
    path = min(series.iterdir())
    edit(path, PatientName="ZHANGSAN")
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(UnreadablePixelsError) as refused:
        deidentify_file(path, SUBJECT, KEY)

    assert "ZHANGSAN" not in str(refused.value) and path.name not in str(refused.value)


def test_only_safe_private_numbers_stay(series: Path) -> None:
    path = min(series.iterdir())
    ds = pydicom.dcmread(path)
    ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", 1.5)
    ds.private_block(0x2005, "Philips MR Imaging DD 001").add_new(0x10, "LO", "ZHANGSAN")
    ds.private_block(0x0043, "GEMS_PARM_02", create=True).add_new(0x39, "IS", 400)
    ds.save_as(path)

    kept = {element.tag: element.value for element in reread(path) if element.tag.is_private}

    assert list(kept.values()) == ["Philips MR Imaging DD 001", 1.5]


def test_the_device_is_known_again_but_not_by_its_number(series: Path, edit: Callable[..., None]) -> None:
    first, second = sorted(series.iterdir())[:2]
    edit(first, second, DeviceSerialNumber="141592")

    assert reread(first).DeviceSerialNumber == reread(second).DeviceSerialNumber != "141592"


@given(st.text(), st.text(), st.binary(min_size=16, max_size=32))
def test_uids_depend_on_site_and_key_and_are_valid(uid: str, other: str, key: bytes) -> None:
    new = keyed_uid(key, "S01", uid)

    assert new.startswith("2.25.") and len(new) <= 64 and new[5:].isdigit() and not new[5:].startswith("0")
    assert new == keyed_uid(key, "S01", uid) != keyed_uid(key, "S02", uid)
    assert keyed_uid(key + b"x", "S01", uid) != new
    assert (keyed_uid(key, "S01", other) == new) == (other.strip(" \0") == uid.strip(" \0"))


def test_parts_of_a_keyed_hash_cannot_be_shifted_into_each_other() -> None:
    parts = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc")]

    assert len({keyed_hash(KEY, "p", *each) for each in parts}) == len(parts)
    assert all(keyed_hash(KEY, a, "x") != keyed_hash(KEY, b, "x") for a, b in itertools.combinations("pqr", 2))


def test_without_a_study_date_no_date_stays(series: Path) -> None:
    path = min(series.iterdir())
    ds = pydicom.dcmread(path)
    del ds.StudyDate
    ds.AcquisitionDate = ds.SeriesDate = "19870523"
    ds.AcquisitionDateTime = "19870523101500"
    ds.save_as(path)

    result = reread(path)

    assert not any(result.get(keyword) for keyword in ("StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate"))
    assert not result.get("AcquisitionDateTime")


def test_a_birth_date_in_the_place_of_another_date_goes(series: Path) -> None:
    path = min(series.iterdir())
    ds = pydicom.dcmread(path)
    ds.PatientBirthDate = ds.SeriesDate = "20260302"
    ds.StudyDate = ds.AcquisitionDate = "20260310"
    ds.save_as(path)

    result = reread(path)

    assert result.AcquisitionDate and not result.get("SeriesDate")


def test_the_image_states_that_its_pixels_were_not_read(series: Path) -> None:
    assert any("pixels were not read" in text for text in reread(min(series.iterdir())).DeidentificationMethod)


def test_warnings_of_the_libraries_quote_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    program = (
        "from sparcc_pipeline.dicom.input.elements import silence_libraries; silence_libraries();"
        "from pydicom.dataset import Dataset; Dataset().StudyInstanceUID = '1.2.LI^MEI';"
        "from pynetdicom.dimse_primitives import C_STORE; C_STORE().AffectedSOPInstanceUID = '1.2.03'"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert capfd.readouterr() == ("", "")
